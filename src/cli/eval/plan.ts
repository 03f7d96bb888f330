// What a command asks for, worked out before a model is opened: the suite with its samples, what the model has to be opened
// with, what an answer takes, what the results are checked against. Next: eval.ts.

import { GptOssError } from '../../errors.ts';
import { benchmarkNamed } from '../../evals/benchmarks/all.ts';
import type { Benchmark, Measure } from '../../evals/benchmarks/benchmark.ts';
import { benchmarkSuite } from '../../evals/benchmarks/suite.ts';
import { type PublishedScore, publishedScores } from '../../evals/published.ts';
import type { SampleRecord } from '../../evals/record.ts';
import type { Beside } from '../../evals/results.ts';
import { cachedDataset, readRows } from '../../evals/rows.node.ts';
import type { Weighting } from '../../evals/summary.ts';
import type { Suite } from '../../evals/task.ts';
import { type Check, tinyChecks } from '../../evals/tiny/checks.ts';
import type { Contamination } from '../../evals/tiny/contamination.ts';
import { rowOf } from '../../evals/tiny/rows.ts';
import { tinySuite } from '../../evals/tiny/suite.ts';
import { type ReasoningEffort, reasoningEfforts } from '../../text/harmony/messages.ts';
import type { Context } from '../context.ts';
import { stripControls } from '../screen/controls.ts';
import type { EvalCommand } from './arguments.ts';
import type { Wanted } from './open-answerer.ts';

export interface Judgement {
  readonly weighting: Weighting;
  readonly familyOf: ((group: string) => string) | null;
  readonly checks: readonly Check[];
  readonly measures: readonly Measure[];
  readonly published: readonly PublishedScore[];
}

export interface Plan {
  readonly suite: Suite;
  readonly wanted: Wanted;
  /** Generated tokens of an answer, roughly, by level. */
  readonly tokens: Readonly<Record<ReasoningEffort, number>>;
}

const TINY_CONTEXT = 1024;
/** Room for what models write at a level, and not more: keys and values take memory. */
const CONTEXTS: Readonly<Record<ReasoningEffort, number>> = { low: 16_384, medium: 32_768, high: 65_536 };

export async function planOf(command: EvalCommand, context: Context): Promise<Plan> {
  const { items = 100, seed, sampled, only, url, what, reasoning, baseline } = command;
  const others = command.others ?? Math.ceil(items / 5);
  const benchmark = benchmarkNamed(what);
  if (benchmark !== null) return benchmarkPlan(benchmark, command, context);
  const suite = tinySuite({
    ...{ items, others, seed, sampled, only },
    ...{ hasPython: url === undefined, seedTasks: baseline !== undefined },
  });
  const levels = reasoning.length === 0 ? reasoningEfforts : reasoning;
  return {
    suite: {
      ...suite,
      samples: suite.samples.filter(({ cell }) => levels.includes(cell.level)),
      identity: {
        ...suite.identity,
        ...(levels.length === reasoningEfforts.length ? {} : { levels: levels.join(' ') }),
      },
    },
    wanted: { precision: 'exact', context: TINY_CONTEXT, isSmall: true },
    tokens: { low: 25, medium: 80, high: 200 },
  };
}

async function benchmarkPlan(benchmark: Benchmark, command: EvalCommand, { stores }: Context): Promise<Plan> {
  const { data, items, repeats, seed, temperature = 1, maxTokens, only, tools } = command;
  const path = data ?? cachedDataset(stores.hfCache, benchmark.datasets);
  if (path === null) {
    throw new GptOssError(
      'not-found',
      `the questions of ${benchmark.name} are not on this machine; expected --data PATH, or the data set ${benchmark.datasets[0]} in the cache of the hub; fetch it (it may have to be asked for there)`,
    );
  }
  const { rows, hash } = await readRows(path, benchmark);
  const levels = command.reasoning.length === 0 ? (['medium'] as const) : command.reasoning;
  const hasTools = tools.length > 0;
  const suite = benchmarkSuite(benchmark, rows, hash, {
    ...{ levels, items, repeats: repeats ?? benchmark.repeats, seed, temperature, maxTokens, only, hasTools },
  });
  const context = Math.max(...levels.map((level) => CONTEXTS[level]));
  return {
    suite: { ...suite, notes: [...suite.notes, `questions from ${stripControls(path)}`] },
    wanted: { precision: 'fast', context, isSmall: false },
    tokens: benchmark.tokens,
  };
}

/** What a suite has to say of its records beside the counting. */
export function judgementOf(
  suite: string,
  records: readonly SampleRecord[],
  contamination: Contamination | null,
  beside: readonly Beside[] = [],
): Judgement {
  const benchmark = benchmarkNamed(suite);
  return {
    weighting: benchmark === null ? 'groups' : 'items',
    familyOf: suite === 'tiny' ? rowOf : null,
    checks: suite === 'tiny' ? tinyChecks(records, contamination, beside) : [],
    measures: benchmark?.measures?.(records) ?? [],
    published: publishedScores(suite),
  };
}
