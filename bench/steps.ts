// What the benches of single steps share: a model opened from a path, sequences that grow in a cache of their own, medians.
import { CpuBackend } from '../src/backend/cpu/cpu.ts';
import { figure } from '../src/cli/bench/measure.ts';
import { openCheckpoint } from '../src/formats/checkpoint.node.ts';
import { createModel, type Lane, type Model } from '../src/model/load.ts';

export interface Opened {
  readonly model: Model;
  readonly backend: CpuBackend;
  close(): Promise<void>;
}

export function openModel(path: string, options: ConstructorParameters<typeof CpuBackend>[0] = {}): Opened {
  const checkpoint = openCheckpoint(path);
  const backend = new CpuBackend({ precision: 'fast', ...options });
  const model = createModel(checkpoint, backend);
  return {
    model,
    backend,
    async close() {
      await model.close();
      checkpoint.close();
    },
  };
}

/** Ids from a fixed generator, away from special tokens. */
export function randomTokens(count: number, vocab: number, seed = 1): Int32Array {
  let state = seed >>> 0;
  return Int32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * Math.floor(vocab / 2));
  });
}

/** One sequence with pages of its own; those of sliding layers are used in turn. Rows after `length` may be run again and
 *  again, and `length` may be set to any place whose pages hold something. */
export class OneSequence {
  readonly #lane: Lane;
  readonly #pages: Int32Array;
  readonly #sliding: Int32Array;
  length = 0;

  constructor(lane: Lane, pages: number, slidingPages = pages) {
    this.#lane = lane;
    this.#pages = Int32Array.from({ length: pages }, (_, i) => i);
    this.#sliding = this.#pages.map((i) => i % slidingPages);
  }

  /** Milliseconds of a step of these tokens; they stay unless they are only tried. */
  async step(tokens: Int32Array, scored: 'none' | 'all', isTried = false): Promise<number> {
    const rows = tokens.length;
    const start = performance.now();
    await this.#lane.run({
      tokens,
      sequences: [
        { firstRow: 0, rowCount: rows, position: this.length, fullPages: this.#pages, slidingPages: this.#sliding },
      ],
      scored: Int32Array.from(scored === 'all' ? { length: rows } : [], (_, i) => i),
    });
    if (!isTried) this.length += rows;
    return performance.now() - start;
  }
}

export const median = (values: readonly number[]): number => figure(values).median;
