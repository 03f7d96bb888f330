// One bad value in each type is found, and good files have none.

import { describe, expect, it } from 'vitest';
import { hasShared, sharedPath } from '../../test/shared.ts';
import { memorySource } from './bytes.ts';
import { openCheckpoint } from './checkpoint.node.ts';
import { decodeRun } from './decode.ts';
import { dtypeFacts } from './dtypes.ts';
import { encode } from './requantize.testing.ts';
import type { DType, TensorEntry } from './tensor.ts';
import { findNonFinite } from './weight-check.ts';

const entry = (element: DType | null, bytes: Uint8Array, name = 't', dtype = 'X'): TensorEntry => ({
  name,
  dtype,
  element,
  shape: [bytes.length],
  source: memorySource('f', bytes),
  offset: 0,
  length: bytes.length,
});

const types = Object.keys(dtypeFacts).filter((t) => t !== 'mxfp4-split' && t !== 'mxfp4-pairs') as DType[];

describe('looking for bad weights', () => {
  it.each(types)('%s: what decodes to NaN or infinity is found, at its place', (dtype) => {
    const { groupBytes, groupValues } = dtypeFacts[dtype];
    const good = encode(
      dtype,
      Float32Array.from({ length: 3 * groupValues }, (_, i) => Math.sin(i)),
    );
    expect(findNonFinite(entry(dtype, good))).toBeNull();
    let found = 0;
    for (let at = 0; at < groupBytes; at++) {
      for (const value of [0x7c, 0xfc, 0x7f, 0xff]) {
        const bytes = good.slice();
        bytes[groupBytes + at] = value;
        if (at > 0) bytes[groupBytes + at - 1] |= 0x80; // a NaN or infinity of F32 and BF16 spans two bytes
        const out = new Float32Array(3 * groupValues);
        decodeRun(dtype, bytes, 0, out.length, out);
        const finite = out.every(Number.isFinite);
        const verdict = findNonFinite(entry(dtype, bytes));
        if (!finite) expect(verdict).toContain(`at byte ${groupBytes}`);
        // A scale may be infinite while the values it multiplies are 0.
        if (verdict === null) expect(finite).toBe(true);
        else found++;
      }
    }
    expect(found).toBeGreaterThan(0);
  });

  it('finds the NaN scale of split MXFP4 in its second tensor', () => {
    expect(findNonFinite(entry(null, Uint8Array.of(120, 255), 'down_proj_scales', 'U8'))).toContain('at byte 1');
    expect(findNonFinite(entry(null, Uint8Array.of(120, 254), 'down_proj_scales', 'U8'))).toBeNull();
    expect(findNonFinite(entry(null, Uint8Array.of(255), 'down_proj_blocks', 'U8'))).toBeNull();
  });

  it.skipIf(!hasShared('fixtures'))('finds nothing in good files (skipped without ../shared)', () => {
    for (const path of ['mini-mxfp4', 'mini.gguf', 'mini-q8.gguf', 'mini-ollama-2025-08.gguf']) {
      const c = openCheckpoint(sharedPath('fixtures', path));
      expect(c.entries.map(findNonFinite).filter((v) => v !== null)).toEqual([]);
      c.close();
    }
  });
});
