// The recipe of the embedded model: sizes, vocabulary, and its stages one after another, each with its budget. Numbers are
// defaults that the command line can change; what was measured with them stands in docs/training.md.

import type { ModelConfig } from '../../formats/config.ts';
import type { HarmonyEncoding } from '../../text/harmony/encoding.ts';
import type { Message } from '../../text/harmony/messages.ts';
import { developerText, systemText } from '../../text/harmony/prompt-text.ts';
import { contrastPair } from '../data/contrasts.ts';
import { DocumentMixture } from '../data/documents.ts';
import { documentExample, type Example } from '../data/examples.ts';
import { type MixtureOptions, TaskMixture } from '../data/mixture.ts';
import { preferencePair } from '../data/preferences.ts';
import type { Pair } from '../dpo.ts';
import type { Environment } from '../rl/environment.ts';
import { TaskEnvironment } from '../rl/task-environment.ts';
import { familyNamed } from '../tasks/families.ts';
import { smallTalkTexts } from '../tasks/small-talk.ts';
import type { StagePlan } from './stages.ts';

export type SizeName = 'micro' | 'tiny';

/** What differs between sizes. `micro` is for tests and trials: a minute instead of two hours. */
const shapes = {
  tiny: { layers: 4, hidden: 128, heads: 8, headDim: 32, experts: 32, intermediate: 64, slidingWindow: 64 },
  micro: { layers: 2, hidden: 64, heads: 4, headDim: 16, experts: 8, intermediate: 32, slidingWindow: 32 },
} as const;

/** Steps and highest rate of learning of each stage. */
const budgets = {
  tiny: {
    vocab: 1536,
    pairs: 2048,
    pretrain: [14_000, 1.5e-3],
    sft: [31_000, 1.25e-3],
    anneal: [8_000, 6e-4],
    dpo: [60, 2e-5],
    rl: [40, 1.5e-4],
  },
  micro: {
    vocab: 768,
    pairs: 128,
    pretrain: [40, 3e-3],
    sft: [80, 2.5e-3],
    anneal: [8, 1e-3],
    dpo: [6, 2e-5],
    rl: [4, 3e-5],
  },
} as const;

/** True to gpt-oss in every part; matrices' inner sizes are multiples of 32, as MXFP4 wants them. */
export function sizeNamed(name: SizeName, vocab: number): ModelConfig {
  const shape = shapes[name];
  return {
    ...shape,
    kvHeads: 2,
    expertsPerToken: 4,
    vocab,
    sliding: Array.from({ length: shape.layers }, (_, l) => l % 2 === 0),
    ropeTheta: 150_000,
    rope: { factor: 4, originalContext: 512, betaFast: 32, betaSlow: 1 },
    maxContext: 2048,
    rmsEps: 1e-5,
    swigluAlpha: 1.702,
    swigluLimit: 7,
  };
}

export interface Recipe {
  readonly size: SizeName;
  readonly vocab: number;
  readonly seed: number;
  /** Rows of one update. */
  readonly rows: number;
  readonly longest: number; // tokens of an example
  readonly stages: readonly StagePlan[];
  readonly families?: readonly string[];
}

/** Pairs of preference in one update. */
export const PAIRS = 16;

export const DEFAULT_SEED = 20_260_801;

/** Sized by equal time: of models that two cores train in the same hours, a narrow one with many experts learned most, at
 *  half the rate of learning that the wide one had (docs/training.md). 210 million tokens in some 103 of 120 minutes;
 *  preferences, reinforcement and looking at results take 5 more. `scale`: a share of all steps. */
export function tinyRecipe(changes: Partial<Recipe> = {}, scale = 1): Recipe {
  const size = changes.size ?? 'tiny';
  const { vocab, ...budget } = budgets[size];
  const router = { balance: 0.01, z: 0.001 };
  const planned = (kind: StagePlan['kind']): { steps: number; peak: number } => {
    const [steps, peak] = budget[kind];
    return { steps: Math.max(1, Math.round(steps * scale)), peak };
  };
  const gentle = { warmup: 5, decayShare: 1, weightDecay: 0, quantisedShare: 1 };
  return {
    ...{ size, vocab, seed: DEFAULT_SEED, rows: 4_096, longest: 512 },
    stages: [
      {
        kind: 'pretrain',
        ...planned('pretrain'),
        ...{ decayShare: 0.1, router, roundedProducts: true },
        quantisedShare: 0,
      },
      {
        kind: 'sft',
        ...planned('sft'),
        ...{ decayShare: 0.5, router, roundedProducts: true },
        quantisedShare: 0.2,
      },
      {
        kind: 'anneal',
        ...planned('anneal'),
        ...{ decayShare: 1, router, roundedProducts: true, sharpen: 1.6 },
        quantisedShare: 1,
      },
      { kind: 'dpo', ...planned('dpo'), ...gentle },
      { kind: 'rl', ...planned('rl'), ...gentle, clip: 0.5 },
    ],
    ...changes,
  };
}

/** Text that a vocabulary is trained on: documents and whole conversations, declarations included, as they are written. */
export function* vocabularyTexts(seed: number, count: number, families?: readonly string[]): Generator<string> {
  const named = families === undefined ? {} : { families };
  const documents = new DocumentMixture({ seed, ...named });
  const conversations = new TaskMixture(null, { seed, ...named });
  // What little Japanese there is would be spelled in bytes, three a letter, if it were not heard more often here.
  const japanese = smallTalkTexts().filter((text) => /[\u3040-\u30ff\u4e00-\u9fff]/.test(text));
  for (let n = 0; n < count; n++) {
    if (families === undefined) yield japanese[n % japanese.length]!;
    if (n % 2 === 0) yield documents.document(n);
    else for (const message of conversations.conversation(n).messages) yield* textsOf(message);
  }
}

function textsOf({ content }: Message): string[] {
  if (typeof content === 'string') return [content];
  return content.map((part) =>
    part.type === 'text' ? part.text : part.type === 'system' ? systemText(part, true) : developerText(part),
  );
}

export function documentSource(
  encoding: HarmonyEncoding,
  recipe: Recipe,
  paragraphs: readonly string[] = [],
): (n: number) => Example {
  const { seed, longest, families } = recipe;
  const mixture = new DocumentMixture({ seed, paragraphs, ...(families === undefined ? {} : { families }) });
  return (n) => {
    const { ids, mask } = documentExample(encoding, mixture.document(n));
    return { ids: ids.subarray(0, longest), mask: mask.subarray(0, longest) };
  };
}

export function conversationSource(
  encoding: HarmonyEncoding,
  recipe: Recipe,
  stage: ConversationStage = 'sft',
): (n: number) => Example {
  const mixture = new TaskMixture(encoding, conversationOptions(recipe, stage));
  return (n) => mixture.example(n);
}

/** Stages that draw conversations, each with problems of its own: what is added to the seed of the run. */
const conversationSeeds = { sft: 0, rl: 1, anneal: 4 } as const;
export type ConversationStage = keyof typeof conversationSeeds;
export const conversationStages = Object.keys(conversationSeeds) as ConversationStage[];

/** What a stage draws its conversations from. Slips are no use where nothing is shown but the question. */
export function conversationOptions(
  { seed, longest, families }: Pick<Recipe, 'seed' | 'families'> & { readonly longest?: number },
  stage: ConversationStage,
): MixtureOptions {
  return {
    ...{ seed: seed + conversationSeeds[stage], stage },
    ...(longest === undefined ? {} : { longest }),
    ...(stage === 'rl' ? { slips: 0 } : {}),
    ...(families === undefined ? {} : { families }),
  };
}

/** The recipe's own pairs of preference: every third about style, the others about what is right. */
export function preferencePairs(encoding: HarmonyEncoding, recipe: Recipe): Pair[] {
  const { seed, families, size, longest } = recipe;
  const options = { seed: seed + 3, ...(families === undefined ? {} : { families }) };
  const pairs = Array.from({ length: budgets[size].pairs }, (_, n) =>
    n % 3 === 0 ? preferencePair(encoding, options, n) : contrastPair(encoding, options, n),
  );
  return pairs.filter(({ chosen, rejected }) => Math.max(chosen.ids.length, rejected.ids.length) <= longest);
}

/** Prompt `index` of reinforcement. Its levels follow each other. */
export function environmentSource(encoding: HarmonyEncoding, recipe: Recipe): (index: number) => Environment {
  const mixture = new TaskMixture(encoding, conversationOptions(recipe, 'rl'));
  return (index) => {
    const conversation = mixture.conversation(index);
    return new TaskEnvironment(conversation, familyNamed(conversation.item.family)!);
  };
}
