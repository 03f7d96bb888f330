// The structure of a JSON array: brackets, commas and how many items there may be. Items are rules of the grammar.

import { afterSpace, type ContainerMachine, type Opening } from './machine.ts';

export interface ArrayShape {
  /** Rules of the first items. */
  readonly prefix: readonly number[];
  /** Rule of all others; null: there are none. */
  readonly items: number | null;
  readonly min: number;
  readonly max: number; // may be infinite
}

const START = 0;
const FIRST = 1; // after the bracket
const NEXT = 2; // after a comma
const AFTER = 3; // after an item
const OVER = 4;

/** Rule of the item at `index`, or -1. */
export function itemRule({ prefix, items, max }: ArrayShape, index: number): number {
  if (index >= max) return -1;
  return index < prefix.length ? prefix[index] : (items ?? -1);
}

export class ArrayMachine implements ContainerMachine {
  readonly kind = 'container';
  readonly shape: ArrayShape;
  readonly #needs: ArrayLike<number>; // by rule
  readonly #lastCount: number; // from here on all counts are alike
  // States, numbered as they are met.
  readonly #numbers = new Map<number, number>();
  readonly #phase: number[] = [];
  readonly #count: number[] = [];
  readonly #space: number[] = [];

  /** `needs`: how many containers the values of each rule nest at least. Read when states are stepped, not before. */
  constructor(shape: ArrayShape, needs: ArrayLike<number>) {
    this.shape = shape;
    this.#needs = needs;
    this.#lastCount = Number.isFinite(shape.max) ? shape.max : Math.max(shape.min, shape.prefix.length);
    this.#state(START, 0, 0);
  }

  step(state: number, byte: number, room: number): number {
    const phase = this.#phase[state];
    const count = this.#count[state];
    const space = this.#space[state];
    if (phase === START) return byte === 0x5b ? this.#state(FIRST, 0, 0) : -1;
    if (phase === OVER) return -1;
    if (phase === AFTER && byte === 0x2c) {
      return space === 0 && this.#mayAdd(count, room) ? this.#state(NEXT, count, 0) : -1;
    }
    const mayClose = phase !== NEXT && count >= this.shape.min;
    if (byte === 0x5d) return mayClose ? this.#state(OVER, 0, 0) : -1;
    if (phase === AFTER && !mayClose) return -1;
    const next = afterSpace(space, byte, room);
    return next < 0 ? -1 : this.#state(phase, count, next);
  }

  openings(state: number, room: number): readonly Opening[] {
    const phase = this.#phase[state];
    const count = this.#count[state];
    if ((phase !== FIRST && phase !== NEXT) || !this.#mayAdd(count, room)) return [];
    const resume = this.#state(AFTER, Math.min(count + 1, this.#lastCount), 0);
    return [{ rule: itemRule(this.shape, count), resume }];
  }

  isOver(state: number): boolean {
    return this.#phase[state] === OVER;
  }

  nesting(): number {
    const { min, max, prefix } = this.shape;
    let most = min > max ? Number.POSITIVE_INFINITY : 0;
    for (let i = 0; i < Math.min(min, prefix.length + 1); i++) {
      const rule = itemRule(this.shape, i);
      most = Math.max(most, rule < 0 ? Number.POSITIVE_INFINITY : this.#needs[rule]);
    }
    return most;
  }

  #mayAdd(count: number, room: number): boolean {
    const rule = itemRule(this.shape, count);
    return rule >= 0 && this.#needs[rule] <= room;
  }

  #state(phase: number, count: number, space: number): number {
    const key = (count * 512 + space) * 8 + phase;
    let state = this.#numbers.get(key);
    if (state === undefined) {
      state = this.#phase.push(phase) - 1;
      this.#count.push(count);
      this.#space.push(space);
      this.#numbers.set(key, state);
    }
    return state;
  }
}
