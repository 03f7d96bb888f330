// `gptoss eval`: a suite asked of a model, here or at a URL, in one folder: what was answered (samples.jsonl), the results
// (results.json) and a page of them (report.html). The same command goes on with a run that was ended.
// Next: ../../evals/ (suites, running, counting), open-answerer.ts, report.ts.

import { mkdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { GptOssError } from '../../errors.ts';
import { JournalFile, readJournal } from '../../evals/journal.node.ts';
import { judgeOf } from '../../evals/judge.ts';
import { publishedScores } from '../../evals/published.ts';
import type { SampleRecord } from '../../evals/record.ts';
import { type Results, resultsOf, snakeKeys } from '../../evals/results.ts';
import { runSuite } from '../../evals/runner.ts';
import { suites } from '../../evals/suites.ts';
import { compareRuns } from '../../evals/summary.ts';
import { tinyChecks } from '../../evals/tiny/checks.ts';
import { fileError } from '../../formats/file.node.ts';
import { type Context, sayNotices } from '../context.ts';
import { safeJson, stripControls } from '../screen/controls.ts';
import { table } from '../screen/table.ts';
import type { EvalCommand } from './arguments.ts';
import { evalBar } from './bar.ts';
import { openAnswerer, openJudge } from './open-answerer.ts';
import { planOf } from './plan.ts';
import { printComparisons, printResults } from './print.ts';

export async function evaluate(command: EvalCommand, context: Context): Promise<void> {
  switch (command.what) {
    case 'list': {
      const rows = suites.map(({ name, title, needsData, needsJudge }) => [
        name,
        title,
        [needsData ? 'needs --data' : '', needsJudge ? 'needs --judge-url' : '']
          .filter((word) => word !== '')
          .join(', '),
      ]);
      context.terminal.out.write(command.json ? `${safeJson(suites)}\n` : `${table(rows)}\n`);
      return;
    }
    case 'report':
      return recount(command.folders[0]!, command, context);
    case 'compare':
      return compareFolders(command.folders[0]!, command.folders[1]!, command, context);
    default:
      return run(command, context);
  }
}

/** The results of a run again, from its journal alone. */
function recount(folder: string, command: EvalCommand, { terminal }: Context): void {
  const { heading, records } = readJournal(folder);
  const text = (key: string): string => (typeof heading[key] === 'string' ? (heading[key] as string) : '');
  const suite = text('suite');
  const results = resultsOf({
    ...{ suite, title: suites.find(({ name }) => name === suite)?.title ?? suite },
    ...{ answerer: text('answerer'), judge: text('judge') || null },
    settings: (heading['settings'] ?? {}) as Record<string, unknown>,
    ...{ records, samples: records.length, unanswered: 0, notes: ['counted again from the journal'] },
    checks: suite === 'tiny' ? tinyChecks(records, null) : [],
    published: publishedScores(suite),
    against: command.against === undefined ? null : against(command.against, records),
  });
  writeResults(folder, results);
  if (command.json) terminal.out.write(`${safeJson(snakeKeys(results))}\n`);
  else printResults(results, terminal.out);
}

function compareFolders(first: string, second: string, { json }: EvalCommand, { terminal }: Context): void {
  const [a, b] = [readJournal(first), readJournal(second)];
  const comparisons = compareRuns(a.records, b.records);
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

async function run(command: EvalCommand, context: Context): Promise<void> {
  const { signal, terminal } = context;
  const plan = planOf(command, context);
  const opened = await openAnswerer(command, context, plan.wanted);
  const { answerer, name } = opened;
  const judging = await openJudge(command, context).catch(async (error: unknown) => {
    await answerer.close();
    throw error;
  });
  try {
    const { suite } = plan;
    if (suite.needsJudge && judging === null) {
      throw new GptOssError('invalid-request', `${suite.name} is graded by a model; expected --judge-url; name one`);
    }
    sayNotices(opened.notes(), context, command.quiet);
    const judge = judging === null ? null : judgeOf(judging, command.seed, signal);
    const folder = command.out ?? join('gptoss-eval', `${suite.name}-${fileName(name)}`);
    const settings = { ...suite.identity, ...plan.settings };
    const heading = {
      suite: suite.name,
      model: opened.identity,
      answerer: answerer.description,
      judge: judge?.name ?? null,
      settings,
    };
    const journal = JournalFile.open(folder, heading);
    const bar = evalBar(context, suite.name, command.quiet);
    try {
      const { records, unanswered, missing } = await runSuite(suite, answerer, {
        ...{ concurrency: opened.concurrency, journal, judge, signal },
        onProgress: (done, of, record) => bar.update(done, of, record),
        wait: (ms, aborted) => sleep(ms, undefined, { signal: aborted }),
      });
      bar.stop();
      const results = resultsOf({
        ...{
          suite: suite.name,
          title: suite.title,
          answerer: answerer.description,
          judge: judge?.name ?? null,
          settings,
        },
        ...{ records, samples: suite.samples.length - missing, unanswered: unanswered.length },
        notes: [...suite.notes, ...opened.notes()],
        checks: plan.checks(records),
        published: plan.published,
        against: command.against === undefined ? null : against(command.against, records),
      });
      writeResults(folder, results);
      if (command.json) terminal.out.write(`${safeJson(snakeKeys(results))}\n`);
      else {
        printResults(results, terminal.out);
        if (!command.quiet) terminal.err.write(`gptoss: everything is in ${stripControls(folder)}\n`);
      }
      complainOf(results, unanswered, records);
    } finally {
      bar.stop();
      journal.close();
    }
  } finally {
    await judging?.close();
    await answerer.close();
  }
}

function fileName(name: string): string {
  return (
    basename(name)
      .replace(/[^\w.-]+/g, '-')
      .slice(0, 80) || 'model'
  );
}

function against(folder: string, records: readonly SampleRecord[]): NonNullable<Results['against']> {
  const { heading, records: earlier } = readJournal(folder);
  return { run: `${folder} (${String(heading['answerer'])})`, comparisons: compareRuns(earlier, records) };
}

function writeResults(folder: string, results: Results): void {
  const path = join(folder, 'results.json');
  try {
    mkdirSync(folder, { recursive: true });
    writeFileSync(path, `${JSON.stringify(snakeKeys(results), null, 2)}\n`);
  } catch (cause) {
    throw fileError(path, cause);
  }
}

/** Samples without a score make the run a failure that the same command repairs. */
function complainOf(
  results: Results,
  unanswered: readonly { error: string }[],
  records: readonly SampleRecord[],
): void {
  const first = unanswered[0]?.error ?? records.find(({ score }) => score === null)?.error;
  if (first === undefined) return;
  const { unjudged, samples } = results.totals;
  throw new GptOssError(
    'io',
    `${unanswered.length + unjudged} of ${samples} have no score (${stripControls(first)}); expected all; the same command asks only these again`,
  );
}
