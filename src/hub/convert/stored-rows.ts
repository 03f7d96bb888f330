// Rows of a Matrix as bytes of another element type, in pieces of a few MiB. MXFP4 keeps its bits in every spelling (only
// nibbles and scale bytes move); values are decoded only when the type really changes. Next: plans.ts.

import { GptOssError } from '../../errors.ts';
import { decodeRows, floatToBfloat, floatToHalf } from '../../formats/decode.ts';
import { dtypeFacts, rowBytes } from '../../formats/dtypes.ts';
import { halvesToPairs, packGroup, pairsToHalves } from '../../formats/mxfp4.ts';
import type { DType, Matrix } from '../../formats/tensor.ts';

const PIECE_BYTES = 4 << 20;
export const isMxfp4 = (dtype: DType): boolean => dtype.startsWith('mxfp4');

/** All experts, rows in order. `scales` selects the scale bytes of `mxfp4-split`; otherwise the values. */
export function* storedRows(matrix: Matrix, dtype: DType, part: 'values' | 'scales' = 'values'): Generator<Uint8Array> {
  const step = piece(matrix);
  for (let expert = 0; expert < matrix.experts; expert++) {
    for (let row = 0; row < matrix.rows; row += step) {
      const bytes = rowsAs(matrix, expert, row, Math.min(step, matrix.rows - row), dtype);
      yield part === 'values' ? bytes.values : bytes.scales!;
    }
  }
}

/** Two matrices with their rows alternating (gate 0, up 0, gate 1, …), as the fused layouts store them. */
export function* interleavedRows(
  even: Matrix,
  odd: Matrix,
  dtype: DType,
  part: 'values' | 'scales' = 'values',
): Generator<Uint8Array> {
  const step = piece(even);
  for (let expert = 0; expert < even.experts; expert++) {
    for (let row = 0; row < even.rows; row += step) {
      const n = Math.min(step, even.rows - row);
      const [a, b] = [even, odd].map((m) => {
        const { values, scales } = rowsAs(m, expert, row, n, dtype);
        return part === 'values' ? values : scales!;
      });
      const width = a.length / n;
      const both = new Uint8Array(2 * a.length);
      for (let r = 0; r < n; r++) {
        both.set(a.subarray(r * width, (r + 1) * width), 2 * r * width);
        both.set(b.subarray(r * width, (r + 1) * width), (2 * r + 1) * width);
      }
      yield both;
    }
  }
}

function piece(matrix: Matrix): number {
  return Math.max(1, Math.min(matrix.rows, Math.floor(PIECE_BYTES / (matrix.cols * 4))));
}

interface Rows {
  readonly values: Uint8Array;
  readonly scales: Uint8Array | null; // mxfp4-split only
}

function rowsAs(matrix: Matrix, expert: number, first: number, count: number, dtype: DType): Rows {
  if (isMxfp4(matrix.dtype) && isMxfp4(dtype))
    return respelled(rawRows(matrix, expert, first, count), matrix.dtype, dtype);
  if (matrix.dtype === dtype && matrix.colStride === null) return rawRows(matrix, expert, first, count);
  return encodeRows(decodeRows(matrix, expert, first, count), dtype);
}

/** Bytes of rows without what lies between them. */
function rawRows(matrix: Matrix, expert: number, first: number, count: number): Rows {
  const gather = (
    from: { source: Matrix['source']; offset: number; rowStride: number; expertStride: number },
    width: number,
  ): Uint8Array => {
    const start = from.offset + expert * from.expertStride + first * from.rowStride;
    const span = from.source.read(start, (count - 1) * from.rowStride + width);
    if (from.rowStride === width) return span;
    const rows = new Uint8Array(count * width);
    for (let r = 0; r < count; r++) rows.set(span.subarray(r * from.rowStride, r * from.rowStride + width), r * width);
    return rows;
  };
  return {
    values: gather(matrix, rowBytes(matrix.dtype, matrix.cols)),
    scales: matrix.scales === null ? null : gather(matrix.scales, matrix.cols / 32),
  };
}

function respelled(rows: Rows, from: DType, to: DType): Rows {
  if (from === to) return rows;
  const fromSplit = from === 'mxfp4-split';
  const toSplit = to === 'mxfp4-split';
  const groups = fromSplit ? rows.scales!.length : rows.values.length / 17;
  const values = new Uint8Array(groups * (toSplit ? 16 : 17));
  const scales = toSplit ? new Uint8Array(groups) : null;
  const swap = from === 'mxfp4' ? halvesToPairs : to === 'mxfp4' ? pairsToHalves : null;
  for (let g = 0; g < groups; g++) {
    const sourceAt = fromSplit ? g * 16 : g * 17 + 1;
    const at = toSplit ? g * 16 : g * 17 + 1;
    if (swap === null) values.set(rows.values.subarray(sourceAt, sourceAt + 16), at);
    else swap(rows.values, sourceAt, values, at);
    const scale = fromSplit ? rows.scales![g] : rows.values[g * 17];
    if (toSplit) scales![g] = scale;
    else values[g * 17] = scale;
  }
  return { values, scales };
}

/** float32 values as bytes of a type this project writes. `mxfp4…` and `q8_0` round. */
export function encodeRows(values: Float32Array, dtype: DType): Rows {
  switch (dtype) {
    case 'f32':
      return { values: new Uint8Array(values.buffer, values.byteOffset, values.byteLength), scales: null };
    case 'bf16':
      return { values: bytesOf(mapped(values, floatToBfloat)), scales: null };
    case 'f16':
      return { values: bytesOf(mapped(values, floatToHalf)), scales: null };
    case 'q8_0':
      return { values: toQ8(values), scales: null };
    case 'mxfp4':
    case 'mxfp4-split': {
      const groups = values.length / 32;
      const scales = new Uint8Array(groups);
      const data = new Uint8Array(groups * 16);
      for (let g = 0; g < groups; g++) scales[g] = packGroup(values, g * 32, 'pairs', data, g * 16);
      return respelled({ values: data, scales }, 'mxfp4-split', dtype);
    }
    default:
      throw new GptOssError(
        'unsupported-type',
        `${dtypeFacts[dtype].label} cannot be written; expected BF16, F16, F32, Q8_0 or MXFP4; choose one of these`,
      );
  }
}

/** A plain loop: `Uint16Array.from` with a function takes ten times as long over a vocabulary. */
function mapped(values: Float32Array, encode: (value: number) => number): Uint16Array {
  const out = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) out[i] = encode(values[i]);
  return out;
}

function bytesOf(array: Uint16Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

/** ggml's Q8_0: per 32 values a float16 scale amax/127, then 32 rounded int8. */
function toQ8(values: Float32Array): Uint8Array {
  const groups = values.length / 32;
  const bytes = new Uint8Array(groups * 34);
  for (let g = 0; g < groups; g++) {
    let largest = 0;
    for (let i = 0; i < 32; i++) largest = Math.max(largest, Math.abs(values[g * 32 + i]));
    const scale = Math.fround(largest / 127);
    const half = floatToHalf(scale);
    bytes[g * 34] = half & 255;
    bytes[g * 34 + 1] = half >> 8;
    const inverse = scale === 0 ? 0 : Math.fround(1 / scale); // float32 throughout, as ggml computes
    for (let i = 0; i < 32; i++) {
      const x = Math.fround(values[g * 32 + i] * inverse);
      bytes[g * 34 + 2 + i] = x < 0 ? -Math.round(-x) : Math.round(x); // away from zero on ties, as ggml
    }
  }
  return bytes;
}
