// What training needs beyond inference: trainable weights, a derivative for every op, and the optimiser's step. A
// backend that cannot train implements Backend only; nothing here is optional and nothing throws "not implemented".
// The chain is written by hand in train/backward.ts, in the order of model.ts reversed; each op here is the derivative
// of the one it is named after (training.md §2.1). Selection of experts counts as constant.
//
// Rules: gradients of activations are buffers like any other; an op overwrites its gradient destination unless `add` is
// given. Gradients of weights accumulate inside the backend, only for parameters: a frozen weight passes gradients
// through and keeps none. A training step holds whole sequences, from position 0.

import type { Backend, Buffer, ExpertUp, KvCache, Ops, Program, Rope, Weight } from './backend.ts';

/** A weight that learns. Opaque; made by `TrainBackend.parameter`, used wherever a matrix or a vector is. */
export interface Parameter extends Weight {
  readonly decays: boolean;
}

export interface ParameterSpec {
  readonly name: string;
  readonly experts?: number; // default 1
  readonly rows: number; // for a vector: 1
  readonly cols: number;
  readonly values: Float32Array; // [experts, rows, cols]
  /** Whether weight decay applies (matrices yes; norms, biases and sinks no). */
  readonly decays: boolean;
  /** Forward and backward see the values rounded to MXFP4; the gradient goes to the unrounded ones as it is. */
  readonly fakeQuantised?: boolean;
}

/** One AdamW update: p *= 1 - lr·decay (where it decays), then p -= lr · m̂ / (√v̂ + eps). */
export interface AdamW {
  readonly step: number; // 1 for the first, for bias correction
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  readonly weightDecay: number;
  /** Gradients are first scaled by min(1, clip / (norm + 1e-6)), norm over all parameters; null: never. */
  readonly clip: number | null;
}

/** Weights of the two auxiliary losses of a router, 0 = off. */
export interface RouterLossWeights {
  /** Load balance: experts · Σ_e (share of choices that fell on e) · (mean softmax probability of e). */
  readonly balance: number;
  /** Mean over rows of (log Σ exp logits)². */
  readonly z: number;
}

export interface TrainOps extends Ops {
  /** y = x */
  copy(y: Buffer, x: Buffer): void;
  embedBackward(dy: Buffer, table: Weight): void;
  rmsNormBackward(dx: Buffer, dy: Buffer, x: Buffer, gain: Weight, eps: number, options?: { add?: boolean }): void;
  /** dx null: only the weights' gradients are wanted. */
  linearBackward(
    dx: Buffer | null,
    dy: Buffer,
    x: Buffer,
    w: Weight,
    bias: Weight | null,
    options?: { add?: boolean },
  ): void;
  /** In place: gradients of rotated q and k become those of q and k before the rotation. */
  ropeBackward(dq: Buffer, dk: Buffer, rope: Rope): void;
  /** q is the rotated one; keys and values are read from the cache, where the forward pass left them. */
  attentionBackward(
    gradients: { q: Buffer; k: Buffer; v: Buffer },
    dy: Buffer,
    q: Buffer,
    cache: KvCache,
    layer: number,
    sinks: Weight,
    window: number | null,
  ): void;
  /** Gradient of all logits; zero for experts that were not chosen. */
  routeBackward(dLogits: Buffer, dGates: Buffer, ids: Buffer, gates: Buffer): void;
  /** Adds the gradients of the auxiliary losses to dLogits; the two losses (unweighted) go to row 0 of `losses`. */
  routerLosses(losses: Buffer, dLogits: Buffer, logits: Buffer, ids: Buffer, weights: RouterLossWeights): void;
  moeUpBackward(dx: Buffer, dh: Buffer, x: Buffer, ids: Buffer, weights: ExpertUp, alpha: number, limit: number): void;
  moeDownBackward(
    gradients: { h: Buffer; gates: Buffer },
    dy: Buffer,
    h: Buffer,
    ids: Buffer,
    gates: Buffer,
    down: Weight,
    downBias: Weight,
  ): void;
  /** dx = 0 but for the gathered rows. */
  gatherRowsBackward(dx: Buffer, dy: Buffer): void;
  /**
   * For each scored row: losses = [-log p(target), entropy], dLogits = weight · (p - onehot(target)). Targets and
   * weights come from the batch; a weight may be an advantage (policy gradient) and have any sign. dLogits may be logits.
   */
  crossEntropy(losses: Buffer, dLogits: Buffer, logits: Buffer): void;
}

export interface TrainBackend extends Backend {
  parameter(spec: ParameterSpec): Parameter;
  record(fn: (ops: TrainOps) => void): Program;
  clearGradients(): void;
  /** Updates every parameter from its gradient; returns the norm of all gradients before clipping. A norm that is no
   *  finite number: nothing was updated. */
  update(settings: AdamW): number;
  /** From now on, forward and backward see the values rounded to MXFP4, or as they are. */
  fakeQuantise(parameter: Parameter, on: boolean): void;
  /** What forward and backward see. */
  readSeen(parameter: Parameter): Float32Array;
  readValues(parameter: Parameter): Float32Array;
  readGradient(parameter: Parameter): Float32Array;
  writeGradient(parameter: Parameter, values: Float32Array): void;
  /** First and second moments, for checkpoints: with the values they are all the state there is. */
  readMoments(parameter: Parameter): { first: Float32Array; second: Float32Array };
  writeState(parameter: Parameter, state: { values: Float32Array; first: Float32Array; second: Float32Array }): void;
}
