// A stand-in as one GGUF file, with the metadata of ggml-org's published ones, so that llama.cpp loads it too.

import type { ByteSink } from '../../src/formats/bytes.ts';
import type { ModelConfig } from '../../src/formats/config.ts';
import { type FieldToWrite, ggufTensorBytes, writeGguf } from '../../src/formats/gguf-write.ts';
import type { DType } from '../../src/formats/tensor.ts';
import { ggufTensorPlan } from './tensors.ts';
import type { Vocabulary } from './vocabulary.ts';
import type { WeightSource } from './weights.ts';

const NORMAL = 1;
const CONTROL = 3;
const UNUSED = 5;

export function ggufFields(
  name: string,
  c: ModelConfig,
  vocabulary: Vocabulary,
  template: string,
): Map<string, FieldToWrite> {
  const text = (value: string): FieldToWrite => ({ type: 'string', value });
  const u32 = (value: number): FieldToWrite => ({ type: 'u32', value });
  const f32 = (value: number): FieldToWrite => ({ type: 'f32', value });
  const tokens: string[] = Array.from({ length: c.vocab }, (_, id) => vocabulary.tokens[id] ?? `[PAD${id}]`);
  const types = Int32Array.from({ length: c.vocab }, (_, id) => (id < vocabulary.tokens.length ? NORMAL : UNUSED));
  for (const { id, content } of vocabulary.special) {
    tokens[id] = content;
    types[id] = CONTROL;
  }
  const idOf = (content: string): number => vocabulary.special.find((s) => s.content === content)!.id;
  return new Map<string, FieldToWrite>([
    ['general.architecture', text('gpt-oss')],
    ['general.type', text('model')],
    ['general.name', text(name)],
    ['general.basename', text('gpt-oss')],
    ['general.size_label', text(c.experts === 32 ? '20B' : '120B')],
    ['general.license', text('apache-2.0')],
    ['gpt-oss.block_count', u32(c.layers)],
    ['gpt-oss.context_length', u32(c.maxContext)],
    ['gpt-oss.embedding_length', u32(c.hidden)],
    ['gpt-oss.feed_forward_length', u32(c.intermediate)],
    ['gpt-oss.attention.head_count', u32(c.heads)],
    ['gpt-oss.attention.head_count_kv', u32(c.kvHeads)],
    ['gpt-oss.rope.freq_base', f32(c.ropeTheta)],
    ['gpt-oss.attention.layer_norm_rms_epsilon', f32(c.rmsEps)],
    ['gpt-oss.expert_count', u32(c.experts)],
    ['gpt-oss.expert_used_count', u32(c.expertsPerToken)],
    ['gpt-oss.attention.key_length', u32(c.headDim)],
    ['gpt-oss.attention.value_length', u32(c.headDim)],
    ['gpt-oss.attention.sliding_window', u32(c.slidingWindow)],
    ['gpt-oss.expert_feed_forward_length', u32(c.intermediate)],
    ['gpt-oss.rope.scaling.type', text('yarn')],
    ['gpt-oss.rope.scaling.factor', f32(c.rope.factor)],
    ['gpt-oss.rope.scaling.original_context_length', u32(c.rope.originalContext)],
    ['tokenizer.ggml.model', text('gpt2')],
    ['tokenizer.ggml.pre', text('gpt-4o')],
    ['tokenizer.ggml.tokens', { type: 'array', element: 'string', values: tokens }],
    ['tokenizer.ggml.token_type', { type: 'array', element: 'i32', values: types }],
    ['tokenizer.ggml.merges', { type: 'array', element: 'string', values: vocabulary.merges.map((m) => m.join(' ')) }],
    ['tokenizer.ggml.bos_token_id', u32(idOf('<|startoftext|>'))],
    ['tokenizer.ggml.eos_token_id', u32(idOf('<|return|>'))],
    ['tokenizer.ggml.padding_token_id', u32(idOf('<|endoftext|>'))],
    ['tokenizer.chat_template', text(template)],
    ['general.quantization_version', u32(2)],
    ['general.file_type', u32(38)],
  ]);
}

export function writeGgufStandIn(
  sink: ByteSink,
  c: ModelConfig,
  fields: ReadonlyMap<string, FieldToWrite>,
  weights: WeightSource,
): void {
  writeGguf(
    sink,
    fields,
    ggufTensorPlan(c).map(({ name, shape, role, stored }) => {
      const dtype = stored as DType;
      return { name, shape, dtype, chunks: () => weights.draw(role, stored, ggufTensorBytes({ dtype, shape })) };
    }),
  );
}
