// Bounds the work that one request's schema may cause, whatever its shape: everything that can multiply counts its steps
// here. Steps and not milliseconds, so that the same schema always has the same fate.

/** Too much work; whoever knows the place in the schema says so. */
export class TooComplex extends Error {}

export class WorkLimit {
  readonly #steps: number;
  #left: number;

  constructor(steps = 2_000_000) {
    this.#steps = steps;
    this.#left = steps;
  }

  get spent(): number {
    return this.#steps - this.#left;
  }

  spend(steps: number): void {
    this.#left -= steps;
    if (this.#left < 0) throw new TooComplex('is too complex; simplify its repeats and alternatives');
  }
}
