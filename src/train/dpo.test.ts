// Preferences on native code: learned from pairs of the training split, the margin rises on pairs of problems that were
// never seen, relative to the model at the beginning; and pairs are what they say they are.
import { describe, expect, it } from 'vitest';
import { addonPath } from '../backend/cpu/addon.testing.ts';
import { findAddon } from '../backend/cpu/addon.ts';
import { freshModel, openTrainer } from '../training.node.ts';
import { smallVocabulary } from './data/data.testing.ts';
import { preferencePair } from './data/preferences.ts';
import { dpoStep, type Pair, pairStatistics, withReference } from './dpo.ts';
import { sizeNamed } from './run/recipe.ts';

const { encoding, tokenizer } = smallVocabulary();
const textOf = ({ chosen, rejected }: Pair): string[] => [chosen, rejected].map(({ ids }) => tokenizer.decode(ids));

describe('pairs of preference', () => {
  it('have one prompt and two endings, and are a function of their number', () => {
    for (let n = 0; n < 60; n++) {
      const [chosen, rejected] = textOf(preferencePair(encoding, { seed: 1 }, n));
      const at = chosen!.lastIndexOf('<|message|>');
      expect(rejected!.slice(0, at)).toBe(chosen!.slice(0, at));
      expect(rejected).not.toBe(chosen);
      expect(textOf(preferencePair(encoding, { seed: 1 }, n))).toEqual([chosen, rejected]);
    }
  });

  it('of an unknown family are refused', () => {
    expect(() => preferencePair(encoding, { seed: 1, families: ['cooking'] }, 0)).toThrow(/cooking/);
  });
});

const { addon, problems } = findAddon(addonPath);
describe.skipIf(addon === null)(
  `preference optimisation${addon === null ? ` (skipped: ${problems.join('; ')})` : ''}`,
  () => {
    it('raises the margin on held-out pairs', async () => {
      const trainer = openTrainer(freshModel({ ...sizeNamed('micro', 640), layers: 1, sliding: [false] }, 1), {
        ...{ backend: 'cpu', threads: 1 },
      });
      const pairs = (split: 'train' | 'val', count: number): Pair[] =>
        Array.from({ length: count }, (_, n) => preferencePair(encoding, { seed: 2, split }, n));
      const keys = new Set(pairs('train', 48).map((pair) => textOf(pair)[0]));
      const heldOut = pairs('val', 32);
      expect(heldOut.filter((pair) => keys.has(textOf(pair)[0]!))).toEqual([]);
      const [learned, watched] = [
        await withReference(trainer, pairs('train', 48), true),
        await withReference(trainer, heldOut, true),
      ];
      expect((await pairStatistics(trainer, watched, 0.1, true)).margin).toBeCloseTo(0, 5);
      for (let step = 0; step < 12; step++) {
        const from = (step % 6) * 8;
        await dpoStep(trainer, learned.slice(from, from + 8), 0.1, {
          ...{ learningRate: 2e-3, weightDecay: 0, fakeQuantised: true },
        });
      }
      const { margin, accuracy, loss } = await pairStatistics(trainer, watched, 0.1, true);
      expect(margin).toBeGreaterThan(1);
      expect(accuracy).toBeGreaterThan(0.8); // by luck alone in one of 3,000 runs
      expect(loss).toBeLessThan(Math.LN2);
      await trainer.close();
    });
  },
);
