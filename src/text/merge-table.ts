// Explicit merges of a tokenizer file: which pair of tokens has which rank, and what it makes. Vocabularies whose ranks
// follow ids (o200k) need none. It refuses merges that name bytes which are no token: the file is not what it claims to be.
// Next: byte-pairs.ts, which asks for the ranks.

import { GptOssError } from '../errors.ts';
import { hashBytes, longestProbe, mostTokens, spread, type Vocabulary } from './vocabulary.ts';

const none = -1;

/** Explicit merges: (left id, right id) to rank, and the id that each rank makes. */
export class MergeTable {
  readonly products: Int32Array; // [merges] id made by each rank
  readonly #slots: Int32Array; // [slots][left, right, rank]; left -1 = empty
  readonly #mask: number;

  constructor(vocabulary: Vocabulary, merges: readonly (readonly [Uint8Array, Uint8Array])[]) {
    if (merges.length > mostTokens) {
      const found = `${merges.length} merges; expected at most ${mostTokens}`;
      throw new GptOssError('bad-tokenizer', `the tokenizer lists ${found}; check the tokenizer file`);
    }
    let slots = 1024;
    while (slots < merges.length * 2) slots *= 2;
    this.#mask = slots - 1;
    this.#slots = new Int32Array(slots * 3).fill(none);
    this.products = new Int32Array(merges.length);
    const joined = new Uint8Array(vocabulary.longest);
    for (let rank = 0; rank < merges.length; rank++) {
      const [left, right] = merges[rank];
      const length = left.length + right.length;
      if (length > joined.length) throw badMerge(rank, 'makes bytes that are no token');
      joined.set(left);
      joined.set(right, left.length);
      const leftId = vocabulary.find(hashBytes(left, 0, left.length), left, 0, left.length);
      const rightId = vocabulary.find(hashBytes(right, 0, right.length), right, 0, right.length);
      const product = vocabulary.find(hashBytes(joined, 0, length), joined, 0, length);
      if (leftId < 0 || rightId < 0) throw badMerge(rank, 'joins bytes that are no token');
      if (product < 0) throw badMerge(rank, 'makes bytes that are no token');
      this.products[rank] = product;
      this.#insert(leftId, rightId, rank);
    }
  }

  rank(left: number, right: number): number {
    const slots = this.#slots;
    let slot = pairHash(left, right) & this.#mask;
    for (let probe = 0; probe <= longestProbe && slots[slot * 3] >= 0; probe++, slot = (slot + 1) & this.#mask) {
      if (slots[slot * 3] === left && slots[slot * 3 + 1] === right) return slots[slot * 3 + 2];
    }
    return none;
  }

  /** Rank of each pair of single bytes or -1, [256 * 256]. */
  ranksOfBytes(byteIds: Int32Array): Int32Array {
    return new Int32Array(65536).map((_, pair) => this.rank(byteIds[pair >> 8], byteIds[pair & 255]));
  }

  /** The first of equal pairs keeps its rank. */
  #insert(left: number, right: number, rank: number): void {
    if (this.rank(left, right) >= 0) return;
    let slot = pairHash(left, right) & this.#mask;
    for (let probe = 0; this.#slots[slot * 3] >= 0; probe++, slot = (slot + 1) & this.#mask) {
      if (probe === longestProbe) throw badMerge(rank, 'hashes like hundreds of others');
    }
    this.#slots.set([left, right, rank], slot * 3);
  }
}

/** Hash of a pair of ids. */
export function pairHash(left: number, right: number): number {
  return spread(Math.imul(left, 0x9e3779b1) + right);
}

function badMerge(rank: number, what: string): GptOssError {
  return new GptOssError(
    'bad-tokenizer',
    `merge ${rank} ${what}; expected tokens of the vocabulary; check the tokenizer file`,
  );
}
