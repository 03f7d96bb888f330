// Both parsers on the harmony library's fixtures and the tiny model's outputs (read from ../shared), and the library's
// parser in its errors, its non-strict mode and its handling of broken UTF-8. Malformed streams: tolerant-parser.test.ts.

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { hasShared, sharedPath } from '../../../test/shared.ts';
import { o200kEncoding, tinyEncoding } from './encoding.testing.ts';
import type { MessageHeader, ParsedMessage, ParserOptions } from './events.ts';
import { harmonyParser, parseTokens } from './parse.ts';

const { encoding, ids, tokenizer } = o200kEncoding();
const hasFixtures = hasShared('fixtures', 'harmony', 'cases.json');
const hasTiny = hasShared('models', 'seed-tiny', 'expected.json');
const strict: ParserOptions = { mode: 'strict' };
const nonStrict: ParserOptions = { mode: 'non-strict' };

function plain(message: ParsedMessage): MessageHeader & { content: string } {
  const { headerText: _, isMarked: _1, terminator: _2, span: _3, ...rest } = message;
  return rest;
}

function read(text: string | number[], options: ParserOptions): (MessageHeader & { content: string })[] {
  const result = parseTokens(encoding, typeof text === 'string' ? ids(text) : text, options);
  expect(result.events.filter((event) => event.type === 'error')).toEqual([]);
  return result.messages.map(plain);
}

function errorOf(text: string | number[], options: ParserOptions = strict): string | undefined {
  const events = parseTokens(encoding, typeof text === 'string' ? ids(text) : text, options).events;
  const error = events.find((event) => event.type === 'error');
  return error?.type === 'error' ? error.code : undefined;
}

describe.skipIf(!hasFixtures)('the fixtures of the harmony library (needs ../shared/fixtures/harmony)', () => {
  const file = (name: string): string => readFileSync(sharedPath('fixtures', 'harmony', name), 'utf8').trimEnd();
  const cases: { tokens?: string; text?: string; messages?: Record<string, unknown>[] }[] = hasFixtures
    ? JSON.parse(file('cases.json')).parse
    : [];

  for (const options of [strict, nonStrict, {}] as ParserOptions[]) {
    it(`are read by the ${options.mode ?? 'tolerant'} mode`, () => {
      const tokens = cases.find((example) => example.tokens !== undefined)!;
      const numbers = file(tokens.tokens!).split(/\s+/).map(Number);
      expect(read(numbers, options)).toEqual(tokens.messages);

      const text = cases.find((example) => example.text !== undefined)!;
      const stream = file(text.text!);
      const messages = read(stream, options);
      expect(messages.map(({ content: _, ...header }) => header)).toEqual([
        { role: 'assistant', channel: 'analysis' },
        { role: 'assistant', recipient: 'browser.search', channel: 'commentary', contentType: 'code' },
        { role: 'tool', name: 'browser.search', recipient: 'assistant', channel: 'commentary' },
      ]);
      const contents = [...stream.matchAll(/<\|message\|>([\s\S]*?)<\|(?:end|call)\|>/g)].map((match) => match[1]);
      expect(messages.map((message) => message.content)).toEqual(contents);
    });
  }

  it('that are prompts are read back to what was written', () => {
    const renders: { expected: string }[] = JSON.parse(file('cases.json')).render;
    for (const { expected } of renders) {
      const text = file(expected);
      for (const mode of ['strict', 'tolerant'] as const) {
        // A result without ` to=assistant` has no role that the library knows.
        if (mode === 'strict' && text.includes('<|start|>functions.lookup_weather<|message|>')) {
          expect(errorOf(text, { mode, role: null })).toBe('unknown-role');
          continue;
        }
        const { messages, events } = parseTokens(encoding, ids(text), { mode, role: null });
        // The open header of the answer to come is all that is left over.
        expect(messages.map((message) => message.content).filter((content) => content !== '')).toEqual(
          [...text.matchAll(/<\|message\|>([\s\S]*?)<\|(?:end|call|return)\|>/g)].map((match) => match[1]),
        );
        expect(events.filter((event) => event.type === 'error').map((event) => event.code)).toEqual(
          mode === 'strict' ? ['unexpected-eos'] : [],
        );
      }
    }
  });
});

describe.skipIf(!hasTiny)('the outputs of the tiny model (needs ../shared/models/seed-tiny)', () => {
  interface Case {
    id: string;
    output_ids: number[];
    output_text: string;
  }
  it('are read alike by all modes, with the final text of all 71 cases', () => {
    const cases: Case[] = JSON.parse(readFileSync(sharedPath('models', 'seed-tiny', 'expected.json'), 'utf8')).cases;
    const tiny = tinyEncoding().encoding;
    let finals = 0;
    for (const example of cases) {
      const [tolerant, reference, lenient] = ([{}, strict, nonStrict] as ParserOptions[]).map((options) => {
        const { messages, events } = parseTokens(tiny, example.output_ids, options);
        expect(events.filter((event) => event.type === 'problem' || event.type === 'error')).toEqual([]);
        return messages;
      });
      expect(tolerant, example.id).toEqual(reference);
      expect(lenient, example.id).toEqual(reference);
      const final = /<\|channel\|>final<\|message\|>([\s\S]*)<\|return\|>$/.exec(example.output_text)?.[1];
      const call = /to=(\S+) .*<\|message\|>([\s\S]*)<\|call\|>$/.exec(example.output_text);
      const last = reference![reference!.length - 1]!;
      if (final !== undefined) {
        finals++;
        expect(last, example.id).toMatchObject({ channel: 'final', content: final, terminator: 'return' });
      } else {
        expect(last, example.id).toMatchObject({ recipient: call?.[1]?.split('<')[0], content: call?.[2] });
        expect(last.terminator).toBe('call');
      }
      expect(last.span.end).toBe(example.output_ids.length);
    }
    expect(finals).toBeGreaterThan(40);
  });
});

describe('both parsers on well-formed headers', () => {
  const call = { role: 'assistant', channel: 'commentary', recipient: 'functions.f', content: '{}' };
  const typed = { ...call, contentType: '<|constrain|>json' };
  const shapes: [string, string, unknown][] = [
    ['channel first', '<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}<|call|>', typed],
    ['recipient first', ' to=functions.f<|channel|>commentary <|constrain|>json<|message|>{}<|call|>', typed],
    ['no space before the type', '<|channel|>commentary to=functions.f<|constrain|>json<|message|>{}<|call|>', typed],
    ['type right after channel', ' to=functions.f<|channel|>commentary<|constrain|>json<|message|>{}<|call|>', typed],
    ['a bare type', '<|channel|>commentary to=functions.f json<|message|>{}<|call|>', { ...call, contentType: 'json' }],
    ['no type', '<|channel|>commentary to=functions.f<|message|>{}<|call|>', call],
    ['a call on analysis', '<|channel|>analysis to=functions.f<|message|>{}<|call|>', { ...call, channel: 'analysis' }],
    [
      'a python call',
      '<|channel|>analysis to=python code<|message|>1<|call|>',
      { role: 'assistant', channel: 'analysis', recipient: 'python', contentType: 'code', content: '1' },
    ],
    [
      'a repeated role',
      'assistant<|channel|>final<|message|>x<|return|>',
      { role: 'assistant', channel: 'final', content: 'x' },
    ],
    ['no channel', '<|message|>x<|return|>', { role: 'assistant', content: 'x' }],
    ['the end inside content', '<|channel|>final<|message|>x', { role: 'assistant', channel: 'final', content: 'x' }],
    ['no content', '<|channel|>final<|message|>', { role: 'assistant', channel: 'final', content: '' }],
  ];
  for (const [name, text, expected] of shapes) {
    it(`agree: ${name}`, () => {
      expect(read(text, strict)).toEqual([expected]);
      expect(read(text, {})).toEqual([expected]);
    });
  }

  it('agree on roles and tool results after <|start|>', () => {
    const text =
      '<|start|>user<|message|>a<|end|><|start|>functions.f to=assistant<|channel|>commentary<|message|>b<|end|>' +
      '<|start|>assistant to=functions.f<|channel|>commentary<|message|>c<|call|>';
    const expected = [
      { role: 'user', content: 'a' },
      { role: 'tool', name: 'functions.f', recipient: 'assistant', channel: 'commentary', content: 'b' },
      { role: 'assistant', recipient: 'functions.f', channel: 'commentary', content: 'c' },
    ];
    expect(read(text, { ...strict, role: null })).toEqual(expected);
    expect(read(text, { role: null })).toEqual(expected);
  });
});

describe('the strict parser', () => {
  it('reports the errors of the library as values', () => {
    expect(errorOf('<|channel|>final<|message|>x<|end|>y')).toBe('expected-start');
    expect(errorOf('<|channel|>final<|message|>x<|end|><|return|>')).toBe('expected-start');
    expect(errorOf('x', { ...strict, role: null })).toBe('expected-start');
    expect(errorOf('')).toBe('unexpected-eos');
    expect(errorOf('<|channel|>final')).toBe('unexpected-eos');
    expect(errorOf('<|channel|><|message|>x')).toBe('empty-channel');
    expect(errorOf('<|channel|> final<|message|>x')).toBe('empty-channel');
    expect(errorOf('<|start|><|message|>x', { ...strict, role: null })).toBe('missing-role');
    expect(errorOf('<|start|>robot<|message|>x', { ...strict, role: null })).toBe('unknown-role');
    expect(errorOf('<|channel|>analysis I must refuse<|message|>')).toBe('leftover-header');
    expect(errorOf([9552, ...ids('<|message|>')])).toBe('undecodable-header');
    expect(errorOf([300000, ...ids('<|message|>')])).toBe('undecodable-header');
    expect(errorOf([...ids('<|channel|>final<|message|>'), 300000])).toBe('unknown-token');
  });

  it('has the quirks of the library', () => {
    // A lone word is a recipient; markers inside content are text; terminators inside a header are header.
    expect(read('<|channel|>analysis code<|message|>x<|end|>', strict)).toEqual([
      { role: 'assistant', channel: 'analysis', recipient: 'code', content: 'x' },
    ]);
    expect(
      read('<|message|>a<|start|>b<|channel|>c<|constrain|><|message|><|reserved_200013|><|end|>', strict),
    ).toEqual([{ role: 'assistant', content: 'a<|start|>b<|channel|>c<|constrain|><|message|><|reserved_200013|>' }]);
    expect(read('<|end|><|channel|>final<|message|>x', strict)).toEqual([
      { role: 'assistant', channel: 'final', recipient: '<|end|>', content: 'x' },
    ]);
    expect(read('<|start|>to=x<|message|>y', { ...strict, role: null })).toEqual([
      { role: 'tool', name: 'to=x', content: 'y' },
    ]);
  });

  it('goes on after an error where the library would be', () => {
    const parser = harmonyParser(encoding, strict);
    const events = ids('<|channel|><|message|><|start|>user<|message|>x<|end|>').flatMap((id) => [...parser.push(id)]);
    expect(events.map((event) => event.type)).toEqual(['error', 'start', 'delta', 'end']);
    // The role given for the first header was not used up.
    expect(parser.messages[0]).toMatchObject({ role: 'assistant', recipient: 'user', content: 'x' });
  });
});

describe('the non-strict mode', () => {
  it('keeps messages without <|message|> as the library does', () => {
    const final = "<|start|>assistant<|channel|>final<|message|>I'm sorry.<|return|>";
    expect(read(`I must refuse<|end|>${final}`, nonStrict)).toEqual([
      { role: 'assistant', content: 'I must refuse' },
      { role: 'assistant', channel: 'final', content: "I'm sorry." },
    ]);
    expect(read(`<|channel|>analysis I must  refuse<|end|>${final}`, nonStrict)[0]).toEqual({
      role: 'assistant',
      channel: 'analysis',
      content: 'I must refuse',
    });
    expect(read('<|channel|>commentary Hello<|end|>', nonStrict)).toEqual([
      { role: 'assistant', channel: 'commentary', content: 'Hello' },
    ]);
    const call = '<|start|>assistant to=functions.f<|channel|>commentary json<|message|>{}<|call|>';
    expect(read(`... Let's use the tool.<|end|>${call}`, nonStrict)).toEqual([
      { role: 'assistant', content: "... Let's use the tool." },
      { role: 'assistant', recipient: 'functions.f', channel: 'commentary', contentType: 'json', content: '{}' },
    ]);
  });

  it('keeps nothing where the role is not given, as the library', () => {
    expect(read('<|message|>x<|end|><|start|>lost<|end|>', nonStrict)).toEqual([{ role: 'assistant', content: 'x' }]);
    expect(errorOf('<|channel|><|end|>', nonStrict)).toBe('empty-channel');
  });
});

describe('content over token borders', () => {
  const stream = (content: number[]): number[] => [...ids('<|message|>'), ...content];
  const both = (content: number[], expected: string): void => {
    for (const mode of ['strict', 'tolerant'] as const) {
      const { messages, events } = parseTokens(encoding, stream(content), { mode });
      expect(messages[0]!.content).toBe(expected);
      const deltas = events.flatMap((event) => (event.type === 'delta' ? [event.text] : []));
      expect(deltas.join('')).toBe(expected);
      for (const delta of deltas) expect(delta).not.toMatch(/\p{Surrogate}/u);
    }
  };

  it('never splits a code point', () => {
    const text = 'Müller, Γειά, こんにちは, 안녕, 👨‍👩‍👧‍👦🇺🇸 \ufeffx';
    both(tokenizer.encode(text), text);
    const bytes = new TextEncoder().encode(text);
    both(
      Array.from(bytes, (byte) => tokenizer.vocabulary.byteIds[byte]!),
      text,
    );
  });

  it('turns broken sequences into U+FFFD, one for each', () => {
    // Token 9552 is a space and the first two of four bytes.
    expect([...tokenizer.tokenBytes(9552)!]).toEqual([0x20, 0xf0, 0x9f]);
    both([9552, 9552, ...ids('worked<|end|>')], ' \ufffd \ufffdworked');
    both([9552, ...ids('XY<|end|>')], ' \ufffdXY');
    both([9552, ...ids('<|end|>')], ' \ufffd');
    both([9552], ' \ufffd');
  });

  it('does not carry bytes into the next message', () => {
    const text = [...stream([9552]), ...ids('<|end|><|start|>assistant<|message|>ok<|end|>')];
    for (const mode of ['strict', 'tolerant'] as const) {
      expect(parseTokens(encoding, text, { mode }).messages.map((message) => message.content)).toEqual([
        ' \ufffd',
        'ok',
      ]);
    }
  });
});
