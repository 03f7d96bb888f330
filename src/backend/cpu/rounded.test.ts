// `weights: 'q8'`: what the native rounding gives is ggml's Q8_0 of the stored values, for every type that it takes, and
// what it costs in accuracy stays within a bound, for one product and for a whole model.

import { describe, expect, it } from 'vitest';
import { seedModel } from '../../../test/shared.ts';
import { decodeRows, floatToBfloat, floatToHalf } from '../../formats/decode.ts';
import { memoryNeed } from '../../formats/describe.ts';
import type { ByteSource, DType, Matrix } from '../../formats/tensor.ts';
import { encodeRows } from '../../hub/convert/stored-rows.ts';
import { open } from '../../open.node.ts';
import type { Precision } from '../backend.ts';
import { Random } from '../random-matrix.testing.ts';
import { findAddon } from './addon.ts';
import { CpuBackend } from './cpu.ts';

const [rows, cols] = [37, 96];

function source(bytes: Uint8Array): ByteSource {
  const read = (offset: number, length: number) => bytes.slice(offset, offset + length);
  return { name: 'memory', path: null, size: bytes.length, read, close: () => undefined };
}

function matrixOf(values: Float32Array, dtype: 'f32' | 'f16' | 'bf16'): Matrix {
  const words = dtype === 'f32' ? values : Uint16Array.from(values, dtype === 'f16' ? floatToHalf : floatToBfloat);
  const bytes = new Uint8Array(words.buffer.slice(0));
  const rowStride = bytes.length / rows;
  return {
    ...{ name: dtype, dtype, experts: 1, rows, cols, offset: 0, rowStride, expertStride: bytes.length },
    ...{ source: source(bytes), scales: null, colStride: null },
  };
}

/** Every row of the matrix as the backend uses it: its products with unit vectors, exactly. */
async function valuesOf(matrix: Matrix, weights: 'stored' | 'q8', mayRound: boolean): Promise<Float32Array> {
  const backend = new CpuBackend({ precision: 'exact', maxRows: cols, weights, threads: 2 });
  try {
    const w = backend.matrix(matrix, { mayRound });
    const x = backend.buffer({ name: 'x', width: cols });
    const y = backend.buffer({ name: 'y', width: rows });
    const program = backend.record((ops) => ops.linear(y, x, w, null));
    const units = new Float32Array(cols * cols);
    for (let i = 0; i < cols; i++) units[i * cols + i] = 1;
    backend.write(x, 0, units);
    const tokens = new Int32Array(cols);
    const none = new Int32Array(0);
    const sequence = { firstRow: 0, rowCount: cols, position: 0, fullPages: none, slidingPages: none };
    await backend.run(program, { tokens, sequences: [sequence], scored: none });
    const products = backend.read(y, 0, cols) as Float32Array; // [cols, rows]
    return Float32Array.from({ length: rows * cols }, (_, i) => products[(i % cols) * rows + Math.floor(i / cols)]);
  } finally {
    await backend.close();
  }
}

describe.skipIf(findAddon().addon === null)('weights rounded when a model is opened', () => {
  const random = new Random(5);
  const values = Float32Array.from({ length: rows * cols }, (_, i) => {
    const group = Math.floor(i / 32) % 7;
    return group === 0 ? 0 : (random.next() - 0.5) * 10 ** (group - 5); // groups of zeros, of tiny and of large values
  });

  it.each(['f32', 'f16', 'bf16'] as const)('are Q8_0 of the stored %s values, as ggml makes it', async (dtype) => {
    const matrix = matrixOf(values, dtype);
    const stored = decodeRows(matrix, 0, 0, rows);
    const bytes = encodeRows(stored, 'q8_0').values;
    const rowStride = bytes.length / rows;
    const expected = decodeRows(
      { ...matrix, dtype: 'q8_0' as DType, source: source(bytes), rowStride, expertStride: bytes.length },
      ...([0, 0, rows] as const),
    );
    expect(await valuesOf(matrix, 'q8', true)).toEqual(expected);
    // Each within half a step of its group (and the rounding of the scale, which is a half).
    for (let g = 0; g < values.length; g += 32) {
      const most = Math.max(...stored.subarray(g, g + 32).map(Math.abs));
      for (let i = g; i < g + 32; i++)
        expect(Math.abs(expected[i] - stored[i])).toBeLessThanOrEqual(most * 0.0045 + 4e-6);
    }
  });

  it('are left as they are unless that was asked for and the model allows it', async () => {
    const matrix = matrixOf(values, 'bf16');
    const stored = decodeRows(matrix, 0, 0, rows);
    expect(await valuesOf(matrix, 'stored', true)).toEqual(stored);
    expect(await valuesOf(matrix, 'q8', false)).toEqual(stored);
  });

  it('survive values that are no numbers', async () => {
    const odd = values.slice();
    odd.set([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 3e38]);
    for (const dtype of ['f32', 'f16', 'bf16'] as const) {
      const got = await valuesOf(matrixOf(odd, dtype), 'q8', true);
      expect(got.subarray(32, 96)).toEqual((await valuesOf(matrixOf(values, dtype), 'q8', true)).subarray(32, 96));
    }
  });

  it.each(['exact', 'fast'] as const)(
    'change the embedded model little (%s), and its memory as forecast',
    async (precision: Precision) => {
      const said: { logprobs: number[]; best: number[] }[] = [];
      for (const weights of ['stored', 'q8'] as const) {
        const model = await open(seedModel, { backend: 'cpu', precision, weights, context: 512 });
        const tokens = model.tokenizer.encodeWithSpecials(
          '<|start|>user<|message|>What is 412 + 509?<|end|><|start|>assistant<|channel|>final<|message|>412 + 509 = 921.',
        );
        const { logprobs, top } = await model.score(tokens, { topLogprobs: 1 });
        said.push({ logprobs: logprobs.slice(1) as number[], best: top!.slice(1).map((list) => list![0].id) });
        if (weights === 'q8') {
          const { backend } = model.engine.model as unknown as { backend: CpuBackend };
          expect(backend.roundedBytes).toBe(memoryNeed(model.checkpoint, 1, 'f16', 'q8').copies);
          expect(model.description).toContain('8-bit weights');
        }
        await model.close();
      }
      const [a, b] = said;
      const mean = a.logprobs.reduce((sum, x, i) => sum + Math.abs(x - b.logprobs[i]), 0) / a.logprobs.length;
      expect(mean).toBeLessThan(0.05); // nats
      expect(a.best.filter((id, i) => id !== b.best[i]).length).toBeLessThanOrEqual(1);
    },
  );
});
