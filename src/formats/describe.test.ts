// Counts against the published figures (model-spec §1.1, §1.5, §2.5), and what files are taken for.

import { describe, expect, it } from 'vitest';
import { hasShared, sharedPath } from '../../test/shared.ts';
import { openCheckpoint } from './checkpoint.node.ts';
import { cacheBytes, memoryNeed, parameterCounts, typeHistogram } from './describe.ts';
import { openTinyFolder } from './hostile.testing.ts';
import { publishedModels } from './published.ts';
import { resemblance } from './resemblance.ts';

const small = publishedModels['gpt-oss-20b'];
const large = publishedModels['gpt-oss-120b'];

describe('parameter counts', () => {
  it('equal the published totals', () => {
    expect(parameterCounts(small).total).toBe(20_914_757_184);
    expect(parameterCounts(large).total).toBe(116_829_156_672);
    expect(parameterCounts(small).active).toBe(3_608_307_264);
    expect(parameterCounts(large).active).toBe(5_132_849_472);
  });

  it('split as published', () => {
    const { experts, attention, vocabulary } = parameterCounts(small);
    expect([experts, attention, vocabulary].map((n) => (n / 1e9).toFixed(2))).toEqual(['19.12', '0.64', '1.16']);
  });
});

describe('memory', () => {
  it('of the full layers at 131,072 tokens is 3072 and 4608 MiB at 16 bits', () => {
    const full = { slidingWindow: 1, sliding: small.sliding };
    expect(Math.floor(cacheBytes({ ...small, ...full }, 131_072, 'f16', 0) / 2 ** 20)).toBe(3072);
    expect(Math.floor(cacheBytes({ ...large, slidingWindow: 1 }, 131_072, 'f16', 0) / 2 ** 20)).toBe(4608);
    expect(cacheBytes(small, 100, 'f32')).toBe(2 * cacheBytes(small, 100, 'f16'));
  });

  it.skipIf(!hasShared('fixtures'))('of a file is its tensors and the cache (skipped without ../shared)', () => {
    const c = openCheckpoint(sharedPath('fixtures', 'mini-q8.gguf'));
    const need = memoryNeed(c, 64, 'f16');
    expect(need.total).toBe(need.weights + need.cache);
    expect(need.weightsPerToken).toBeLessThan(need.weights);
    const rows = typeHistogram(c.entries);
    expect(rows.map((r) => r.type).sort()).toEqual(['F32', 'MXFP4', 'Q8_0']);
    expect(rows.reduce((n, r) => n + r.bytes, 0)).toBe(need.weights);
    expect(rows.reduce((n, r) => n + r.tensors, 0)).toBe(79);
    c.close();
  });
});

describe('what a file resembles', () => {
  it.skipIf(!hasShared('fixtures'))('is told by its types and names (skipped without ../shared)', () => {
    const layout = (...path: string[]): string => {
      const c = openCheckpoint(sharedPath(...path));
      const { layout: text, model } = resemblance(c);
      expect(model).toBeNull();
      c.close();
      return text;
    };
    expect(layout('fixtures', 'mini-q8.gguf')).toBe('ggml-org layout (MXFP4 experts, Q8_0 attention)');
    expect(layout('fixtures', 'mini.gguf')).toBe('BF16 mixture');
    expect(layout('fixtures', 'mini-ollama-2025-08.gguf')).toBe('Ollama layout (type 4 MXFP4, fused gate and up)');
    expect(layout('fixtures', 'mini-original')).toBe("OpenAI's original layout (MXFP4 experts, fused qkv)");
    expect(layout('fixtures', 'mini-mxfp4')).toBe('Hugging Face layout (MXFP4 experts)');
    expect(layout('fixtures', 'mini-train')).toBe('Hugging Face layout, dequantised (F32 experts)');
  });

  it('names the published model and each departure from it', () => {
    const c = openTinyFolder();
    expect(resemblance({ ...c, config: large }).model).toBe('gpt-oss-120b');
    const near = resemblance({ ...c, config: { ...small, slidingWindow: 256 } });
    expect(near.model).toBeNull();
    expect(near.differences).toContain('slidingWindow is 256, not 128 as in gpt-oss-20b');
  });
});
