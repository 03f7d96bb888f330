// Row-wise ops of the reference: embed, rmsNorm, route, gatherRows, and rotary embedding with the write to the cache.
// Sums run in float64 (a JavaScript number) in ascending order; results are stored in the buffer's type.
// Next: linear.ts.

import type { Batch, Rope } from '../backend.ts';
import type { ReferenceCache } from './kv.ts';
import type { Floats, MatrixTiles, ReferenceBuffer } from './storage.ts';

export function embed(y: ReferenceBuffer, table: MatrixTiles, tokens: Int32Array): void {
  for (let r = 0; r < tokens.length; r++) y.floats.set(table.row(tokens[r]), r * y.width);
}

/** y = x · rsqrt(mean(x²) + eps) · gain; y may be x. */
export function rmsNorm(y: Floats, x: Floats, gain: Floats, rows: number, width: number, eps: number): void {
  for (let r = 0; r < rows; r++) {
    const start = r * width;
    let squares = 0;
    for (let i = 0; i < width; i++) squares += x[start + i] * x[start + i];
    const scale = 1 / Math.sqrt(squares / width + eps);
    for (let i = 0; i < width; i++) y[start + i] = x[start + i] * scale * gain[i];
  }
}

/** Rotates pairs (i, i + headDim/2) of every head of one row in place. The angle is a float32 product (model-spec §1.4). */
export function rotate(x: Floats, start: number, width: number, rope: Rope, position: number): void {
  const half = rope.inverse.length;
  for (let i = 0; i < half; i++) {
    const angle = Math.fround(position * rope.inverse[i]);
    const cos = Math.cos(angle) * rope.scale;
    const sin = Math.sin(angle) * rope.scale;
    for (let head = start; head < start + width; head += 2 * half) {
      const a = x[head + i];
      const b = x[head + half + i];
      x[head + i] = a * cos - b * sin;
      x[head + half + i] = b * cos + a * sin;
    }
  }
}

export function ropeCache(
  q: ReferenceBuffer,
  k: ReferenceBuffer,
  v: ReferenceBuffer,
  rope: Rope,
  cache: ReferenceCache,
  layer: number,
  batch: Batch,
): void {
  const { pageTokens } = cache.spec;
  const { sliding } = cache.spec.layers[layer];
  for (const { firstRow, rowCount, position, fullPages, slidingPages, fullFrom = 0 } of batch.sequences) {
    const pages = sliding ? slidingPages : fullPages;
    const writeFrom = sliding ? 0 : fullFrom;
    for (let i = 0; i < rowCount; i++) {
      const row = firstRow + i;
      const at = position + i;
      rotate(q.floats, row * q.width, q.width, rope, at);
      rotate(k.floats, row * k.width, k.width, rope, at);
      if (at < writeFrom) continue;
      const slot = pages[Math.floor(at / pageTokens)] * pageTokens + (at % pageTokens);
      cache.store(cache.keys[layer], slot, k.floats, row * k.width);
      cache.store(cache.values[layer], slot, v.floats, row * v.width);
    }
  }
}

/** ids = top k by logit (highest first, ties: lower id), or the forced ones; gates = softmax over those k. */
export function route(
  ids: Int32Array,
  gates: Floats,
  logits: Floats,
  rows: number,
  experts: number,
  k: number,
  forced: Int32Array | null, // [rows, k]
): void {
  for (let r = 0; r < rows; r++) {
    const from = r * experts;
    const to = r * k;
    for (let i = 0; i < k; i++) {
      if (forced !== null) {
        ids[to + i] = forced[to + i];
        continue;
      }
      let best = -1;
      for (let e = 0; e < experts; e++) {
        if (ids.subarray(to, to + i).includes(e)) continue;
        if (best === -1 || logits[from + e] > logits[from + best]) best = e;
      }
      ids[to + i] = best;
    }
    let max = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < k; i++) max = Math.max(max, logits[from + ids[to + i]]);
    let sum = 0;
    for (let i = 0; i < k; i++) sum += Math.exp(logits[from + ids[to + i]] - max);
    for (let i = 0; i < k; i++) gates[to + i] = Math.exp(logits[from + ids[to + i]] - max) / sum;
  }
}

export function gatherRows(y: ReferenceBuffer, x: ReferenceBuffer, scored: Int32Array): void {
  for (let i = 0; i < scored.length; i++) {
    const start = scored[i] * x.width;
    y.floats.set(x.floats.subarray(start, start + x.width), i * y.width);
  }
}
