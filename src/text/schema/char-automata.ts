// What texts may be, one code point after the other, without a word on how they are written down: by expression, by
// length, or anything but some names. Owns the three kinds behind one interface; in none of them a state leads nowhere.
// Next: text-machine.ts, which spells such texts in UTF-8 or as JSON strings.

import { type CharDfa, dfaMatches, runOf } from './char-dfa.ts';
import { UNLIMITED } from './pattern.ts';

/** States are numbers from 0, below 2^24; 0 is the start. */
export interface CharAutomaton {
  /** State after a code point that is no surrogate, or -1. */
  next(state: number, code: number): number;
  /** Whether some code point of low … high may come. */
  anyIn(state: number, low: number, high: number): boolean;
  accepts(state: number): boolean;
  matches(text: string): boolean;
}

export class DfaTexts implements CharAutomaton {
  readonly dfa: CharDfa;

  constructor(dfa: CharDfa) {
    this.dfa = dfa;
  }

  next(state: number, code: number): number {
    const { next, classes, classCount } = this.dfa;
    return next[state * classCount + classes[runOf(this.dfa, code)]];
  }

  anyIn(state: number, low: number, high: number): boolean {
    const { intervals, next, classes, classCount } = this.dfa;
    for (let run = runOf(this.dfa, low); run < intervals.length && intervals[run] <= high; run++) {
      if (next[state * classCount + classes[run]] >= 0) return true;
    }
    return false;
  }

  accepts(state: number): boolean {
    return this.dfa.accepting[state] === 1;
  }

  matches(text: string): boolean {
    return dfaMatches(this.dfa, text);
  }
}

/** Texts of min … max code points; a state is the number of them, as far as it matters. */
export class CountedTexts implements CharAutomaton {
  readonly min: number;
  readonly max: number;

  constructor(min: number, max: number) {
    this.min = min;
    this.max = max;
  }

  next(state: number): number {
    if (this.max === UNLIMITED) return Math.min(state + 1, this.min);
    return state < this.max ? state + 1 : -1;
  }

  anyIn(state: number, low: number, high: number): boolean {
    return state < this.max && low <= high && (low < 0xd800 || high > 0xdfff);
  }

  accepts(state: number): boolean {
    return state >= this.min;
  }

  matches(text: string): boolean {
    let count = 0;
    for (const _ of text) count++;
    return count >= this.min && count <= this.max;
  }
}

/** Any text but these. */
export class OtherTexts implements CharAutomaton {
  // State 0 is the start, 1 is "differs from all of them", others are places in the tree of names.
  readonly #children: Map<number, number>[] = [new Map(), new Map()];
  readonly #isName: boolean[] = [false, false];

  constructor(names: Iterable<string>) {
    for (const name of names) {
      let state = 0;
      for (const character of name) {
        const code = character.codePointAt(0)!;
        let child = this.#children[state].get(code);
        if (child === undefined) {
          child = this.#children.push(new Map()) - 1;
          this.#isName.push(false);
          this.#children[state].set(code, child);
        }
        state = child;
      }
      this.#isName[state] = true;
    }
  }

  next(state: number, code: number): number {
    return this.#children[state].get(code) ?? 1;
  }

  anyIn(_state: number, low: number, high: number): boolean {
    return low <= high && (low < 0xd800 || high > 0xdfff);
  }

  accepts(state: number): boolean {
    return !this.#isName[state];
  }

  matches(text: string): boolean {
    let state = 0;
    for (const character of text) state = this.next(state, character.codePointAt(0)!);
    return !this.#isName[state];
  }
}
