// Byte-pair merging of one piece: repeatedly join the adjacent pair of lowest rank, the leftmost on ties.
// Ranks come either from ids (o200k: a pair's rank is the id of its joined bytes) or from an explicit list of merges.
// Passes over the piece join all pairs of the lowest rank at once (few bytes, or long runs); where that would be quadratic, a
// heap with lazy deletion takes over. Both orders of work give the same result. Next: tokenizer.ts.

import type { MergeTable } from './merge-table.ts';
import { hashBase, type Vocabulary } from './vocabulary.ts';

/** Up to this many nodes passes over all of them beat a heap, however little a pass joins (bench/tokenizer.bench.ts). */
const alwaysSweep = 64;
/** With more nodes a pass must join one in this many. */
const leastYield = 16;
/** Scratch kept between pieces; a longer piece gets arrays of its own, freed afterwards. */
const scratchBytes = 1 << 16;
const knownBits = 14;
const none = -1;
const noBytes = new Uint8Array(0);
/** Rank of what cannot be joined. */
const unranked = 0x7fffffff;

/** One piece at work. Arrays are over its byte positions; a node is the position where it begins. */
interface Work {
  readonly vocabulary: Vocabulary;
  readonly merges: MergeTable | null; // null: ranks are ids
  readonly powers: Int32Array; // hashBase to the power of a token's length
  /** Ranks of recent pairs, [entries][left, right, rank], newest wins: text repeats itself and looking up bytes is slow. */
  readonly known: Int32Array;
  bytes: Uint8Array;
  start: number; // of the piece in `bytes`
  n: number; // bytes of the piece
  next: Int32Array; // start of the node after this one; n at the end
  previous: Int32Array;
  ids: Int32Array;
  ranks: Int32Array; // of the pair that begins here
  prefix: Int32Array; // [n + 1] hash of bytes [0, i)
}

function scratchFor(length: number): Pick<Work, 'next' | 'previous' | 'ids' | 'ranks' | 'prefix'> {
  return {
    next: new Int32Array(length),
    previous: new Int32Array(length),
    ids: new Int32Array(length),
    ranks: new Int32Array(length),
    prefix: new Int32Array(length + 1),
  };
}

export class BytePairMerger {
  readonly #firstRanks: Int32Array; // [256 * 256] rank of each pair of single bytes
  readonly #work: Work;

  constructor(vocabulary: Vocabulary, merges: MergeTable | null) {
    const powers = new Int32Array(vocabulary.longest + 1).fill(1);
    for (let i = 1; i <= vocabulary.longest; i++) powers[i] = Math.imul(powers[i - 1], hashBase);
    const known = new Int32Array(3 << knownBits).fill(none);
    this.#work = { vocabulary, merges, powers, known, bytes: noBytes, start: 0, n: 0, ...scratchFor(scratchBytes) };
    this.#firstRanks = (merges === null ? pairTokens(vocabulary) : merges.ranksOfBytes(vocabulary.byteIds)).map(
      orUnranked,
    );
  }

  /** Appends the ids of bytes[start, end) to `out`. */
  merge(bytes: Uint8Array, start: number, end: number, out: number[]): void {
    const n = end - start;
    const work = n <= scratchBytes ? this.#work : { ...this.#work, ...scratchFor(n) };
    work.bytes = bytes;
    work.start = start;
    work.n = n;
    this.#begin(work);
    if (!sweep(work)) mergeByHeap(work);
    for (let i = 0; i < n; i = work.next[i]) out.push(work.ids[i]);
    work.bytes = noBytes; // keeps no text alive
  }

  /** Every byte a node. */
  #begin({ bytes, start, n, next, previous, ids, ranks, prefix, vocabulary }: Work): void {
    const byteIds = vocabulary.byteIds;
    const firstRanks = this.#firstRanks;
    let hash = 0;
    for (let i = 0; i < n; i++) {
      const byte = bytes[start + i];
      next[i] = i + 1;
      previous[i] = i - 1;
      ids[i] = byteIds[byte];
      ranks[i] = i + 1 < n ? firstRanks[(byte << 8) | bytes[start + i + 1]] : unranked;
      prefix[i] = hash;
      hash = (Math.imul(hash, hashBase) + byte + 1) | 0;
    }
    prefix[n] = hash;
  }
}

/**
 * Joins all pairs of the lowest rank in one pass from the left, as long as a pass pays for itself. That is the order of
 * the definition: a join never makes another pair of its own rank, and one that makes a lower rank ends the pass.
 * Returns whether nothing is left to join.
 */
function sweep(work: Work): boolean {
  const { ranks, next, n } = work;
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
    for (let i = first; count > 0 && i < n; i = next[i]) {
      if (ranks[i] !== lowest) continue;
      count -= ranks[next[i]] === lowest ? 2 : 1; // an equal pair to the right shares a node and goes with this one
      nodes--;
      if (join(work, i) < lowest) break;
    }
    if (nodes > alwaysSweep && (before - nodes) * leastYield < n) return false;
  }
}

function mergeByHeap(work: Work): void {
  const { ranks, next, previous, n } = work;
  const heap = new RankHeap(alwaysSweep);
  for (let i = 0; i < n; i = next[i]) if (ranks[i] !== unranked) heap.append(ranks[i], i);
  heap.order();
  while (heap.size > 0) {
    const key = heap.pop();
    const rank = (key * 2 ** -32) | 0;
    const at = key - rank * 2 ** 32;
    if (ranks[at] !== rank) continue; // the pair has changed since
    join(work, at);
    if (ranks[at] !== unranked) heap.push(ranks[at], at);
    const left = previous[at];
    if (left >= 0 && ranks[left] !== unranked) heap.push(ranks[left], left);
  }
}

/** Joins the node at `i` with the next one; returns the lower rank of the two pairs it is now in. */
function join(work: Work, i: number): number {
  const { next, previous, ranks } = work;
  const right = next[i];
  const after = next[right];
  work.ids[i] = work.merges === null ? ranks[i] : work.merges.products[ranks[i]];
  next[i] = after;
  if (after < work.n) previous[after] = i;
  ranks[right] = unranked;
  const rank = (ranks[i] = rankAt(work, i));
  const left = previous[i];
  if (left < 0) return rank;
  const leftRank = (ranks[left] = rankAt(work, left));
  return leftRank < rank ? leftRank : rank;
}

/** Rank of the pair that begins at node `i`. */
function rankAt(work: Work, i: number): number {
  const right = work.next[i];
  if (right >= work.n) return unranked;
  const leftId = work.ids[i];
  const rightId = work.ids[right];
  if (work.merges !== null) return orUnranked(work.merges.rank(leftId, rightId));
  const known = work.known;
  const slot = 3 * (Math.imul(Math.imul(leftId, 0x2c1b3c6d) ^ rightId, 0x9e3779b1) >>> (32 - knownBits));
  if (known[slot] === leftId && known[slot + 1] === rightId) return known[slot + 2];
  known[slot] = leftId;
  known[slot + 1] = rightId;
  return (known[slot + 2] = rankOfBytes(work, i, work.next[right]));
}

/** Rank of the token with the bytes from `from` to `to` of the piece. */
function rankOfBytes(work: Work, from: number, to: number): number {
  const length = to - from;
  if (length > work.vocabulary.longest) return unranked;
  const hash = (work.prefix[to] - Math.imul(work.prefix[from], work.powers[length])) | 0;
  return orUnranked(work.vocabulary.find(hash, work.bytes, work.start + from, work.start + to));
}

function orUnranked(rank: number): number {
  return rank < 0 ? unranked : rank;
}

/** Id of each token of two bytes, [256 * 256]. */
function pairTokens({ size, bytes, starts }: Vocabulary): Int32Array {
  const ids = new Int32Array(65536).fill(none);
  for (let id = size - 1; id >= 0; id--) {
    if (starts[id + 1] - starts[id] === 2) ids[(bytes[starts[id]] << 8) | bytes[starts[id] + 1]] = id;
  }
  return ids;
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
