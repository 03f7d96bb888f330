// Owns: whether guessed tokens ride along with a decode step, and how many. A step of more rows costs more (each token of
// a mixture of experts reads experts of its own), so a guess is run only when the tokens it is expected to bring outweigh
// what the longer step costs. Both sides are measured while decoding: the share of guesses that came true (drafter.ts),
// and the time of steps by their rows. Refuses: to choose tokens. What a guessed row leaves is sampled like any other
// (generation.ts), with the random numbers of its place, and the first token that differs from the guess ends it: the
// output is what it would be without. Next: engine.ts.

import { Drafter, type Guess, GuessRecord } from './drafter.ts';
import type { Sequence } from './sequence.ts';

const LEAST_GAIN = 1.04; // below, timing noise decides
const UNKNOWN_SHARE = 0.3; // of guesses that come true, before any did
const SHARED_WEIGHT = 8; // how many guesses of unknown share the shared record starts with
const OWN_WEIGHT = 4; // how many guesses of others count for one sequence
const FORGET = 1 / 1000; // of a measured cost, with each step that did not measure it

/** Time of a decode step by its rows, relative to each other. */
export class StepCosts {
  readonly #factor: Float64Array; // measured time ÷ expected time
  readonly #count: Uint32Array;
  #unit = 0; // milliseconds of a step that costs 1

  constructor(maxRows: number) {
    this.#factor = new Float64Array(maxRows + 1).fill(1);
    this.#count = new Uint32Array(maxRows + 1);
  }

  note(rows: number, ms: number): void {
    if (rows >= this.#factor.length) return;
    const first = this.#unit === 0;
    const expected = expectedCost(rows);
    if (first) this.#unit = ms / expected;
    for (let r = 1; r < this.#factor.length; r++) {
      if (r !== rows && this.#count[r] > 0) this.#factor[r] += (this.factor(rows) - this.#factor[r]) * FORGET;
    }
    // One slow step (another program ran) must not decide for long.
    const seen = clamp(ms / expected / this.#unit, this.factor(rows));
    const weight = Math.max(0.15, 1 / (this.#count[rows] + 1));
    this.#factor[rows] += (seen - this.#factor[rows]) * weight;
    this.#count[rows]++;
    // The whole moves with the context and the machine; the factors say what rows cost beside each other.
    this.#unit *= 1 + 0.1 * (clamp(ms / expected / this.#unit, this.factor(rows)) / this.factor(rows) - 1);
  }

  /** Relative cost of a step of so many rows. */
  of(rows: number): number {
    return expectedCost(rows) * this.factor(rows);
  }

  /** As measured, else that of the nearest number of rows that was measured. */
  factor(rows: number): number {
    const most = this.#factor.length - 1;
    for (let distance = 0; distance <= most; distance++) {
      for (const r of [rows - distance, rows + distance]) {
        if (r >= 1 && r <= most && this.#count[r] > 0) return this.#factor[r];
      }
    }
    return 1;
  }
}

/** Before anything is measured: bytes of weights that rows read on gpt-oss-20b, half of them experts, 4 of 32 a row. */
function expectedCost(rows: number): number {
  return 0.5 + 0.5 * 8 * (1 - 0.875 ** rows);
}

function clamp(value: number, around: number): number {
  return Math.min(2 * around, Math.max(around / 2, value));
}

export class Speculator {
  readonly costs: StepCosts;
  readonly #record = new GuessRecord(512);
  readonly #maxRows: number;
  readonly #drafters = new WeakMap<Sequence, Drafter>();

  /** At most `draftRows` guessed rows in a step beside one row for each of `maxSequences`. */
  constructor(draftRows: number, maxSequences: number) {
    this.#maxRows = draftRows;
    this.costs = new StepCosts(draftRows + maxSequences);
  }

  /** Guessed tokens to run after the last token of each sequence; mostly none. */
  propose(sequences: readonly Sequence[]): readonly Int32Array[] {
    const guesses = sequences.map((sequence): Guess => {
      const most = Math.min(this.#maxRows, sequence.task.mostDrafted);
      return this.#drafterOf(sequence).guess(sequence.tokens, most);
    });
    const counts = new Uint32Array(guesses.length);
    // Probability that the next guessed row of a sequence brings a token: all before it have to be right, too.
    const reach = guesses.map((guess, i) => (guess.tokens.length > 0 ? this.#share(sequences[i], guess, 0) : 0));
    let expected = sequences.length;
    let bestRate = (expected / this.costs.of(sequences.length)) * LEAST_GAIN;
    let best: Uint32Array | null = null;
    for (let extra = 1; extra <= this.#maxRows; extra++) {
      let next = 0;
      for (let i = 1; i < reach.length; i++) if (reach[i] > reach[next]) next = i;
      if (reach[next] === 0) break;
      expected += reach[next];
      const count = ++counts[next];
      const guess = guesses[next];
      reach[next] *= count < guess.tokens.length ? this.#share(sequences[next], guess, count) : 0;
      const rate = expected / this.costs.of(sequences.length + extra);
      if (rate <= bestRate) continue;
      bestRate = rate;
      best = counts.slice();
    }
    return guesses.map(({ tokens }, i) => tokens.subarray(0, best?.[i] ?? 0));
  }

  #share(sequence: Sequence, { agreed }: Guess, ahead: number): number {
    const usual = this.#record.share(agreed + ahead, UNKNOWN_SHARE, SHARED_WEIGHT);
    return this.#drafterOf(sequence).record.share(agreed + ahead, usual, OWN_WEIGHT);
  }

  #drafterOf(sequence: Sequence): Drafter {
    let drafter = this.#drafters.get(sequence);
    if (drafter === undefined) {
      drafter = new Drafter(this.#record);
      this.#drafters.set(sequence, drafter);
    }
    return drafter;
  }
}
