// Random draws for generated data: a pure function of (seed, stream, index of the item), so that item n of a run is the
// same in whatever order, on whatever machine, and after a resume. The numbers come from ../random.ts.

import { CounterRandom } from '../random.ts';
import { hash32 } from './split.ts';

export class Random {
  readonly #source: CounterRandom;

  /** `stream` names what is drawn (a stage, a family); `item` counts from 0. */
  constructor(seed: number, stream: string, item: number) {
    this.#source = new CounterRandom(seed, hash32(stream), item);
  }

  /** In [0, 1). */
  next(): number {
    return this.#source.float();
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
