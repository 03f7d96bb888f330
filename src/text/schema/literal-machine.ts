// One of a list of byte strings: enums, constants, true and null, choices. A tree of bytes in flat arrays, so that a
// hundred thousand literals are no trouble. Refuses nothing; the caller limits their number.

import type { ScalarMachine } from './machine.ts';

const run = 1_000; // literals between two yields
const stretch = 50_000; // bytes, and twenty more for each literal

export class LiteralMachine implements ScalarMachine {
  readonly kind = 'scalar';
  /** In order of their bytes, each once. */
  readonly literals: readonly Uint8Array[];
  // By node; 0 is the root. Siblings are in order of their bytes.
  readonly #byte: Uint8Array;
  readonly #child: Int32Array; // first, or -1
  readonly #sibling: Int32Array; // next, or -1
  readonly #isEnd: Uint8Array;

  /** In steps. */
  static *making(literals: readonly Uint8Array[]): Generator<void, LiteralMachine> {
    const sorted = yield* sorting(literals);
    const distinct: Uint8Array[] = [];
    for (const [i, literal] of sorted.entries()) {
      if (i % run === run - 1) yield;
      if (distinct.length === 0 || compareBytes(literal, distinct[distinct.length - 1]) !== 0) distinct.push(literal);
    }
    yield;
    const machine = new LiteralMachine(distinct);
    yield* machine.#build();
    return machine;
  }

  private constructor(literals: readonly Uint8Array[]) {
    this.literals = literals;
    const nodes = this.literals.reduce((sum, { length }) => sum + length, 1);
    this.#byte = new Uint8Array(nodes);
    this.#child = new Int32Array(nodes).fill(-1);
    this.#sibling = new Int32Array(nodes).fill(-1);
    this.#isEnd = new Uint8Array(nodes);
  }

  *#build(): Generator<void, void> {
    const path: number[] = [0]; // nodes of the literal before
    let count = 1;
    let before: Uint8Array = new Uint8Array(0);
    let left = stretch;
    for (const literal of this.literals) {
      left -= literal.length + 20;
      if (left < 0) {
        yield;
        left = stretch;
      }
      let shared = 0;
      while (shared < before.length && before[shared] === literal[shared]) shared++;
      for (let depth = shared; depth < literal.length; depth++) {
        const node = count++;
        this.#byte[node] = literal[depth];
        if (depth < before.length && depth === shared) this.#sibling[path[depth + 1]] = node;
        else this.#child[path[depth]] = node;
        path[depth + 1] = node;
      }
      this.#isEnd[path[literal.length]] = 1;
      before = literal;
    }
  }

  step(state: number, byte: number): number {
    for (let child = this.#child[state]; child >= 0; child = this.#sibling[child]) {
      if (this.#byte[child] === byte) return child;
      if (this.#byte[child] > byte) break;
    }
    return -1;
  }

  accepts(state: number): boolean {
    return this.#isEnd[state] === 1;
  }

  isOver(state: number): boolean {
    return this.#isEnd[state] === 1 && this.#child[state] < 0;
  }
}

/** Runs that are sorted at once, then merged, with yields in between. */
function* sorting(literals: readonly Uint8Array[]): Generator<void, Uint8Array[]> {
  let runs: Uint8Array[][] = [];
  for (let from = 0; from < literals.length; from += run) {
    runs.push(literals.slice(from, from + run).sort(compareBytes));
    yield;
  }
  while (runs.length > 1) {
    const merged: Uint8Array[][] = [];
    for (let i = 0; i < runs.length; i += 2) {
      if (i + 1 === runs.length) merged.push(runs[i]);
      else merged.push(yield* merging(runs[i], runs[i + 1]));
    }
    runs = merged;
  }
  return runs[0] ?? [];
}

function* merging(one: readonly Uint8Array[], two: readonly Uint8Array[]): Generator<void, Uint8Array[]> {
  const all: Uint8Array[] = [];
  for (let i = 0, j = 0; i < one.length || j < two.length; ) {
    const isOne = j === two.length || (i < one.length && compareBytes(one[i], two[j]) <= 0);
    all.push(isOne ? one[i++] : two[j++]);
    if (all.length % run === 0) yield;
  }
  return all;
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return a[i] - b[i];
  return a.length - b.length;
}
