// A checkpoint on a backend, ready to run: weights, caches, and lanes. A lane is one recorded program with activations
// of its own, over the shared weights and one cache: while a long prompt's step is paused between two segments on one
// lane, decodes may run on another. It knows tokens and pages by number only; sequences belong to the engine.
// Next: model.ts for what a lane runs.

import type { Backend, Batch, CacheSpec, KvCache, KvType, Program, RunOptions } from '../backend/backend.ts';
import { GptOssError } from '../errors.ts';
import type { ModelTensors } from '../formats/checkpoint.ts';
import type { ModelConfig } from '../formats/config.ts';
import { recordForward } from './model.ts';
import { loadWeights, type ModelWeights } from './weights.ts';
import { createWorkspace, type Workspace } from './workspace.ts';

/** Pages of the two groups; the rest of a CacheSpec follows from the model. */
export interface CacheSize {
  readonly pageTokens: number; // a power of two
  readonly fullPages: number;
  readonly slidingPages: number;
  readonly type: KvType;
}

export interface LaneSize {
  readonly rows: number; // most rows of one step
  readonly scored: number; // most rows that leave logits
}

/** One program and its activations. Steps of one lane follow each other. */
export class Lane {
  readonly workspace: Workspace;
  readonly size: LaneSize;
  readonly #backend: Backend;
  readonly #program: Program;
  #scored = 0; // rows of logits that the last step left

  constructor(model: Model, size: LaneSize, cache: KvCache) {
    this.size = size;
    this.#backend = model.backend;
    this.workspace = createWorkspace(model.backend, model.config, size);
    this.#program = model.backend.record((ops) =>
      recordForward(ops, model.weights, this.workspace, model.config, cache),
    );
  }

  /** One step. Rejects with `aborted` when the signal fires; what it wrote to the cache is then undefined. */
  async run(batch: Batch, options?: RunOptions): Promise<void> {
    if (batch.tokens.length > this.size.rows || batch.scored.length > this.size.scored) {
      throw new GptOssError(
        'invalid-request',
        `a step of ${batch.tokens.length} rows with ${batch.scored.length} scored; this lane takes ${this.size.rows} and ${this.size.scored}; split the step`,
      );
    }
    this.#scored = 0;
    await this.#backend.run(this.#program, batch, options);
    this.#scored = batch.scored.length;
  }

  /** Logits of a scored row of the last step: [vocab], the caller's to change. */
  logits(scoredRow: number): Float32Array {
    if (!(scoredRow >= 0 && scoredRow < this.#scored)) {
      throw new GptOssError(
        'internal',
        `logits of scored row ${scoredRow} were asked for; the last step left ${this.#scored}`,
      );
    }
    return this.#backend.read(this.workspace.logits, scoredRow, 1) as Float32Array;
  }
}

export class Model {
  readonly config: ModelConfig;
  readonly backend: Backend;
  readonly weights: ModelWeights;

  constructor(config: ModelConfig, tensors: ModelTensors, backend: Backend) {
    this.config = config;
    this.backend = backend;
    this.weights = loadWeights(tensors, config, backend);
  }

  get vocab(): number {
    return this.config.vocab;
  }
  get maxContext(): number {
    return this.config.maxContext;
  }
  get slidingWindow(): number {
    return this.config.slidingWindow;
  }
  get slidingLayers(): number {
    return this.config.sliding.filter((isSliding) => isSliding).length;
  }
  /** Most rows of one step. */
  get maxRows(): number {
    return this.backend.maxRows;
  }

  cache(size: CacheSize): KvCache {
    return this.backend.cache(cacheSpec(this.config, size));
  }

  lane(size: LaneSize, cache: KvCache): Lane {
    return new Lane(this, size, cache);
  }

  /** Ends the backend. The checkpoint stays open: its bytes are in use until then, and its owner closes it after. */
  async close(): Promise<void> {
    await this.backend.close();
  }
}

export function cacheSpec(config: ModelConfig, size: CacheSize): CacheSpec {
  const { kvHeads, headDim } = config;
  return { ...size, kvHeads, headDim, layers: config.sliding.map((sliding) => ({ sliding })) };
}

/** Any opened checkpoint will do: see formats/checkpoint.ts. */
export function createModel(checkpoint: { config: ModelConfig; tensors: ModelTensors }, backend: Backend): Model {
  return new Model(checkpoint.config, checkpoint.tensors, backend);
}
