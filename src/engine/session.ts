// Owns: one line of tokens over time, as a conversation sees it: what was asked last and what came back, token for token.
// The caller always hands over the whole list; what of it is cached already is found by the engine, for every caller
// alike, so a session holds no pages. Next: agent/turn.ts, which keeps one for each conversation.

import { GptOssError } from '../errors.ts';
import type { Engine } from './engine.ts';
import type { GenerateOptions, Generation } from './generation.ts';

export class Session {
  readonly #engine: Engine;
  #tokens: Int32Array = new Int32Array(0);
  #running: AbortController | null = null;
  #isClosed = false;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** The last prompt and what was generated after it, as far as it came. */
  get tokens(): Int32Array {
    return this.#tokens;
  }

  /** Goes on from `tokens`; one generation at a time. */
  generate(tokens: ArrayLike<number>, options: GenerateOptions = {}): Generation {
    if (this.#isClosed || this.#running !== null) {
      const state = this.#isClosed ? 'is closed' : 'is generating already';
      throw new GptOssError('invalid-request', `the session ${state}; expected an idle one; open another session`);
    }
    const controller = new AbortController();
    const { signal: outer } = options;
    const signal = outer === undefined ? controller.signal : AbortSignal.any([outer, controller.signal]);
    const prompt = Int32Array.from(tokens);
    const generation = this.#engine.generate(prompt, { ...options, signal });
    this.#tokens = prompt;
    this.#running = controller;
    const done = (): void => {
      const tokens = new Int32Array(prompt.length + generation.tokens.length);
      tokens.set(prompt);
      tokens.set(generation.tokens, prompt.length);
      this.#tokens = tokens;
      this.#running = null;
    };
    generation.result.then(done, done);
    return generation;
  }

  /** Aborts what runs. The cache keeps what was computed. */
  close(): void {
    this.#isClosed = true;
    this.#running?.abort();
  }
}
