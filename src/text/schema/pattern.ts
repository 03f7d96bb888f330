// Reads the text of a regular expression (ECMA-262 with flag u, as JSON Schema has it) into a tree. Never handed to
// RegExp: hostile patterns would run for ever there; here every pattern costs what its automaton costs.
// Lookahead right behind a leading `^` is a second condition on the whole text, and kept as one.
// Refuses, by name: other lookaround, back references, word boundaries, inline flags; and what is no regular expression.
// Lazy quantifiers are read as greedy ones: which texts match is the same. Next: pattern-dfa.ts.

import {
  type CodePointSet,
  complement,
  digits,
  LAST_CODE_POINT,
  lineEnds,
  propertySet,
  setOf,
  spaces,
  wordCharacters,
} from './code-point-sets.ts';
import { choice, type Expression, repeat, sequence, set } from './expression.ts';
import type { WorkLimit } from './work-limit.ts';

const longestPattern = 10_000;
const deepestNesting = 100;
export const UNLIMITED = Number.POSITIVE_INFINITY;

/** What is wrong with a pattern, and where; the caller knows whose pattern it is. */
export class PatternProblem extends Error {}

export interface ParsedPattern {
  readonly tree: Expression;
  /** What the text must begin with, or must not. */
  readonly beginnings: readonly { readonly tree: Expression; readonly isForbidden: boolean }[];
}

export function parsePattern(pattern: string, work: WorkLimit): ParsedPattern {
  return new PatternReader(pattern, work).read();
}

const escapedSets: Readonly<Record<string, CodePointSet>> = {
  d: digits,
  D: complement(digits),
  w: wordCharacters,
  W: complement(wordCharacters),
  s: spaces,
  S: complement(spaces),
};
const escapedCharacters: Readonly<Record<string, number>> = { n: 10, r: 13, t: 9, f: 12, v: 11, '0': 0 };
const anyButLineEnds = complement(lineEnds);

class PatternReader {
  readonly #pattern: string;
  readonly #work: WorkLimit;
  #at = 0;
  #depth = 0;

  constructor(pattern: string, work: WorkLimit) {
    this.#pattern = pattern;
    this.#work = work;
  }

  read(): ParsedPattern {
    if (this.#pattern.length > longestPattern) {
      throw new PatternProblem(`has ${this.#pattern.length} characters; at most ${longestPattern} are read`);
    }
    const beginnings: { tree: Expression; isForbidden: boolean }[] = [];
    if (/^\^\(\?[=!]/.test(this.#pattern)) {
      this.#at++;
      for (;;) {
        const isForbidden = this.#take('(?!');
        if (!isForbidden && !this.#take('(?=')) break;
        beginnings.push({ tree: this.#choice(), isForbidden });
        if (!this.#take(')')) throw this.#wrong('has a "(" that is never closed');
        if (this.#quantifier() !== null) throw this.#wrong('repeats a look ahead');
      }
    }
    const tree = beginnings.length === 0 ? this.#choice() : this.#sequence();
    if (this.#pattern[this.#at] === '|') {
      throw this.#wrong('looks ahead in one of its alternatives, which is not supported');
    }
    if (this.#at < this.#pattern.length) throw this.#wrong('has a ")" too many');
    if (beginnings.length === 0) return { tree, beginnings };
    return { tree: sequence({ kind: 'start' }, tree), beginnings };
  }

  #wrong(what: string): PatternProblem {
    const near = JSON.stringify(this.#pattern.slice(Math.max(0, this.#at - 10), this.#at + 10));
    return new PatternProblem(`${what} (at ${this.#at}, near ${near})`);
  }

  #take(characters: string): boolean {
    if (!this.#pattern.startsWith(characters, this.#at)) return false;
    this.#at += characters.length;
    return true;
  }

  #choice(): Expression {
    if (++this.#depth > deepestNesting) throw this.#wrong(`nests groups deeper than ${deepestNesting}`);
    const options = [this.#sequence()];
    while (this.#take('|')) options.push(this.#sequence());
    this.#depth--;
    return options.length === 1 ? options[0] : choice(...options);
  }

  #sequence(): Expression {
    const items: Expression[] = [];
    while (this.#at < this.#pattern.length && !'|)'.includes(this.#pattern[this.#at])) items.push(this.#repeated());
    return items.length === 1 ? items[0] : sequence(...items);
  }

  #repeated(): Expression {
    const item = this.#item();
    const counts = this.#quantifier();
    if (counts === null) return item;
    if (item.kind === 'start' || item.kind === 'end') throw this.#wrong('repeats an anchor');
    this.#take('?');
    if (this.#quantifier() !== null) throw this.#wrong('has nothing to repeat');
    return repeat(item, counts[0], counts[1]);
  }

  #quantifier(): [number, number] | null {
    if (this.#take('?')) return [0, 1];
    if (this.#take('*')) return [0, UNLIMITED];
    if (this.#take('+')) return [1, UNLIMITED];
    if (this.#pattern[this.#at] !== '{') return null;
    const counts = /^\{(\d{1,12})(?:(,)(\d{1,12})?)?\}/.exec(this.#pattern.slice(this.#at, this.#at + 30));
    if (counts === null) throw this.#wrong('has a "{" that is no repeat count');
    this.#at += counts[0].length;
    const min = Number(counts[1]);
    const max = counts[2] === undefined ? min : counts[3] === undefined ? UNLIMITED : Number(counts[3]);
    if (max < min) throw this.#wrong('has a repeat count out of order');
    return [min, max];
  }

  #item(): Expression {
    const character = this.#pattern[this.#at];
    if ('?*+{'.includes(character)) throw this.#wrong('has nothing to repeat');
    if (character === ']' || character === '}') throw this.#wrong(`has a "${character}" too many`);
    if (this.#take('^')) return { kind: 'start' };
    if (this.#take('$')) return { kind: 'end' };
    if (this.#take('.')) return set(anyButLineEnds);
    if (this.#take('(')) return this.#group();
    if (this.#take('[')) return set(this.#class());
    if (this.#take('\\')) {
      const members = this.#escapedSet();
      if (members !== null) return set(members);
      if (/[bB]/.test(this.#pattern[this.#at] ?? '')) throw this.#wrong('has a word boundary, which is not supported');
      if (/[1-9k]/.test(this.#pattern[this.#at] ?? '')) {
        throw this.#wrong('has a back reference, which is not supported');
      }
      return this.#single(this.#escapedCharacter());
    }
    return this.#single(this.#literal());
  }

  #single(code: number): Expression {
    return set(setOf([code, code]));
  }

  #group(): Expression {
    if (this.#take('?')) {
      const isNamed = /^<[A-Za-z_$][\w$]{0,80}>/.exec(this.#pattern.slice(this.#at, this.#at + 90));
      if (isNamed) this.#at += isNamed[0].length;
      else if (/^(?:=|!|<=|<!)/.test(this.#pattern.slice(this.#at, this.#at + 2))) {
        throw this.#wrong('looks ahead or behind, which is not supported');
      } else if (!this.#take(':')) throw this.#wrong('has a kind of group that is not supported');
    }
    const inner = this.#choice();
    if (!this.#take(')')) throw this.#wrong('has a "(" that is never closed');
    return inner;
  }

  #literal(): number {
    const code = this.#pattern.codePointAt(this.#at)!;
    this.#at += code > 0xffff ? 2 : 1;
    return code;
  }

  /** After a backslash: a class like `\d` or `\p{L}`, or null. */
  #escapedSet(): CodePointSet | null {
    const letter = this.#pattern[this.#at] ?? '';
    if (Object.hasOwn(escapedSets, letter)) {
      this.#at++;
      return escapedSets[letter];
    }
    if (letter !== 'p' && letter !== 'P') return null;
    const name = /^\{([^}]{1,90})\}/.exec(this.#pattern.slice(this.#at + 1, this.#at + 100))?.[1];
    const members = name === undefined ? null : propertySet(name, this.#work);
    if (members === null) throw this.#wrong('has a property that is not known');
    this.#at += name!.length + 3;
    return letter === 'p' ? members : complement(members);
  }

  /** After a backslash: one code point. */
  #escapedCharacter(): number {
    const rest = this.#pattern.slice(this.#at, this.#at + 12);
    const hex =
      /^x([0-9a-fA-F]{2})/.exec(rest) ?? /^u([0-9a-fA-F]{4})/.exec(rest) ?? /^u\{([0-9a-fA-F]{1,6})\}/.exec(rest);
    if (hex) {
      this.#at += hex[0].length;
      const code = Number.parseInt(hex[1], 16);
      const low = /^\\u([dD][c-fC-F][0-9a-fA-F]{2})/.exec(this.#pattern.slice(this.#at, this.#at + 6));
      if (rest[1] !== '{' && code >= 0xd800 && code < 0xdc00 && low) {
        this.#at += 6;
        return 0x10000 + ((code - 0xd800) << 10) + (Number.parseInt(low[1], 16) - 0xdc00);
      }
      if (code > LAST_CODE_POINT) throw this.#wrong('names a code point that does not exist');
      return code;
    }
    const control = /^c([A-Za-z])/.exec(rest);
    if (control) {
      this.#at += 2;
      return control[1].charCodeAt(0) & 31;
    }
    const letter = rest[0] ?? '';
    if (letter === '0' && /^0\d/.test(rest)) throw this.#wrong('has an octal escape');
    if (Object.hasOwn(escapedCharacters, letter)) {
      this.#at++;
      return escapedCharacters[letter];
    }
    // With flag u only these may be escaped; many write more (`\-`, `\_`, `\"`) and mean the character.
    if (letter === '' || /[A-Za-z0-9]/.test(letter)) throw this.#wrong('has an escape that means nothing');
    return this.#literal();
  }

  #class(): CodePointSet {
    const isNegated = this.#take('^');
    const pairs: number[] = [];
    while (!this.#take(']')) {
      if (this.#at >= this.#pattern.length) throw this.#wrong('has a "[" that is never closed');
      const low = this.#classMember();
      if (typeof low !== 'number') {
        for (const end of low) pairs.push(end);
        continue;
      }
      if (this.#pattern[this.#at] !== '-' || this.#pattern[this.#at + 1] === ']') {
        pairs.push(low, low);
        continue;
      }
      this.#at++;
      const high = this.#at < this.#pattern.length ? this.#classMember() : -1;
      if (typeof high !== 'number' || high < low) throw this.#wrong('has a range out of order');
      pairs.push(low, high);
    }
    return isNegated ? complement(setOf(pairs)) : setOf(pairs);
  }

  #classMember(): number | CodePointSet {
    if (!this.#take('\\')) return this.#literal();
    if (this.#take('b')) return 8;
    return this.#escapedSet() ?? this.#escapedCharacter();
  }
}
