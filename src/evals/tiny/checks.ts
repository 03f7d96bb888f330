// What the tiny model's results have to show, each as a check with its figure and what was demanded. A check whose cells were
// not asked is not there; none is ever passed by default. Bounds: the contract's reasoning gate and training.md §1.8.

import { reasoningEfforts } from '../../text/harmony/messages.ts';
import { taskFamilies } from '../../train/tasks/registry.ts';
import type { SampleRecord } from '../record.ts';
import type { Beside } from '../results.ts';
import { estimate, meanOf, type PairedDifference, upperBound } from '../statistics.ts';
import { compare, grouped, rolledUp } from '../summary.ts';
import { cellName } from '../task.ts';
import type { Contamination } from './contamination.ts';
import { rowOf, seedTasks } from './rows.ts';

export interface Check {
  readonly name: string;
  readonly passed: boolean;
  readonly demanded: string;
  readonly found: string;
  readonly figures: Readonly<Record<string, number | null>>;
}

const P = 0.01;
const ARITHMETIC = [1, 2, 3, 4]; // rows of the suite (training.md §1.3)

export function tinyChecks(
  records: readonly SampleRecord[],
  contamination: Contamination | null,
  beside: readonly Beside[] = [],
): Check[] {
  const greedy = records.filter(({ cell }) => cell.sampling === 'greedy' && cell.set === 'plain');
  const off = greedy.filter(({ cell }) => cell.tools === 'off');
  const sampled = records.filter(({ cell }) => cell.sampling === 'sampled');
  return [
    ...gate(rolledUp(off, rowOf)),
    ...tokens(rolledUp(off, rowOf)),
    ...withTools(greedy.filter(({ cell }) => cell.tools === 'on')),
    ...calls(off),
    ...weaknesses(records),
    ...ownTable(records),
    ...harmony(sampled),
    ...asGoodSampled(rolledUp(off, rowOf), rolledUp(sampled, rowOf)),
    ...beside.flatMap((each) => (each.what === 'baseline' ? floor(each) : unrounded(each))),
    ...(contamination === null ? [] : [clean(contamination)]),
  ];
}

const atLevel = (records: readonly SampleRecord[], level: string): SampleRecord[] =>
  records.filter(({ cell }) => cell.level === level);

function gate(off: readonly SampleRecord[]): Check[] {
  const bounds = [
    { lower: 'low', higher: 'medium', points: 15 },
    { lower: 'medium', higher: 'high', points: 3 },
  ] as const;
  return bounds.flatMap(({ lower, higher, points }): Check[] => {
    const [a, b] = [atLevel(off, lower), atLevel(off, higher)];
    if (a.length === 0 || b.length === 0) return [];
    const difference = compare(a, b, 'groups');
    return [
      {
        name: `reasoning gate: ${higher} over ${lower}`,
        passed: difference.mean >= points / 100 && difference.p < P,
        demanded: `+${points} points on the mean of the families, p < ${P}`,
        found: `${signed(difference.mean)} points (95 % ${signed(difference.low)} to ${signed(difference.high)}), ${difference.better} better and ${difference.worse} worse of ${difference.n} pairs, p ${difference.p.toPrecision(2)}`,
        figures: figuresOf(difference),
      },
    ];
  });
}

function tokens(off: readonly SampleRecord[]): Check[] {
  const mean = (level: string, of: (record: SampleRecord) => number | null): number =>
    meanOf(
      [...grouped(atLevel(off, level), ({ cell }) => cell.group).values()].map((group) =>
        meanOf(group.map((record) => of(record) ?? Number.NaN)),
      ),
    );
  const [low, medium, high] = ['low', 'medium', 'high'].map((level) =>
    mean(level, ({ usage }) => usage.completionTokens),
  );
  const [lowest, middle, highest] = ['low', 'medium', 'high'].map((level) =>
    mean(level, ({ usage }) => usage.reasoningTokens),
  );
  if (![low, medium, high].every(Number.isFinite)) return [];
  const ratios = [middle! / lowest!, highest! / middle!];
  return [
    {
      name: 'reasoning tokens from level to level',
      passed: ratios.every((ratio) => ratio >= 2),
      demanded: 'at least twice as many each time',
      found: `${[lowest, middle, highest].map((n) => n!.toFixed(1)).join(' → ')} (× ${ratios.map((ratio) => ratio.toFixed(2)).join(', × ')}); all generated tokens ${[low, medium, high].map((n) => n!.toFixed(1)).join(' → ')}`,
      figures: { low: lowest!, medium: middle!, high: highest!, all_low: low!, all_medium: medium!, all_high: high! },
    },
  ];
}

function withTools(on: readonly SampleRecord[]): Check[] {
  const names = taskFamilies.filter(({ suite, tools }) => ARITHMETIC.includes(suite) && tools.includes('calculate'));
  const members = on.filter(({ cell }) => names.some(({ name }) => name === cell.group));
  return share('arithmetic with tools', members, ({ score }) => score === 1, 0.95);
}

function calls(off: readonly SampleRecord[]): Check[] {
  const members = off.filter(
    ({ extra, cell }) => extra?.['callExact'] !== undefined && cell.group.startsWith('function-'),
  );
  return share('function calls: name and arguments', members, ({ extra }) => extra!['callExact'] === true, 0.9);
}

/** What the seed could not do (its README). */
function weaknesses(records: readonly SampleRecord[]): Check[] {
  const greedy = records.filter(({ cell }) => cell.sampling === 'greedy');
  const named = greedy.filter(({ extra, cell }) => cell.set !== 'seed' && extra?.['namesDeclared'] !== undefined);
  const arbitrary = greedy.filter(({ cell }) => cell.group === 'function-call' && cell.set === 'plain');
  const repeated = greedy.filter(
    ({ extra, cell }) => extra?.['repeated'] === true && cell.set === 'plain' && cell.level !== 'low',
  );
  const repairs = greedy.filter(({ cell }) => cell.set === 'repair');
  return [
    ...share('argument names as declared', named, ({ extra }) => extra!['namesDeclared'] === true, 0.99),
    ...share('arbitrary functions: name and arguments', arbitrary, ({ extra }) => extra?.['callExact'] === true, 0.9),
    ...share('letters that are there more than once, medium and high', repeated, ({ score }) => score === 1, 0.9),
    ...share('slips that are repaired', repairs, ({ score }) => score === 1, 0.8),
    ...undeclared(records),
  ];
}

function undeclared(records: readonly SampleRecord[]): Check[] {
  const members = records.filter(({ extra }) => extra?.['undeclared'] !== undefined);
  if (members.length === 0) return [];
  const found = members.filter(({ extra }) => Number(extra!['undeclared']) > 0).length;
  return [
    {
      name: 'calls of tools that were not declared',
      passed: found === 0,
      demanded: '0',
      found: `${found} of ${members.length} answers (at 95 % confidence below ${percent(upperBound(found, members.length), 2)})`,
      figures: { undeclared: found, n: members.length },
    },
  ];
}

/** No cell more than two points worse: the whole interval of the difference lies above. */
function floor({ answerer, cells }: Beside): Check[] {
  if (cells.length === 0) return [];
  const short = cells.filter(({ low }) => low < -0.02);
  const worse = short.filter(({ high }) => high < -0.02);
  const listed = short
    .slice(0, 8)
    .map(({ cell, mean, low }) => `${cellName(cell)} ${signed(mean)} (from ${signed(low)})`);
  return [
    {
      name: 'no cell below the baseline',
      passed: short.length === 0,
      demanded: 'each at most 2 points worse, at 95 %',
      found: `${cells.length - short.length} of ${cells.length} cells; ${worse.length} are worse, ${short.length - worse.length} undecided${listed.length === 0 ? '' : `: ${listed.join(', ')}`} (${answerer})`,
      figures: { cells: cells.length, undecided: short.length - worse.length, worse: worse.length },
    },
  ];
}

/** The seed's own table is of its own wordings, some of which ours are not; it is the harder floor. */
function ownTable(records: readonly SampleRecord[]): Check[] {
  const asked = [
    ...grouped(
      records.filter(({ cell }) => cell.set === 'seed'),
      ({ cell }) => cellName(cell),
    ).values(),
  ];
  if (asked.length === 0) return [];
  const below = asked.flatMap((members) => {
    const { group, level } = members[0]!.cell;
    const published = seedTasks.find(({ name }) => name === group)!.published[reasoningEfforts.indexOf(level)]! / 100;
    const { mean, high } = estimate(members.flatMap(({ score }) => (score === null ? [] : [[score]])));
    return high < published - 0.02 ? [`${group}, ${level}: ${percent(mean)} (seed ${percent(published)})`] : [];
  });
  return [
    {
      name: 'the table of the seed',
      passed: below.length === 0,
      demanded: 'no cell surely more than 2 points below it',
      found: `${asked.length - below.length} of ${asked.length} cells${below.length === 0 ? '' : `; below: ${below.slice(0, 8).join(', ')}`}`,
      figures: { cells: asked.length, below: below.length },
    },
  ];
}

function unrounded({ answerer, cells }: Beside): Check[] {
  if (cells.length === 0) return [];
  const pairs = cells.reduce((sum, { n }) => sum + n, 0);
  const mean = meanOf(cells.map((cell) => cell.mean));
  const se = Math.sqrt(cells.reduce((sum, cell) => sum + (cell.se ?? 0) ** 2, 0)) / cells.length;
  return [
    {
      name: 'MXFP4 against unrounded experts',
      passed: Math.abs(mean) <= 0.01,
      demanded: 'within 1 point',
      found: `${signed(mean)} points (95 % ${signed(mean - 1.96 * se)} to ${signed(mean + 1.96 * se)}, ${pairs} pairs; ${answerer})`,
      figures: { mean, se, n: pairs },
    },
  ];
}

function share(
  name: string,
  members: readonly SampleRecord[],
  is: (record: SampleRecord) => boolean,
  bound: number,
): Check[] {
  if (members.length === 0) return [];
  const { mean, low, high } = estimate(members.map((record) => [is(record) ? 1 : 0]));
  return [
    {
      name,
      passed: mean >= bound,
      demanded: `${100 * bound} %`,
      found: `${percent(mean)} (95 % ${percent(low)} to ${percent(high)}, n = ${members.length})`,
      figures: { mean, low, high, n: members.length },
    },
  ];
}

function harmony(sampled: readonly SampleRecord[]): Check[] {
  const visible = sampled.filter(({ isMalformed }) => isMalformed !== null);
  if (visible.length === 0) return [];
  const malformed = visible.filter(({ isMalformed }) => isMalformed).length;
  const bound = upperBound(malformed, visible.length);
  return [
    {
      name: 'malformed harmony at temperature 1, no masks',
      passed: malformed === 0 && visible.length >= 1000,
      demanded: '0 of at least 1,000',
      found: `${malformed} of ${visible.length} (at 95 % confidence below ${percent(bound, 2)})`,
      figures: { malformed, n: visible.length, bound },
    },
  ];
}

function asGoodSampled(off: readonly SampleRecord[], sampled: readonly SampleRecord[]): Check[] {
  if (sampled.length === 0 || off.length === 0) return [];
  // Items are the same at all levels: a pair is one item at one level.
  const levelled = (records: readonly SampleRecord[]): SampleRecord[] =>
    records.map((record) => ({ ...record, item: `${record.item} ${record.cell.level}` }));
  const difference = compare(levelled(off), levelled(sampled), 'groups');
  if (difference.n === 0) return [];
  return [
    {
      name: 'temperature 1 against greedy',
      passed: difference.mean >= -0.03,
      demanded: 'at most 3 points worse',
      found: `${signed(difference.mean)} points (95 % ${signed(difference.low)} to ${signed(difference.high)}, ${difference.n} pairs)`,
      figures: figuresOf(difference),
    },
  ];
}

function clean({ items, problems, documents, contaminated, examples }: Contamination): Check {
  return {
    name: 'contaminated items',
    passed: contaminated === 0,
    demanded: '0',
    found: `${contaminated} of ${items}, in ${problems} training problems and ${documents} documents${contaminated === 0 ? '' : ` (${examples[0]})`}`,
    figures: { items, problems, documents, contaminated },
  };
}

function figuresOf({ n, mean, se, low, high, better, worse, p }: PairedDifference): Check['figures'] {
  return { n, mean, se, low, high, better, worse, p };
}

function percent(share: number, digits = 1): string {
  return `${(100 * share).toFixed(digits)} %`;
}

function signed(share: number): string {
  return `${share < 0 ? '−' : '+'}${Math.abs(100 * share).toFixed(1)}`;
}
