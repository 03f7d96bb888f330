// Notices a generation that repeats itself without end: the same stretch of tokens again and again, exactly. Meant for
// loops that never stop by themselves, so it is patient: a list of a hundred zeros is none. One counter for each period.

export interface LoopGuardOptions {
  readonly longestPeriod?: number; // tokens; default 256
  /** Repeated tokens before it speaks; also at least `repeats` times the period. */
  readonly leastTokens?: number; // default 256
  readonly repeats?: number; // default 6
}

export class LoopGuard {
  readonly #recent: Int32Array; // the last `longestPeriod` tokens, as a ring
  readonly #runs: Int32Array; // by period: how many tokens in a row equal the one a period before
  readonly #least: number;
  readonly #repeats: number;
  #count = 0;

  constructor(options: LoopGuardOptions = {}) {
    const longest = options.longestPeriod ?? 256;
    this.#recent = new Int32Array(longest);
    this.#runs = new Int32Array(longest + 1);
    this.#least = options.leastTokens ?? 256;
    this.#repeats = options.repeats ?? 6;
  }

  /** True when the tokens so far end in a loop. */
  accept(token: number): boolean {
    const size = this.#recent.length;
    const runs = this.#runs;
    let isLoop = false;
    const periods = Math.min(size, this.#count);
    for (let period = 1; period <= periods; period++) {
      if (this.#recent[(this.#count - period) % size] !== token) runs[period] = 0;
      else if (++runs[period] >= Math.max(this.#least, this.#repeats * period)) isLoop = true;
    }
    this.#recent[this.#count % size] = token;
    this.#count++;
    return isLoop;
  }

  /** Forgets what came before: a new beginning. */
  reset(): void {
    this.#runs.fill(0);
    this.#count = 0;
  }
}
