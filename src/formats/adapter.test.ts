// PEFT's own adapter on the mini model against transformers' logits, merged on the fly and as a written folder; the layout's
// sums and scales on small ones; what is refused.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hasShared, sharedPath } from '../../test/shared.ts';
import { ReferenceBackend } from '../backend/reference/reference.ts';
import { GptOssError } from '../errors.ts';
import { convertCheckpoint } from '../hub/convert/convert.ts';
import { Expected, largestDifference, score, TestSequences, testCache } from '../model/golden.testing.ts';
import { createModel } from '../model/load.ts';
import { openAdapter } from './adapter.node.ts';
import { type Adapter, adaptedCheckpoint } from './adapter.ts';
import { endsWithPattern, readAdapter } from './adapter-read.ts';
import { memorySink, memorySource } from './bytes.ts';
import { openCheckpoint } from './checkpoint.node.ts';
import type { Checkpoint } from './checkpoint.ts';
import { decodeMatrix } from './decode.ts';
import { expectRefusal, openTinyFolder, tinyShape } from './hostile.testing.ts';
import { writeSafetensors } from './safetensors-write.ts';

const noAdapter = !hasShared('fixtures', 'mini-lora');
const [base, adapter] = noAdapter
  ? ['', '']
  : [sharedPath('fixtures', 'mini-mxfp4'), sharedPath('fixtures', 'mini-lora')];

async function logitsOf(checkpoint: Checkpoint, expected: Expected): Promise<number> {
  const backend = new ReferenceBackend({ maxRows: 200 });
  const model = createModel(checkpoint, backend);
  const cache = testCache(model, 300);
  const lane = model.lane({ rows: 200, scored: 200 }, cache);
  const logits = await score(lane, new TestSequences(model, cache), expected.integers('input_ids'));
  await model.close();
  return largestDifference(logits, expected.floats('logits'));
}

describe.skipIf(noAdapter)(`an adapter of PEFT${noAdapter ? ' (skipped: ../shared is absent)' : ''}`, () => {
  const expected = noAdapter ? null : new Expected(sharedPath('fixtures', 'mini-lora', 'expected.safetensors'));

  it("gives transformers' logits when it is laid over the model", async () => {
    const checkpoint = openCheckpoint(base);
    const opened = openAdapter(adapter, checkpoint.config);
    expect([opened.touchesExperts, opened.layers.size]).toEqual([true, checkpoint.config.layers]);
    expect(await logitsOf(adaptedCheckpoint(checkpoint, opened), expected!)).toBeLessThan(1e-4);
    checkpoint.close();
  });

  it('is merged into a folder with experts in BF16; other containers would erase it and are refused', () => {
    const folder = mkdtempSync(join(tmpdir(), 'gptoss-adapter-'));
    try {
      const out = join(folder, 'merged');
      convertCheckpoint(base, out, { to: 'huggingface', adapter });
      const [plain, merged] = [openCheckpoint(base), openCheckpoint(out)];
      const laid = adaptedCheckpoint(plain, openAdapter(adapter, plain.config)).tensors;
      for (const [l, layer] of merged.tensors.layers.entries()) {
        for (const name of ['q', 'o', 'router', 'gate', 'up', 'down'] as const) {
          expect(layer[name].dtype).toBe('bf16');
          const [found, wanted] = [decodeMatrix(layer[name]), decodeMatrix(laid.layers[l][name])];
          for (let i = 0; i < wanted.length; i++)
            if (Math.abs(found[i] - wanted[i]) > Math.abs(wanted[i]) / 256)
              expect(found[i], `${l} ${name}`).toBe(wanted[i]);
        }
      }
      expect(JSON.parse(readFileSync(join(out, 'config.json'), 'utf8'))).not.toHaveProperty('quantization_config');
      plain.close();
      merged.close();
      for (const to of ['gguf', 'original'] as const) {
        expectRefusal(() => convertCheckpoint(base, join(folder, to), { to, adapter }), 'invalid-request', /MXFP4/);
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

const { hidden, heads, headDim, experts, intermediate } = tinyShape;
type Values = Readonly<Record<string, readonly [shape: readonly number[], fill: (i: number) => number]>>;

function read(values: Values, config: Record<string, unknown> = {}): Adapter {
  const sink = memorySink();
  writeSafetensors(
    sink,
    Object.entries(values).map(([name, [shape, fill]]) => {
      const floats = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => fill(i));
      return { name, dtype: 'F32', shape, chunks: () => [new Uint8Array(floats.buffer)] };
    }),
  );
  const plain = { peft_type: 'LORA', r: 2, lora_alpha: 6, ...config };
  return readAdapter('a', plain, memorySource('adapter_model.safetensors', sink.bytes()), openTinyFolder().config);
}

const layer0 = 'base_model.model.model.layers.0';
const query: Values = {
  [`${layer0}.self_attn.q_proj.lora_A.weight`]: [[2, hidden], (i) => Math.sin(i)],
  [`${layer0}.self_attn.q_proj.lora_B.weight`]: [[heads * headDim, 2], (i) => Math.cos(i)],
};

describe('an adapter', () => {
  it('adds scale · B A to a projection, and leaves the rest as it is', () => {
    const checkpoint = openTinyFolder();
    const { tensors } = adaptedCheckpoint(checkpoint, read(query));
    expect(tensors.layers[0].k).toBe(checkpoint.tensors.layers[0].k);
    const [before, after] = [checkpoint.tensors.layers[0].q, tensors.layers[0].q].map((m) => decodeMatrix(m));
    for (const i of [0, 5, hidden + 3, before.length - 1]) {
      const [row, col] = [Math.floor(i / hidden), i % hidden];
      const sum = [0, 1].reduce((s, r) => s + Math.cos(row * 2 + r) * Math.sin(r * hidden + col), 0);
      expect(after[i]).toBeCloseTo(before[i] + 3 * sum, 5);
    }
  });

  it.each([
    [{}, 3],
    [{ use_rslora: true }, 6 / Math.sqrt(2)],
    [{ alpha_pattern: { q_proj: 1 } }, 0.5],
    [{ alpha_pattern: { '^model\\.layers\\.\\d+\\.self_attn\\.q_proj$': 8, q_proj: 1 } }, 4],
    [{ alpha_pattern: { 'layers.1.self_attn.q_proj': 1 } }, 3],
  ])('has the scale of %o', (config, scale) => {
    expect(read(query, config).layers.get(0)?.get('q')?.scale).toBeCloseTo(scale, 12);
  });

  it.each(['.base_layer', ''])('knows gate_up_proj by its shape, whatever nests in what (%s)', (nested) => {
    const rank = 3;
    const name = `${layer0}.mlp.experts${nested}.lora_`;
    const { layers, touchesExperts } = read({
      [`${name}A.weight`]: [[rank * experts, hidden], (i) => i],
      [`${name}B.weight`]: [[2 * intermediate, rank * experts], (i) => i],
    });
    expect(touchesExperts).toBe(true);
    const [gate, up] = [layers.get(0)!.get('gate')!, layers.get(0)!.get('up')!];
    const [e, row, r] = [2, 5, 1];
    for (const [part, output] of [
      [gate, 2 * row],
      [up, 2 * row + 1],
    ] as const) {
      expect(part.b[(e * intermediate + row) * rank + r]).toBe(output * rank * experts + r * experts + e);
      expect(part.a[(e * rank + r) * hidden + 7]).toBe((e * rank + r) * hidden + 7);
    }
  });

  it('is refused where it changes what is not understood', () => {
    const other = (name: string): Values => ({ [name]: [[2, hidden], () => 0] });
    const refused = (values: Values, config: Record<string, unknown>, text: RegExp): void =>
      expectRefusal(() => read(values, config), 'bad-checkpoint', text);
    refused(query, { peft_type: 'IA3' }, /IA3/);
    refused(query, { use_dora: true }, /use_dora/);
    refused(query, { modules_to_save: ['lm_head'] }, /modules_to_save/);
    refused(query, { lora_alpha: 'x' }, /lora_alpha/);
    refused(query, { alpha_pattern: { '(a+)+$': 1 } }, /pattern/);
    refused(other('base_model.model.lm_head.lora_A.weight'), {}, /lm_head/);
    refused(other(`${layer0}.self_attn.q_proj.lora_A.weight`), {}, /only one/);
    refused(other(`base_model.model.model.layers.99.self_attn.q_proj.lora_A.weight`), {}, /layers\.99/);
    const swapped = Object.fromEntries(
      Object.entries(query).map(([name, [shape, fill]]) => [name, [shape.toReversed(), fill] as const]),
    );
    refused(swapped, {}, /expected rank/);
    refused({}, {}, /no tensors/);
  });

  it('never fails in another way, whatever its settings say', () => {
    fc.assert(
      fc.property(
        fc.dictionary(
          fc.constantFrom('peft_type', 'lora_alpha', 'alpha_pattern', 'use_rslora', 'bias'),
          fc.jsonValue(),
        ),
        (config) => {
          try {
            read(query, config);
          } catch (error) {
            expect(error).toBeInstanceOf(GptOssError);
          }
        },
      ),
      { numRuns: 200 },
    );
  });

  it('matches names by their end, in linear time', () => {
    expect(endsWithPattern('model.layers.7.self_attn.q_proj', 'q_proj')).toBe(true);
    expect(endsWithPattern('model.layers.7.self_attn.q_proj', '_proj')).toBe(false);
    expect(endsWithPattern('model.layers.17.mlp.experts.down_proj', 'layers.7.mlp.experts.down_proj')).toBe(false);
    expect(endsWithPattern('model.layers.17.mlp.experts.down_proj', 'layers\\.\\d+\\..*down_proj')).toBe(true);
    expect(endsWithPattern('x'.repeat(3000), '.*'.repeat(400))).toBe(true);
  });
});
