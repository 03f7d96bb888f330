// The pages of a model file, as a comparison needs them: all in memory before each run, and in large pages where the system
// has them. A file that was just written lies in small ones, which are read up to 1.5 times slower (docs/performance.md):
// so it leaves memory once. Next: versus.ts.

import { execFile } from 'node:child_process';
import { statSync } from 'node:fs';
import { promisify } from 'node:util';
import { type Addon, chooseVariant } from '../../backend/cpu/addon.ts';
import { GptOssError } from '../../errors.ts';

const PIECE = 256 << 20; // bytes
const MOST_PASSES = 20;

export class FilePages {
  readonly #addon: Addon;
  readonly #path: string;
  readonly #threads: number;

  constructor(addon: Addon, path: string, threads: number) {
    this.#addon = addon;
    this.#path = path;
    this.#threads = threads;
  }

  /** Out of memory, where the system allows it. */
  drop(): void {
    this.#addon.dropCached(this.#path);
  }

  /** Into memory; the share of the file that is there afterwards by util-linux's fincore, or null where it is missing. */
  async read(signal: AbortSignal): Promise<number | null> {
    const addon = this.#addon;
    const session = addon.open(chooseVariant(addon.machine(), undefined, undefined), this.#threads, 1, false);
    try {
      const file = addon.file(session, this.#path);
      const size = addon.size(session, file);
      const pass = async (reads: 0 | 1): Promise<number> => {
        const start = performance.now();
        for (let offset = 0; offset < size; offset += PIECE) {
          if (signal.aborted) throw new GptOssError('aborted', 'the comparison was stopped');
          await addon.populate(session, file, offset, Math.min(PIECE, size - offset), 1, reads);
        }
        return performance.now() - start;
      };
      await pass(0);
      // On a virtual machine, memory that a disk has just filled or nobody touched for a while is read three times slower at
      // first. It is read again until that is over.
      let best = Number.POSITIVE_INFINITY;
      for (let i = 0, worse = 0; i < MOST_PASSES && worse < 3; i++) {
        const ms = await pass(1);
        worse = ms > 0.97 * best ? worse + 1 : 0;
        best = Math.min(best, ms);
      }
    } finally {
      addon.close(session);
    }
    try {
      const { stdout } = await promisify(execFile)('fincore', [
        '--bytes',
        '--noheadings',
        '--output',
        'RES',
        this.#path,
      ]);
      return Number(stdout) / statSync(this.#path).size;
    } catch {
      return null;
    }
  }
}
