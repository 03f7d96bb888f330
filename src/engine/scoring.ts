// Owns: the log-probabilities of given tokens, for `score`, evaluation and training. The engine asks for the logits of a
// few rows at a time, so memory does not grow with the text. Next: engine.ts.

import type { Stopwatch, Timings, Usage } from './generation.ts';
import { logSumExp, type TokenLogprob, topLogprobs } from './sampling.ts';
import type { Task } from './sequence.ts';

export interface ScoreOptions {
  /** First token to score; those before it may come from the cache. Default 1: all that have a predecessor. */
  readonly from?: number;
  /** The n most likely tokens beside each given one. */
  readonly topLogprobs?: number;
  readonly signal?: AbortSignal;
  readonly client?: string;
}

export interface ScoreResult {
  /** Natural log of p(token[i] | those before); null for token 0 and for those before `from`. */
  readonly logprobs: readonly (number | null)[];
  readonly top: readonly (readonly TokenLogprob[] | null)[] | null;
  readonly usage: Usage;
  readonly timings: Timings;
}

export class ScoringTask implements Task {
  isDone = false;
  readonly mostDrafted = 0;
  readonly result: Promise<ScoreResult>;
  readonly #tokens: Int32Array;
  readonly #topCount: number;
  readonly #watch: Stopwatch;
  readonly #logprobs: (number | null)[];
  readonly #top: (readonly TokenLogprob[] | null)[];
  #next: number; // first token without a log-probability
  #cached: number | null = null;
  #settle!: { resolve: (result: ScoreResult) => void; reject: (error: unknown) => void };

  constructor(tokens: Int32Array, from: number, topCount: number, watch: Stopwatch) {
    this.#tokens = tokens;
    this.#next = from;
    this.#topCount = topCount;
    this.#watch = watch;
    this.#logprobs = new Array<number | null>(tokens.length).fill(null);
    this.#top = new Array<readonly TokenLogprob[] | null>(tokens.length).fill(null);
    this.result = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
  }

  scoredFrom(): number {
    return this.#next - 1;
  }

  admitted(reused: number): void {
    this.#cached ??= reused;
    this.#watch.admitted();
  }

  take(position: number, logits: Float32Array): void {
    const next = position + 1;
    this.#next = next + 1;
    const normaliser = logSumExp(logits);
    this.#logprobs[next] = logits[this.#tokens[next]] - normaliser;
    if (this.#topCount > 0) this.#top[next] = topLogprobs(logits, this.#topCount, normaliser);
    if (next === this.#tokens.length - 1) this.finish();
  }

  finish(): void {
    this.isDone = true;
    this.#watch.token();
    this.#settle.resolve({
      logprobs: this.#logprobs,
      top: this.#topCount > 0 ? this.#top : null,
      usage: { promptTokens: this.#tokens.length, cachedTokens: this.#cached ?? 0, completionTokens: 0 },
      timings: this.#watch.timings(),
    });
  }

  fail(error: unknown): void {
    this.isDone = true;
    this.#settle.reject(error);
  }
}
