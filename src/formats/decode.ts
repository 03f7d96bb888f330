// Decodes stored weights to float32, exactly as the formats define them: runs of bytes, rows of a Matrix, whole
// experts. This is the oracle for every kernel that reads weights in place; it is not meant to be fast enough to run a
// large model. Refuses nothing that the types allow: shapes were checked when the checkpoint was opened.
// Next: mxfp4.ts and quants.ts for the formats themselves.

import { dtypeFacts, rowBytes } from './dtypes.ts';
import { unpackGroup } from './mxfp4.ts';
import { groupDecoders } from './quants.ts';
import type { DType, Matrix } from './tensor.ts';

const bits = new DataView(new ArrayBuffer(8));

/** IEEE half to number; every half is a float32. */
export function halfToFloat(h: number): number {
  const exponent = (h >> 10) & 31;
  const fraction = h & 1023;
  const magnitude =
    exponent === 0
      ? fraction * 2 ** -24
      : exponent === 31
        ? fraction === 0
          ? Infinity
          : NaN
        : (1024 + fraction) * 2 ** (exponent - 25);
  return h & 0x8000 ? -magnitude : magnitude;
}

let halves: Float32Array | null = null;

/** All 65,536 halves by bit pattern. */
export function halfTable(): Float32Array {
  if (halves === null) halves = Float32Array.from({ length: 65536 }, (_, h) => halfToFloat(h));
  return halves;
}

/** Rounds to the nearest half, ties to even; overflow gives infinity. */
export function floatToHalf(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const a = Math.abs(value);
  if (Number.isNaN(a)) return 0x7e00;
  if (a >= 65520) return sign | 0x7c00;
  if (a < 2 ** -14) return sign | roundTiesToEven(a * 2 ** 24);
  bits.setFloat64(0, a);
  const exponent = (bits.getUint16(0) >> 4) - 1023;
  // A fraction that rounds up to 1024 carries into the exponent, which is the right answer.
  return sign | (((exponent + 15) << 10) + roundTiesToEven((a * 2 ** -exponent - 1) * 1024));
}

/** Rounds a float32 to bfloat16, ties to even. */
export function floatToBfloat(value: number): number {
  bits.setFloat32(0, value);
  const u = bits.getUint32(0);
  if (Number.isNaN(value)) return (u >>> 16) | 0x40;
  return ((u + 0x7fff + ((u >>> 16) & 1)) >>> 16) & 0xffff;
}

function roundTiesToEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}

/**
 * Decodes `count` values starting at byte `at` of `bytes`. `count` is a whole number of groups. `scales` holds the
 * scale bytes of an `mxfp4-split` run, one for each group.
 */
export function decodeRun(
  dtype: DType,
  bytes: Uint8Array,
  at: number,
  count: number,
  out: Float32Array,
  outAt = 0,
  scales: Uint8Array | null = null,
): void {
  switch (dtype) {
    case 'f32': {
      if ((bytes.byteOffset + at) % 4 === 0 && littleEndian) {
        out.set(new Float32Array(bytes.buffer, bytes.byteOffset + at, count), outAt);
        return;
      }
      const view = new DataView(bytes.buffer, bytes.byteOffset + at, count * 4);
      for (let i = 0; i < count; i++) out[outAt + i] = view.getFloat32(4 * i, true);
      return;
    }
    case 'bf16': {
      const asBits = new Uint32Array(out.buffer, out.byteOffset + outAt * 4, count);
      for (let i = 0; i < count; i++) asBits[i] = ((bytes[at + 2 * i] | (bytes[at + 2 * i + 1] << 8)) << 16) >>> 0;
      return;
    }
    case 'f16': {
      const table = halfTable();
      for (let i = 0; i < count; i++) out[outAt + i] = table[bytes[at + 2 * i] | (bytes[at + 2 * i + 1] << 8)];
      return;
    }
    case 'mxfp4':
    case 'mxfp4-pairs': {
      const order = dtype === 'mxfp4' ? 'halves' : 'pairs';
      for (let g = 0; g * 32 < count; g++)
        unpackGroup(bytes, at + g * 17 + 1, bytes[at + g * 17], order, out, outAt + g * 32);
      return;
    }
    case 'mxfp4-split': {
      for (let g = 0; g * 32 < count; g++) unpackGroup(bytes, at + g * 16, scales![g], 'pairs', out, outAt + g * 32);
      return;
    }
    default: {
      const { groupValues, groupBytes } = dtypeFacts[dtype];
      const decodeGroup = groupDecoders[dtype];
      const table = halfTable();
      for (let g = 0; g * groupValues < count; g++)
        decodeGroup(bytes, at + g * groupBytes, out, outAt + g * groupValues, table);
    }
  }
}

const littleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** Decodes `rowCount` rows of one expert, row-major [rowCount, cols]. */
export function decodeRows(
  matrix: Matrix,
  expert: number,
  firstRow: number,
  rowCount: number,
  out: Float32Array = new Float32Array(rowCount * matrix.cols),
  outAt = 0,
): Float32Array {
  if (rowCount === 0) return out;
  if (matrix.colStride !== null) return decodeTransposed(matrix, expert, firstRow, rowCount, out, outAt);
  const { source, cols, dtype, rowStride, scales } = matrix;
  const width = rowBytes(dtype, cols);
  const start = matrix.offset + expert * matrix.expertStride;
  // Rows lie at a fixed stride; a chunk of them (with what is between) is read at once, at most about 4 MiB.
  const chunk = Math.max(1, Math.floor((4 << 20) / Math.max(rowStride, 1)));
  for (let r = 0; r < rowCount; r += chunk) {
    const n = Math.min(chunk, rowCount - r);
    const first = firstRow + r;
    const bytes = source.read(start + first * rowStride, (n - 1) * rowStride + width);
    let scaleBytes: Uint8Array | null = null;
    const scaleWidth = cols / 32;
    if (scales !== null) {
      const at = scales.offset + expert * scales.expertStride + first * scales.rowStride;
      scaleBytes = scales.source.read(at, (n - 1) * scales.rowStride + scaleWidth);
    }
    for (let i = 0; i < n; i++) {
      const rowScales =
        scales === null ? null : scaleBytes!.subarray(i * scales.rowStride, i * scales.rowStride + scaleWidth);
      decodeRun(dtype, bytes, i * rowStride, cols, out, outAt + (r + i) * cols, rowScales);
    }
  }
  return out;
}

/** Experts stored [in, out]: one read for each column c, then every value goes to its row. */
function decodeTransposed(
  matrix: Matrix,
  expert: number,
  firstRow: number,
  rowCount: number,
  out: Float32Array,
  outAt: number,
): Float32Array {
  const { source, cols, dtype, rowStride } = matrix;
  const size = dtypeFacts[dtype].groupBytes;
  const stored = (rowCount - 1) * rowStride + size;
  const every = rowStride / size; // 1, or 2 for interleaved gate and up
  const line = new Float32Array(stored / size);
  for (let c = 0; c < cols; c++) {
    const at = matrix.offset + expert * matrix.expertStride + c * matrix.colStride! + firstRow * rowStride;
    decodeRun(dtype, source.read(at, stored), 0, line.length, line);
    for (let r = 0; r < rowCount; r++) out[outAt + r * cols + c] = line[r * every];
  }
  return out;
}

/** One expert of a matrix (or the whole of a dense one), row-major [rows, cols]. */
export function decodeMatrix(matrix: Matrix, expert = 0): Float32Array {
  return decodeRows(matrix, expert, 0, matrix.rows);
}
