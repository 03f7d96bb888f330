// The matmul of the reference: y = W x + b over rows, tile by tile of W. Products and sums are float64 (JavaScript
// numbers) in a fixed order per dot product: four interleaved partial sums over ascending k, then (0+1)+(2+3). The
// result is rounded once, when it is stored. So a row's bits never depend on other rows. Next: attention.ts.

import type { Floats, MatrixTiles } from './storage.ts';

/** Σ a[i]·b[i]. Four partial sums keep the adder busy; their order is part of the reference's definition. */
export function dot(a: Floats, aStart: number, b: Floats, bStart: number, count: number): number {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  const even = count - (count & 3);
  for (let i = 0; i < even; i += 4) {
    s0 += a[aStart + i] * b[bStart + i];
    s1 += a[aStart + i + 1] * b[bStart + i + 1];
    s2 += a[aStart + i + 2] * b[bStart + i + 2];
    s3 += a[aStart + i + 3] * b[bStart + i + 3];
  }
  for (let i = even; i < count; i++) s0 += a[aStart + i] * b[bStart + i];
  return s0 + s1 + (s2 + s3);
}

/** y[r] = W x[r] + bias, or y[r] += …, for `rows` rows. */
export function linear(y: Floats, x: Floats, rows: number, w: MatrixTiles, bias: Floats | null, add: boolean): void {
  for (let tile = 0; tile < w.tilesPerExpert; tile++) {
    const weights = w.tile(0, tile);
    const first = tile * w.tileRows;
    const count = Math.min(w.tileRows, w.rows - first);
    for (let r = 0; r < rows; r++) {
      for (let o = 0; o < count; o++) {
        const sum = dot(weights, o * w.cols, x, r * w.cols, w.cols) + (bias === null ? 0 : bias[first + o]);
        const to = r * w.rows + first + o;
        y[to] = add ? y[to] + sum : sum;
      }
    }
  }
}

/** out = W_expert x + b_expert for one row x. */
export function expertRow(
  out: Float64Array, // [w.rows]
  w: MatrixTiles,
  expert: number,
  bias: Floats, // [experts, w.rows]
  x: Floats,
  xStart: number,
): void {
  for (let tile = 0; tile < w.tilesPerExpert; tile++) {
    const weights = w.tile(expert, tile);
    const first = tile * w.tileRows;
    const count = Math.min(w.tileRows, w.rows - first);
    for (let o = 0; o < count; o++) {
      out[first + o] = dot(weights, o * w.cols, x, xStart, w.cols) + bias[expert * w.rows + first + o];
    }
  }
}
