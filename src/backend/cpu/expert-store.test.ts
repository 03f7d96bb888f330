// Experts that come and go in memory of their own compute the same bits as those of the mapped file, whatever the layout;
// too little memory leaves them in the file; a file that cannot be read on is an error.
import { cpSync, mkdtempSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { hasShared, sharedPath } from '../../../test/shared.ts';
import { openCheckpoint } from '../../formats/checkpoint.node.ts';
import { score, TestSequences, testCache } from '../../model/golden.testing.ts';
import { createModel, type Model } from '../../model/load.ts';
import { addonPath } from './addon.testing.ts';
import { findAddon } from './addon.ts';
import { CpuBackend } from './cpu.ts';

const containers = ['mini-mxfp4', 'mini-original', 'mini.gguf', 'mini-ollama-2025-08.gguf', 'mini-q8.gguf'];
const isMissing =
  findAddon(addonPath).addon === null || process.platform !== 'linux' || !hasShared('fixtures', 'mini.gguf');

interface Held {
  readonly model: Model;
  readonly backend: CpuBackend;
  /** Logits of a prompt in two steps, then token by token, so that experts leave and come back. */
  run(): Promise<number[]>;
}

async function withExperts<T>(path: string, expertBytes: number, fn: (held: Held) => Promise<T>): Promise<T> {
  const checkpoint = openCheckpoint(path);
  const backend = new CpuBackend({ precision: 'exact', threads: 2, maxRows: 64, addonPath, expertBytes });
  const model = createModel(checkpoint, backend);
  const cache = testCache(model, 200);
  const lane = model.lane({ rows: 64, scored: 64 }, cache);
  const prompt = Array.from({ length: 60 }, (_, i) => (i * i * 7 + 11) % model.vocab);
  try {
    return await fn({
      model,
      backend,
      run: async () => {
        const sequences = new TestSequences(model, cache);
        const logits: number[] = [];
        for (const [from, to] of [[0, 40], [40, 54], ...Array.from({ length: 6 }, (_, i) => [54 + i, 55 + i])])
          logits.push(...(await score(lane, sequences, prompt.slice(from, to))));
        return logits;
      },
    });
  } finally {
    await model.close();
    checkpoint.close();
  }
}

describe.skipIf(isMissing)('experts in memory of their own (Linux, ../shared and the native part are needed)', () => {
  it.each(containers)('compute the same bits: %s', async (container) => {
    const path = sharedPath('fixtures', container);
    const expected = await withExperts(path, 0, async ({ backend, run }) => {
      expect(backend.heldBytes).toBe(0);
      return run();
    });
    const { layers, all } = await withExperts(path, 2 ** 30, async ({ backend, model, run }) => {
      expect(await run()).toEqual(expected);
      return { layers: model.config.layers, all: backend.heldBytes };
    });
    expect(all).toBeGreaterThan(0);
    expect(layers).toBeGreaterThan(1);
    // The experts of one layer and no more: each layer takes the place of the one before.
    await withExperts(path, all / layers, async ({ backend, run }) => {
      expect(backend.heldBytes).toBe(all / layers);
      expect(await run()).toEqual(expected);
    });
    await withExperts(path, all / layers - 1, async ({ backend, run }) => {
      expect(backend.heldBytes).toBe(0);
      expect(await run()).toEqual(expected);
    });
  });

  it('are missed when their file is cut short', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'gptoss-experts-'));
    try {
      const path = join(folder, 'mini.gguf');
      cpSync(sharedPath('fixtures', 'mini.gguf'), path);
      const { all, layers } = await withExperts(path, 2 ** 30, async ({ backend, model }) => ({
        all: backend.heldBytes,
        layers: model.config.layers,
      }));
      await withExperts(path, all / layers, async ({ run }) => {
        await run();
        truncateSync(path, 4096);
        await expect(run()).rejects.toMatchObject({ code: 'bad-checkpoint' });
      });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
