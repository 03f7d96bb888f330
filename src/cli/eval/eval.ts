// `gptoss eval`: a suite asked of a model, here or at a URL, in one folder: what was answered (samples.jsonl), the results
// (results.json) and a page of them (report.html). Here: what needs no model, `list`, `report` and `compare`.
// Next: run.ts (asks), ../../evals/ (suites, running, counting).

import { GptOssError } from '../../errors.ts';
import { benchmarkNamed } from '../../evals/benchmarks/all.ts';
import { readJournal } from '../../evals/journal.node.ts';
import { resultsOf, snakeKeys } from '../../evals/results.ts';
import { suites, titleOf } from '../../evals/suites.ts';
import { compareRuns } from '../../evals/summary.ts';
import type { Context } from '../context.ts';
import { safeJson } from '../screen/controls.ts';
import { table } from '../screen/table.ts';
import type { EvalCommand } from './arguments.ts';
import { againstRun, giveResults } from './folder.ts';
import { judgementOf } from './plan.ts';
import { printComparisons } from './print.ts';

export async function evaluate(command: EvalCommand, context: Context): Promise<void> {
  const [first, second] = command.folders;
  switch (command.what) {
    case 'list':
      return list(command, context);
    case 'report':
      return recount(first!, command, context);
    case 'compare':
      return compareFolders(first!, second!, command, context);
    default:
      return (await import('./run.ts')).run(command, context);
  }
}

function list({ json }: EvalCommand, { terminal }: Context): void {
  const rows = suites.map(({ name, title }) => {
    const benchmark = benchmarkNamed(name);
    const needs = benchmark === null ? [] : benchmark.needsJudge ? ['--data', '--judge-url'] : ['--data'];
    return { name, title, needs, datasets: benchmark?.datasets ?? [] };
  });
  const text = table(
    rows.map(({ name, title, needs, datasets }) => [name, title, needs.join(' '), datasets[0] ?? '']),
    ['SUITE', '', 'NEEDS', 'DATA SET ON THE HUB'],
  );
  terminal.out.write(json ? `${safeJson(rows)}\n` : `${text}\n`);
}

/** The results of a run again, from its journal alone. */
function recount(folder: string, command: EvalCommand, context: Context): void {
  const { heading, records } = readJournal(folder);
  const text = (key: string): string => (typeof heading[key] === 'string' ? (heading[key] as string) : '');
  const suite = text('suite');
  const results = resultsOf({
    ...{ suite, title: titleOf(suite), answerer: text('answerer'), judge: text('judge') || null },
    settings: (heading['settings'] ?? {}) as Record<string, unknown>,
    ...{ records, samples: records.length, unanswered: 0, contamination: null },
    notes: ['counted again from the journal'],
    ...judgementOf(suite, records, null),
    against: againstRun(command.against, records, suite),
  });
  giveResults(folder, results, command, context);
}

function compareFolders(first: string, second: string, { json }: EvalCommand, { terminal }: Context): void {
  const [a, b] = [readJournal(first), readJournal(second)];
  const { weighting } = judgementOf(String(a.heading['suite']), [], null);
  const comparisons = compareRuns(a.records, b.records, weighting);
  if (comparisons.length === 0) {
    throw new GptOssError(
      'invalid-request',
      `${first} and ${second} have no question in common; expected two runs of one suite with the same seed`,
    );
  }
  const named = { first: a.heading['answerer'], second: b.heading['answerer'] };
  if (json) terminal.out.write(`${safeJson(snakeKeys({ ...named, comparisons }))}\n`);
  else printComparisons(`${String(named.second)} minus ${String(named.first)}`, comparisons, terminal.out);
}
