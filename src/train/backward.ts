// The model of model.ts differentiated: one training step's program. Forward keeps only what enters each layer; going
// back, a layer is computed again by the very functions that define it, then differentiated op by op in reverse. So
// forward maths exists once, and memory is one layer of activations plus one row of residuals per layer.
// It records; a TrainBackend computes. Losses, batches and the optimiser's schedule belong to others.

import type { Buffer, KvCache } from '../backend/backend.ts';
import type { RouterLossWeights, TrainBackend, TrainOps } from '../backend/train-backend.ts';
import type { ModelConfig } from '../formats/config.ts';
import { attentionHalf, chooseExperts, expertHalf, head, type Recording, windowOf } from '../model/model.ts';
import type { ModelWeights, Projection } from '../model/weights.ts';
import { createWorkspace, type Workspace } from '../model/workspace.ts';

export interface TrainWorkspace {
  readonly layer: Workspace; // of the layer at work; its residual is the scratch of the recomputation
  /** Experts that each layer chose: they outlive the layer, for replay and for the load of each expert. */
  readonly expertIds: readonly Buffer[]; // by layer, [rows, expertsPerToken]
  /** Residual stream entering layer l; the last is what leaves the last layer. */
  readonly inputs: readonly Buffer[];
  /** Gradients by the name of what they are gradients of. */
  readonly d: Omit<Workspace, 'expertIds' | 'logits'>;
  /** [-log p(target), entropy] of each scored row. */
  readonly losses: Buffer; // [scored, 2]
  /** [load balance, z] of each layer, in row 0; unweighted. */
  readonly routerLosses: readonly Buffer[];
}

export function createTrainWorkspace(backend: TrainBackend, config: ModelConfig): TrainWorkspace {
  const perLayer = <T>(make: (layer: number) => T, count = config.layers): T[] =>
    Array.from({ length: count }, (_, layer) => make(layer));
  return {
    layer: createWorkspace(backend, config),
    expertIds: perLayer((layer) =>
      backend.buffer({ name: `expertIds.${layer}`, width: config.expertsPerToken, type: 'i32' }),
    ),
    inputs: perLayer((layer) => backend.buffer({ name: `input.${layer}`, width: config.hidden }), config.layers + 1),
    d: createWorkspace(backend, config),
    losses: backend.buffer({ name: 'losses', width: 2, rows: 'scored' }),
    routerLosses: perLayer((layer) => backend.buffer({ name: `routerLosses.${layer}`, width: 2 })),
  };
}

/** What the parts of a training pass share while they are recorded; `layer` names the buffer of its expert ids. */
function recordings(
  ops: TrainOps,
  weights: ModelWeights,
  workspace: TrainWorkspace,
  config: ModelConfig,
  cache: KvCache,
): (residual: Buffer, layer: number) => Recording<TrainOps> {
  const { layer: a, expertIds } = workspace;
  return (residual, layer) => ({
    ops,
    a: { ...a, residual, expertIds: expertIds[Math.min(layer, config.layers - 1)] },
    config,
    weights,
    cache,
  });
}

/** Forward and loss alone: the log-probability of every target. Logits become their own gradient and are of no use. */
export function recordLoss(
  ops: TrainOps,
  weights: ModelWeights,
  workspace: TrainWorkspace,
  config: ModelConfig,
  cache: KvCache,
): void {
  const { inputs, layer: a } = workspace;
  const recordingOn = recordings(ops, weights, workspace, config, cache);
  ops.embed(inputs[0], weights.embedding);
  for (let layer = 0; layer < config.layers; layer++) {
    ops.copy(inputs[layer + 1], inputs[layer]);
    attentionHalf(recordingOn(inputs[layer + 1], layer), layer);
    expertHalf(recordingOn(inputs[layer + 1], layer), layer);
    ops.segment();
  }
  head(recordingOn(inputs[config.layers], config.layers));
  ops.crossEntropy(workspace.losses, a.logits, a.logits); // logits are not needed again: their gradient takes their place
}

/** Forward, loss, and the gradient of every parameter, added to what is there (several batches may make one update). */
export function recordTraining(
  ops: TrainOps,
  weights: ModelWeights,
  workspace: TrainWorkspace,
  config: ModelConfig,
  cache: KvCache,
  routerWeights: RouterLossWeights | null = null,
): void {
  const { inputs, layer: a, d } = workspace;
  const recordingOn = recordings(ops, weights, workspace, config, cache);
  recordLoss(ops, weights, workspace, config, cache);
  ops.linearBackward(d.lastNormed, a.logits, a.lastNormed, weights.output, null);
  ops.rmsNormBackward(d.last, d.lastNormed, a.last, weights.finalNorm, config.rmsEps);
  ops.gatherRowsBackward(d.residual, d.last);
  ops.segment();

  for (let layer = config.layers - 1; layer >= 0; layer--) {
    // Again: a.residual becomes the stream between the halves.
    const recording = recordingOn(a.residual, layer);
    ops.copy(a.residual, inputs[layer]);
    attentionHalf(recording, layer);
    chooseExperts(recording, layer);
    expertHalfBackward(recording, workspace, layer, routerWeights);
    attentionHalfBackward(recording, workspace, layer);
    ops.segment();
  }
  ops.embedBackward(d.residual, weights.embedding);
}

/** d.residual is the gradient of both the half's output and, through the residual connection, of its input. */
function expertHalfBackward(
  { ops, a, config, weights }: Recording<TrainOps>,
  { d, routerLosses }: TrainWorkspace,
  layer: number,
  routerWeights: RouterLossWeights | null,
): void {
  const w = weights.layers[layer];
  const gradients = { h: d.expertHidden, gates: d.gates };
  ops.moeDownBackward(gradients, d.residual, a.expertHidden, a.expertIds, a.gates, w.down.w, w.down.b);
  const { swigluAlpha, swigluLimit } = config;
  ops.moeUpBackward(d.normed, d.expertHidden, a.normed, a.expertIds, w.up, swigluAlpha, swigluLimit);
  ops.routeBackward(d.routerLogits, d.gates, a.expertIds, a.gates);
  if (routerWeights !== null) {
    ops.routerLosses(routerLosses[layer], d.routerLogits, a.routerLogits, a.expertIds, routerWeights);
  }
  projectBackward(ops, d.normed, d.routerLogits, a.normed, w.router, true);
  ops.rmsNormBackward(d.residual, d.normed, a.residual, w.moeNorm, config.rmsEps, { add: true });
}

function attentionHalfBackward(
  { ops, a, config, weights, cache }: Recording<TrainOps>,
  { d, inputs }: TrainWorkspace,
  layer: number,
): void {
  const w = weights.layers[layer];
  projectBackward(ops, d.attended, d.residual, a.attended, w.o, false);
  ops.attentionBackward(d, d.attended, a.q, cache, layer, w.sinks, windowOf(config, layer));
  ops.ropeBackward(d.q, d.k, weights.rope);
  ops.rmsNorm(a.normed, inputs[layer], w.attentionNorm, config.rmsEps); // the other half has used its place
  projectBackward(ops, d.normed, d.q, a.normed, w.q, false);
  projectBackward(ops, d.normed, d.k, a.normed, w.k, true);
  projectBackward(ops, d.normed, d.v, a.normed, w.v, true);
  ops.rmsNormBackward(d.residual, d.normed, inputs[layer], w.attentionNorm, config.rmsEps, { add: true });
}

function projectBackward(ops: TrainOps, dx: Buffer, dy: Buffer, x: Buffer, { w, b }: Projection, add: boolean): void {
  ops.linearBackward(dx, dy, x, w, b, { add });
}
