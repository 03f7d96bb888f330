// The ggml group formats other than MXFP4: one decoder for each, from the layout of its struct. Decoding follows
// ggml's own order of float32 operations (scale as float32 first, then the product), so values agree to the last bit
// or one unit. Scales are halves and arrive through a table. Rows and tensors: decode.ts.

import type { DType } from './tensor.ts';

export type GroupType = Exclude<DType, 'f32' | 'f16' | 'bf16' | 'mxfp4' | 'mxfp4-pairs' | 'mxfp4-split'>;

/** Decodes the group at `b[at]` to `out[o …]`; `half` maps a half's bits to its value. */
export type GroupDecoder = (b: Uint8Array, at: number, out: Float32Array, o: number, half: Float32Array) => void;

const f = Math.fround;
const u16 = (b: Uint8Array, at: number): number => b[at] | (b[at + 1] << 8);
const i8 = (x: number): number => (x << 24) >> 24;

/** Non-linear 4-bit levels of IQ4_NL. */
const iq4Levels = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/** 8 six-bit scales and 8 six-bit minimums in 12 bytes, as in Q4_K and Q5_K. */
function kScale(b: Uint8Array, at: number, j: number): number {
  return j < 4 ? b[at + j] & 63 : (b[at + j + 4] & 15) | ((b[at + j - 4] >> 6) << 4);
}
function kMin(b: Uint8Array, at: number, j: number): number {
  return j < 4 ? b[at + j + 4] & 63 : (b[at + j + 4] >> 4) | ((b[at + j] >> 6) << 4);
}

export const groupDecoders: Readonly<Record<GroupType, GroupDecoder>> = {
  // f16 d, 32 × i8
  q8_0(b, at, out, o, half) {
    const d = half[u16(b, at)];
    for (let i = 0; i < 32; i++) out[o + i] = d * i8(b[at + 2 + i]);
  },
  // f16 d, 16 bytes: low nibbles are values 0–15, high 16–31, minus 8
  q4_0(b, at, out, o, half) {
    const d = half[u16(b, at)];
    for (let i = 0; i < 16; i++) {
      const q = b[at + 2 + i];
      out[o + i] = d * ((q & 15) - 8);
      out[o + i + 16] = d * ((q >> 4) - 8);
    }
  },
  // f16 d, f16 m, 16 bytes: d·q + m
  q4_1(b, at, out, o, half) {
    const d = half[u16(b, at)];
    const m = half[u16(b, at + 2)];
    for (let i = 0; i < 16; i++) {
      const q = b[at + 4 + i];
      out[o + i] = f(d * (q & 15)) + m;
      out[o + i + 16] = f(d * (q >> 4)) + m;
    }
  },
  // f16 d, 32 fifth bits, 16 bytes of nibbles, minus 16
  q5_0(b, at, out, o, half) {
    const d = half[u16(b, at)];
    const high = u16(b, at + 2) | (u16(b, at + 4) << 16);
    for (let i = 0; i < 16; i++) {
      const q = b[at + 6 + i];
      out[o + i] = d * (((q & 15) | (((high >>> i) & 1) << 4)) - 16);
      out[o + i + 16] = d * (((q >> 4) | (((high >>> (i + 16)) & 1) << 4)) - 16);
    }
  },
  // f16 d, f16 m, 32 fifth bits, 16 bytes of nibbles
  q5_1(b, at, out, o, half) {
    const d = half[u16(b, at)];
    const m = half[u16(b, at + 2)];
    const high = u16(b, at + 4) | (u16(b, at + 6) << 16);
    for (let i = 0; i < 16; i++) {
      const q = b[at + 8 + i];
      out[o + i] = f(d * ((q & 15) | (((high >>> i) & 1) << 4))) + m;
      out[o + i + 16] = f(d * ((q >> 4) | (((high >>> (i + 16)) & 1) << 4))) + m;
    }
  },
  // f16 d, 16 bytes of nibbles that index the levels
  iq4_nl(b, at, out, o, half) {
    const d = half[u16(b, at)];
    for (let i = 0; i < 16; i++) {
      const q = b[at + 2 + i];
      out[o + i] = d * iq4Levels[q & 15];
      out[o + i + 16] = d * iq4Levels[q >> 4];
    }
  },
  // 16 × (4-bit scale, 4-bit min), 64 bytes of 2-bit values, f16 d, f16 dmin
  q2_k(b, at, out, o, half) {
    const d = half[u16(b, at + 80)];
    const dmin = half[u16(b, at + 82)];
    for (let part = 0; part < 16; part++) {
      const sc = b[at + part];
      const scale = f(d * (sc & 15));
      const min = f(dmin * (sc >> 4));
      // 128 values share 32 bytes; each 32 of them use one pair of bits, in two parts of 16.
      const data = at + 16 + (part >> 3) * 32 + (part & 1) * 16;
      const shift = ((part >> 1) & 3) * 2;
      for (let i = 0; i < 16; i++) out[o + part * 16 + i] = f(scale * ((b[data + i] >> shift) & 3)) - min;
    }
  },
  // 32 bytes of high bits, 64 bytes of 2-bit values, 16 six-bit scales in 12 bytes, f16 d
  q3_k(b, at, out, o, half) {
    const d = half[u16(b, at + 108)];
    const sc = at + 96;
    for (let part = 0; part < 16; part++) {
      const low = part < 8 ? b[sc + part] & 15 : b[sc + part - 8] >> 4;
      const top = (b[sc + 8 + (part & 3)] >> (2 * (part >> 2))) & 3;
      const scale = f(d * ((low | (top << 4)) - 32));
      const data = at + 32 + (part >> 3) * 32 + (part & 1) * 16;
      const shift = ((part >> 1) & 3) * 2;
      const mask = 1 << (part >> 1); // high bit of these 16 values
      const highAt = at + (part & 1) * 16;
      for (let i = 0; i < 16; i++) {
        const q = ((b[data + i] >> shift) & 3) - (b[highAt + i] & mask ? 0 : 4);
        out[o + part * 16 + i] = scale * q;
      }
    }
  },
  // f16 d, f16 dmin, 12 bytes of scales and minimums, 128 bytes of nibbles
  q4_k(b, at, out, o, half) {
    const d = half[u16(b, at)];
    const dmin = half[u16(b, at + 2)];
    for (let part = 0; part < 8; part++) {
      const scale = f(d * kScale(b, at + 4, part));
      const min = f(dmin * kMin(b, at + 4, part));
      const data = at + 16 + (part >> 1) * 32;
      const shift = (part & 1) * 4;
      for (let i = 0; i < 32; i++) out[o + part * 32 + i] = f(scale * ((b[data + i] >> shift) & 15)) - min;
    }
  },
  // like Q4_K with 32 bytes of fifth bits before the nibbles
  q5_k(b, at, out, o, half) {
    const d = half[u16(b, at)];
    const dmin = half[u16(b, at + 2)];
    for (let part = 0; part < 8; part++) {
      const scale = f(d * kScale(b, at + 4, part));
      const min = f(dmin * kMin(b, at + 4, part));
      const data = at + 48 + (part >> 1) * 32;
      const shift = (part & 1) * 4;
      for (let i = 0; i < 32; i++) {
        const q = ((b[data + i] >> shift) & 15) | (((b[at + 16 + i] >> part) & 1) << 4);
        out[o + part * 32 + i] = f(scale * q) - min;
      }
    }
  },
  // 128 bytes of low nibbles, 64 bytes of high pairs, 16 × i8 scale, f16 d
  q6_k(b, at, out, o, half) {
    const d = half[u16(b, at + 208)];
    for (let part = 0; part < 16; part++) {
      const scale = f(d * i8(b[at + 192 + part]));
      const n = (part >> 3) * 128; // half of the group
      const quarter = (part >> 1) & 3; // 32 values each
      const l = (part & 1) * 16;
      const low = at + (n >> 1) + (quarter & 1) * 32 + l;
      const high = at + 128 + (n >> 2) + l;
      for (let i = 0; i < 16; i++) {
        const nibble = quarter < 2 ? b[low + i] & 15 : b[low + i] >> 4;
        const q = (nibble | (((b[high + i] >> (2 * quarter)) & 3) << 4)) - 32;
        out[o + part * 16 + i] = scale * q;
      }
    }
  },
};
