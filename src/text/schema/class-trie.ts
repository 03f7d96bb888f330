// The tree of all tokens, folded: tokens whose characters an expression does not tell apart lie in one node. To `[a-z]+` all
// 2,000 tokens of four small letters are the same token, so what a state allows is found by walking some thousand nodes
// and not the hundred thousand below them; runs of one class, which most words are, are joined ahead.
// Built once per vocabulary and alphabet, while a format is compiled. Owns characters; where a quote or an escape of JSON
// begins, the caller goes on byte by byte. Used by masks.ts.

import { type TokenTrie, tokenTrie } from '../token-trie.ts';
import type { Vocabulary } from '../vocabulary.ts';
import { type CharDfa, runOf } from './char-dfa.ts';
import { LAST_CODE_POINT } from './code-point-sets.ts';
import type { AllowedTokens } from './masks.ts';

interface Run {
  readonly nodes: readonly number[];
  /** By length − 1: tokens of all nodes up to there, when they have been asked for. */
  readonly tokens: (AllowedTokens | undefined)[];
}

/** Tokens that end within a character which will be one of these classes. */
interface Halves {
  readonly classes: readonly number[];
  readonly ids: number[];
}

const mostNodes = 1 << 16; // more: the alphabet tells nearly everything apart, and folding gains nothing
const mostKept = 8; // alphabets of a vocabulary
const mostJoined = 128; // sets of bits of an alphabet
const longestList = 1_500;
const slice = 20_000; // nodes of the tree of tokens between two yields
const DEAD = -1;
const MARK = -2;
const firstOfLength = [0, 0, 0x80, 0x800, 0x10000];

const byVocabulary = new WeakMap<Vocabulary, Map<string, ClassTrie | null>>(); // last used last
const keys = { json: new WeakMap<CharDfa, string>(), plain: new WeakMap<CharDfa, string>() };

/** Folds the tokens for an automaton, in steps. Only some alphabets are kept. */
export function* foldingTokens(vocabulary: Vocabulary, dfa: CharDfa, form: 'json' | 'plain'): Generator<void, void> {
  let kept = byVocabulary.get(vocabulary);
  if (kept === undefined) {
    kept = new Map();
    byVocabulary.set(vocabulary, kept);
  }
  const classes = liveClasses(dfa);
  const key = keys[form].get(dfa) ?? `${form} ${dfa.intervals.join()} ${classes.join()}`;
  keys[form].set(dfa, key);
  let found = kept.get(key);
  if (found === undefined) found = yield* ClassTrie.folding(vocabulary, dfa, classes, form === 'json');
  kept.delete(key);
  if (kept.size >= mostKept) kept.delete(kept.keys().next().value!);
  kept.set(key, found);
}

/** Null: there is none (any more); tokens are to be walked one by one. */
export function foldedTokens(vocabulary: Vocabulary, dfa: CharDfa, form: 'json' | 'plain'): ClassTrie | null {
  const key = keys[form].get(dfa);
  return key === undefined ? null : (byVocabulary.get(vocabulary)?.get(key) ?? null);
}

/** By run of code points its class, or DEAD where no state goes on with it. */
function liveClasses({ classes, classCount, next, accepting }: CharDfa): Int32Array {
  const isLive = new Uint8Array(classCount);
  for (let i = 0, at = 0; i < accepting.length * classCount; i++, at = at + 1 === classCount ? 0 : at + 1) {
    if (next[i] >= 0) isLive[at] = 1;
  }
  return classes.map((at) => (isLive[at] ? at : DEAD));
}

export class ClassTrie {
  // By node; 0 is the root.
  readonly #class: number[] = [DEAD];
  readonly #child: number[] = [-1]; // first
  readonly #sibling: number[] = [-1]; // next
  #tokens = new Int32Array(); // that end with a whole character, by node
  #starts = new Int32Array(); // [nodes + 1]
  readonly #halves = new Map<number, Halves[]>();
  readonly #marks = new Map<number, number[]>(); // nodes of the tree of tokens
  readonly #runs = new Map<number, Run>(); // by first node
  readonly #words: number;
  #joined = 0;

  private constructor(vocabulary: Vocabulary) {
    this.#words = (vocabulary.size + 31) >> 5;
  }

  /** Null: folding gains nothing. */
  static *folding(
    vocabulary: Vocabulary,
    dfa: CharDfa,
    classes: Int32Array,
    isJson: boolean,
  ): Generator<void, ClassTrie | null> {
    const built = new ClassTrie(vocabulary);
    return (yield* built.#fold(tokenTrie(vocabulary), vocabulary.size, dfa, classes, isJson)) ? built : null;
  }

  /**
   * Tells every token that characters from a state spell, and the nodes of the tree of tokens (each with the state before
   * it) that have to be followed byte by byte: quotes and backslashes in JSON.
   */
  follow(
    { next, classCount }: CharDfa,
    start: number,
    onTokens: (tokens: AllowedTokens) => void,
    onMark: (mark: number, state: number) => void,
  ): void {
    const nodes = [0];
    const states = [start];
    while (nodes.length > 0) {
      const node = nodes.pop()!;
      const state = states.pop()!;
      const row = state * classCount;
      for (const mark of this.#marks.get(node) ?? []) onMark(mark, state);
      for (const { classes, ids } of this.#halves.get(node) ?? []) {
        if (classes.some((at) => next[row + at] >= 0)) onTokens({ kind: 'ids', ids });
      }
      const before = this.#class[node];
      for (let child = this.#child[node]; child >= 0; child = this.#sibling[child]) {
        const at = this.#class[child];
        if (at === before) continue; // a part of the run that led here
        let to = next[row + at];
        if (to < 0) continue;
        const run = this.#run(child);
        let length = 0;
        while (to >= 0) {
          const reached = run.nodes[length++];
          if (this.#child[reached] >= 0 || this.#halves.has(reached) || this.#marks.has(reached)) {
            nodes.push(reached);
            states.push(to);
          }
          if (length === run.nodes.length) break;
          to = next[to * classCount + at];
        }
        onTokens(this.#upTo(run, length));
      }
    }
  }

  *#fold(
    { nodes, byte, depth, token, end }: TokenTrie,
    size: number,
    dfa: CharDfa,
    classes: Int32Array,
    isJson: boolean,
  ): Generator<void, boolean> {
    const ofAscii = Int32Array.from({ length: 128 }, (_, code) => {
      if (isJson && code < 0x20) return DEAD;
      return isJson && (code === 0x22 || code === 0x5c) ? MARK : classes[runOf(dfa, code)];
    });
    const characters = new Begun(dfa, classes);
    const places = new Int32Array(size).fill(-1); // by token: its node
    // By depth: the node of the last whole character, and what has been read of the next one.
    const folded: number[] = [0];
    const begun: number[] = [0];
    let left = slice;
    for (let at = 1; at < nodes; ) {
      if (--left < 0) {
        yield;
        left = slice;
      }
      const here = depth[at];
      const node = folded[here - 1];
      const before = begun[here - 1];
      let reached: number;
      if (before === 0 && byte[at] < 0x80) {
        reached = ofAscii[byte[at]];
        if (reached === MARK) listOf(this.#marks, node).push(at);
      } else {
        const after = characters.next(before, byte[at]);
        if (after > 0) {
          folded[here] = node;
          begun[here] = after;
          if (token[at] >= 0) this.#addHalf(node, characters.classes(after), token[at]);
          at++;
          continue;
        }
        reached = after === 0 ? characters.whole : DEAD;
      }
      if (reached < 0) {
        at = end[at];
        continue;
      }
      const child = this.#childOf(node, reached);
      if (child > mostNodes) return false;
      folded[here] = child;
      begun[here] = 0;
      if (token[at] >= 0) places[token[at]] = child;
      at++;
    }
    yield;
    this.#sort(places);
    return true;
  }

  #sort(places: Int32Array): void {
    const starts = new Int32Array(this.#class.length + 2);
    for (const node of places) if (node >= 0) starts[node + 2]++;
    for (let i = 2; i < starts.length; i++) starts[i] += starts[i - 1];
    this.#tokens = new Int32Array(starts[starts.length - 1]);
    for (let id = 0; id < places.length; id++) if (places[id] >= 0) this.#tokens[starts[places[id] + 1]++] = id;
    this.#starts = starts;
  }

  #childOf(node: number, at: number): number {
    for (let child = this.#child[node]; child >= 0; child = this.#sibling[child]) {
      if (this.#class[child] === at) return child;
    }
    const child = this.#class.push(at) - 1;
    this.#child.push(-1);
    this.#sibling.push(this.#child[node]);
    this.#child[node] = child;
    return child;
  }

  #addHalf(node: number, classes: readonly number[], id: number): void {
    const all = listOf(this.#halves, node);
    const known = all.find((halves) => halves.classes === classes);
    if (known === undefined) all.push({ classes, ids: [id] });
    else known.ids.push(id);
  }

  /** Nodes of one class in a row, the first of them given. */
  #run(first: number): Run {
    let run = this.#runs.get(first);
    if (run === undefined) {
      const nodes: number[] = [];
      const at = this.#class[first];
      for (let node = first; node >= 0; ) {
        nodes.push(node);
        let child = this.#child[node];
        while (child >= 0 && this.#class[child] !== at) child = this.#sibling[child];
        node = child;
      }
      run = { nodes, tokens: [] };
      this.#runs.set(first, run);
    }
    return run;
  }

  #upTo(run: Run, length: number): AllowedTokens {
    const known = run.tokens[length - 1];
    if (known !== undefined) return known;
    const ids: number[] = [];
    for (let i = 0; i < length; i++) {
      const node = run.nodes[i];
      for (let k = this.#starts[node]; k < this.#starts[node + 1]; k++) ids.push(this.#tokens[k]);
    }
    let tokens: AllowedTokens = { kind: 'ids', ids };
    if (ids.length > longestList) {
      if (this.#joined >= mostJoined) return tokens;
      const bits = new Uint32Array(this.#words);
      for (const id of ids) bits[id >> 5] |= 1 << (id & 31);
      tokens = { kind: 'bits', bits };
      this.#joined++;
    }
    run.tokens[length - 1] = tokens;
    return tokens;
  }
}

/** Characters of several bytes that have been begun, numbered; 0 is none. */
class Begun {
  /** Class of the character that the last step completed, or DEAD. */
  whole = DEAD;
  readonly #dfa: CharDfa;
  readonly #classes: Int32Array;
  readonly #numbers = new Map<number, number>(); // by place and value
  // By number.
  readonly #length: number[] = [0];
  readonly #missing: number[] = [0];
  readonly #value: number[] = [0];
  readonly #of: (readonly number[])[] = [[]];
  readonly #sets = new Map<string, readonly number[]>();

  constructor(dfa: CharDfa, classes: Int32Array) {
    this.#dfa = dfa;
    this.#classes = classes;
  }

  /** Number after a byte; 0: the character is whole, see `whole`; -1: there is no such character. */
  next(before: number, byte: number): number {
    if (before === 0) {
      if (byte < 0xc2 || byte > 0xf4) return -1;
      const length = byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
      return this.#number(length, length - 1, byte & (0x7f >> length));
    }
    if (byte < 0x80 || byte > 0xbf) return -1;
    const value = (this.#value[before] << 6) | (byte & 63);
    if (this.#missing[before] > 1) return this.#number(this.#length[before], this.#missing[before] - 1, value);
    const isFine = value >= firstOfLength[this.#length[before]] && value <= LAST_CODE_POINT;
    this.whole = isFine ? this.#classes[runOf(this.#dfa, value)] : DEAD;
    return 0;
  }

  /** Classes that a character may still be of. Equal lists are one object. */
  classes(number: number): readonly number[] {
    return this.#of[number];
  }

  #number(length: number, missing: number, value: number): number {
    const key = (value * 4 + missing) * 8 + length;
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    const low = Math.max(value << (6 * missing), firstOfLength[length]);
    const high = Math.min(((value + 1) << (6 * missing)) - 1, LAST_CODE_POINT);
    const found = new Set<number>();
    const { intervals } = this.#dfa;
    if (low <= high) {
      for (let run = runOf(this.#dfa, low); run < intervals.length && intervals[run] <= high; run++) {
        if (this.#classes[run] !== DEAD) found.add(this.#classes[run]);
      }
    }
    let number = -1;
    if (found.size > 0) {
      const list = [...found].sort((a, b) => a - b);
      const same = this.#sets.get(list.join()) ?? list;
      this.#sets.set(list.join(), same);
      number = this.#length.push(length) - 1;
      this.#missing.push(missing);
      this.#value.push(value);
      this.#of.push(same);
    }
    this.#numbers.set(key, number);
    return number;
  }
}

function listOf<T>(lists: Map<number, T[]>, node: number): T[] {
  let list = lists.get(node);
  if (list === undefined) {
    list = [];
    lists.set(node, list);
  }
  return list;
}
