// The reference as a TrainBackend: parameters, the derivative ops recorded beside the forward ones, AdamW. The oracle of
// a native trainer, and quick enough for models of some ten thousand parameters. The maths is in backward.ts.

import { GptOssError } from '../../errors.ts';
import type { Batch, Program, Weight } from '../backend.ts';
import type { AdamW, Parameter, ParameterSpec, TrainBackend, TrainOps } from '../train-backend.ts';
import { type BackwardOps, checkedBackwardOps } from '../train-op-shapes.ts';
import * as backward from './backward.ts';
import { ReferenceParameter } from './parameter.ts';
import { bufferOf, cacheOf, foreign, matrixOf, ReferenceBackend, rowsOf, type Step, vectorOf } from './reference.ts';
import type { Floats } from './storage.ts';

export class ReferenceTrainer extends ReferenceBackend implements TrainBackend {
  readonly #parameters: ReferenceParameter[] = [];

  parameter(spec: ParameterSpec): Parameter {
    const parameter = new ReferenceParameter(spec, this.floats);
    this.#parameters.push(parameter);
    return parameter;
  }

  override record(fn: (ops: TrainOps) => void): Program {
    return this.recordWith((ops, push, facts) => fn({ ...ops, ...checkedBackwardOps(recorder(push), facts) }));
  }

  clearGradients(): void {
    for (const { gradient } of this.#parameters) gradient.fill(0);
  }

  update(settings: AdamW): number {
    let squares = 0;
    for (const { gradient } of this.#parameters) for (const g of gradient) squares += g * g;
    const norm = Math.sqrt(squares);
    if (!Number.isFinite(norm)) return norm; // nothing was updated: the caller decides what becomes of the run
    const scale = settings.clip === null ? 1 : Math.min(1, settings.clip / (norm + 1e-6));
    for (const parameter of this.#parameters) parameter.update(settings, scale);
    return norm;
  }

  fakeQuantise(parameter: Parameter, on: boolean): void {
    parameterOf(parameter).fakeQuantise(on);
  }

  readSeen(parameter: Parameter): Float32Array {
    return Float32Array.from(parameterOf(parameter).seen);
  }

  readValues(parameter: Parameter): Float32Array {
    return Float32Array.from(parameterOf(parameter).values);
  }

  readGradient(parameter: Parameter): Float32Array {
    return Float32Array.from(parameterOf(parameter).gradient);
  }

  writeGradient(parameter: Parameter, values: Float32Array): void {
    parameterOf(parameter).gradient.set(values);
  }

  readMoments(parameter: Parameter): { first: Float32Array; second: Float32Array } {
    const { first, second } = parameterOf(parameter);
    return { first: Float32Array.from(first), second: Float32Array.from(second) };
  }

  writeState(parameter: Parameter, state: { values: Float32Array; first: Float32Array; second: Float32Array }): void {
    const to = parameterOf(parameter);
    for (const name of ['values', 'first', 'second'] as const) {
      if (state[name].length !== to.values.length) {
        throw new GptOssError(
          'internal',
          `${name} of ${to.name} has ${state[name].length} entries; expected ${to.values.length}`,
        );
      }
      to[name].set(state[name]);
    }
    to.refresh();
  }
}

export function parameterOf(weight: Weight): ReferenceParameter {
  if (weight instanceof ReferenceParameter) return weight;
  throw foreign('parameter');
}

/** Where a weight's gradient goes; null when it is frozen. */
function gradientOf(weight: Weight | null): Floats | null {
  return weight instanceof ReferenceParameter ? weight.gradient : null;
}

function expertMatrix(w: Weight, bias: Weight): backward.ExpertMatrix {
  return { w: matrixOf(w), bias: vectorOf(bias), dw: gradientOf(w), db: gradientOf(bias) };
}

function targetsOf(batch: Batch): NonNullable<Batch['targets']> {
  if (batch.targets === undefined) throw new GptOssError('internal', 'a training step without targets was not refused');
  return batch.targets;
}

function recorder(push: (step: Step) => void): BackwardOps {
  return {
    copy: (y, x) => {
      const [to, from] = [bufferOf(y).floats, bufferOf(x).floats];
      push((batch) => to.set(from.subarray(0, rowsOf(batch, x) * x.width)));
    },
    embedBackward: (dy, table) => {
      const [from, gradient] = [bufferOf(dy).floats, gradientOf(table)];
      push((batch) => backward.embedBackward(gradient, from, dy.width, batch.tokens));
    },
    rmsNormBackward: (dx, dy, x, gain, eps, options) => {
      const [to, from, input] = [bufferOf(dx).floats, bufferOf(dy).floats, bufferOf(x).floats];
      const [gains, dGain, add] = [vectorOf(gain), gradientOf(gain), options?.add ?? false];
      push((batch) => backward.rmsNormBackward(to, dGain, from, input, gains, rowsOf(batch, x), x.width, eps, add));
    },
    linearBackward: (dx, dy, x, w, bias, options) => {
      const gradients = {
        x: dx === null ? null : bufferOf(dx).floats,
        w: gradientOf(w),
        bias: gradientOf(bias),
      };
      const [from, input, matrix] = [bufferOf(dy).floats, bufferOf(x).floats, matrixOf(w)];
      const add = options?.add ?? false;
      push((batch) => backward.linearBackward(gradients, from, input, rowsOf(batch, x), matrix, add));
    },
    ropeBackward: (dq, dk, rope) => {
      const buffers = [bufferOf(dq), bufferOf(dk)];
      push((batch) => {
        for (const { firstRow, rowCount, position } of batch.sequences) {
          for (let i = 0; i < rowCount; i++) {
            for (const { floats, width } of buffers) {
              backward.rotateBackward(floats, (firstRow + i) * width, width, rope, position + i);
            }
          }
        }
      });
    },
    attentionBackward: (gradients, dy, q, cache, layer, sinks, window) => {
      const to = {
        q: bufferOf(gradients.q).floats,
        k: bufferOf(gradients.k).floats,
        v: bufferOf(gradients.v).floats,
        sinks: gradientOf(sinks),
      };
      const [from, qs, kv, sinkLogits] = [bufferOf(dy).floats, bufferOf(q).floats, cacheOf(cache), vectorOf(sinks)];
      const heads = q.width / cache.spec.headDim;
      push((batch) => backward.attentionBackward(to, from, qs, heads, kv, layer, sinkLogits, window, batch));
    },
    routeBackward: (dLogits, dGates, ids, gates) => {
      const [to, from] = [bufferOf(dLogits).floats, bufferOf(dGates).floats];
      const [chosen, weights] = [bufferOf(ids).ints, bufferOf(gates).floats];
      push((batch) => backward.routeBackward(to, from, chosen, weights, batch.tokens.length, dLogits.width, ids.width));
    },
    routerLosses: (losses, dLogits, logits, ids, weights) => {
      const [out, to, from, chosen] = [
        bufferOf(losses).floats,
        bufferOf(dLogits).floats,
        bufferOf(logits).floats,
        bufferOf(ids).ints,
      ];
      push((batch) => {
        const rows = batch.tokens.length;
        const { balance, z } = backward.routerLosses(to, from, chosen, rows, logits.width, ids.width, weights);
        out[0] = balance;
        out[1] = z;
      });
    },
    moeUpBackward: (dx, dh, x, ids, weights, alpha, limit) => {
      const [to, from, input] = [bufferOf(dx).floats, bufferOf(dh).floats, bufferOf(x).floats];
      const chosen = bufferOf(ids).ints;
      const both = {
        gate: expertMatrix(weights.gate, weights.gateBias),
        up: expertMatrix(weights.up, weights.upBias),
      };
      push((batch) =>
        backward.moeUpBackward(to, from, input, chosen, batch.tokens.length, ids.width, both, alpha, limit),
      );
    },
    moeDownBackward: (gradients, dy, h, ids, gates, down, downBias) => {
      const to = { h: bufferOf(gradients.h).floats, gates: bufferOf(gradients.gates).floats };
      const [from, input, chosen] = [bufferOf(dy).floats, bufferOf(h).floats, bufferOf(ids).ints];
      const [weights, matrix] = [bufferOf(gates).floats, expertMatrix(down, downBias)];
      push((batch) =>
        backward.moeDownBackward(to, from, input, chosen, weights, batch.tokens.length, ids.width, matrix),
      );
    },
    gatherRowsBackward: (dx, dy) => {
      const [to, from] = [bufferOf(dx).floats, bufferOf(dy).floats];
      push((batch) => backward.gatherRowsBackward(to, from, dx.width, batch.tokens.length, batch.scored));
    },
    crossEntropy: (losses, dLogits, logits) => {
      const [out, to, from] = [bufferOf(losses).floats, bufferOf(dLogits).floats, bufferOf(logits).floats];
      push((batch) => backward.crossEntropy(out, to, from, logits.width, targetsOf(batch)));
    },
  };
}
