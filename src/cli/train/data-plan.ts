// The data of a plan, to be looked at before a run: what each stage draws from which family and how much of it is learned,
// and samples of each as the model will see them. Part of `train … --dry-run`; the stages themselves: plan.ts.

import { HarmonyEncoding } from '../../text/harmony/encoding.ts';
import type { Tokenizer } from '../../text/tokenizer.ts';
import { type Share, sharesOf } from '../../train/data/statistics.ts';
import type { Recipe } from '../../train/run/recipe.ts';
import { stageExamples } from '../../train/run/stage-data.ts';
import type { StageKind } from '../../train/run/stages.ts';

const LOOKED_AT = { pretrain: 1500, sft: 3000, anneal: 3000, dpo: 300, rl: 1500 } as const satisfies Record<
  StageKind,
  number
>;

export interface StageData {
  readonly stage: StageKind;
  /** Tokens of the whole stage; null where they are generated. */
  readonly tokens: number | null;
  readonly shares: readonly Share[];
}

/** Shares of what each stage begins with: the rest is drawn alike. */
export function stageData(tokenizer: Tokenizer, recipe: Recipe): StageData[] {
  const encoding = new HarmonyEncoding(tokenizer);
  return recipe.stages.map(({ kind, steps }) => ({
    stage: kind,
    tokens: kind !== 'dpo' && kind !== 'rl' ? steps * recipe.rows : null,
    shares: sharesOf(stageExamples(encoding, recipe, kind), LOOKED_AT[kind]),
  }));
}

export function describeData(data: readonly StageData[]): string {
  return data.map(describeStage).join('\n');
}

function describeStage({ stage, tokens, shares }: StageData): string {
  const all = shares.reduce((sum, share) => sum + share.tokens, 0);
  const learned = shares.reduce((sum, share) => sum + share.learned, 0);
  const count = shares.reduce((sum, { examples }) => sum + examples, 0);
  const what = { pretrain: 'documents', sft: 'conversations', anneal: 'conversations', dpo: 'pairs', rl: 'prompts' }[
    stage
  ];
  const lines = shares.map((share) => {
    const part = share.tokens / all;
    const amount =
      tokens === null
        ? ''
        : `${Math.round(part * tokens)
            .toLocaleString('en')
            .padStart(12)} tokens`;
    const each = `${Math.round(share.tokens / share.examples)} each`;
    return `  ${share.of.padEnd(22)} ${(100 * part).toFixed(1).padStart(5)} % ${amount}  ${each.padStart(9)}, ${Math.round((100 * share.learned) / share.tokens)} % learned`;
  });
  return `${stage}: by its first ${count.toLocaleString('en')} ${what}, ${Math.round(all / count)} tokens each, ${Math.round((100 * learned) / all)} % learned\n${lines.join('\n')}\n`;
}

/** `count` of each family and stage; of conversations one at each level, as long as there are three. */
export function dataSamples(tokenizer: Tokenizer, recipe: Recipe, count: number): string {
  const encoding = new HarmonyEncoding(tokenizer);
  const text = (ids: Int32Array): string => tokenizer.decode([...ids]);
  const out: string[] = [];
  for (const { kind } of recipe.stages) {
    if (kind === 'rl') continue; // the prompts of fine-tuning under other seeds
    const example = stageExamples(encoding, recipe, kind);
    const shown = new Map<string, string[]>();
    for (let n = 0; n < LOOKED_AT[kind]; n++) {
      const { of, example: one, rejected } = example(n);
      const list = shown.get(of) ?? [];
      shown.set(of, list);
      if (list.length < count)
        list.push(text(one.ids) + (rejected === undefined ? '' : `\nrejected: ${text(rejected.ids)}`));
    }
    for (const [of, list] of [...shown].sort(([a], [b]) => (a < b ? -1 : 1))) {
      for (const [i, sample] of list.entries()) out.push(`--- ${kind} ${of} ${i + 1}\n${sample}\n`);
    }
  }
  return out.join('\n');
}
