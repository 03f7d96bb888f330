// How idle the processors are: a comparison on a machine that does something else is none.

import { cpus } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

/** Share of the processors' time that nothing used for the next `ms`, 0 to 1; NaN where the system does not tell. */
export async function idleShare(ms: number, signal: AbortSignal): Promise<number> {
  const before = times();
  await sleep(ms, undefined, { signal });
  const after = times();
  return (after.idle - before.idle) / (after.all - before.all);
}

function times(): { idle: number; all: number } {
  const sums = { idle: 0, all: 0 };
  for (const { times } of cpus()) {
    sums.idle += times.idle;
    sums.all += times.user + times.nice + times.sys + times.idle + times.irq;
  }
  return sums;
}
