// A run's results as one JSON document (`results.json`, `--json`): what was asked of what, every cell and level with
// its interval, comparisons, checks, and published scores beside them. Keys in snake_case, as everywhere in this program.
// Next: summary.ts, ../cli/eval/report.ts (the same as a page).

import type { Measure } from './benchmarks/benchmark.ts';
import type { PublishedScore } from './published.ts';
import type { SampleRecord } from './record.ts';
import type { Estimate, PairedDifference } from './statistics.ts';
import { type Comparison, type Summary, summarise, type Weighting } from './summary.ts';
import type { Cell } from './task.ts';
import type { Check } from './tiny/checks.ts';
import type { Contamination } from './tiny/contamination.ts';

export interface Results extends Summary {
  readonly suite: string;
  readonly title: string;
  /** Model and where it ran. */
  readonly answerer: string;
  readonly judge: string | null;
  /** Everything a repetition has to be told the same. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly totals: {
    readonly samples: number;
    readonly asked: number;
    readonly unjudged: number;
    readonly unanswered: number;
    readonly promptTokens: number;
    readonly completionTokens: number;
    /** Sum over the samples, which ran side by side. */
    readonly answerSeconds: number;
  };
  readonly checks: readonly Check[];
  /** What is usually reported beside the mean. */
  readonly measures: readonly Measure[];
  /** Of the tiny suite: what was found of its items in training. Null: not looked for. */
  readonly contamination: Contamination | null;
  /** Other models that a part of the same items was put to, and the paired difference in each cell (this minus other). */
  readonly beside: readonly Beside[];
  /** Against another run, on the same items. */
  readonly against: { readonly run: string; readonly comparisons: readonly Comparison[] } | null;
  readonly published: readonly PublishedScore[];
  readonly notes: readonly string[];
}

export interface Beside {
  readonly what: 'baseline' | 'unquantised';
  readonly answerer: string;
  readonly cells: readonly BesideCell[];
}

export interface BesideCell extends PairedDifference {
  readonly cell: Cell;
  /** Shares of both on the items that both have. */
  readonly ours: Estimate;
  readonly theirs: Estimate;
}

export interface ResultsInit
  extends Pick<Results, 'suite' | 'title' | 'answerer' | 'judge' | 'settings' | 'contamination' | 'notes'> {
  readonly records: readonly SampleRecord[];
  readonly samples: number;
  readonly unanswered: number;
  readonly weighting: Weighting;
  /** What a group belongs to (the tiny suite's families); null: groups are all there is. */
  readonly familyOf?: ((group: string) => string) | null;
  readonly beside?: Results['beside'];
  readonly checks?: readonly Check[];
  readonly measures?: readonly Measure[];
  readonly against?: Results['against'];
  readonly published?: readonly PublishedScore[];
}

export function resultsOf(init: ResultsInit): Results {
  const {
    records,
    samples,
    unanswered,
    weighting,
    familyOf = null,
    beside = [],
    checks = [],
    measures = [],
    against = null,
    published = [],
    ...named
  } = init;
  const sum = (of: (record: SampleRecord) => number): number =>
    records.reduce((total, record) => total + of(record), 0);
  return {
    ...named,
    totals: {
      ...{ samples, asked: records.length, unanswered },
      unjudged: records.filter(({ score }) => score === null).length,
      promptTokens: sum(({ usage }) => usage.promptTokens),
      completionTokens: sum(({ usage }) => usage.completionTokens),
      answerSeconds: sum(({ ms }) => ms) / 1000,
    },
    ...summarise(records, weighting, familyOf),
    ...{ checks, measures, beside, against, published },
  };
}

/** Keys as JSON of this program has them; numbers that are none become null. */
export function snakeKeys(value: unknown): unknown {
  if (typeof value === 'number') return Number.isFinite(value) ? value : null;
  if (Array.isArray(value)) return value.map(snakeKeys);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      snakeKeys(inner),
    ]),
  );
}
