// What is particular to the reference: bounded memory for decoded weights, the roundings of `fast`, foreign objects.
import { describe, expect, it } from 'vitest';
import { isGptOssError } from '../../errors.ts';
import { Random, randomMatrix } from '../random-matrix.testing.ts';
import { plainBatch } from '../scenario.testing.ts';
import { quantiseActivations, roundToF16, roundToInt8 } from './quantise.ts';
import { ReferenceBackend } from './reference.ts';

describe('reference storage', () => {
  it('gives the same results when decoded weights do not fit', async () => {
    const results: Float32Array[] = [];
    for (const decodedBytes of [1 << 30, 1 << 20, 0]) {
      const backend = new ReferenceBackend({ maxRows: 4, decodedBytes });
      const random = new Random(3);
      const weights = [600, 700, 800].map((rows) =>
        backend.matrix(randomMatrix(random, { dtype: 'q8_0', rows, cols: 1024 })),
      );
      const x = backend.buffer({ name: 'x', width: 1024 });
      const ys = weights.map((w) => backend.buffer({ name: 'y', width: w.rows }));
      const program = backend.record((ops) => {
        for (const [i, w] of weights.entries()) ops.linear(ys[i], x, w, null);
      });
      backend.write(x, 0, random.floats(4 * 1024));
      for (let step = 0; step < 2; step++) await backend.run(program, plainBatch(4));
      results.push(Float32Array.from(ys.flatMap((y) => Array.from(backend.read(y, 0, 4)))));
      await backend.close();
    }
    expect(results[1]).toEqual(results[0]);
    expect(results[2]).toEqual(results[0]);
  });

  it('refuses buffers and weights of another backend', () => {
    const [a, b] = [new ReferenceBackend(), new ReferenceBackend()];
    const alien = { name: 'alien', width: 8, type: 'f32', rows: 'step' } as const;
    const mine = a.buffer({ name: 'mine', width: 8, rows: 'scored' });
    expect(() => a.record((ops) => ops.gatherRows(mine, alien))).toThrow(/another backend/);
    expect(() => b.read(mine, 511, 2)).toThrow(/511 to 513/);
  });

  it('refuses to run a program again while its last step waits', async () => {
    const backend = new ReferenceBackend({ maxRows: 1 });
    const x = backend.buffer({ name: 'x', width: 1 });
    const y = backend.buffer({ name: 'y', width: 1, rows: 'scored' });
    const program = backend.record((ops) => {
      ops.gatherRows(y, x);
      ops.segment();
      ops.gatherRows(y, x);
    });
    const pause = () => backend.run(program, plainBatch(1));
    await expect(backend.run(program, plainBatch(1), { pause })).rejects.toThrow(/queue the steps/);
    await backend.run(program, plainBatch(1));
  });

  it('asks for whole groups in the 8-bit cache', () => {
    const spec = { kvHeads: 1, headDim: 16, pageTokens: 4, fullPages: 1, slidingPages: 1, type: 'q8' } as const;
    try {
      new ReferenceBackend().cache({ ...spec, layers: [{ sliding: false }] });
      expect.unreachable();
    } catch (error) {
      expect(isGptOssError(error, 'invalid-request')).toBe(true);
    }
  });
});

describe('roundings of fast', () => {
  it('rounds to bf16, ties to even, against 16-bit weights', () => {
    const x = Float32Array.of(1, 1 + 2 ** -8, 1 + 3 * 2 ** -8, 1 + 2 ** -8 + 2 ** -20, -5.03);
    const out = new Float32Array(5);
    quantiseActivations('bf16', x, out, 5, 1);
    expect(Array.from(out)).toEqual([1, 1, 1 + 2 ** -6, 1 + 2 ** -7, -5.03125]);
  });

  it('rounds to 255 steps per group of 32 against quantised weights', () => {
    const x = new Random(1).floats(70);
    const out = new Float32Array(70);
    quantiseActivations('mxfp4', x, out, 35, 2);
    for (const [from, to] of [
      [0, 32],
      [32, 35],
      [35, 67],
      [67, 70],
    ]) {
      const group = x.subarray(from, to);
      const scale = Math.fround(group.reduce((a, b) => Math.max(a, Math.abs(b)), 0) / 127);
      for (let i = from; i < to; i++) {
        expect(Math.abs(out[i] - x[i])).toBeLessThanOrEqual(scale * 0.5000001);
        expect(Math.abs(out[i] / scale - Math.round(out[i] / scale))).toBeLessThan(1e-5);
      }
    }
    roundToInt8(new Float32Array(32), out, 0, 0, 32, Math.fround);
    expect(out.subarray(0, 32).every((value) => value === 0)).toBe(true);
  });

  it('rounds keys and values to float16 as stored', () => {
    expect(roundToF16(1 + 2 ** -11)).toBe(1);
    expect(roundToF16(1 + 2 ** -10)).toBe(1 + 2 ** -10);
    expect(roundToF16(65519)).toBe(65504);
    expect(roundToF16(2 ** -25)).toBe(0);
  });
});
