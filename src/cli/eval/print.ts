// Results as tables for people. No share stands alone: each has its interval and how many items it is of.

import type { BesideCell, Results } from '../../evals/results.ts';
import type { Estimate } from '../../evals/statistics.ts';
import { type CellResult, type Comparison, grouped, type Tally } from '../../evals/summary.ts';
import { cellName } from '../../evals/task.ts';
import { reasoningEfforts } from '../../text/harmony/messages.ts';
import { stripControls } from '../screen/controls.ts';
import { table } from '../screen/table.ts';
import type { Output } from '../terminal.ts';
import { styled } from '../terminal.ts';

const LEVEL_HEADER = ['SETTING', 'MEAN', '95 %', 'SE', 'ITEMS', 'TOKENS', 'REASONING', 'CUT OFF', 'MALFORMED'];

export function printResults(results: Results, out: Output): void {
  const { answerer, judge, title, levels, cells, families, comparisons, checks, beside, against, published } = results;
  const { notes, totals } = results;
  out.write(
    `${styled(out, title, 'bold')}\n${stripControls(answerer)}${judge === null ? '' : `, judged by ${stripControls(judge)}`}\n`,
  );
  const section = (heading: string, rows: readonly (readonly string[])[], header?: readonly string[]): void => {
    if (rows.length === 0) return;
    const clean = rows.map((row) => row.map(stripControls));
    out.write(`\n${styled(out, heading, 'bold')}\n${table(clean, header)}\n`);
  };
  section(
    'By level',
    levels.map((level) => [cellName({ group: '', ...level.cell }), ...tallyCells(level)]),
    LEVEL_HEADER,
  );
  for (const [setting, groups] of [...byGroup(families), ...byGroup(cells)])
    section(setting, groups, ['GROUP', 'LOW', 'MEDIUM', 'HIGH']);
  section('Levels compared on the same items', comparisons.map(comparisonCells), COMPARISON_HEADER);
  for (const each of beside) {
    section(`Beside ${each.answerer} (${each.what})`, each.cells.map(besideCells), BESIDE_HEADER);
  }
  if (against !== null) {
    section(`Against ${against.run}`, against.comparisons.map(comparisonCells), COMPARISON_HEADER);
  }
  section(
    'Repeats',
    levels.flatMap(({ cell, passAtK, passHatK, majorityAtK }) =>
      Object.keys(passAtK ?? {}).map((k) => [
        cellName({ group: '', ...cell }),
        `pass@${k} ${percent(passAtK![k]!)}`,
        `pass^${k} ${percent(passHatK![k]!)}`,
        majorityAtK === undefined ? '' : `maj@${k} ${percent(majorityAtK[k]!)}`,
      ]),
    ),
  );
  section(
    'What it has to show',
    checks.map(({ name, passed, demanded, found }) => [passed ? 'yes' : 'NO', name, found, demanded]),
    ['', 'CHECK', 'FOUND', 'DEMANDED'],
  );
  section(
    'Reported beside it',
    results.measures.map(({ name, found }) => [name, found]),
  );
  section(
    'Published scores, not reproduced here',
    published.map(({ model, level, tools, percent: score, source, isQuoted }) => [
      `${model}${isQuoted ? ' (quoted)' : ''}`,
      level ?? '–',
      tools ? 'with tools' : 'no tools',
      `${score.toFixed(1)} %`,
      source,
    ]),
  );
  for (const note of notes) out.write(`\n${stripControls(note)}\n`);
  const { unanswered, unjudged } = totals;
  if (unanswered + unjudged > 0) {
    out.write(`\n${unanswered} without an answer and ${unjudged} without a grade are in none of these figures\n`);
  }
}

/** One table for each setting: a row for each group, a column for each level. */
function byGroup(cells: readonly CellResult[]): [setting: string, rows: string[][]][] {
  if (new Set(cells.map(({ cell }) => cell.group)).size < 2) return [];
  const settings = grouped(cells, ({ cell }) => [cell.set, `tools-${cell.tools}`, cell.sampling].join('/'));
  return [...settings].map(([setting, members]) => [
    setting,
    [...grouped(members, ({ cell }) => cell.group)].map(([group, levels]) => [
      group,
      ...reasoningEfforts.map((effort) => {
        const found = levels.find(({ cell }) => cell.level === effort);
        if (found === undefined) return '–';
        const { score, items, tokens } = found;
        return `${percent(score.mean)} (${interval(score)}, n ${items}, ${Math.round(tokens.mean)} tokens)`;
      }),
    ]),
  ]);
}

function tallyCells({
  score,
  items,
  tokens,
  reasoningTokens,
  truncated,
  malformed,
  samples,
}: Omit<Tally, 'cell'>): string[] {
  return [
    percent(score.mean),
    interval(score),
    score.se === null ? '–' : percent(score.se),
    samples === items ? `${items}` : `${items} × ${Math.round(samples / Math.max(1, items))}`,
    `${Math.round(tokens.mean)}`,
    reasoningTokens === null ? '–' : `${Math.round(reasoningTokens)}`,
    percent(truncated),
    malformed === null ? '–' : `${malformed}`,
  ];
}

export function printComparisons(title: string, comparisons: readonly Comparison[], out: Output): void {
  const rows = comparisons.map((comparison) => comparisonCells(comparison).map(stripControls));
  out.write(`${styled(out, stripControls(title), 'bold')}\n${table(rows, COMPARISON_HEADER)}\n`);
}

const BESIDE_HEADER = ['CELL', 'THIS', '95 %', 'OTHER', '95 %', 'DIFFERENCE', '95 %', 'PAIRS'];
const inPoints = (value: number): string => `${value < 0 ? '-' : '+'}${Math.abs(100 * value).toFixed(1)}`;

function besideCells({ cell, ours, theirs, mean, low, high, n }: BesideCell): string[] {
  return [
    cellName(cell),
    ...[percent(ours.mean), interval(ours), percent(theirs.mean), interval(theirs)],
    ...[inPoints(mean), `${inPoints(low)} to ${inPoints(high)}`, String(n)],
  ];
}

const COMPARISON_HEADER = ['SETTING', 'DIFFERENCE', 'POINTS', '95 %', 'PAIRS', 'BETTER', 'WORSE', 'P'];

function comparisonCells({ what, cell, ...difference }: Comparison): string[] {
  return [
    [cell.set, `tools-${cell.tools}`, cell.sampling].join('/'),
    what,
    inPoints(difference.mean),
    `${inPoints(difference.low)} to ${inPoints(difference.high)}`,
    `${difference.n}`,
    `${difference.better}`,
    `${difference.worse}`,
    difference.p < 1e-4 ? '<0.0001' : difference.p.toFixed(4),
  ];
}

export function percent(share: number): string {
  return Number.isFinite(share) ? `${(100 * share).toFixed(1)} %` : '–';
}

export function interval({ low, high }: Estimate): string {
  return Number.isFinite(low) ? `${(100 * low).toFixed(1)}–${(100 * high).toFixed(1)} %` : '–';
}
