// Spells texts byte by byte, either as they are (UTF-8) or as JSON strings with quotes and escapes. Only valid UTF-8 and
// only whole surrogate pairs can be written, and no byte is allowed after which the text could not be finished: a partial
// character stands for a range of code points, and one of them must be welcome.
// Owns the encodings; which texts there are is the automaton's matter (char-automata.ts).

import { type CharAutomaton, CountedTexts } from './char-automata.ts';
import { LAST_CODE_POINT } from './code-point-sets.ts';
import type { ScalarMachine } from './machine.ts';
import { UNLIMITED } from './pattern.ts';

// Places within a character. A state is (state of the automaton, place, what has been read of the character).
const BETWEEN = 0;
const UNOPENED = 1; // before the opening quote
const CLOSED = 2;
const ESCAPE = 3; // after a backslash
const HEX = 4; // … 7: `\u` and 0 … 3 digits
const LOW = 8; // a high surrogate has been read, a low one must follow: LOW + how much of `\uDC00` is there (0 … 5)
const UTF8 = 14; // and above: see `leads`
/** By place − UTF8: bytes of the character, and how many are to come. */
const shapes: readonly (readonly [number, number])[] = [
  [2, 1],
  [3, 2],
  [3, 1],
  [4, 3],
  [4, 2],
  [4, 1],
];
const firstOfLength = [0, 0, 0x80, 0x800, 0x10000];
const lastOfLength = [0, 0x7f, 0x7ff, 0xffff, LAST_CODE_POINT];

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const shortEscapes = new Map<number, number>([
  [QUOTE, QUOTE],
  [BACKSLASH, BACKSLASH],
  [0x2f, 0x2f],
  [0x62, 8],
  [0x66, 12],
  [0x6e, 10],
  [0x72, 13],
  [0x74, 9],
]);

const UNKNOWN = -2;
const mostRows = 4_096; // of remembered steps, one KiB each

export class TextMachine implements ScalarMachine {
  readonly kind = 'scalar';
  readonly automaton: CharAutomaton;
  readonly isJson: boolean;
  readonly #rows: (Int32Array | null)[] = []; // by state: next state of each byte
  readonly #numbers = new Map<number, number>(); // (automaton, place, value) -> state
  readonly #inner: number[] = []; // by state
  readonly #place: number[] = [];
  readonly #value: number[] = [];

  constructor(automaton: CharAutomaton, form: 'json' | 'plain') {
    this.automaton = automaton;
    this.isJson = form === 'json';
    this.#state(0, this.isJson ? UNOPENED : BETWEEN, 0);
  }

  step(state: number, byte: number): number {
    const row = this.#rows[state] ?? this.#addRow(state);
    if (row === null) return this.#compute(state, byte);
    const next = row[byte];
    if (next !== UNKNOWN) return next;
    const found = this.#compute(state, byte);
    row[byte] = found;
    return found;
  }

  #addRow(state: number): Int32Array | null {
    if (state >= mostRows) return null;
    const row = new Int32Array(256).fill(UNKNOWN);
    while (this.#rows.length <= state) this.#rows.push(null);
    this.#rows[state] = row;
    return row;
  }

  accepts(state: number): boolean {
    if (this.isJson) return this.#place[state] === CLOSED;
    return this.#place[state] === BETWEEN && this.automaton.accepts(this.#inner[state]);
  }

  isOver(state: number): boolean {
    return this.#place[state] === CLOSED;
  }

  /** State of the automaton when the state lies between two characters, else -1. */
  between(state: number): number {
    return this.#place[state] === BETWEEN ? this.#inner[state] : -1;
  }

  /** The state between two characters that belongs to a state of the automaton. */
  at(inner: number): number {
    return this.#state(inner, BETWEEN, 0);
  }

  #state(inner: number, place: number, value: number): number {
    const key = (inner * 32 + place) * 0x10000 + value;
    let state = this.#numbers.get(key);
    if (state === undefined) {
      state = this.#inner.push(inner) - 1;
      this.#place.push(place);
      this.#value.push(value);
      this.#numbers.set(key, state);
    }
    return state;
  }

  #compute(state: number, byte: number): number {
    const inner = this.#inner[state];
    const place = this.#place[state];
    const value = this.#value[state];
    switch (place) {
      case BETWEEN:
        return this.#begin(inner, byte);
      case UNOPENED:
        return byte === QUOTE ? this.#state(inner, BETWEEN, 0) : -1;
      case CLOSED:
        return -1;
      case ESCAPE: {
        if (byte === 0x75) return this.#state(inner, HEX, 0);
        const code = shortEscapes.get(byte);
        return code === undefined ? -1 : this.#whole(inner, code);
      }
    }
    if (place >= UTF8) return this.#continue(inner, place, value, byte);
    return place >= LOW ? this.#lowSurrogate(inner, place - LOW, value, byte) : this.#hex(inner, place, value, byte);
  }

  #whole(inner: number, code: number): number {
    const next = this.automaton.next(inner, code);
    return next < 0 ? -1 : this.#state(next, BETWEEN, 0);
  }

  /** A character that has been begun and will be one of low … high. */
  #partial(inner: number, place: number, value: number, low: number, high: number): number {
    return this.automaton.anyIn(inner, low, high) ? this.#state(inner, place, value) : -1;
  }

  #begin(inner: number, byte: number): number {
    if (this.isJson) {
      if (byte === QUOTE) return this.automaton.accepts(inner) ? this.#state(inner, CLOSED, 0) : -1;
      if (byte === BACKSLASH) return this.#canEscape(inner) ? this.#state(inner, ESCAPE, 0) : -1;
      if (byte < 0x20) return -1;
    }
    if (byte < 0x80) return this.#whole(inner, byte);
    if (byte >= 0xc2 && byte < 0xe0) return this.#bytes(inner, UTF8, byte & 31);
    if (byte >= 0xe0 && byte < 0xf0) return this.#bytes(inner, UTF8 + 1, byte & 15);
    return byte >= 0xf0 && byte < 0xf5 ? this.#bytes(inner, UTF8 + 3, byte & 7) : -1;
  }

  /** Every character can be written by its four digits, or twice four. */
  #canEscape(inner: number): boolean {
    return this.automaton.anyIn(inner, 0, LAST_CODE_POINT);
  }

  #bytes(inner: number, place: number, value: number): number {
    const [length, rest] = shapes[place - UTF8];
    const low = Math.max(value << (6 * rest), firstOfLength[length]);
    const high = Math.min(((value + 1) << (6 * rest)) - 1, lastOfLength[length]);
    return low > high ? -1 : this.#partial(inner, place, value, low, high);
  }

  #continue(inner: number, place: number, before: number, byte: number): number {
    if (byte < 0x80 || byte > 0xbf) return -1;
    const value = (before << 6) | (byte & 63);
    if (shapes[place - UTF8][1] > 1) return this.#bytes(inner, place + 1, value);
    // Overlong spellings and surrogates have been refused a byte ago, where the range was still one of many.
    const isSurrogate = value >= 0xd800 && value <= 0xdfff;
    return value < firstOfLength[shapes[place - UTF8][0]] || isSurrogate ? -1 : this.#whole(inner, value);
  }

  #hex(inner: number, place: number, before: number, byte: number): number {
    const digit = hexDigit(byte);
    if (digit < 0) return -1;
    const value = before * 16 + digit;
    const missing = 3 - (place - HEX); // digits after this one
    if (missing === 0) {
      if (value < 0xd800 || value > 0xdfff) return this.#whole(inner, value);
      if (value > 0xdbff) return -1; // a low surrogate on its own
      const first = 0x10000 + ((value - 0xd800) << 10);
      return this.#partial(inner, LOW, value - 0xd800, first, first + 0x3ff);
    }
    const low = value * 16 ** missing;
    const high = low + 16 ** missing - 1;
    if (this.automaton.anyIn(inner, low, high)) return this.#state(inner, place + 1, value);
    const highest = Math.min(high, 0xdbff) - 0xd800; // or the first half of a pair
    const lowest = Math.max(low, 0xd800) - 0xd800;
    if (lowest > highest) return -1;
    return this.#partial(inner, place + 1, value, 0x10000 + (lowest << 10), 0x10000 + (highest << 10) + 0x3ff);
  }

  /** `value`: the high surrogate's ten bits, followed by what has been read of the low one's. */
  #lowSurrogate(inner: number, read: number, value: number, byte: number): number {
    if (read === 0) return byte === BACKSLASH ? this.#state(inner, LOW + 1, value) : -1;
    if (read === 1) return byte === 0x75 ? this.#state(inner, LOW + 2, value) : -1;
    const digit = hexDigit(byte);
    if (read === 2) return digit === 13 ? this.#state(inner, LOW + 3, value) : -1;
    if (digit < 0 || (read === 3 && digit < 12)) return -1;
    const more = read === 3 ? value * 4 + (digit - 12) : value * 16 + digit;
    if (read === 5) return this.#whole(inner, 0x10000 + more);
    const bits = read === 3 ? 8 : 4; // still unknown
    const low = 0x10000 + (more << bits);
    return this.#partial(inner, LOW + read + 1, more, low, low + (1 << bits) - 1);
  }
}

/** JSON strings of any text. One for all grammars, so that what they allow is found once. */
export const anyText = new TextMachine(new CountedTexts(0, UNLIMITED), 'json');

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}
