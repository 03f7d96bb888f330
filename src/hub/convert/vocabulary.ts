// Tokenizer and configuration as they are written in the other container: tokenizer.json ↔ GGUF arrays, config.json ↔ GGUF
// keys. Token strings stay in GPT-2's byte alphabet, in which both containers store them.

import { GptOssError } from '../../errors.ts';
import type { Checkpoint } from '../../formats/checkpoint.ts';
import type { ModelConfig } from '../../formats/config.ts';
import type { GgufFile } from '../../formats/gguf.ts';
import type { FieldToWrite } from '../../formats/gguf-write.ts';

export interface WrittenVocabulary {
  readonly tokens: readonly (string | null)[]; // by id, in the byte alphabet
  readonly merges: readonly string[]; // "a b"
  readonly special: readonly { readonly id: number; readonly text: string }[];
  readonly pattern: string | null; // of tokenizer.json
}

type Json = Record<string, unknown>;

const NORMAL = 1;
const CONTROL = 3;
const USER_DEFINED = 4;
const UNUSED = 5;

/** o200k's expression, as tokenizer.json of the published models writes it (model-spec §3.1). */
const O200K_PATTERN = [
  "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
  "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
  '\\p{N}{1,3}',
  ' ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*',
  '\\s*[\\r\\n]+',
  '\\s+(?!\\S)',
  '\\s+',
].join('|');

export function vocabularyFromJson(json: Json): WrittenVocabulary {
  const model = json['model'] as {
    vocab: Record<string, number>;
    merges: readonly (string | readonly [string, string])[];
  };
  const tokens: (string | null)[] = [];
  for (const [text, id] of Object.entries(model.vocab)) tokens[id] = text;
  const added = (json['added_tokens'] ?? []) as readonly { id: number; content: string }[];
  const pre = json['pre_tokenizer'] as {
    pretokenizers?: readonly { pattern?: { Regex?: string } }[];
    pattern?: { Regex?: string };
  };
  return {
    tokens: Array.from(tokens, (t) => t ?? null),
    merges: model.merges.map((m) => (typeof m === 'string' ? m : m.join(' '))),
    special: added.map(({ id, content }) => ({ id, text: content })),
    pattern: [pre, ...(pre.pretokenizers ?? [])].map((p) => p.pattern?.Regex).find((p) => p !== undefined) ?? null,
  };
}

export function vocabularyFromGguf(gguf: GgufFile): WrittenVocabulary {
  const array = (key: string) => {
    const value = gguf.fields.get(key)?.value;
    if (typeof value !== 'object')
      throw new GptOssError(
        'bad-tokenizer',
        `${key} is missing; expected a GGUF file with its vocabulary; get a complete one`,
      );
    return value;
  };
  const words = array('tokenizer.ggml.tokens').strings();
  const types = array('tokenizer.ggml.token_type').numbers();
  const special: { id: number; text: string }[] = [];
  const tokens = words.map((text, id) => {
    if (types[id] === CONTROL || types[id] === USER_DEFINED) special.push({ id, text });
    return types[id] === NORMAL ? text : null;
  });
  return { tokens, merges: array('tokenizer.ggml.merges').strings(), special, pattern: null };
}

export function vocabularyToJson(v: WrittenVocabulary): Json {
  const vocab: Record<string, number> = {};
  for (const [id, text] of v.tokens.entries()) if (text !== null) vocab[text] = id;
  const split = { type: 'Split', pattern: { Regex: v.pattern ?? O200K_PATTERN }, behavior: 'Isolated', invert: false };
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false };
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: v.special.map(({ id, text }) => ({
      id,
      content: text,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: { type: 'Sequence', pretokenizers: [split, byteLevel] },
    post_processor: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: false, use_regex: true },
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: true,
      vocab,
      merges: v.merges.map((m) => m.split(' ')),
    },
  };
}

function idOf(v: WrittenVocabulary, text: string): number | undefined {
  return v.special.find((s) => s.text === text)?.id;
}

export function ggufFields(
  checkpoint: Checkpoint,
  v: WrittenVocabulary,
  name: string,
  fileType: number,
): Map<string, FieldToWrite> {
  const c = checkpoint.config;
  const text = (value: string): FieldToWrite => ({ type: 'string', value });
  const u32 = (value: number): FieldToWrite => ({ type: 'u32', value });
  const f32 = (value: number): FieldToWrite => ({ type: 'f32', value });
  const tokens = Array.from({ length: c.vocab }, (_, id) => v.tokens[id] ?? `[PAD${id}]`);
  const types = Int32Array.from({ length: c.vocab }, (_, id) => (v.tokens[id] == null ? UNUSED : NORMAL));
  for (const { id, text: content } of v.special) {
    tokens[id] = content;
    types[id] = CONTROL;
  }
  const fields = new Map<string, FieldToWrite>([
    ['general.architecture', text('gpt-oss')],
    ['general.type', text('model')],
    ['general.name', text(name)],
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
    ['gpt-oss.rope.scaling.type', text(c.rope.factor === 1 ? 'none' : 'yarn')],
    ['gpt-oss.rope.scaling.factor', f32(c.rope.factor)],
    ['gpt-oss.rope.scaling.original_context_length', u32(c.rope.originalContext)],
    ['gpt-oss.rope.scaling.yarn_beta_fast', f32(c.rope.betaFast)],
    ['gpt-oss.rope.scaling.yarn_beta_slow', f32(c.rope.betaSlow)],
    ['tokenizer.ggml.model', text('gpt2')],
    ['tokenizer.ggml.pre', text('gpt-4o')],
    ['tokenizer.ggml.tokens', { type: 'array', element: 'string', values: tokens }],
    ['tokenizer.ggml.token_type', { type: 'array', element: 'i32', values: types }],
    ['tokenizer.ggml.merges', { type: 'array', element: 'string', values: v.merges }],
  ]);
  for (const [key, special] of [
    ['bos', '<|startoftext|>'],
    ['eos', '<|return|>'],
    ['padding', '<|endoftext|>'],
  ]) {
    const id = idOf(v, special);
    if (id !== undefined) fields.set(`tokenizer.ggml.${key}_token_id`, u32(id));
  }
  if (checkpoint.chatTemplate !== null) fields.set('tokenizer.chat_template', text(checkpoint.chatTemplate));
  fields.set('general.quantization_version', u32(2));
  fields.set('general.file_type', u32(fileType));
  return fields;
}

/** config.json as published; numbers of this model. */
export function huggingFaceConfig(
  c: ModelConfig,
  v: WrittenVocabulary | null,
  expertType: 'mxfp4' | 'bf16' = 'mxfp4',
): Json {
  const eos = v === null ? undefined : idOf(v, '<|return|>');
  const pad = v === null ? undefined : idOf(v, '<|endoftext|>');
  return {
    architectures: ['GptOssForCausalLM'],
    attention_bias: true,
    attention_dropout: 0.0,
    ...(eos !== undefined && { eos_token_id: eos }),
    experts_per_token: c.expertsPerToken,
    head_dim: c.headDim,
    hidden_act: 'silu',
    hidden_size: c.hidden,
    initial_context_length: c.rope.originalContext,
    initializer_range: 0.02,
    intermediate_size: c.intermediate,
    layer_types: c.sliding.map((s) => (s ? 'sliding_attention' : 'full_attention')),
    max_position_embeddings: c.maxContext,
    model_type: 'gpt_oss',
    num_attention_heads: c.heads,
    num_experts_per_tok: c.expertsPerToken,
    num_hidden_layers: c.layers,
    num_key_value_heads: c.kvHeads,
    num_local_experts: c.experts,
    output_router_logits: false,
    ...(pad !== undefined && { pad_token_id: pad }),
    ...(expertType === 'mxfp4' && {
      quantization_config: {
        modules_to_not_convert: [
          'model.layers.*.self_attn',
          'model.layers.*.mlp.router',
          'model.embed_tokens',
          'lm_head',
        ],
        quant_method: 'mxfp4',
      },
    }),
    rms_norm_eps: short(c.rmsEps),
    rope_scaling: {
      beta_fast: c.rope.betaFast,
      beta_slow: c.rope.betaSlow,
      factor: c.rope.factor,
      original_max_position_embeddings: c.rope.originalContext,
      rope_type: 'yarn',
      truncate: false,
    },
    rope_theta: c.ropeTheta,
    sliding_window: c.slidingWindow,
    swiglu_limit: c.swigluLimit,
    tie_word_embeddings: false,
    use_cache: true,
    vocab_size: c.vocab,
  };
}

export function originalConfig(c: ModelConfig): Json {
  return {
    num_hidden_layers: c.layers,
    num_experts: c.experts,
    experts_per_token: c.expertsPerToken,
    vocab_size: c.vocab,
    hidden_size: c.hidden,
    intermediate_size: c.intermediate,
    swiglu_limit: c.swigluLimit,
    head_dim: c.headDim,
    num_attention_heads: c.heads,
    num_key_value_heads: c.kvHeads,
    sliding_window: c.slidingWindow,
    initial_context_length: c.rope.originalContext,
    rope_theta: c.ropeTheta,
    rope_scaling_factor: c.rope.factor,
    rope_ntk_alpha: c.rope.betaSlow,
    rope_ntk_beta: c.rope.betaFast,
  };
}

/** GGUF stores float32: 9.999999747378752e-6 was written as 1e-5. */
function short(value: number): number {
  return Number(value.toPrecision(7));
}
