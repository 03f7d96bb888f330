// The text tokens of a vocabulary in a few typed arrays: all bytes in one run, and an open-addressing table from byte
// string to id. A JavaScript Map of 200,000 strings costs 10 times the memory and 20 times the load time.
// It refuses vocabularies beyond its limits and tables so full of equal hashes that a lookup would crawl.
// It knows nothing of special tokens or merging. Next: byte-pairs.ts, tokenizer.ts.

import { GptOssError } from '../errors.ts';

/** o200k has 2^17.6 ids; the heap of byte-pairs.ts needs ranks below 2^21. */
export const mostTokens = 1 << 21;
/** The longest token of o200k has 128 bytes; lengths in hostile files must not become allocations. */
const longestAllowed = 1 << 14;
/** An honest table of load below 0.5 has runs of a few dozen at most. */
export const longestProbe = 512;

/** Multiplier of the polynomial hash h = h * base + byte + 1 (mod 2^32); byte-pairs.ts takes differences of prefixes. */
export const hashBase = 0x01000193;

export function hashBytes(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0;
  for (let i = start; i < end; i++) hash = (Math.imul(hash, hashBase) + bytes[i] + 1) | 0;
  return hash;
}

/** Spreads a hash over the low bits. */
export function spread(hash: number): number {
  let h = hash ^ (hash >>> 15);
  h = Math.imul(h, 0x2c1b3c6d);
  h ^= h >>> 12;
  h = Math.imul(h, 0x297a2d39);
  return (h ^ (h >>> 15)) >>> 0;
}

export class Vocabulary {
  /** Ids are 0 … size-1; an id without text has no bytes. */
  readonly size: number;
  readonly bytes: Uint8Array; // all tokens, in order of id
  readonly starts: Uint32Array; // [size + 1]
  readonly longest: number; // bytes of the longest token
  readonly byteIds: Int32Array; // [256] id of each single byte, -1 if it has none
  /** Two 32-bit hashes over all tokens in order: tells whether a checkpoint's vocabulary is one we know. */
  readonly fingerprint: string;
  readonly #table: Int32Array; // [slots][hash, id]; id -1 = empty
  readonly #mask: number;

  constructor(bytes: Uint8Array, starts: Uint32Array) {
    const size = starts.length - 1;
    if (size > mostTokens) throw tooLarge(`${size} tokens`, `at most ${mostTokens}`);
    this.size = size;
    this.bytes = bytes;
    this.starts = starts;
    let slots = 1024;
    while (slots < size * 2.5) slots *= 2;
    this.#mask = slots - 1;
    this.#table = new Int32Array(slots * 2).fill(-1);
    this.byteIds = new Int32Array(256).fill(-1);
    let longest = 0;
    let one = 0;
    let two = 0;
    for (let id = 0; id < size; id++) {
      const length = starts[id + 1] - starts[id];
      if (length > longest) longest = length;
      const hash = hashBytes(bytes, starts[id], starts[id + 1]);
      one = (Math.imul(one, 0x01000193) + hash) | 0;
      two = Math.imul(two ^ spread(hash + length), 0x85ebca6b);
      two = (two << 13) | (two >>> 19);
      if (length > 0) this.#insert(hash, id);
      if (length === 1 && this.byteIds[bytes[starts[id]]] < 0) this.byteIds[bytes[starts[id]]] = id;
    }
    if (longest > longestAllowed) throw tooLarge(`a token of ${longest} bytes`, `at most ${longestAllowed}`);
    this.longest = longest;
    const hex = (n: number): string => (n >>> 0).toString(16).padStart(8, '0');
    this.fingerprint = hex(one) + hex(two);
  }

  /** Copies token byte strings (null = none) into one run. */
  static of(tokens: readonly (Uint8Array | null)[]): Vocabulary {
    if (tokens.length > mostTokens) throw tooLarge(`${tokens.length} tokens`, `at most ${mostTokens}`);
    const starts = new Uint32Array(tokens.length + 1);
    for (let id = 0; id < tokens.length; id++) starts[id + 1] = starts[id] + (tokens[id]?.length ?? 0);
    const bytes = new Uint8Array(starts[tokens.length]);
    for (let id = 0; id < tokens.length; id++) {
      const token = tokens[id];
      if (token) for (let i = 0, at = starts[id]; i < token.length; i++) bytes[at + i] = token[i];
    }
    return new Vocabulary(bytes, starts);
  }

  /** A view; the caller must not write to it. Empty for ids without text. */
  token(id: number): Uint8Array {
    return id >= 0 && id < this.size
      ? this.bytes.subarray(this.starts[id], this.starts[id + 1])
      : this.bytes.subarray(0, 0);
  }

  /** Id of the token with these bytes, or -1. `hash` is hashBytes of the same range. */
  find(hash: number, text: Uint8Array, start: number, end: number): number {
    const table = this.#table;
    const mask = this.#mask;
    let slot = spread(hash) & mask;
    for (let probe = 0; probe <= longestProbe; probe++, slot = (slot + 1) & mask) {
      const id = table[slot * 2 + 1];
      if (id < 0) return -1;
      if (table[slot * 2] === hash && this.#equals(id, text, start, end)) return id;
    }
    return -1;
  }

  /** The lowest id keeps a byte string that occurs twice. */
  #insert(hash: number, id: number): void {
    const table = this.#table;
    let slot = spread(hash) & this.#mask;
    for (let probe = 0; table[slot * 2 + 1] >= 0; probe++, slot = (slot + 1) & this.#mask) {
      if (
        table[slot * 2] === hash &&
        this.#equals(table[slot * 2 + 1], this.bytes, this.starts[id], this.starts[id + 1])
      ) {
        return;
      }
      if (probe === longestProbe) throw tooLarge('thousands of tokens with equal hashes', 'a trained vocabulary');
    }
    table[slot * 2] = hash;
    table[slot * 2 + 1] = id;
  }

  #equals(id: number, text: Uint8Array, start: number, end: number): boolean {
    const from = this.starts[id];
    const length = end - start;
    if (this.starts[id + 1] - from !== length) return false;
    let i = 0;
    while (i < length && this.bytes[from + i] === text[start + i]) i++;
    return i === length;
  }
}

function tooLarge(found: string, expected: string): GptOssError {
  return new GptOssError(
    'bad-tokenizer',
    `the vocabulary has ${found}; expected ${expected}; check the tokenizer file`,
  );
}
