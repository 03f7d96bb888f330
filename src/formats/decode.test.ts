// Values against golden files computed outside this project.

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { hasShared, sharedPath } from '../../test/shared.ts';
import { decodeRun, floatToBfloat, floatToHalf, halfToFloat } from './decode.ts';
import { dtypeFacts, ggmlTypes } from './dtypes.ts';
import { halvesToPairs, packGroup, pairsToHalves, unpackGroup } from './mxfp4.ts';

interface Mxfp4Case {
  scale: number;
  bytes: number[];
  values_adjacent_pairs: (number | string)[];
  values_split_halves: (number | string)[];
  repacked_adjacent_to_split: number[];
}

interface QuantCase {
  type: string;
  id: number;
  bytes_base64: string;
  values: (number | string)[];
}

const golden = hasShared('fixtures', 'mxfp4.json');
const load = <T>(name: string): { cases: T[] } => JSON.parse(readFileSync(sharedPath('fixtures', name), 'utf8'));
const value = (v: number | string): number =>
  typeof v === 'number' ? v : v === 'inf' ? Infinity : v === '-inf' ? -Infinity : -0;
const sameFloats = (a: Float32Array, b: Float32Array): boolean =>
  a.every((x, i) => x === b[i] || (Number.isNaN(x) && Number.isNaN(b[i])));

describe.skipIf(!golden)('MXFP4 (golden file; skipped without ../shared)', () => {
  const { cases } = golden ? load<Mxfp4Case>('mxfp4.json') : { cases: [] };

  it('decodes both nibble orders to the golden values, subnormal scales included', () => {
    expect(cases.map((c) => c.scale)).toContain(0);
    for (const c of cases) {
      const out = new Float32Array(32);
      unpackGroup(Uint8Array.from(c.bytes), 0, c.scale, 'pairs', out, 0);
      expect(sameFloats(out, Float32Array.from(c.values_adjacent_pairs, value))).toBe(true);
      unpackGroup(Uint8Array.from(c.bytes), 0, c.scale, 'halves', out, 0);
      expect(sameFloats(out, Float32Array.from(c.values_split_halves, value))).toBe(true);
    }
  });

  it('repacks between the orders and back', () => {
    for (const c of cases) {
      const halves = new Uint8Array(16);
      pairsToHalves(Uint8Array.from(c.bytes), 0, halves, 0);
      expect([...halves]).toEqual(c.repacked_adjacent_to_split);
      const pairs = new Uint8Array(16);
      halvesToPairs(halves, 0, pairs, 0);
      expect([...pairs]).toEqual(c.bytes);
    }
  });
});

describe('MXFP4', () => {
  it('gives NaN for scale 255', () => {
    const out = new Float32Array(32);
    unpackGroup(new Uint8Array(16).fill(0x11), 0, 255, 'pairs', out, 0);
    expect(out.every(Number.isNaN)).toBe(true);
  });

  it('keeps values that are already MXFP4 when packing', () => {
    for (const scale of [0, 1, 2, 100, 127, 200, 250]) {
      for (let first = 0; first < 16; first++) {
        const data = Uint8Array.from({ length: 16 }, (_, i) => ((first * 7 + i * 31) ^ (i << 3)) & 255);
        const before = new Float32Array(32);
        unpackGroup(data, 0, scale, 'pairs', before, 0);
        const packed = new Uint8Array(16);
        const packedScale = packGroup(before, 0, 'halves', packed, 0);
        const after = new Float32Array(32);
        unpackGroup(packed, 0, packedScale, 'halves', after, 0);
        expect([...after]).toEqual([...before]);
      }
    }
  });
});

describe.skipIf(!golden)('ggml types (golden file; skipped without ../shared)', () => {
  const { cases } = golden ? load<QuantCase>('ggml-quants.json') : { cases: [] };

  it.each(cases)('$type decodes as the gguf package does', ({ id, bytes_base64, values }) => {
    const dtype = ggmlTypes.get(id)!;
    const bytes = new Uint8Array(Buffer.from(bytes_base64, 'base64'));
    const { groupBytes, groupValues } = dtypeFacts[dtype];
    expect((bytes.length / groupBytes) * groupValues).toBe(values.length);
    const out = new Float32Array(values.length);
    decodeRun(dtype, bytes, 0, values.length, out);
    let units = 0;
    values.forEach((v, i) => {
      const want = Math.fround(value(v));
      if (out[i] === want || (Number.isNaN(want) && Number.isNaN(out[i]))) return;
      units = Math.max(units, Math.abs(out[i] - want) / (Math.abs(want) * 2 ** -23));
    });
    expect(units).toBeLessThanOrEqual(['F16', 'BF16', 'MXFP4'].includes(dtypeFacts[dtype].label) ? 0 : 1);
  });

  it('covers every type of the table', () => {
    const tested = new Set(cases.map((c) => c.id));
    expect([...ggmlTypes.keys()].filter((id) => !tested.has(id))).toEqual([0]);
  });
});

describe('16-bit floats', () => {
  it('round-trips every half', () => {
    for (let h = 0; h < 65536; h++) {
      const x = halfToFloat(h);
      if (!Number.isNaN(x) && floatToHalf(x) !== h) expect.fail(`half ${h}`);
    }
    expect(floatToHalf(NaN) & 0x7fff).toBeGreaterThan(0x7c00);
  });

  it('rounds ties to even', () => {
    expect(floatToHalf(1 + 2 ** -11)).toBe(0x3c00);
    expect(floatToHalf(1 + 3 * 2 ** -11)).toBe(0x3c02);
    expect(floatToHalf(65519.99)).toBe(0x7bff);
    expect(floatToHalf(65520)).toBe(0x7c00);
    expect(floatToBfloat(1 + 2 ** -8)).toBe(0x3f80);
    expect(floatToBfloat(1 + 3 * 2 ** -8)).toBe(0x3f82);
    expect(floatToBfloat(Infinity)).toBe(0x7f80);
  });
});
