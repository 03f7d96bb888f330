// From records to results: each cell and each level with mean, standard error, 95 % interval, tokens and what went wrong,
// and levels compared on the same items. Items count alike within a group, groups alike within a level.
// Next: statistics.ts (the arithmetic), results.ts (how it is written), tiny/checks.ts (what is demanded of it).

import { type ReasoningEffort, reasoningEfforts } from '../text/harmony/messages.ts';
import type { SampleRecord } from './record.ts';
import {
  type Estimate,
  estimate,
  majorityOf,
  meanOf,
  medianOf,
  type PairedDifference,
  pairedDifference,
  passAtK,
  passHatK,
} from './statistics.ts';
import type { Cell } from './task.ts';

export interface Tally {
  readonly items: number;
  readonly samples: number;
  readonly score: Estimate;
  /** Generated tokens of an answer, all steps. */
  readonly tokens: { readonly mean: number; readonly median: number };
  /** Of those, reasoning; null where the server does not say. */
  readonly reasoningTokens: number | null;
  /** Answers that were cut off, share. */
  readonly truncated: number;
  /** Answers whose harmony a strict reader would have to repair; null: not visible. */
  readonly malformed: number | null;
  /** Without a score (no judge): in `samples`, in nothing else. */
  readonly unjudged: number;
  readonly calls: number; // mean
  /** Only where items were asked several times. By k. */
  readonly passAtK?: Readonly<Record<string, number>>;
  readonly passHatK?: Readonly<Record<string, number>>;
  /** The answer given most often among k, the first of those where several are; where answers are extracted. */
  readonly majorityAtK?: Readonly<Record<string, number>>;
}

export interface CellResult extends Tally {
  readonly cell: Cell;
}

/** One level of one setting over all groups. */
export interface LevelResult extends Tally {
  readonly cell: Omit<Cell, 'group'>;
  readonly groups: number;
}

export interface Comparison extends PairedDifference {
  /** E.g. `high - medium`. */
  readonly what: string;
  readonly cell: Omit<Cell, 'group' | 'level'>;
}

export interface Summary {
  readonly cells: readonly CellResult[];
  /** The same by families that groups belong to; empty where a suite has none. */
  readonly families: readonly CellResult[];
  readonly levels: readonly LevelResult[];
  readonly comparisons: readonly Comparison[];
}

/** Whether groups count alike in means over them (families of the tiny suite), or questions do (benchmarks). */
export type Weighting = 'groups' | 'items';

/** The records with groups replaced by what they belong to. */
export function rolledUp(records: readonly SampleRecord[], familyOf: (group: string) => string): SampleRecord[] {
  return records.map((record) => ({ ...record, cell: { ...record.cell, group: familyOf(record.cell.group) } }));
}

/** `familyOf`: what a group belongs to; levels are then means over families. */
export function summarise(
  all: readonly SampleRecord[],
  weighting: Weighting,
  familyOf: ((group: string) => string) | null = null,
): Summary {
  const records = familyOf === null ? all : rolledUp(all, familyOf);
  const bySetting = grouped(records, ({ cell }) => JSON.stringify([...settingOf(cell), cell.level]));
  const levels = [...bySetting.values()].map((members): LevelResult => {
    const { group: _, ...cell } = members[0]!.cell;
    const groups = [...grouped(members, (record) => record.cell.group).values()];
    return {
      cell,
      groups: groups.length,
      ...tally(members),
      ...(weighting === 'groups' && groups.length > 1 ? { score: macro(groups) } : {}),
    };
  });
  return {
    cells: cellsOf(all),
    families: familyOf === null ? [] : cellsOf(records),
    levels: levels.sort((a, b) => order(a.cell.level) - order(b.cell.level)),
    comparisons: levelComparisons(records, weighting),
  };
}

function cellsOf(records: readonly SampleRecord[]): CellResult[] {
  const byCell = grouped(records, ({ cell }) => JSON.stringify([cell.group, ...settingOf(cell), cell.level]));
  return [...byCell.values()].map((members) => ({ cell: members[0]!.cell, ...tally(members) }));
}

const order = (level: ReasoningEffort): number => reasoningEfforts.indexOf(level);
const settingOf = ({ set, tools, sampling }: Omit<Cell, 'group' | 'level'>): string[] => [set, tools, sampling];

export function tally(records: readonly SampleRecord[]): Tally {
  const judged = records.filter(({ score }) => score !== null);
  const items = [...grouped(judged, ({ item }) => item).values()].map((members) => members.map(({ score }) => score!));
  const tokens = records.map(({ usage }) => usage.completionTokens);
  const reasoning = records.flatMap(({ usage }) => usage.reasoningTokens ?? []);
  const visible = records.filter(({ isMalformed }) => isMalformed !== null);
  const repeats = Math.min(...items.map(({ length }) => length));
  return {
    items: items.length,
    samples: records.length,
    score: estimate(items),
    tokens: { mean: meanOf(tokens), median: medianOf(tokens) },
    reasoningTokens: reasoning.length < records.length ? null : meanOf(reasoning),
    truncated: meanOf(records.map(({ finish }) => (finish === 'length' ? 1 : 0))),
    malformed: visible.length === 0 ? null : visible.filter(({ isMalformed }) => isMalformed).length,
    unjudged: records.length - judged.length,
    calls: meanOf(records.map(({ calls }) => calls)),
    ...(repeats > 1 && items.length > 0 ? { ...several(items, repeats), ...majority(judged, repeats) } : {}),
  };
}

function several(items: readonly (readonly number[])[], repeats: number): Pick<Tally, 'passAtK' | 'passHatK'> {
  const ks = [1, 2, 4, 8, 16, 32].filter((k) => k <= repeats);
  const mean = (of: (n: number, c: number, k: number) => number, k: number): number =>
    meanOf(items.map((scores) => of(scores.length, scores.filter((score) => score >= 1).length, k)));
  return {
    passAtK: Object.fromEntries(ks.map((k) => [k, mean(passAtK, k)])),
    passHatK: Object.fromEntries(ks.map((k) => [k, mean(passHatK, k)])),
  };
}

function majority(judged: readonly SampleRecord[], repeats: number): Pick<Tally, 'majorityAtK'> {
  if (judged.some(({ score, extracted }) => extracted === undefined || (score !== 0 && score !== 1))) return {};
  const items = [...grouped(judged, ({ item }) => item).values()];
  const ks = [1, 2, 4, 8, 16, 32].filter((k) => k <= repeats);
  const mean = (k: number): number =>
    meanOf(
      items.map((members) =>
        majorityOf(
          members.map(({ extracted, score }) => [extracted, score!] as const),
          k,
        ),
      ),
    );
  return { majorityAtK: Object.fromEntries(ks.map((k) => [k, mean(k)])) };
}

/** The mean of the groups' means. Its error adds up from theirs; its interval is that of the paired difference from zero. */
function macro(groups: readonly (readonly SampleRecord[])[]): Estimate {
  const strata = groups.map((members) => [...itemMeans(members).values()].map((mean) => [0, mean] as const));
  const { mean, se, low, high } = pairedDifference(strata);
  return { mean, se, low, high };
}

function itemMeans(records: readonly SampleRecord[]): Map<string, number> {
  const judged = records.filter(({ score }) => score !== null);
  return new Map(
    [...grouped(judged, ({ item }) => item)].map(([item, members]) => [
      item,
      meanOf(members.map(({ score }) => score!)),
    ]),
  );
}

/** Second minus first over the items that both have. */
export function compare(
  first: readonly SampleRecord[],
  second: readonly SampleRecord[],
  weighting: Weighting,
): PairedDifference {
  const stratum = ({ cell }: SampleRecord): string => (weighting === 'groups' ? cell.group : '');
  const [a, b] = [first, second].map((records) => grouped(records, stratum));
  const strata = [...a!].map(([group, members]) => {
    const others = itemMeans(b!.get(group) ?? []);
    return [...itemMeans(members)].flatMap(([item, score]): (readonly [number, number])[] =>
      others.has(item) ? [[score, others.get(item)!]] : [],
    );
  });
  return pairedDifference(strata);
}

function levelComparisons(records: readonly SampleRecord[], weighting: Weighting): Comparison[] {
  return [...grouped(records, ({ cell }) => JSON.stringify(settingOf(cell))).values()].flatMap((members) => {
    const { group: _, level: __, ...cell } = members[0]!.cell;
    const of = (level: ReasoningEffort) => members.filter((record) => record.cell.level === level);
    return (
      [
        ['low', 'medium'],
        ['medium', 'high'],
      ] as const
    ).flatMap(([lower, higher]): Comparison[] => {
      const [a, b] = [of(lower), of(higher)];
      if (a.length === 0 || b.length === 0) return [];
      const difference = compare(a, b, weighting);
      return difference.n === 0 ? [] : [{ what: `${higher} - ${lower}`, cell, ...difference }];
    });
  });
}

/** The second run minus the first, for each setting and level that both have. */
export function compareRuns(
  first: readonly SampleRecord[],
  second: readonly SampleRecord[],
  weighting: Weighting,
): Comparison[] {
  const named = (records: readonly SampleRecord[]) =>
    grouped(records, ({ cell }) => JSON.stringify([...settingOf(cell), cell.level]));
  const before = named(first);
  return [...named(second)].flatMap(([key, members]): Comparison[] => {
    const { group: _, level, ...cell } = members[0]!.cell;
    const difference = compare(before.get(key) ?? [], members, weighting);
    return difference.n === 0 ? [] : [{ what: `this - other, ${level}`, cell, ...difference }];
  });
}

export function grouped<T>(list: readonly T[], key: (entry: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const entry of list) {
    const name = key(entry);
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [entry]);
    else group.push(entry);
  }
  return groups;
}
