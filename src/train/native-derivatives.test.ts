// The native learner's own derivatives, each ISA variant: central differences of its loss along a direction in each tensor,
// routing frozen, float32 (the oracle's are checked to 1e-6 in float64: backward.test.ts). Every op has parameters, or its
// derivative carries those of what lies before it: attention and rotary positions those of q, k, v; the clamped SwiGLU those of gate
// and up; gather, combine and the norms those of the layer below. Cases are the places where an op has an edge.
import { describe, expect, it } from 'vitest';
import { addonPath } from '../backend/cpu/addon.testing.ts';
import { findAddon } from '../backend/cpu/addon.ts';
import type { Learner, TrainBatch } from '../backend/learner.ts';
import type { ModelConfig } from '../formats/config.ts';
import { randomBatch, smallConfig } from './batches.testing.ts';
import { nativeLearner, trainVariants, wildTensors } from './learners.testing.ts';
import { CounterRandom } from './random.ts';

/** float32: the loss itself is rounded, which counts where gradients are small. */
const TOLERANCE = 2e-3;

interface Case {
  readonly config: ModelConfig;
  readonly lengths: readonly number[];
  /** An expert that no row chooses. */
  readonly empty?: number;
  /** Biases put values far above, far below or far inside the limits, so that no step takes one across. */
  readonly clamped?: boolean;
}

const cases: Readonly<Record<string, Case>> = {
  'documents as long as the window, one shorter, one longer': {
    config: smallConfig({ slidingWindow: 6 }),
    lengths: [5, 6, 7, 13],
  },
  'a window of one key, documents of one token': { config: smallConfig({ slidingWindow: 1 }), lengths: [1, 1, 9, 1] },
  'an expert without rows': { config: smallConfig(), lengths: [12, 8], empty: 2 },
  'a SwiGLU that is clamped above and below': {
    config: smallConfig({ swigluLimit: 0.8 }),
    lengths: [14, 6],
    clamped: true,
  },
  'odd sizes': {
    config: smallConfig({
      ...{ hidden: 20, heads: 3, kvHeads: 3, headDim: 6, experts: 5, expertsPerToken: 3, intermediate: 9, vocab: 37 },
    }),
    lengths: [11, 9],
  },
};

/** Loss in float64 from log-probabilities, which are of float32. */
const lossOf = (batch: TrainBatch, logprobs: Float32Array): number =>
  batch.weights.reduce((sum, weight, i) => sum - weight * logprobs[i], 0);

const { addon, problems } = findAddon(addonPath);
if (addon === null) {
  describe('derivatives of the native learner', () => {
    it.skip(`is not built: ${problems.join('; ')}`, () => {});
  });
} else {
  describe.each(Object.entries(cases))('%s', (_, { config, lengths, empty, clamped = false }) => {
    it.each(trainVariants())('every tensor on %s', async (variant) => {
      const learner = nativeLearner(config, wildTensors(config, 6, 0.5), { variant, shards: 1, threads: 1 });
      if (clamped) keepFromLimits(learner);
      const free = randomBatch(config, lengths, 3);
      const options = { gradients: true, router: null, fakeQuantised: false };
      const { expertIds: chosen } = await learner.run(free, { ...options, gradients: false });
      const batch = { ...free, expertIds: empty === undefined ? chosen : without(empty, chosen, config) };
      learner.clearGradients();
      await learner.run(batch, options);
      const gradients = learner.tensors.map((_, i) => learner.read(i, 'gradient'));
      const lossAt = async (index: number, values: Float32Array): Promise<number> => {
        learner.write(index, 'values', values);
        return lossOf(batch, (await learner.run(batch, { ...options, gradients: false })).logprobs);
      };
      for (const [index, { name, experts }] of learner.tensors.entries()) {
        const [values, gradient] = [learner.read(index, 'values'), gradients[index]];
        expect(gradient.every(Number.isFinite), name).toBe(true);
        if (/sinks$/.test(name)) expect(gradient[0], 'a sink of -∞').toBe(0);
        if (empty !== undefined && experts > 1) {
          const size = gradient.length / experts;
          expect(gradient.subarray(empty * size, (empty + 1) * size).every((d) => d === 0)).toBe(true);
        }
        // Along the gradient, each entry weighted by chance: the loss moves well above its own rounding.
        const random = new CounterRandom(31, index);
        const along = Float64Array.from(gradient, (d) => d * (0.5 + random.float()));
        const length = Math.hypot(...along);
        const wanted = gradient.reduce((sum, d, i) => sum + (d * along[i]) / length, 0);
        expect(length, name).toBeGreaterThan(0);
        // A long step meets bends (limits of the SwiGLU), a short one the rounding of the loss: the best of four counts.
        let least = Number.POSITIVE_INFINITY;
        for (const change of [1.5e-2, 4e-3, 1e-3, 2.5e-4]) {
          const epsilon = Math.min(0.2, change / wanted);
          const f = (steps: number): Promise<number> =>
            lossAt(
              index,
              values.map((v, i) => v + (steps * epsilon * along[i]) / length),
            );
          const near = (await f(1)) - (await f(-1));
          const far = (await f(2)) - (await f(-2));
          least = Math.min(least, Math.abs((8 * near - far) / (12 * epsilon) / wanted - 1));
          if (least < TOLERANCE) break;
        }
        learner.write(index, 'values', values);
        expect(least, name).toBeLessThan(TOLERANCE);
      }
      await learner.close();
    });
  });
}

function keepFromLimits(learner: Learner): void {
  for (const [index, { name }] of learner.tensors.entries()) {
    const bias = /(gate|up)Bias$/.test(name);
    if (!bias && !/(gate|up)$/.test(name)) continue;
    const values = learner.read(index, 'values').map((v, i) => (bias ? [3, -3, 0.1][i % 3] : 0.1 * v));
    learner.write(index, 'values', values);
  }
}

/** Another expert, in its place, that the row has not chosen. */
function without(expert: number, chosen: Int32Array, { experts, expertsPerToken }: ModelConfig): Int32Array {
  return chosen.map((id, i) => {
    if (id !== expert) return id;
    const first = i - (i % expertsPerToken);
    const row = chosen.subarray(first, first + expertsPerToken);
    return Array.from({ length: experts }, (_, e) => e).find((e) => e !== expert && !row.includes(e)) ?? 0;
  });
}
