// A turn as its consumer sees it: what streams as what, what is complete, and what is shown when the answer is missing.

import { describe, expect, it } from 'vitest';
import { o200kEncoding } from './encoding.testing.ts';
import { renderPrompt } from './render.ts';
import { emptyTurnNotice, readTurn, TurnReader } from './turn.ts';

const { encoding, ids, text } = o200kEncoding();
const turnOf = (stream: string) =>
  readTurn(encoding, ids(stream), { tools: { functions: ['f'], builtins: ['python'] } });

describe('TurnReader', () => {
  it('sorts a turn into reasoning, preambles, calls and text', () => {
    const turn = turnOf(
      '<|channel|>analysis<|message|>one<|end|><|start|>assistant<|channel|>commentary<|message|>Looking it up.<|end|>' +
        '<|start|>assistant<|channel|>analysis<|message|>two<|end|>' +
        '<|start|>assistant<|channel|>commentary to=functions.f <|constrain|>json<|message|>{"a": 1}<|call|>',
    );
    expect(turn).toMatchObject({
      reasoning: 'one\n\ntwo',
      text: '',
      fallback: null,
      preambles: ['Looking it up.'],
      unfinishedCall: null,
      finish: 'call',
      problems: [],
    });
    expect(turn.calls).toMatchObject([{ name: 'f', kind: 'function', arguments: { status: 'ok', value: { a: 1 } } }]);
    expect(turn.messages).toHaveLength(4);
    expect(turn.reasoningTokens).toBe(5 + 7); // the second with its <|start|>assistant
  });

  it('streams each part under its own name', () => {
    const reader = new TurnReader(encoding);
    const stream = ids(
      '<|channel|>analysis<|message|>hm<|end|><|start|>assistant to=functions.f<|channel|>commentary<|message|>{}<|call|>',
    );
    const kinds = stream.flatMap((id) => reader.push(id).map((event) => event.type));
    expect(kinds).toEqual(['reasoning', 'call-start', 'call-delta', 'call']);
    expect(reader.finish().events).toEqual([]);
    expect(reader.finish().turn).toBe(reader.finish().turn);
  });

  it('says what is being read', () => {
    const reader = new TurnReader(encoding);
    const seen = ids('<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>').map(
      (id) => {
        reader.push(id);
        return reader.reading;
      },
    );
    expect(seen).toEqual([null, null, 'reasoning', 'reasoning', null, null, null, null, null, 'text']);
  });

  it('joins several finals', () => {
    expect(turnOf('<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>b<|return|>').text).toBe('a\n\nb');
  });

  it('keeps a call that the stream cut off apart from those to run', () => {
    const turn = turnOf('<|channel|>commentary to=functions.f<|message|>{"a": ');
    expect(turn).toMatchObject({ calls: [], unfinishedCall: { name: 'f' }, finish: 'length', text: '' });
    const reader = new TurnReader(encoding);
    for (const id of ids('<|channel|>commentary to=functions.f<|message|>{}')) reader.push(id);
    // An engine that keeps the stop token to itself says so.
    expect(reader.finish(true).turn).toMatchObject({ calls: [{ name: 'f' }], unfinishedCall: null, finish: 'call' });
  });

  it('leaves a turn that was cut without a fallback', () => {
    expect(turnOf('<|channel|>analysis<|message|>hm')).toMatchObject({
      reasoning: 'hm',
      text: '',
      fallback: null,
      finish: 'length',
    });
  });

  it('can put its messages back into a conversation', () => {
    const stream =
      '<|channel|>analysis<|message|>hm<|end|><|start|>assistant to=functions.f<|channel|>commentary <|constrain|>json<|message|>{}<|call|>';
    expect(text(renderPrompt(encoding, { messages: turnOf(stream).messages }))).toBe(
      `<|start|>assistant${stream}<|start|>assistant`,
    );
  });
});

describe('a turn that ended without an answer shows', () => {
  const thought = '<|channel|>analysis<|message|>hm<|end|>';
  const cases: Record<string, [stream: string, text: string, fallback: string | null]> = {
    'text without a header (a refusal)': [
      `${thought}<|start|>assistant I'm sorry.<|return|>`,
      "I'm sorry.",
      'unmarked',
    ],
    'such text and not later reasoning': [
      `I can't.<|end|><|start|>assistant${thought}<|return|>`,
      "I can't.",
      'unmarked',
    ],
    preambles: [`${thought}<|start|>assistant<|channel|>commentary<|message|>Wait.<|return|>`, 'Wait.', 'preamble'],
    'arguments sent to nobody': ['<|channel|>commentary<|message|>{"a":1}<|call|>', '{"a":1}', 'preamble'],
    'the last reasoning': [`${thought}<|start|>assistant<|channel|>analysis<|message|>42<|return|>`, '42', 'reasoning'],
    'what another role said': ['<|start|>user<|message|>And?<|return|>', 'And?', 'other-role'],
    'a notice when nothing was said': ['<|return|>', emptyTurnNotice, 'empty'],
    'a notice when the final is empty': ['<|channel|>final<|message|> \n<|return|>', emptyTurnNotice, 'empty'],
    'the reasoning when the final is empty': [
      `${thought}<|start|>assistant<|channel|>final<|message|><|return|>`,
      'hm',
      'reasoning',
    ],
    'nothing else when there is a final': [
      'stray<|end|><|start|>assistant<|channel|>final<|message|>42<|return|>',
      '42',
      null,
    ],
  };
  for (const [name, [stream, shown, fallback]] of Object.entries(cases)) {
    it(name, () => {
      const turn = turnOf(stream);
      expect(turn.text).toBe(shown);
      expect(turn.fallback).toBe(fallback);
      expect(turn.finish).toBe('stop');
    });
  }
});
