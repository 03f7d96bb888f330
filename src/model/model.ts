// gpt-oss, the whole of it: a decoder-only transformer with grouped-query attention (sinks, a sliding window on some
// layers), a mixture of experts in every layer, and no other parts. This is the only definition: it runs on every
// backend, for serving, scoring and tests. It says what is computed; how many rows, in which types and on which device
// is decided elsewhere (backend.ts). Formulas: model-spec §1.2 to §1.7.
// Names of activations are those of workspace.ts, names of weights those of weights.ts. Next: load.ts.

import type { KvCache, Ops } from '../backend/backend.ts';
import type { ModelConfig } from '../formats/config.ts';
import type { LayerWeights, ModelWeights, Projection } from './weights.ts';
import type { Workspace } from './workspace.ts';

export interface ForwardOptions {
  /** Stop after this many layers: `residual` then holds their output, and there are no logits. */
  readonly layers?: number;
  /** Stop in the middle of the last of those layers, before its experts. */
  readonly half?: boolean;
}

/** What the layers share while a program is recorded. */
interface Recording {
  readonly ops: Ops;
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
  const stopsEarly = options.layers !== undefined || options.half === true;

  // x = embedding of the token: no scaling, positions enter through rope alone.
  ops.embed(workspace.residual, weights.embedding);

  for (let layer = 0; layer < layers; layer++) {
    attentionHalf(recording, weights.layers[layer], layer);
    ops.segment();
    if (options.half && layer === layers - 1) break;
    expertHalf(recording, weights.layers[layer], layer);
    ops.segment();
  }
  if (stopsEarly) return;

  // Only some rows need logits: gather them before the vocabulary matmul, the largest of all. The norm is row-wise,
  // so it may come after.
  ops.gatherRows(workspace.last, workspace.residual);
  ops.rmsNorm(workspace.last, workspace.last, weights.finalNorm, config.rmsEps);
  ops.linear(workspace.logits, workspace.last, weights.output, null);
}

/** x += o(attention(rope(q), rope(k), v)), each of q, k, v from norm(x). */
function attentionHalf({ ops, a, config, weights, cache }: Recording, w: LayerWeights, layer: number): void {
  ops.rmsNorm(a.normed, a.residual, w.attentionNorm, config.rmsEps);

  project(ops, a.q, a.normed, w.q);
  project(ops, a.k, a.normed, w.k);
  project(ops, a.v, a.normed, w.v);

  // Rotary positions after the bias. Keys and values go to the cache first: attention reads only from there, so
  // prefill and decode, alone or in company, are one and the same.
  ops.ropeCache(a.q, a.k, a.v, weights.rope, cache, layer);

  // The window counts the current token. The sink is one more logit per head that takes probability and gives no value.
  const window = config.sliding[layer] ? config.slidingWindow : null;
  ops.attention(a.attended, a.q, cache, layer, w.sinks, window);

  ops.linear(a.residual, a.attended, w.o.w, w.o.b, { add: true });
}

/** x += Σ over the chosen experts of gate · (down(swiglu(gate x, up x))), from norm(x). */
function expertHalf({ ops, a, config }: Recording, w: LayerWeights, layer: number): void {
  ops.rmsNorm(a.normed, a.residual, w.moeNorm, config.rmsEps);

  // Softmax over the chosen experts only.
  project(ops, a.routerLogits, a.normed, w.router);
  ops.route(a.expertIds, a.gates, a.routerLogits, layer);

  ops.moeUp(a.expertHidden, a.normed, a.expertIds, w.up, config.swigluAlpha, config.swigluLimit);
  ops.moeDown(a.residual, a.expertHidden, a.expertIds, a.gates, w.down.w, w.down.b);
}

function project(ops: Ops, y: Workspace['q'], x: Workspace['q'], { w, b }: Projection): void {
  ops.linear(y, x, w, b);
}
