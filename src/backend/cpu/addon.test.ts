// What native code must promise beyond the common suites (cpu.test.ts): no argument crashes the process, closing is safe
// at any moment, files are mapped and checked, the event loop stays free, and thread count or the way attention is
// split over long contexts does not change a bit of `exact`.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterAll, describe, expect, it } from 'vitest';
import { isGptOssError } from '../../errors.ts';
import { openFile } from '../../formats/file.node.ts';
import type { Matrix } from '../../formats/tensor.ts';
import type { Batch } from '../backend.ts';
import { Random, randomMatrix, randomVector } from '../random-matrix.testing.ts';
import { plainBatch, testCacheSpec } from '../scenario.testing.ts';
import { addonPath, testBackend, testVariants } from './addon.testing.ts';
import { type Addon, chooseVariant, findAddon } from './addon.ts';
import type { CpuBackend } from './cpu.ts';

const { addon, path, problems } = findAddon(addonPath);
const folder = mkdtempSync(join(tmpdir(), 'gptoss-addon-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function codeOf(fn: () => unknown): string {
  try {
    fn();
  } catch (error) {
    return isGptOssError(error) ? error.code : String((error as { code?: unknown }).code ?? error);
  }
  return 'nothing thrown';
}

/** A step that takes some milliseconds. */
function heavy(backend: CpuBackend) {
  const random = new Random(1);
  const [x, y] = [backend.buffer({ name: 'x', width: 512 }), backend.buffer({ name: 'y', width: 512 })];
  const w = backend.matrix(randomMatrix(random, { dtype: 'f32', rows: 512, cols: 512 }));
  const program = backend.record((ops) => {
    for (let i = 0; i < 40; i++) ops.linear(i % 2 === 0 ? y : x, i % 2 === 0 ? x : y, w, null);
  });
  backend.write(x, 0, random.floats(128 * 512));
  return { program, batch: plainBatch(128), x };
}

describe.skipIf(addon === null)(`native addon${addon === null ? ` (skipped: ${problems.join('; ')})` : ''}`, () => {
  const native = addon as Addon;

  it('survives any arguments to any function', () => {
    const session = native.open('scalar', 2, 16, true);
    const closed = native.open('scalar', 1, 16, true);
    native.close(closed);
    const odd: unknown[] = [
      ...[
        undefined,
        null,
        -1,
        0,
        1,
        2 ** 31,
        2 ** 53,
        1e300,
        Number.NaN,
        'file',
        '',
        {},
        [],
        true,
        () => 1,
        Symbol('s'),
      ],
      ...[new Float32Array(3), new Int32Array(13), new Float64Array(13).fill(1e15), new Uint8Array(0)],
      ...[Int32Array.of(4, 1, 2, 3), session, closed, new ArrayBuffer(8), 10n],
    ];
    const random = new Random(7);
    for (const [name, value] of Object.entries(native)) {
      if (typeof value !== 'function' || name === 'close' || name === 'open') continue;
      for (let i = 0; i < 300; i++) {
        const rest = Array.from({ length: random.integer(8) }, () => odd[random.integer(odd.length)]);
        const args = random.integer(3) === 0 ? rest : [session, ...rest];
        try {
          const result: unknown = (value as (...a: unknown[]) => unknown)(...args);
          if (result instanceof Promise) result.catch(() => {});
        } catch (error) {
          expect((error as Error).message, name).toBeTruthy();
        }
      }
    }
    native.close(session);
  });

  it('refuses op tables and batches made of noise', async () => {
    const backend = testBackend({ precision: 'exact', maxRows: 16, threads: 2 });
    const session = native.open('scalar', 2, 16, true);
    const random = new Random(3);
    for (const width of [4, 8, 16]) native.buffer(session, width, width === 16, false, 16);
    native.vector(session, new Float32Array(8));
    native.cache(session, Int32Array.of(0, 1, 4, 8, 4, 4, 0, 1));
    for (let i = 0; i < 2000; i++) {
      const code = Int32Array.from({ length: 1 + random.integer(14) }, () => random.integer(11) - 1);
      try {
        native.program(session, code);
      } catch (error) {
        expect((error as { code: string }).code).toBe('internal');
      }
    }
    const x = native.buffer(session, 8, false, false, 16);
    const y = native.buffer(session, 8, false, true, 16);
    const program = native.program(session, Int32Array.of(8, y, x, 9));
    for (let i = 0; i < 2000; i++) {
      const batch = Int32Array.from({ length: random.integer(24) }, () => random.integer(6) - 1);
      try {
        await native.run(session, program, 0, 1, batch, i);
      } catch (error) {
        expect((error as { code: string }).code).toBe('invalid-request');
      }
    }
    native.close(session);
    await backend.close();
  });

  it('closes twice, and answers with an error afterwards', async () => {
    const backend = testBackend({ threads: 2, maxRows: 128 });
    const { program, batch, x } = heavy(backend);
    const cache = backend.cache(testCacheSpec({ layers: [{ sliding: false }] }));
    cache.close();
    cache.close();
    expect(codeOf(() => cache.copyPage('full', 0, 1))).toBe('internal');
    await backend.close();
    await backend.close();
    await expect(backend.run(program, batch)).rejects.toMatchObject({ code: 'internal' });
    expect(codeOf(() => backend.read(x, 0, 1))).toBe('internal');
    expect(codeOf(() => backend.buffer({ name: 'z', width: 4 }))).toBe('internal');
  });

  it('refuses a step over a cache that was closed', async () => {
    const backend = testBackend({ threads: 1, maxRows: 4 });
    const cache = backend.cache(testCacheSpec({ layers: [{ sliding: false }] }));
    const [q, y] = [backend.buffer({ name: 'q', width: 64 }), backend.buffer({ name: 'y', width: 64 })];
    const sinks = backend.vector(randomVector(new Random(1), [2]));
    const program = backend.record((ops) => ops.attention(y, q, cache, 0, sinks, null));
    cache.close();
    const pages = Int32Array.of(0);
    const batch = plainBatch(1, {
      sequences: [{ firstRow: 0, rowCount: 1, position: 0, fullPages: pages, slidingPages: pages }],
    });
    await expect(backend.run(program, batch)).rejects.toMatchObject({ code: 'internal' });
    await backend.close();
  });

  it('ends a running step when the signal fires or the backend closes', async () => {
    const backend = testBackend({ threads: 2, maxRows: 128, precision: 'exact' });
    const { program, batch } = heavy(backend);
    const controller = new AbortController();
    const run = backend.run(program, batch, { signal: controller.signal });
    controller.abort();
    await expect(run).rejects.toMatchObject({ code: 'aborted' });
    await backend.run(program, batch);
    const queued = [backend.run(program, batch), backend.run(program, batch)];
    const ended = Promise.allSettled(queued);
    await backend.close();
    for (const { status } of await ended) expect(status).toBe('rejected');
  });

  it('leaves the event loop free while it computes', async () => {
    const backend = testBackend({ threads: 2, maxRows: 128, precision: 'exact' });
    const { program, batch } = heavy(backend);
    let turns = 0;
    let running = true;
    const count = (): void => {
      turns++;
      if (running) setImmediate(count);
    };
    setImmediate(count);
    await backend.run(program, batch);
    running = false;
    expect(turns).toBeGreaterThan(1);
    await backend.close();
  });

  it('maps files in place and refuses matrices that reach outside them', async () => {
    const file = join(folder, 'weights.bin');
    const values = Float32Array.from({ length: 64 }, (_, i) => i);
    writeFileSync(file, new Uint8Array(values.buffer));
    const source = openFile(file);
    const backend = testBackend({ threads: 1, maxRows: 4, precision: 'exact' });
    const matrix: Matrix = {
      ...{ name: 'w', dtype: 'f32', experts: 1, rows: 4, cols: 8, source, offset: 128 },
      ...{ rowStride: 32, expertStride: 128, scales: null, colStride: null },
    };
    const table = backend.matrix(matrix);
    expect(backend.mappedBytes).toBe(256);
    let progress = 0;
    await backend.populate({ progress: (done) => (progress = done) });
    expect(progress).toBe(256);
    expect(native.dropCached(file)).toBe(process.platform === 'linux');
    expect(native.dropCached(join(folder, 'not-there'))).toBe(false);
    const y = backend.buffer({ name: 'y', width: 8 });
    const program = backend.record((ops) => ops.embed(y, table));
    await backend.run(program, plainBatch(1, { tokens: Int32Array.of(2) }));
    expect(Array.from(backend.read(y, 0, 1))).toEqual([48, 49, 50, 51, 52, 53, 54, 55]);
    const wrong: Partial<Matrix>[] = [
      ...[{ offset: 132 }, { offset: -4 }, { rows: 5 }, { cols: 16 }, { rowStride: 40 }, { rowStride: -32 }],
      ...[{ experts: 2 }, { experts: 2 ** 31 - 1, expertStride: 2 ** 52 }, { rowStride: 2 ** 53 - 1 }, { rows: 0 }],
      ...[{ dtype: 'q8_0' as const, cols: 33 }, { dtype: 'mxfp4' as const, cols: 256 }, { colStride: 128 }],
    ];
    for (const change of wrong) {
      expect(
        codeOf(() => backend.matrix({ ...matrix, ...change })),
        JSON.stringify(change),
      ).toBe('bad-checkpoint');
    }
    expect(codeOf(() => backend.matrix({ ...matrix, source: { ...source, size: 300 } }))).toBe('bad-checkpoint');
    const missing = { ...source, path: join(folder, 'absent.bin') };
    expect(codeOf(() => backend.matrix({ ...matrix, source: missing }))).toBe('not-found');
    await backend.close();
    source.close();
  });

  it('names what the machine can run when asked for something else', () => {
    const machine = { features: [], isas: ['avx512-vnni', 'avx512', 'avx2', 'scalar'], physicalCores: 2 };
    expect(chooseVariant(machine, undefined, undefined)).toBe('avx512-vnni');
    expect(chooseVariant(machine, 'avx512', undefined)).toBe('avx512-vnni');
    expect(chooseVariant(machine, 'avx512', 'avx512')).toBe('avx512');
    expect(chooseVariant(machine, 'avx512-plain', undefined)).toBe('avx512');
    expect(chooseVariant(machine, 'avx512-vnni', undefined)).toBe('avx512-vnni');
    expect(chooseVariant(machine, 'scalar', undefined)).toBe('scalar');
    for (const wrong of ['neon', 'AVX2', 'avx', 'avx2-vnni', 'avx2-plain-plain', '-plain'])
      expect(
        codeOf(() => chooseVariant(machine, wrong, undefined)),
        wrong,
      ).toBe('unsupported-device');
    expect(() => chooseVariant(machine, 'neon', undefined)).toThrow(/avx512-vnni, avx512, avx2, scalar/);
    expect(codeOf(() => testBackend({ isa: 'riscv' }))).toBe('unsupported-device');
    expect(codeOf(() => testBackend({ threads: 0 }))).toBe('invalid-request');
    expect(codeOf(() => testBackend({ addonPath: join(folder, 'none.node') }))).toBe('unsupported-device');
    expect(testVariants()).toContain('scalar');
  });

  it('measures the machine', async () => {
    const backend = testBackend({ threads: 2 });
    expect(await backend.probe('f32')).toBeGreaterThan(0);
    expect(await backend.probe('barrier')).toBeGreaterThan(0);
    await backend.close();
  });

  it('survives the end of a worker thread in the middle of a step', async () => {
    const code = `
      const { workerData, parentPort } = require('node:worker_threads');
      const addon = require(workerData);
      const s = addon.open('scalar', 2, 64, true);
      const x = addon.buffer(s, 4096, false, false, 64), y = addon.buffer(s, 4096, false, false, 64);
      const g = addon.vector(s, new Float32Array(4096));
      const op = [1, y, x, g, 0];
      const p = addon.program(s, Int32Array.from([...Array(4000).fill(op).flat(), 9]));
      const batch = Int32Array.from([64, 0, 1, 0, ...Array(64).fill(0), 0, 64, 0, 0, 0, 0]);
      addon.run(s, p, 0, 1, batch, 1).then(() => parentPort.postMessage('done'));
      parentPort.postMessage('running');
    `;
    const worker = new Worker(code, { eval: true, workerData: path });
    const first = await new Promise((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
    expect(first).toBe('running');
    expect(await worker.terminate()).toBeTypeOf('number');
  });

  for (const variant of addon === null ? [] : testVariants()) {
    it(`long contexts give the same bits for any number of threads: ${variant}`, async () => {
      const expected = await longContext(variant, 1);
      expect(expected.every(Number.isFinite)).toBe(true);
      for (const threads of [2, 5]) {
        const actual = await longContext(variant, threads);
        expect(actual.findIndex((value, i) => !Object.is(value, expected[i]))).toBe(-1);
      }
    });
  }
});

/** Attention at positions beyond one span of keys (1,024), decoded one by one and four at once. */
async function longContext(variant: string, threads: number): Promise<Float32Array> {
  const [heads, headDim, rows, length] = [6, 32, 512, 1300];
  const backend = testBackend({ precision: 'exact', threads, variant, maxRows: rows });
  const random = new Random(5);
  const pages = Math.ceil(length / 64) + 1;
  const layers = [{ sliding: false }, { sliding: true }];
  const cache = backend.cache(
    testCacheSpec({ layers, kvHeads: 2, headDim, pageTokens: 64, fullPages: pages, slidingPages: pages }),
  );
  const wide = (name: string) => backend.buffer({ name, width: heads * headDim });
  const narrow = (name: string) => backend.buffer({ name, width: 2 * headDim });
  const [q, y, z, k, v] = [wide('q'), wide('y'), wide('z'), narrow('k'), narrow('v')];
  const sinks = backend.vector(randomVector(random, [heads]));
  const rope = { inverse: Float32Array.from({ length: headDim / 2 }, (_, i) => 0.5 ** i), scale: 1 };
  const program = backend.record((ops) => {
    ops.ropeCache(q, k, v, rope, cache, 0);
    ops.ropeCache(q, k, v, rope, cache, 1);
    ops.attention(y, q, cache, 0, sinks, null);
    ops.attention(z, q, cache, 1, sinks, 1100);
  });
  const table = Int32Array.from(new Random(9).permutation(pages));
  const results: number[] = [];
  let position = 0;
  for (const count of [512, 512, 60, 1, 1, 4, 1, 100]) {
    const batch: Batch = plainBatch(count, {
      sequences: [{ firstRow: 0, rowCount: count, position, fullPages: table, slidingPages: table }],
    });
    backend.write(q, 0, random.floats(count * heads * headDim));
    backend.write(k, 0, random.floats(count * 2 * headDim));
    backend.write(v, 0, random.floats(count * 2 * headDim));
    await backend.run(program, batch);
    for (const buffer of [y, z]) results.push(...backend.read(buffer, Math.max(0, count - 8), Math.min(8, count)));
    position += count;
  }
  await backend.close();
  return Float32Array.from(results);
}
