// A stage of training as a loop over steps: pre-training on documents, fine-tuning on conversations, annealing,
// preferences, reinforcement. What is learned from at step s is a pure function of (seed, s), so a stage goes on after a stop as if
// there had been none. It writes no files and prints nothing: whoever runs it gets a record of each step, and is asked to
// save. Next: recipe.ts (which stages, how long), log.ts (records), files.node.ts (checkpoints).

import type { TrainBatch } from '../../backend/learner.ts';
import { GptOssError, isGptOssError } from '../../errors.ts';
import type { ModelConfig } from '../../formats/config.ts';
import type { HarmonyEncoding } from '../../text/harmony/encoding.ts';
import { type Packed, packBatch, rowsOf } from '../data/batches.ts';
import type { Example } from '../data/examples.ts';
import { dpoStep, type ReferencedPair } from '../dpo.ts';
import { type ReinforceOptions, reinforceStep } from '../rl/reinforce.ts';
import { learningRate } from '../schedule.ts';
import { Random } from '../tasks/random.ts';
import type { StepResult, StepSettings, Trainer } from '../trainer.ts';
import type { StepRecord } from './log.ts';

/** `anneal` is fine-tuning that goes on with what is learned slowest drawn more often, its rate of learning falling to 0. */
export type StageKind = 'pretrain' | 'sft' | 'anneal' | 'dpo' | 'rl';

export interface StagePlan {
  readonly kind: StageKind;
  readonly steps: number;
  readonly peak: number; // learning rate
  readonly warmup?: number;
  readonly decayShare?: number;
  readonly weightDecay?: number;
  readonly clip?: number;
  /** Load balance and z losses of the routers; none when absent. */
  readonly router?: { readonly balance: number; readonly z: number };
  /** Share of the stage, at its end, that sees experts rounded to MXFP4. */
  readonly quantisedShare: number;
  /** Products of bf16 factors where those are faster (backend/learner.ts). Default false. */
  readonly roundedProducts?: boolean;
  /** When the stage is over, all logits are multiplied by this: sampling at temperature 1 is then what sampling at
   *  1 / sharpen was. A model this small is unsure of tokens in which there is nothing to choose. */
  readonly sharpen?: number;
}

/** What a step learns from. */
export type StageSource =
  | { readonly type: 'batches'; readonly batch: (step: number) => Packed }
  | { readonly type: 'pairs'; readonly pairs: (step: number) => readonly ReferencedPair[]; readonly beta: number }
  | { readonly type: 'environments'; readonly options: ReinforceOptions };

export interface StageRun {
  readonly plan: StagePlan;
  readonly source: StageSource;
  readonly trainer: Trainer;
  readonly encoding: HarmonyEncoding;
  /** The trainer's step before this stage's first one. */
  readonly startStep: number;
  readonly now: () => number; // milliseconds
  /** Stop before this time. */
  readonly deadline?: number;
  readonly signal?: AbortSignal;
  onStep(record: StepRecord): void | Promise<void>;
  /** Called every `saveMinutes` and at the end. */
  save(): Promise<void>;
  readonly saveMinutes?: number; // default 5
}

/** Returns whether the stage is finished; false when time or the signal ended it. What was done is saved either way, also
 *  when it throws `diverged`. */
export async function runStage(run: StageRun): Promise<boolean> {
  const { plan, trainer, now, deadline = Number.POSITIVE_INFINITY, signal } = run;
  let saved = now();
  let skipped = 0; // steps in a row without an update
  while (trainer.state.step - run.startStep < plan.steps) {
    if (signal?.aborted || now() >= deadline) {
      await run.save();
      return false;
    }
    const start = now();
    const step = trainer.state.step - run.startStep + 1;
    let record: Bare | null;
    try {
      record = await oneStep(run, step);
    } catch (error) {
      // Stopped in the middle of rollouts: nothing of this step was learned.
      if (signal?.aborted === true && isGptOssError(error, 'aborted')) continue;
      // A loss that is no number changed nothing: what was learned so far is kept.
      if (isGptOssError(error, 'diverged')) await run.save();
      throw error;
    }
    if (record === null) {
      if (++skipped > 20) break; // nothing left to learn from: every group is flat
      continue;
    }
    skipped = 0;
    const seconds = Math.max(1e-3, (now() - start) / 1000);
    await run.onStep({
      ...record,
      seconds,
      tokensPerSecond: record.rows / seconds,
      gflops: (record.flops ?? 0) / seconds / 1e9,
    });
    if (now() - saved > (run.saveMinutes ?? 5) * 60_000) {
      await run.save();
      saved = now();
    }
  }
  await run.save();
  // After the last save: a run that is stopped here does it again, from what was saved.
  if (plan.sharpen !== undefined) sharpen(trainer, plan.sharpen);
  return true;
}

function sharpen({ learner }: Trainer, factor: number): void {
  const output = learner.tensors.findIndex(({ name }) => name === 'output');
  learner.write(
    output,
    'values',
    learner.read(output, 'values').map((value) => value * factor),
  );
}

type Bare = Omit<StepRecord, 'seconds' | 'tokensPerSecond' | 'gflops'> & { readonly flops?: number };

async function oneStep(run: StageRun, step: number): Promise<Bare | null> {
  const { plan, source, trainer } = run;
  const rate = learningRate(step, {
    ...{ peak: plan.peak, steps: plan.steps },
    ...(plan.warmup === undefined ? {} : { warmup: plan.warmup }),
    ...(plan.decayShare === undefined ? {} : { decayShare: plan.decayShare }),
  });
  const settings: StepSettings = {
    learningRate: rate,
    fakeQuantised: step > plan.steps * (1 - plan.quantisedShare),
    ...(plan.weightDecay === undefined ? {} : { weightDecay: plan.weightDecay }),
    ...(plan.clip === undefined ? {} : { clip: plan.clip }),
    ...(plan.router === undefined ? {} : { router: plan.router }),
    ...(plan.roundedProducts === undefined ? {} : { roundedProducts: plan.roundedProducts }),
  };
  if (source.type === 'batches') {
    const { batch, fill } = source.batch(step);
    const update = await trainer.step(batch, settings);
    return { ...facts(run, step, rate, update), fill, flops: trainingFlops(trainer.config, batch) };
  }
  if (source.type === 'pairs') {
    const { update, before } = await dpoStep(trainer, source.pairs(step), source.beta, settings);
    const record = facts(run, step, rate, update);
    return { ...record, loss: before.loss, margin: before.margin, accuracy: before.accuracy };
  }
  const result = await reinforceStep(trainer, run.encoding, source.options, settings, run.signal);
  if (result.update === null) return null;
  const tasks: Record<string, { right: number; of: number }> = {};
  for (const { environment, isCorrect } of result.rollouts) {
    const of = (tasks[environment] ??= { right: 0, of: 0 });
    of.right += isCorrect ? 1 : 0;
    of.of++;
  }
  return {
    ...facts(run, step, rate, result.update),
    ...{ reward: result.meanReward, accuracy: result.accuracy, flat: result.flat, cut: result.cut },
    ...{ logprobGap: result.largestGap, lengths: result.lengths, tasks },
    rows: result.update.rows + result.generatedTokens,
  };
}

function facts(run: StageRun, step: number, rate: number, update: StepResult): Bare {
  const loads = update.expertLoad.map((load) => Math.max(...load));
  return {
    ...{ stage: run.plan.kind, step, of: run.plan.steps, learningRate: rate, rows: update.rows },
    ...{ trainedRows: update.trainedRows, loss: update.meanLoss, entropy: update.meanEntropy },
    ...{ gradientNorm: update.gradientNorm, balanceLoss: update.balanceLoss },
    busiestExpert: Math.max(...loads),
    expertLoad: update.expertLoad.map((load) => Array.from(load, (value) => Math.round(value * 100) / 100)),
  };
}

/** Floating-point operations of forward and backward: 6 for each weight that a row meets, and attention. */
export function trainingFlops(config: ModelConfig, { ids, documentStarts, weights }: TrainBatch): number {
  const { hidden, heads, kvHeads, headDim, layers, experts, expertsPerToken, intermediate, vocab } = config;
  const attention = hidden * headDim * (2 * heads + 2 * kvHeads);
  const perRow = layers * (attention + hidden * experts + expertsPerToken * 3 * hidden * intermediate);
  let scored = 0;
  for (const weight of weights) if (weight !== 0) scored++;
  let keys = 0; // pairs of query and key, all layers
  for (const [d, start] of documentStarts.entries()) {
    const length = (documentStarts[d + 1] ?? ids.length) - start;
    for (const isSliding of config.sliding) {
      const window = isSliding ? Math.min(config.slidingWindow, length) : length;
      keys += (window * (window + 1)) / 2 + (length - window) * window;
    }
  }
  return 6 * (ids.length * perRow + scored * hidden * vocab) + 12 * keys * heads * headDim;
}

/** Batches out of a stream of examples: step s takes a stretch of its own. `budget` rows. */
export function streamBatches(example: (n: number) => Example, budget: number): (step: number) => Packed {
  return (step) => {
    const offered: Example[] = [];
    let rows = 0;
    // A little more than fits, so that the last gap can be filled well.
    for (let i = 0; rows < budget * 1.03 && i < STRETCH; i++) {
      const next = example((step - 1) * STRETCH + i);
      offered.push(next);
      rows += rowsOf(next);
    }
    return packBatch(offered, budget);
  };
}

const STRETCH = 3 * 2 ** 12; // examples one step may look at; a multiple of the three levels

/** Batches out of a list, epoch by epoch, each in an order of its own. */
export function epochBatches(examples: readonly Example[], budget: number, seed: number): (step: number) => Packed {
  if (examples.length === 0) {
    throw new GptOssError(
      'invalid-request',
      'there are no examples; expected at least one good line; run `gptoss train lint`',
    );
  }
  const longest = Math.max(...examples.map(rowsOf));
  if (longest > budget) {
    throw new GptOssError(
      'invalid-request',
      `a batch of ${budget} rows is smaller than the longest example of ${longest}; expected room for it; raise --rows`,
    );
  }
  // Orders are drawn when they are needed; batches follow each other without gaps, so a step is found by walking there.
  const starts: number[] = [0]; // position in the endless sequence at which batch s begins
  const orders = new Map<number, readonly number[]>();
  const at = (position: number): Example => {
    const epoch = Math.floor(position / examples.length);
    let order = orders.get(epoch);
    if (order === undefined) {
      order = new Random(seed, 'epoch', epoch).shuffle(Array.from(examples.keys()));
      orders.set(epoch, order);
    }
    return examples[order[position % examples.length]!]!;
  };
  const endOf = (start: number): number => {
    let [position, rows] = [start, 0];
    while (rows + rowsOf(at(position)) <= budget && position - start < examples.length) rows += rowsOf(at(position++));
    return position;
  };
  return (step) => {
    while (starts.length <= step) starts.push(endOf(starts[starts.length - 1]!));
    const list: Example[] = [];
    for (let position = starts[step - 1]!; position < starts[step]!; position++) list.push(at(position));
    return packBatch(list, budget);
  };
}
