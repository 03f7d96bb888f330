// Fifty kills, and the throughput on loopback (printed, never asserted).
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { repoPath } from '../../test/shared.ts';
import { FakeHub } from './hub.testing.ts';
import { killRepeatedly } from './kill.testing.ts';
import { parseWanted } from './plan.ts';
import { pull } from './pull.ts';
import { hubSettings } from './roots.ts';

async function withHub(
  bytes: number,
  fn: (hub: FakeHub, cache: string, content: Buffer) => Promise<void>,
): Promise<void> {
  const hub = new FakeHub();
  await hub.start();
  const cache = mkdtempSync(join(tmpdir(), 'gptoss-pull-'));
  const content = randomBytes(bytes);
  hub.add('config.json', Buffer.from('{}'));
  hub.add('model.safetensors', content);
  try {
    await fn(hub, cache, content);
  } finally {
    await hub.stop();
    rmSync(cache, { recursive: true, force: true });
  }
}

it('finishes with the right hash after fifty kills and fetches at most 5 % twice', async () => {
  await withHub(300 << 20, async (hub, cache, content) => {
    await killRepeatedly(hub, cache, 50);
    const settings = hubSettings({ HF_HUB_CACHE: cache, HF_ENDPOINT: hub.url }, 'linux', cache);
    const { path } = await pull(parseWanted(`hf:${hub.repository}`), settings);
    expect(readFileSync(join(path, 'model.safetensors')).equals(content)).toBe(true);
    console.info(`served ${((hub.sent / content.length) * 100).toFixed(1)} % of the file's bytes over 51 runs`);
    expect(hub.sent).toBeLessThanOrEqual(content.length * 1.05);
  });
});

it('says how fast it fetches on loopback, hash included', async () => {
  // The server has a process of its own, as a real one has.
  const folder = mkdtempSync(join(tmpdir(), 'gptoss-pull-'));
  const script = join(folder, 'server.mjs');
  const size = 1 << 30;
  writeFileSync(
    script,
    `import { randomBytes } from 'node:crypto';
     import { FakeHub } from ${JSON.stringify(repoPath('src/hub/hub.testing.ts'))};
     const hub = new FakeHub();
     await hub.start();
     hub.add('config.json', Buffer.from('{}'));
     hub.add('model.safetensors', Buffer.alloc(${size}, randomBytes(1 << 20)));
     process.stdout.write(hub.url + '\\n');`,
  );
  const server = spawn(process.execPath, ['--import', 'tsx', script], {
    cwd: repoPath(),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const url = await new Promise<string>((resolve) =>
      server.stdout.once('data', (data) => resolve(String(data).trim())),
    );
    const settings = hubSettings({ HF_HUB_CACHE: folder, HF_ENDPOINT: url }, 'linux', folder);
    const begin = performance.now();
    const { transferred } = await pull(parseWanted('hf:openai/gpt-oss-test'), settings);
    console.info(`${(transferred / 1e3 / (performance.now() - begin)).toFixed(0)} MB/s`);
    expect(transferred).toBe(size + 2);
  } finally {
    server.kill();
    rmSync(folder, { recursive: true, force: true });
  }
});
