// For tests: plain encoders for every element type (nearest value, no search for better scales) and rewriting of
// checkpoints into other types, parts and layouts. The product never quantises to these types; decoders are checked
// against golden values in decode.test.ts, and these encoders only against the decoders.

import { memorySink } from './bytes.ts';
import { decodeRows, decodeRun, floatToBfloat, floatToHalf, halfToFloat } from './decode.ts';
import { dtypeFacts } from './dtypes.ts';
import type { GgufFile } from './gguf.ts';
import { copyField, type FieldToWrite, type GgufTensorToWrite, writeGguf } from './gguf-write.ts';
import { packGroup } from './mxfp4.ts';
import type { DType, Matrix, TensorEntry } from './tensor.ts';

type Encoder = (x: Float32Array, at: number, out: DataView, o: number) => void;

const clamp = (v: number, low: number, high: number): number => Math.min(high, Math.max(low, Math.round(v)));
const ratio = (a: number, b: number): number => (b === 0 ? 0 : a / b);

/** The value with the largest magnitude, sign kept. */
function extreme(x: Float32Array, at: number, n: number): number {
  let best = 0;
  for (let i = 0; i < n; i++) if (Math.abs(x[at + i]) > Math.abs(best)) best = x[at + i];
  return best;
}

function range(x: Float32Array, at: number, n: number): { min: number; max: number } {
  let min = Infinity;
  let max = -Infinity;
  for (let i = 0; i < n; i++) {
    min = Math.min(min, x[at + i]);
    max = Math.max(max, x[at + i]);
  }
  return { min, max };
}

const half = (out: DataView, o: number, value: number): number => {
  out.setUint16(o, floatToHalf(value), true);
  return halfToFloat(floatToHalf(value));
};

/** Groups of 32 with one scale and `bits` bits around zero. */
const symmetric =
  (bits: 4 | 5): Encoder =>
  (x, at, out, o) => {
    const zero = 1 << (bits - 1);
    const d = half(out, o, extreme(x, at, 32) / -zero);
    putNibbles(out, bits === 4 ? o + 2 : o + 6, bits === 4 ? null : o + 2, (i) =>
      clamp(ratio(x[at + i], d) + zero, 0, 2 * zero - 1),
    );
  };

/** Groups of 32 with scale and minimum. */
const affine =
  (bits: 4 | 5): Encoder =>
  (x, at, out, o) => {
    const { min, max } = range(x, at, 32);
    const levels = (1 << bits) - 1;
    const d = half(out, o, (max - min) / levels);
    const m = half(out, o + 2, min);
    putNibbles(out, bits === 4 ? o + 4 : o + 8, bits === 4 ? null : o + 4, (i) =>
      clamp(ratio(x[at + i] - m, d), 0, levels),
    );
  };

function putNibbles(out: DataView, data: number, high: number | null, code: (i: number) => number): void {
  let fifth = 0;
  for (let i = 0; i < 16; i++) {
    const a = code(i);
    const b = code(i + 16);
    out.setUint8(data + i, (a & 15) | ((b & 15) << 4));
    fifth |= (a >> 4) << i;
    fifth |= (b >> 4) << (i + 16);
  }
  if (high !== null) out.setInt32(high, fifth, true);
}

const iq4Levels = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/** Scale and minimum of parts of a K group, quantised to `levels` steps each. */
function partScales(
  x: Float32Array,
  at: number,
  parts: number,
  size: number,
  top: number,
  levels: number,
  out: DataView,
  dAt: number,
) {
  const scales: number[] = [];
  const mins: number[] = [];
  for (let p = 0; p < parts; p++) {
    const { min, max } = range(x, at + p * size, size);
    mins.push(Math.max(0, -min));
    scales.push((max + mins[p]) / top);
  }
  const d = half(out, dAt, Math.max(...scales) / levels);
  const dmin = half(out, dAt + 2, Math.max(...mins) / levels);
  const sc = scales.map((s) => clamp(ratio(s, d), 0, levels));
  const mn = mins.map((m) => clamp(ratio(m, dmin), 0, levels));
  const code = (i: number): number => {
    const p = Math.floor(i / size);
    return clamp(ratio(x[at + i] + dmin * mn[p], d * sc[p]), 0, top);
  };
  return { sc, mn, code };
}

function putSixBitPairs(out: DataView, o: number, sc: number[], mn: number[]): void {
  for (let j = 0; j < 4; j++) {
    out.setUint8(o + j, sc[j] | ((sc[j + 4] >> 4) << 6));
    out.setUint8(o + j + 4, mn[j] | ((mn[j + 4] >> 4) << 6));
    out.setUint8(o + j + 8, (sc[j + 4] & 15) | ((mn[j + 4] & 15) << 4));
  }
}

const encoders: Partial<Record<DType, Encoder>> = {
  f32: (x, at, out, o) => out.setFloat32(o, x[at], true),
  f16: (x, at, out, o) => out.setUint16(o, floatToHalf(x[at]), true),
  bf16: (x, at, out, o) => out.setUint16(o, floatToBfloat(x[at]), true),
  q8_0(x, at, out, o) {
    const d = half(out, o, Math.abs(extreme(x, at, 32)) / 127);
    for (let i = 0; i < 32; i++) out.setInt8(o + 2 + i, clamp(ratio(x[at + i], d), -127, 127));
  },
  mxfp4(x, at, out, o) {
    const data = new Uint8Array(out.buffer, out.byteOffset + o, 17);
    data[0] = packGroup(x, at, 'halves', data, 1);
  },
  q4_0: symmetric(4),
  q5_0: symmetric(5),
  q4_1: affine(4),
  q5_1: affine(5),
  iq4_nl(x, at, out, o) {
    const d = half(out, o, extreme(x, at, 32) / -127);
    putNibbles(out, o + 2, null, (i) => {
      const want = ratio(x[at + i], d);
      return iq4Levels.reduce(
        (best, level, k) => (Math.abs(level - want) < Math.abs(iq4Levels[best] - want) ? k : best),
        0,
      );
    });
  },
  q2_k(x, at, out, o) {
    const { sc, mn, code } = partScales(x, at, 16, 16, 3, 15, out, o + 80);
    for (let p = 0; p < 16; p++) out.setUint8(o + p, sc[p] | (mn[p] << 4));
    for (let i = 0; i < 256; i++) addBits(out, o + 16 + (i >> 7) * 32 + (i & 31), code(i) << (((i >> 5) & 3) * 2));
  },
  q3_k(x, at, out, o) {
    const scales = Array.from({ length: 16 }, (_, p) => extreme(x, at + 16 * p, 16) / -4);
    const d = half(out, o + 108, scales.reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a)) / -32);
    const sc = scales.map((s) => clamp(ratio(s, d), -32, 31));
    sc.forEach((s, p) => {
      addBits(out, o + 96 + (p & 7), ((s + 32) & 15) << (p < 8 ? 0 : 4));
      addBits(out, o + 104 + (p & 3), ((s + 32) >> 4) << (2 * (p >> 2)));
    });
    for (let i = 0; i < 256; i++) {
      const q = clamp(ratio(x[at + i], d * sc[i >> 4]), -4, 3) + 4;
      addBits(out, o + 32 + (i >> 7) * 32 + (i & 31), (q & 3) << (((i >> 5) & 3) * 2));
      addBits(out, o + (i & 31), (q >> 2) << (i >> 5));
    }
  },
  q4_k(x, at, out, o) {
    const { sc, mn, code } = partScales(x, at, 8, 32, 15, 63, out, o);
    putSixBitPairs(out, o + 4, sc, mn);
    for (let i = 0; i < 256; i++) addBits(out, o + 16 + (i >> 6) * 32 + (i & 31), code(i) << (((i >> 5) & 1) * 4));
  },
  q5_k(x, at, out, o) {
    const { sc, mn, code } = partScales(x, at, 8, 32, 31, 63, out, o);
    putSixBitPairs(out, o + 4, sc, mn);
    for (let i = 0; i < 256; i++) {
      addBits(out, o + 48 + (i >> 6) * 32 + (i & 31), (code(i) & 15) << (((i >> 5) & 1) * 4));
      addBits(out, o + 16 + (i & 31), (code(i) >> 4) << (i >> 5));
    }
  },
  q6_k(x, at, out, o) {
    const scales = Array.from({ length: 16 }, (_, p) => extreme(x, at + 16 * p, 16) / -32);
    const d = half(out, o + 208, scales.reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a)) / -128);
    const sc = scales.map((s) => clamp(ratio(s, d), -128, 127));
    for (const [p, s] of sc.entries()) out.setInt8(o + 192 + p, s);
    for (let i = 0; i < 256; i++) {
      const q = clamp(ratio(x[at + i], d * sc[i >> 4]), -32, 31) + 32;
      const quarter = (i >> 5) & 3;
      addBits(out, o + (i >> 7) * 64 + (quarter & 1) * 32 + (i & 31), (q & 15) << (quarter < 2 ? 0 : 4));
      addBits(out, o + 128 + (i >> 7) * 32 + (i & 31), (q >> 4) << (2 * quarter));
    }
  },
};

function addBits(out: DataView, o: number, bits: number): void {
  out.setUint8(o, out.getUint8(o) | bits);
}

/** Encodes whole groups. */
export function encode(dtype: DType, values: Float32Array): Uint8Array {
  const encoder = encoders[dtype];
  if (encoder === undefined) throw new Error(`no encoder for ${dtype}`);
  const { groupValues, groupBytes } = dtypeFacts[dtype];
  const bytes = new Uint8Array((values.length / groupValues) * groupBytes);
  const out = new DataView(bytes.buffer);
  for (let g = 0; g * groupValues < values.length; g++) encoder(values, g * groupValues, out, g * groupBytes);
  return bytes;
}

export function decodeEntry(entry: TensorEntry): Float32Array {
  const out = new Float32Array(entry.shape.reduce((a, b) => a * b, 1));
  decodeRun(entry.element!, entry.source.read(entry.offset, entry.length), 0, out.length, out);
  return out;
}

/** What the types of one mixture are, by tensor name; null keeps a tensor as it is. */
export type Mixture = (name: string, entry: TensorEntry) => DType | null;

/** A GGUF file again with other element types. */
export function requantize(
  gguf: GgufFile,
  mixture: Mixture,
  changes: ReadonlyMap<string, FieldToWrite> = new Map(),
): Uint8Array {
  const tensors = gguf.entries.map((entry): GgufTensorToWrite => {
    const { name, shape } = entry;
    const dtype = mixture(name, entry) ?? entry.element!;
    const bytes =
      dtype === entry.element ? entry.source.read(entry.offset, entry.length) : encode(dtype, decodeEntry(entry));
    return { name, dtype, shape, chunks: () => [bytes] };
  });
  const fields = new Map([...gguf.fields].map(([key, field]) => [key, copyField(field)]));
  const sink = memorySink();
  writeGguf(sink, new Map([...fields, ...changes]), tensors);
  return sink.bytes();
}

const matrixName = /^(token_embd|output|blk\.\d+\.attn_(q|k|v|output))\.weight$/;
const isWide = (name: string): boolean => name.endsWith('attn_output.weight');

/** Every matrix but router and experts in one type. */
export const allIn =
  (dtype: DType): Mixture =>
  (name) =>
    matrixName.test(name) ? dtype : null;

/** The mixture named after a K-quant: only attn_output has rows of a multiple of 256 (model-spec §2.7). */
export const kMixture = (k: DType, fallback: DType): Mixture => {
  return (name) => (name === 'output.weight' ? 'q8_0' : isWide(name) ? k : matrixName.test(name) ? fallback : null);
};

/** The expert matrices in one type. */
export const expertsIn =
  (dtype: DType): Mixture =>
  (name) =>
    /_exps\.weight$/.test(name) ? dtype : null;

/** Values of all experts of a matrix, stored [experts, in, out] as dequantised Hugging Face files do; `step` and `first`
 *  place it among interleaved rows. */
export function transposeInto(m: Matrix, target: Float32Array, first: number, step: number): void {
  const stored = m.rows * step;
  for (let e = 0; e < m.experts; e++) {
    const values = decodeRows(m, e, 0, m.rows);
    for (let r = 0; r < m.rows; r++) {
      for (let c = 0; c < m.cols; c++) target[(e * m.cols + c) * stored + first + r * step] = values[r * m.cols + c];
    }
  }
}
