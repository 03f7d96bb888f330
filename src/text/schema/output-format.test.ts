// Masks over vocabularies: exact, whatever the way a text is cut into tokens; and together with the harmony mask.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isGptOssError } from '../../errors.ts';
import { o200kEncoding } from '../harmony/encoding.testing.ts';
import { HarmonyMask, HeaderGrammar } from '../harmony/mask.ts';
import { parseTokens } from '../harmony/parse.ts';
import type { Vocabulary } from '../vocabulary.ts';
import {
  type CompiledFormat,
  compileFormat,
  contentConstraints,
  FormatCache,
  type OutputFormat,
} from './output-format.ts';
import {
  allows,
  byteVocabulary,
  idsOf,
  o200kVocabulary,
  randomOf,
  sampleText,
  tinyVocabulary,
} from './schema.testing.ts';

const person = {
  type: 'object',
  properties: {
    name: { type: 'string', maxLength: 12 },
    kind: { enum: ['a', 'ab', 'abc', 12, 1, null] },
    tags: { type: 'array', items: { type: 'string' }, maxItems: 3 },
    when: { type: 'string', format: 'date' },
    size: { type: 'number', minimum: -1.5, maximum: 20 },
    more: { anyOf: [{ $ref: '#' }, { type: 'integer' }, { type: 'array' }] },
  },
  required: ['name', 'kind'],
  additionalProperties: { type: 'boolean' },
};
const formats: OutputFormat[] = [
  { kind: 'json-schema', schema: person },
  { kind: 'json-schema', schema: true },
  { kind: 'json-object' },
  { kind: 'regex', pattern: '(?:yes|no|maybe é{1,3})(?: because \\p{L}+)?' },
  { kind: 'choice', choices: ['yes', 'yesterday', 'no', '日本'] },
];

/** Whether each token may come, by its bytes alone. */
function expectExact(format: CompiledFormat, vocabulary: Vocabulary, ids: readonly number[]): void {
  const constraint = format.constraint(vocabulary.size);
  let place = format.grammar.start;
  for (let at = 0; at <= ids.length; at++) {
    const allowed = constraint.allowed();
    const expected: number[] = place.mayEnd ? [vocabulary.size] : [];
    for (let id = 0; id < vocabulary.size; id++) {
      let next: typeof place | null = vocabulary.token(id).length === 0 ? null : place;
      for (const byte of vocabulary.token(id)) next = next === null ? null : format.grammar.step(next, byte);
      if (next !== null) expected.push(id);
    }
    // Of two tokens with the same bytes only the one that encoding gives is in the mask.
    const isFirst = (id: number): boolean =>
      id === vocabulary.size || firstOf(vocabulary).get(vocabulary.token(id).join()) === id;
    expect(idsOf(allowed).sort((a, b) => a - b)).toEqual(expected.filter(isFirst).sort((a, b) => a - b));
    if (at === ids.length) break;
    expect(constraint.push(ids[at])).toBe(true);
    for (const byte of vocabulary.token(ids[at])) place = format.grammar.step(place, byte)!;
  }
}

const firsts = new WeakMap<Vocabulary, Map<string, number>>();
function firstOf(vocabulary: Vocabulary): Map<string, number> {
  let first = firsts.get(vocabulary);
  if (first === undefined) {
    first = new Map();
    for (let id = vocabulary.size - 1; id >= 0; id--) first.set(vocabulary.token(id).join(), id);
    firsts.set(vocabulary, first);
  }
  return first;
}

describe('masks', () => {
  it('allow exactly the tokens whose bytes lead on', () => {
    const vocabulary = tinyVocabulary();
    for (const [i, format] of formats.entries()) {
      const compiled = compileFormat(format, vocabulary);
      for (let seed = 0; seed < 4; seed++) {
        const { ids } = sampleText(compiled, vocabulary, randomOf(seed * 10 + i), 25);
        expectExact(compileFormat(format, vocabulary), vocabulary, ids);
      }
    }
  });

  it('allow exactly the tokens of o200k whose bytes lead on', () => {
    const vocabulary = o200kVocabulary();
    const compiled = compileFormat(formats[0], vocabulary);
    const { tokenizer } = o200kEncoding();
    expectExact(compiled, vocabulary, tokenizer.encode('{"name": "Z\\ud83d'));
    expectExact(compiled, vocabulary, tokenizer.encode('{"name":"","kind":1'));
  });

  it('allow any way to cut an allowed text into tokens', () => {
    const vocabulary = o200kVocabulary();
    const cache = new FormatCache(vocabulary);
    const { tokenizer } = o200kEncoding();
    const texts = [
      '{"name": "Zoë 👩‍🚀", "kind": 12}',
      '{\n  "name": "\\u00e9",\n  "kind": null,\n  "tags": ["x", "日本"]\n}',
    ];
    fc.assert(
      fc.property(fc.constantFrom(...texts), fc.array(fc.nat(6), { minLength: 1, maxLength: 20 }), (text, cuts) => {
        const constraint = cache.get(formats[0]).constraint(vocabulary.size);
        const bytes = new TextEncoder().encode(text);
        for (let at = 0, turn = 0; at < bytes.length; turn++) {
          // Any token that the rest begins with, a short or a long one.
          const wanted = cuts[turn % cuts.length];
          let found = -1;
          for (let length = 1 + wanted; found < 0 && length > 0; length--) {
            found = firstOf(vocabulary).get(bytes.subarray(at, at + length).join()) ?? -1;
            if (at + length > bytes.length) found = -1;
          }
          expect(allows(constraint.allowed(), found)).toBe(true);
          expect(constraint.push(found)).toBe(true);
          at += vocabulary.token(found).length;
        }
        expect(constraint.mayEnd).toBe(true);
        expect(idsOf(constraint.allowed())).toEqual([vocabulary.size]);
        expect(tokenizer.encode(text).every((id) => id < vocabulary.size)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it('are the same after the grammar has forgotten what it knew', () => {
    const vocabulary = byteVocabulary();
    const schema = { type: 'array', items: { type: 'string', maxLength: 9_000 }, maxItems: 2 };
    const format = compileFormat({ kind: 'json-schema', schema }, vocabulary);
    const constraint = format.constraint(256);
    const push = (text: string): void => {
      for (const byte of new TextEncoder().encode(text)) expect(constraint.push(byte)).toBe(true);
    };
    push(`["${'a'.repeat(9_000)}`);
    expect(idsOf(constraint.allowed())).toEqual([0x22]);
    push(`","${'b'.repeat(8_999)}`);
    expect(idsOf(constraint.allowed()).length).toBeGreaterThan(90);
    push('c');
    expect(idsOf(constraint.allowed())).toEqual([0x22]);
    push('"');
    expect(idsOf(constraint.allowed()).sort((a, b) => a - b)).toEqual([0x0a, 0x20, 0x5d]);
  });

  it('of choices and expressions hold the whole text', () => {
    const vocabulary = o200kVocabulary();
    const choice = compileFormat(formats[4], vocabulary);
    for (const text of ['yes', 'yesterday', 'no', '日本']) expect(choice.accepts(text)).toBe(true);
    for (const text of ['', 'y', 'yest', 'no ', '日']) expect(choice.accepts(text)).toBe(false);
    const regex = compileFormat({ kind: 'regex', pattern: '[a-c]+|' }, vocabulary);
    for (const text of ['', 'abc']) expect(regex.accepts(text)).toBe(true);
    for (const text of ['abcd', ' abc']) expect(regex.accepts(text)).toBe(false);
    expect(allows(regex.constraint(vocabulary.size).allowed(), vocabulary.size)).toBe(true);
  });

  it('refuse tokens that they did not allow, and stay where they were', () => {
    const vocabulary = byteVocabulary();
    const constraint = compileFormat(formats[4], vocabulary).constraint(256);
    for (const id of [256, 1_000, -1, 0x78]) expect(constraint.push(id)).toBe(false);
    expect(constraint.push(0x79)).toBe(true);
  });
});

describe('the cache of formats', () => {
  it('shares equal formats, drops those not used for long, and keeps no failures', () => {
    const cache = new FormatCache(byteVocabulary(), 2);
    const of = (maxLength: number): CompiledFormat =>
      cache.get({ kind: 'json-schema', schema: { type: 'string', maxLength } });
    const first = of(1);
    expect(of(1)).toBe(first);
    of(2);
    expect(of(1)).toBe(first);
    of(3);
    expect(of(1)).toBe(first);
    expect(() => of(-1)).toThrow(/"maxLength"/);
    of(4);
    of(5);
    expect(of(1)).not.toBe(first);
  });

  it('refuses what is no JSON', () => {
    const cache = new FormatCache(byteVocabulary());
    for (const _ of cache.preparing());
    const circle: Record<string, unknown> = {};
    circle.items = circle;
    expect(() => cache.get({ kind: 'json-schema', schema: circle })).toThrow(/no JSON/);
    const deep = Array.from({ length: 20_000 }).reduce((items: unknown) => ({ items }), true);
    expect(() => cache.get({ kind: 'json-schema', schema: deep })).toThrow(/nests too deep/);
  });
});

describe('with the harmony mask', () => {
  const { encoding, ids, tokenizer, text } = o200kEncoding();
  const rows = 201_088;
  const vocabulary = o200kVocabulary();
  const answer = {
    type: 'object',
    properties: { answer: { type: 'integer' } },
    required: ['answer'],
    additionalProperties: false,
  };
  const place = {
    type: 'object',
    properties: { city: { enum: ['Paris', 'Rome'] } },
    required: ['city'],
    additionalProperties: false,
  };
  const grammar = new HeaderGrammar(encoding, rows, {
    recipients: ['functions.free', 'functions.weather'],
    jsonFinal: true,
  });
  const cache = new FormatCache(vocabulary);
  const content = contentConstraints(
    cache.get({ kind: 'json-schema', schema: answer }),
    new Map([['functions.weather', cache.get({ kind: 'json-schema', schema: place })]]),
  );
  const maskAfter = (stream: string): HarmonyMask => {
    const mask = new HarmonyMask(grammar, content);
    for (const id of ids(stream)) mask.push(id);
    return mask;
  };
  /** Texts of the allowed tokens, when they are few. */
  const names = (stream: string): string[] => {
    const allowed = maskAfter(stream).allowed();
    return allowed.kind === 'ids' ? allowed.ids.map((id) => text([id])).sort() : [allowed.kind];
  };

  it('leaves reasoning, preambles and calls to other functions alone', () => {
    for (const header of ['<|channel|>analysis', '<|channel|>commentary', '<|channel|>commentary to=functions.free']) {
      expect(names(`${header}<|message|>{"x`)).toEqual(['content']);
    }
    expect(names('<|channel|>analysis<|message|>hm<|end|>')).toEqual(['<|start|>']);
  });

  it('holds the final message to its schema and then allows <|return|> only', () => {
    const opening = '<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final';
    for (const header of [opening, `${opening} <|constrain|>json`]) {
      expect(names(`${header}<|message|>{"answer": 4`)).toEqual(expect.arrayContaining(['}', '0', '2']));
      expect(names(`${header}<|message|>{"answer": 4`)).not.toContain('<|return|>');
      expect(names(`${header}<|message|>{"answer": 42}`)).toEqual(['<|return|>']);
      expect(names(`${header}<|message|>{"answer": 42}<|return|>`)).toEqual(['done']);
    }
  });

  it.each([
    '<|channel|>commentary to=functions.weather <|constrain|>json',
    '<|channel|>analysis to=functions.weather code',
    ' to=functions.weather<|channel|>commentary json',
    ' to=functions.weather<|channel|>analysis',
    '<|channel|>analysis<|message|>hm<|end|><|start|>assistant to=functions.weather<|channel|>commentary',
  ])('holds a call to a strict function to its schema and then allows <|call|> only: %s', (header) => {
    expect(names(`${header}<|message|>{"city":"Ro`)).toEqual(['m', 'me']);
    expect(names(`${header}<|message|>{"city":"Rome"}`)).toEqual(['<|call|>']);
    expect(names(`${header}<|message|>{"city":"Rome"}<|call|>`)).toEqual(['done']);
  });

  it('leaves the format free once tokens came that were not allowed', () => {
    expect(names('<|channel|>final<|message|>{"answer": x')).toEqual(['free']);
    expect(names('<|channel|>final<|message|>{"answer": x<|start|>')).toEqual(expect.arrayContaining(['assistant']));
  });

  it('gives turns whose answers and strict calls are always valid', () => {
    const random = randomOf(5);
    const seen = new Set<string>();
    for (let run = 0; run < 60; run++) {
      const mask = new HarmonyMask(grammar, content);
      const stream: number[] = [];
      for (;;) {
        const allowed = mask.allowed();
        if (allowed.kind === 'done') break;
        if (allowed.kind === 'free') throw new Error('left the format');
        let list: readonly number[];
        if (allowed.kind === 'content') {
          const ends = [encoding.ids.end, encoding.ids.call].filter((id) => !allowed.banned.includes(id));
          list = random() < 0.5 && ends.length > 0 ? ends : tokenizer.encode('{"x": 1} or');
        } else list = idsOf(allowed);
        const id = list[Math.floor(random() * list.length)];
        mask.push(id);
        stream.push(id);
      }
      const last = parseTokens(encoding, stream, { mode: 'strict' }).messages.at(-1)!;
      if (last.channel === 'final') expect(Object.keys(JSON.parse(last.content))).toEqual(['answer']);
      if (last.recipient === 'functions.weather') expect(['Paris', 'Rome']).toContain(JSON.parse(last.content).city);
      seen.add(last.recipient ?? last.channel ?? '');
    }
    expect([...seen].sort()).toEqual(['final', 'functions.free', 'functions.weather']);
  });

  it('refuses what cannot be kept before anything runs', () => {
    try {
      cache.get({ kind: 'json-schema', schema: { type: 'object', properties: { a: { if: {} } } } });
      expect.unreachable();
    } catch (error) {
      expect(isGptOssError(error, 'invalid-request') && error.details).toEqual({
        keyword: 'if',
        path: '/properties/a',
      });
    }
  });
});
