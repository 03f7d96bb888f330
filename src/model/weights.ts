// The tensors of a checkpoint as weights of a backend: names and nothing else. Nothing is copied here; what a backend
// does with a matrix (map it, decode it, put it on a device) is its business. Taken in the order in which files store
// them, so that a first touch reads forwards. Next: model.ts.

import type { Backend, ExpertUp, Rope, Weight } from '../backend/backend.ts';
import type { LayerTensors, ModelTensors } from '../formats/checkpoint.ts';
import type { ModelConfig } from '../formats/config.ts';
import type { Matrix, Vector } from '../formats/tensor.ts';
import { yarnRope } from './rope.ts';

/** W x + b. */
export interface Projection {
  readonly w: Weight;
  readonly b: Weight;
}

export interface LayerWeights {
  readonly attentionNorm: Weight;
  readonly q: Projection;
  readonly k: Projection;
  readonly v: Projection;
  readonly o: Projection;
  readonly sinks: Weight;
  readonly moeNorm: Weight;
  readonly router: Projection;
  readonly up: ExpertUp;
  readonly down: Projection;
}

export interface ModelWeights {
  readonly embedding: Weight;
  readonly layers: readonly LayerWeights[];
  readonly finalNorm: Weight;
  readonly output: Weight;
  /** The one table that is computed, not stored. */
  readonly rope: Rope;
}

/** Who makes weights of tensors: a backend, or a trainer that makes parameters of them. */
export type WeightMaker = Pick<Backend, 'matrix' | 'vector'>;

export function loadWeights(tensors: ModelTensors, config: ModelConfig, backend: WeightMaker): ModelWeights {
  const projection = (matrix: Matrix, bias: Vector, mayRound = true): Projection => ({
    w: backend.matrix(matrix, { mayRound }),
    b: backend.vector(bias),
  });
  const layerOf = (t: LayerTensors): LayerWeights => ({
    attentionNorm: backend.vector(t.attnNorm),
    q: projection(t.q, t.qBias),
    k: projection(t.k, t.kBias),
    v: projection(t.v, t.vBias),
    o: projection(t.o, t.oBias),
    sinks: backend.vector(t.sinks),
    moeNorm: backend.vector(t.mlpNorm),
    router: projection(t.router, t.routerBias, false), // small, and it decides
    up: {
      gate: backend.matrix(t.gate),
      up: backend.matrix(t.up),
      gateBias: backend.vector(t.gateBias),
      upBias: backend.vector(t.upBias),
    },
    down: projection(t.down, t.downBias),
  });
  return {
    embedding: backend.matrix(tensors.embedding),
    layers: tensors.layers.map(layerOf),
    finalNorm: backend.vector(tensors.finalNorm),
    output: backend.matrix(tensors.output, { mayRound: true }),
    rope: yarnRope(config),
  };
}
