// The whole model's gradient: against transformers on ../shared/fixtures/mini-train (loss, every gradient, three AdamW
// steps), and against central differences in float64. Forward of training = forward of inference.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { hasShared, sharedPath } from '../../test/shared.ts';
import type { Batch, SequenceRows } from '../backend/backend.ts';
import { bufferOf, type ReferenceOptions } from '../backend/reference/reference.ts';
import { parameterOf, ReferenceTrainer } from '../backend/reference/trainer.ts';
import type { Parameter } from '../backend/train-backend.ts';
import { openCheckpoint } from '../formats/checkpoint.node.ts';
import type { Checkpoint } from '../formats/checkpoint.ts';
import { Expected, largestDifference } from '../model/golden.testing.ts';
import { createModel } from '../model/load.ts';
import type { ModelWeights } from '../model/weights.ts';
import { createTrainWorkspace, recordTraining } from './backward.ts';
import { trainableWeights } from './parameters.ts';

const [BATCHES, ROWS, LENGTH] = [2, 2, 24];
const PAGE = 8;
const [HIDDEN, PADDING_ID] = [32, 44];

interface Facts {
  readonly loss: number[];
  readonly grad_norm_before_clip: number[];
  readonly batch_loss_float64: number[];
}

/** Rows as sequences of their own; the loss is the mean over masked positions, token t from the logits at t-1. */
function batchOf(ids: Int32Array, mask: Int32Array): Batch {
  const pages = LENGTH / PAGE;
  const sequences: SequenceRows[] = Array.from({ length: ROWS }, (_, row) => {
    const table = Int32Array.from({ length: pages }, (_, i) => row * pages + i);
    return { firstRow: row * LENGTH, rowCount: LENGTH, position: 0, fullPages: table, slidingPages: table };
  });
  const scored = [...mask.keys()].filter((t) => mask[t] === 1).map((t) => t - 1);
  return {
    tokens: ids,
    sequences,
    scored: Int32Array.from(scored),
    targets: {
      ids: Int32Array.from(scored, (t) => ids[t + 1]),
      weights: new Float32Array(scored.length).fill(1 / scored.length),
    },
  };
}

class Setup {
  readonly checkpoint: Checkpoint = openCheckpoint(sharedPath('fixtures', 'mini-train'));
  readonly expected = new Expected(sharedPath('fixtures', 'mini-train', 'expected.safetensors'));
  readonly trainer: ReferenceTrainer;
  readonly weights: ModelWeights;
  readonly parameters: readonly Parameter[];
  readonly batches: readonly Batch[];
  readonly #step: (batch: Batch) => Promise<number>;

  constructor(options: ReferenceOptions = {}) {
    const { config } = this.checkpoint;
    this.trainer = new ReferenceTrainer({ maxRows: ROWS * LENGTH, ...options });
    const { weights, parameters } = trainableWeights(this.checkpoint, this.trainer);
    this.weights = weights;
    this.parameters = parameters;
    const size = ROWS * LENGTH;
    const [ids, mask] = [this.expected.integers('input_ids'), this.expected.integers('loss_mask')];
    this.batches = Array.from({ length: BATCHES }, (_, b) =>
      batchOf(ids.subarray(b * size, (b + 1) * size), mask.subarray(b * size, (b + 1) * size)),
    );
    const layers = config.sliding.map((sliding) => ({ sliding }));
    const { kvHeads, headDim } = config;
    const pages = (ROWS * LENGTH) / PAGE;
    const cache = this.trainer.cache({
      layers,
      kvHeads,
      headDim,
      pageTokens: PAGE,
      fullPages: pages,
      slidingPages: pages,
      type: 'f32',
    });
    const workspace = createTrainWorkspace(this.trainer, config);
    const program = this.trainer.record((ops) => recordTraining(ops, weights, workspace, config, cache));
    this.#step = async (batch) => {
      this.trainer.clearGradients();
      await this.trainer.run(program, batch);
      const losses = bufferOf(workspace.losses).floats; // unrounded, for differences
      return batch.targets!.weights.reduce((sum, weight, i) => sum + weight * losses[2 * i], 0);
    };
  }

  /** Loss and fresh gradients of a batch. */
  gradients(batch: Batch): Promise<number> {
    return this.#step(batch);
  }

  /** As torch's Embedding does for the row of the padding token, which occurs in the first batch as text. */
  clearPadding(): void {
    parameterOf(this.weights.embedding).gradient.fill(0, PADDING_ID * HIDDEN, (PADDING_ID + 1) * HIDDEN);
  }

  /** Parameters under the names and shapes of the file: gate and up interleaved, experts [in, out]. */
  *named(read: (parameter: Parameter) => Float32Array): Generator<[name: string, values: Float32Array]> {
    const { weights } = this;
    const one = (name: string, weight: unknown): [string, Float32Array] => [name, read(weight as Parameter)];
    yield one('model.embed_tokens.weight', weights.embedding);
    yield one('model.norm.weight', weights.finalNorm);
    yield one('lm_head.weight', weights.output);
    for (const [l, w] of weights.layers.entries()) {
      const at = `model.layers.${l}`;
      yield one(`${at}.input_layernorm.weight`, w.attentionNorm);
      yield one(`${at}.post_attention_layernorm.weight`, w.moeNorm);
      yield one(`${at}.self_attn.sinks`, w.sinks);
      for (const name of ['q', 'k', 'v', 'o'] as const) {
        yield one(`${at}.self_attn.${name}_proj.weight`, w[name].w);
        yield one(`${at}.self_attn.${name}_proj.bias`, w[name].b);
      }
      yield one(`${at}.mlp.router.weight`, w.router.w);
      yield one(`${at}.mlp.router.bias`, w.router.b);
      const { gate, up, gateBias, upBias } = w.up;
      const both = [read(gate as Parameter), read(up as Parameter)];
      yield [`${at}.mlp.experts.gate_up_proj`, transposed(both, gate.experts, gate.rows, gate.cols)];
      const biases = [read(gateBias as Parameter), read(upBias as Parameter)];
      yield [`${at}.mlp.experts.gate_up_proj_bias`, transposed(biases, gate.experts, gate.rows, 1)];
      const { w: down, b } = w.down;
      yield [`${at}.mlp.experts.down_proj`, transposed([read(down as Parameter)], down.experts, down.rows, down.cols)];
      yield one(`${at}.mlp.experts.down_proj_bias`, b);
    }
  }
}

/** [experts, rows, cols] of one or two interleaved matrices to [experts, cols, rows (alternating)]. */
function transposed(parts: readonly Float32Array[], experts: number, rows: number, cols: number): Float32Array {
  const out = new Float32Array(parts.length * experts * rows * cols);
  let at = 0;
  for (let e = 0; e < experts; e++) {
    for (let c = 0; c < cols; c++) {
      for (let r = 0; r < rows; r++) for (const part of parts) out[at++] = part[(e * rows + r) * cols + c];
    }
  }
  return out;
}

const isPresent = hasShared('fixtures', 'mini-train');

describe.skipIf(!isPresent)(`mini-train${isPresent ? '' : ' (skipped: ../shared is absent)'}`, () => {
  const facts = (): Facts =>
    JSON.parse(readFileSync(sharedPath('fixtures', 'mini-train', 'expected.json'), 'utf8')) as Facts;

  it.each([
    ['float32', Float32Array, 'grad', 1e-5],
    ['float64', Float64Array, 'grad64', 1e-6],
  ] as const)('has the loss and every gradient of transformers, %s', async (_, floats, prefix, tolerance) => {
    const setup = new Setup({ floats });
    for (const [b, batch] of setup.batches.entries()) {
      const loss = await setup.gradients(batch);
      expect(Math.abs(loss - facts().batch_loss_float64[b])).toBeLessThanOrEqual(1e-5);
      setup.clearPadding();
      for (const [name, gradient] of setup.named((p) => setup.trainer.readGradient(p))) {
        const wanted = setup.expected.floats(`batch${b}.${prefix}.${name}`);
        expect(largestDifference(gradient, wanted), `batch ${b} ${name}`).toBeLessThanOrEqual(tolerance);
      }
    }
  });

  it('makes the three AdamW steps of PyTorch', async () => {
    const setup = new Setup();
    const { loss, grad_norm_before_clip } = facts();
    const adamW = { learningRate: 1e-3, beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0.1, clip: 1 };
    for (const [i, b] of [0, 1, 0].entries()) {
      expect(Math.abs((await setup.gradients(setup.batches[b])) - loss[i])).toBeLessThanOrEqual(1e-5);
      setup.clearPadding();
      const norm = setup.trainer.update({ ...adamW, step: i + 1 });
      expect(Math.abs(norm - grad_norm_before_clip[i])).toBeLessThanOrEqual(1e-5);
      if (i === 1) continue;
      for (const [name, values] of setup.named((p) => setup.trainer.readValues(p))) {
        const wanted = setup.expected.floats(`after${i + 1}.${name}`);
        expect(largestDifference(values, wanted), `after ${i + 1} steps: ${name}`).toBeLessThanOrEqual(2e-5);
      }
    }
  });

  it('equals central differences of its own loss in float64, routing held fixed', async () => {
    const setup = new Setup({ floats: Float64Array });
    const ids = Int32Array.from({ length: 2 * ROWS * LENGTH * 2 }, (_, i) => (i * 7 + (i >> 3)) % 4);
    for (let i = 0; i < ids.length; i += 2) if (ids[i] === ids[i + 1]) ids[i + 1] = (ids[i] + 1) % 4;
    const batch = { ...setup.batches[0], expertIds: ids };
    await setup.gradients(batch);
    const analytic = setup.parameters.map((p) => parameterOf(p).gradient.slice());
    const epsilon = 1e-5;
    for (const [index, parameter] of setup.parameters.entries()) {
      const { values, name } = parameterOf(parameter);
      // Along a random direction of the whole tensor: one number stands for all of its entries.
      const direction = Float64Array.from(values, (_, i) => Math.sin(i * 12.9898 + index));
      const kept = values.slice();
      const shifted = async (sign: number): Promise<number> => {
        for (let i = 0; i < values.length; i++) values[i] = kept[i] + sign * epsilon * direction[i];
        return setup.gradients(batch);
      };
      const numeric = ((await shifted(1)) - (await shifted(-1))) / (2 * epsilon);
      values.set(kept);
      const wanted = direction.reduce((sum, along, i) => sum + along * analytic[index][i], 0);
      const scale = Math.hypot(...analytic[index]);
      expect(Math.abs(numeric - wanted) / scale, `${index} ${name}: ${numeric} against ${wanted}`).toBeLessThan(1e-6);
    }
  });

  it('runs forward as inference does', async () => {
    const setup = new Setup();
    const model = createModel(setup.checkpoint, setup.trainer);
    const cache = model.cache({ pageTokens: PAGE, fullPages: 6, slidingPages: 6, type: 'f32' });
    const lane = model.lane({ rows: ROWS * LENGTH, scored: ROWS * LENGTH }, cache);
    for (const [b, batch] of setup.batches.entries()) {
      await lane.run({ ...batch, scored: Int32Array.from(batch.tokens.keys()) });
      const logits = Array.from({ length: ROWS * LENGTH }, (_, row) => Array.from(lane.logits(row))).flat();
      const wanted = setup.expected.floats(`batch${b}.logits`);
      expect(largestDifference(logits, wanted)).toBeLessThanOrEqual(1e-4);
    }
  });
});
