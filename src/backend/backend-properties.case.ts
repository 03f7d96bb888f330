// What holds for whole programs on any backend: in `exact` a sequence gives the same bits alone, in company, in chunks
// and over any pages; `fast` repeats itself; bad batches and shapes are refused before anything runs; a paused or
// aborted step leaves the rest intact. Called by describeBackend in backend.case.ts.

import { expect } from 'vitest';
import { isGptOssError } from '../errors.ts';
import type { DType } from '../formats/tensor.ts';
import type { Backend, Batch, KvCache, KvType, Precision, Program } from './backend.ts';
import { Random, randomMatrix, randomStore, randomVector } from './random-matrix.testing.ts';
import { PageTables, testCacheSpec } from './scenario.testing.ts';

type Check = (title: string, fn: (backend: Backend) => Promise<void>) => void;
type Part = readonly [sequence: number, position: number, count: number];

const WINDOW = 20;
const VOCAB = 65;
const LENGTH = 50;

interface Tiny {
  readonly cache: KvCache;
  readonly program: Program;
  /** Runs one step of the given parts; logits of every row, [rows, VOCAB]. */
  step(parts: readonly Part[], tables: PageTables, extra?: Partial<Batch>): Promise<Float32Array>;
}

/** A two-layer model in miniature (the real one is model.ts): every op, small shapes, weights by seed. */
function tiny(b: Backend, dense: DType, expert: DType, kv: KvType = 'f32'): Tiny {
  const random = new Random(99);
  const size = dense.endsWith('_k') || expert.endsWith('_k') ? 256 : 64;
  const [hidden, inner, headDim, kvHeads, experts, k] = [size, size, 32, 2, 6, 3];
  const spec = testCacheSpec({
    layers: [{ sliding: true }, { sliding: false }],
    headDim,
    kvHeads,
    pageTokens: 8,
    type: kv,
  });
  const cache = b.cache(spec);
  const step = (name: string, width: number) => b.buffer({ name, width });
  const [x, n, attended] = [step('x', hidden), step('n', hidden), step('attended', size)];
  const [q, key, value] = [step('q', size), step('k', kvHeads * headDim), step('v', kvHeads * headDim)];
  const [logits, gates, h] = [step('router', experts), step('gates', k), step('h', k * inner)];
  const ids = b.buffer({ name: 'ids', width: k, type: 'i32' });
  const last = b.buffer({ name: 'last', width: hidden, rows: 'scored' });
  const out = b.buffer({ name: 'out', width: VOCAB, rows: 'scored' });
  const matrix = (rows: number, cols: number) => b.matrix(randomMatrix(random, { dtype: dense, rows, cols }));
  const vector = (...shape: number[]) => b.vector(randomVector(random, shape, 0.3));
  const gain = () => b.vector(randomVector(random, [hidden], 0.2, 1));
  const embedding = b.matrix(randomMatrix(random, { dtype: dense, rows: VOCAB, cols: hidden, deviation: 1 }));
  const rope = { inverse: Float32Array.from({ length: headDim / 2 }, (_, i) => 0.6 ** i), scale: 1.1 };
  const layers = [0, 1].map(() => {
    const up = randomStore(random, { dtype: expert, experts, rows: 2 * inner, cols: hidden });
    return {
      gains: [gain(), gain()] as const,
      q: [matrix(size, hidden), vector(size)] as const,
      k: [matrix(kvHeads * headDim, hidden), vector(kvHeads * headDim)] as const,
      v: [matrix(kvHeads * headDim, hidden), vector(kvHeads * headDim)] as const,
      o: [matrix(hidden, size), vector(hidden)] as const,
      sinks: vector(size / headDim),
      router: [matrix(experts, hidden), vector(experts)] as const,
      up: {
        gate: b.matrix(up.matrix(0, 2, inner)),
        up: b.matrix(up.matrix(1, 2, inner)),
        gateBias: vector(experts, inner),
        upBias: vector(experts, inner),
      },
      down: b.matrix(randomMatrix(random, { dtype: expert, experts, rows: hidden, cols: inner })),
      downBias: vector(experts, hidden),
    };
  });
  const head = matrix(VOCAB, hidden);
  const program = b.record((ops) => {
    ops.embed(x, embedding);
    for (const [l, w] of layers.entries()) {
      ops.rmsNorm(n, x, w.gains[0], 1e-5);
      ops.linear(q, n, ...w.q);
      ops.linear(key, n, ...w.k);
      ops.linear(value, n, ...w.v);
      ops.ropeCache(q, key, value, rope, cache, l);
      ops.attention(attended, q, cache, l, w.sinks, spec.layers[l].sliding ? WINDOW : null);
      ops.linear(x, attended, ...w.o, { add: true });
      ops.segment();
      ops.rmsNorm(n, x, w.gains[1], 1e-5);
      ops.linear(logits, n, ...w.router);
      ops.route(ids, gates, logits, l);
      ops.moeUp(h, n, ids, w.up, 1.702, 7);
      ops.moeDown(x, h, ids, gates, w.down, w.downBias);
      ops.segment();
    }
    ops.gatherRows(last, x);
    ops.linear(out, last, head, null);
  });
  return {
    cache,
    program,
    async step(parts, tables, extra) {
      const batch = batchOf(parts, tables);
      await b.run(program, { ...batch, ...extra });
      return b.read(out, 0, batch.scored.length) as Float32Array;
    },
  };
}

/** Token `position` of a sequence is fixed by both numbers. */
function batchOf(parts: readonly Part[], tables: PageTables): Batch {
  const tokens = parts.flatMap(([sequence, position, count]) =>
    Array.from({ length: count }, (_, i) => ((position + i) * 17 + sequence * 29 + 3) % VOCAB),
  );
  return {
    tokens: Int32Array.from(tokens),
    sequences: tables.step(parts, WINDOW),
    scored: Int32Array.from(tokens.keys()),
  };
}

/** Logits of sequence 0 after running a schedule, [LENGTH, VOCAB]. */
async function logitsOf(b: Backend, model: Tiny, schedule: readonly (readonly Part[])[], seed: number) {
  const tables = new PageTables(model.cache.spec, new Random(seed));
  const all = new Float32Array(LENGTH * VOCAB);
  for (const parts of schedule) {
    const logits = await model.step(parts, tables);
    let row = 0;
    for (const [sequence, position, count] of parts) {
      if (sequence === 0) all.set(logits.subarray(row * VOCAB, (row + count) * VOCAB), position * VOCAB);
      row += count;
    }
  }
  expect(b.maxRows).toBeGreaterThanOrEqual(LENGTH);
  return all;
}

function expectSameBits(actual: Float32Array, expected: Float32Array, what: string): void {
  const different = actual.findIndex((value, i) => !Object.is(value, expected[i]));
  expect(different === -1 ? 'same bits' : `first difference at value ${different}`, what).toBe('same bits');
}

const whole: Part[][] = [[[0, 0, LENGTH]]];
const schedules: Record<string, Part[][]> = {
  'token by token': Array.from({ length: LENGTH }, (_, i) => [[0, i, 1]]),
  'in chunks': [[[0, 0, 7]], [[0, 7, 31]], [[0, 38, 1]], [[0, 39, LENGTH - 39]]],
  'in company': [
    [
      [1, 0, 20],
      [0, 0, 23],
    ],
    [
      [0, 23, 25],
      [2, 0, 5],
      [1, 20, 1],
    ],
    [
      [2, 5, 1],
      [1, 21, 1],
      [0, 48, 1],
      [3, 0, 40],
    ],
    [
      [0, 49, 1],
      [3, 40, 1],
    ],
  ],
};

async function expectRefusal(run: Promise<void>, code: string, what: string): Promise<void> {
  const error: unknown = await run.then(
    () => null,
    (e: unknown) => e,
  );
  expect(isGptOssError(error) ? error.code : error, what).toBe(code);
}

export function describeProperties(check: Check, precision: Precision, kvTypes: readonly KvType[]): void {
  if (precision === 'exact') {
    const pairs: [DType, DType][] = [
      ['f32', 'f32'],
      ['bf16', 'mxfp4-split'],
      ['q8_0', 'mxfp4'],
      ['f16', 'mxfp4-pairs'],
      ['q5_1', 'q4_0'],
      ['q6_k', 'iq4_nl'],
    ];
    for (const [dense, expert] of pairs) {
      check(`same bits alone, in company, in chunks and over any pages: ${dense} with ${expert} experts`, async (b) => {
        const model = tiny(b, dense, expert);
        const expected = await logitsOf(b, model, whole, 1);
        expect(expected.every(Number.isFinite)).toBe(true);
        for (const [name, schedule] of Object.entries(schedules)) {
          expectSameBits(await logitsOf(b, model, schedule, 2), expected, name);
        }
      });
    }
  }

  check('the same step twice gives the same bits', async (b) => {
    const model = tiny(b, 'q8_0', 'mxfp4', kvTypes.includes('f16') ? 'f16' : 'f32');
    const first = await logitsOf(b, model, schedules['in company'], 1);
    expectSameBits(await logitsOf(b, model, schedules['in company'], 2), first, 'second time');
  });

  for (const type of kvTypes) {
    check(`copied and restored ${type} pages continue like the originals`, async (b) => {
      const model = tiny(b, 'f32', 'f32', type);
      const tables = new PageTables(model.cache.spec, new Random(3));
      await model.step([[0, 0, 30]], tables);
      const [rows] = tables.step([[0, 30, 5]], WINDOW);
      const batch = batchOf([[0, 30, 5]], tables);
      const expected = await model.step([[0, 30, 5]], tables);
      // The same pages elsewhere: full ones copied, sliding ones saved and restored (the step above only added to them).
      const twin = { ...rows, fullPages: rows.fullPages.slice(), slidingPages: rows.slidingPages.slice() };
      const used = new Set([...rows.fullPages, ...rows.slidingPages]);
      const free = Array.from({ length: 64 }, (_, i) => i).filter((page) => !used.has(page));
      for (const [i, page] of rows.fullPages.entries()) {
        twin.fullPages[i] = free.pop()!;
        model.cache.copyPage('full', page, twin.fullPages[i]);
      }
      for (const [i, page] of rows.slidingPages.entries()) {
        if (page === -1) continue;
        twin.slidingPages[i] = free.pop()!;
        const bytes = model.cache.readPage('sliding', page);
        expect(bytes.length).toBe(model.cache.pageBytes('sliding'));
        model.cache.writePage('sliding', twin.slidingPages[i], bytes);
      }
      const actual = await model.step([[0, 30, 5]], tables, { ...batch, sequences: [twin] });
      expectSameBits(actual, expected, 'continued from copies');
    });
  }

  for (const type of kvTypes) {
    check(
      `rows before fullFrom leave the ${type} pages of full layers as they are, and fill the sliding ones`,
      async (b) => {
        const model = tiny(b, 'f32', 'f32', type);
        const tables = new PageTables(model.cache.spec, new Random(6));
        await model.step([[0, 0, 40]], tables);
        const batch = batchOf([[0, 16, 20]], tables); // positions 16 to 35 in pages of 8
        const [rows] = batch.sequences;
        const bytes = (group: 'full' | 'sliding') =>
          Array.from({ length: 5 }, (_, i) => model.cache.readPage(group, rows[`${group}Pages`][i]).slice());
        const before = { full: bytes('full'), sliding: rows.slidingPages[2] };
        const slidingBefore = model.cache.readPage('sliding', before.sliding).slice();
        // Other tokens, so that whatever is written differs.
        const tokens = batch.tokens.map((id) => (id + 1) % VOCAB);
        await model.step([], tables, { ...batch, tokens, sequences: [{ ...rows, fullFrom: 32 }] });
        const after = bytes('full');
        expect(after.slice(0, 4)).toEqual(before.full.slice(0, 4));
        expect(after[4]).not.toEqual(before.full[4]); // 32 to 35 are written
        expect(model.cache.readPage('sliding', before.sliding)).not.toEqual(slidingBefore);
      },
    );
  }

  check('forced expert ids take the place of the routing', async (b) => {
    const model = tiny(b, 'f32', 'f32');
    const parts: Part[] = [[0, 0, 9]];
    const force = (layers: number[][]) => ({
      expertIds: Int32Array.from(layers.flatMap((ids) => Array.from({ length: 9 }, () => ids).flat())),
    });
    const run = (layers: number[][]) =>
      model.step(parts, new PageTables(model.cache.spec, new Random(1)), force(layers));
    const first = await run([
      [0, 1, 2],
      [3, 4, 5],
    ]);
    expectSameBits(
      await run([
        [0, 1, 2],
        [3, 4, 5],
      ]),
      first,
      'same ids',
    );
    expect(
      await run([
        [0, 1, 2],
        [3, 4, 0],
      ]),
    ).not.toEqual(first);
  });

  check('bad batches are refused before anything runs', async (b) => {
    const model = tiny(b, 'f32', 'f32');
    const tables = new PageTables(model.cache.spec, new Random(4));
    const expected = await model.step([[0, 0, 12]], tables);
    const good = batchOf([[0, 0, 12]], tables);
    const [rows] = good.sequences;
    const table = (group: 'fullPages' | 'slidingPages', page: number): Batch => {
      const pages = rows[group].slice();
      pages[1] = page;
      return { ...good, sequences: [{ ...rows, [group]: pages }] };
    };
    const tokens = (id: number) => ({ ...good, tokens: good.tokens.with(5, id) });
    const bad: Record<string, Batch> = {
      'an id beyond the vocabulary': tokens(VOCAB),
      'a negative id': tokens(-1),
      'no rows': { ...good, tokens: new Int32Array(0), sequences: [], scored: new Int32Array(0) },
      'too many rows': { ...good, tokens: new Int32Array(b.maxRows + 1) },
      'rows left over': { ...good, sequences: [{ ...rows, rowCount: 11 }] },
      'rows out of order': { ...good, sequences: [{ ...rows, firstRow: 1 }] },
      'a negative position': { ...good, sequences: [{ ...rows, position: -1 }] },
      'a table too short': { ...good, sequences: [{ ...rows, fullPages: rows.fullPages.slice(0, 1) }] },
      'a page outside the pool': table('fullPages', 64),
      'a missing full page': table('fullPages', -1),
      'a missing sliding page inside the window': table('slidingPages', -1),
      'a scored row outside the batch': { ...good, scored: Int32Array.of(12) },
      'too few forced experts': { ...good, expertIds: new Int32Array(5) },
      'a forced expert that does not exist': { ...good, expertIds: new Int32Array(2 * 12 * 3).fill(6) },
    };
    for (const [what, batch] of Object.entries(bad)) {
      await expectRefusal(b.run(model.program, batch), 'invalid-request', what);
    }
    await expectRefusal(
      b.run(model.program, {
        ...good,
        sequences: [
          { ...rows, rowCount: 6 },
          { ...rows, firstRow: 6, rowCount: 6 },
        ],
      }),
      'invalid-request',
      'two sequences writing the same pages',
    );
    expectSameBits(await model.step([[0, 0, 12]], tables), expected, 'a good batch afterwards');
  });

  check('a buffer made for few rows limits the steps of its programs', async (b) => {
    const x = b.buffer({ name: 'x', width: 8, maxRows: 3 });
    const y = b.buffer({ name: 'y', width: 8, rows: 'scored', maxRows: 2 });
    const program = b.record((ops) => ops.gatherRows(y, x));
    const batch = batchOf([[0, 0, 3]], new PageTables(testCacheSpec({ layers: [] }), new Random(1)));
    b.write(
      x,
      0,
      Float32Array.from({ length: 24 }, (_, i) => i),
    );
    await expectRefusal(b.run(program, batch), 'invalid-request', 'three scored rows');
    await b.run(program, { ...batch, scored: Int32Array.of(2, 0) });
    expect(Array.from(b.read(y, 0, 2))).toEqual([16, 17, 18, 19, 20, 21, 22, 23, 0, 1, 2, 3, 4, 5, 6, 7]);
    const wide = batchOf([[0, 0, 4]], new PageTables(testCacheSpec({ layers: [] }), new Random(1)));
    await expectRefusal(b.run(program, { ...wide, scored: Int32Array.of(0) }), 'invalid-request', 'four rows');
  });

  check('wrong shapes are refused when recorded, naming op and operand', async (b) => {
    const random = new Random(8);
    const [x, y] = [b.buffer({ name: 'states', width: 32 }), b.buffer({ name: 'result', width: 16 })];
    const scored = b.buffer({ name: 'picked', width: 32, rows: 'scored' });
    const w = b.matrix(randomMatrix(random, { dtype: 'f32', rows: 16, cols: 64 }));
    const short = b.vector(randomVector(random, [31]));
    expect(() => b.record((ops) => ops.linear(y, x, w, null))).toThrow(/linear.*w \(.*32/s);
    expect(() => b.record((ops) => ops.rmsNorm(x, x, short, 1e-5))).toThrow(/rmsNorm.*gain.*31/s);
    expect(() => b.record((ops) => ops.rmsNorm(scored, x, short, 1e-5))).toThrow(/rmsNorm.*picked/s);
    expect(() => b.record((ops) => ops.gatherRows(x, x))).toThrow(/gatherRows.*states/s);
  });

  check('a step can pause between segments while another program runs', async (b) => {
    const [long, short] = [tiny(b, 'q8_0', 'mxfp4'), tiny(b, 'q8_0', 'mxfp4')];
    const expected = await long.step([[0, 0, 40]], new PageTables(long.cache.spec, new Random(1)));
    const expectedShort = await short.step([[1, 0, 3]], new PageTables(short.cache.spec, new Random(1)));
    const tables = new PageTables(long.cache.spec, new Random(2));
    const seen: [number, number][] = [];
    let other: Float32Array = new Float32Array(0);
    // A run of its own with the pause in it; then a plain re-read of the logits through the same step shape.
    await b.run(long.program, batchOf([[0, 0, 40]], tables), {
      pause: async (done, segments) => {
        seen.push([done, segments]);
        if (done === 2) other = await short.step([[1, 0, 3]], new PageTables(short.cache.spec, new Random(5)));
      },
    });
    expect(seen).toEqual([1, 2, 3, 4].map((done) => [done, 5]));
    expect(long.program.segments).toBe(5);
    expectSameBits(other, expectedShort, 'the short program');
    // What the paused step left in the cache continues as if it had not been paused.
    const after = await long.step([[0, 40, 4]], tables);
    const plain = new PageTables(long.cache.spec, new Random(9));
    expectSameBits(await long.step([[0, 0, 40]], plain), expected, 'unpaused again');
    expectSameBits(await long.step([[0, 40, 4]], plain), after, 'continued after the pause');
  });

  check('an aborted step throws and leaves the backend usable', async (b) => {
    const model = tiny(b, 'f32', 'f32');
    const tables = new PageTables(model.cache.spec, new Random(1));
    const expected = await model.step([[0, 0, 9]], tables);
    const batch = batchOf([[0, 0, 9]], tables);
    await expectRefusal(b.run(model.program, batch, { signal: AbortSignal.abort() }), 'aborted', 'before the start');
    const controller = new AbortController();
    const pause = () => controller.abort();
    await expectRefusal(b.run(model.program, batch, { signal: controller.signal, pause }), 'aborted', 'in a pause');
    const thrown = b.run(model.program, batch, {
      pause: () => {
        throw new Error('from the pause');
      },
    });
    await expect(thrown).rejects.toThrow('from the pause');
    expectSameBits(await model.step([[0, 0, 9]], tables), expected, 'afterwards');
  });
}
