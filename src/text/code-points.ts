// Code points for the pre-tokenizer: walking UTF-8, and the classes that the o200k expression tells apart.
// Classes come from the engine's own Unicode tables (`\p{..}`), worked out for 256 code points at a time when a text first
// needs them, so that loading costs nothing. White space means Unicode White_Space (U+0085 yes, U+FEFF no), not the
// JavaScript `\s`. All functions expect well-formed UTF-8, as TextEncoder makes it. Next: o200k-splitter.ts.

export const OTHER = 0; // punctuation, symbols, control and unassigned code points
export const SPACE = 1; // White_Space except CR and LF
export const NEWLINE = 2; // CR, LF
export const NUMBER = 3; // N
export const UPPER = 4; // Lu, Lt
export const LOWER = 5; // Ll
export const LETTER = 6; // Lm, Lo: counts as upper and as lower case
export const MARK = 7; // M: goes with letters but is none

/** Runs of each class; what is in none of them is OTHER. */
const classRuns: readonly (readonly [number, RegExp])[] = [
  [SPACE, /\p{White_Space}+/gu],
  [NEWLINE, /[\r\n]+/gu],
  [NUMBER, /\p{N}+/gu],
  [UPPER, /[\p{Lu}\p{Lt}]+/gu],
  [LOWER, /\p{Ll}+/gu],
  [LETTER, /[\p{Lm}\p{Lo}]+/gu],
  [MARK, /\p{M}+/gu],
];

const pageSize = 256;
const pages: (Uint8Array | undefined)[] = new Array(0x110000 / pageSize).fill(undefined);

function buildPage(index: number): Uint8Array {
  const page = new Uint8Array(pageSize).fill(OTHER);
  pages[index] = page;
  if (index >= 0xd8 && index < 0xe0) return page; // surrogates, which UTF-8 never holds
  const points = Array.from(page, (_, i) => index * pageSize + i);
  const text = String.fromCodePoint(...points);
  const units = text.length / pageSize;
  for (const [kind, runs] of classRuns) {
    for (const run of text.matchAll(runs)) page.fill(kind, run.index / units, (run.index + run[0].length) / units);
  }
  return page;
}

const ascii = buildPage(0);

/** Class of the code point whose first byte is at `i`. */
export function classAt(bytes: Uint8Array, i: number): number {
  const lead = bytes[i];
  if (lead < 0x80) return ascii[lead];
  const point = pointAt(bytes, i);
  const page = pages[point >> 8];
  return page === undefined ? buildPage(point >> 8)[point & 255] : page[point & 255];
}

/** Code point whose first byte is at `i`. */
export function pointAt(bytes: Uint8Array, i: number): number {
  const lead = bytes[i];
  if (lead < 0x80) return lead;
  if (lead < 0xe0) return ((lead & 0x1f) << 6) | (bytes[i + 1] & 0x3f);
  if (lead < 0xf0) return ((lead & 0x0f) << 12) | ((bytes[i + 1] & 0x3f) << 6) | (bytes[i + 2] & 0x3f);
  return ((lead & 0x07) << 18) | ((bytes[i + 1] & 0x3f) << 12) | ((bytes[i + 2] & 0x3f) << 6) | (bytes[i + 3] & 0x3f);
}

/** Bytes of the code point that begins with `lead`. */
export function pointLength(lead: number): number {
  return lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}
