// The pages of a model file, as a comparison needs them: all in memory before each run, and in large pages where the system
// has them. A file that was just written lies in small ones, which are read up to 1.5 times slower (docs/performance.md):
// so it leaves memory once. Next: versus.ts.

import { execFile } from 'node:child_process';
import { statSync } from 'node:fs';
import { promisify } from 'node:util';
import { type Addon, chooseVariant } from '../../backend/cpu/addon.ts';
import { GptOssError } from '../../errors.ts';

const PIECE = 256 << 20; // bytes

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
      for (let offset = 0; offset < size; offset += PIECE) {
        if (signal.aborted) throw new GptOssError('aborted', 'the comparison was stopped');
        await addon.populate(session, file, offset, Math.min(PIECE, size - offset), 1, 0);
        // Memory that nobody touched for a while is slow at first on a virtual machine.
        await addon.populate(session, file, offset, Math.min(PIECE, size - offset), 1, 1);
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
