// Random draws for generated data: a pure function of (seed, stream, index of the item), so that item n of a run is the
// same in whatever order, on whatever machine, and after a resume. Counter-based (engine/random.ts); not for secrets.

import { uniform } from '../../engine/random.ts';
import { hash32 } from './split.ts';

const DRAWS_PER_ITEM = 2 ** 20;

export class Random {
  readonly #seed: number;
  readonly #stream: number;
  #index: number;

  /** `stream` names what is drawn (a stage, a family); `item` counts from 0, up to 2^32. */
  constructor(seed: number, stream: string, item: number) {
    this.#seed = seed;
    this.#stream = hash32(stream);
    this.#index = item * DRAWS_PER_ITEM;
  }

  /** In [0, 1). */
  next(): number {
    return uniform(this.#seed, this.#stream, this.#index++);
  }

  /** A whole number from `low` to `high`, both possible. */
  int(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.next() * list.length)]!;
  }

  /** `count` different entries in random order (all of them, if there are fewer). */
  sample<T>(list: readonly T[], count: number): T[] {
    const left = [...list];
    const out: T[] = [];
    while (out.length < count && left.length > 0) out.push(left.splice(Math.floor(this.next() * left.length), 1)[0]!);
    return out;
  }

  shuffle<T>(list: readonly T[]): T[] {
    return this.sample(list, list.length);
  }

  /** A number with exactly `digits` digits; one digit may be 0. */
  digits(digits: number): number {
    return digits === 1 ? this.int(0, 9) : this.int(10 ** (digits - 1), 10 ** digits - 1);
  }

  /** The index of one of the weights, as likely as it is heavy. */
  weighted(weights: readonly number[]): number {
    let at = this.next() * weights.reduce((a, b) => a + b, 0);
    for (let i = 0; i < weights.length; i++) if ((at -= weights[i]!) < 0) return i;
    return weights.length - 1;
  }
}
