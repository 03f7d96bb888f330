// The tensors of a checkpoint as parameters that learn: decoded to float32 once. Weight decay goes to matrices, not to
// norms, biases and sinks. Next: backward.ts.

import type { Parameter, TrainBackend } from '../backend/train-backend.ts';
import type { ModelTensors } from '../formats/checkpoint.ts';
import type { ModelConfig } from '../formats/config.ts';
import { decodeRows } from '../formats/decode.ts';
import { loadWeights, type ModelWeights } from '../model/weights.ts';

export interface TrainableOptions {
  /** Train the experts as they will be stored: forward sees them rounded to MXFP4. */
  readonly fakeQuantisedExperts?: boolean;
}

/** Weights for `recordTraining`, and all their parameters in the order of the file. */
export function trainableWeights(
  checkpoint: { config: ModelConfig; tensors: ModelTensors },
  backend: TrainBackend,
  options: TrainableOptions = {},
): { weights: ModelWeights; parameters: readonly Parameter[] } {
  const parameters: Parameter[] = [];
  const keep = (parameter: Parameter): Parameter => {
    parameters.push(parameter);
    return parameter;
  };
  const weights = loadWeights(checkpoint.tensors, checkpoint.config, {
    matrix(matrix) {
      const { name, experts, rows, cols } = matrix;
      const values = new Float32Array(experts * rows * cols);
      for (let e = 0; e < experts; e++) decodeRows(matrix, e, 0, rows, values, e * rows * cols);
      const fakeQuantised = options.fakeQuantisedExperts === true && experts > 1;
      return keep(backend.parameter({ name, experts, rows, cols, values, decays: true, fakeQuantised }));
    },
    vector(vector) {
      const { name, shape } = vector;
      const experts = shape.length > 1 ? shape[0] : 1;
      const cols = shape[shape.length - 1];
      return keep(backend.parameter({ name, experts, rows: 1, cols, values: vector.load(), decays: false }));
    },
  });
  return { weights, parameters };
}
