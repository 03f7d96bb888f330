// Scores that others published for the benchmarks here, to stand beside ours. Those of gpt-oss are of its model card (arXiv
// 2508.10925, table 3); those of o3, o4-mini and o3-mini are quoted from the release announcement, where models used tools
// as the benchmark allowed. None was reproduced here, and prompts, sampling and graders differ: a neighbour, not a target.

import type { ReasoningEffort } from '../text/harmony/messages.ts';

export interface PublishedScore {
  readonly benchmark: string;
  readonly model: string;
  readonly level: ReasoningEffort | null; // null: not stated
  readonly tools: boolean;
  readonly percent: number;
  readonly source: string;
  /** Taken over from a report about it, not read in the source itself. */
  readonly isQuoted: boolean;
}

const CARD = 'gpt-oss model card, arXiv 2508.10925, table 3';
const ANNOUNCEMENT = 'gpt-oss release announcement, quoted, not verified';

type Levels = readonly [low: number, medium: number, high: number];

/** benchmark, tools, gpt-oss-120b, gpt-oss-20b */
const card: readonly (readonly [string, boolean, Levels, Levels])[] = [
  ['aime24', false, [56.3, 80.4, 95.8], [42.1, 80.0, 92.1]],
  ['aime24', true, [75.4, 87.9, 96.6], [61.2, 86.0, 96.0]],
  ['aime25', false, [50.4, 80.0, 92.5], [37.1, 72.1, 91.7]],
  ['aime25', true, [72.9, 91.6, 97.9], [57.5, 90.4, 98.7]],
  ['gpqa', false, [67.1, 73.1, 80.1], [56.8, 66.0, 71.5]],
  ['gpqa', true, [68.1, 73.5, 80.9], [58.0, 67.1, 74.2]],
  ['hle', false, [5.2, 8.6, 14.9], [4.2, 7.0, 10.9]],
  ['hle', true, [9.1, 11.3, 19.0], [6.3, 8.8, 17.3]],
  ['mmlu', false, [85.9, 88.0, 90.0], [80.4, 84.0, 85.3]],
  ['healthbench', false, [53.0, 55.9, 57.6], [40.4, 41.8, 42.5]],
  ['healthbench-hard', false, [22.8, 26.9, 30.0], [9.0, 12.9, 10.8]],
  ['healthbench-consensus', false, [90.6, 90.8, 89.9], [84.9, 83.0, 82.6]],
];

/** benchmark, tools, o3, o4-mini, o3-mini */
const quoted: readonly (readonly [string, boolean, number, number, number])[] = [
  ['aime24', true, 95.2, 98.7, 87.3],
  ['aime25', true, 98.4, 99.5, 86.5],
  ['gpqa', false, 83.3, 81.4, 77.0],
  ['mmlu', false, 93.4, 93.0, 87.0],
  ['hle', true, 24.9, 17.7, 13.4],
  ['healthbench', false, 59.8, 50.1, 37.8],
  ['healthbench-hard', false, 31.6, 17.5, 4.0],
];

export function publishedScores(benchmark: string): PublishedScore[] {
  const levels = ['low', 'medium', 'high'] as const;
  const own = card
    .filter(([name]) => name === benchmark)
    .flatMap(([, tools, large, small]) =>
      levels.flatMap((level, i): PublishedScore[] => {
        const common = { benchmark, level, tools, source: CARD, isQuoted: false };
        return [
          { ...common, model: 'gpt-oss-120b', percent: large[i]! },
          { ...common, model: 'gpt-oss-20b', percent: small[i]! },
        ];
      }),
    );
  const others = quoted
    .filter(([name]) => name === benchmark)
    .flatMap(([, tools, ...scores]) =>
      ['o3', 'o4-mini', 'o3-mini'].map((model, i): PublishedScore => {
        return { benchmark, model, level: null, tools, percent: scores[i]!, source: ANNOUNCEMENT, isQuoted: true };
      }),
    );
  return [...own, ...others];
}
