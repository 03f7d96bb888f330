// What `fast` does to activations, emulated: the same rounding as the cpu backend's fast path, then float arithmetic.
// Against MXFP4, Q8_0 and the 4/5-bit and K types: int8 per group of 32 values with one float32 scale, amax / 127.
// Against bf16, f16 and f32 weights: rounding to bf16. Also the 16-bit and 8-bit storage of keys and values.
// Only rounding lives here; no op and no weight does.

import { floatToBfloat, floatToHalf, halfToFloat } from '../../formats/decode.ts';
import type { DType } from '../../formats/tensor.ts';
import type { Floats } from './storage.ts';

const GROUP = 32;
const BF16_ACTIVATIONS: ReadonlySet<DType> = new Set<DType>(['f32', 'f16', 'bf16']);

/** Rounds `count` rows of x, as used against a weight of this type, into `out`. */
export function quantiseActivations(dtype: DType, x: Floats, out: Floats, width: number, count: number): void {
  if (BF16_ACTIVATIONS.has(dtype)) {
    roundToBf16(x, out, width * count);
    return;
  }
  for (let row = 0; row < count; row++) {
    for (let start = 0; start < width; start += GROUP) {
      const from = row * width + start;
      roundToInt8(x, out, from, from, Math.min(GROUP, width - start), Math.fround);
    }
  }
}

/** One group: q = round(x / scale), scale = amax / 127 in the precision of `roundScale`; out = q · scale. */
export function roundToInt8(
  x: Floats,
  out: Floats,
  from: number,
  to: number,
  count: number,
  roundScale: (scale: number) => number,
): void {
  let amax = 0;
  for (let i = 0; i < count; i++) amax = Math.max(amax, Math.abs(x[from + i]));
  const scale = roundScale(amax / 127);
  for (let i = 0; i < count; i++) {
    const q = scale === 0 ? 0 : Math.round(x[from + i] / scale);
    out[to + i] = Math.max(-127, Math.min(127, q)) * scale;
  }
}

function roundToBf16(x: Floats, out: Floats, count: number): void {
  for (let i = 0; i < count; i++) {
    word[0] = floatToBfloat(x[i]) << 16;
    out[i] = single[0];
  }
}

const word = new Uint32Array(1);
const single = new Float32Array(word.buffer);

/** Nearest float16, ties to even. */
export function roundToF16(value: number): number {
  return halfToFloat(floatToHalf(value));
}
