// The native learner against PyTorch on ../shared/fixtures/mini-train: loss, every gradient, three AdamW steps.
// The same for the reference: backward.test.ts.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { hasShared, sharedPath } from '../../test/shared.ts';
import { addonPath } from '../backend/cpu/addon.testing.ts';
import { findAddon } from '../backend/cpu/addon.ts';
import { cpuVariants } from '../backend/cpu/cpu.ts';
import { CpuLearner } from '../backend/cpu/learner.ts';
import type { TensorPart, TrainBatch } from '../backend/learner.ts';
import { openCheckpoint } from '../formats/checkpoint.node.ts';
import { Expected, largestDifference } from '../model/golden.testing.ts';
import { yarnRope } from '../model/rope.ts';
import { tensorsByName, tensorValues } from './tensors.ts';

const [ROWS, LENGTH] = [2, 24];
const [HIDDEN, PADDING_ID] = [32, 44];
const plain = { gradients: true, router: null, fakeQuantised: false };

interface Facts {
  readonly loss: number[];
  readonly grad_norm_before_clip: number[];
  readonly batch_loss_float64: number[];
}

/** Token t is predicted from row t-1, where the mask is 1; the loss is their mean. */
function batchOf(ids: Int32Array, mask: Int32Array): TrainBatch {
  const count = mask.reduce((sum, bit) => sum + bit, 0);
  return {
    ids,
    documentStarts: Int32Array.from({ length: ROWS }, (_, row) => row * LENGTH),
    targets: Int32Array.from(ids, (_, row) => ids[row + 1] ?? 0),
    weights: Float32Array.from(ids, (_, row) => (mask[row + 1] === 1 ? 1 / count : 0)),
  };
}

const fileNames: Readonly<Record<string, string>> = {
  embedding: 'model.embed_tokens.weight',
  finalNorm: 'model.norm.weight',
  output: 'lm_head.weight',
  attnNorm: 'input_layernorm.weight',
  ...Object.fromEntries(
    ['q', 'k', 'v', 'o'].flatMap((name) => [
      [name, `self_attn.${name}_proj.weight`],
      [`${name}Bias`, `self_attn.${name}_proj.bias`],
    ]),
  ),
  sinks: 'self_attn.sinks',
  mlpNorm: 'post_attention_layernorm.weight',
  router: 'mlp.router.weight',
  routerBias: 'mlp.router.bias',
  gate: 'mlp.experts.gate_up_proj',
  up: 'mlp.experts.gate_up_proj',
  gateBias: 'mlp.experts.gate_up_proj_bias',
  upBias: 'mlp.experts.gate_up_proj_bias',
  down: 'mlp.experts.down_proj',
  downBias: 'mlp.experts.down_proj_bias',
};

/** A tensor of the fixture as the trainer has it: gate and up apart, expert matrices [out, in]. */
function wantedOf(expected: Expected, prefix: string, name: string, shape: [number, number, number]): Float32Array {
  const [, layer, field] = /^layers\.(\d+)\.(\w+)$/.exec(name) ?? [null, null, name];
  const values = expected.floats(`${prefix}.${layer === null ? '' : `model.layers.${layer}.`}${fileNames[field!]}`);
  const [experts, rows, cols] = shape;
  const half = /^(gate|up)/.test(field!) ? 2 : 1;
  const first = /^up/.test(field!) ? 1 : 0;
  const isExpertMatrix = /^(gate|up|down)$/.test(field!);
  if (half === 1 && !isExpertMatrix) return Float32Array.from(values);
  const out = new Float32Array(experts * rows * cols);
  for (let e = 0; e < experts; e++) {
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < cols; c++) {
        const from = isExpertMatrix
          ? (e * cols + c) * rows * half + r * half + first
          : e * cols * half + c * half + first;
        out[(e * rows + r) * cols + c] = values[from];
      }
    }
  }
  return out;
}

const { addon, problems } = findAddon(addonPath);
const reason = !hasShared('fixtures', 'mini-train')
  ? '../shared is absent'
  : addon === null
    ? problems.join('; ')
    : null;

if (reason !== null) {
  describe('mini-train on native code', () => {
    it.skip(`cannot run: ${reason}`, () => {});
  });
} else {
  const variants = cpuVariants(addonPath).filter((name) => /^(scalar|avx2|avx512|neon)$/.test(name));
  describe.each(variants)('mini-train on %s', (variant) => {
    const { config, tensors } = openCheckpoint(sharedPath('fixtures', 'mini-train'));
    const expected = new Expected(sharedPath('fixtures', 'mini-train', 'expected.safetensors'));
    const facts = JSON.parse(readFileSync(sharedPath('fixtures', 'mini-train', 'expected.json'), 'utf8')) as Facts;
    const [ids, mask] = [expected.integers('input_ids'), expected.integers('loss_mask')];
    const size = ROWS * LENGTH;
    const batches = [0, 1].map((b) =>
      batchOf(ids.slice(b * size, (b + 1) * size), mask.slice(b * size, (b + 1) * size)),
    );
    const open = (): CpuLearner => {
      const learner = new CpuLearner(config, yarnRope(config), tensorsByName(config), { addonPath, variant });
      let index = 0;
      for (const [, values] of tensorValues(config, tensors)) learner.write(index++, 'values', values);
      return learner;
    };
    /** As torch's Embedding does for the row of the padding token, which occurs in the first batch as text. */
    const clearPadding = (learner: CpuLearner): void => {
      const gradient = learner.read(0, 'gradient');
      learner.write(0, 'gradient', gradient.fill(0, PADDING_ID * HIDDEN, (PADDING_ID + 1) * HIDDEN));
    };
    const compare = (learner: CpuLearner, part: TensorPart, prefix: string, tolerance: number): void => {
      for (const [i, { name, experts, rows, cols }] of learner.tensors.entries()) {
        const wanted = wantedOf(expected, prefix, name, [experts, rows, cols]);
        expect(largestDifference(learner.read(i, part), wanted), `${prefix} ${name}`).toBeLessThanOrEqual(tolerance);
      }
    };

    it('has the loss and every gradient', async () => {
      const learner = open();
      for (const [b, batch] of batches.entries()) {
        learner.clearGradients();
        const { loss } = await learner.run(batch, plain);
        expect(Math.abs(loss - facts.batch_loss_float64[b])).toBeLessThanOrEqual(1e-5);
        clearPadding(learner);
        compare(learner, 'gradient', `batch${b}.grad`, 1e-5);
      }
      await learner.close();
    });

    it('makes the three AdamW steps', async () => {
      const learner = open();
      const adamW = { learningRate: 1e-3, beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0.1, clip: 1 };
      for (const [i, b] of [0, 1, 0].entries()) {
        learner.clearGradients();
        const { loss } = await learner.run(batches[b], plain);
        expect(Math.abs(loss - facts.loss[i])).toBeLessThanOrEqual(1e-5);
        clearPadding(learner);
        const norm = await learner.update({ ...adamW, step: i + 1 });
        expect(Math.abs(norm - facts.grad_norm_before_clip[i])).toBeLessThanOrEqual(1e-5);
        if (i !== 1) compare(learner, 'values', `after${i + 1}`, 2e-5);
      }
      await learner.close();
    });
  });
}
