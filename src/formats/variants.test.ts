// One model in every shape: other element types, parts, dequantised experts, Ollama's layouts. Weights must be equal to
// the last bit where the values are, and within each type's resolution where they are not.

import { describe, expect, it } from 'vitest';
import { hasShared, sharedPath } from '../../test/shared.ts';
import { openCheckpoint } from './checkpoint.node.ts';
import type { Checkpoint, LayerTensors } from './checkpoint.ts';
import { decodeMatrix, decodeRun } from './decode.ts';
import { dtypeFacts } from './dtypes.ts';
import { openBytes } from './hostile.testing.ts';
import { memoryFolder } from './memory-folder.ts';
import { openCheckpointIn } from './open.ts';
import { encode } from './requantize.testing.ts';
import { resemblance } from './resemblance.ts';
import type { DType } from './tensor.ts';
import { dequantised, inMixture, mixtures, ollamaVariant, tinyPath, tinySplit } from './variants.testing.ts';

const present = hasShared('fixtures');

/** Relative rms error of encoding normally distributed values: what the number of bits allows. */
const resolution: readonly (readonly [DType, number])[] = [
  ['f32', 0],
  ['f16', 0.0005],
  ['bf16', 0.003],
  ['q8_0', 0.006],
  ['q6_k', 0.02],
  ['q5_k', 0.04],
  ['q5_1', 0.04],
  ['q5_0', 0.05],
  ['q4_k', 0.08],
  ['q4_1', 0.08],
  ['iq4_nl', 0.09],
  ['q4_0', 0.1],
  ['mxfp4', 0.13],
  ['q3_k', 0.2],
  ['q2_k', 0.35],
];

function relativeError(a: Float32Array, b: Float32Array): number {
  let error = 0;
  let power = 0;
  a.forEach((x, i) => {
    error += (x - b[i]) ** 2;
    power += b[i] ** 2;
  });
  return Math.sqrt(error / power);
}

describe('encoders for tests', () => {
  it.each(resolution)('%s gives values back within its resolution', (dtype, limit) => {
    const values = Float32Array.from(
      { length: 4096 },
      (_, i) => Math.sin(i * 12.9898) + Math.sin(i * 78.233) + Math.sin(i * 3.7),
    );
    const out = new Float32Array(values.length);
    decodeRun(dtype, encode(dtype, values), 0, values.length, out);
    const error = relativeError(out, values);
    expect(error).toBeLessThanOrEqual(limit);
    expect(error).toBeGreaterThanOrEqual(limit / 8);
  });
});

function weights(c: Checkpoint): Map<string, Float32Array> {
  const map = new Map<string, Float32Array>();
  const { embedding, output, finalNorm, layers } = c.tensors;
  map.set('embedding', decodeMatrix(embedding)).set('output', decodeMatrix(output)).set('norm', finalNorm.load());
  layers.forEach((layer, i) => {
    for (const key of Object.keys(layer) as (keyof LayerTensors)[]) {
      const w = layer[key];
      const experts = 'load' in w ? [w.load()] : Array.from({ length: w.experts }, (_, e) => decodeMatrix(w, e));
      for (const [e, values] of experts.entries()) map.set(`${i} ${key} ${e}`, values);
    }
  });
  return map;
}

function expectEqual(a: Checkpoint, b: Checkpoint): void {
  const other = weights(b);
  for (const [name, values] of weights(a)) {
    const bits = new Uint32Array(values.buffer);
    const want = new Uint32Array(other.get(name)!.buffer);
    expect(
      bits.findIndex((x, i) => x !== want[i]),
      name,
    ).toBe(-1);
  }
  expect(a.config).toEqual(b.config);
  expect(a.stopIds).toEqual(b.stopIds);
  expect(a.tokenizer!.special).toEqual(b.tokenizer!.special);
}

describe.skipIf(!present)('variants of one model (skipped without ../shared)', () => {
  it.each(mixtures)('%s opens with the same model, within the resolution of its types', (name, mixture) => {
    // Only the trained model has rows of 256 values, which K groups need; the other is smaller.
    const path = /_K$/.test(name) ? tinyPath() : sharedPath('fixtures', 'mini.gguf');
    const original = openCheckpoint(path);
    const c = openBytes(inMixture(path, mixture));
    expect(c.config).toEqual(original.config);
    const limits = new Map(resolution);
    const layer = c.tensors.layers[1];
    for (const key of ['q', 'v', 'o', 'gate', 'down'] as const) {
      const error = relativeError(decodeMatrix(layer[key], 0), decodeMatrix(original.tensors.layers[1][key], 0));
      expect(error, `${key} ${layer[key].dtype}`).toBeLessThan(1.6 * limits.get(layer[key].dtype)! + 1e-9);
    }
    if (/_K$/.test(name)) {
      expect(layer.o.dtype).toBe(name.toLowerCase());
      expect(resemblance(c).layout).toMatch(new RegExp(`^${name}.* mixture$`));
    }
    if (name.startsWith('experts') && !name.endsWith('mxfp4'))
      expect(resemblance(c).differences.join()).toContain(`experts are ${dtypeFacts[layer.gate.dtype].label}`);
    original.close();
  });

  it.each([2, 5, 79])('split into %i parts holds the same bits', (count) => {
    const whole = openCheckpoint(tinyPath());
    expectEqual(openCheckpointIn(memoryFolder('f', tinySplit(count))), whole);
    whole.close();
  });

  it.each([
    ['fixtures/mini-mxfp4', 'BF16'],
    ['fixtures/mini-mxfp4', 'F32'],
    ['models/seed-tiny', 'BF16'],
  ] as const)('%s with experts dequantised to %s holds the same bits', (path, dtype) => {
    const packed = openCheckpoint(sharedPath(path));
    const c = openCheckpointIn(memoryFolder('f', dequantised(sharedPath(path), dtype)));
    expect(c.tensors.layers[0].gate.colStride).not.toBeNull();
    expectEqual(c, packed);
    packed.close();
  });

  it.each(['2025-08-hf', '2025-10', '2026-05'] as const)("Ollama's layout of %s holds the same bits", (period) => {
    const usual = openCheckpoint(sharedPath('fixtures', 'mini.gguf'));
    const c = openBytes(ollamaVariant(period));
    expectEqual(c, usual);
    expect(resemblance(c).layout).toMatch(
      period === '2026-05' ? /BF16 mixture/ : /^Ollama layout \(MXFP4, (fused|separate)/,
    );
    usual.close();
  });
});
