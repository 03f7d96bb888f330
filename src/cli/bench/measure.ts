// How figures are taken: medians of runs after one warm-up, runs of different kinds alternating, the spread kept. Each
// prompt is new to the engine, so nothing is answered from its cache. Next: ops.ts (single ops), bench.ts (the report).

import type { Engine } from '../../engine/engine.ts';

export interface Figure {
  readonly median: number;
  readonly low: number;
  readonly high: number;
  readonly runs: readonly number[];
}

export function figure(runs: readonly number[]): Figure {
  const sorted = [...runs].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { median, low: sorted[0]!, high: sorted.at(-1)!, runs };
}

/** Token ids that no earlier prompt began with. */
export class PromptSource {
  readonly #vocab: number;
  #state = 0x2545f491;

  constructor(vocab: number) {
    this.#vocab = vocab;
  }

  take(length: number): Int32Array {
    return Int32Array.from({ length }, () => {
      this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0;
      return Math.floor((this.#state / 2 ** 32) * this.#vocab);
    });
  }
}

export interface Speeds {
  readonly promptPerSecond: number;
  readonly decodePerSecond: number;
}

/** Reads `length` tokens, then decodes. */
export async function timeAnswer(
  engine: Engine,
  prompt: Int32Array,
  decode: number,
  signal: AbortSignal,
): Promise<Speeds> {
  engine.forget();
  const options = { temperature: 0, maxTokens: decode, stopIds: [], signal };
  const { timings, usage } = await engine.generate(prompt, options).result;
  return {
    promptPerSecond: (usage.promptTokens / timings.promptMs) * 1000,
    decodePerSecond: ((usage.completionTokens - 1) / timings.decodeMs) * 1000,
  };
}
