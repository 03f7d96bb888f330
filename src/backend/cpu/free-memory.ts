// How much memory this process may use: what the system has free, or the limit of the control group it is in (containers,
// services), whichever is less. Linux tells both; elsewhere what is free. Nothing is guessed.

import { readFileSync } from 'node:fs';
import { freemem } from 'node:os';

export interface FreeMemory {
  readonly bytes: number;
  /** Of the control group or one above it; null: none, or nothing tells. */
  readonly limit: number | null;
}

export function freeMemory(): FreeMemory {
  const limit = controlGroupLimit();
  const free = numberIn('/proc/meminfo', /^MemAvailable:\s+(\d+) kB/m);
  const bytes = free === null ? freemem() : free * 1024;
  return { bytes: Math.min(bytes, limit ?? Number.POSITIVE_INFINITY), limit };
}

/** Whether the files of a model fit into the memory that is free for them. */
export function fitsMemory(mappedBytes: number, freeBytes: number): boolean {
  return mappedBytes <= 0.95 * freeBytes;
}

/** The least limit from the process's own group up. What a container sees as the root may be its own group. */
function controlGroupLimit(): number | null {
  const groups = textOf('/proc/self/cgroup') ?? '';
  const limits = [
    ...limitsAbove('/sys/fs/cgroup', /^0::(\S*)/m.exec(groups)?.[1], 'memory.max'),
    ...limitsAbove('/sys/fs/cgroup/memory', /^\d+:memory:(\S*)/m.exec(groups)?.[1], 'memory.limit_in_bytes'),
  ];
  return limits.length === 0 ? null : Math.min(...limits);
}

function limitsAbove(root: string, path = '/', file: string): number[] {
  const parts = path.split('/').filter((part) => part !== '' && part !== '..');
  return Array.from({ length: parts.length + 1 }, (_, i) =>
    numberIn([root, ...parts.slice(0, i), file].join('/'), /^(\d+)/),
  ).filter((limit) => limit !== null);
}

function numberIn(path: string, pattern: RegExp): number | null {
  const found = pattern.exec(textOf(path) ?? '');
  return found === null ? null : Number(found[1]);
}

function textOf(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null; // not this platform
  }
}
