// The tolerant parser on every malformed shape seen in the field (issues of harmony, vllm, llama.cpp, ollama), and on
// random streams: nothing throws, every text byte comes out exactly once, a stopped turn always has something to show.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { o200kEncoding } from './encoding.testing.ts';
import type { HarmonyEvent, MessageHeader, ParserOptions } from './events.ts';
import { harmonyParser, parseTokens } from './parse.ts';
import { readTurn, TurnReader } from './turn.ts';

const { encoding, ids, tokenizer, text } = o200kEncoding();

type Read = MessageHeader & { content: string };

function read(stream: string, options: ParserOptions = {}): { messages: Read[]; problems: string[]; header: string[] } {
  const { messages, events } = parseTokens(encoding, ids(stream), options);
  return {
    messages: messages.map(({ headerText: _, isMarked: _1, terminator: _2, span: _3, ...rest }) => rest),
    problems: events.flatMap((event) => (event.type === 'problem' ? [event.code] : [])),
    header: messages.map((message) => message.headerText),
  };
}

const a = (channel: string | undefined, content: string, more: Partial<Read> = {}): Read => ({
  role: 'assistant',
  ...(channel === undefined ? {} : { channel }),
  ...more,
  content,
});
const f = { recipient: 'functions.f' };
const json = { ...f, contentType: '<|constrain|>json' };
const thought = '<|channel|>analysis<|message|>hm<|end|>';
const answer = '<|channel|>final<|message|>42<|return|>';

const shapes: Record<string, [stream: string, messages: Read[], problems: string[]]> = {
  // Channels
  'a duplicate channel marker': [
    '<|channel|><|channel|>final<|message|>42<|return|>',
    [a('final', '42')],
    ['empty-channel'],
  ],
  'the same channel twice': [`<|channel|>analysis${thought}`, [a('analysis', 'hm')], ['extra-channel']],
  'two channels: the last counts': [`<|channel|>commentary${answer}`, [a('final', '42')], ['extra-channel']],
  'a stray commentary to assistant before final': [
    `<|channel|>commentary to=assistant${answer}`,
    [a('final', '42')],
    ['extra-channel', 'odd-header'],
  ],
  'an empty channel': ['<|channel|><|message|>hm<|end|>', [a('analysis', 'hm')], ['empty-channel']],
  'question marks for a channel': ['<|channel|>??<|message|>hm<|end|>', [a('analysis', 'hm')], ['odd-channel']],
  'commentary?': ['<|channel|>commentary?<|message|>hm<|end|>', [a('commentary', 'hm')], ['odd-channel']],
  'commentary 2?': ['<|channel|>commentary 2?<|message|>hm<|end|>', [a('commentary', 'hm')], ['odd-header']],
  'a space before the channel': ['<|channel|> final<|message|>42<|return|>', [a('final', '42')], []],
  'a capital letter': ['<|channel|>Final<|message|>42<|return|>', [a('final', '42')], ['odd-channel']],
  'half a channel': ['<|channel|>comment<|message|>hm<|end|>', [a('commentary', 'hm')], ['odd-channel']],
  'an unknown channel': ['<|channel|>thought<|message|>hm<|end|>', [a('analysis', 'hm')], ['odd-channel']],
  'a call on no channel in particular': [
    '<|channel|> to=functions.f<|message|>{}<|call|>',
    [a('commentary', '{}', f)],
    ['empty-channel'],
  ],
  'no channel': ['<|message|>42<|return|>', [a(undefined, '42')], []],
  'free text for a channel': [
    '<|channel|>Let me think about it.<|message|> Yes.<|end|>',
    [a('analysis', 'Let me think about it. Yes.')],
    ['odd-channel'],
  ],
  'free text after a channel': [
    '<|channel|>analysis Let me think.<|message|>hm<|end|>',
    [a('analysis', 'Let me think.hm')],
    [],
  ],
  'prose glued to a channel': [
    '<|channel|>finalThe answer<|message|><|return|>',
    [a('final', 'The answer')],
    ['odd-channel'],
  ],

  // No <|message|>
  'a refusal without a header': [
    "I'm sorry, but I can't.<|return|>",
    [a(undefined, "I'm sorry, but I can't.")],
    ['missing-message'],
  ],
  'text after a channel, no message marker': [
    '<|channel|>final The answer is 42.<|return|>',
    [a('final', 'The answer is 42.')],
    ['missing-message'],
  ],
  'a number after a channel, no message marker': [
    '<|channel|>final 42<|return|>',
    [a('final', '42')],
    ['missing-message'],
  ],
  'a number glued to a channel, no message marker': [
    '<|channel|>final42<|return|>',
    [a('final', '42')],
    ['missing-message', 'odd-channel'],
  ],
  'just a number': ['42<|return|>', [a(undefined, '42')], ['missing-message']],
  'analysis without a message marker, then final': [
    `<|channel|>analysis We need to think.<|end|><|start|>assistant${answer}`,
    [a('analysis', 'We need to think.'), a('final', '42')],
    ['missing-message'],
  ],
  'prose, then the next channel': [
    `<|channel|>analysis We need to think.${answer}`,
    [a('analysis', 'We need to think.'), a('final', '42')],
    ['missing-message'],
  ],
  'a call without a message marker': [
    '<|channel|>commentary to=functions.f <|constrain|>json{"a":1}<|call|>',
    [a('commentary', '{"a":1}', json)],
    ['missing-message'],
  ],
  'a call without arguments or message marker': [
    ' to=functions.f<|channel|>commentary<|call|>',
    [a('commentary', '', f)],
    ['missing-message'],
  ],
  'the stream ending in a header': [
    '<|channel|>commentary to=functions.f',
    [a('commentary', '', f)],
    ['missing-message'],
  ],
  'the stream ending after a role': [
    `${thought}<|start|>assistant`,
    [a('analysis', 'hm'), a(undefined, '')],
    ['missing-message'],
  ],
  'a refusal after its role': [
    `${thought}<|start|>assistant I'm sorry.<|return|>`,
    [a('analysis', 'hm'), a(undefined, "I'm sorry.")],
    ['missing-message'],
  ],
  'a refusal glued to its role': [
    `${thought}<|start|>assistantI'm sorry.<|return|>`,
    [a('analysis', 'hm'), a(undefined, "I'm sorry.")],
    ['missing-message'],
  ],
  'an answer that is over at once': ['<|return|>', [], ['missing-message']],
  'nothing at all': ['', [], []],

  // Roles and starts
  'a doubled start': [
    `${thought}<|start|><|start|>assistant${answer}`,
    [a('analysis', 'hm'), a('final', '42')],
    ['double-start'],
  ],
  'start, role, start, role': [
    `${thought}<|start|>assistant<|start|>assistant${answer}`,
    [a('analysis', 'hm'), a('final', '42')],
    ['double-start'],
  ],
  assistantassistant: [`${thought}<|start|>assistantassistant${answer}`, [a('analysis', 'hm'), a('final', '42')], []],
  'the prompt repeated': [`<|start|>assistant${answer}`, [a('final', '42')], []],
  'the role glued to the channel': [
    `${thought}<|start|>assistantfinal<|message|>42<|return|>`,
    [a('analysis', 'hm'), a('final', '42')],
    [],
  ],
  'an abandoned header': [`<|channel|>analysis<|start|>assistant${answer}`, [a('final', '42')], ['double-start']],
  'no start after an end': [`${thought}assistant${answer}`, [a('analysis', 'hm'), a('final', '42')], ['missing-start']],
  'no start and no role': [`${thought}${answer}`, [a('analysis', 'hm'), a('final', '42')], ['missing-start']],
  'no role': [`${thought}<|start|>${answer}`, [a('analysis', 'hm'), a('final', '42')], []],
  'a space or line end between messages': [
    `${thought}\n<|start|>assistant${answer}`,
    [a('analysis', 'hm'), a('final', '42')],
    ['missing-start'],
  ],
  'stray text between messages': [
    `${thought} Right then. <|start|>assistant${answer}`,
    [a('analysis', 'hm'), a(undefined, 'Right then. '), a('final', '42')],
    ['missing-start', 'missing-message'],
  ],
  'stray text after the end': [
    '<|message|>42<|return|>\nMore.',
    [a(undefined, '42'), a(undefined, 'More.')],
    ['missing-start', 'missing-message'],
  ],
  'text before the channel': [`Sure. ${answer}`, [a(undefined, 'Sure. '), a('final', '42')], ['missing-message']],
  'an unknown role': [
    `${thought}<|start|>robot${answer}`,
    [a('analysis', 'hm'), a(undefined, 'robot'), a('final', '42')],
    ['missing-message'],
  ],
  'a hallucinated user': [
    `${thought}<|start|>user<|message|>And?<|end|>`,
    [a('analysis', 'hm'), { role: 'user', content: 'And?' }],
    [],
  ],
  'a hallucinated result': [
    `${thought}<|start|>functions.f to=assistant<|channel|>commentary<|message|>1<|end|>`,
    [
      a('analysis', 'hm'),
      { role: 'tool', name: 'functions.f', recipient: 'assistant', channel: 'commentary', content: '1' },
    ],
    [],
  ],
  'a named speaker': [
    `${thought}<|start|>user:ann<|message|>x<|end|>`,
    [a('analysis', 'hm'), { role: 'user', name: 'ann', content: 'x' }],
    [],
  ],

  // Missing ends, stray markers
  'no end before the next start': [
    `<|channel|>analysis<|message|>hm<|start|>assistant${answer}`,
    [a('analysis', 'hm'), a('final', '42')],
    ['missing-end'],
  ],
  'no end before the next channel': [
    `<|channel|>analysis<|message|>hm${answer}`,
    [a('analysis', 'hm'), a('final', '42')],
    ['missing-end'],
  ],
  'a second message marker': ['<|message|>4<|message|>2<|return|>', [a(undefined, '42')], ['stray-marker']],
  'a constrain marker in content': ['<|message|>4<|constrain|>2<|return|>', [a(undefined, '42')], ['stray-marker']],
  'terminators after the end': [`${answer}<|return|><|end|>`, [a('final', '42')], ['stray-marker', 'stray-marker']],
  'a message marker between messages': [
    `${thought}<|message|>42<|return|>`,
    [a('analysis', 'hm'), a(undefined, '42')],
    ['missing-start'],
  ],
  'reserved tokens in content': [
    '<|message|>4<|reserved_200013|>2<|return|>',
    [a(undefined, '42')],
    ['reserved-token'],
  ],
  'reserved tokens in a header': [
    '<|reserved_200013|><|channel|>final<|message|>42<|return|>',
    [a('final', '42')],
    ['reserved-token'],
  ],
  'end of text in content': ['<|message|>42<|endoftext|>', [a(undefined, '42')], []],
  'end of text in a header': ['<|channel|>final<|endoftext|>', [a('final', '')], ['missing-message']],
  'a final that ends in end': ['<|channel|>final<|message|>42<|end|>', [a('final', '42')], []],
  'a call that ends in end': [
    ' to=functions.f<|channel|>commentary<|message|>{}<|end|>',
    [a('commentary', '{}', f)],
    ['odd-terminator'],
  ],
  'reasoning that ends in return': [
    '<|channel|>analysis<|message|>hm<|return|>',
    [a('analysis', 'hm')],
    ['odd-terminator'],
  ],
  'an answer that ends in call': ['<|channel|>final<|message|>42<|call|>', [a('final', '42')], ['odd-terminator']],
  'two calls in one turn': [
    ' to=functions.f<|channel|>commentary<|message|>{}<|call|><|start|>assistant to=functions.f<|channel|>commentary<|message|>[]<|call|>',
    [a('commentary', '{}', f), a('commentary', '[]', f)],
    [],
  ],

  // Calls
  'spaces around the type': [
    '<|channel|>commentary to=functions.f  <|constrain|> json <|message|>{}<|call|>',
    [a('commentary', '{}', json)],
    [],
  ],
  'the type glued to the recipient': [
    '<|channel|>commentary to=functions.f<|constrain|>json<|message|>{}<|call|>',
    [a('commentary', '{}', json)],
    [],
  ],
  'an odd type': [
    '<|channel|>commentary to=functions.f <|constrain|>response<|message|>{}<|call|>',
    [a('commentary', '{}', { ...f, contentType: '<|constrain|>response' })],
    [],
  ],
  'a type without a name': [
    '<|channel|>commentary to=functions.f <|constrain|><|message|>{}<|call|>',
    [a('commentary', '{}', f)],
    [],
  ],
  'the type before the recipient': [
    '<|channel|>commentary <|constrain|>json to=functions.f<|message|>{}<|call|>',
    [a('commentary', '{}', json)],
    [],
  ],
  'a space after to=': ['<|channel|>commentary to= functions.f<|message|>{}<|call|>', [a('commentary', '{}', f)], []],
  'a space inside the recipient': [
    '<|channel|>commentary to=functions. f<|message|>{}<|call|>',
    [a('commentary', '{}', f)],
    [],
  ],
  'to= glued to the channel': [
    '<|channel|>commentaryto=functions.f<|message|>{}<|call|>',
    [a('commentary', '{}', f)],
    ['odd-channel'],
  ],
  'a recipient with a dash': [
    '<|channel|>commentary to=functions.web-browsing<|message|>{}<|call|>',
    [a('commentary', '{}', { recipient: 'functions.web-browsing' })],
    [],
  ],
  'a recipient without to=': ['<|channel|>commentary functions.f<|message|>{}<|call|>', [a('commentary', '{}', f)], []],
  'the recipient in both places': [
    ' to=functions.f<|channel|>commentary to=functions.f json<|message|>{}<|call|>',
    [a('commentary', '{}', { ...f, contentType: 'json' })],
    [],
  ],
  'words in the header of a call': [
    '<|channel|>commentary please to=functions.f now do json<|message|>{}<|call|>',
    [a('commentary', '{}', { ...f, contentType: 'now' })],
    ['odd-header', 'odd-header', 'odd-header'],
  ],
  'arguments in the header': [
    '<|channel|>commentary to=functions.f json{"a":1}<|message|><|call|>',
    [a('commentary', '{"a":1}', { ...f, contentType: 'json' })],
    [],
  ],
  'a type on final': [
    '<|channel|>final <|constrain|>json<|message|>{}<|return|>',
    [a('final', '{}', { contentType: '<|constrain|>json' })],
    [],
  ],
  'a lone type': ['<|channel|>analysis code<|message|>x<|end|>', [a('analysis', 'x', { contentType: 'code' })], []],
  'to=final': [' to=final<|message|>42<|return|>', [a('final', '42')], ['odd-header']],
  'to=user': ['<|channel|>final to=user<|message|>42<|return|>', [a('final', '42')], ['odd-header']],
};

describe('malformed streams', () => {
  for (const [name, [stream, messages, problems]] of Object.entries(shapes)) {
    it(`are read: ${name}`, () => {
      const result = read(stream);
      expect(result.messages).toEqual(messages);
      expect(result.problems.sort()).toEqual([...problems].sort());
    });
  }

  it('that end with a stop token always have something to show', () => {
    for (const [stream] of Object.values(shapes)) {
      for (const stop of ['<|return|>', '<|call|>', '<|endoftext|>']) {
        const turn = readTurn(encoding, ids(stream + stop));
        expect(turn.calls.length > 0 || turn.text.trim() !== '').toBe(true);
      }
    }
  });

  it('may repeat a marker without end', () => {
    for (const marker of Object.values(encoding.ids)) {
      const { messages } = parseTokens(encoding, [...Array(10_000).fill(marker), ...ids('<|message|>42')]);
      expect(messages.at(-1)!.content).toBe('42');
    }
    const pair = ids('<|start|>assistant<|channel|>');
    expect(parseTokens(encoding, Array(3_000).fill(pair).flat()).messages.length).toBeLessThan(1000);
  });

  it('may hold ids that no vocabulary has', () => {
    const stream = [
      ...ids('<|channel|>fin'),
      -1,
      2 ** 31,
      Number.NaN,
      1.5,
      999_999,
      ...ids('al<|message|>4'),
      1e99,
      ...ids('2'),
    ];
    const { messages, events } = parseTokens(encoding, stream);
    expect(messages).toMatchObject([{ channel: 'final', content: '42' }]);
    expect(events.filter((event) => event.type === 'problem').map((event) => event.code)).toEqual(
      Array(6).fill('unknown-token'),
    );
  });
});

describe('an answer without a header', () => {
  const prose = 'The quick brown fox jumps over the lazy dog and goes on. '.repeat(20);

  it('streams long before it ends', () => {
    const stream = ids(prose);
    const parser = harmonyParser(encoding);
    let first = -1;
    let said = '';
    stream.forEach((id, i) => {
      for (const event of parser.push(id)) {
        if (event.type !== 'delta') continue;
        if (first < 0) first = i;
        said += event.text;
      }
    });
    expect(first).toBeLessThan(60);
    parser.finish();
    expect(said).toBe(prose);
    expect(parser.messages).toMatchObject([{ role: 'assistant', content: prose, isMarked: false }]);
  });

  it('keeps its channel, and a late <|message|> is dropped', () => {
    const { messages, problems } = read(`<|channel|>final ${prose}<|message|>end<|return|>`);
    expect(messages).toEqual([a('final', `${prose}end`)]);
    expect(problems.sort()).toEqual(['missing-message', 'stray-marker']);
  });

  it('is not taken for one while a long recipient is written', () => {
    const recipient = `functions.${'very_long_name_'.repeat(30)}`;
    expect(read(`<|channel|>commentary to=${recipient} <|constrain|>json<|message|>{}<|call|>`).messages).toEqual([
      a('commentary', '{}', { recipient, contentType: '<|constrain|>json' }),
    ]);
  });

  it('is cut at a bound when a header never ends', () => {
    const { messages, header } = read(`assistant${'assistant'.repeat(3000)}<|message|>x<|return|>`);
    expect(messages).toHaveLength(1);
    expect(header[0]! + messages[0]!.content).toBe(`assistant${'assistant'.repeat(3000)}x`);
  });
});

/** Pieces a model may emit, many of them special. */
const words = [
  'assistant',
  'user',
  'analysis',
  'commentary',
  'final',
  ' to=',
  'functions.f',
  ' json',
  'python',
  '?',
  ' ',
  '\n',
  '{"a": 1}',
  'The',
  ' answer',
  '42',
  'é',
  '日本',
  '',
  'to=',
  'browser.search',
  ':',
  '.',
];
const pieceIds = words.flatMap((word) => tokenizer.encode(word));
const special = [...Object.values(encoding.ids), encoding.endOfText!, 200013, 200018, 199998];
const anyToken = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom(...special) },
  { weight: 6, arbitrary: fc.constantFrom(...pieceIds) },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 199_997 }) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 255 }) }, // single bytes, mostly broken UTF-8
  { weight: 1, arbitrary: fc.constantFrom(-1, 300_000, 1.5, Number.NaN, Number.POSITIVE_INFINITY) },
);
const anyStream = fc.array(anyToken, { maxLength: 80 });
const anyOptions: fc.Arbitrary<ParserOptions> = fc.record({
  role: fc.constantFrom('assistant' as const, null, 'tool' as const),
});
const runs = { numRuns: 1500 };

const textAt = (id: number): string => {
  const bytes = encoding.textBytes(id);
  return bytes === null ? '' : new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
};

function checkOrder(events: readonly HarmonyEvent[]): void {
  let open = -1;
  let begun = -1;
  let content = '';
  for (const event of events) {
    if (event.type === 'problem' || event.type === 'error') continue;
    if (event.type === 'start') {
      expect(open).toBe(-1);
      expect(event.index).toBe(++begun);
      open = event.index;
      content = '';
    } else {
      expect(event.index).toBe(open);
      if (event.type === 'delta') {
        expect(event.text).not.toBe('');
        content += event.text;
      } else {
        expect(event.message.content).toBe(content);
        open = -1;
      }
    }
  }
  expect(open).toBe(-1);
}

describe('any token stream whatever', () => {
  it('neither throws nor loses or repeats a byte', () => {
    fc.assert(
      fc.property(anyStream, anyOptions, (stream, options) => {
        const { messages, events } = parseTokens(encoding, stream, options);
        checkOrder(events);
        let at = 0;
        for (const message of messages) {
          // Between messages there are only tokens without text.
          expect(stream.slice(at, message.span.start).map(textAt).join('')).toBe('');
          expect(message.span.end).toBeGreaterThan(message.span.start);
          const own = stream.slice(message.span.start, message.span.end);
          const said = message.headerText + message.content;
          const isWhole = own.every((id) => !textAt(id).includes('\ufffd'));
          if (isWhole) expect(said).toBe(own.map(textAt).join(''));
          // Bytes of a code point broken off by a marker become U+FFFD; all others are there, in order.
          const ascii = (from: string): string => from.replace(/[^\0-\x7f]/g, '');
          expect(ascii(said)).toBe(ascii(own.map(textAt).join('')));
          at = message.span.end;
        }
        expect(stream.slice(at).map(textAt).join('')).toBe('');
      }),
      runs,
    );
  });

  it('reads the same token by token however it continues', () => {
    fc.assert(
      fc.property(anyStream, fc.nat(80), (stream, cut) => {
        const parser = harmonyParser(encoding);
        const events = stream.slice(0, cut).flatMap((id) => [...parser.push(id)]);
        const whole = harmonyParser(encoding);
        const all = stream.flatMap((id) => [...whole.push(id)]);
        expect(all.slice(0, events.length)).toEqual(events);
      }),
      { numRuns: 300 },
    );
  });

  it('does not throw in the modes of the library either', () => {
    fc.assert(
      fc.property(anyStream, fc.constantFrom('strict' as const, 'non-strict' as const), (stream, mode) => {
        const parser = harmonyParser(encoding, { mode });
        for (const id of stream) parser.push(id);
        parser.finish();
      }),
      { numRuns: 500 },
    );
  });

  it('is read as strict mode reads it wherever strict mode finds no error and no marker as text', () => {
    const header = fc.constantFrom(
      '<|channel|>analysis',
      '<|channel|>final',
      ' to=functions.f<|channel|>commentary <|constrain|>json',
      '<|channel|>commentary to=python code',
    );
    const message = fc.tuple(
      header,
      fc.array(fc.constantFrom(...pieceIds), { maxLength: 8 }),
      fc.constantFrom('<|end|>', '<|call|>', '<|return|>'),
    );
    fc.assert(
      fc.property(fc.array(message, { minLength: 1, maxLength: 5 }), (parts) => {
        const stream = parts.flatMap(([head, body, end], i) => [
          ...ids(`${i > 0 ? '<|start|>assistant' : ''}${head}<|message|>`),
          ...body,
          ...ids(end),
        ]);
        const strict = parseTokens(encoding, stream, { mode: 'strict' });
        expect(strict.events.some((event) => event.type === 'error')).toBe(false);
        expect(parseTokens(encoding, stream).messages).toEqual(strict.messages);
      }),
      { numRuns: 300 },
    );
  });

  it('makes a turn that has something to show when the model ended it', () => {
    fc.assert(
      fc.property(anyStream, fc.constantFrom(...encoding.stopIds()), (stream, stop) => {
        const reader = new TurnReader(encoding, { tools: { functions: ['f'], builtins: ['python'] } });
        const events = [...stream, stop].flatMap((id) => [...reader.push(id)]);
        const end = reader.finish();
        const { turn } = end;
        expect(turn.finish).not.toBe('length');
        expect(turn.calls.length > 0 || turn.text.trim() !== '').toBe(true);
        events.push(...end.events);
        const joined = (type: 'reasoning' | 'text' | 'fallback'): string =>
          events.flatMap((event) => (event.type === type ? [event.text] : [])).join('');
        expect(joined('reasoning')).toBe(turn.reasoning);
        if (turn.fallback === null) expect(joined('text')).toBe(turn.text);
        else expect(joined('fallback')).toBe(turn.text);
      }),
      runs,
    );
  });
});

describe('text of markers in the fixtures of this file', () => {
  it('stands for markers', () => {
    expect(text(ids('<|start|>assistant'))).toBe('<|start|>assistant');
    expect(ids('<|start|>')).toHaveLength(1);
  });
});
