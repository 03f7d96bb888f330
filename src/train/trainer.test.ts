// What a stage relies on: steps lower the loss, documents do not see each other, scores equal what a step saw, bad
// batches are refused, a loss that is no number stops the run and changes nothing.
import { afterAll, describe, expect, it } from 'vitest';
import { addonPath } from '../backend/cpu/addon.testing.ts';
import { findAddon } from '../backend/cpu/addon.ts';
import type { TrainBatch } from '../backend/learner.ts';
import { freshModel, openTrainer } from '../training.node.ts';
import { patternBatch, randomBatch, smallConfig } from './batches.testing.ts';
import type { Trainer } from './trainer.ts';

const { addon, problems } = findAddon(addonPath);
if (addon === null) {
  describe('a trainer on cpu', () => {
    it.skip(`is not built: ${problems.join('; ')}`, () => {});
  });
}

for (const backend of addon === null ? (['reference'] as const) : (['reference', 'cpu'] as const)) {
  describe(`a trainer on ${backend}`, () => {
    const config = smallConfig();
    const opened: Trainer[] = [];
    const fresh = (seed = 1): Trainer => {
      const trainer = openTrainer(freshModel(config, seed), { backend });
      opened.push(trainer);
      return trainer;
    };
    afterAll(async () => {
      for (const trainer of opened) await trainer.close();
    });

    it('lowers the loss', async () => {
      const trainer = fresh();
      const losses: number[] = [];
      for (let i = 0; i < 12; i++) {
        const result = await trainer.step(patternBatch(config, 6, 12, i % 3), { learningRate: 0.01 });
        losses.push(result.meanLoss);
        expect(result.step).toBe(i + 1);
        expect(Math.abs(result.loss - result.meanLoss)).toBeLessThan(1e-4);
      }
      expect(losses[0]).toBeCloseTo(Math.log(config.vocab), 0);
      expect(losses[11]).toBeLessThan(losses[0] * 0.8);
      expect(trainer.state).toEqual({ step: 12, rows: 12 * 72 });
    });

    it('scores as a step does, whatever else is in the batch', async () => {
      const trainer = fresh();
      const batch = randomBatch(config, [5, 1, 20, 9], 3);
      const alone = await trainer.score(batch);
      const document: TrainBatch = {
        ids: batch.ids.slice(6, 26),
        targets: batch.targets.slice(6, 26),
        weights: batch.weights.slice(6, 26),
        documentStarts: Int32Array.of(0),
      };
      const one = await trainer.score(document);
      for (let i = 0; i < 20; i++) expect(one.logprobs[i]).toBeCloseTo(alone.logprobs[6 + i], 5);
      const stepped = await trainer.step(batch, { learningRate: 0 });
      expect(Array.from(stepped.logprobs)).toEqual(Array.from(alone.logprobs));
      const k = config.expertsPerToken;
      const replayed = await trainer.score({ ...batch, expertIds: alone.expertIds });
      expect(Array.from(replayed.logprobs)).toEqual(Array.from(alone.logprobs));
      expect(stepped.expertLoad.map((load) => load.reduce((a, b) => a + b))).toEqual(
        stepped.expertLoad.map(() => expect.closeTo(config.experts, 6)),
      );
      expect(alone.expertIds.length).toBe(config.layers * 35 * k);
    });

    it('stops at a loss that is no number and changes nothing', async () => {
      const trainer = fresh();
      const batch = randomBatch(config, [12], 5);
      const output = trainer.learner.tensors.findIndex(({ name }) => name === 'output');
      const values = trainer.learner.read(output, 'values');
      const before = values.slice();
      values[0] = Number.NaN;
      trainer.learner.write(output, 'values', values);
      await expect(trainer.step(batch, { learningRate: 0.1 })).rejects.toMatchObject({
        code: 'diverged',
        message: expect.stringMatching(/step 1 .*12 rows in 1 document/),
        details: { step: 1, rows: 12, documents: 1 },
      });
      expect(trainer.state.step).toBe(0);
      const now = trainer.learner.read(output, 'values');
      expect(Array.from(now.subarray(1))).toEqual(Array.from(before.subarray(1)));
    });

    it.each<[string, (batch: TrainBatch) => Partial<TrainBatch>, RegExp]>([
      ['an id beyond the vocabulary', ({ ids }) => ({ ids: ids.map((id, i) => (i === 3 ? 24 : id)) }), /row 3/],
      ['a target below zero', ({ targets }) => ({ targets: targets.map(() => -1) }), /target -1/],
      ['a weight that is no number', ({ weights }) => ({ weights: weights.map(() => Number.NaN) }), /row 0/],
      ['missing weights', () => ({ weights: new Float32Array(2) }), /2 weights/],
      ['documents out of order', () => ({ documentStarts: Int32Array.of(0, 5, 5) }), /document 1/],
      ['a first document elsewhere', () => ({ documentStarts: Int32Array.of(1) }), /row 1/],
      ['a document beyond the context', () => ({ documentStarts: Int32Array.of(0) }), /at most 64/],
      ['too few expert ids', () => ({ expertIds: new Int32Array(3) }), /3 expert ids/],
      ['an expert given twice', ({ ids }) => ({ expertIds: new Int32Array(ids.length * 4) }), /given twice/],
    ])('refuses %s', async (_, change, message) => {
      const batch = randomBatch(config, [50, 30], 5);
      await expect(fresh().step({ ...batch, ...change(batch) }, { learningRate: 0.1 })).rejects.toMatchObject({
        code: 'invalid-request',
        message: expect.stringMatching(message),
      });
    });
  });
}
