// Fifty kills, and the throughput on loopback (printed, never asserted).
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
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
  await withHub(1 << 30, async (hub, cache, content) => {
    const settings = hubSettings({ HF_HUB_CACHE: cache, HF_ENDPOINT: hub.url }, 'linux', cache);
    const begin = performance.now();
    await pull(parseWanted(`hf:${hub.repository}`), settings);
    console.info(`${(content.length / 1e3 / (performance.now() - begin)).toFixed(0)} MB/s`);
  });
});
