// gpt-oss, the whole of it: a decoder-only transformer with grouped-query attention (sinks, a sliding window on some
// layers), a mixture of experts in every layer, and no other parts. This is the only definition: it runs on every
// backend, for serving, scoring and tests. It says what is computed; how many rows, in which types and on which device
// is decided elsewhere (backend.ts). Formulas: model-spec §1.2 to §1.7.
// Names of activations are those of workspace.ts, names of weights those of weights.ts. Next: load.ts.

import type { Buffer, KvCache, Ops } from '../backend/backend.ts';
import type { ModelConfig } from '../formats/config.ts';
import type { ModelWeights, Projection } from './weights.ts';
import type { Workspace } from './workspace.ts';

export interface ForwardOptions {
  /** Stop after this many layers: `residual` then holds their output, and there are no logits. */
  readonly layers?: number;
  /** Stop in the middle of the last of those layers, before its experts. */
  readonly half?: boolean;
}

/** What the parts of a forward pass share while it is recorded. */
export interface Recording<O extends Ops = Ops> {
  readonly ops: O;
  readonly a: Workspace; // activations
  readonly config: ModelConfig;
  readonly weights: ModelWeights;
  readonly cache: KvCache;
}

export function recordForward(
  ops: Ops,
  weights: ModelWeights,
  workspace: Workspace,
  config: ModelConfig,
  cache: KvCache,
  options: ForwardOptions = {},
): void {
  const recording: Recording = { ops, a: workspace, config, weights, cache };
  const layers = options.layers ?? config.layers;

  // x = embedding of the token: no scaling, positions enter through rope alone.
  ops.embed(workspace.residual, weights.embedding);

  for (let layer = 0; layer < layers; layer++) {
    attentionHalf(recording, layer);
    ops.segment();
    if (options.half && layer === layers - 1) return;
    expertHalf(recording, layer);
    ops.segment();
  }
  if (options.layers === undefined) head(recording);
}

/** x += o(attention(rope(q), rope(k), v)), each of q, k, v from norm(x). */
export function attentionHalf({ ops, a, config, weights, cache }: Recording, layer: number): void {
  const w = weights.layers[layer];
  ops.rmsNorm(a.normed, a.residual, w.attentionNorm, config.rmsEps);

  project(ops, a.q, a.normed, w.q);
  project(ops, a.k, a.normed, w.k);
  project(ops, a.v, a.normed, w.v);

  // Rotary positions after the bias. Keys and values go to the cache first: attention reads only from there, so
  // prefill and decode, alone or in company, are one and the same.
  ops.ropeCache(a.q, a.k, a.v, weights.rope, cache, layer);
  ops.segment();

  // The sink is one more logit per head that takes probability and gives no value.
  ops.attention(a.attended, a.q, cache, layer, w.sinks, windowOf(config, layer));

  ops.linear(a.residual, a.attended, w.o.w, w.o.b, { add: true });
}

/** Keys that a layer's queries see, the current one included; null = all. */
export function windowOf(config: ModelConfig, layer: number): number | null {
  return config.sliding[layer] ? config.slidingWindow : null;
}

/** x += Σ over the chosen experts of gate · (down(swiglu(gate x, up x))), from norm(x). */
export function expertHalf(recording: Recording, layer: number): void {
  const { ops, a, weights } = recording;
  const { down } = weights.layers[layer];
  chooseExperts(recording, layer);
  ops.segment();
  ops.moeDown(a.residual, a.expertHidden, a.expertIds, a.gates, down.w, down.b);
}

/** All of the expert half but the last product: which experts, with which gates, and their inner activations. */
export function chooseExperts({ ops, a, config, weights }: Recording, layer: number): void {
  const w = weights.layers[layer];
  ops.rmsNorm(a.normed, a.residual, w.moeNorm, config.rmsEps);

  // Softmax over the chosen experts only.
  project(ops, a.routerLogits, a.normed, w.router);
  ops.route(a.expertIds, a.gates, a.routerLogits, layer);

  ops.moeUp(a.expertHidden, a.normed, a.expertIds, w.up, config.swigluAlpha, config.swigluLimit);
}

/** Logits of the scored rows: the others are dropped before the vocabulary matmul, the largest of all. */
export function head({ ops, a, config, weights }: Recording): void {
  ops.gatherRows(a.last, a.residual);
  ops.rmsNorm(a.lastNormed, a.last, weights.finalNorm, config.rmsEps);
  ops.linear(a.logits, a.lastNormed, weights.output, null);
}

function project(ops: Ops, y: Buffer, x: Buffer, { w, b }: Projection): void {
  ops.linear(y, x, w, b);
}
