// The contract between the model and whatever computes it. Read this before any implementation.
//
// The model is recorded once as a list of ops over named buffers, then run for each step with a Batch that says which
// tokens are in it. Three rules make that work on every device:
//   1. Ops record; only `run` awaits. An op returns nothing and names its destination first.
//   2. There is no batch axis. A step is [rows, width]; a row is one token of some sequence, prefill or decode.
//      Everything but attention and the cache is row-wise. `model.ts` never mentions row counts, dtypes or kernels.
//   3. Everything that changes from step to step is in the Batch, so a program is recorded once and replayed.
//
// A program is a list of segments; `run` may pause between two of them, so that a long prompt does not starve decodes.
// Shapes are checked at record time, with op and operand named; after that kernels cannot fail.
// Next: reference/ (plain loops, the oracle), then cpu/.

import type { Matrix, Vector } from '../formats/tensor.ts';

/** `exact`: float32 activations, fixed reduction order per row (same bits alone, in company, in chunks, any thread
 *  count). `fast`: 8/16-bit activations. See docs: tolerances. */
export type Precision = 'exact' | 'fast';
export type KvType = 'f32' | 'f16' | 'q8';
/** Weights as they are stored, or those of plain numbers rounded to Q8_0 where the model allows it. */
export type WeightKind = 'stored' | 'q8';

/** A named activation: [rows of the step, width], or [scored rows, width]. Opaque; made by `Backend.buffer`. */
export interface Buffer {
  readonly name: string;
  readonly width: number;
  readonly type: 'f32' | 'i32';
  readonly rows: 'step' | 'scored';
  /** Rows it holds; absent: as many as the backend takes. Steps with more are refused (batch.ts). */
  readonly maxRows?: number;
}

/** A loaded matrix or float32 vector. Opaque; a backend may map, split or repack it. */
export interface Weight {
  readonly name: string;
  readonly experts: number;
  readonly rows: number; // for a vector: 1
  readonly cols: number; // for a vector: its length (per expert)
}

/** YaRN-scaled rotary frequencies (model-spec §1.4): angle = position · inverse[i]; cos and sin times `scale`. */
export interface Rope {
  readonly inverse: Float32Array; // [headDim / 2]
  readonly scale: number; // concentration
}

/** What a matrix is for. */
export interface MatrixUse {
  /** Every token reads all of it: a backend that was asked to may round it to 8 bits. Default false. */
  readonly mayRound?: boolean;
}

/** Two groups of pages share one page size: full-attention layers and sliding layers. */
export interface CacheSpec {
  readonly layers: readonly { readonly sliding: boolean }[];
  readonly kvHeads: number;
  readonly headDim: number;
  readonly pageTokens: number; // a power of two
  /** Pages in each group's pool. One page holds `pageTokens` tokens of every layer of the group. */
  readonly fullPages: number;
  readonly slidingPages: number;
  readonly type: KvType;
}

/** Paged keys and values. Which sequence owns which page is the engine's business (engine/pages.ts). */
export interface KvCache {
  readonly spec: CacheSpec;
  /** Bytes of one page of a group (all its layers, K and V). */
  pageBytes(group: 'full' | 'sliding'): number;
  copyPage(group: 'full' | 'sliding', from: number, to: number): void;
  /** A page as bytes, to save and restore a prefix; layout is private to backend, precision and spec. */
  readPage(group: 'full' | 'sliding', page: number): Uint8Array;
  writePage(group: 'full' | 'sliding', page: number, bytes: Uint8Array): void;
  close(): void;
}

/** The rows of one sequence in this step. Rows are consecutive and in order of position. */
export interface SequenceRows {
  readonly firstRow: number;
  readonly rowCount: number;
  readonly position: number; // of the first row; all earlier positions are already in the cache
  /** Page of positions [i*pageTokens, (i+1)*pageTokens) is pages[i]; covers position + rowCount. */
  readonly fullPages: Int32Array;
  /** Same indexing; -1 where the window has passed and the page was given back. */
  readonly slidingPages: Int32Array;
  /** Full-attention layers already hold all positions before this one, and are to keep what they hold: such rows run
   *  again only to fill sliding layers. Default 0. */
  readonly fullFrom?: number;
}

export interface Batch {
  readonly tokens: Int32Array; // [rows], each in [0, vocab)
  readonly sequences: readonly SequenceRows[]; // cover all rows, in order
  /** Rows whose logits are wanted; buffers of kind 'scored' have one row for each, in this order. */
  readonly scored: Int32Array;
  /** Forces routing (tests, reinforcement learning): expert ids [layers][rows][expertsPerToken]. The gates are still
   *  computed from the router's logits of those experts. */
  readonly expertIds?: Int32Array;
  /** Training: the token each scored row is to predict, and the weight of its loss. [scored] */
  readonly targets?: { readonly ids: Int32Array; readonly weights: Float32Array };
}

/** Two weights of one shape family; see Matrix for interleaved and split storage. */
export interface ExpertUp {
  readonly gate: Weight;
  readonly up: Weight;
  readonly gateBias: Weight; // vector, [experts, intermediate]
  readonly upBias: Weight;
}

export interface Ops {
  /** Marks the end of a segment: `run` may pause here. */
  segment(): void;
  /** y = table[token of each row] */
  embed(y: Buffer, table: Weight): void;
  /** y = x · rsqrt(mean(x²) + eps) · gain (model-spec §1.3). y may be x. */
  rmsNorm(y: Buffer, x: Buffer, gain: Weight, eps: number): void;
  /** y = W x + b; with `add`, y += W x + b (the residual is never a separate pass). bias may be null. y is not x. */
  linear(y: Buffer, x: Buffer, w: Weight, bias: Weight | null, options?: { add?: boolean }): void;
  /** Rotates q and k in place by position, then writes k and v into the pages of `layer`. Positions from the batch. */
  ropeCache(q: Buffer, k: Buffer, v: Buffer, rope: Rope, cache: KvCache, layer: number): void;
  /** Causal grouped-query attention over the cache with one sink logit per query head, scale 1/√headDim on q·k only.
   *  window = keys visible, current one included; null = all. y: [rows, heads*headDim]. */
  attention(y: Buffer, q: Buffer, cache: KvCache, layer: number, sinks: Weight, window: number | null): void;
  /** ids = top-k experts by logit (highest first, ties: lower id), gates = softmax over those k. k = width of ids. */
  route(ids: Buffer, gates: Buffer, logits: Buffer, layer: number): void;
  /** h[row, i*intermediate …] = clamped SwiGLU of expert ids[row, i] (model-spec §1.6). h: [rows, k*intermediate]. */
  moeUp(h: Buffer, x: Buffer, ids: Buffer, weights: ExpertUp, alpha: number, limit: number): void;
  /** y += Σ_i gates[row, i] · (W_down[ids[row, i]] h_i + b_down), in order i = 0 … k-1. */
  moeDown(y: Buffer, h: Buffer, ids: Buffer, gates: Buffer, down: Weight, downBias: Weight): void;
  /** y[i] = x[scored[i]]: keep only the rows whose logits are wanted. y is of kind 'scored'. */
  gatherRows(y: Buffer, x: Buffer): void;
}

/** A recorded list of segments. Opaque. */
export interface Program {
  readonly segments: number;
}

export interface RunOptions {
  readonly signal?: AbortSignal;
  /** Called between segments; a promise is awaited before going on (a decode step of others may run meanwhile). */
  readonly pause?: (segmentsDone: number, segments: number) => void | Promise<void>;
}

export interface BufferSpec {
  readonly name: string;
  readonly width: number;
  readonly type?: 'f32' | 'i32'; // default f32
  readonly rows?: 'step' | 'scored'; // default step
  /** Rows that will ever be needed, when that is less than the backend's maxRows. */
  readonly maxRows?: number;
}

export interface Backend {
  readonly name: 'reference' | 'cpu' | 'webgpu';
  readonly precision: Precision;
  /** Human words for `doctor`: ISA variant, threads, device. */
  readonly description: string;
  /** Largest number of rows one step may have (buffers are sized for it). */
  readonly maxRows: number;
  matrix(matrix: Matrix, use?: MatrixUse): Weight;
  vector(vector: Vector): Weight;
  buffer(spec: BufferSpec): Buffer;
  cache(spec: CacheSpec): KvCache;
  record(fn: (ops: Ops) => void): Program;
  /** One step. Throws `invalid-request` for ids outside the vocabulary or tables that do not cover the rows, before
   *  anything runs; `aborted` when the signal fires (cache contents of this step are then undefined). At most one
   *  program runs at a time per backend; callers queue (a pause callback may run another program on other sequences,
   *  provided that it uses other buffers: see Backend.buffer). */
  run(program: Program, batch: Batch, options?: RunOptions): Promise<void>;
  /** Copies rows out of a buffer after `run`. f32 or i32 by the buffer's type. */
  read(buffer: Buffer, firstRow: number, rowCount: number): Float32Array | Int32Array;
  /** Fills a buffer's rows (tests of single ops). */
  write(buffer: Buffer, firstRow: number, data: Float32Array | Int32Array): void;
  /** Bytes of files whose pages are used where they lie; absent where weights are copies. */
  readonly mappedBytes?: number;
  /** Brings these pages into memory ahead of need, with all threads; a step waits for the piece that is under way. */
  populate?(options?: PopulateOptions): Promise<void>;
  close(): Promise<void>;
}

export interface PopulateOptions {
  readonly signal?: AbortSignal;
  /** Bytes so far and in all. */
  readonly progress?: (done: number, total: number) => void;
}

/** Per-op tolerances against the reference, relative to the largest output, with the reason. Used by backend.case.ts. */
export const tolerances = {
  exact: { op: 1e-5, logits: 1e-3 }, // float32, other summation order
  fast: { opRelativeRms: 0.02 }, // 8-bit activations: about 0.4 % per op, margin for outliers
} as const;
