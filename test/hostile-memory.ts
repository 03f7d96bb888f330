// Opens hostile files in a process of its own (hostile-memory.child.ts) and says what that needed. For the two tests of
// this name.

import { spawnSync } from 'node:child_process';
import { expect } from 'vitest';
import { repoPath } from './shared.ts';

/** What docs/formats.md promises of memory: the whole process, for a hostile file under 1 MB. */
export const PROMISED_BYTES = 300_000_000;

interface Report {
  readonly start: number; // bytes, before the first file
  readonly cases: number;
  readonly opened: number;
  readonly peak: number; // highest resident size, as the system tells
  readonly worst: string;
}

/** `mutated`: how many damaged checkpoints beside the ones made to cost memory. */
export function openHostileFiles(mutated: number): Report {
  const child = repoPath('test', 'hostile-memory.child.ts');
  const args = ['--expose-gc', '--import', 'tsx', child, String(mutated)];
  const run = spawnSync(process.execPath, args, { cwd: repoPath(), encoding: 'utf8', maxBuffer: 1 << 24 });
  expect(run.status, run.stderr).toBe(0);
  return JSON.parse(run.stdout) as Report;
}
