// Folding changes how masks are found and never what they allow; and compiling, however much, pauses.

import { describe, expect, it } from 'vitest';
import { o200kHarmony } from '../o200k-harmony.node.ts';
import { markAccepted, tokenTrie } from '../token-trie.ts';
import type { Place } from './grammar.ts';
import { type CompiledFormat, compileFormat, compilingFormat, type OutputFormat } from './output-format.ts';

const tokenizer = o200kHarmony();
const { vocabulary } = tokenizer;
const words = (vocabulary.size + 31) >> 5;

/** Found byte by byte, with nothing but the grammar. */
function slowly({ grammar }: CompiledFormat, place: Place): Uint32Array {
  const places: Place[] = [place];
  const numbers = new Map<Place, number>([[place, 0]]);
  const mask = new Uint32Array(words);
  const step = (state: number, byte: number): number => {
    const next = grammar.step(places[state], byte);
    if (next === null) return -1;
    let number = numbers.get(next);
    if (number === undefined) {
      number = places.push(next) - 1;
      numbers.set(next, number);
    }
    return number;
  };
  markAccepted(tokenTrie(vocabulary), 0, step, mask);
  return mask;
}

/** Places along a text, by its tokens, at which masks differ from those found slowly. */
function differences(format: OutputFormat, text: string): string[] {
  const compiled = compileFormat(format, vocabulary);
  const { grammar, masks } = compiled;
  const found: string[] = [];
  let place: Place | null = grammar.start;
  let read = '';
  for (const id of tokenizer.encode(text)) {
    const allowed = masks.allowed(place, -1);
    const quickly = new Uint32Array(words);
    if (allowed.kind === 'bits') quickly.set(allowed.bits.subarray(0, words));
    else for (const one of allowed.ids) quickly[one >> 5] |= 1 << (one & 31);
    if (!Buffer.from(quickly.buffer).equals(Buffer.from(slowly(compiled, place).buffer))) found.push(read);
    for (const byte of vocabulary.bytes.subarray(vocabulary.starts[id], vocabulary.starts[id + 1])) {
      place = place === null ? null : grammar.step(place, byte);
    }
    read += tokenizer.decode([id]);
    if (place === null) throw new Error(`refused: ${read}`);
  }
  return found;
}

describe('masks of expressions at 200,000 tokens', () => {
  it.each([
    ['[a-z]+(?: [a-z]+)*', 'some words in a row'],
    ['.{3,20}', 'Grüße 日本 "x"\\'],
    ['(?:[\\p{Lu}][\\p{L}]+[ -]){1,2}\\d+', 'Zoë Östergård-12'],
    ['[^,]*,[^\\u{1f600}]*', 'a"b\\,\u00e9 \u{1f601}'],
    ['[ぁ-ん]{1,4}[\\u4e00-\\u9fff]*', 'ひらが漢字'],
    ['(?:\\n|\\t|x)+[^x]?', 'x\n\tx\n'],
  ])(
    '%s allows the same tokens as byte by byte',
    (pattern, text) => {
      expect(differences({ kind: 'regex', pattern }, text)).toEqual([]);
      const schema = { type: 'array', items: { type: 'string', pattern: `^(?:${pattern})$` } };
      expect(differences({ kind: 'json-schema', schema }, JSON.stringify([text, text]))).toEqual([]);
    },
    120_000,
  );
});

describe('compiling pauses often, whatever is large', () => {
  const many = <T>(count: number, of: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => of(i));
  const property = (i: number): [string, unknown] => [`property_${i}`, { type: 'integer' }];
  it.each<[string, number, OutputFormat]>([
    ['an enum', 100, { kind: 'json-schema', schema: { enum: many(50_000, (i) => `value ${i}`) } }],
    ['choices', 50, { kind: 'choice', choices: many(50_000, (i) => `value ${i}`) }],
    ['an object', 30, { kind: 'json-schema', schema: { properties: Object.fromEntries(many(5_000, property)) } }],
    ['an expression', 10, { kind: 'regex', pattern: '(?:a|b)*a(?:a|b){10}' }],
  ])('%s', (_, least, format) => {
    let pauses = 0;
    for (const _pause of compilingFormat(format, vocabulary)) pauses++;
    expect(pauses).toBeGreaterThan(least);
  });
});
