// Owns: one generation, from the logits of the last token to the stream its reader sees: choosing a token, asking the
// constraints, deciding whether to stop, counting and timing. Refuses: pages and batches (scheduler.ts), text (agent/).

import { GptOssError } from '../errors.ts';
import type { Constraint, StopMatcher, TokenMask } from './constraint.ts';
import { EventQueue } from './event-queue.ts';
import { type Sample, Sampler, type SamplerBuffers, type SamplingOptions, type SamplingParams } from './sampling.ts';
import type { Sequence, Task } from './sequence.ts';

export interface GenerateOptions extends SamplingOptions {
  /** Most tokens to generate; without it, until the context is full. */
  readonly maxTokens?: number;
  /** Ids that end the generation; they are part of it. Default: the engine's. */
  readonly stopIds?: readonly number[];
  /** All of them must allow a token. Each belongs to this generation alone. */
  readonly constraints?: readonly Constraint[];
  readonly stops?: readonly StopMatcher[];
  /** Positions in the prompt where other prompts may branch off (message borders); the prompt's end is always one. */
  readonly keep?: readonly number[];
  readonly signal?: AbortSignal;
  /** Who asks: waiting requests are served in turn by client. */
  readonly client?: string;
  /** Which of several samples of one request this is: gives each its own random draws under one seed. */
  readonly sample?: number;
}

/** `stop`: a stop id. `length`: maxTokens, or the context is full. `constraint`: no token was allowed. Else: the word of
 *  a stop matcher. */
export type FinishReason = 'stop' | 'length' | 'constraint' | (string & {});

export interface GeneratedToken {
  readonly id: number;
  readonly index: number; // 0 = first generated
  readonly logprob: number | null;
  readonly top: Sample['top'];
  /** Milliseconds since the request. */
  readonly ms: number;
}

export interface Usage {
  readonly promptTokens: number;
  /** Of these, how many were in the cache. */
  readonly cachedTokens: number;
  readonly completionTokens: number;
}

export interface Timings {
  readonly queueMs: number; // request to first pages
  readonly promptMs: number; // first pages to first logits
  readonly firstTokenMs: number; // request to first token
  readonly decodeMs: number; // first token to last token
}

export interface GenerationResult {
  readonly tokens: readonly number[]; // generated ids, stop id included
  readonly finishReason: FinishReason;
  readonly usage: Usage;
  readonly timings: Timings;
}

/** Tokens as they come; `result` settles at the end, also with the error if there was one. */
export interface Generation extends AsyncIterableIterator<GeneratedToken> {
  /** Generated so far; grows. */
  readonly tokens: readonly number[];
  readonly result: Promise<GenerationResult>;
}

export function abortedError(): GptOssError {
  return new GptOssError('aborted', 'the request was aborted; expected it to run to its end; nothing to do');
}

/** Milliseconds that pass between the stations of a request. */
export class Stopwatch {
  readonly #now: () => number;
  readonly start: number;
  #admitted: number | null = null;
  #first: number | null = null;
  #last = 0;

  constructor(now: () => number) {
    this.#now = now;
    this.start = now();
    this.#last = this.start;
  }

  admitted(): void {
    this.#admitted ??= this.#now();
  }

  /** Returns milliseconds since the request. */
  token(): number {
    this.#last = this.#now();
    this.#first ??= this.#last;
    return this.#last - this.start;
  }

  timings(): Timings {
    const admitted = this.#admitted ?? this.#last;
    const first = this.#first ?? this.#last;
    return {
      queueMs: admitted - this.start,
      promptMs: Math.max(0, first - admitted),
      firstTokenMs: first - this.start,
      decodeMs: this.#last - first,
    };
  }
}

export interface GenerationInit {
  readonly params: SamplingParams;
  readonly options: GenerateOptions;
  readonly prompt: Int32Array;
  readonly context: number;
  readonly stopIds: ReadonlySet<number>;
  readonly buffers: SamplerBuffers;
  readonly now: () => number;
  readonly onLeave: () => void;
}

export class GenerationTask implements Task {
  /** Set right after the sequence was made. */
  sequence!: Sequence;
  isDone = false;
  readonly generation: Generation;
  readonly #init: GenerationInit;
  readonly #queue: EventQueue<GeneratedToken>;
  readonly #sampler: Sampler;
  readonly #watch: Stopwatch;
  readonly #tokens: number[] = [];
  #cached: number | null = null;
  #settle!: { resolve: (result: GenerationResult) => void; reject: (error: unknown) => void };

  constructor(init: GenerationInit) {
    this.#init = init;
    this.#sampler = new Sampler(init.params, init.prompt, init.buffers, init.options.sample);
    this.#watch = new Stopwatch(init.now);
    this.#queue = new EventQueue(init.onLeave);
    const result = new Promise<GenerationResult>((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    result.catch(() => undefined); // readers of the stream see the error there
    this.generation = Object.assign(this.#queue, { result, tokens: this.#tokens });
  }

  get generated(): number {
    return this.#tokens.length;
  }

  get cached(): number {
    return this.#cached ?? 0;
  }

  scoredFrom(length: number): number {
    return length - 1;
  }

  admitted(reused: number): void {
    this.#cached ??= reused;
    this.#watch.admitted();
  }

  take(_position: number, logits: Float32Array): void {
    const { constraints = [], stops = [] } = this.#init.options;
    const masks: TokenMask[] = [];
    for (const constraint of constraints) {
      const mask = constraint.allowed();
      if (mask !== null) masks.push(mask);
    }
    const sample = this.#sampler.sample(logits, masks);
    const ms = this.#watch.token();
    if (sample === null) {
      this.finish('constraint');
      return;
    }
    const { id } = sample;
    this.#tokens.push(id);
    this.sequence.append(id);
    for (const constraint of constraints) constraint.accept(id);
    let reason: FinishReason | null = this.#init.stopIds.has(id) ? 'stop' : null;
    for (const stop of stops) reason = stop.accept(id) ?? reason;
    this.#queue.push({ id, index: this.#tokens.length - 1, logprob: sample.logprob, top: sample.top, ms });
    if (reason === null && this.isFull) reason = 'length';
    if (reason !== null) this.finish(reason);
  }

  /** No room for one more token. */
  get isFull(): boolean {
    return this.#room <= 0;
  }

  /** The token after the last guessed one is sampled, too. */
  get mostDrafted(): number {
    return Math.max(0, this.#room - 1);
  }

  /** Tokens that may still be generated. */
  get #room(): number {
    const { options, prompt, context } = this.#init;
    const generated = this.#tokens.length;
    return Math.min((options.maxTokens ?? Number.POSITIVE_INFINITY) - generated, context - prompt.length - generated);
  }

  finish(finishReason: FinishReason): void {
    this.isDone = true;
    this.#settle.resolve({
      tokens: this.#tokens,
      finishReason,
      usage: {
        promptTokens: this.#init.prompt.length,
        cachedTokens: this.cached,
        completionTokens: this.#tokens.length,
      },
      timings: this.#watch.timings(),
    });
    this.#queue.end();
  }

  fail(error: unknown): void {
    this.isDone = true;
    this.#settle.reject(error);
    this.#queue.fail(error);
  }
}
