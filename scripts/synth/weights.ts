// Random weights of healthy scale, fast: for each kind of tensor a few megabytes are generated once and every tensor is
// cut from them at random places, so that writing runs at the speed of the disk. Scales keep activations near 1 through
// all layers and spread the routing evenly: a linear layer over normalised input of 2880 values with deviation 0.02
// gives outputs of deviation about 1.

import { floatToBfloat, floatToHalf } from '../../src/formats/decode.ts';
import { dtypeFacts } from '../../src/formats/dtypes.ts';
import type { DType } from '../../src/formats/tensor.ts';

/** What a tensor is, which decides how its values are spread. */
export type Role = 'embedding' | 'output' | 'attention' | 'router' | 'norm' | 'bias' | 'sinks' | 'experts';

const spread: Readonly<Record<Role, { mean: number; deviation: number }>> = {
  embedding: { mean: 0, deviation: 0.5 },
  output: { mean: 0, deviation: 0.03 },
  attention: { mean: 0, deviation: 0.02 },
  router: { mean: 0, deviation: 0.02 },
  norm: { mean: 1, deviation: 0.05 },
  bias: { mean: 0, deviation: 0.02 },
  sinks: { mean: 0, deviation: 1 },
  experts: { mean: 0, deviation: 0.0143 },
};

const POOL_BYTES = 8 << 20;
const CHUNK_BYTES = 1 << 20;

/** 32 random bits at a time (xorshift128). */
export class Random {
  private readonly s = new Uint32Array(4);

  constructor(seed: number) {
    for (let i = 0; i < 4; i++) {
      seed = (seed + 0x9e3779b9) >>> 0; // splitmix, so that seeds 0, 1, 2 … are unrelated
      let z = seed;
      z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
      z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
      this.s[i] = (z ^ (z >>> 16)) >>> 0 || 1;
    }
  }

  bits(): number {
    const { s } = this;
    let t = s[3];
    t ^= t << 11;
    t ^= t >>> 8;
    s[3] = s[2];
    s[2] = s[1];
    s[1] = s[0];
    s[0] = t ^ s[0] ^ (s[0] >>> 19);
    return s[0];
  }

  unit(): number {
    return this.bits() / 2 ** 32;
  }

  below(n: number): number {
    return Math.floor(this.unit() * n);
  }

  /** Standard normal, cut at about ±3.5: a sum of twelve uniforms. */
  normal(): number {
    let sum = 0;
    for (let i = 0; i < 12; i++) sum += this.unit();
    return sum - 6;
  }
}

/** Element types of the two containers: DType, or the two halves of a split MXFP4 pair. */
export type Stored = Extract<DType, 'f32' | 'bf16' | 'q8_0' | 'mxfp4'> | 'mxfp4-data' | 'mxfp4-scales';

const unitBytes = (stored: Stored): number =>
  stored === 'mxfp4-data' ? 16 : stored === 'mxfp4-scales' ? 1 : dtypeFacts[stored].groupBytes;

export class WeightSource {
  private readonly random: Random;
  private readonly pools = new Map<string, Uint8Array>();

  private readonly poolBytes: number;

  constructor(seed: number, poolBytes = POOL_BYTES) {
    this.random = new Random(seed);
    this.poolBytes = poolBytes;
  }

  /** `length` bytes of one tensor, in chunks. */
  *draw(role: Role, stored: Stored, length: number): Iterable<Uint8Array> {
    const pool = this.pool(role, stored);
    const unit = unitBytes(stored);
    const chunk = Math.floor(Math.min(CHUNK_BYTES, pool.length / 2) / unit) * unit;
    for (let left = length; left > 0; ) {
      const n = Math.min(left, chunk);
      const start = this.random.below((pool.length - n) / unit + 1) * unit;
      yield pool.subarray(start, start + n);
      left -= n;
    }
  }

  private pool(role: Role, stored: Stored): Uint8Array {
    const key = `${role} ${stored}`;
    let pool = this.pools.get(key);
    if (pool === undefined) {
      pool = this.fill(role, stored);
      this.pools.set(key, pool);
    }
    return pool;
  }

  private fill(role: Role, stored: Stored): Uint8Array {
    const { random } = this;
    const unit = unitBytes(stored);
    const units = Math.floor(this.poolBytes / unit);
    const pool = new Uint8Array(units * unit);
    const view = new DataView(pool.buffer);
    const { mean, deviation } = spread[role];
    const randomBytes = (from: number, count: number): void => {
      for (let i = 0; i < count; i += 4) view.setUint32(from + i, random.bits(), true);
    };
    for (let u = 0; u < units; u++) {
      const at = u * unit;
      if (stored === 'f32') view.setFloat32(at, mean + deviation * random.normal(), true);
      else if (stored === 'bf16') view.setUint16(at, floatToBfloat(mean + deviation * random.normal()), true);
      else if (stored === 'mxfp4-scales') pool[at] = scaleByte(random);
      else if (stored === 'mxfp4-data') randomBytes(at, 16);
      else if (stored === 'mxfp4') {
        pool[at] = scaleByte(random);
        randomBytes(at + 1, 16);
      } else {
        // Uniform bytes −128 … 127 have deviation 73.9.
        view.setUint16(at, floatToHalf((deviation / 73.9) * (0.8 + 0.4 * random.unit())), true);
        randomBytes(at + 2, 32);
      }
    }
    return pool;
  }
}

/** 118, 119 or 120: uniform nibbles have deviation 2.93, times about 1.25 · 2^-8. */
function scaleByte(random: Random): number {
  return 118 + random.below(2) + random.below(2);
}
