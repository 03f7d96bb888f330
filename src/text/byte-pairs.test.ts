import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BytePairMerger } from './byte-pairs.ts';
import { MergeTable } from './merge-table.ts';
import { Vocabulary } from './vocabulary.ts';

type Bytes = Uint8Array<ArrayBuffer>;
const letters = [97, 98, 99];
const allBytes = Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte));
const join = (left: Uint8Array, right: Uint8Array): Bytes => Uint8Array.from([...left, ...right]);
const key = (bytes: Uint8Array): string => bytes.join();

/** A vocabulary grown by joining random tokens: every token is a pair of earlier ones, as in training. */
const grown = fc.array(fc.tuple(fc.nat(), fc.nat()), { minLength: 1, maxLength: 24 }).map((choices) => {
  const known = letters.map((byte) => Uint8Array.of(byte));
  const merges: [Bytes, Bytes][] = [];
  for (const [a, b] of choices) {
    const pair: [Bytes, Bytes] = [known[a % known.length], known[b % known.length]];
    const product = join(...pair);
    if (product.length > 12 || known.some((token) => key(token) === key(product))) continue;
    known.push(product);
    merges.push(pair);
  }
  return { tokens: [...allBytes, ...known.slice(letters.length)], merges };
});
const pieces = fc
  .array(fc.constantFrom(...letters), { minLength: 1, maxLength: 200 })
  .map((list) => Uint8Array.from(list));

/** The definition: again and again the lowest rank, the leftmost on ties. */
function byDefinition(piece: Uint8Array, rank: (left: Uint8Array, right: Uint8Array) => number): string[] {
  const parts = [...piece].map((byte) => Uint8Array.of(byte));
  for (;;) {
    let best = -1;
    let lowest = Number.POSITIVE_INFINITY;
    for (let i = 0; i + 1 < parts.length; i++) {
      const r = rank(parts[i], parts[i + 1]);
      if (r >= 0 && r < lowest) [best, lowest] = [i, r];
    }
    if (best < 0) return parts.map(key);
    parts.splice(best, 2, join(parts[best], parts[best + 1]));
  }
}

function merged(merger: BytePairMerger, vocabulary: Vocabulary, piece: Uint8Array): string[] {
  const ids: number[] = [];
  merger.merge(piece, 0, piece.length, ids);
  return ids.map((id) => key(vocabulary.token(id)));
}

describe('BytePairMerger', () => {
  it('joins by id where ranks follow ids, whatever the vocabulary', () => {
    fc.assert(
      fc.property(
        grown,
        fc.array(pieces, { minLength: 1, maxLength: 4 }),
        fc.boolean(),
        ({ tokens }, texts, isReversed) => {
          // Reversed, later joins often have lower ranks than the ones that made them possible.
          const ordered = isReversed ? [...tokens].reverse() : tokens;
          const vocabulary = Vocabulary.of(ordered);
          const merger = new BytePairMerger(vocabulary, null);
          const ids = new Map(ordered.map((token, id) => [key(token), id]));
          for (const text of texts) {
            const expected = byDefinition(text, (left, right) => ids.get(key(join(left, right))) ?? -1);
            expect(merged(merger, vocabulary, text)).toEqual(expected);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it('joins by an explicit list of merges, in its order', () => {
    fc.assert(
      fc.property(
        grown,
        fc.array(pieces, { minLength: 1, maxLength: 4 }),
        fc.array(fc.nat(), { minLength: 24, maxLength: 24 }),
        ({ tokens, merges }, texts, places) => {
          const order = merges
            .map((merge, i) => ({ merge, at: places[i] }))
            .sort((a, b) => a.at - b.at)
            .map((entry) => entry.merge);
          const vocabulary = Vocabulary.of(tokens);
          const merger = new BytePairMerger(vocabulary, new MergeTable(vocabulary, order));
          const ranks = new Map(order.map(([left, right], rank) => [`${key(left)} ${key(right)}`, rank]));
          for (const text of texts) {
            const expected = byDefinition(text, (left, right) => ranks.get(`${key(left)} ${key(right)}`) ?? -1);
            expect(merged(merger, vocabulary, text)).toEqual(expected);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it('handles pieces longer than its scratch arrays', () => {
    const vocabulary = Vocabulary.of([...allBytes, Uint8Array.of(97, 97), Uint8Array.of(97, 97, 97, 97)]);
    const ids: number[] = [];
    new BytePairMerger(vocabulary, null).merge(new Uint8Array(200_003).fill(97), 0, 200_003, ids);
    expect(ids).toHaveLength(50_002);
    expect(ids.slice(-3)).toEqual([257, 256, 97]);
  });

  it('refuses merges of what is no token', () => {
    const vocabulary = Vocabulary.of([...allBytes, Uint8Array.of(97, 98)]);
    const [a, b, c, ab] = [[97], [98], [99], [97, 98]].map((list) => Uint8Array.from(list));
    expect(() => new MergeTable(vocabulary, [[a, c]])).toThrow(/merge 0 makes bytes that are no token/);
    expect(
      () =>
        new MergeTable(vocabulary, [
          [a, b],
          [ab, c],
        ]),
    ).toThrow(/merge 1 makes bytes/);
    expect(() => new MergeTable(vocabulary, [[new Uint8Array(0), ab]])).toThrow(
      /merge 0 joins bytes that are no token/,
    );
  });
});
