// Two models on the same items, cell by cell: means of both and their paired difference. Used where another model (the one
// that ships now, or the same weights unrounded) is asked a part of a suite. Next: tiny/checks.ts.

import type { SampleRecord } from './record.ts';
import type { Beside, BesideCell } from './results.ts';
import { estimate } from './statistics.ts';
import { compare, grouped } from './summary.ts';
import { cellName } from './task.ts';

export function besideOf(
  what: Beside['what'],
  answerer: string,
  theirs: readonly SampleRecord[],
  ours: readonly SampleRecord[],
): Beside {
  const own = grouped(ours, ({ cell }) => cellName(cell));
  const cells = [...grouped(theirs, ({ cell }) => cellName(cell))].flatMap(([name, members]): BesideCell[] => {
    const same = new Set(members.map(({ item }) => item));
    const pairs = (own.get(name) ?? []).filter(({ item }) => same.has(item));
    const difference = compare(members, pairs, 'items');
    if (difference.n === 0) return [];
    return [{ cell: members[0]!.cell, ours: scoreOf(pairs), theirs: scoreOf(members), ...difference }];
  });
  return { what, answerer, cells };
}

function scoreOf(records: readonly SampleRecord[]): BesideCell['ours'] {
  const judged = records.filter(({ score }) => score !== null);
  return estimate([...grouped(judged, ({ item }) => item).values()].map((each) => each.map(({ score }) => score!)));
}
