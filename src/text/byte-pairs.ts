// Byte-pair merging of one piece: repeatedly join the adjacent pair of lowest rank, the leftmost on ties.
// Ranks come either from ids (o200k: a pair's rank is the id of its joined bytes) or from an explicit list of merges.
// Passes over the piece join all pairs of the lowest rank at once (few bytes, or long runs); where that would be quadratic, a
// heap with lazy deletion takes over. Both orders of work give the same result. Next: tokenizer.ts.

import { GptOssError } from '../errors.ts';
import { hashBase, hashBytes, longestProbe, mostTokens, spread, type Vocabulary } from './vocabulary.ts';

/** Up to this many nodes passes over all of them beat a heap, however little a pass joins (bench/tokenizer.bench.ts). */
const alwaysSweep = 64;
/** With more nodes a pass must join one in this many. */
const leastYield = 16;
/** Scratch kept between pieces; a longer piece gets arrays of its own, freed afterwards. */
const scratchBytes = 1 << 16;
const knownPairs = 1 << 14;
const none = -1;
/** Rank of what cannot be joined. */
const unranked = 0x7fffffff;

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

  /** Rank of each pair of single bytes, [256 * 256]. */
  ranksOfBytes(byteIds: Int32Array): Int32Array {
    return new Int32Array(65536).map((_, pair) => orUnranked(this.rank(byteIds[pair >> 8], byteIds[pair & 255])));
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

/** Id of each token of two bytes, [256 * 256]. */
function pairTokens({ size, bytes, starts }: Vocabulary): Int32Array {
  const ids = new Int32Array(65536).fill(unranked);
  for (let id = size - 1; id >= 0; id--) {
    if (starts[id + 1] - starts[id] === 2) ids[(bytes[starts[id]] << 8) | bytes[starts[id] + 1]] = id;
  }
  return ids;
}

function pairHash(left: number, right: number): number {
  return spread(Math.imul(left, 0x9e3779b1) + right);
}

function badMerge(rank: number, what: string): GptOssError {
  return new GptOssError(
    'bad-tokenizer',
    `merge ${rank} ${what}; expected tokens of the vocabulary; check the tokenizer file`,
  );
}

/** Working arrays over the byte positions of a piece; a node is the position where it begins. */
interface Scratch {
  readonly next: Int32Array; // start of the node after this one; length of the piece at the end
  readonly previous: Int32Array;
  readonly ids: Int32Array;
  readonly ranks: Int32Array; // of the pair that begins here
  readonly prefix: Int32Array; // [n + 1] hash of bytes [0, i)
}

function scratchFor(length: number): Scratch {
  return {
    next: new Int32Array(length),
    previous: new Int32Array(length),
    ids: new Int32Array(length),
    ranks: new Int32Array(length),
    prefix: new Int32Array(length + 1),
  };
}

export class BytePairMerger {
  readonly #vocabulary: Vocabulary;
  readonly #merges: MergeTable | null; // null: ranks are ids
  readonly #firstRanks: Int32Array; // [256 * 256] rank of each pair of single bytes
  readonly #powers: Int32Array; // hashBase to the power of a token's length
  /** Ranks of recent pairs, [entries][left, right, rank], newest wins: text repeats itself and looking up bytes is slow. */
  readonly #knownPairs = new Int32Array(3 * knownPairs).fill(none);
  readonly #scratch = scratchFor(scratchBytes);

  constructor(vocabulary: Vocabulary, merges: MergeTable | null) {
    this.#vocabulary = vocabulary;
    this.#merges = merges;
    this.#powers = new Int32Array(vocabulary.longest + 1).fill(1);
    for (let i = 1; i <= vocabulary.longest; i++) this.#powers[i] = Math.imul(this.#powers[i - 1], hashBase);
    this.#firstRanks = merges === null ? pairTokens(vocabulary) : merges.ranksOfBytes(vocabulary.byteIds);
  }

  /** Appends the ids of bytes[start, end) to `out`. */
  merge(bytes: Uint8Array, start: number, end: number, out: number[]): void {
    const n = end - start;
    const s = n <= scratchBytes ? this.#scratch : scratchFor(n);
    const byteIds = this.#vocabulary.byteIds;
    s.prefix[0] = 0;
    for (let i = 0; i < n; i++) {
      const byte = bytes[start + i];
      s.next[i] = i + 1;
      s.previous[i] = i - 1;
      s.ids[i] = byteIds[byte];
      s.ranks[i] = i + 1 < n ? this.#firstRanks[(byte << 8) | bytes[start + i + 1]] : unranked;
      s.prefix[i + 1] = (Math.imul(s.prefix[i], hashBase) + byte + 1) | 0;
    }
    if (!this.#sweep(s, bytes, start, n)) this.#mergeByHeap(s, bytes, start, n);
    for (let i = 0; i < n; i = s.next[i]) out.push(s.ids[i]);
  }

  /**
   * Joins all pairs of the lowest rank in one pass from the left, as long as a pass pays for itself. That is the order of
   * the definition: a join never makes another pair of its own rank, and one that makes a lower rank ends the pass.
   * Returns whether nothing is left to join.
   */
  #sweep(s: Scratch, bytes: Uint8Array, start: number, n: number): boolean {
    const { ranks, next } = s;
    for (let nodes = n; ; ) {
      let lowest = unranked;
      let first = 0;
      let count = 0;
      // All positions and not only nodes: looking at a joined one costs less than waiting for the next link.
      for (let i = 0; i < n; i++) {
        const rank = ranks[i];
        if (rank > lowest) continue;
        if (rank < lowest) {
          lowest = rank;
          first = i;
          count = 0;
        }
        count++;
      }
      if (lowest === unranked) return true;
      const before = nodes;
      for (let i = first; count > 0; i = next[i]) {
        if (ranks[i] !== lowest) continue;
        count -= next[next[i]] < n && ranks[next[i]] === lowest ? 2 : 1; // the pair to the right goes with this one
        nodes--;
        if (this.#join(s, i, bytes, start, n) < lowest) break;
      }
      if (nodes > alwaysSweep && (before - nodes) * leastYield < n) return false;
    }
  }

  #mergeByHeap(s: Scratch, bytes: Uint8Array, start: number, n: number): void {
    const heap = new RankHeap(n);
    for (let i = 0; i < n; i = s.next[i]) if (s.ranks[i] !== unranked) heap.append(s.ranks[i], i);
    heap.order();
    while (heap.size > 0) {
      const key = heap.pop();
      const rank = (key * 2 ** -32) | 0;
      const at = key - rank * 2 ** 32;
      if (s.ranks[at] !== rank) continue; // the pair has changed since
      this.#join(s, at, bytes, start, n);
      if (s.ranks[at] !== unranked) heap.push(s.ranks[at], at);
      const left = s.previous[at];
      if (left >= 0 && s.ranks[left] !== unranked) heap.push(s.ranks[left], left);
    }
  }

  /** Joins the node at `i` with the next one; returns the lower rank of the two pairs it is now in. */
  #join(s: Scratch, i: number, bytes: Uint8Array, start: number, n: number): number {
    const { next, previous, ranks } = s;
    const right = next[i];
    const after = next[right];
    s.ids[i] = this.#merges === null ? ranks[i] : this.#merges.products[ranks[i]];
    next[i] = after;
    if (after < n) previous[after] = i;
    ranks[right] = unranked;
    const rank = (ranks[i] = this.#rankAt(s, i, bytes, start, n));
    const left = previous[i];
    if (left < 0) return rank;
    const leftRank = (ranks[left] = this.#rankAt(s, left, bytes, start, n));
    return Math.min(rank, leftRank);
  }

  /** Rank of the pair that begins at node `i`. */
  #rankAt(s: Scratch, i: number, bytes: Uint8Array, start: number, n: number): number {
    const right = s.next[i];
    if (right >= n) return unranked;
    if (this.#merges !== null) return orUnranked(this.#merges.rank(s.ids[i], s.ids[right]));
    const known = this.#knownPairs;
    const slot = 3 * (pairHash(s.ids[i], s.ids[right]) & (knownPairs - 1));
    if (known[slot] === s.ids[i] && known[slot + 1] === s.ids[right]) return known[slot + 2];
    known[slot] = s.ids[i];
    known[slot + 1] = s.ids[right];
    return (known[slot + 2] = this.#rankOfBytes(s, i, s.next[right], bytes, start));
  }

  /** Rank of the token with the bytes from `from` to `to` of the piece. */
  #rankOfBytes(s: Scratch, from: number, to: number, bytes: Uint8Array, start: number): number {
    const length = to - from;
    if (length > this.#vocabulary.longest) return unranked;
    const hash = (s.prefix[to] - Math.imul(s.prefix[from], this.#powers[length])) | 0;
    return orUnranked(this.#vocabulary.find(hash, bytes, start + from, start + to));
  }
}

function orUnranked(rank: number): number {
  return rank < 0 ? unranked : rank;
}

/** Minimum heap of (rank, position), as one number each: rank * 2^32 + position, exact below 2^53. */
class RankHeap {
  size = 0;
  #keys: Float64Array;

  constructor(capacity: number) {
    this.#keys = new Float64Array(capacity);
  }

  append(rank: number, position: number): void {
    if (this.size === this.#keys.length) {
      const keys = new Float64Array(this.size * 2 + 16);
      keys.set(this.#keys);
      this.#keys = keys;
    }
    this.#keys[this.size++] = rank * 2 ** 32 + position;
  }

  order(): void {
    for (let i = (this.size >> 1) - 1; i >= 0; i--) this.#sink(i, this.#keys[i]);
  }

  pop(): number {
    const top = this.#keys[0];
    const last = this.#keys[--this.size];
    if (this.size > 0) this.#sink(0, last);
    return top;
  }

  push(rank: number, position: number): void {
    this.append(rank, position);
    const keys = this.#keys;
    const key = keys[this.size - 1];
    let i = this.size - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (keys[parent] <= key) break;
      keys[i] = keys[parent];
      i = parent;
    }
    keys[i] = key;
  }

  #sink(from: number, key: number): void {
    const keys = this.#keys;
    const size = this.size;
    let i = from;
    for (;;) {
      let child = i * 2 + 1;
      if (child >= size) break;
      if (child + 1 < size && keys[child + 1] < keys[child]) child++;
      if (keys[child] >= key) break;
      keys[i] = keys[child];
      i = child;
    }
    keys[i] = key;
  }
}
