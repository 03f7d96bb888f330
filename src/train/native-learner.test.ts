// The native learner, each ISA variant, against its oracle in float64: loss, log-probabilities, every gradient, over random
// models and documents of odd shapes (one-token documents, experts without rows, sinks of -∞, values beyond the limits,
// windows, groups). Then what it promises beyond: the same bits for any number of threads, MXFP4 as packNearest.
import { describe, expect, it } from 'vitest';
import { addonPath } from '../backend/cpu/addon.testing.ts';
import { findAddon } from '../backend/cpu/addon.ts';
import { CpuLearner, type CpuLearnerOptions } from '../backend/cpu/learner.ts';
import type { Learner, PassOptions, TrainBatch } from '../backend/learner.ts';
import { ReferenceTrainer } from '../backend/reference/trainer.ts';
import type { ModelConfig } from '../formats/config.ts';
import { GROUP_DATA_BYTES, GROUP_VALUES, packNearest, unpackGroup } from '../formats/mxfp4.ts';
import { yarnRope } from '../model/rope.ts';
import { randomBatch, smallConfig } from './batches.testing.ts';
import { nativeLearner, trainVariants, wildTensors } from './learners.testing.ts';
import { ProgramLearner } from './program-learner.ts';
import { tensorsByName, tensorValues } from './tensors.ts';

const plain: PassOptions = { gradients: true, router: null, fakeQuantised: false };

function largest(values: Float32Array): number {
  let most = 0;
  for (const value of values) if (Number.isFinite(value)) most = Math.max(most, Math.abs(value));
  return most;
}

function difference(a: Float32Array, b: Float32Array): number {
  let most = a.length === b.length ? 0 : Number.POSITIVE_INFINITY;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) most = Math.max(most, Math.abs(a[i] - b[i]));
  return most;
}

/** Gradients of every tensor, after one run. */
async function gradientsOf(learner: Learner, batch: TrainBatch, options: PassOptions): Promise<Float32Array[]> {
  learner.clearGradients();
  await learner.run(batch, options);
  return learner.tensors.map((_, i) => learner.read(i, 'gradient'));
}

const cases: readonly [string, ModelConfig, readonly number[]][] = [
  ['usual', smallConfig(), [20, 1, 7, 33]],
  [
    'odd sizes, three layers, one head to each key',
    smallConfig({
      ...{ layers: 3, hidden: 20, heads: 3, kvHeads: 3, headDim: 6, experts: 5, expertsPerToken: 3, intermediate: 9 },
      ...{ vocab: 37, slidingWindow: 1 },
    }),
    [2, 1, 1, 50],
  ],
  [
    'more experts than rows, one key head for all',
    smallConfig({ experts: 40, expertsPerToken: 4, heads: 5, kvHeads: 1, headDim: 10, hidden: 48, intermediate: 64 }),
    [3, 4],
  ],
  [
    'long documents, tiles and windows that cut each other',
    smallConfig({
      heads: 8,
      kvHeads: 2,
      headDim: 32,
      hidden: 64,
      slidingWindow: 33,
      maxContext: 512,
      layers: 2,
      vocab: 300,
    }),
    [100, 40],
  ],
];

const { addon, problems } = findAddon(addonPath);
if (addon === null) {
  describe('the native learner', () => {
    it.skip(`is not built: ${problems.join('; ')}`, () => {});
  });
} else {
  const variants = trainVariants();
  describe.each(cases)('a model: %s', (_, config, lengths) => {
    const tensors = wildTensors(config, 3);
    const batch = randomBatch(config, lengths, 9);
    const router = { balance: 0.3, z: 0.2 };
    const settings = [plain, { ...plain, router }];

    /** The oracle's answers, once for all variants. */
    const oracle = (async () => {
      const reference = new ProgramLearner(
        { config, tensors },
        new ReferenceTrainer({ floats: Float64Array, maxRows: 256 }),
        { passRows: 256 },
      );
      // Routing is chosen once: a near tie may fall either way in float32.
      const { expertIds } = await reference.run(batch, { ...plain, gradients: false });
      const forced = { ...batch, expertIds };
      const results = [];
      const gradients = [];
      for (const options of settings) {
        reference.clearGradients();
        results.push(await reference.run(forced, options));
        gradients.push(reference.tensors.map((_, i) => reference.read(i, 'gradient')));
      }
      return { forced, results, gradients };
    })();

    it.each(variants)('has the loss and gradients of the oracle on %s', async (variant) => {
      const learner = nativeLearner(config, tensors, { variant, shards: 1, threads: 1 });
      const { forced, results, gradients } = await oracle;
      for (const [i, options] of settings.entries()) {
        learner.clearGradients();
        const result = await learner.run(forced, options);
        const wanted = results[i];
        expect(result.loss).toBeCloseTo(wanted.loss, 4);
        expect(difference(result.logprobs, wanted.logprobs)).toBeLessThan(2e-5 * (1 + largest(wanted.logprobs)));
        expect(difference(result.entropies, wanted.entropies)).toBeLessThan(2e-5 * (1 + largest(wanted.entropies)));
        expect(result.balanceLoss).toBeCloseTo(wanted.balanceLoss, 4);
        expect(result.zLoss).toBeCloseTo(wanted.zLoss, 3);
        for (const [t, { name }] of learner.tensors.entries()) {
          const scale = Math.max(largest(gradients[i][t]), 1e-6);
          // These models magnify rounding; 1e-5 is asked where gradients have their usual size (mini-train).
          expect(difference(learner.read(t, 'gradient'), gradients[i][t]) / scale, name).toBeLessThan(1e-4);
        }
      }
      await learner.close();
    });

    it.each(variants)('chooses the experts of the oracle on %s', async (variant) => {
      const learner = nativeLearner(config, tensors, { variant });
      const { expertIds: found } = await learner.run(batch, plain);
      const wanted = (await oracle).forced.expertIds;
      let same = 0;
      for (let i = 0; i < found.length; i++) if (found[i] === wanted[i]) same++;
      expect(same / found.length).toBeGreaterThan(0.98);
      await learner.close();
    });
  });

  describe.each(variants)('the native learner on %s', (variant) => {
    const config = smallConfig({ layers: 3, vocab: 50 });
    const tensors = wildTensors(config, 4);
    const settings = { learningRate: 0.01, beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0.1, clip: 1 };

    it('gives the same bits for any number of threads, run and update', async () => {
      const batch = randomBatch(config, [30, 1, 9, 40, 22, 17, 5, 5, 60], 11);
      const states: Float32Array[][] = [];
      for (const threads of [1, 2, 3]) {
        const learner = nativeLearner(config, tensors, { variant, threads, shards: 3, passRows: 25 });
        for (let step = 1; step <= 3; step++) {
          learner.clearGradients();
          await learner.run(batch, { ...plain, router: { balance: 0.1, z: 0.1 }, fakeQuantised: step === 3 });
          expect(await learner.update({ ...settings, step })).toBeGreaterThan(0);
        }
        states.push(learner.tensors.flatMap((_, i) => [learner.read(i, 'values'), learner.read(i, 'second')]));
        await learner.close();
      }
      for (const state of states) for (const [i, values] of state.entries()) expect(values).toEqual(states[0][i]);
    });

    it('with rounded products, has the same gradients within what bf16 keeps', async () => {
      const small = wildTensors(config, 4, 0.3);
      const batch = randomBatch(config, [30, 1, 9, 40, 22], 11);
      const learner = nativeLearner(config, small, { variant });
      const { expertIds } = await learner.run(batch, { ...plain, gradients: false });
      const exact = await gradientsOf(learner, { ...batch, expertIds }, plain);
      const rounded = await gradientsOf(learner, { ...batch, expertIds }, { ...plain, roundedProducts: true });
      let isEqual = true;
      for (const [i, { name }] of learner.tensors.entries()) {
        let [dot, a, b] = [0, 0, 0];
        for (const [j, x] of exact[i].entries()) {
          dot += x * rounded[i][j];
          a += x * x;
          b += rounded[i][j] ** 2;
        }
        // A factor has 8 bits: 2^-9 off at most.
        if (a > 0) expect(dot / Math.sqrt(a * b), name).toBeGreaterThan(0.999);
        isEqual &&= difference(exact[i], rounded[i]) === 0;
      }
      expect(isEqual).toBe(variant !== 'avx512-amx');
      await learner.close();
    });

    it('updates as the oracle does', async () => {
      const batch = randomBatch(config, [30, 12], 12);
      const learner = nativeLearner(config, tensors, { variant });
      const reference = new ProgramLearner({ config, tensors }, new ReferenceTrainer({ floats: Float64Array }));
      const { expertIds } = await reference.run(batch, plain);
      for (const one of [learner, reference]) {
        one.clearGradients();
        await one.run({ ...batch, expertIds }, plain);
      }
      const norms = [await learner.update({ ...settings, step: 1 }), await reference.update({ ...settings, step: 1 })];
      expect(norms[0] / norms[1]).toBeCloseTo(1, 5);
      for (const [i, { name }] of learner.tensors.entries()) {
        for (const part of ['first', 'second'] as const) {
          const wanted = reference.read(i, part);
          expect(difference(learner.read(i, part), wanted), name).toBeLessThan(1e-4 * Math.max(1e-6, largest(wanted)));
        }
        // One step moves a value by the rate; where a gradient is all but zero, its sign is noise.
        const moved = difference(learner.read(i, 'values'), reference.read(i, 'values'));
        expect(moved, name).toBeLessThanOrEqual(0.0201);
      }
      await learner.close();
    });

    it('rounds experts to MXFP4 as the format code does, and differentiates through the rounded ones', async () => {
      const learner = nativeLearner(config, tensors, { variant });
      const reference = new ProgramLearner({ config, tensors }, new ReferenceTrainer({ floats: Float64Array }));
      const data = new Uint8Array(GROUP_DATA_BYTES);
      for (const [i, { name, experts, rows }] of learner.tensors.entries()) {
        const values = learner.read(i, 'values');
        if (experts > 1 && rows > 1) {
          // Every magnitude that float32 has, beside the usual ones.
          for (let j = 0; j < 3200; j++)
            values[j] = Math.fround(values[j] * 2 ** ((Math.floor(j / 32) % 100) * 2 - 130));
          learner.write(i, 'values', values);
          for (let at = 0; at < values.length; at += GROUP_VALUES) {
            const scale = packNearest(values, at, 'pairs', data, 0);
            unpackGroup(data, 0, scale, 'pairs', values, at);
          }
          expect(learner.readQuantised(i), name).toEqual(values);
          learner.write(i, 'values', tensorOf(i));
        } else expect(learner.readQuantised(i), name).toEqual(values);
      }
      const options = { ...plain, fakeQuantised: true };
      const batch = randomBatch(config, [30, 12], 12);
      const { expertIds } = await reference.run(batch, options);
      const wanted = await gradientsOf(reference, { ...batch, expertIds }, options);
      const found = await gradientsOf(learner, { ...batch, expertIds }, options);
      for (const [i, { name }] of learner.tensors.entries()) {
        expect(difference(found[i], wanted[i]) / Math.max(largest(wanted[i]), 1e-6), name).toBeLessThan(1e-4);
      }
      await learner.close();
    });

    function tensorOf(index: number): Float32Array {
      return [...tensorValues(config, tensors)][index][1];
    }
  });

  describe('the native learner', () => {
    it('refuses a second run while one is under way, and works after that', async () => {
      const config = smallConfig();
      const learner = nativeLearner(config, wildTensors(config, 1), {});
      const batch = randomBatch(config, [60, 60, 60], 1);
      const first = learner.run(batch, plain);
      const second = learner.run(batch, plain);
      expect(() => learner.read(0, 'values')).toThrow(/under way/);
      await expect(second).rejects.toMatchObject({ code: 'internal', message: expect.stringMatching(/under way/) });
      await first;
      expect((await learner.run(batch, plain)).logprobs.length).toBe(180);
      await learner.close();
      await learner.close();
      expect(() => learner.read(0, 'values')).toThrow(/closed/);
    });

    it('refuses sizes and settings that it cannot have', () => {
      const config = smallConfig();
      const make = (options: CpuLearnerOptions, changed = config): CpuLearner =>
        new CpuLearner(changed, yarnRope(changed), tensorsByName(changed), { addonPath, ...options });
      expect(() => make({ shards: 0 })).toThrow(/shards/);
      expect(() => make({ threads: 1.5 })).toThrow(/threads/);
      expect(() => make({ isa: 'sparc' })).toThrow(/sparc/);
      expect(() => make({}, { ...config, vocab: 1 << 21, hidden: 1 << 13 })).toThrow(/too large/);
    });
  });
}
