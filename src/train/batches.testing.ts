// Small models and batches for tests of training.
import type { TrainBatch } from '../backend/learner.ts';
import type { ModelConfig } from '../formats/config.ts';
import { CounterRandom } from './random.ts';

export function smallConfig(changes: Partial<ModelConfig> = {}): ModelConfig {
  const layers = changes.layers ?? 2;
  return {
    layers,
    hidden: 32,
    heads: 4,
    kvHeads: 2,
    headDim: 8,
    experts: 4,
    expertsPerToken: 2,
    intermediate: 32,
    vocab: 24,
    slidingWindow: 6,
    sliding: Array.from({ length: layers }, (_, l) => l % 2 === 0),
    ropeTheta: 150000,
    rope: { factor: 4, originalContext: 16, betaFast: 32, betaSlow: 1 },
    maxContext: 64,
    rmsEps: 1e-5,
    swigluAlpha: 1.702,
    swigluLimit: 7,
    ...changes,
  };
}

/** Documents of these lengths with random tokens; some rows have no weight. */
export function randomBatch(config: ModelConfig, lengths: readonly number[], seed: number): TrainBatch {
  const random = new CounterRandom(seed, 77);
  const starts: number[] = [];
  let rows = 0;
  for (const length of lengths) {
    starts.push(rows);
    rows += length;
  }
  return {
    ids: Int32Array.from({ length: rows }, () => random.below(config.vocab)),
    documentStarts: Int32Array.from(starts),
    targets: Int32Array.from({ length: rows }, () => random.below(config.vocab)),
    weights: Float32Array.from({ length: rows }, () => (random.float() < 0.3 ? 0 : random.float() / rows)),
  };
}

/** Documents that repeat a short random pattern: something to learn within some steps. */
export function patternBatch(config: ModelConfig, documents: number, length: number, seed: number): TrainBatch {
  const random = new CounterRandom(seed, 78);
  const rows = documents * length;
  const ids = new Int32Array(rows);
  const targets = new Int32Array(rows);
  for (let d = 0; d < documents; d++) {
    const pattern = Array.from({ length: 3 }, () => random.below(config.vocab));
    for (let t = 0; t <= length; t++) {
      if (t < length) ids[d * length + t] = pattern[t % 3];
      if (t > 0) targets[d * length + t - 1] = pattern[t % 3];
    }
  }
  return {
    ids,
    targets,
    documentStarts: Int32Array.from({ length: documents }, (_, d) => d * length),
    weights: new Float32Array(rows).fill(1 / rows),
  };
}
