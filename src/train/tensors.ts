// The trainable tensors of a model in one fixed order, and the way between them and a checkpoint's view (ModelTensors):
// fresh ones at random, values as tensors that engine and exporters can read. Names are the paths in ModelTensors.
// The order is that of model/weights.ts: every Learner has it, checkpoints of a run rely on it.

import type { Learner, TrainTensor } from '../backend/learner.ts';
import { memorySource } from '../formats/bytes.ts';
import type { LayerTensors, ModelTensors } from '../formats/checkpoint.ts';
import type { ModelConfig } from '../formats/config.ts';
import { decodeRows } from '../formats/decode.ts';
import type { Matrix, Vector } from '../formats/tensor.ts';
import { CounterRandom } from './random.ts';

type LayerName = keyof LayerTensors;

/** Within a layer, in the order in which weights are loaded. */
const LAYER_ORDER: readonly LayerName[] = [
  ...(['attnNorm', 'q', 'qBias', 'k', 'kBias', 'v', 'vBias', 'o', 'oBias', 'sinks'] as const),
  ...(['mlpNorm', 'router', 'routerBias', 'gate', 'up', 'gateBias', 'upBias', 'down', 'downBias'] as const),
];

function layerShapes(config: ModelConfig): Record<LayerName, readonly number[]> {
  const { hidden, heads, kvHeads, headDim, experts, intermediate } = config;
  const [q, kv] = [heads * headDim, kvHeads * headDim];
  return {
    attnNorm: [hidden],
    q: [q, hidden],
    qBias: [q],
    k: [kv, hidden],
    kBias: [kv],
    v: [kv, hidden],
    vBias: [kv],
    o: [hidden, q],
    oBias: [hidden],
    sinks: [heads],
    mlpNorm: [hidden],
    router: [experts, hidden],
    routerBias: [experts],
    gate: [experts, intermediate, hidden],
    up: [experts, intermediate, hidden],
    gateBias: [experts, intermediate],
    upBias: [experts, intermediate],
    down: [experts, hidden, intermediate],
    downBias: [experts, hidden],
  };
}

const isVector = (name: string): boolean => /(Norm|Bias|sinks)$/.test(name);

function tensorOf(name: string, shape: readonly number[]): TrainTensor {
  const cols = shape[shape.length - 1];
  if (isVector(name)) return { name, experts: shape.length > 1 ? shape[0] : 1, rows: 1, cols, decays: false };
  const experts = shape.length > 2 ? shape[0] : 1;
  return { name, experts, rows: shape[shape.length - 2], cols, decays: true };
}

export function tensorsByName(config: ModelConfig): TrainTensor[] {
  const shapes = layerShapes(config);
  const layers = Array.from({ length: config.layers }, (_, l) =>
    LAYER_ORDER.map((name) => tensorOf(`layers.${l}.${name}`, shapes[name])),
  );
  return [
    tensorOf('embedding', [config.vocab, config.hidden]),
    ...layers.flat(),
    tensorOf('finalNorm', [config.hidden]),
    tensorOf('output', [config.vocab, config.hidden]),
  ];
}

export function parameterCount(config: ModelConfig): number {
  return tensorsByName(config).reduce((sum, { experts, rows, cols }) => sum + experts * rows * cols, 0);
}

/** A checkpoint's view of values in memory; `valuesOf` is asked when a tensor is read. */
export function memoryTensors(
  config: ModelConfig,
  valuesOf: (index: number, tensor: TrainTensor) => Float32Array,
): ModelTensors {
  const all = tensorsByName(config);
  const indexOf = new Map(all.map(({ name }, i) => [name, i]));
  const get = (name: string): Matrix | Vector => {
    const index = indexOf.get(name)!;
    const tensor = all[index];
    const { experts, rows, cols } = tensor;
    if (isVector(name)) {
      return { name, shape: experts > 1 ? [experts, cols] : [cols], load: () => valuesOf(index, tensor) };
    }
    const values = valuesOf(index, tensor);
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    return {
      ...{ name, dtype: 'f32', experts, rows, cols, source: memorySource(name, bytes), offset: 0 },
      ...{ rowStride: cols * 4, expertStride: rows * cols * 4, scales: null, colStride: null },
    };
  };
  return {
    embedding: get('embedding') as Matrix,
    output: get('output') as Matrix,
    finalNorm: get('finalNorm') as Vector,
    layers: Array.from(
      { length: config.layers },
      (_, l) =>
        Object.fromEntries(LAYER_ORDER.map((name) => [name, get(`layers.${l}.${name}`)])) as unknown as LayerTensors,
    ),
  };
}

/** What a learner holds now, as a checkpoint's tensors; `quantised`: experts as a fake-quantised pass sees them. */
export function learnerTensors(config: ModelConfig, learner: Learner, quantised = false): ModelTensors {
  return memoryTensors(config, (index) => (quantised ? learner.readQuantised(index) : learner.read(index, 'values')));
}

/** Decoded values of every tensor of a checkpoint, in the fixed order. */
export function* tensorValues(config: ModelConfig, tensors: ModelTensors): Generator<[TrainTensor, Float32Array]> {
  for (const tensor of tensorsByName(config)) {
    const { name, experts, rows, cols } = tensor;
    const [, layer, field] = /^layers\.(\d+)\.(\w+)$/.exec(name) ?? [];
    const from =
      layer === undefined
        ? tensors[name as 'embedding' | 'output' | 'finalNorm']
        : tensors.layers[Number(layer)][field as LayerName];
    if ('load' in from) {
      yield [tensor, from.load()];
      continue;
    }
    const values = new Float32Array(experts * rows * cols);
    for (let e = 0; e < experts; e++) decodeRows(from, e, 0, rows, values, e * rows * cols);
    yield [tensor, values];
  }
}

const INIT_DEVIATION = 0.02;

/**
 * A fresh model (training.md §1.6): matrices N(0, 0.02), those that write to the residual stream scaled by
 * 1/√(2·layers); norms 1; biases and sinks 0. The same seed gives the same bits anywhere.
 */
export function initialTensors(config: ModelConfig, seed: number): ModelTensors {
  return memoryTensors(config, (index, { name, experts, rows, cols }) => {
    const values = new Float32Array(experts * rows * cols);
    if (/Norm$/.test(name)) return values.fill(1);
    if (isVector(name)) return values;
    const random = new CounterRandom(seed, index);
    const deviation = INIT_DEVIATION * (/\.(o|down)$/.test(name) ? 1 / Math.sqrt(2 * config.layers) : 1);
    for (let i = 0; i < values.length; i++) values[i] = deviation * random.gaussian();
    return values;
  });
}
