// The same model in other layouts and element types runs alike: equal logits where the values are equal, and one answer
// from both backends where a type has rounded them. Files are written to disk, so that the cpu backend maps them.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { hasShared, sharedPath } from '../../test/shared.ts';
import type { Backend } from '../backend/backend.ts';
import { CpuBackend } from '../backend/cpu/cpu.ts';
import { ReferenceBackend } from '../backend/reference/reference.ts';
import { isGptOssError } from '../errors.ts';
import { openCheckpoint } from '../formats/checkpoint.node.ts';
import { dequantised, inMixture, mixtures, ollamaVariant, tinyPath, tinySplit } from '../formats/variants.testing.ts';
import { Expected, largestDifference, logitTolerance, score, TestSequences, testCache } from './golden.testing.ts';
import { createModel } from './load.ts';

const present = hasShared('fixtures', 'mini.gguf');
const ROWS = 200;

function makeCpu(): Backend | null {
  try {
    return new CpuBackend({ precision: 'exact', maxRows: ROWS });
  } catch (error) {
    if (isGptOssError(error, 'unsupported-device')) return null;
    throw error;
  }
}

const probe = makeCpu();
const hasCpu = probe !== null;
await probe?.close();

async function logits(path: string, backend: Backend, prompt: ArrayLike<number>): Promise<Float32Array> {
  const checkpoint = openCheckpoint(path);
  const model = createModel(checkpoint, backend);
  try {
    const cache = testCache(model, 300);
    return await score(model.lane({ rows: ROWS, scored: ROWS }, cache), new TestSequences(model, cache), prompt);
  } finally {
    await model.close();
    checkpoint.close();
  }
}

describe.skipIf(!present)('variants of the test models (skipped without ../shared)', () => {
  const root = mkdtempSync(join(tmpdir(), 'gptoss-variants-'));
  afterAll(() => rmSync(root, { recursive: true }));
  const writeFolder = (name: string, files: ReadonlyMap<string, Uint8Array>): string => {
    mkdirSync(join(root, name));
    for (const [file, bytes] of files) writeFileSync(join(root, name, file), bytes);
    return join(root, name);
  };
  const writeOne = (name: string, bytes: Uint8Array): string => writeFolder(name, new Map([['model.gguf', bytes]]));
  const prompt = (): Int32Array =>
    new Expected(sharedPath('fixtures', 'mini-mxfp4', 'expected.safetensors')).integers('input_ids');

  const layouts: readonly (readonly [string, () => string])[] = [
    [
      'experts dequantised to BF16',
      () => writeFolder('bf16', dequantised(sharedPath('fixtures', 'mini-mxfp4'), 'BF16')),
    ],
    ['experts dequantised to F32', () => writeFolder('f32', dequantised(sharedPath('fixtures', 'mini-mxfp4'), 'F32'))],
    ["Ollama's layout of August 2025", () => writeOne('o1', ollamaVariant('2025-08-hf'))],
    ["Ollama's layout of October 2025", () => writeOne('o2', ollamaVariant('2025-10'))],
    ["Ollama's layout of May 2026", () => writeOne('o3', ollamaVariant('2026-05'))],
  ];

  it.each(layouts)('%s gives the expected logits', async (_, write) => {
    const path = write();
    const expected = new Expected(sharedPath('fixtures', 'mini-mxfp4', 'expected.safetensors'));
    const ids = expected.integers('input_ids');
    // That the bits are equal is checked in formats/variants.test.ts, so one backend tells enough: the one whose kernels
    // read these layouts in place, if it is there.
    const backend = makeCpu() ?? new ReferenceBackend({ precision: 'exact', maxRows: ROWS });
    const difference = largestDifference(await logits(path, backend, ids), expected.floats('logits'));
    expect(difference).toBeLessThanOrEqual(logitTolerance(backend.name));
  });

  it.skipIf(!hasCpu).each(mixtures)(
    '%s gives one answer on both backends (skipped without the native addon)',
    async (name, mixture) => {
      const isK = /_K$/.test(name); // needs rows of 256 values, which only the trained model has
      const path = writeOne(`mix ${name}`, inMixture(isK ? tinyPath() : sharedPath('fixtures', 'mini.gguf'), mixture));
      const ids = isK ? prompt().subarray(0, 24) : prompt().subarray(0, 48);
      const reference = await logits(path, new ReferenceBackend({ precision: 'exact', maxRows: ROWS }), ids);
      const cpu = await logits(path, makeCpu()!, ids);
      expect(largestDifference(cpu, reference)).toBeLessThanOrEqual(1e-3);
    },
  );

  it.skipIf(!hasCpu)('a split set gives the bits of the whole file (skipped without the native addon)', async () => {
    const path = writeFolder('split', tinySplit(3));
    const ids = prompt().subarray(0, 64);
    const whole = await logits(tinyPath(), makeCpu()!, ids);
    expect(largestDifference(await logits(path, makeCpu()!, ids), whole)).toBe(0);
  });
});
