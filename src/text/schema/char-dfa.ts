// Deterministic automata over code points, made from expressions by subset construction. Every state can still reach the
// end: what leads nowhere is cut off, so that following an automaton never ends in a dead place.
// Owns their construction, intersection and emptiness, under limits on states and work: hostile expressions
// (`(a|b)*a(a|b){20}`, `(x{100}){100}`) end in a typed problem after a bounded time. Next: char-automata.ts.

import { type CodePointSet, everything, nothing } from './code-point-sets.ts';
import type { Expression } from './expression.ts';
import { PatternProblem, UNLIMITED } from './pattern.ts';
import type { WorkLimit } from './work-limit.ts';

const mostNfaStates = 20_000;
const mostStates = 8_000;

/** Start is state 0. Intervals cut all code points into runs that no state tells apart. */
export interface CharDfa {
  readonly intervals: Int32Array; // first code point of each run; the first is 0
  readonly classes: Int32Array; // class of each run
  readonly classCount: number;
  readonly next: Int32Array; // [states · classCount], -1: no text of the language goes on this way
  readonly accepting: Uint8Array; // [states]
}

const MATCH = 0;
const SPLIT = 1;
const START = 2;
const END = 3;
const SET = 4; // and above: SET + index of the set

class Nfa {
  readonly kind: number[] = [];
  readonly out: number[] = [];
  readonly other: number[] = []; // of splits; -1 else
  readonly sets: CodePointSet[] = [];
  readonly #setIndex = new Map<string, number>();
  readonly #known = new Map<CodePointSet, number>();

  add(kind: number, out: number, other = -1): number {
    if (this.kind.length >= mostNfaStates) {
      throw new PatternProblem(`needs more than ${mostNfaStates} states; shorten its repeats`);
    }
    this.kind.push(kind);
    this.out.push(out);
    this.other.push(other);
    return this.kind.length - 1;
  }

  set(members: CodePointSet, out: number): number {
    let index = this.#known.get(members);
    if (index === undefined) {
      const key = members.join();
      index = this.#setIndex.get(key) ?? this.sets.push(members) - 1;
      this.#setIndex.set(key, index);
      this.#known.set(members, index);
    }
    return this.add(SET + index, out);
  }

  /** Builds back to front: returns where `tree` begins when it goes on at `out`. */
  build(tree: Expression, out: number): number {
    switch (tree.kind) {
      case 'set':
        return this.set(tree.set, out);
      case 'start':
        return this.add(START, out);
      case 'end':
        return this.add(END, out);
      case 'sequence':
        return tree.items.reduceRight((next, item) => this.build(item, next), out);
      case 'choice':
        return tree.options
          .map((option) => this.build(option, out))
          .reduceRight((rest, option) => this.add(SPLIT, option, rest), this.set(nothing, out));
      case 'repeat': {
        let next = out;
        if (tree.max === UNLIMITED) {
          const loop = this.add(SPLIT, -1, out);
          this.out[loop] = this.build(tree.item, loop);
          next = loop;
        } else {
          for (let i = tree.min; i < tree.max; i++) next = this.add(SPLIT, this.build(tree.item, next), out);
        }
        for (let i = 0; i < tree.min; i++) {
          const before = next;
          next = this.build(tree.item, before);
          if (next === before) break; // an item without any state, however often
        }
        return next;
      }
    }
  }
}

/** `whole`: the expression is all of the text, else it lies somewhere in it. Null: no text matches. */
export function* charDfa(tree: Expression, whole: boolean, work: WorkLimit): Generator<void, CharDfa | null> {
  const nfa = new Nfa();
  const match = nfa.add(MATCH, -1);
  let start: number;
  if (whole) {
    const end = nfa.add(END, match);
    start = nfa.build(tree, end);
  } else {
    const before = nfa.add(SPLIT, -1, -1);
    nfa.other[before] = nfa.build(tree, match);
    nfa.out[before] = nfa.set(everything, before);
    start = before;
  }
  const { intervals, classes, classCount, classesOfSet } = yield* partition([everything, ...nfa.sets]);
  const anyClass = classesOfSet[0];

  const sets: Int32Array[] = [];
  const byKey = new Map<string, number>();
  const accepting: number[] = [];
  const next: number[] = [];
  const mark = new Uint32Array(nfa.kind.length);
  let round = 0;
  /** Everything reachable without a character. */
  const closure = (from: readonly number[], atStart: boolean, atEnd: boolean): number[] => {
    round++;
    const todo = [...from];
    const found: number[] = [];
    while (todo.length > 0) {
      const state = todo.pop()!;
      if (mark[state] === round) continue;
      mark[state] = round;
      work.spend(1);
      const kind = nfa.kind[state];
      if (kind === SPLIT) todo.push(nfa.out[state], nfa.other[state]);
      else if (kind === START) {
        if (atStart) todo.push(nfa.out[state]);
      } else {
        found.push(state);
        if (kind === END && atEnd) todo.push(nfa.out[state]);
      }
    }
    return found.sort((a, b) => a - b);
  };
  const stateOf = (from: readonly number[], atStart: boolean): number => {
    let members = closure(from, atStart, false);
    if (members.length === 0) return -1;
    if (members[0] === match) members = [match]; // matched whatever follows
    const key = `${atStart ? '^' : ''}${members.join()}`;
    const known = byKey.get(key);
    if (known !== undefined) return known;
    if (sets.length >= mostStates) {
      throw new PatternProblem(`needs more than ${mostStates} states; simplify its repeats and alternatives`);
    }
    const state = sets.push(Int32Array.from(members)) - 1;
    byKey.set(key, state);
    accepting.push(members[0] === match || closure(members, atStart, true)[0] === match ? 1 : 0);
    return state;
  };
  stateOf([start], true);
  for (let state = 0; state < sets.length; state++) {
    const row: number[][] = Array.from({ length: classCount }, () => []);
    const isAll = sets[state][0] === match;
    if (isAll) for (const at of anyClass) row[at].push(match); // surrogates are in no class of these
    for (const member of sets[state]) {
      const kind = nfa.kind[member];
      if (kind < SET) continue;
      const reached = classesOfSet[kind - SET + 1];
      work.spend(reached.length);
      for (const at of reached) row[at].push(nfa.out[member]);
      if (work.isDue()) yield;
    }
    work.spend(classCount);
    for (let at = 0; at < classCount; at++) {
      next.push(row[at].length === 0 ? -1 : stateOf(row[at], false));
      if (work.isDue()) yield;
    }
  }
  const dfa = { intervals, classes, classCount, next: Int32Array.from(next), accepting: Uint8Array.from(accepting) };
  return yield* trim(dfa);
}

/** Cuts code points into classes that the sets do not tell apart. */
function* partition(
  sets: readonly CodePointSet[],
): Generator<void, { intervals: Int32Array; classes: Int32Array; classCount: number; classesOfSet: Int32Array[] }> {
  const cuts = new Set<number>([0]);
  for (const set of sets) {
    for (let i = 0; i < set.length; i += 2) {
      cuts.add(set[i]);
      cuts.add(set[i + 1] + 1);
    }
  }
  const intervals = Int32Array.from(cuts).sort();
  const classes = new Int32Array(intervals.length);
  let classCount = 1;
  for (const [i, set] of sets.entries()) {
    if (i % 64 === 63) yield;
    const split = new Map<number, number>();
    let at = 0;
    for (let i = 0; i < set.length; i += 2) {
      while (intervals[at] < set[i]) at++;
      for (; at < intervals.length && intervals[at] <= set[i + 1]; at++) {
        const old = classes[at];
        let fresh = split.get(old);
        if (fresh === undefined) {
          fresh = classCount++;
          split.set(old, fresh);
        }
        classes[at] = fresh;
      }
    }
  }
  const numbers = new Map<number, number>(); // some classes have been emptied by their split
  for (let i = 0; i < classes.length; i++) {
    let number = numbers.get(classes[i]);
    if (number === undefined) {
      number = numbers.size;
      numbers.set(classes[i], number);
    }
    classes[i] = number;
  }
  const classesOfSet: Int32Array[] = [];
  for (const set of sets) {
    if (classesOfSet.length % 64 === 63) yield;
    const found = new Set<number>();
    let at = 0;
    for (let i = 0; i < set.length; i += 2) {
      while (intervals[at] < set[i]) at++;
      for (; at < intervals.length && intervals[at] <= set[i + 1]; at++) found.add(classes[at]);
    }
    classesOfSet.push(Int32Array.from(found));
  }
  return { intervals, classes, classCount: numbers.size, classesOfSet };
}

/** Keeps states from which the end can be reached; null when the start is not one. */
function* trim(dfa: CharDfa): Generator<void, CharDfa | null> {
  const rows = Math.ceil(100_000 / dfa.classCount); // between two yields
  const { classCount, next, accepting } = dfa;
  const states = accepting.length;
  const from: number[][] = Array.from({ length: states }, () => []);
  for (let state = 0; state < states; state++) {
    if (state % rows === rows - 1) yield;
    for (let at = 0; at < classCount; at++) {
      const to = next[state * classCount + at];
      if (to >= 0 && from[to].at(-1) !== state) from[to].push(state);
    }
  }
  const isLive = new Uint8Array(states);
  const todo: number[] = [];
  for (let state = 0; state < states; state++) if (accepting[state]) todo.push(state);
  for (const state of todo) isLive[state] = 1;
  while (todo.length > 0) {
    for (const before of from[todo.pop()!]) {
      if (isLive[before]) continue;
      isLive[before] = 1;
      todo.push(before);
    }
  }
  if (!isLive[0]) return null;
  const numbers = new Int32Array(states);
  let count = 0;
  for (let state = 0; state < states; state++) numbers[state] = isLive[state] ? count++ : -1;
  const kept = new Int32Array(count * classCount);
  const ends = new Uint8Array(count);
  for (let state = 0; state < states; state++) {
    if (state % rows === rows - 1) yield;
    if (!isLive[state]) continue;
    ends[numbers[state]] = accepting[state];
    for (let at = 0; at < classCount; at++) {
      const to = next[state * classCount + at];
      kept[numbers[state] * classCount + at] = to < 0 ? -1 : numbers[to];
    }
  }
  return { ...dfa, next: kept, accepting: ends };
}

/** Texts of both; null when there are none. */
export function* intersect(one: CharDfa, two: CharDfa, work: WorkLimit): Generator<void, CharDfa | null> {
  const intervals = Int32Array.from(new Set([...one.intervals, ...two.intervals])).sort();
  const classes = new Int32Array(intervals.length);
  const pairs: [number, number][] = [];
  const classOf = new Map<number, number>();
  for (let i = 0, a = 0, b = 0; i < intervals.length; i++) {
    while (a + 1 < one.intervals.length && one.intervals[a + 1] <= intervals[i]) a++;
    while (b + 1 < two.intervals.length && two.intervals[b + 1] <= intervals[i]) b++;
    const key = one.classes[a] * two.classCount + two.classes[b];
    let found = classOf.get(key);
    if (found === undefined) {
      found = pairs.push([one.classes[a], two.classes[b]]) - 1;
      classOf.set(key, found);
    }
    classes[i] = found;
  }
  const states: [number, number][] = [];
  const byKey = new Map<number, number>();
  const stateOf = (a: number, b: number): number => {
    const key = a * two.accepting.length + b;
    let state = byKey.get(key);
    if (state === undefined) {
      if (states.length >= mostStates) {
        throw new PatternProblem(`needs more than ${mostStates} states together with the other limits on the text`);
      }
      state = states.push([a, b]) - 1;
      byKey.set(key, state);
    }
    return state;
  };
  stateOf(0, 0);
  const next: number[] = [];
  for (let state = 0; state < states.length; state++) {
    const [a, b] = states[state];
    work.spend(pairs.length);
    if (work.isDue()) yield;
    for (const [left, right] of pairs) {
      const toA = one.next[a * one.classCount + left];
      const toB = two.next[b * two.classCount + right];
      next.push(toA < 0 || toB < 0 ? -1 : stateOf(toA, toB));
    }
  }
  return yield* trim({
    intervals,
    classes,
    classCount: pairs.length,
    next: Int32Array.from(next),
    accepting: Uint8Array.from(states, ([a, b]) => one.accepting[a] & two.accepting[b]),
  });
}

/** All other texts; null when there are none. */
export function* complementDfa(dfa: CharDfa): Generator<void, CharDfa | null> {
  const { classes, classCount } = dfa;
  const states = dfa.accepting.length;
  const isText = new Uint8Array(classCount).fill(1);
  isText[classes[runOf(dfa, 0xd800)]] = 0; // surrogates have a class of their own in every automaton
  const next = new Int32Array((states + 1) * classCount);
  for (let i = 0; i < next.length; i++) {
    const to = i < dfa.next.length ? dfa.next[i] : -1;
    next[i] = !isText[i % classCount] ? -1 : to < 0 ? states : to;
  }
  const accepting = Uint8Array.from({ length: states + 1 }, (_, state) => (dfa.accepting[state] ? 0 : 1));
  return yield* trim({ ...dfa, next, accepting });
}

/** Texts of min … max code points. */
export function* lengthDfa(min: number, max: number): Generator<void, CharDfa> {
  const last = max === UNLIMITED ? min : max;
  if (last >= mostStates) {
    throw new PatternProblem(`is counted together with a length of ${last}; at most ${mostStates} characters are`);
  }
  const { intervals, classes, classCount, classesOfSet } = yield* partition([everything]);
  const next = new Int32Array((last + 1) * classCount).fill(-1);
  for (let count = 0; count <= last; count++) {
    const to = count < last ? count + 1 : max === UNLIMITED ? last : -1;
    for (const at of classesOfSet[0]) next[count * classCount + at] = to;
  }
  const accepting = Uint8Array.from({ length: last + 1 }, (_, count) => (count >= min ? 1 : 0));
  return { intervals, classes, classCount, next, accepting };
}

/** Index of the run of `code`. */
export function runOf({ intervals }: CharDfa, code: number): number {
  let low = 0;
  let high = intervals.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (intervals[middle] <= code) low = middle;
    else high = middle - 1;
  }
  return low;
}

export function dfaMatches(dfa: CharDfa, text: string): boolean {
  let state = 0;
  for (const character of text) {
    state = dfa.next[state * dfa.classCount + dfa.classes[runOf(dfa, character.codePointAt(0)!)]];
    if (state < 0) return false;
  }
  return dfa.accepting[state] === 1;
}
