// A bounded memory of pieces that needed merging: direct-mapped, fixed-size entries in typed arrays, newest wins.
// Long pieces and long results are not kept. Equal hashes are told apart by comparing the bytes, so a collision costs
// time and never correctness. Next: tokenizer.ts.

import { spread } from './vocabulary.ts';

const entries = 1 << 14;
/** Pieces with more bytes are not kept. */
export const longestCached = 48;
const mostIds = 16;

export class PieceCache {
  readonly #lengths = new Uint8Array(entries); // bytes of the piece; 0 = empty
  readonly #counts = new Uint8Array(entries);
  readonly #pieces = new Uint8Array(entries * longestCached);
  readonly #ids = new Int32Array(entries * mostIds);

  /** Appends the ids of bytes[start, end) to `out` if they are known. `hash` is hashBytes of that range. */
  recall(hash: number, bytes: Uint8Array, start: number, end: number, out: number[]): boolean {
    const entry = spread(hash) & (entries - 1);
    const length = end - start;
    if (this.#lengths[entry] !== length) return false;
    const at = entry * longestCached;
    for (let i = 0; i < length; i++) if (this.#pieces[at + i] !== bytes[start + i]) return false;
    const first = entry * mostIds;
    for (let i = first, last = first + this.#counts[entry]; i < last; i++) out.push(this.#ids[i]);
    return true;
  }

  /** Keeps ids[from …] as the ids of bytes[start, end). */
  keep(hash: number, bytes: Uint8Array, start: number, end: number, ids: readonly number[], from: number): void {
    const length = end - start;
    const count = ids.length - from;
    if (length > longestCached || count > mostIds) return;
    const entry = spread(hash) & (entries - 1);
    this.#lengths[entry] = length;
    this.#counts[entry] = count;
    for (let i = 0; i < length; i++) this.#pieces[entry * longestCached + i] = bytes[start + i];
    for (let i = 0; i < count; i++) this.#ids[entry * mostIds + i] = ids[from + i];
  }
}
