// Forecast against the published sizes and the arithmetic of model-spec.
import { describe, expect, it } from 'vitest';
import { publishedModels } from '../formats/published.ts';
import { fitModel, type MachineFacts, publishedSizes } from './fit.ts';

const c20 = publishedModels['gpt-oss-20b'];
const c120 = publishedModels['gpt-oss-120b'];
const machine: MachineFacts = {
  memory: 16e9,
  freeDisk: 100e9,
  readBytesPerSecond: 45e9,
  multiplyAddsPerSecond: 1e12,
};

describe('sizes of the published files', () => {
  it.each([
    [c20, 'safetensors', 13_761_264_768],
    [c20, 'gguf', 12_096_558_336],
    [c120, 'safetensors', 65_248_815_744],
    [c120, 'gguf', 63_374_323_968],
  ] as const)('come from the shapes, to half a percent', (config, container, bytes) => {
    expect(Math.abs(publishedSizes(config, container).onDisk / bytes - 1)).toBeLessThan(0.005);
  });
  it('give 2.56 GB for a token of the 20b GGUF', () => {
    expect(publishedSizes(c20, 'gguf').perToken / 1e9).toBeCloseTo(2.56, 1);
  });
});

describe('the forecast', () => {
  const sizes = publishedSizes(c20, 'gguf');
  const at = (memory: number, context = 4096) => fitModel(c20, sizes, { ...machine, memory }, { context, kv: 'f16' });
  it('says whether all, only what tokens read, or nothing fits', () => {
    expect(at(16e9).fits).toBe('all');
    expect(at(8e9).fits).toBe('paging');
    expect(at(2e9).fits).toBe('no');
    expect(fitModel(c20, sizes, { ...machine, freeDisk: 1e9 }, { context: 4096, kv: 'f16' }).enoughDisk).toBe(false);
  });
  it('counts 24 KiB of cache for each token of context in full layers, and a constant for sliding ones', () => {
    expect(at(16e9, 8192).cache - at(16e9, 4096).cache).toBe(4096 * 24_576);
  });
  it('slows down with the context, never below what memory allows', () => {
    const { decodeTokensPerSecond, decodeAtContext, prefillTokensPerSecond } = at(16e9, 32_768);
    expect(decodeTokensPerSecond).toBeLessThan(45e9 / sizes.perToken);
    expect(decodeAtContext).toBeLessThan(decodeTokensPerSecond * 0.85);
    expect(prefillTokensPerSecond).toBeGreaterThan(100);
  });
});
