// One suite asked of one model: plan, open, estimate, ask, count. Next: plan.ts, open-answerer.ts, ../../evals/runner.ts.

import { join } from 'node:path';
import { setImmediate as breathe, setTimeout as sleep } from 'node:timers/promises';
import { GptOssError } from '../../errors.ts';
import { besideOf } from '../../evals/beside.ts';
import { JournalFile } from '../../evals/journal.node.ts';
import { judgeOf } from '../../evals/judge.ts';
import type { SampleRecord } from '../../evals/record.ts';
import { type Beside, type Results, resultsOf, snakeKeys } from '../../evals/results.ts';
import { type Outcome, runSuite } from '../../evals/runner.ts';
import type { Answerer, Cell, Suite } from '../../evals/task.ts';
import { type Contamination, findContamination } from '../../evals/tiny/contamination.ts';
import { type Context, sayNotices } from '../context.ts';
import { safeJson, stripControls } from '../screen/controls.ts';
import type { EvalCommand } from './arguments.ts';
import { evalBar } from './bar.ts';
import { writeCard } from './card.ts';
import { describeEstimate, estimateOf, trySpeed } from './estimate.ts';
import { againstRun, giveResults, usualFolder } from './folder.ts';
import { type OpenedAnswerer, openAnswerer, openBeside, openJudge } from './open-answerer.ts';
import { judgementOf, type Plan, planOf } from './plan.ts';
import { trainingSeedOf } from './training-notes.ts';

export async function run(command: EvalCommand, context: Context): Promise<void> {
  const plan = await planOf(command, context);
  const { name, needsJudge } = plan.suite;
  if (needsJudge && command.judgeUrl === undefined && !command.dryRun) {
    throw new GptOssError(
      'invalid-request',
      `${name} is graded by a model; expected the address of its server; give --judge-url`,
    );
  }
  const opened = await openAnswerer(command, context, plan.wanted);
  try {
    if (!command.dryRun) sayNotices(opened.notes(), context, command.quiet);
    if (command.dryRun || name !== 'tiny') {
      const isOver = await estimate(plan, opened, command, context);
      if (isOver) return;
    }
    const judging = await openJudge(command, context);
    try {
      await ask(plan, opened, judging, command, context);
    } finally {
      await judging?.close();
    }
  } finally {
    await opened.answerer.close();
  }
}

/** Whether that was all that was wanted. */
async function estimate(plan: Plan, opened: OpenedAnswerer, command: EvalCommand, context: Context): Promise<boolean> {
  const { model, concurrency } = opened;
  const speed = model === null ? null : await trySpeed(model, concurrency, context.signal);
  const found = estimateOf(plan.suite.samples, plan.tokens, command.maxTokens, speed);
  const text = describeEstimate(plan.suite.name, found);
  if (!command.dryRun) sayNotices([text], context, command.quiet);
  else context.terminal.out.write(`${command.json ? safeJson(snakeKeys(found)) : text}\n`);
  return command.dryRun;
}

async function ask(
  plan: Plan,
  opened: OpenedAnswerer,
  judging: Answerer | null,
  command: EvalCommand,
  context: Context,
): Promise<void> {
  const { suite } = plan;
  const { signal, terminal } = context;
  const { answerer, model, path, identity, concurrency } = opened;
  const judge = judging === null ? null : judgeOf(judging, command.seed, signal);
  const folder = command.out ?? usualFolder(suite.name, opened.name);
  const named = {
    suite: suite.name,
    answerer: answerer.description,
    judge: judge?.name ?? null,
    settings: suite.identity,
  };
  const journal = JournalFile.open(folder, { ...named, model: identity });
  const bar = evalBar(context, suite.name, command.quiet);
  let outcome: Outcome;
  try {
    outcome = await runSuite(suite, answerer, {
      ...{ concurrency, journal, judge, signal },
      onProgress: (done, of, record) => bar.update(done, of, record),
      wait: (ms, aborted) => sleep(ms, undefined, { signal: aborted }),
    });
  } finally {
    bar.stop();
    journal.close();
  }
  const { records, unanswered, missing } = outcome;
  let contamination: Contamination | null = null;
  if (suite.name === 'tiny' && model !== null && path !== null && command.trainingDraws > 0) {
    const { trainingDraws: problems } = command;
    const seed = trainingSeedOf(path);
    contamination = await findContamination(records, model.encoding, { problems, seed, signal, breathe });
  }
  const beside = await besideRuns(suite, records, plan, command, context, folder);
  const results = resultsOf({
    ...{ ...named, title: suite.title, records },
    ...{ samples: suite.samples.length - missing, unanswered: unanswered.length, contamination },
    notes: [...suite.notes, ...opened.notes()],
    ...judgementOf(suite.name, records, contamination, beside),
    beside,
    against: againstRun(command.against, records, suite.name),
  });
  giveResults(folder, results, command, context);
  if (command.card !== undefined) writeCard(command.card, results, command);
  if (!command.json && !command.quiet) terminal.err.write(`gptoss: everything is in ${stripControls(folder)}\n`);
  complainOf(results, unanswered, records);
}

/** The models that a part of the same items is put to, one after another, each with a journal of its own. */
async function besideRuns(
  suite: Suite,
  records: readonly SampleRecord[],
  plan: Plan,
  command: EvalCommand,
  context: Context,
  folder: string,
): Promise<Beside[]> {
  const { signal } = context;
  const wanted: [Beside['what'], string | undefined, (cell: Cell) => boolean][] = [
    ['baseline', command.baseline, ({ set }) => set === 'seed'],
    [
      'unquantised',
      command.unquantised,
      ({ set, tools, sampling }) => set === 'plain' && tools === 'off' && sampling === 'greedy',
    ],
  ];
  const found: Beside[] = [];
  for (const [what, path, isAsked] of wanted) {
    if (suite.name !== 'tiny' || path === undefined) continue;
    const samples = suite.samples.filter(({ cell }) => isAsked(cell));
    const other = await openBeside(path, command, context, plan.wanted);
    const { description } = other.answerer;
    try {
      const named = { suite: suite.name, answerer: description, judge: null, settings: { ...suite.identity, what } };
      const journal = JournalFile.open(join(folder, what), { ...named, model: other.identity });
      const bar = evalBar(context, what, command.quiet);
      try {
        const outcome = await runSuite({ ...suite, samples }, other.answerer, {
          ...{ concurrency: other.concurrency, journal, judge: null, signal },
          onProgress: (done, of, record) => bar.update(done, of, record),
          wait: (ms, aborted) => sleep(ms, undefined, { signal: aborted }),
        });
        const ours = records.filter(({ cell }) => isAsked(cell));
        found.push(besideOf(what, description, outcome.records, ours));
      } finally {
        bar.stop();
        journal.close();
      }
    } finally {
      await other.answerer.close();
    }
  }
  return found;
}

/** Samples without a score make the run a failure that the same command repairs. */
function complainOf(results: Results, unanswered: Outcome['unanswered'], records: readonly SampleRecord[]): void {
  const first = unanswered[0]?.error ?? records.find(({ score }) => score === null)?.error;
  if (first === undefined) return;
  const { unjudged, samples } = results.totals;
  throw new GptOssError(
    'io',
    `${unanswered.length + unjudged} of ${samples} have no score (${stripControls(first)}); expected all; the same command asks only these again`,
  );
}
