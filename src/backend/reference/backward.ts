// Derivatives of every op, in the order of the forward files: rows, linear, attention, moe, then the loss (training.md
// §2.1). Plain loops over arrays; sums in float64, stored once. A weight's gradient is null when the weight is frozen.
// Expert ids are constants here: routing is differentiated through the gates only.
// Next: trainer.ts, which records these; train/backward.ts, which chains them.

import type { Batch, Rope } from '../backend.ts';
import type { RouterLossWeights } from '../train-backend.ts';
import type { ReferenceCache } from './kv.ts';
import { dot, expertRow } from './linear.ts';
import type { Floats, MatrixTiles } from './storage.ts';

type Gradient = Floats | null;

// --- rows ---

export function embedBackward(dTable: Gradient, dy: Floats, width: number, tokens: Int32Array): void {
  if (dTable === null) return;
  for (let r = 0; r < tokens.length; r++) {
    for (let i = 0; i < width; i++) dTable[tokens[r] * width + i] += dy[r * width + i];
  }
}

/** With s = 1/rms: dx = s·(dy·gain) - x·s³/n·Σ(dy·gain·x); dgain = Σ over rows of dy·x·s. */
export function rmsNormBackward(
  dx: Floats,
  dGain: Gradient,
  dy: Floats,
  x: Floats,
  gain: Floats,
  rows: number,
  width: number,
  eps: number,
  add: boolean,
): void {
  for (let r = 0; r < rows; r++) {
    const start = r * width;
    let squares = 0;
    let along = 0;
    for (let i = 0; i < width; i++) {
      squares += x[start + i] * x[start + i];
      along += dy[start + i] * gain[i] * x[start + i];
    }
    const scale = 1 / Math.sqrt(squares / width + eps);
    const back = (scale ** 3 / width) * along;
    for (let i = 0; i < width; i++) {
      const value = scale * dy[start + i] * gain[i] - back * x[start + i];
      if (dGain !== null) dGain[i] += dy[start + i] * x[start + i] * scale;
      dx[start + i] = add ? dx[start + i] + value : value;
    }
  }
}

/** The transposed rotation; the concentration scales both directions. */
export function rotateBackward(dx: Floats, start: number, width: number, rope: Rope, position: number): void {
  const half = rope.inverse.length;
  for (let i = 0; i < half; i++) {
    const angle = Math.fround(position * rope.inverse[i]);
    const cos = Math.cos(angle) * rope.scale;
    const sin = Math.sin(angle) * rope.scale;
    for (let head = start; head < start + width; head += 2 * half) {
      const a = dx[head + i];
      const b = dx[head + half + i];
      dx[head + i] = a * cos + b * sin;
      dx[head + half + i] = b * cos - a * sin;
    }
  }
}

/** Through the softmax over the chosen k: dlogit_i = gate_i · (dgate_i - Σ_j gate_j dgate_j). */
export function routeBackward(
  dLogits: Floats, // [rows, experts]
  dGates: Floats, // [rows, k]
  ids: Int32Array,
  gates: Floats,
  rows: number,
  experts: number,
  k: number,
): void {
  dLogits.fill(0, 0, rows * experts);
  for (let r = 0; r < rows; r++) {
    let mean = 0;
    for (let i = 0; i < k; i++) mean += gates[r * k + i] * dGates[r * k + i];
    for (let i = 0; i < k; i++) {
      dLogits[r * experts + ids[r * k + i]] += gates[r * k + i] * (dGates[r * k + i] - mean);
    }
  }
}

/** Adds the gradients of load balance and z loss; returns both losses, unweighted. */
export function routerLosses(
  dLogits: Floats, // [rows, experts]
  logits: Floats,
  ids: Int32Array, // [rows, k]
  rows: number,
  experts: number,
  k: number,
  weights: RouterLossWeights,
): { balance: number; z: number } {
  const share = new Float64Array(experts); // of all choices; constant, it is a count
  for (let i = 0; i < rows * k; i++) share[ids[i]] += 1 / (rows * k);
  const p = new Float64Array(experts);
  let balance = 0;
  let z = 0;
  for (let r = 0; r < rows; r++) {
    const lse = softmax(p, logits, r * experts, experts);
    let expected = 0; // Σ_e share_e p_e of this row
    for (let e = 0; e < experts; e++) expected += share[e] * p[e];
    balance += (experts / rows) * expected;
    z += (lse * lse) / rows;
    for (let e = 0; e < experts; e++) {
      const fromBalance = weights.balance * (experts / rows) * p[e] * (share[e] - expected);
      dLogits[r * experts + e] += fromBalance + ((weights.z * 2 * lse) / rows) * p[e];
    }
  }
  return { balance, z };
}

/** p = softmax(x[start …]); returns log Σ exp. */
function softmax(p: Float64Array, x: Floats, start: number, count: number): number {
  let max = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < count; i++) max = Math.max(max, x[start + i]);
  let sum = 0;
  for (let i = 0; i < count; i++) sum += p[i] = Math.exp(x[start + i] - max);
  for (let i = 0; i < count; i++) p[i] /= sum;
  return max + Math.log(sum);
}

export function gatherRowsBackward(dx: Floats, dy: Floats, width: number, rows: number, scored: Int32Array): void {
  dx.fill(0, 0, rows * width);
  for (let s = 0; s < scored.length; s++) {
    for (let i = 0; i < width; i++) dx[scored[s] * width + i] += dy[s * width + i];
  }
}

// --- linear ---

/** dx = Wᵀ dy, dW += dy xᵀ, db += dy, summed over rows. */
export function linearBackward(
  gradients: { x: Gradient; w: Gradient; bias: Gradient },
  dy: Floats,
  x: Floats,
  rows: number,
  w: MatrixTiles,
  add: boolean,
): void {
  const { x: dx, w: dw, bias: db } = gradients;
  const sums = new Float64Array(rows * w.cols);
  for (let tile = 0; tile < w.tilesPerExpert; tile++) {
    const weights = w.tile(0, tile);
    const first = tile * w.tileRows;
    const count = Math.min(w.tileRows, w.rows - first);
    for (let r = 0; r < rows; r++) {
      const row = { from: dy, at: r * w.rows + first, count };
      if (dx !== null) addTransposed(sums, r * w.cols, weights, w.cols, row);
      if (dw !== null) addOuter(dw, first * w.cols, x, r * w.cols, w.cols, row, 1);
      if (db !== null) for (let o = 0; o < count; o++) db[first + o] += dy[row.at + o];
    }
  }
  if (dx === null) return;
  for (let i = 0; i < sums.length; i++) dx[i] = add ? dx[i] + sums[i] : sums[i];
}

/** Part of one row of output gradients. */
interface OutputRow {
  readonly from: Floats;
  readonly at: number;
  readonly count: number;
}

/** sums[i] += Σ_o dy[o] W[o, i] */
function addTransposed(sums: Float64Array, at: number, weights: Floats, cols: number, dy: OutputRow): void {
  for (let o = 0; o < dy.count; o++) {
    const d = dy.from[dy.at + o];
    if (d === 0) continue;
    for (let i = 0; i < cols; i++) sums[at + i] += d * weights[o * cols + i];
  }
}

/** dW[o, i] += scale · dy[o] x[i] */
function addOuter(dw: Floats, at: number, x: Floats, xStart: number, cols: number, dy: OutputRow, scale: number): void {
  for (let o = 0; o < dy.count; o++) {
    const d = scale * dy.from[dy.at + o];
    if (d === 0) continue;
    for (let i = 0; i < cols; i++) dw[at + o * cols + i] += d * x[xStart + i];
  }
}

// --- attention ---

/**
 * With p = softmax over keys and sink: dv += p·dy; dp = dy·v; Δ = Σ p·dp; ds = p·(dp - Δ); dq += ds·k, dk += ds·q (both
 * times the scale); dsink = -p_sink·Δ, as the sink's value is zero. Whole sequences: key t is row firstRow + t.
 */
export function attentionBackward(
  gradients: { q: Floats; k: Floats; v: Floats; sinks: Gradient },
  dy: Floats, // [rows, heads, headDim]
  q: Floats,
  heads: number,
  cache: ReferenceCache,
  layer: number,
  sinks: Floats,
  window: number | null,
  batch: Batch,
): void {
  const { headDim, kvHeads, pageTokens } = cache.spec;
  const group = heads / kvHeads;
  const scale = 1 / Math.sqrt(headDim);
  const [keys, values] = [cache.keys[layer], cache.values[layer]];
  const rows = batch.tokens.length;
  const dq = new Float64Array(rows * heads * headDim);
  const [dk, dv] = [new Float64Array(rows * cache.width), new Float64Array(rows * cache.width)];
  for (const { firstRow, rowCount, fullPages, slidingPages } of batch.sequences) {
    const pages = cache.spec.layers[layer].sliding ? slidingPages : fullPages;
    const starts = Float64Array.from({ length: rowCount }, (_, t) => {
      return (pages[Math.floor(t / pageTokens)] * pageTokens + (t % pageTokens)) * cache.width;
    });
    const [p, dp] = [new Float64Array(rowCount), new Float64Array(rowCount)];
    for (let i = 0; i < rowCount; i++) {
      const first = window === null ? 0 : Math.max(0, i - window + 1);
      for (let h = 0; h < heads; h++) {
        const query = ((firstRow + i) * heads + h) * headDim;
        const kvHead = Math.floor(h / group) * headDim;
        let max = sinks[h];
        for (let t = first; t <= i; t++) {
          p[t] = dot(q, query, keys, starts[t] + kvHead, headDim) * scale;
          dp[t] = dot(dy, query, values, starts[t] + kvHead, headDim);
          max = Math.max(max, p[t]);
        }
        let sum = Math.exp(sinks[h] - max);
        const sink = sum;
        for (let t = first; t <= i; t++) sum += p[t] = Math.exp(p[t] - max);
        let delta = 0;
        for (let t = first; t <= i; t++) {
          p[t] /= sum;
          delta += p[t] * dp[t];
        }
        if (gradients.sinks !== null) gradients.sinks[h] -= (sink / sum) * delta;
        for (let t = first; t <= i; t++) {
          const ds = p[t] * (dp[t] - delta) * scale;
          const [key, own] = [starts[t] + kvHead, (firstRow + t) * cache.width + kvHead];
          for (let d = 0; d < headDim; d++) {
            dq[query + d] += ds * keys[key + d];
            dk[own + d] += ds * q[query + d];
            dv[own + d] += p[t] * dy[query + d];
          }
        }
      }
    }
  }
  gradients.q.set(dq);
  gradients.k.set(dk);
  gradients.v.set(dv);
}

// --- moe ---

/** Derivatives of the clamped SwiGLU: zero where a limit holds the value (model-spec §1.6). */
export function swigluBackward(gate: number, up: number, alpha: number, limit: number): { dGate: number; dUp: number } {
  const g = Math.min(gate, limit);
  const u = Math.min(Math.max(up, -limit), limit);
  const s = 1 / (1 + Math.exp(-alpha * g));
  return {
    dGate: gate > limit ? 0 : (u + 1) * (s + alpha * g * s * (1 - s)),
    dUp: Math.abs(up) > limit ? 0 : g * s,
  };
}

export interface ExpertMatrix {
  readonly w: MatrixTiles;
  readonly bias: Floats; // [experts, rows]
  readonly dw: Gradient;
  readonly db: Gradient;
}

/** Recomputes gate and up of every (row, expert), then back through SwiGLU and both matrices. */
export function moeUpBackward(
  dx: Floats, // [rows, hidden]
  dh: Floats, // [rows, k, intermediate]
  x: Floats,
  ids: Int32Array,
  rows: number,
  k: number,
  weights: { gate: ExpertMatrix; up: ExpertMatrix },
  alpha: number,
  limit: number,
): void {
  const { gate, up } = weights;
  const { rows: inner, cols: hidden } = gate.w;
  const [gates, ups] = [new Float64Array(inner), new Float64Array(inner)];
  const sums = new Float64Array(hidden);
  for (let r = 0; r < rows; r++) {
    sums.fill(0);
    for (let i = 0; i < k; i++) {
      const expert = ids[r * k + i];
      expertRow(gates, gate.w, expert, gate.bias, x, r * hidden);
      expertRow(ups, up.w, expert, up.bias, x, r * hidden);
      for (let o = 0; o < inner; o++) {
        const { dGate, dUp } = swigluBackward(gates[o], ups[o], alpha, limit);
        const d = dh[(r * k + i) * inner + o];
        gates[o] = d * dGate;
        ups[o] = d * dUp;
      }
      expertBackward(sums, gate, expert, gates, 0, x, r * hidden, 1);
      expertBackward(sums, up, expert, ups, 0, x, r * hidden, 1);
    }
    dx.set(sums, r * hidden);
  }
}

/** dh_i = gate_i · Wᵀ dy; dgate_i = dy · (W h_i + b); dW += gate_i dy h_iᵀ; db += gate_i dy. */
export function moeDownBackward(
  gradients: { h: Floats; gates: Floats },
  dy: Floats, // [rows, hidden]
  h: Floats, // [rows, k, intermediate]
  ids: Int32Array,
  gates: Floats, // [rows, k]
  rows: number,
  k: number,
  down: ExpertMatrix,
): void {
  const { rows: hidden, cols: inner } = down.w;
  const out = new Float64Array(hidden);
  const sums = new Float64Array(inner);
  for (let r = 0; r < rows; r++) {
    for (let i = 0; i < k; i++) {
      const expert = ids[r * k + i];
      const at = (r * k + i) * inner;
      const gate = gates[r * k + i];
      expertRow(out, down.w, expert, down.bias, h, at);
      gradients.gates[r * k + i] = dot(out, 0, dy, r * hidden, hidden);
      sums.fill(0);
      expertBackward(sums, down, expert, dy, r * hidden, h, at, gate);
      gradients.h.set(sums, at);
    }
  }
}

/** One row through one expert: sums += scale · Wᵀ dy, and the expert's own gradients. */
function expertBackward(
  sums: Float64Array,
  { w, dw, db }: ExpertMatrix,
  expert: number,
  dy: Floats,
  dyStart: number,
  x: Floats,
  xStart: number,
  scale: number,
): void {
  const row = new Float64Array(w.rows);
  for (let o = 0; o < w.rows; o++) row[o] = scale * dy[dyStart + o];
  for (let tile = 0; tile < w.tilesPerExpert; tile++) {
    const first = tile * w.tileRows;
    const part = { from: row, at: first, count: Math.min(w.tileRows, w.rows - first) };
    addTransposed(sums, 0, w.tile(expert, tile), w.cols, part);
    if (dw !== null) addOuter(dw, (expert * w.rows + first) * w.cols, x, xStart, w.cols, part, 1);
  }
  if (db !== null) for (let o = 0; o < w.rows; o++) db[expert * w.rows + o] += row[o];
}

// --- loss ---

/** losses[r] = [-log p(target), entropy]; dLogits = weight · (p - onehot). dLogits may be logits. */
export function crossEntropy(
  losses: Floats, // [rows, 2]
  dLogits: Floats, // [rows, vocab]
  logits: Floats,
  vocab: number,
  targets: { ids: Int32Array; weights: Float32Array },
): void {
  const p = new Float64Array(vocab);
  for (let r = 0; r < targets.ids.length; r++) {
    const [target, weight] = [targets.ids[r], targets.weights[r]];
    const lse = softmax(p, logits, r * vocab, vocab);
    let mean = 0; // Σ p·logit, so entropy = lse - mean
    for (let v = 0; v < vocab; v++) mean += p[v] * logits[r * vocab + v];
    losses[2 * r] = lse - logits[r * vocab + target];
    losses[2 * r + 1] = lse - mean;
    for (let v = 0; v < vocab; v++) dLogits[r * vocab + v] = weight * (p[v] - (v === target ? 1 : 0));
  }
}
