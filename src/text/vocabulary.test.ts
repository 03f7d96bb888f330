import { describe, expect, it } from 'vitest';
import { hashBase, hashBytes, Vocabulary } from './vocabulary.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const find = (vocabulary: Vocabulary, text: Uint8Array): number =>
  vocabulary.find(hashBytes(text, 0, text.length), text, 0, text.length);

describe('Vocabulary', () => {
  const tokens = ['a', 'ab', 'b', null, 'abc', '日本'].map((text) => (text === null ? null : bytes(text)));
  const vocabulary = Vocabulary.of(tokens);

  it('finds every token by its bytes and nothing else', () => {
    for (const [id, token] of tokens.entries()) if (token) expect(find(vocabulary, token)).toBe(id);
    for (const text of ['', 'c', 'bc', 'abcd', '日']) expect(find(vocabulary, bytes(text))).toBe(-1);
  });

  it('has no bytes for ids without text and for ids beyond its size', () => {
    expect(vocabulary.token(3)).toHaveLength(0);
    expect(vocabulary.token(6)).toHaveLength(0);
    expect(vocabulary.token(-1)).toHaveLength(0);
    expect(vocabulary.token(5)).toEqual(bytes('日本'));
  });

  it('knows the ids of single bytes and the longest token', () => {
    expect(vocabulary.byteIds[97]).toBe(0);
    expect(vocabulary.byteIds[98]).toBe(2);
    expect(vocabulary.byteIds[99]).toBe(-1);
    expect(vocabulary.longest).toBe(6);
  });

  it('keeps the lowest id of a byte string that occurs twice', () => {
    expect(find(Vocabulary.of([bytes('x'), bytes('y'), bytes('x')]), bytes('x'))).toBe(0);
  });

  it('has a fingerprint that changes with any token and any order', () => {
    const of = (...texts: string[]): string => Vocabulary.of(texts.map(bytes)).fingerprint;
    expect(of('a', 'b', 'c')).toBe(of('a', 'b', 'c'));
    const prints = [
      of('a', 'b', 'c'),
      of('a', 'c', 'b'),
      of('a', 'b'),
      of('ab', 'c'),
      of('a', 'bc'),
      of('a', '', 'b', 'c'),
    ];
    expect(new Set(prints).size).toBe(prints.length);
  });

  it('refuses tokens of absurd length', () => {
    expect(() => Vocabulary.of([new Uint8Array(1 << 15)])).toThrow(/a token of 32768 bytes/);
  });

  it('refuses a vocabulary made of equal hashes instead of crawling', () => {
    // Two different strings of equal hash, found by birthday, joined in all ways: 2^10 tokens of one hash.
    const seen = new Map<number, Uint8Array>();
    let pair: [Uint8Array, Uint8Array] | undefined;
    for (let seed = 1; pair === undefined; ) {
      const text = Uint8Array.from({ length: 8 }, () => (seed = Math.imul(seed, 1664525) + 1013904223) >>> 24);
      const hash = hashBytes(text, 0, 8);
      const other = seen.get(hash);
      if (other) pair = [other, text];
      seen.set(hash, text);
    }
    const tokens = Array.from({ length: 1024 }, (_, n) =>
      Uint8Array.from(Array.from({ length: 10 }, (_, i) => [...pair[(n >> i) & 1]]).flat()),
    );
    expect(new Set(tokens.map((token) => hashBytes(token, 0, token.length))).size).toBe(1);
    expect(() => Vocabulary.of(tokens)).toThrow(/equal hashes/);
  });

  it('hashes so that prefixes give the hash of any range', () => {
    const text = bytes('The quick brown fox');
    const power = (n: number): number => Array.from({ length: n }).reduce<number>((p) => Math.imul(p, hashBase), 1);
    const range = (hashBytes(text, 0, 12) - Math.imul(hashBytes(text, 0, 5), power(7))) | 0;
    expect(range).toBe(hashBytes(text, 5, 12));
  });
});
