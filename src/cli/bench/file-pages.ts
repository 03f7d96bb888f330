// The pages of a model file, as a comparison needs them: all in memory before each run, in large pages where the system has
// them, and warm. A file that was just written lies in small pages, which are read up to 1.5 times slower: so it leaves memory once.
// And on a virtual machine, memory that a disk has just filled or nobody touched for a while is read three times slower at
// first: it is read again until that is over (docs/performance.md). Next: versus.ts.

import { execFile } from 'node:child_process';
import { statSync } from 'node:fs';
import { promisify } from 'node:util';
import { open } from '../../open.node.ts';
import { deviceOf } from './device.ts';

const MOST_PASSES = 20;

/** Ends when they are; gives the share of the file that is in memory by util-linux's fincore, or null where it is missing. */
export async function warmPages(path: string, threads: number, signal: AbortSignal): Promise<number | null> {
  const model = await open(path, { threads, context: 512, maxSequences: 1 });
  try {
    await model.populate({ signal });
    const device = deviceOf(model);
    let best = 0;
    for (let i = 0, worse = 0; device !== null && i < MOST_PASSES && worse < 3; i++) {
      const speed = await device.readSpeed(signal);
      worse = speed < 1.03 * best ? worse + 1 : 0;
      best = Math.max(best, speed);
    }
  } finally {
    await model.close();
  }
  try {
    const { stdout } = await promisify(execFile)('fincore', ['--bytes', '--noheadings', '--output', 'RES', path]);
    return Number(stdout) / statSync(path).size;
  } catch {
    return null;
  }
}
