// Shape rules of every op, used by every backend: `checkedOps` wraps a backend's recorder, checks each call when it is
// recorded, and gathers what a step's Batch has to respect (vocabulary, caches, routing) for batch.ts.
// It never sees numbers and never runs anything. After these checks kernels cannot fail.
// Next: batch.ts (the same for the values of one step).

import { GptOssError } from '../errors.ts';
import type { Buffer, KvCache, Ops, Weight } from './backend.ts';

/** What a recorded program demands of a batch. */
export interface ProgramFacts {
  /** Rows of the embedding; null when the program embeds nothing. */
  vocab: number | null;
  /** Caches the program touches, with the widest window of each sliding group (null: none read). */
  readonly caches: Map<KvCache, { window: number | null }>;
  /** For forced expert ids: layers that route, experts to choose from, experts per token. */
  readonly routing: { layers: number; experts: number; expertsPerToken: number };
  /** Rows that the smallest buffer of each kind holds. */
  readonly limits: { step: number; scored: number };
  /** Set by training programs (train-op-shapes.ts): whole sequences, and targets below this vocabulary. */
  targets: number | null;
}

/** Names of ops in messages: those of Ops and of TrainOps. */
export type OpName = string;

export function fail(op: OpName, what: string, expected: string): never {
  throw new GptOssError('internal', `${op}: ${what}; expected ${expected}; record the program with matching shapes`);
}

export function width(op: OpName, operand: string, buffer: Buffer, expected: number): void {
  if (buffer.width !== expected) {
    fail(op, `${operand} (${buffer.name}) has width ${buffer.width}`, `width ${expected}`);
  }
}

export function vector(op: OpName, operand: string, weight: Weight, cols: number, experts = 1): void {
  if (weight.rows !== 1 || weight.cols !== cols || weight.experts !== experts) {
    const shape = `[${weight.experts}, ${weight.rows}, ${weight.cols}]`;
    fail(op, `${operand} (${weight.name}) has shape ${shape}`, `[${experts}, 1, ${cols}]`);
  }
}

export function matrix(op: OpName, operand: string, weight: Weight, rows: number, cols: number, experts: number): void {
  if (weight.rows !== rows || weight.cols !== cols || weight.experts !== experts) {
    const shape = `[${weight.experts}, ${weight.rows}, ${weight.cols}]`;
    fail(op, `${operand} (${weight.name}) has shape ${shape}`, `[${experts}, ${rows}, ${cols}]`);
  }
}

export function distinct(op: OpName, a: Buffer, b: Buffer): void {
  if (a === b) fail(op, `${a.name} is both source and destination`, 'two buffers');
}

export function layerOf(op: OpName, cache: KvCache, layer: number): { sliding: boolean } {
  const found = cache.spec.layers[layer];
  if (found === undefined) fail(op, `layer ${layer} is not in the cache`, `0 … ${cache.spec.layers.length - 1}`);
  return found;
}

export type KindCheck = (
  op: OpName,
  operand: string,
  buffer: Buffer,
  type: 'f32' | 'i32',
  rows: 'step' | 'scored',
) => void;

/** Checks type and kind of rows of a buffer; every buffer of a program passes here, so that its size is known. */
export function kindCheck(facts: ProgramFacts): KindCheck {
  return (op, operand, buffer, type, rows) => {
    if (buffer.type !== type || buffer.rows !== rows) {
      fail(op, `${operand} (${buffer.name}) is ${buffer.type} by ${buffer.rows} rows`, `${type} by ${rows} rows`);
    }
    facts.limits[rows] = Math.min(facts.limits[rows], buffer.maxRows ?? Number.POSITIVE_INFINITY);
  };
}

/** The recorder behind shape checks, and what the checks learned. */
export function checkedOps(recorder: Ops): { ops: Ops; facts: ProgramFacts } {
  const facts: ProgramFacts = {
    vocab: null,
    caches: new Map(),
    routing: { layers: 0, experts: 0, expertsPerToken: 0 },
    limits: { step: Number.POSITIVE_INFINITY, scored: Number.POSITIVE_INFINITY },
    targets: null,
  };
  const kind = kindCheck(facts);
  const cacheFacts = (cache: KvCache): { window: number | null } => {
    let found = facts.caches.get(cache);
    if (found === undefined) {
      found = { window: null };
      facts.caches.set(cache, found);
    }
    return found;
  };

  const ops: Ops = {
    segment() {
      recorder.segment();
    },
    embed(y, table) {
      kind('embed', 'y', y, 'f32', 'step');
      matrix('embed', 'table', table, table.rows, y.width, 1);
      facts.vocab = Math.min(facts.vocab ?? table.rows, table.rows);
      recorder.embed(y, table);
    },
    rmsNorm(y, x, gain, eps) {
      kind('rmsNorm', 'x', x, 'f32', x.rows);
      kind('rmsNorm', 'y', y, 'f32', x.rows);
      width('rmsNorm', 'y', y, x.width);
      vector('rmsNorm', 'gain', gain, x.width);
      if (!(eps >= 0)) fail('rmsNorm', `eps is ${eps}`, 'eps >= 0');
      recorder.rmsNorm(y, x, gain, eps);
    },
    linear(y, x, w, bias, options) {
      kind('linear', 'x', x, 'f32', x.rows);
      kind('linear', 'y', y, 'f32', x.rows);
      distinct('linear', y, x);
      matrix('linear', 'w', w, y.width, x.width, 1);
      if (bias !== null) vector('linear', 'bias', bias, y.width);
      recorder.linear(y, x, w, bias, options);
    },
    ropeCache(q, k, v, rope, cache, layer) {
      const { kvHeads, headDim } = cache.spec;
      for (const [operand, buffer] of [
        ['q', q],
        ['k', k],
        ['v', v],
      ] as const) {
        kind('ropeCache', operand, buffer, 'f32', 'step');
      }
      distinct('ropeCache', q, k);
      distinct('ropeCache', k, v);
      width('ropeCache', 'k', k, kvHeads * headDim);
      width('ropeCache', 'v', v, kvHeads * headDim);
      if (q.width % headDim !== 0) fail('ropeCache', `q has width ${q.width}`, `a multiple of ${headDim}`);
      if (rope.inverse.length * 2 !== headDim) {
        fail('ropeCache', `rope has ${rope.inverse.length} frequencies`, `${headDim / 2}`);
      }
      layerOf('ropeCache', cache, layer);
      cacheFacts(cache);
      recorder.ropeCache(q, k, v, rope, cache, layer);
    },
    attention(y, q, cache, layer, sinks, window) {
      const { kvHeads, headDim } = cache.spec;
      kind('attention', 'q', q, 'f32', 'step');
      kind('attention', 'y', y, 'f32', 'step');
      distinct('attention', y, q);
      width('attention', 'y', y, q.width);
      if (q.width % (kvHeads * headDim) !== 0) {
        fail('attention', `q has width ${q.width}`, `a multiple of ${kvHeads} kv heads × ${headDim}`);
      }
      vector('attention', 'sinks', sinks, q.width / headDim);
      if (window !== null && !(Number.isInteger(window) && window >= 1)) {
        fail('attention', `window is ${window}`, 'a positive integer, or null for all keys');
      }
      if (layerOf('attention', cache, layer).sliding) {
        if (window === null) fail('attention', `layer ${layer} is sliding but reads all keys`, 'a window');
        const known = cacheFacts(cache);
        known.window = Math.max(known.window ?? 0, window);
      } else {
        cacheFacts(cache);
      }
      recorder.attention(y, q, cache, layer, sinks, window);
    },
    route(ids, gates, logits, layer) {
      kind('route', 'ids', ids, 'i32', 'step');
      kind('route', 'gates', gates, 'f32', 'step');
      kind('route', 'logits', logits, 'f32', 'step');
      width('route', 'gates', gates, ids.width);
      if (ids.width > logits.width) {
        fail('route', `ids has width ${ids.width}`, `at most the ${logits.width} experts of ${logits.name}`);
      }
      if (!(Number.isInteger(layer) && layer >= 0)) fail('route', `layer is ${layer}`, 'a layer index');
      const { routing } = facts;
      routing.layers = Math.max(routing.layers, layer + 1);
      routing.experts = routing.experts === 0 ? logits.width : Math.min(routing.experts, logits.width);
      if (routing.expertsPerToken !== 0) width('route', 'ids', ids, routing.expertsPerToken);
      routing.expertsPerToken = ids.width;
      recorder.route(ids, gates, logits, layer);
    },
    moeUp(h, x, ids, weights, alpha, limit) {
      const { gate, up, gateBias, upBias } = weights;
      kind('moeUp', 'h', h, 'f32', 'step');
      kind('moeUp', 'x', x, 'f32', 'step');
      kind('moeUp', 'ids', ids, 'i32', 'step');
      distinct('moeUp', h, x);
      matrix('moeUp', 'gate', gate, gate.rows, x.width, gate.experts);
      matrix('moeUp', 'up', up, gate.rows, x.width, gate.experts);
      vector('moeUp', 'gateBias', gateBias, gate.rows, gate.experts);
      vector('moeUp', 'upBias', upBias, gate.rows, gate.experts);
      width('moeUp', 'h', h, ids.width * gate.rows);
      if (!(limit > 0)) fail('moeUp', `limit is ${limit}`, 'a positive limit');
      recorder.moeUp(h, x, ids, weights, alpha, limit);
    },
    moeDown(y, h, ids, gates, down, downBias) {
      kind('moeDown', 'y', y, 'f32', 'step');
      kind('moeDown', 'h', h, 'f32', 'step');
      kind('moeDown', 'ids', ids, 'i32', 'step');
      kind('moeDown', 'gates', gates, 'f32', 'step');
      distinct('moeDown', y, h);
      width('moeDown', 'gates', gates, ids.width);
      matrix('moeDown', 'down', down, y.width, down.cols, down.experts);
      width('moeDown', 'h', h, ids.width * down.cols);
      vector('moeDown', 'downBias', downBias, y.width, down.experts);
      recorder.moeDown(y, h, ids, gates, down, downBias);
    },
    gatherRows(y, x) {
      kind('gatherRows', 'x', x, 'f32', 'step');
      kind('gatherRows', 'y', y, 'f32', 'scored');
      width('gatherRows', 'y', y, x.width);
      recorder.gatherRows(y, x);
    },
  };
  return { ops, facts };
}
