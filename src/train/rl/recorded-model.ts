// A model for rollouts: the serving engine runs it like any other, and it remembers which experts each token of each
// prefix went to, so that training can send the same tokens to the same experts. A prefix is known by a chained hash of
// its tokens, kept beside the pages; shared prompt pages thus share what was recorded. Needs `exact`: there a token's
// experts depend on its prefix alone, not on company. Next: rollouts.ts.

import type { Backend, Batch, Buffer, KvCache, Program, RunOptions } from '../../backend/backend.ts';
import type { Lane, StepModel } from '../../engine/step-model.ts';
import { GptOssError } from '../../errors.ts';
import type { ModelTensors } from '../../formats/checkpoint.ts';
import type { ModelConfig } from '../../formats/config.ts';
import { type CacheSize, createModel, type LaneSize, type Model } from '../../model/load.ts';
import { attentionHalf, expertHalf, head, type Recording } from '../../model/model.ts';
import { createWorkspace, type Workspace } from '../../model/workspace.ts';

/** Two 32-bit lanes of a hash over the tokens so far. */
const START = [0x811c9dc5, 0x9747b28c] as const;

function chained([a, b]: readonly [number, number], token: number): readonly [number, number] {
  const x = Math.imul(a ^ (token + 1), 0x01000193);
  const y = Math.imul((b ^ x) + token, 0x85ebca6b);
  return [x ^ (x >>> 13), y ^ (y >>> 15)];
}

const keyOf = ([a, b]: readonly [number, number]): number => (a >>> 0) * 2 ** 21 + (b >>> 11);

export class RecordedModel implements StepModel {
  readonly model: Model;
  readonly #experts = new Map<number, Uint16Array>(); // prefix -> [layers, expertsPerToken]

  constructor(source: { config: ModelConfig; tensors: ModelTensors }, backend: Backend) {
    if (backend.precision !== 'exact') {
      throw new GptOssError(
        'invalid-request',
        `rollouts would run ${backend.precision}; expected exact: log-probabilities have to be those of training; open the backend with precision exact`,
      );
    }
    this.model = createModel(source, backend);
  }

  get vocab(): number {
    return this.model.vocab;
  }
  get maxContext(): number {
    return this.model.maxContext;
  }
  get slidingWindow(): number {
    return this.model.slidingWindow;
  }
  get slidingLayers(): number {
    return this.model.slidingLayers;
  }
  get maxRows(): number {
    return this.model.maxRows;
  }

  cache(size: CacheSize): KvCache {
    return new RecordedCache(this.model.cache(size));
  }

  lane(size: LaneSize, cache: KvCache): Lane {
    if (!(cache instanceof RecordedCache)) throw new GptOssError('internal', 'a lane got the cache of another model');
    return new RecordedLane(this.model, size, cache, (prefix, experts) => this.#experts.set(prefix, experts));
  }

  /** Experts of tokens [0, rows) of a sequence that ran: [layers, rows, expertsPerToken], as TrainBatch wants them. */
  expertsOf(ids: ArrayLike<number>, rows: number): Int32Array {
    const { layers, expertsPerToken: k } = this.model.config;
    const out = new Int32Array(layers * rows * k);
    let state: readonly [number, number] = START;
    for (let row = 0; row < rows; row++) {
      state = chained(state, ids[row]!);
      const experts = this.#experts.get(keyOf(state));
      if (experts === undefined) throw new GptOssError('internal', `token ${row} of a rollout was not recorded`);
      for (let l = 0; l < layers; l++) {
        for (let i = 0; i < k; i++) out[(l * rows + row) * k + i] = experts[l * k + i]!;
      }
    }
    return out;
  }

  async close(): Promise<void> {
    await this.model.close();
  }
}

/** The backend's cache, and for each place of its full pages the hash of the prefix that ends there. */
class RecordedCache implements KvCache {
  readonly inner: KvCache;
  readonly spec: KvCache['spec'];
  readonly #hashes: Int32Array; // [fullPages, pageTokens, 2]

  constructor(inner: KvCache) {
    this.inner = inner;
    this.spec = inner.spec;
    this.#hashes = new Int32Array(inner.spec.fullPages * inner.spec.pageTokens * 2);
  }

  hashAt(pages: Int32Array, position: number): readonly [number, number] {
    if (position < 0) return START;
    const at = this.#place(pages, position);
    return [this.#hashes[at]!, this.#hashes[at + 1]!];
  }

  keep(pages: Int32Array, position: number, hash: readonly [number, number]): void {
    const at = this.#place(pages, position);
    this.#hashes[at] = hash[0];
    this.#hashes[at + 1] = hash[1];
  }

  #place(pages: Int32Array, position: number): number {
    const { pageTokens } = this.spec;
    return 2 * (pages[Math.floor(position / pageTokens)]! * pageTokens + (position % pageTokens));
  }

  pageBytes(group: 'full' | 'sliding'): number {
    return this.inner.pageBytes(group);
  }

  copyPage(group: 'full' | 'sliding', from: number, to: number): void {
    this.inner.copyPage(group, from, to);
    if (group !== 'full') return;
    const size = 2 * this.spec.pageTokens;
    this.#hashes.copyWithin(to * size, from * size, (from + 1) * size);
  }

  readPage(group: 'full' | 'sliding', page: number): Uint8Array {
    return this.inner.readPage(group, page);
  }

  writePage(group: 'full' | 'sliding', page: number, bytes: Uint8Array): void {
    this.inner.writePage(group, page, bytes);
  }

  close(): void {
    this.inner.close();
  }
}

class RecordedLane implements Lane {
  readonly #backend: Backend;
  readonly #cache: RecordedCache;
  readonly #workspace: Workspace;
  readonly #ids: readonly Buffer[]; // of each layer
  readonly #program: Program;
  readonly #keep: (prefix: number, experts: Uint16Array) => void;

  constructor(
    model: Model,
    size: LaneSize,
    cache: RecordedCache,
    keep: (prefix: number, experts: Uint16Array) => void,
  ) {
    const { backend, config, weights } = model;
    this.#backend = backend;
    this.#cache = cache;
    this.#keep = keep;
    this.#workspace = createWorkspace(backend, config, size);
    this.#ids = Array.from({ length: config.layers }, (_, l) =>
      backend.buffer({ name: `expertIds.${l}`, width: config.expertsPerToken, type: 'i32', maxRows: size.rows }),
    );
    this.#program = backend.record((ops) => {
      const on = (layer: number): Recording => ({
        ...{ ops, config, weights, cache: cache.inner },
        a: { ...this.#workspace, expertIds: this.#ids[layer]! },
      });
      ops.embed(this.#workspace.residual, weights.embedding);
      for (let layer = 0; layer < config.layers; layer++) {
        attentionHalf(on(layer), layer);
        ops.segment();
        expertHalf(on(layer), layer);
        ops.segment();
      }
      head(on(0));
    });
  }

  async run(batch: Batch, options?: RunOptions): Promise<void> {
    await this.#backend.run(this.#program, batch, options);
    const rows = batch.tokens.length;
    const perLayer = this.#ids.map((buffer) => this.#backend.read(buffer, 0, rows));
    const k = this.#ids[0]!.width;
    for (const { firstRow, rowCount, position, fullPages } of batch.sequences) {
      let hash = this.#cache.hashAt(fullPages, position - 1);
      for (let i = 0; i < rowCount; i++) {
        const row = firstRow + i;
        hash = chained(hash, batch.tokens[row]!);
        this.#cache.keep(fullPages, position + i, hash);
        const experts = new Uint16Array(perLayer.length * k);
        for (const [l, ids] of perLayer.entries()) for (let j = 0; j < k; j++) experts[l * k + j] = ids[row * k + j]!;
        this.#keep(keyOf(hash), experts);
      }
    }
  }

  logits(scoredRow: number): Float32Array {
    return this.#backend.read(this.#workspace.logits, scoredRow, 1) as Float32Array;
  }
}
