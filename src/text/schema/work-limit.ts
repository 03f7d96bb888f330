// Bounds the work that one request's schema may cause, whatever its shape: everything that can multiply counts its steps
// here. Steps and not milliseconds, so that the same schema always has the same fate. What takes long is a generator that
// yields whenever a stretch of work is done, so that others can have their turn.

/** Too much work; whoever knows the place in the schema says so. */
export class TooComplex extends Error {}

const stretch = 20_000; // steps, about a millisecond

export class WorkLimit {
  readonly #steps: number;
  #left: number;
  #due: number;

  constructor(steps = 2_000_000) {
    this.#steps = steps;
    this.#left = steps;
    this.#due = steps - stretch;
  }

  get spent(): number {
    return this.#steps - this.#left;
  }

  spend(steps: number): void {
    this.#left -= steps;
    if (this.#left < 0) throw new TooComplex('is too complex; simplify its repeats and alternatives');
  }

  /** True once after each stretch of work: time to yield. */
  isDue(): boolean {
    if (this.#left > this.#due) return false;
    this.#due = this.#left - stretch;
    return true;
  }
}

/** Runs steps to their end without a pause. */
export function finish<T>(steps: Generator<void, T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}
