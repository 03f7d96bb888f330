// What a checkpoint amounts to, for `inspect` and `fit`: element types, parameters, memory. Pure functions over the
// configuration and the table of entries; nothing is read. What a file resembles: resemblance.ts.

import type { ModelConfig } from './config.ts';
import { dtypeFacts } from './dtypes.ts';
import { roundingOf } from './rounded.ts';
import type { Matrix, TensorEntry } from './tensor.ts';

export interface TypeRow {
  readonly type: string; // the file's own word
  readonly tensors: number;
  readonly bytes: number;
}

/** Tensors and bytes by element type, most bytes first. */
export function typeHistogram(entries: readonly TensorEntry[]): TypeRow[] {
  const rows = new Map<string, { type: string; tensors: number; bytes: number }>();
  for (const { dtype, length } of entries) {
    const row = rows.get(dtype) ?? { type: dtype, tensors: 0, bytes: 0 };
    row.tensors++;
    row.bytes += length;
    rows.set(dtype, row);
  }
  return [...rows.values()].sort((a, b) => b.bytes - a.bytes);
}

export interface ParameterCounts {
  readonly total: number;
  /** Used for one token: the chosen experts, and the output matrix but not the one row of the embedding. */
  readonly active: number;
  readonly attention: number; // norms and sinks included
  readonly experts: number; // norms and routers included
  readonly vocabulary: number; // embedding, output, last norm
}

export function parameterCounts(c: ModelConfig): ParameterCounts {
  const q = c.heads * c.headDim;
  const kv = c.kvHeads * c.headDim;
  const attentionLayer = (c.hidden + 1) * (q + 2 * kv) + (q + 1) * c.hidden + c.heads + c.hidden;
  const routerAndNorm = c.experts * (c.hidden + 1) + c.hidden;
  const expert = 2 * c.intermediate * (c.hidden + 1) + c.hidden * (c.intermediate + 1);
  const matrix = c.vocab * c.hidden;
  const attention = c.layers * attentionLayer;
  const experts = c.layers * (routerAndNorm + c.experts * expert);
  const vocabulary = 2 * matrix + c.hidden;
  return {
    total: attention + experts + vocabulary,
    active: attention + c.layers * (routerAndNorm + c.expertsPerToken * expert) + matrix + c.hidden,
    attention,
    experts,
    vocabulary,
  };
}

/** Bytes of one cached value; q8 keeps a 16-bit scale for every 32. */
export const kvValueBytes: Readonly<Record<'f32' | 'f16' | 'q8', number>> = { f32: 4, f16: 2, q8: 34 / 32 };

export interface MemoryNeed {
  /** All tensors: pages of the file, shared with everyone who reads it and dropped under pressure. */
  readonly weights: number;
  /** Weights that a token touches, on average: what must stay in memory for steady speed is between this and `weights`. */
  readonly weightsPerToken: number;
  /** Copies of weights in memory: none unless some are rounded when the model is opened. */
  readonly copies: number;
  readonly cache: number;
  readonly total: number; // weights + copies + cache; activations are small beside them
}

/** Keys and values of `context` tokens: full layers keep all, sliding layers their window and one batch. */
export function cacheBytes(c: ModelConfig, context: number, kv: keyof typeof kvValueBytes, batchTokens = 512): number {
  const perToken = 2 * c.kvHeads * c.headDim * kvValueBytes[kv];
  const slidingLayers = c.sliding.filter((s) => s).length;
  const slidingTokens = Math.min(context, c.slidingWindow + batchTokens);
  return perToken * ((c.layers - slidingLayers) * context + slidingLayers * slidingTokens);
}

/** Stored bytes of one matrix, scales included. */
export function matrixBytes(m: Matrix): number {
  const { groupValues, groupBytes } = dtypeFacts[m.dtype];
  const values = m.experts * m.rows * m.cols;
  return (values / groupValues) * groupBytes + (m.scales === null ? 0 : values / 32);
}

export function memoryNeed(
  checkpoint: {
    readonly config: ModelConfig;
    readonly entries: readonly TensorEntry[];
    readonly tensors: {
      readonly embedding: Matrix;
      readonly layers: readonly { readonly gate: Matrix; readonly up: Matrix; readonly down: Matrix }[];
    } & Parameters<typeof roundingOf>[0];
  },
  context: number,
  kv: keyof typeof kvValueBytes,
  kind: 'stored' | 'q8' = 'stored',
): MemoryNeed {
  const { config, entries, tensors } = checkpoint;
  const weights = entries.reduce((n, e) => n + e.length, 0);
  const idle = 1 - config.expertsPerToken / config.experts;
  let unused = matrixBytes(tensors.embedding); // one row of it
  for (const { gate, up, down } of tensors.layers)
    unused += idle * (matrixBytes(gate) + matrixBytes(up) + matrixBytes(down));
  const cache = cacheBytes(config, context, kv);
  const { copied, replaced } = kind === 'q8' ? roundingOf(tensors) : { copied: 0, replaced: 0 };
  const weightsPerToken = Math.round(weights - unused - replaced + copied);
  return { weights, weightsPerToken, copies: copied, cache, total: weights + copied + cache };
}
