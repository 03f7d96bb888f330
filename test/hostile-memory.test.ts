// What docs/formats.md promises of memory: a hostile file under 1 MB costs less than 300 MB, the whole process counted. The
// files are opened in a process of its own (hostile-memory.child.ts), whose highest resident size the system tells.

import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { repoPath } from './shared.ts';

interface Report {
  readonly start: number; // bytes, before the first file
  readonly cases: number;
  readonly opened: number;
  readonly peak: number;
  readonly worst: string;
}

function openInChild(mutated: number): Report {
  const child = repoPath('test', 'hostile-memory.child.ts');
  const args = ['--expose-gc', '--import', 'tsx', child, String(mutated)];
  const run = spawnSync(process.execPath, args, { cwd: repoPath(), encoding: 'utf8', maxBuffer: 1 << 24 });
  expect(run.status, run.stderr).toBe(0);
  return JSON.parse(run.stdout) as Report;
}

it('hostile files under 1 MB are opened or refused within 300 MB', () => {
  const { cases, opened, peak, worst } = openInChild(1000);
  expect(cases).toBeGreaterThan(1030);
  expect(opened).toBeGreaterThan(20);
  expect(peak, worst).toBeLessThan(300_000_000);
});
