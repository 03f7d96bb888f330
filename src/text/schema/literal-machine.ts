// One of a list of byte strings: enums, constants, true and null, choices. A tree of bytes in flat arrays, so that a
// hundred thousand literals are no trouble. Refuses nothing; the caller limits their number.

import type { ScalarMachine } from './machine.ts';

export class LiteralMachine implements ScalarMachine {
  readonly kind = 'scalar';
  /** In order of their bytes, each once. */
  readonly literals: readonly Uint8Array[];
  // By node; 0 is the root. Siblings are in order of their bytes.
  readonly #byte: Uint8Array;
  readonly #child: Int32Array; // first, or -1
  readonly #sibling: Int32Array; // next, or -1
  readonly #isEnd: Uint8Array;

  constructor(literals: readonly Uint8Array[]) {
    const sorted = [...literals].sort(compareBytes);
    this.literals = sorted.filter((literal, i) => i === 0 || compareBytes(literal, sorted[i - 1]) !== 0);
    const nodes = this.literals.reduce((sum, { length }) => sum + length, 1);
    this.#byte = new Uint8Array(nodes);
    this.#child = new Int32Array(nodes).fill(-1);
    this.#sibling = new Int32Array(nodes).fill(-1);
    this.#isEnd = new Uint8Array(nodes);
    const path: number[] = [0]; // nodes of the literal before
    let count = 1;
    let before = new Uint8Array(0);
    for (const literal of this.literals) {
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
      before = new Uint8Array(literal);
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

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return a[i] - b[i];
  return a.length - b.length;
}
