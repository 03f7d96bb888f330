// Shape rules of the derivative ops, checked at record time like those of the forward ops (op-shapes.ts). A derivative
// has the operands of its op and gradients shaped like them; most checks say just that.

import type { Buffer, Ops } from './backend.ts';
import { distinct, fail, kindCheck, layerOf, matrix, type ProgramFacts, vector, width } from './op-shapes.ts';
import type { TrainOps } from './train-backend.ts';

/** The derivative ops alone: what TrainOps adds to Ops. */
export type BackwardOps = Omit<TrainOps, keyof Ops>;

export function checkedBackwardOps(recorder: BackwardOps, facts: ProgramFacts): BackwardOps {
  const kind = kindCheck(facts);
  /** A gradient has the shape of what it is the gradient of. */
  const like = (op: string, operand: string, gradient: Buffer, of: Buffer): void => {
    kind(op, operand, gradient, 'f32', of.rows);
    width(op, operand, gradient, of.width);
  };
  return {
    copy(y, x) {
      kind('copy', 'x', x, 'f32', x.rows);
      like('copy', 'y', y, x);
      recorder.copy(y, x);
    },
    embedBackward(dy, table) {
      kind('embedBackward', 'dy', dy, 'f32', 'step');
      matrix('embedBackward', 'table', table, table.rows, dy.width, 1);
      recorder.embedBackward(dy, table);
    },
    rmsNormBackward(dx, dy, x, gain, eps, options) {
      kind('rmsNormBackward', 'x', x, 'f32', x.rows);
      like('rmsNormBackward', 'dx', dx, x);
      like('rmsNormBackward', 'dy', dy, x);
      distinct('rmsNormBackward', dx, dy);
      vector('rmsNormBackward', 'gain', gain, x.width);
      recorder.rmsNormBackward(dx, dy, x, gain, eps, options);
    },
    linearBackward(dx, dy, x, w, bias, options) {
      kind('linearBackward', 'x', x, 'f32', x.rows);
      kind('linearBackward', 'dy', dy, 'f32', x.rows);
      if (dx !== null) {
        like('linearBackward', 'dx', dx, x);
        distinct('linearBackward', dx, dy);
      }
      matrix('linearBackward', 'w', w, dy.width, x.width, 1);
      if (bias !== null) vector('linearBackward', 'bias', bias, dy.width);
      recorder.linearBackward(dx, dy, x, w, bias, options);
    },
    ropeBackward(dq, dk, rope) {
      for (const [operand, buffer] of [
        ['dq', dq],
        ['dk', dk],
      ] as const) {
        kind('ropeBackward', operand, buffer, 'f32', 'step');
        const headDim = rope.inverse.length * 2;
        if (buffer.width % headDim !== 0) {
          fail('ropeBackward', `${operand} has width ${buffer.width}`, `a multiple of ${headDim}`);
        }
      }
      recorder.ropeBackward(dq, dk, rope);
    },
    attentionBackward(gradients, dy, q, cache, layer, sinks, window) {
      const { kvHeads, headDim } = cache.spec;
      kind('attentionBackward', 'q', q, 'f32', 'step');
      like('attentionBackward', 'dy', dy, q);
      like('attentionBackward', 'gradients.q', gradients.q, q);
      for (const operand of ['k', 'v'] as const) {
        kind('attentionBackward', `gradients.${operand}`, gradients[operand], 'f32', 'step');
        width('attentionBackward', `gradients.${operand}`, gradients[operand], kvHeads * headDim);
      }
      distinct('attentionBackward', gradients.k, gradients.v);
      distinct('attentionBackward', gradients.q, dy);
      vector('attentionBackward', 'sinks', sinks, q.width / headDim);
      layerOf('attentionBackward', cache, layer);
      recorder.attentionBackward(gradients, dy, q, cache, layer, sinks, window);
    },
    routeBackward(dLogits, dGates, ids, gates) {
      kind('routeBackward', 'ids', ids, 'i32', 'step');
      kind('routeBackward', 'gates', gates, 'f32', 'step');
      kind('routeBackward', 'dLogits', dLogits, 'f32', 'step');
      like('routeBackward', 'dGates', dGates, gates);
      width('routeBackward', 'gates', gates, ids.width);
      recorder.routeBackward(dLogits, dGates, ids, gates);
    },
    routerLosses(losses, dLogits, logits, ids, weights) {
      kind('routerLosses', 'losses', losses, 'f32', 'step');
      width('routerLosses', 'losses', losses, 2);
      kind('routerLosses', 'logits', logits, 'f32', 'step');
      like('routerLosses', 'dLogits', dLogits, logits);
      kind('routerLosses', 'ids', ids, 'i32', 'step');
      recorder.routerLosses(losses, dLogits, logits, ids, weights);
    },
    moeUpBackward(dx, dh, x, ids, weights, alpha, limit) {
      const { gate, up } = weights;
      kind('moeUpBackward', 'x', x, 'f32', 'step');
      like('moeUpBackward', 'dx', dx, x);
      kind('moeUpBackward', 'dh', dh, 'f32', 'step');
      kind('moeUpBackward', 'ids', ids, 'i32', 'step');
      width('moeUpBackward', 'dh', dh, ids.width * gate.rows);
      matrix('moeUpBackward', 'gate', gate, gate.rows, x.width, gate.experts);
      matrix('moeUpBackward', 'up', up, gate.rows, x.width, gate.experts);
      recorder.moeUpBackward(dx, dh, x, ids, weights, alpha, limit);
    },
    moeDownBackward(gradients, dy, h, ids, gates, down, downBias) {
      kind('moeDownBackward', 'dy', dy, 'f32', 'step');
      kind('moeDownBackward', 'h', h, 'f32', 'step');
      kind('moeDownBackward', 'ids', ids, 'i32', 'step');
      kind('moeDownBackward', 'gates', gates, 'f32', 'step');
      like('moeDownBackward', 'gradients.h', gradients.h, h);
      like('moeDownBackward', 'gradients.gates', gradients.gates, gates);
      width('moeDownBackward', 'h', h, ids.width * down.cols);
      matrix('moeDownBackward', 'down', down, dy.width, down.cols, down.experts);
      vector('moeDownBackward', 'downBias', downBias, dy.width, down.experts);
      recorder.moeDownBackward(gradients, dy, h, ids, gates, down, downBias);
    },
    gatherRowsBackward(dx, dy) {
      kind('gatherRowsBackward', 'dx', dx, 'f32', 'step');
      kind('gatherRowsBackward', 'dy', dy, 'f32', 'scored');
      width('gatherRowsBackward', 'dx', dx, dy.width);
      recorder.gatherRowsBackward(dx, dy);
    },
    crossEntropy(losses, dLogits, logits) {
      kind('crossEntropy', 'losses', losses, 'f32', 'scored');
      width('crossEntropy', 'losses', losses, 2);
      kind('crossEntropy', 'logits', logits, 'f32', 'scored');
      like('crossEntropy', 'dLogits', dLogits, logits);
      facts.targets = Math.min(facts.targets ?? logits.width, logits.width);
      recorder.crossEntropy(losses, dLogits, logits);
    },
  };
}
