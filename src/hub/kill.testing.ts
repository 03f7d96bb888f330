// Kills a download again and again, as power cuts and impatient people do. For tests only.

import { spawn } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { repoPath } from '../../test/shared.ts';
import type { FakeHub } from './hub.testing.ts';
import { SEGMENT_BYTES } from './progress-file.ts';

/** Starts the download in a process of its own and kills it at random moments; hub.sent counts what was served. */
export async function killRepeatedly(
  fake: FakeHub,
  cache: string,
  times: number,
  segmentBytes = SEGMENT_BYTES,
): Promise<void> {
  const size = Math.max(...[...fake.files.values()].map((file) => file.content.length));
  const script = join(cache, 'child.mjs');
  writeFileSync(
    script,
    `import { pull } from ${JSON.stringify(repoPath('src/hub/pull.ts'))};
     import { parseWanted } from ${JSON.stringify(repoPath('src/hub/plan.ts'))};
     import { hubSettings } from ${JSON.stringify(repoPath('src/hub/roots.ts'))};
     await pull(parseWanted('hf:${fake.repository}'), hubSettings(), { connections: 1, segmentBytes: ${segmentBytes}, onProgress: () => process.stdout.write('.') });`,
  );
  const run = () =>
    spawn(process.execPath, ['--import', 'tsx', script], {
      cwd: repoPath(),
      env: { ...process.env, HF_HUB_CACHE: cache, HF_ENDPOINT: fake.url },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
  for (let i = 0; i < times; i++) {
    fake.bytesPerSecond = size / (times * 0.15); // so that the last kill comes before the end
    const child = run();
    const ended = new Promise((resolve) => child.once('exit', resolve));
    await Promise.race([new Promise((resolve) => child.stdout.once('data', resolve)), ended]);
    await new Promise((resolve) => setTimeout(resolve, 20 + Math.random() * 150));
    child.kill('SIGKILL');
    await ended;
    // The dead process' lock must not hold up the next one: it is stale after a while; tests do not wait for that.
    rmSync(join(cache, '.locks'), { recursive: true, force: true });
  }
  fake.bytesPerSecond = Infinity;
}
