// MXFP4, once: 32 values share one E8M0 scale byte; a value is table[nibble] · 2^(scale − 127). Scales 0 and 1 give
// subnormal floats, 255 is NaN (OCP MX 1.0). Three packings of the same bits exist (see DType in tensor.ts); this file
// reads and writes the two nibble orders and turns one into the other. Row and tensor logic lives in decode.ts.

export const GROUP_VALUES = 32;
export const GROUP_DATA_BYTES = 16;

/** E2M1 values by nibble. */
export const fp4Table: readonly number[] = [0, 0.5, 1, 1.5, 2, 3, 4, 6, -0, -0.5, -1, -1.5, -2, -3, -4, -6];

/** 2^(byte − 127) as a double, so that scale 0 is 2^-127; 255 is NaN. */
export const e8m0Table: Float64Array = Float64Array.from({ length: 256 }, (_, e) => (e === 255 ? NaN : 2 ** (e - 127)));

/** `pairs`: byte j holds values 2j (low nibble) and 2j+1. `halves`: byte j holds values j (low) and j+16. */
export type NibbleOrder = 'pairs' | 'halves';

/** Decodes one group of 16 data bytes to 32 floats. */
export function unpackGroup(
  data: Uint8Array,
  at: number,
  scale: number,
  order: NibbleOrder,
  out: Float32Array,
  outAt: number,
): void {
  const s = e8m0Table[scale];
  const step = order === 'pairs' ? 2 : 1;
  const high = order === 'pairs' ? 1 : 16;
  for (let j = 0; j < 16; j++) {
    const byte = data[at + j];
    const o = outAt + j * step;
    out[o] = fp4Table[byte & 15] * s;
    out[o + high] = fp4Table[byte >> 4] * s;
  }
}

/** From adjacent pairs (safetensors) to split halves (GGUF). */
export function pairsToHalves(src: Uint8Array, srcAt: number, dst: Uint8Array, dstAt: number): void {
  for (let j = 0; j < 8; j++) {
    const a = src[srcAt + j]; // values 2j, 2j+1
    const b = src[srcAt + j + 8]; // values 2j+16, 2j+17
    dst[dstAt + 2 * j] = (a & 15) | ((b & 15) << 4);
    dst[dstAt + 2 * j + 1] = (a >> 4) | (b & 0xf0);
  }
}

/** From split halves (GGUF) to adjacent pairs (safetensors). */
export function halvesToPairs(src: Uint8Array, srcAt: number, dst: Uint8Array, dstAt: number): void {
  for (let j = 0; j < 8; j++) {
    const even = src[srcAt + 2 * j]; // values 2j (low), 2j+16 (high)
    const odd = src[srcAt + 2 * j + 1]; // values 2j+1, 2j+17
    dst[dstAt + j] = (even & 15) | ((odd & 15) << 4);
    dst[dstAt + j + 8] = (even >> 4) | (odd & 0xf0);
  }
}

/** Values halfway between two table entries go to the entry with an even code, as the OCP text asks. */
function nearestCode(magnitude: number): number {
  if (magnitude <= 0.25) return 0;
  if (magnitude < 0.75) return 1;
  if (magnitude <= 1.25) return 2;
  if (magnitude < 1.75) return 3;
  if (magnitude <= 2.5) return 4;
  if (magnitude < 3.5) return 5;
  if (magnitude <= 5) return 6;
  return 7;
}

/** Exponent of the largest magnitude minus 2 (E2M1's largest exponent) as a scale byte, limited to [0, 254]. */
function largestScale(values: Float32Array, at: number): number {
  let largest = 0;
  for (let i = 0; i < GROUP_VALUES; i++) largest = Math.max(largest, Math.abs(values[at + i]));
  if (largest === 0) return 0;
  let exponent = Math.floor(Math.log2(largest));
  if (2 ** exponent > largest) exponent--; // log2 may round up just below a power of two
  return Math.min(Math.max(exponent - 2 + 127, 0), 254);
}

/** Packs with this scale; larger values saturate at ±6. */
function packWith(
  scale: number,
  values: Float32Array,
  at: number,
  order: NibbleOrder,
  data: Uint8Array,
  dataAt: number,
): void {
  const inverse = 2 ** (127 - scale);
  const code = (value: number): number => {
    const c = nearestCode(Math.abs(value) * inverse);
    return value < 0 || Object.is(value, -0) ? c | 8 : c;
  };
  const step = order === 'pairs' ? 2 : 1;
  const high = order === 'pairs' ? 1 : 16;
  for (let j = 0; j < 16; j++) {
    const i = at + j * step;
    data[dataAt + j] = code(values[i]) | (code(values[i + high]) << 4);
  }
}

/**
 * Quantises 32 floats to 16 data bytes and returns the scale byte: exponent of the largest magnitude minus 2 (E2M1's
 * largest exponent), limited to [0, 254]; larger values saturate at ±6. Values must be finite. Values that are already
 * MXFP4 keep their values, though the scale byte may become a smaller one.
 */
export function packGroup(
  values: Float32Array,
  at: number,
  order: NibbleOrder,
  data: Uint8Array,
  dataAt: number,
): number {
  const scale = largestScale(values, at);
  packWith(scale, values, at, order, data, dataAt);
  return scale;
}

/**
 * The same, with the scale of least squared error among packGroup's, one above and one below it; packGroup's where they
 * tie, so that values that are already MXFP4 keep their values. For training, where a group is rounded again and again.
 */
export function packNearest(
  values: Float32Array,
  at: number,
  order: NibbleOrder,
  data: Uint8Array,
  dataAt: number,
): number {
  const usual = largestScale(values, at);
  let best = usual;
  let least = squaredError(usual, values, at);
  for (const scale of [usual - 1, usual + 1]) {
    if (scale < 0 || scale > 254) continue;
    const error = squaredError(scale, values, at);
    if (error < least) [best, least] = [scale, error];
  }
  packWith(best, values, at, order, data, dataAt);
  return best;
}

/** Float64, in order: native code makes the same sums, hence the same choice. */
function squaredError(scale: number, values: Float32Array, at: number): number {
  const unit = e8m0Table[scale];
  const inverse = 2 ** (127 - scale);
  let sum = 0;
  for (let i = at; i < at + GROUP_VALUES; i++) {
    const magnitude = Math.abs(values[i]);
    const difference = magnitude - fp4Table[nearestCode(magnitude * inverse)] * unit;
    sum += difference * difference;
  }
  return sum;
}
