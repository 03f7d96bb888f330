// 200 steps of reinforcement on native code: a small model, taught sums of one digit until it is right now and then, is
// rewarded by the verifier alone. Every step asserts that rollout and training give the same log-probabilities; after it
// the same prompts with the same draws are answered better than before (paired over prompts, p < 0.01).
import { expect, it } from 'vitest';
import { addonPath } from '../../backend/cpu/addon.testing.ts';
import { findAddon } from '../../backend/cpu/addon.ts';
import { CpuBackend } from '../../backend/cpu/cpu.ts';
import { Engine } from '../../engine/engine.ts';
import { freshModel, openTrainer } from '../../training.node.ts';
import { packBatch } from '../data/batches.ts';
import { smallVocabulary } from '../data/data.testing.ts';
import { taskExample } from '../data/examples.ts';
import { sizeNamed } from '../run/recipe.ts';
import { learningRate } from '../schedule.ts';
import { conversationOf, type TaskConversation } from '../tasks/conversation.ts';
import { familyNamed } from '../tasks/families.ts';
import { drawItem } from '../tasks/item.ts';
import { Random } from '../tasks/random.ts';
import type { Trainer } from '../trainer.ts';
import { RecordedModel } from './recorded-model.ts';
import { MAX_LOGPROB_GAP, reinforceStep } from './reinforce.ts';
import { defaultBudgets } from './rewards.ts';
import { rollOut } from './rollouts.ts';
import { TaskEnvironment } from './task-environment.ts';

const { encoding } = smallVocabulary();
const config = { ...sizeNamed('micro', 640), maxContext: 256 };
const family = familyNamed('addition')!;
const [TAUGHT, STEPS, PROMPTS, SAMPLES] = [200, 200, 160, 4];

function sum(stream: string, n: number): TaskConversation {
  const random = new Random(3, stream, n);
  const item = drawItem(family, { random, size: 1, heldOut: false, slips: 0 }, 'train')!;
  return conversationOf(item, { level: 'low', tool: 'none', heldOut: false }, random);
}
const environment = (stream: string, n: number): TaskEnvironment => new TaskEnvironment(sum(stream, n), family);
// One thread: a model of this size fits its cache, and a second thread only waits.
const backend = (): CpuBackend => new CpuBackend({ precision: 'exact', threads: 1, addonPath });

/** Mean reward of each of the test's prompts, sampled as in training; the same draws each time. */
async function rewards(trainer: Trainer): Promise<number[]> {
  const model = new RecordedModel({ config: trainer.config, tensors: trainer.tensors({ quantised: true }) }, backend());
  const engine = new Engine(model, { context: 160, maxSequences: 64, kv: 'f32', maxQueue: 1024 });
  try {
    return await Promise.all(
      Array.from({ length: PROMPTS }, async (_, n) => {
        const answers = await Promise.all(
          Array.from({ length: SAMPLES }, (__, sample) =>
            rollOut(engine, model, encoding, environment('watched', n), {
              ...{ seed: 1000 + n, sample, budgets: defaultBudgets, capFactor: 1, room: 16 },
            }),
          ),
        );
        return answers.reduce((total, { parts }) => total + parts.reward, 0) / SAMPLES;
      }),
    );
  } finally {
    await engine.close();
  }
}

const { addon, problems } = findAddon(addonPath);
it.skipIf(addon === null)(
  `200 steps raise the reward${addon === null ? ` (skipped: ${problems.join('; ')})` : ''}`,
  async () => {
    const trainer = openTrainer(freshModel(config, 1), { backend: 'cpu', threads: 1 });
    for (let step = 1; step <= TAUGHT; step++) {
      const examples = Array.from({ length: 64 }, (_, i) => taskExample(encoding, sum('taught', step * 64 + i)));
      await trainer.step(packBatch(examples, 3000).batch, {
        learningRate: learningRate(step, { peak: 3e-3, steps: TAUGHT }),
        router: { balance: 0.01, z: 0.001 },
        fakeQuantised: step > TAUGHT * 0.6,
      });
    }
    const before = await rewards(trainer);
    let [largestGap, updates] = [0, 0];
    for (let step = 1; step <= STEPS; step++) {
      const { largestGap: gap, update } = await reinforceStep(
        trainer,
        encoding,
        {
          ...{ seed: 5, groups: 16, groupSize: 8, backend, context: 160, resample: 0, room: 16, capFactor: 1 },
          environment: (n) => environment('rewarded', n),
        },
        {
          learningRate: learningRate(step, { peak: 6e-4, steps: STEPS, warmup: 5, decayShare: 0.5 }),
          ...{ weightDecay: 0, clip: 0.5 },
        },
      );
      largestGap = Math.max(largestGap, gap);
      if (update !== null) updates++;
    }
    const after = await rewards(trainer);
    await trainer.close();

    const gained = after.map((reward, n) => reward - before[n]!);
    const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
    const gain = mean(gained);
    const error = Math.sqrt(mean(gained.map((each) => (each - gain) ** 2)) / (PROMPTS - 1));
    process.stderr.write(
      `reward ${mean(before).toFixed(3)} -> ${mean(after).toFixed(3)}, gain ${gain.toFixed(3)} ± ${error.toFixed(3)} (t = ${(gain / error).toFixed(1)}), ${updates} updates, largest gap ${largestGap.toExponential(1)}\n`,
    );
    expect(updates).toBeGreaterThan(STEPS * 0.9);
    expect(largestGap).toBeLessThanOrEqual(MAX_LOGPROB_GAP);
    expect(gain / error).toBeGreaterThan(2.61); // Student's t, 159 degrees of freedom, p < 0.01 on both sides
  },
);
