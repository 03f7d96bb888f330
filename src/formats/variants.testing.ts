// For tests: the tiny model in every element type and layout that its sizes allow, as bytes of files. Used here to check
// weights, and by suites that run the model.

import { readFileSync } from 'node:fs';
import { sharedPath } from '../../test/shared.ts';
import { memorySource } from './bytes.ts';
import { openCheckpoint } from './checkpoint.node.ts';
import { readGguf } from './gguf.ts';
import { copyField, type FieldToWrite, type GgufTensorToWrite } from './gguf-write.ts';
import { ggufBytes, safetensorsBytes, utf8 } from './hostile.testing.ts';
import { allIn, encode, expertsIn, kMixture, type Mixture, requantize, transposeInto } from './requantize.testing.ts';
import type { TensorToWrite } from './safetensors-write.ts';
import type { DType } from './tensor.ts';

/** Mixtures as they are published (model-spec §2.6, §2.7), and experts in the types that re-quantised files use. */
export const mixtures: readonly (readonly [name: string, mixture: Mixture])[] = [
  ['F32', allIn('f32')],
  ['F16', allIn('f16')],
  ['Q8_0', allIn('q8_0')],
  ['Q4_0', allIn('q4_0')],
  ['Q4_1', allIn('q4_1')],
  ['Q5_0', allIn('q5_0')],
  ['Q5_1', allIn('q5_1')],
  ['IQ4_NL', allIn('iq4_nl')],
  ['Q2_K', kMixture('q2_k', 'q4_0')],
  ['Q3_K', kMixture('q3_k', 'q4_0')],
  ['Q4_K', kMixture('q4_k', 'q5_0')],
  ['Q5_K', kMixture('q5_k', 'q5_1')],
  ['Q6_K', kMixture('q6_k', 'q8_0')],
  ...(['f32', 'f16', 'bf16', 'q8_0', 'q5_0', 'q5_1', 'q4_0', 'q4_1', 'iq4_nl'] as DType[]).map(
    (dtype) => [`experts ${dtype}`, expertsIn(dtype)] as const,
  ),
];

export const tinyPath = (): string => sharedPath('models', 'seed-tiny', 'seed-tiny.gguf');

const readWhole = (path: string) => readGguf(memorySource('model.gguf', new Uint8Array(readFileSync(path))));

/** A GGUF file again with other element types. */
export const inMixture = (path: string, mixture: Mixture): Uint8Array => requantize(readWhole(path), mixture);

/** The tiny model in `count` parts. */
export function tinySplit(count: number): Map<string, Uint8Array> {
  const gguf = readWhole(tinyPath());
  const tensors: GgufTensorToWrite[] = gguf.entries.map((e) => ({
    name: e.name,
    dtype: e.element!,
    shape: e.shape,
    chunks: () => [e.source.read(e.offset, e.length)],
  }));
  const five = (n: number): string => String(n).padStart(5, '0');
  const parts = new Map<string, Uint8Array>();
  for (let i = 0; i < count; i++) {
    const fields = new Map<string, FieldToWrite>(
      i === 0 ? [...gguf.fields].map(([k, f]) => [k, copyField(f)] as const) : [],
    );
    fields.set('split.no', { type: 'u16', value: i });
    fields.set('split.count', { type: 'u16', value: count });
    fields.set('split.tensors.count', { type: 'i32', value: tensors.length });
    const from = Math.floor((i * tensors.length) / count);
    const to = Math.floor(((i + 1) * tensors.length) / count);
    parts.set(`tiny-${five(i + 1)}-of-${five(count)}.gguf`, ggufBytes(fields, tensors.slice(from, to)));
  }
  return parts;
}

/** A Hugging Face folder with its experts dequantised to `dtype` and transposed. */
export function dequantised(path: string, dtype: 'BF16' | 'F16' | 'F32'): Map<string, Uint8Array> {
  const c = openCheckpoint(path);
  const element = { BF16: 'bf16', F16: 'f16', F32: 'f32' }[dtype] as DType;
  const tensors: TensorToWrite[] = c.entries
    .filter((e) => !/_(blocks|scales)$/.test(e.name))
    .map((e) => {
      const bytes = e.source.read(e.offset, e.length);
      return { name: e.name, dtype: e.dtype, shape: e.shape, chunks: () => [bytes] };
    });
  c.tensors.layers.forEach(({ gate, up, down }, i) => {
    const { experts, rows, cols } = gate;
    const gateUp = new Float32Array(2 * experts * rows * cols);
    transposeInto(gate, gateUp, 0, 2);
    transposeInto(up, gateUp, 1, 2);
    const downs = new Float32Array(experts * down.rows * down.cols);
    transposeInto(down, downs, 0, 1);
    const prefix = `model.layers.${i}.mlp.experts.`;
    tensors.push(
      {
        name: `${prefix}gate_up_proj`,
        dtype,
        shape: [experts, cols, 2 * rows],
        chunks: () => [encode(element, gateUp)],
      },
      {
        name: `${prefix}down_proj`,
        dtype,
        shape: [experts, down.cols, down.rows],
        chunks: () => [encode(element, downs)],
      },
    );
  });
  const config = { ...(c.metadata['config'] as Record<string, unknown>) };
  delete config['quantization_config'];
  const files = new Map([
    ['config.json', utf8(JSON.stringify(config))],
    ['model.safetensors', safetensorsBytes(tensors)],
  ]);
  files.set('tokenizer.json', new Uint8Array(readFileSync(`${path}/tokenizer.json`)));
  files.set('generation_config.json', new Uint8Array(readFileSync(`${path}/generation_config.json`)));
  c.close();
  return files;
}

/** Renames tensors and metadata of mini.gguf to each of the layouts that Ollama wrote, and fuses what that one fused. */
export function ollamaVariant(period: '2025-08-hf' | '2025-10' | '2026-05'): Uint8Array {
  const gguf = readWhole(sharedPath('fixtures', 'mini.gguf'));
  const tensors: GgufTensorToWrite[] = [];
  const byName = new Map(gguf.entries.map((e) => [e.name, e]));
  const raw = (name: string): Uint8Array => {
    const e = byName.get(name)!;
    return e.source.read(e.offset, e.length);
  };
  for (const e of gguf.entries) {
    let name = e.name;
    if (period !== '2026-05') {
      name = name
        .replace('attn_output', 'attn_out')
        .replace('attn_sinks.weight', 'attn_sinks')
        .replace('post_attention_norm', 'ffn_norm');
    }
    if (period === '2025-08-hf' && /ffn_up_exps/.test(name)) continue;
    if (period === '2025-08-hf' && /ffn_gate_exps/.test(name)) {
      // Rows of gate and up alternate; of biases, values.
      const isBias = name.endsWith('.bias');
      const rows = isBias ? e.shape[0] * e.shape[1] : e.shape[0] * e.shape[1];
      const width = e.length / rows;
      const [gate, up] = [raw(e.name), raw(e.name.replace('gate', 'up'))];
      const fused = new Uint8Array(2 * e.length);
      for (let r = 0; r < rows; r++) {
        fused.set(gate.subarray(r * width, (r + 1) * width), 2 * r * width);
        fused.set(up.subarray(r * width, (r + 1) * width), (2 * r + 1) * width);
      }
      const shape = e.shape.map((n, i) => (i === 1 ? 2 * n : n));
      tensors.push({
        name: name.replace('gate_exps', 'gate_up_exps'),
        dtype: e.element!,
        shape,
        chunks: () => [fused],
      });
      continue;
    }
    tensors.push({ name, dtype: e.element!, shape: e.shape, chunks: () => [raw(e.name)] });
  }
  const arch = period === '2026-05' ? 'gpt-oss' : 'gptoss';
  const fields = new Map<string, FieldToWrite>();
  for (const [key, field] of gguf.fields) {
    if (period !== '2026-05' && /expert_feed_forward_length|rope\.scaling\.type|ggml\.pre/.test(key)) continue;
    fields.set(key.replace(/^gpt-oss\./, `${arch}.`), copyField(field));
  }
  fields.set('general.architecture', { type: 'string', value: arch });
  fields.set('tokenizer.ggml.eos_token_ids', { type: 'array', element: 'i32', values: [300, 303, 313] });
  return ggufBytes(fields, tensors);
}
