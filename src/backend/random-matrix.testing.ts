// Random weights for tests, stored as checkpoints store them: every element type, and the ways matrices share a tensor
// (fused q/k/v, interleaved gate and up, transposed experts). Seeded, in memory, values of about the asked standard
// deviation. Only tests import this. Next: backend.case.ts.

import { memorySource } from '../formats/bytes.ts';
import { floatToBfloat, floatToHalf } from '../formats/decode.ts';
import { dtypeFacts, rowBytes } from '../formats/dtypes.ts';
import type { DType, Matrix, Vector } from '../formats/tensor.ts';

/** Seeded random numbers (mulberry32): the same tests on every machine. */
export class Random {
  #state: number;
  constructor(seed: number) {
    this.#state = seed >>> 0;
  }
  /** Uniform in [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }
  integer(below: number): number {
    return Math.floor(this.next() * below);
  }
  /** Bell-shaped, deviation 1 (four uniforms: cheap, and far enough out for tests). */
  gaussian(): number {
    return (this.next() + this.next() + this.next() + this.next() - 2) * Math.sqrt(3);
  }
  floats(count: number, deviation = 1): Float32Array {
    const values = new Float32Array(count);
    for (let i = 0; i < count; i++) values[i] = this.gaussian() * deviation;
    return values;
  }
  /** 0 … count-1 in random order. */
  permutation(count: number): number[] {
    const order = Array.from({ length: count }, (_, i) => i);
    for (let i = count - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      [order[i], order[j]] = [order[j], order[i]];
    }
    return order;
  }
}

export const ALL_DTYPES = Object.keys(dtypeFacts) as DType[];
/** Types whose rows may have any length and may be stored transposed. */
export const PLAIN_DTYPES: readonly DType[] = ['f32', 'f16', 'bf16'];

export interface StoreOptions {
  readonly dtype: DType;
  readonly experts?: number;
  readonly rows: number; // of the whole tensor
  readonly cols: number;
  /** Values stored [cols, rows] per expert, as dequantised Hugging Face experts are. */
  readonly transposed?: boolean;
  readonly deviation?: number; // default 1/√cols, so that products keep their size
}

/** One tensor's bytes, out of which `matrix` cuts views. */
export interface Store {
  /** Rows first, first + step, … (`rows` of them) of every expert. */
  matrix(first?: number, step?: number, rows?: number): Matrix;
}

export function randomStore(random: Random, options: StoreOptions): Store {
  const { dtype, rows, cols, experts = 1, transposed = false } = options;
  const deviation = options.deviation ?? 1 / Math.sqrt(cols);
  const lead = 13; // views must not rely on alignment
  const width = transposed ? dtypeFacts[dtype].groupBytes : rowBytes(dtype, cols);
  const rowCount = experts * rows;
  const bytes = new Uint8Array(lead + rowCount * rowBytes(dtype, cols));
  fillValues(random, dtype, bytes.subarray(lead), deviation);
  const source = memorySource(`random ${dtype}`, bytes);
  let scales: Matrix['scales'] = null;
  if (dtype === 'mxfp4-split') {
    const perRow = cols / 32;
    const scaleBytes = Uint8Array.from({ length: lead + rowCount * perRow }, () => randomScale(random, deviation));
    const scaleSource = memorySource('random scales', scaleBytes);
    scales = { source: scaleSource, offset: lead, rowStride: perRow, expertStride: rows * perRow };
  }
  return {
    matrix(first = 0, step = 1, count = rows) {
      return {
        name: `random.${dtype}[${experts},${count},${cols}]`,
        dtype,
        experts,
        rows: count,
        cols,
        source,
        offset: lead + first * width,
        rowStride: step * width,
        expertStride: rows * rowBytes(dtype, cols),
        scales: scales && {
          ...scales,
          offset: scales.offset + first * scales.rowStride,
          rowStride: step * scales.rowStride,
        },
        colStride: transposed ? rows * width : null,
      };
    },
  };
}

export function randomMatrix(random: Random, options: StoreOptions): Matrix {
  return randomStore(random, options).matrix();
}

export function randomVector(random: Random, shape: readonly number[], deviation = 1, mean = 0): Vector {
  const count = shape.reduce((a, b) => a * b, 1);
  return vectorOf(
    'random.vector',
    shape,
    random.floats(count, deviation).map((x) => x + mean),
  );
}

export function vectorOf(name: string, shape: readonly number[], values: Float32Array): Vector {
  return { name, shape, load: () => values.slice() };
}

/** A row-contiguous float32 matrix of given values, [experts, rows, cols]. */
export function matrixOf(name: string, values: Float32Array, rows: number, cols: number, experts = 1): Matrix {
  return {
    name,
    dtype: 'f32',
    experts,
    rows,
    cols,
    source: memorySource(name, new Uint8Array(values.buffer, values.byteOffset, values.byteLength)),
    offset: 0,
    rowStride: cols * 4,
    expertStride: rows * cols * 4,
    scales: null,
    colStride: null,
  };
}

/** E8M0 byte near the deviation; now and then 0 or 1, whose scales are subnormal float32. */
function randomScale(random: Random, deviation: number): number {
  if (random.next() < 0.02) return random.integer(2);
  return 127 + Math.round(Math.log2(deviation / 2.9)) + random.integer(3) - 1; // 2.9: deviation of the sixteen FP4 values
}

/** For the other quantised types every bit pattern is a value; only float16 scale fields must be finite and sane. */
const scaleFields: Partial<Record<DType, readonly (readonly [byte: number, perDeviation: number])[]>> = {
  q8_0: [[0, 1 / 73]],
  q4_0: [[0, 1 / 4.6]],
  q4_1: [
    [0, 1 / 4.6],
    [2, -7.5 / 4.6],
  ],
  q5_0: [[0, 1 / 9.2]],
  q5_1: [
    [0, 1 / 9.2],
    [2, -15.5 / 9.2],
  ],
  q2_k: [
    [80, 1 / 12],
    [82, 1.5 / 12],
  ],
  q3_k: [[108, 1 / 42]],
  q4_k: [
    [0, 1 / 200],
    [2, 7.5 / 200],
  ],
  q5_k: [
    [0, 1 / 400],
    [2, 15.5 / 400],
  ],
  q6_k: [[208, 1 / 1300]],
  iq4_nl: [[0, 1 / 70]],
};

function fillValues(random: Random, dtype: DType, bytes: Uint8Array, deviation: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (dtype === 'f32') {
    for (let i = 0; i < bytes.length; i += 4) view.setFloat32(i, random.gaussian() * deviation, true);
    return;
  }
  if (dtype === 'f16' || dtype === 'bf16') {
    const encode = dtype === 'f16' ? floatToHalf : floatToBfloat;
    for (let i = 0; i < bytes.length; i += 2) view.setUint16(i, encode(random.gaussian() * deviation), true);
    return;
  }
  for (let i = 0; i < bytes.length; i++) bytes[i] = random.integer(256);
  const { groupBytes } = dtypeFacts[dtype];
  for (let group = 0; group < bytes.length; group += groupBytes) {
    if (dtype === 'mxfp4' || dtype === 'mxfp4-pairs') bytes[group] = randomScale(random, deviation);
    const vary = 0.5 + random.next();
    for (const [byte, perDeviation] of scaleFields[dtype] ?? []) {
      view.setUint16(group + byte, floatToHalf(perDeviation * deviation * vary), true);
    }
  }
}
