// For tests: small valid checkpoints in memory, raw bytes with any lie in them, and the one rule for bad input: a
// GptOssError with a code and a message of three parts, nothing else.

import { expect } from 'vitest';
import { type ErrorCode, GptOssError } from '../errors.ts';
import { bytesToAlphabet } from './byte-alphabet.ts';
import { memorySink } from './bytes.ts';
import type { Checkpoint } from './checkpoint.ts';
import { type FieldToWrite, type GgufTensorToWrite, ggufTensorBytes, writeGguf } from './gguf-write.ts';
import { memoryFolder } from './memory-folder.ts';
import { openCheckpointIn } from './open.ts';
import { type TensorToWrite, tensorBytes, writeSafetensors } from './safetensors-write.ts';

/** Appends little-endian values, true or not. */
export class RawBytes {
  private readonly parts: Uint8Array[] = [];

  bytes(...values: number[]): this {
    this.parts.push(Uint8Array.from(values));
    return this;
  }
  zeros(count: number): this {
    this.parts.push(new Uint8Array(count));
    return this;
  }
  u32(value: number): this {
    const b = new Uint8Array(4);
    new DataView(b.buffer).setUint32(0, value, true);
    this.parts.push(b);
    return this;
  }
  u64(value: number | bigint): this {
    const b = new Uint8Array(8);
    new DataView(b.buffer).setBigUint64(0, BigInt(value), true);
    this.parts.push(b);
    return this;
  }
  text(value: string): this {
    this.parts.push(new TextEncoder().encode(value));
    return this;
  }
  /** A GGUF string: length, then bytes. */
  string(value: string): this {
    const b = new TextEncoder().encode(value);
    this.u64(b.length);
    this.parts.push(b);
    return this;
  }
  done(): Uint8Array {
    const all = new Uint8Array(this.parts.reduce((n, p) => n + p.length, 0));
    let at = 0;
    for (const p of this.parts) {
      all.set(p, at);
      at += p.length;
    }
    return all;
  }
}

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

/** `run` must throw one clear line. */
export function expectRefusal(run: () => unknown, code: ErrorCode | readonly ErrorCode[], text?: RegExp): void {
  let error: unknown;
  try {
    run();
  } catch (e) {
    error = e;
  }
  expect(error, 'nothing was refused').toBeDefined();
  if (!(error instanceof GptOssError)) throw error;
  expect(typeof code === 'string' ? [code] : code).toContain(error.code);
  expect(error.message).not.toMatch(/[\n\r]/);
  expect(error.message.length).toBeLessThan(700);
  expect(error.message.split(';').length, error.message).toBeGreaterThanOrEqual(2);
  if (text !== undefined) expect(error.message).toMatch(text);
}

export const tinyShape = { hidden: 64, heads: 4, kvHeads: 2, headDim: 16, experts: 4, intermediate: 32, vocab: 288 };
const SPECIALS = [
  '<|startoftext|>',
  '<|endoftext|>',
  '<|return|>',
  '<|constrain|>',
  '<|channel|>',
  '<|start|>',
  '<|end|>',
  '<|message|>',
  '<|call|>',
];
const byteTokens = Array.from({ length: 256 }, (_, b) => bytesToAlphabet(Uint8Array.of(b)));

/** Deterministic bytes that make finite small floats in every type used here. */
function* filling(dtype: string, length: number): Iterable<Uint8Array> {
  const out = new Uint8Array(length);
  for (let i = 0; i < length; i++)
    out[i] = dtype === 'U8' || dtype === 'mxfp4' ? 118 + (i % 5) : i % 4 === 3 || i % 4 === 1 ? 0x3c : (i * 37) & 255;
  yield out;
}

export function tinyGgufFields(): Map<string, FieldToWrite> {
  const s = tinyShape;
  const u32 = (value: number): FieldToWrite => ({ type: 'u32', value });
  return new Map<string, FieldToWrite>([
    ['general.architecture', { type: 'string', value: 'gpt-oss' }],
    ['gpt-oss.block_count', u32(1)],
    ['gpt-oss.context_length', u32(256)],
    ['gpt-oss.embedding_length', u32(s.hidden)],
    ['gpt-oss.feed_forward_length', u32(s.intermediate)],
    ['gpt-oss.attention.head_count', u32(s.heads)],
    ['gpt-oss.attention.head_count_kv', u32(s.kvHeads)],
    ['gpt-oss.attention.key_length', u32(s.headDim)],
    ['gpt-oss.attention.sliding_window', u32(16)],
    ['gpt-oss.expert_count', u32(s.experts)],
    ['gpt-oss.expert_used_count', u32(2)],
    ['gpt-oss.rope.freq_base', { type: 'f32', value: 150000 }],
    ['gpt-oss.attention.layer_norm_rms_epsilon', { type: 'f32', value: 1e-5 }],
    ['tokenizer.ggml.model', { type: 'string', value: 'gpt2' }],
    ['tokenizer.ggml.tokens', { type: 'array', element: 'string', values: [...byteTokens, ...SPECIALS] }],
    [
      'tokenizer.ggml.token_type',
      { type: 'array', element: 'i32', values: [...byteTokens.map(() => 1), ...SPECIALS.map(() => 3)] },
    ],
    ['tokenizer.ggml.merges', { type: 'array', element: 'string', values: [] }],
    ['tokenizer.ggml.eos_token_id', u32(258)],
  ]);
}

export function tinyGgufTensors(): GgufTensorToWrite[] {
  const s = tinyShape;
  const q = s.heads * s.headDim;
  const kv = s.kvHeads * s.headDim;
  const f32 = (name: string, ...shape: number[]): GgufTensorToWrite => plan(name, 'f32', shape);
  const plan = (name: string, dtype: GgufTensorToWrite['dtype'], shape: number[]): GgufTensorToWrite => ({
    name,
    dtype,
    shape,
    chunks: () => filling(dtype, ggufTensorBytes({ dtype, shape })),
  });
  return [
    plan('token_embd.weight', 'bf16', [s.vocab, s.hidden]),
    f32('output_norm.weight', s.hidden),
    plan('output.weight', 'bf16', [s.vocab, s.hidden]),
    f32('blk.0.attn_norm.weight', s.hidden),
    plan('blk.0.attn_q.weight', 'bf16', [q, s.hidden]),
    f32('blk.0.attn_q.bias', q),
    plan('blk.0.attn_k.weight', 'bf16', [kv, s.hidden]),
    f32('blk.0.attn_k.bias', kv),
    plan('blk.0.attn_v.weight', 'bf16', [kv, s.hidden]),
    f32('blk.0.attn_v.bias', kv),
    plan('blk.0.attn_output.weight', 'bf16', [s.hidden, q]),
    f32('blk.0.attn_output.bias', s.hidden),
    f32('blk.0.attn_sinks.weight', s.heads),
    f32('blk.0.post_attention_norm.weight', s.hidden),
    f32('blk.0.ffn_gate_inp.weight', s.experts, s.hidden),
    f32('blk.0.ffn_gate_inp.bias', s.experts),
    plan('blk.0.ffn_gate_exps.weight', 'mxfp4', [s.experts, s.intermediate, s.hidden]),
    f32('blk.0.ffn_gate_exps.bias', s.experts, s.intermediate),
    plan('blk.0.ffn_up_exps.weight', 'mxfp4', [s.experts, s.intermediate, s.hidden]),
    f32('blk.0.ffn_up_exps.bias', s.experts, s.intermediate),
    plan('blk.0.ffn_down_exps.weight', 'mxfp4', [s.experts, s.hidden, s.intermediate]),
    f32('blk.0.ffn_down_exps.bias', s.experts, s.hidden),
  ];
}

export function ggufBytes(fields = tinyGgufFields(), tensors = tinyGgufTensors()): Uint8Array {
  const sink = memorySink();
  writeGguf(sink, fields, tensors);
  return sink.bytes();
}

export function openBytes(bytes: Uint8Array, name = 'model.gguf'): Checkpoint {
  return openCheckpointIn(memoryFolder('folder', new Map([[name, bytes]])), name);
}

export function tinyConfigJson(): Record<string, unknown> {
  const s = tinyShape;
  return {
    model_type: 'gpt_oss',
    num_hidden_layers: 1,
    hidden_size: s.hidden,
    num_attention_heads: s.heads,
    num_key_value_heads: s.kvHeads,
    head_dim: s.headDim,
    num_local_experts: s.experts,
    num_experts_per_tok: 2,
    intermediate_size: s.intermediate,
    vocab_size: s.vocab,
    sliding_window: 16,
    max_position_embeddings: 256,
    rope_theta: 150000,
    rope_scaling: { rope_type: 'yarn', factor: 4, original_max_position_embeddings: 64, beta_fast: 32, beta_slow: 1 },
    rms_norm_eps: 1e-5,
    swiglu_limit: 7,
    eos_token_id: 258,
  };
}

export function tinyTokenizerJson(): Record<string, unknown> {
  return {
    version: '1.0',
    added_tokens: SPECIALS.map((content, i) => ({ id: 256 + i, content, special: true })),
    normalizer: null,
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Split', pattern: { Regex: '\\p{L}+|\\P{L}' } },
        { type: 'ByteLevel', use_regex: false },
      ],
    },
    model: { type: 'BPE', vocab: Object.fromEntries(byteTokens.map((t, id) => [t, id])), merges: [] },
  };
}

export function tinySafetensors(): TensorToWrite[] {
  const s = tinyShape;
  const q = s.heads * s.headDim;
  const kv = s.kvHeads * s.headDim;
  const plan = (name: string, dtype: string, shape: number[]): TensorToWrite => ({
    name,
    dtype,
    shape,
    chunks: () => filling(dtype, tensorBytes({ dtype, shape })),
  });
  const bf16 = (name: string, ...shape: number[]): TensorToWrite => plan(name, 'BF16', shape);
  const p = 'model.layers.0.';
  return [
    bf16('model.embed_tokens.weight', s.vocab, s.hidden),
    bf16('model.norm.weight', s.hidden),
    bf16('lm_head.weight', s.vocab, s.hidden),
    bf16(`${p}input_layernorm.weight`, s.hidden),
    bf16(`${p}self_attn.q_proj.weight`, q, s.hidden),
    bf16(`${p}self_attn.q_proj.bias`, q),
    bf16(`${p}self_attn.k_proj.weight`, kv, s.hidden),
    bf16(`${p}self_attn.k_proj.bias`, kv),
    bf16(`${p}self_attn.v_proj.weight`, kv, s.hidden),
    bf16(`${p}self_attn.v_proj.bias`, kv),
    bf16(`${p}self_attn.o_proj.weight`, s.hidden, q),
    bf16(`${p}self_attn.o_proj.bias`, s.hidden),
    bf16(`${p}self_attn.sinks`, s.heads),
    bf16(`${p}post_attention_layernorm.weight`, s.hidden),
    bf16(`${p}mlp.router.weight`, s.experts, s.hidden),
    bf16(`${p}mlp.router.bias`, s.experts),
    plan(`${p}mlp.experts.gate_up_proj_blocks`, 'U8', [s.experts, 2 * s.intermediate, s.hidden / 32, 16]),
    plan(`${p}mlp.experts.gate_up_proj_scales`, 'U8', [s.experts, 2 * s.intermediate, s.hidden / 32]),
    bf16(`${p}mlp.experts.gate_up_proj_bias`, s.experts, 2 * s.intermediate),
    plan(`${p}mlp.experts.down_proj_blocks`, 'U8', [s.experts, s.hidden, s.intermediate / 32, 16]),
    plan(`${p}mlp.experts.down_proj_scales`, 'U8', [s.experts, s.hidden, s.intermediate / 32]),
    bf16(`${p}mlp.experts.down_proj_bias`, s.experts, s.hidden),
  ];
}

export function safetensorsBytes(tensors = tinySafetensors()): Uint8Array {
  const sink = memorySink();
  writeSafetensors(sink, tensors);
  return sink.bytes();
}

export function tinyFolder(
  changes: Readonly<Record<string, Uint8Array | Record<string, unknown> | null>> = {},
): Map<string, Uint8Array> {
  const files = new Map([
    ['config.json', utf8(JSON.stringify(tinyConfigJson()))],
    ['tokenizer.json', utf8(JSON.stringify(tinyTokenizerJson()))],
    ['model.safetensors', safetensorsBytes()],
  ]);
  for (const [name, change] of Object.entries(changes)) {
    if (change === null) files.delete(name);
    else files.set(name, change instanceof Uint8Array ? change : utf8(JSON.stringify(change)));
  }
  return files;
}

export function openTinyFolder(
  changes: Readonly<Record<string, Uint8Array | Record<string, unknown> | null>> = {},
): Checkpoint {
  return openCheckpointIn(memoryFolder('folder', tinyFolder(changes)));
}
