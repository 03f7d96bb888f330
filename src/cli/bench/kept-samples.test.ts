import { existsSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { KeptSamples } from './kept-samples.ts';

const folder = mkdtempSync(join(tmpdir(), 'kept-'));
afterAll(() => rmSync(folder, { recursive: true }));

const model = join(folder, 'model.gguf');
writeFileSync(model, 'x');
const path = join(folder, 'long.json');
const about = { threads: 2 };
const DECODE = { kind: 'decode', after: 8192, tokens: 128 } as const;

describe('the figures of a long comparison', () => {
  it('are gone on from with the same model and options, and with no others', () => {
    const first = new KeptSamples(path, model, about);
    expect(first.read()).toBe(false);
    first.samples.ours.decode8k = [8.5];
    first.facts['ours-load'] = { kind: 'load', variant: 'avx512' };
    first.write();

    const second = new KeptSamples(path, model, about);
    expect(second.read()).toBe(true);
    expect(second.has('ours', DECODE)).toBe(true);
    expect(second.has('theirs', DECODE)).toBe(false);
    expect(second.facts['ours-load']?.['variant']).toBe('avx512');

    expect(new KeptSamples(path, model, { threads: 1 }).read()).toBe(false);
    utimesSync(model, 1, 1);
    expect(new KeptSamples(path, model, about).read()).toBe(false);
  });

  it('survive damage: half a file is none', () => {
    const kept = new KeptSamples(path, model, about);
    kept.samples.ours.prefill8192 = [140];
    kept.write();
    writeFileSync(path, readFileSync(path, 'utf8').slice(0, 40));
    const other = new KeptSamples(path, model, about);
    expect(other.read()).toBe(false);
    expect(other.samples.ours).toEqual({});
  });

  it('stay to be read when it is over, and the next one begins anew', () => {
    const kept = new KeptSamples(path, model, about);
    kept.samples.ours.decode32k = [7];
    kept.write();
    kept.retire();
    expect(existsSync(path)).toBe(false);
    expect(readFileSync(join(folder, 'long-last.json'), 'utf8')).toContain('decode32k');
    expect(new KeptSamples(path, model, about).read()).toBe(false);
    kept.retire(); // nothing there any more: no error
  });
});
