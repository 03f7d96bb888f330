// From nothing to arithmetic in about a minute: a gpt-oss of 0.2 million parameters sees 3.9 million tokens of sums of three
// three-digit numbers, half of them answered at once, half with running totals of each column written out first. Held-out
// sums: with the columns it adds, without them it does not, for it has three layers and a carry may come from two columns
// away (training.md §0). With two summands it learns both ways (LOG.md). One seed, fixed.
import { expect, it } from 'vitest';
import { addonPath } from '../backend/cpu/addon.testing.ts';
import { findAddon } from '../backend/cpu/addon.ts';
import { CpuBackend } from '../backend/cpu/cpu.ts';
import type { TrainBatch } from '../backend/learner.ts';
import { Engine } from '../engine/engine.ts';
import type { ModelConfig } from '../formats/config.ts';
import { createModel } from '../model/load.ts';
import { freshModel, openTrainer } from '../training.node.ts';
import { CounterRandom } from './random.ts';
import { learningRate } from './schedule.ts';
import { parameterCount } from './tensors.ts';

const config: ModelConfig = {
  ...{ layers: 3, hidden: 64, heads: 4, kvHeads: 2, headDim: 16, experts: 8, expertsPerToken: 4, intermediate: 32 },
  ...{ vocab: 64, slidingWindow: 32, sliding: [true, false, true], ropeTheta: 150000 },
  rope: { factor: 1, originalContext: 96, betaFast: 32, betaSlow: 1 },
  ...{ maxContext: 96, rmsEps: 1e-5, swigluAlpha: 1.702, swigluLimit: 7 },
};

// Ids: digits 0-9, then marks; each summand of each column has a mark of its own.
const [PLUS, EQUALS, DIRECT, COLUMNS, RESULT, END, FIRST_MARK] = [10, 11, 12, 13, 15, 16, 20];
const digits = (value: number, count: number): number[] =>
  Array.from({ length: count }, (_, i) => Math.floor(value / 10 ** (count - 1 - i)) % 10);

/** Every tenth sum is held out, in any order of its numbers. */
const isHeldOut = (numbers: readonly number[]): boolean =>
  new CounterRandom(99, ...numbers.toSorted((a, b) => a - b)).below(10) === 0;

interface Sum {
  readonly prompt: number[];
  readonly answer: number[];
}

/** Column by column from the right: each digit and the running total, which begins with the carry; then the sum. */
function sumOf(numbers: readonly number[], withColumns: boolean): Sum {
  const marks = [...numbers.slice(1).map(() => PLUS), EQUALS];
  const prompt = [withColumns ? COLUMNS : DIRECT, ...numbers.flatMap((number, i) => [...digits(number, 3), marks[i]])];
  const columns: number[] = [];
  let total = 0;
  for (let place = 0; place < 3; place++) {
    for (const [i, number] of numbers.entries()) {
      const digit = digits(number, 3)[2 - place];
      total += digit;
      columns.push(FIRST_MARK + place * 4 + i, digit, ...digits(total, 2));
    }
    total = Math.floor(total / 10);
  }
  const sum = numbers.reduce((a, b) => a + b);
  return { prompt, answer: [...(withColumns ? [...columns, RESULT] : []), ...digits(sum, 4), END] };
}

function draw(random: CounterRandom, heldOut: boolean): number[] {
  for (;;) {
    const numbers = Array.from({ length: 3 }, () => random.below(1000));
    if (isHeldOut(numbers) === heldOut) return numbers;
  }
}

/** A batch is a function of its step. Only answers are learned. */
function batchAt(step: number, rows: number): TrainBatch {
  const random = new CounterRandom(7, step);
  const [ids, targets, weights, starts]: number[][] = [[], [], [], []];
  for (let d = 0; ids.length < rows; d++) {
    const { prompt, answer } = sumOf(draw(random, false), d % 2 === 0);
    const all = [...prompt, ...answer];
    starts.push(ids.length);
    for (let i = 0; i + 1 < all.length; i++) {
      ids.push(all[i]);
      targets.push(all[i + 1]);
      weights.push(i + 1 >= prompt.length ? 1 : 0);
    }
  }
  const learned = weights.reduce((sum, weight) => sum + weight, 0);
  return {
    ids: Int32Array.from(ids),
    targets: Int32Array.from(targets),
    weights: Float32Array.from(weights, (weight) => weight / learned),
    documentStarts: Int32Array.from(starts),
  };
}

const { addon, problems } = findAddon(addonPath);
it.skipIf(addon === null)(
  `learns to add three-digit numbers with columns, and not without${addon === null ? ` (skipped: ${problems.join('; ')})` : ''}`,
  async () => {
    expect(parameterCount(config)).toBeGreaterThan(190_000);
    const trainer = openTrainer(freshModel(config, 1), { backend: 'cpu' });
    const [rows, tokens] = [4096, 3_900_000];
    const steps = Math.round(tokens / rows);
    const started = performance.now();
    for (let step = 1; step <= steps; step++) {
      await trainer.step(batchAt(step, rows), {
        learningRate: learningRate(step, { peak: 5e-3, steps }),
        router: { balance: 0.02, z: 0.001 },
      });
    }
    const seconds = (performance.now() - started) / 1000;
    const backend = new CpuBackend({ precision: 'exact', addonPath });
    const engine = new Engine(createModel({ config, tensors: trainer.tensors() }, backend), {
      ...{ context: 96, kv: 'f32', maxSequences: 64, stopIds: [END] },
    });
    const random = new CounterRandom(8);
    const sums = Array.from({ length: 128 }, () => draw(random, true));
    const shareRight = async (withColumns: boolean): Promise<number> => {
      const right = await Promise.all(
        sums.map(async (numbers) => {
          const { prompt, answer } = sumOf(numbers, withColumns);
          const { tokens: found } = await engine.generate(prompt, { temperature: 0, maxTokens: 60 }).result;
          return found.slice(-5).join() === answer.slice(-5).join();
        }),
      );
      return right.filter(Boolean).length / sums.length;
    };
    const [direct, columns] = [await shareRight(false), await shareRight(true)];
    const { rows: seen } = trainer.state;
    process.stderr.write(
      `${seen} tokens in ${seconds.toFixed(0)} s (${(seen / seconds).toFixed(0)}/s): ${columns} right with columns, ${direct} without\n`,
    );
    expect(columns).toBeGreaterThanOrEqual(0.95);
    expect(direct).toBeLessThanOrEqual(0.2);
    await engine.close();
    await trainer.close();
  },
);
