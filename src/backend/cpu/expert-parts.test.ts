// A step may pause inside an op over experts. The result has the same bits, in both precisions and every layout, although
// steps of another lane ran in each pause, and although experts came and went in memory of their own.
import { describe, expect, it } from 'vitest';
import { hasShared, sharedPath } from '../../../test/shared.ts';
import { openCheckpoint } from '../../formats/checkpoint.node.ts';
import { TestSequences, testCache } from '../../model/golden.testing.ts';
import { createModel } from '../../model/load.ts';
import type { Precision } from '../backend.ts';
import { addonPath } from './addon.testing.ts';
import { findAddon } from './addon.ts';
import { CpuBackend } from './cpu.ts';

const isMissing = findAddon(addonPath).addon === null || !hasShared('fixtures', 'mini.gguf');

async function run(
  container: string,
  precision: Precision,
  partMacs: number | undefined,
  expertBytes = 0,
  isa?: string,
): Promise<{ prompt: number[]; decodes: number[]; pauses: number; heldBytes: number; layers: number }> {
  const checkpoint = openCheckpoint(sharedPath('fixtures', container));
  const backend = new CpuBackend({ precision, threads: 2, maxRows: 64, addonPath, expertBytes, partMacs, isa });
  const model = createModel(checkpoint, backend);
  const cache = testCache(model, 300);
  const lane = model.lane({ rows: 64, scored: 64 }, cache);
  const other = model.lane({ rows: 4, scored: 4 }, cache);
  const sequences = new TestSequences(model, cache);
  const decodes: number[] = [];
  let pauses = 0;
  try {
    const tokens = Array.from({ length: 60 }, (_, i) => (i * i * 7 + 11) % model.vocab);
    const logits: number[] = [];
    for (const [from, to] of [
      [0, 50],
      [50, 59],
      [59, 60],
    ]) {
      const batch = sequences.batch([[0, tokens.slice(from, to)]], 'all');
      await lane.run(batch, {
        pause: async () => {
          if (pauses++ >= 20) return;
          await other.run(sequences.batch([[1, [pauses % model.vocab]]], 'last'));
          if (partMacs !== undefined) decodes.push(...other.logits(0));
        },
      });
      for (let i = 0; i < batch.scored.length; i++) logits.push(...lane.logits(i));
    }
    return { prompt: logits, decodes, pauses, heldBytes: backend.heldBytes, layers: model.config.layers };
  } finally {
    await model.close();
    checkpoint.close();
  }
}

describe.skipIf(isMissing)('an op over experts in parts (../shared and the native part are needed)', () => {
  it.each(
    (['exact', 'fast'] as const).flatMap((precision) =>
      ['mini-mxfp4', 'mini.gguf'].map((container) => ({ container, precision })),
    ),
  )('has the same bits: $container, $precision', async ({ container, precision }) => {
    const whole = await run(container, precision, undefined);
    const parts = await run(container, precision, 1);
    expect(parts.pauses).toBeGreaterThan(2 * whole.pauses);
    expect(parts.prompt).toEqual(whole.prompt);
    expect(parts.decodes.every(Number.isFinite)).toBe(true);
  });

  it('has the same bits where no part of it can be done alone', async () => {
    const whole = await run('mini.gguf', 'fast', undefined, 0, 'scalar');
    expect((await run('mini.gguf', 'fast', 1, 0, 'scalar')).prompt).toEqual(whole.prompt);
  });

  it.skipIf(process.platform !== 'linux')('has the same bits where experts come and go', async () => {
    const whole = await run('mini.gguf', 'fast', undefined);
    const { heldBytes, layers } = await run('mini.gguf', 'fast', 1, 2 ** 30);
    expect(heldBytes).toBeGreaterThan(0);
    const { prompt } = await run('mini.gguf', 'fast', 1, heldBytes / layers);
    expect(prompt).toEqual(whole.prompt);
  });
});
