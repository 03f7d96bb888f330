// The command's options put into a recipe, and a recipe told in words: what `--dry-run` prints.

import { GptOssError } from '../../errors.ts';
import { PAIRS, type Recipe, sizeNamed, tinyRecipe } from '../../train/run/recipe.ts';
import type { StageKind, StagePlan } from '../../train/run/stages.ts';
import { families as allFamilies, familyNamed } from '../../train/tasks/families.ts';
import { parameterCount } from '../../train/tensors.ts';
import { safeJson, stripControls } from '../screen/controls.ts';
import type { TrainCommand } from './arguments.ts';
import type { StageData } from './data-plan.ts';

/** A stage that goes on from a finished model on the user's own data: gentler than the recipe's. */
const alone: Readonly<Record<Exclude<StageKind, 'anneal'>, Omit<StagePlan, 'steps'> & { readonly steps: number }>> = {
  pretrain: {
    kind: 'pretrain',
    steps: 500,
    peak: 3e-3,
    decayShare: 0.4,
    router: { balance: 0.01, z: 0.001 },
    quantisedShare: 0,
  },
  sft: { kind: 'sft', steps: 200, peak: 3e-4, decayShare: 1, router: { balance: 0.01, z: 0 }, quantisedShare: 1 },
  dpo: { kind: 'dpo', steps: 50, peak: 1e-4, warmup: 5, decayShare: 1, weightDecay: 0, quantisedShare: 1 },
  rl: { kind: 'rl', steps: 200, peak: 3e-5, warmup: 5, decayShare: 1, weightDecay: 0, clip: 0.5, quantisedShare: 1 },
};

export function planOf(command: TrainCommand): Recipe {
  const { what, size, seed, rows, longest, families, steps, learningRate } = command;
  const unknown = families?.find((name) => familyNamed(name) === undefined);
  if (unknown !== undefined) {
    throw new GptOssError(
      'invalid-request',
      `there is no task family ${stripControls(unknown)}; expected some of ${allFamilies.map(({ family }) => family.name).join(', ')}; change --families`,
    );
  }
  const changes = {
    size,
    ...(seed === undefined ? {} : { seed }),
    ...(rows === undefined ? {} : { rows }),
    ...(longest === undefined ? {} : { longest }),
    ...(families === undefined ? {} : { families }),
  };
  const recipe = tinyRecipe(changes, what === 'tiny' ? command.scale : 1);
  if (what === 'tiny') return recipe;
  const plan = alone[what as keyof typeof alone];
  return {
    ...recipe,
    stages: [
      {
        ...plan,
        ...(steps === undefined ? {} : { steps }),
        ...(learningRate === undefined ? {} : { peak: learningRate }),
      },
    ],
  };
}

export function describePlan(recipe: Recipe, command: TrainCommand, data: readonly StageData[] = []): string {
  const config = sizeNamed(recipe.size, recipe.vocab);
  const parameters = parameterCount(config);
  const stages = recipe.stages.map(({ kind, steps, peak }) => ({
    ...{ stage: kind, steps, learning_rate: peak },
    tokens: kind === 'rl' || kind === 'dpo' ? null : steps * recipe.rows,
    pairs: kind === 'dpo' ? steps * PAIRS : null,
    answers: kind === 'rl' ? steps * command.groups * command.groupSize : null,
    ...dataOf(data.find(({ stage }) => stage === kind)),
  }));
  if (command.json)
    return `${safeJson({ size: recipe.size, parameters, vocab: recipe.vocab, rows: recipe.rows, seed: recipe.seed, stages })}\n`;
  const lines = stages.map(({ stage, steps, tokens, pairs, answers, learning_rate }) => {
    const [count, of] = tokens !== null ? [tokens, 'tokens'] : pairs !== null ? [pairs, 'pairs'] : [answers, 'answers'];
    const amount = `${count!.toLocaleString('en')} ${of}`;
    return `${stage.padEnd(9)} ${String(steps).padStart(6)} steps  ${amount.padStart(22)}  learning rate ${learning_rate}`;
  });
  const isFresh = command.model === undefined && (command.what === 'tiny' || command.what === 'pretrain');
  const model = isFresh
    ? `from nothing: ${(parameters / 1e6).toFixed(1)} million parameters, vocabulary ${recipe.vocab}`
    : `from ${command.model ?? 'the best model found'}`;
  return `${model}, ${recipe.rows} tokens an update, seed ${recipe.seed}, into ${command.out}\n${lines.join('\n')}\n`;
}

/** Shares by tokens, of what was looked at. */
function dataOf(data: StageData | undefined): object {
  if (data === undefined) return {};
  return { data: data.shares.map(({ of, examples, tokens, learned }) => ({ of, examples, tokens, learned })) };
}
