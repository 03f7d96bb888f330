// Reads the pre-tokenizer expressions found in tokenizer.json (Oniguruma or Rust dialect) into a small program.
// Only what both dialects read alike is accepted; the rest is refused with the place and the reason: a pre-tokenizer that
// is nearly right gives ids that are nearly right. Never handed to RegExp: hostile patterns would run for ever.
// Sets of code points are kept as the source of a one-character RegExp class. Next: split-matcher.ts, which runs it.

import { GptOssError } from '../errors.ts';

const longestPattern = 4096;
const deepestNesting = 16;
const mostInstructions = 4096;
const mostSets = 64;
const largestCount = 64;

/** One code point of a set: `[...]` as JavaScript with flag u (and i where case is ignored). */
export interface CodePointSet {
  readonly source: string;
  readonly ignoresCase: boolean;
}

export type Instruction =
  | { readonly op: 'set'; readonly set: number } // one code point of the set
  /** min … max code points of the set, as many as possible, giving back one by one unless possessive. */
  | {
      readonly op: 'run';
      readonly set: number;
      readonly min: number;
      readonly max: number;
      readonly possessive: boolean;
    }
  | { readonly op: 'split'; readonly other: number } // go on; on failure go on at `other`
  | { readonly op: 'jump'; readonly to: number }
  /** What follows up to its `accept` matches here or (negative) does not; then at `to`, from the same place. */
  | { readonly op: 'look'; readonly negative: boolean; readonly to: number }
  /** What follows up to its `accept`, in the first way that it matches; then at `to`. */
  | { readonly op: 'atomic'; readonly to: number }
  | { readonly op: 'accept' };

export interface SplitProgram {
  readonly code: readonly Instruction[];
  readonly sets: readonly CodePointSet[];
}

type Node =
  | { readonly kind: 'set'; readonly set: number }
  | { readonly kind: 'sequence'; readonly items: readonly Node[] }
  | { readonly kind: 'choice'; readonly options: readonly Node[] }
  | {
      readonly kind: 'repeat';
      readonly item: Node;
      readonly min: number;
      readonly max: number;
      readonly possessive: boolean;
    }
  | { readonly kind: 'look'; readonly item: Node; readonly negative: boolean }
  | { readonly kind: 'atomic'; readonly item: Node };

export function parseSplitPattern(pattern: string): SplitProgram {
  return new PatternReader(pattern).read();
}

/** Class escapes as members of a u-mode class; `\s` is Unicode White_Space and not JavaScript's. */
const classEscapes: Readonly<Record<string, string>> = {
  s: '\\p{White_Space}',
  S: '\\P{White_Space}',
  d: '\\p{Nd}',
  D: '\\P{Nd}',
};
const charEscapes: Readonly<Record<string, number>> = { n: 10, r: 13, t: 9, f: 12, v: 11 };

class PatternReader {
  readonly #pattern: string;
  #at = 0;
  #depth = 0;
  #ignoresCase = false;
  readonly #sets: CodePointSet[] = [];
  readonly #code: Instruction[] = [];

  constructor(pattern: string) {
    this.#pattern = pattern;
  }

  read(): SplitProgram {
    if (this.#pattern.length > longestPattern) throw this.#refuse(`is ${this.#pattern.length} characters long`);
    const tree = this.#choice();
    if (this.#at < this.#pattern.length) throw this.#refuse('has a ")" too many');
    if (leastLength(tree) === 0) throw this.#refuse('can match nothing at all');
    this.#emit(tree);
    this.#push({ op: 'accept' });
    return { code: this.#code, sets: this.#sets };
  }

  #refuse(what: string): GptOssError {
    const shown = JSON.stringify(this.#pattern.slice(Math.max(0, this.#at - 12), this.#at + 12));
    return new GptOssError(
      'bad-tokenizer',
      `the pre-tokenizer expression ${what} (at ${this.#at}, near ${shown}); expected the syntax that Oniguruma and Rust ` +
        'read alike: classes, groups, lookahead, ? * +; use the original tokenizer of the model',
    );
  }

  #choice(): Node {
    if (++this.#depth > deepestNesting) throw this.#refuse(`is nested deeper than ${deepestNesting}`);
    const options = [this.#sequence()];
    while (this.#take('|')) options.push(this.#sequence());
    this.#depth--;
    return options.length === 1 ? options[0] : { kind: 'choice', options };
  }

  #sequence(): Node {
    const items: Node[] = [];
    while (this.#at < this.#pattern.length && !'|)'.includes(this.#pattern[this.#at])) items.push(this.#repeat());
    return items.length === 1 ? items[0] : { kind: 'sequence', items };
  }

  #repeat(): Node {
    const item = this.#item();
    const start = this.#at;
    let min: number;
    let max: number;
    if (this.#take('?')) [min, max] = [0, 1];
    else if (this.#take('*')) [min, max] = [0, Number.POSITIVE_INFINITY];
    else if (this.#take('+')) [min, max] = [1, Number.POSITIVE_INFINITY];
    else {
      const counts = /^\{(\d{1,9})(,(\d{0,9}))?\}/.exec(this.#pattern.slice(this.#at, this.#at + 24));
      if (counts === null) return item;
      this.#at += counts[0].length;
      min = Number(counts[1]);
      max = counts[2] === undefined ? min : counts[3] ? Number(counts[3]) : Number.POSITIVE_INFINITY;
      if (max < min || max === 0 || min > largestCount || (max > largestCount && max !== Number.POSITIVE_INFINITY)) {
        throw this.#refuse(`repeats ${counts[0]}, beyond 1 to ${largestCount} times`);
      }
    }
    const next = this.#pattern[this.#at];
    if (next === '?') throw this.#refuse('has a lazy repetition');
    const possessive = next === '+';
    // Oniguruma reads {1,3}+ as a repeated {1,3}, Rust as a possessive one.
    if (next === '*' || next === '{' || (possessive && this.#pattern[start] === '{')) {
      throw this.#refuse('repeats a repetition');
    }
    if (possessive) this.#at++;
    if (item.kind === 'look') throw this.#refuse('repeats a lookahead');
    if (item.kind !== 'set' && leastLength(item) === 0) throw this.#refuse('repeats a group that can match nothing');
    return { kind: 'repeat', item, min, max, possessive };
  }

  #item(): Node {
    const char = this.#pattern[this.#at];
    if (char === '(') return this.#group();
    if (char === '[') return this.#class();
    if (char === '\\') return this.#set(this.#escape());
    if (char === '.') {
      this.#at++;
      return this.#set('[^\\n]');
    }
    if ('?*+{'.includes(char)) throw this.#refuse(`repeats nothing with ${char}`);
    if ('^$'.includes(char)) throw this.#refuse(`has the anchor ${char}, which the dialects read differently`);
    return this.#set(memberOf(this.#point()));
  }

  #group(): Node {
    this.#at++;
    const outer = this.#ignoresCase;
    let node: Node;
    if (this.#take('?=')) node = { kind: 'look', item: this.#choice(), negative: false };
    else if (this.#take('?!')) node = { kind: 'look', item: this.#choice(), negative: true };
    else if (this.#take('?>')) node = { kind: 'atomic', item: this.#choice() };
    else {
      if (this.#take('?i:')) this.#ignoresCase = true;
      else if (!this.#take('?:') && this.#pattern[this.#at] === '?') throw this.#refuse('has a group of unknown kind');
      node = this.#choice();
    }
    this.#ignoresCase = outer;
    if (!this.#take(')')) throw this.#refuse('has a group without end');
    return node;
  }

  /** `[...]`, as the source of the same class in JavaScript. */
  #class(): Node {
    this.#at++;
    let source = this.#take('^') ? '[^' : '[';
    if (this.#pattern[this.#at] === ']') throw this.#refuse('has an empty class');
    for (;;) {
      if (this.#at >= this.#pattern.length) throw this.#refuse('has a class without end');
      if (this.#take(']')) break;
      const member = this.#classMember();
      if (this.#pattern[this.#at] !== '-' || this.#pattern[this.#at + 1] === ']') {
        source += typeof member === 'string' ? member : memberOf(member);
        continue;
      }
      this.#at++;
      const last = this.#classMember();
      if (typeof member === 'string' || typeof last === 'string' || last < member)
        throw this.#refuse('has a bad range');
      source += `${memberOf(member)}-${memberOf(last)}`;
    }
    return this.#set(`${source}]`);
  }

  /** A code point, or the JavaScript source of a class escape. */
  #classMember(): number | string {
    const char = this.#pattern[this.#at];
    if (char === '[') throw this.#refuse('has a class inside a class');
    if (this.#pattern.startsWith('&&', this.#at)) throw this.#refuse('intersects classes');
    if (char !== '\\') return this.#point();
    return this.#escape();
  }

  #escape(): number | string {
    this.#at++;
    const char = this.#pattern[this.#at] ?? '';
    const property = /^[pP]\{(\^?)([A-Za-z_]{1,40})\}|^[pP]([A-Z])/.exec(this.#pattern.slice(this.#at, this.#at + 48));
    if (property !== null) {
      if (this.#ignoresCase) throw this.#refuse('ignores case in a property, which the dialects read differently');
      const isNegative = (char === 'P') !== (property[1] === '^');
      const name = property[2] ?? property[3];
      const spelled = [name, `Script=${name}`].find(isProperty); // \p{Han} is \p{Script=Han} in JavaScript
      if (spelled === undefined) throw this.#refuse(`asks for the unknown property ${name}`);
      this.#at += property[0].length;
      return `\\${isNegative ? 'P' : 'p'}{${spelled}}`;
    }
    const hex = /^(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|[xu]\{([0-9A-Fa-f]{1,6})\})/.exec(
      this.#pattern.slice(this.#at, this.#at + 12),
    );
    if (hex !== null) {
      const point = Number.parseInt(hex[1] ?? hex[2] ?? hex[3], 16);
      if (point > 0x10ffff) throw this.#refuse('names a code point beyond U+10FFFF');
      this.#at += hex[0].length;
      return point;
    }
    if (Object.hasOwn(classEscapes, char)) {
      this.#at++;
      return classEscapes[char];
    }
    if (Object.hasOwn(charEscapes, char)) {
      this.#at++;
      return charEscapes[char];
    }
    if (!/^[\p{P}\p{S} ]$/u.test(char)) throw this.#refuse(`has the escape \\${char}`);
    return this.#point();
  }

  #point(): number {
    const point = this.#pattern.codePointAt(this.#at)!;
    this.#at += point > 0xffff ? 2 : 1;
    return point;
  }

  #take(text: string): boolean {
    if (!this.#pattern.startsWith(text, this.#at)) return false;
    this.#at += text.length;
    return true;
  }

  #set(member: number | string): Node {
    const inner = typeof member === 'string' ? member : memberOf(member);
    const source = inner.startsWith('[') ? inner : `[${inner}]`;
    const ignoresCase = this.#ignoresCase;
    let index = this.#sets.findIndex((known) => known.source === source && known.ignoresCase === ignoresCase);
    if (index < 0) index = this.#sets.push({ source, ignoresCase }) - 1;
    if (index >= mostSets) throw this.#refuse(`has more than ${mostSets} different classes`);
    return { kind: 'set', set: index };
  }

  #push(instruction: Instruction): number {
    if (this.#code.length >= mostInstructions) throw this.#refuse('is too large once its repetitions are written out');
    return this.#code.push(instruction) - 1;
  }

  #emit(node: Node): void {
    switch (node.kind) {
      case 'set':
        this.#push({ op: 'set', set: node.set });
        return;
      case 'sequence':
        for (const item of node.items) this.#emit(item);
        return;
      case 'choice':
        this.#emitChoice(node.options);
        return;
      case 'look':
      case 'atomic': {
        const at = this.#push({ op: 'accept' }); // replaced once the end is known
        this.#emit(node.item);
        this.#push({ op: 'accept' });
        const to = this.#code.length;
        this.#code[at] = node.kind === 'look' ? { op: 'look', negative: node.negative, to } : { op: 'atomic', to };
        return;
      }
      case 'repeat':
        this.#emitRepeat(node);
        return;
    }
  }

  #emitChoice(options: readonly Node[]): void {
    const jumps: number[] = [];
    for (const [i, option] of options.entries()) {
      const isLast = i === options.length - 1;
      const split = isLast ? -1 : this.#push({ op: 'accept' });
      this.#emit(option);
      if (isLast) break;
      jumps.push(this.#push({ op: 'accept' }));
      this.#code[split] = { op: 'split', other: this.#code.length };
    }
    for (const at of jumps) this.#code[at] = { op: 'jump', to: this.#code.length };
  }

  #emitRepeat(node: Node & { kind: 'repeat' }): void {
    const { item, min, max, possessive } = node;
    if (item.kind === 'set') {
      this.#push({ op: 'run', set: item.set, min, max, possessive });
      return;
    }
    if (possessive) {
      this.#emit({ kind: 'atomic', item: { ...node, possessive: false } });
      return;
    }
    for (let i = 0; i < min; i++) this.#emit(item);
    if (max === Number.POSITIVE_INFINITY) {
      const split = this.#push({ op: 'accept' });
      this.#emit(item);
      this.#push({ op: 'jump', to: split });
      this.#code[split] = { op: 'split', other: this.#code.length };
      return;
    }
    const splits: number[] = [];
    for (let i = min; i < max; i++) {
      splits.push(this.#push({ op: 'accept' }));
      this.#emit(item);
    }
    for (const at of splits) this.#code[at] = { op: 'split', other: this.#code.length };
  }
}

function isProperty(name: string): boolean {
  try {
    new RegExp(`\\p{${name}}`, 'u');
    return true;
  } catch {
    return false;
  }
}

/** A code point as a member of a u-mode class. */
function memberOf(point: number): string {
  return `\\u{${point.toString(16)}}`;
}

/** Fewest code points that a node takes. */
function leastLength(node: Node): number {
  switch (node.kind) {
    case 'set':
      return 1;
    case 'sequence':
      return node.items.reduce((sum, item) => sum + leastLength(item), 0);
    case 'choice':
      return Math.min(...node.options.map(leastLength));
    case 'repeat':
      return node.min * leastLength(node.item);
    case 'look':
      return 0;
    case 'atomic':
      return leastLength(node.item);
  }
}
