// Attention of the reference: for each row and query head, one softmax over the visible keys and the head's sink.
// Keys are visited in ascending position, sums are float64: page order, chunking and company cannot change a bit.
// Next: moe.ts.

import type { Batch } from '../backend.ts';
import type { ReferenceCache } from './kv.ts';
import { dot } from './linear.ts';
import type { Floats, ReferenceBuffer } from './storage.ts';

/** softmax over keys and sink; the sink takes its share of the sum and gives no value (model-spec §1.5). */
export function attention(
  y: ReferenceBuffer,
  q: ReferenceBuffer,
  cache: ReferenceCache,
  layer: number,
  sinks: Floats, // [heads]
  window: number | null,
  batch: Batch,
): void {
  const { headDim, kvHeads, pageTokens } = cache.spec;
  const heads = q.width / headDim;
  const group = heads / kvHeads; // query head h reads kv head h div group
  const scale = 1 / Math.sqrt(headDim); // on q·k, never on the sink
  const keys = cache.keys[layer];
  const values = cache.values[layer];
  const out = new Float64Array(headDim);
  for (const { firstRow, rowCount, position, fullPages, slidingPages } of batch.sequences) {
    const pages = cache.spec.layers[layer].sliding ? slidingPages : fullPages;
    const longest = Math.min(window ?? position + rowCount, position + rowCount);
    const starts = new Float64Array(longest); // where each visible token's key and value lie
    const weights = new Float64Array(longest);
    for (let i = 0; i < rowCount; i++) {
      const last = position + i;
      const first = window === null ? 0 : Math.max(0, last - window + 1);
      const visible = last - first + 1;
      for (let t = 0; t < visible; t++) {
        const at = first + t;
        starts[t] = (pages[Math.floor(at / pageTokens)] * pageTokens + (at % pageTokens)) * cache.width;
      }
      for (let h = 0; h < heads; h++) {
        const query = (firstRow + i) * q.width + h * headDim;
        const kvHead = Math.floor(h / group) * headDim;
        let max = sinks[h];
        for (let t = 0; t < visible; t++) {
          weights[t] = dot(q.floats, query, keys, starts[t] + kvHead, headDim) * scale;
          max = Math.max(max, weights[t]);
        }
        let sum = Math.exp(sinks[h] - max);
        out.fill(0);
        for (let t = 0; t < visible; t++) {
          const weight = Math.exp(weights[t] - max);
          const value = starts[t] + kvHead;
          sum += weight;
          for (let d = 0; d < headDim; d++) out[d] += weight * values[value + d];
        }
        for (let d = 0; d < headDim; d++) y.floats[query + d] = out[d] / sum;
      }
    }
  }
}
