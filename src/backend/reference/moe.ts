// Mixture of experts of the reference: each row visits its chosen experts one after the other.
// Sums over experts run in order i = 0 … k-1. Routing itself is row-wise and lives in rows.ts.

import { expertRow } from './linear.ts';
import type { Floats, MatrixTiles } from './storage.ts';

/** Clamped SwiGLU (model-spec §1.6): gate limited from above only, up on both sides and then + 1. */
export function swiglu(gate: number, up: number, alpha: number, limit: number): number {
  const g = Math.min(gate, limit);
  const u = Math.min(Math.max(up, -limit), limit);
  return (g / (1 + Math.exp(-alpha * g))) * (u + 1);
}

export interface UpWeights {
  readonly gate: MatrixTiles;
  readonly up: MatrixTiles;
  readonly gateBias: Floats; // [experts, intermediate]
  readonly upBias: Floats;
}

/** h[r, i] = swiglu(gate_e x[r] + b, up_e x[r] + b), e = ids[r, i]. */
export function moeUp(
  h: Floats, // [rows, k, intermediate]
  x: Floats, // [rows, hidden]
  ids: Int32Array, // [rows, k]
  rows: number,
  k: number,
  weights: UpWeights,
  alpha: number,
  limit: number,
): void {
  const { gate, up, gateBias, upBias } = weights;
  const gates = new Float64Array(gate.rows);
  const ups = new Float64Array(up.rows);
  for (let r = 0; r < rows; r++) {
    for (let i = 0; i < k; i++) {
      const expert = ids[r * k + i];
      expertRow(gates, gate, expert, gateBias, x, r * gate.cols);
      expertRow(ups, up, expert, upBias, x, r * up.cols);
      const to = (r * k + i) * gate.rows;
      for (let o = 0; o < gate.rows; o++) h[to + o] = swiglu(gates[o], ups[o], alpha, limit);
    }
  }
}

/** y[r] += Σ_i gates[r, i] · (down_e h[r, i] + b_e). */
export function moeDown(
  y: Floats, // [rows, hidden]
  h: Floats, // [rows, k, intermediate]
  ids: Int32Array,
  gates: Floats, // [rows, k]
  rows: number,
  k: number,
  down: MatrixTiles,
  bias: Floats, // [experts, hidden]
): void {
  const out = new Float64Array(down.rows);
  for (let r = 0; r < rows; r++) {
    for (let i = 0; i < k; i++) {
      expertRow(out, down, ids[r * k + i], bias, h, (r * k + i) * down.cols);
      const gate = gates[r * k + i];
      const to = r * down.rows;
      for (let o = 0; o < down.rows; o++) y[to + o] += gate * out[o];
    }
  }
}
