// The pre-tokenizer of o200k by hand: one pass over UTF-8, no regular expression, time linear in the text.
// The expression it equals (alternatives in order, greedy, with backtracking):
//   1  [^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?
//   2  [^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?
//   3  \p{N}{1,3}      (some small vocabularies: \p{N})
//   4   ?[^\s\p{L}\p{N}]+[\r\n/]*
//   5  \s*[\r\n]+      6  \s+(?!\S)      7  \s+
// Every code point is in some alternative, so pieces cover the text. split-matcher.ts runs the expression itself and is
// the check on this file. Next: tokenizer.ts.

import { classAt, LETTER, LOWER, MARK, NEWLINE, NUMBER, OTHER, pointLength, SPACE, UPPER } from './code-points.ts';

/** Cuts well-formed UTF-8 `bytes[0, length)` into consecutive pieces and reports each as [start, end). */
export type Splitter = (bytes: Uint8Array, length: number, onPiece: (start: number, end: number) => void) => void;

const suffixes = "(?i:'s|'t|'re|'ve|'m|'ll|'d)?";

function expression(numbers: string): string {
  return [
    `[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+${suffixes}`,
    `[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*${suffixes}`,
    numbers,
    ' ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*',
    '\\s*[\\r\\n]+',
    '\\s+(?!\\S)',
    '\\s+',
  ].join('|');
}

/** The expression of o200k as tokenizer.json spells it, and the variant that takes digits one by one. */
export const o200kPattern = expression('\\p{N}{1,3}');
export const o200kSingleDigitPattern = expression('\\p{N}');

// Sets of classes, one bit each.
const bit = (...classes: number[]): number => classes.reduce((bits, kind) => bits | (1 << kind), 0);
const mayPrecedeWord = bit(OTHER, SPACE, MARK); // [^\r\n\p{L}\p{N}]
const upperLike = bit(UPPER, LETTER, MARK); // [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]
const lowerLike = bit(LOWER, LETTER, MARK); // [\p{Ll}\p{Lm}\p{Lo}\p{M}]
const symbolLike = bit(OTHER, MARK); // [^\s\p{L}\p{N}]
const spaceLike = bit(SPACE, NEWLINE); // \s

/** `longestNumber`: 3 for o200k. */
export function o200kSplitter(longestNumber: number): Splitter {
  return (bytes, length, onPiece) => {
    for (let start = 0; start < length; ) {
      const end = pieceEnd(bytes, start, length, longestNumber);
      onPiece(start, end);
      start = end;
    }
  };
}

function pieceEnd(bytes: Uint8Array, start: number, length: number, longestNumber: number): number {
  const first = classAt(bytes, start);
  const second = start + pointLength(bytes[start]);
  const word = wordEnd(bytes, (mayPrecedeWord >> first) & 1 ? second : start, length, first !== MARK);
  if (word > 0) return word;
  // A mark before nothing but capitals: alternative 1 gives up its optional prefix and takes the mark as the word.
  if (first === MARK) return suffixEnd(bytes, second, length);
  if (first === NUMBER) {
    let end = second;
    for (let n = 1; n < longestNumber && end < length && classAt(bytes, end) === NUMBER; n++) {
      end += pointLength(bytes[end]);
    }
    return end;
  }
  if (first === OTHER) return symbolsEnd(bytes, second, length);
  if (bytes[start] === 0x20 && second < length && classAt(bytes, second) === OTHER) {
    return symbolsEnd(bytes, second, length);
  }
  return spacesEnd(bytes, start, length);
}

/** Alternatives 1 and 2 without their prefix, from `start`; -1 when neither matches. */
function wordEnd(bytes: Uint8Array, start: number, length: number, mayBeCapitalsOnly: boolean): number {
  let i = start;
  let lastBoth = -1; // end of the last code point that is upper-like and lower-like
  let kind = OTHER;
  while (i < length) {
    kind = classAt(bytes, i);
    if (((upperLike >> kind) & 1) === 0) break;
    i += pointLength(bytes[i]);
    if (kind !== UPPER) lastBoth = i;
  }
  if (i < length && kind === LOWER) {
    do i += pointLength(bytes[i]);
    while (i < length && (lowerLike >> classAt(bytes, i)) & 1);
    return suffixEnd(bytes, i, length);
  }
  // No small letter follows: give back code points until one can serve as the lower-like part.
  if (lastBoth > 0) return suffixEnd(bytes, lastBoth, length);
  return i > start && mayBeCapitalsOnly ? suffixEnd(bytes, i, length) : -1;
}

/** End of (?i:'s|'t|'re|'ve|'m|'ll|'d)? at `i`. Case folding gives U+017F (long s) to 's. */
function suffixEnd(bytes: Uint8Array, i: number, length: number): number {
  if (i + 1 >= length || bytes[i] !== 0x27) return i;
  const one = bytes[i + 1] | 0x20;
  if (one === 0x73 || one === 0x74 || one === 0x6d || one === 0x64) return i + 2; // s t m d
  if (i + 2 >= length) return i;
  const two = bytes[i + 2] | 0x20;
  if ((one === 0x72 || one === 0x76) && two === 0x65) return i + 3; // re ve
  if (one === 0x6c && two === 0x6c) return i + 3; // ll
  return bytes[i + 1] === 0xc5 && bytes[i + 2] === 0xbf ? i + 3 : i;
}

/** Rest of alternative 4 after its first symbol. */
function symbolsEnd(bytes: Uint8Array, i: number, length: number): number {
  while (i < length && (symbolLike >> classAt(bytes, i)) & 1) i += pointLength(bytes[i]);
  while (i < length && (bytes[i] === 0x0a || bytes[i] === 0x0d || bytes[i] === 0x2f)) i++;
  return i;
}

/** Alternatives 5 to 7: up to the last line end of the run; else all but the last space, which goes with what follows. */
function spacesEnd(bytes: Uint8Array, start: number, length: number): number {
  let i = start;
  let last = start; // start of the last code point of the run
  let lineEnd = -1;
  while (i < length) {
    const kind = classAt(bytes, i);
    if (((spaceLike >> kind) & 1) === 0) break;
    last = i;
    i += pointLength(bytes[i]);
    if (kind === NEWLINE) lineEnd = i;
  }
  if (lineEnd > 0) return lineEnd;
  return i === length || last === start ? i : last;
}
