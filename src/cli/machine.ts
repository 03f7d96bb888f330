// Facts about the machine for `doctor` and `bench`: processor, cores, memory (and the limit of the container we may be
// in), and how much memory this process holds beside file pages. Where the platform does not tell, null: never a guess.

import { readFileSync } from 'node:fs';
import { arch, availableParallelism, cpus, platform, release, totalmem } from 'node:os';
import { freeMemory } from '../backend/cpu/free-memory.ts';

export interface Machine {
  readonly processor: string;
  readonly architecture: string;
  readonly system: string;
  readonly logicalCores: number;
  /** What this process may use (affinity, container). */
  readonly usableCores: number;
  readonly memoryBytes: number;
  readonly availableBytes: number;
  /** Memory limit of the control group, or null. */
  readonly limitBytes: number | null;
  readonly node: string;
}

export function describeMachine(): Machine {
  const processors = cpus();
  const memoryBytes = totalmem();
  const { bytes: availableBytes, limit } = freeMemory();
  return {
    processor: processors[0]?.model.replace(/\s+/g, ' ').trim() || 'unknown',
    architecture: arch(),
    system: `${platform()} ${release()}`,
    logicalCores: processors.length,
    usableCores: availableParallelism(),
    memoryBytes,
    availableBytes,
    limitBytes: limit !== null && limit < memoryBytes ? limit : null,
    node: process.version,
  };
}

/** Memory of this process apart from pages of files: RssAnon + RssShmem. Null where /proc does not tell. */
export function ownMemoryBytes(): number | null {
  try {
    const status = readFileSync('/proc/self/status', 'utf8');
    const field = (name: string): number =>
      Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? Number.NaN);
    const kilobytes = field('RssAnon') + field('RssShmem');
    return Number.isNaN(kilobytes) ? null : kilobytes * 1024;
  } catch {
    return null;
  }
}

/** The largest `ownMemoryBytes` between start and stop, sampled every 20 ms while the event loop runs. */
export class MemoryWatch {
  peakBytes = 0;
  readonly #timer: ReturnType<typeof setInterval>;

  constructor() {
    this.sample();
    this.#timer = setInterval(() => this.sample(), 20);
    this.#timer.unref();
  }

  sample(): void {
    this.peakBytes = Math.max(this.peakBytes, ownMemoryBytes() ?? 0);
  }

  stop(): number {
    clearInterval(this.#timer);
    this.sample();
    return this.peakBytes;
  }
}
