// Stop strings over streamed text: finds the first one wherever token borders fall, and holds back exactly the text that
// may still turn out to be the beginning of one. One automaton (Knuth, Morris, Pratt) for each string, so a character
// costs the same however long the strings are.

import { GptOssError } from '../errors.ts';

export const MAX_STOP_STRINGS = 64;
export const MAX_STOP_LENGTH = 1000; // UTF-16 units

interface Automaton {
  readonly stop: string;
  readonly fallback: Int32Array; // [length]: longest proper border of each prefix
  matched: number; // how much of it the text ends with
}

export class StopStrings {
  readonly #automata: readonly Automaton[];
  #held = '';
  #found: string | null = null;

  /** Throws `invalid-request` for empty, too long or too many strings. */
  constructor(stops: readonly string[]) {
    if (stops.length > MAX_STOP_STRINGS) {
      throw new GptOssError(
        'invalid-request',
        `there are ${stops.length} stop strings; expected at most ${MAX_STOP_STRINGS}; give fewer`,
      );
    }
    for (const stop of stops) {
      if (typeof stop === 'string' && stop.length > 0 && stop.length <= MAX_STOP_LENGTH) continue;
      throw new GptOssError(
        'invalid-request',
        `a stop string has ${String(stop?.length)} characters; expected 1 to ${MAX_STOP_LENGTH}; change or omit it`,
      );
    }
    this.#automata = stops.map((stop) => ({ stop, fallback: borders(stop), matched: 0 }));
  }

  /** The stop string that was found; nothing comes out after it. */
  get found(): string | null {
    return this.#found;
  }

  /** Takes more text; returns what is certain now. */
  push(text: string): string {
    if (this.#found !== null) return '';
    if (this.#automata.length === 0) return text;
    const all = this.#held + text;
    for (let i = this.#held.length; i < all.length; i++) {
      const found = this.#step(all.charCodeAt(i));
      if (found === null) continue;
      this.#found = found;
      this.#held = '';
      return all.slice(0, i + 1 - found.length);
    }
    const held = Math.max(...this.#automata.map((automaton) => automaton.matched));
    this.#held = all.slice(all.length - held);
    return all.slice(0, all.length - held);
  }

  /** The text is over: what was held back was no stop string. */
  flush(): string {
    const rest = this.#held;
    this.#held = '';
    for (const automaton of this.#automata) automaton.matched = 0;
    return rest;
  }

  /** The longest stop string that ends with this character. */
  #step(unit: number): string | null {
    let found: string | null = null;
    for (const automaton of this.#automata) {
      const { stop, fallback } = automaton;
      let { matched } = automaton;
      while (matched > 0 && stop.charCodeAt(matched) !== unit) matched = fallback[matched - 1];
      if (stop.charCodeAt(matched) === unit) matched++;
      automaton.matched = matched;
      if (matched === stop.length && stop.length > (found?.length ?? 0)) found = stop;
    }
    return found;
  }
}

function borders(text: string): Int32Array {
  const result = new Int32Array(text.length);
  for (let i = 1, matched = 0; i < text.length; i++) {
    while (matched > 0 && text[matched] !== text[i]) matched = result[matched - 1];
    if (text[matched] === text[i]) matched++;
    result[i] = matched;
  }
  return result;
}
