// One step of reinforcement: groups of rollouts, verdicts, advantages, one update. Strictly on-policy (each batch is used
// once, so there is no ratio to clip and no reference model), advantages without division by deviation or length
// (Dr.GRPO): loss = Σ over sampled tokens of -A · log p / (rollouts · longest). The same tokens go to the same experts as in
// the rollout, and log-probabilities of rollout and training have to agree: if they do not, what is learned from is not
// what was sampled, and the run stops. Groups whose rewards are all equal teach nothing and are drawn again.

import type { Backend } from '../../backend/backend.ts';
import type { TrainBatch } from '../../backend/learner.ts';
import { Engine } from '../../engine/engine.ts';
import { GptOssError } from '../../errors.ts';
import type { HarmonyEncoding } from '../../text/harmony/encoding.ts';
import type { ReasoningEffort } from '../../text/harmony/messages.ts';
import { batchOf } from '../data/batches.ts';
import type { Example } from '../data/examples.ts';
import { hash32 } from '../tasks/split.ts';
import type { StepResult, StepSettings, Trainer } from '../trainer.ts';
import type { Environment } from './environment.ts';
import { RecordedModel } from './recorded-model.ts';
import { advantages, defaultBudgets, hasVariance, type LengthBudget } from './rewards.ts';
import { type Rollout, rollOut } from './rollouts.ts';

export interface ReinforceOptions {
  readonly seed: number;
  readonly groups: number; // prompts of one step
  readonly groupSize: number; // rollouts of each
  /** The environment of prompt `index`: called once for each rollout of the group, always the same. */
  readonly environment: (index: number) => Environment;
  /** A backend for rollouts, exact. A new one for each step. */
  readonly backend: () => Backend;
  readonly budgets?: Readonly<Record<ReasoningEffort, LengthBudget>>;
  readonly capFactor?: number;
  readonly room?: number;
  /** Draws per step of groups in place of those without variance, as a multiple of `groups`. Default 2. */
  readonly resample?: number;
  /** Experts as MXFP4 in rollouts and training. Default true. */
  readonly fakeQuantised?: boolean;
  /** Examples to keep what was learned before, with this share of the loss' weight. */
  readonly replay?: (step: number) => readonly Example[];
  readonly replayWeight?: number; // default 0.1
  readonly context?: number;
  /** Rollouts that run at once. Default 64. */
  readonly concurrency?: number;
}

export interface ReinforceResult {
  readonly update: StepResult | null; // null: no group had any variance
  readonly rollouts: readonly Rollout[]; // of groups that were learned from
  readonly meanReward: number; // over all rollouts, also of dropped groups
  readonly accuracy: number;
  /** Share of groups that had no variance. */
  readonly flat: number;
  readonly cut: number; // share of rollouts
  readonly generatedTokens: number;
  /** Largest |log p(rollout) - log p(training)|. */
  readonly largestGap: number;
  readonly lengths: Readonly<Record<ReasoningEffort, number | null>>; // mean reasoning tokens
}

/** The contract: rollout and training agree to this. */
export const MAX_LOGPROB_GAP = 1e-4;

export async function reinforceStep(
  trainer: Trainer,
  encoding: HarmonyEncoding,
  options: ReinforceOptions,
  settings: StepSettings,
  signal?: AbortSignal,
): Promise<ReinforceResult> {
  const step = trainer.state.step + 1;
  const fakeQuantised = options.fakeQuantised ?? true;
  const model = new RecordedModel(
    { config: trainer.config, tensors: trainer.tensors({ quantised: fakeQuantised }) },
    options.backend(),
  );
  const context = Math.min(options.context ?? 1024, trainer.config.maxContext);
  const concurrency = Math.min(options.concurrency ?? 64, model.maxRows);
  const engine = new Engine(model, {
    ...{ context, maxSequences: concurrency, cacheTokens: context * Math.min(concurrency, 32), kv: 'f32' },
    ...{ maxQueue: 1024, pageTokens: 16 },
  });
  try {
    const { groups, all, drawn } = await collectGroups(engine, model, encoding, options, step, signal);
    const rollouts = groups.flat();
    const summary = summarise(all, drawn, groups.length);
    if (groups.length === 0) return { ...summary, update: null, rollouts, largestGap: 0 };
    const replayed = options.replay?.(step) ?? [];
    const longest = Math.max(...rollouts.map(({ chosen }) => chosen.reduce((a, b) => a + b, 0)));
    // Nobody ran these yet, so a pass over them says which experts they go to.
    const experts =
      replayed.length === 0 ? null : (await trainer.score(batchOf(replayed), { fakeQuantised })).expertIds;
    const batch = policyBatch(groups, longest, replayed, experts, options.replayWeight ?? 0.1, trainer.config);
    const update = await trainer.step(batch, { ...settings, fakeQuantised });
    const largestGap = gapOf(rollouts, update.logprobs);
    if (!(largestGap <= MAX_LOGPROB_GAP)) {
      throw new GptOssError(
        'internal',
        `log-probabilities of rollout and training differ by ${largestGap.toExponential(1)} in step ${step}; expected at most ${MAX_LOGPROB_GAP}; go on from the last checkpoint and report this`,
      );
    }
    return { ...summary, update, rollouts, largestGap };
  } finally {
    await engine.close();
  }
}

async function collectGroups(
  engine: Engine,
  model: RecordedModel,
  encoding: HarmonyEncoding,
  options: ReinforceOptions,
  step: number,
  signal: AbortSignal | undefined,
): Promise<{ groups: Rollout[][]; all: Rollout[]; drawn: number }> {
  const budgets = options.budgets ?? defaultBudgets;
  const most = options.groups * (1 + (options.resample ?? 2));
  const groups: Rollout[][] = [];
  const all: Rollout[] = [];
  let drawn = 0;
  while (groups.length < options.groups && drawn < most) {
    const count = Math.min(options.groups - groups.length, most - drawn);
    const round = await Promise.all(
      Array.from({ length: count }, async (_, i) => {
        const index = (step - 1) * most + drawn + i;
        const seed = hash32(`${options.seed} ${index}`);
        const { capFactor, room } = options;
        const one = (sample: number): Promise<Rollout> =>
          rollOut(engine, model, encoding, options.environment(index), {
            seed,
            sample,
            budgets,
            capFactor,
            room,
            signal,
          });
        // The first one reads the prompt; the others find its pages.
        return Promise.all(Array.from({ length: options.groupSize }, (__, sample) => one(sample)));
      }),
    );
    drawn += count;
    for (const group of round) {
      all.push(...group);
      if (hasVariance(group.map(({ parts }) => parts.reward))) groups.push(group);
    }
  }
  return { groups, all, drawn };
}

function policyBatch(
  groups: readonly Rollout[][],
  longest: number,
  replayed: readonly Example[],
  replayedExperts: Int32Array | null,
  replayWeight: number,
  config: { readonly layers: number; readonly expertsPerToken: number },
): TrainBatch {
  const rollouts = groups.flat();
  const weights = groups.flatMap((group) =>
    advantages(group.map(({ parts }) => parts.reward)).map((advantage) => advantage / (rollouts.length * longest)),
  );
  const examples: Example[] = rollouts.map(({ ids, chosen }) => ({ ids, mask: chosen }));
  const learned = replayed.reduce((sum, { mask }) => sum + mask.reduce((a, b) => a + b, 0), 0);
  const batch = batchOf(
    [...examples, ...replayed],
    [...weights, ...replayed.map(() => replayWeight / Math.max(1, learned))],
  );
  const { layers, expertsPerToken: k } = config;
  const rows = batch.ids.length;
  const expertIds = new Int32Array(layers * rows * k);
  let at = 0;
  const place = (experts: Int32Array): void => {
    const count = experts.length / (layers * k);
    for (let l = 0; l < layers; l++) {
      expertIds.set(experts.subarray(l * count * k, (l + 1) * count * k), (l * rows + at) * k);
    }
    at += count;
  };
  for (const rollout of rollouts) place(rollout.expertIds);
  if (replayedExperts !== null) place(replayedExperts);
  return { ...batch, expertIds };
}

function gapOf(rollouts: readonly Rollout[], logprobs: Float32Array): number {
  let [gap, at] = [0, 0];
  for (const { ids, chosen, logprobs: sampled } of rollouts) {
    for (let t = 1; t < ids.length; t++, at++) {
      if (chosen[t] === 1 && logprobs[at] !== 0) gap = Math.max(gap, Math.abs(sampled[t]! - logprobs[at]!));
    }
  }
  return gap;
}

function summarise(
  all: readonly Rollout[],
  drawn: number,
  kept: number,
): Omit<ReinforceResult, 'update' | 'rollouts' | 'largestGap'> {
  const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / Math.max(1, values.length);
  const length = (level: ReasoningEffort): number | null => {
    const of = all.filter((rollout) => rollout.level === level);
    return of.length === 0 ? null : mean(of.map(({ reasoningTokens }) => reasoningTokens));
  };
  return {
    meanReward: mean(all.map(({ parts }) => parts.reward)),
    accuracy: mean(all.map(({ isCorrect }) => (isCorrect ? 1 : 0))),
    flat: drawn === 0 ? 0 : 1 - kept / drawn,
    cut: mean(all.map(({ isCut }) => (isCut ? 1 : 0))),
    generatedTokens: all.reduce((sum, { chosen }) => sum + chosen.reduce((a, b) => a + b, 0), 0),
    lengths: { low: length('low'), medium: length('medium'), high: length('high') },
  };
}
