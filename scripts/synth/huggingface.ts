// A stand-in as a Hugging Face folder: shards with the published odd numbers (from 00000, "of" the last number), index,
// configuration and tokenizer files.

import type { ByteSink } from '../../src/formats/bytes.ts';
import type { ModelConfig } from '../../src/formats/config.ts';
import { type TensorToWrite, tensorBytes, writeSafetensors } from '../../src/formats/safetensors-write.ts';
import { huggingFaceTensorPlan } from './tensors.ts';
import type { Vocabulary } from './vocabulary.ts';
import type { WeightSource } from './weights.ts';

const SHARD_BYTES = 4.8e9;

const O200K_PATTERN = [
  "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
  "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
  '\\p{N}{1,3}',
  ' ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*',
  '\\s*[\\r\\n]+',
  '\\s+(?!\\S)',
  '\\s+',
].join('|');

const safetensorsWord = {
  f32: 'F32',
  bf16: 'BF16',
  q8_0: '',
  mxfp4: '',
  'mxfp4-data': 'U8',
  'mxfp4-scales': 'U8',
} as const;

export function configJson(c: ModelConfig): Record<string, unknown> {
  return {
    architectures: ['GptOssForCausalLM'],
    attention_bias: true,
    attention_dropout: 0,
    eos_token_id: 200_002,
    experts_per_token: c.expertsPerToken,
    head_dim: c.headDim,
    hidden_act: 'silu',
    hidden_size: c.hidden,
    initial_context_length: c.rope.originalContext,
    initializer_range: 0.02,
    intermediate_size: c.intermediate,
    layer_types: c.sliding.map((sliding) => (sliding ? 'sliding_attention' : 'full_attention')),
    max_position_embeddings: c.maxContext,
    model_type: 'gpt_oss',
    num_attention_heads: c.heads,
    num_experts_per_tok: c.expertsPerToken,
    num_hidden_layers: c.layers,
    num_key_value_heads: c.kvHeads,
    num_local_experts: c.experts,
    output_router_logits: false,
    pad_token_id: 199_999,
    quantization_config: {
      modules_to_not_convert: [
        'model.layers.*.self_attn',
        'model.layers.*.mlp.router',
        'model.embed_tokens',
        'lm_head',
      ],
      quant_method: 'mxfp4',
    },
    rms_norm_eps: c.rmsEps,
    rope_scaling: {
      beta_fast: c.rope.betaFast,
      beta_slow: c.rope.betaSlow,
      factor: c.rope.factor,
      original_max_position_embeddings: c.rope.originalContext,
      rope_type: 'yarn',
      truncate: false,
    },
    rope_theta: c.ropeTheta,
    router_aux_loss_coef: 0.9,
    sliding_window: c.slidingWindow,
    swiglu_limit: c.swigluLimit,
    tie_word_embeddings: false,
    use_cache: true,
    vocab_size: c.vocab,
  };
}

export function tokenizerJson(vocabulary: Vocabulary): Record<string, unknown> {
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false };
  const plain = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: vocabulary.special.map(({ id, content }) => ({ id, content, ...plain })),
    normalizer: null,
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Split', pattern: { Regex: O200K_PATTERN }, behavior: 'Isolated', invert: false },
        byteLevel,
      ],
    },
    post_processor: { ...byteLevel, add_prefix_space: true, trim_offsets: false, use_regex: true },
    decoder: { ...byteLevel, add_prefix_space: true, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: true,
      vocab: Object.fromEntries(vocabulary.tokens.map((token, id) => [token, id])),
      merges: vocabulary.merges,
    },
  };
}

/** `create` opens one file of the folder for writing. */
export function writeHuggingFaceStandIn(
  create: (name: string) => ByteSink,
  c: ModelConfig,
  vocabulary: Vocabulary,
  template: string,
  weights: WeightSource,
): void {
  const tensors: TensorToWrite[] = huggingFaceTensorPlan(c).map(({ name, shape, role, stored }) => {
    const dtype = safetensorsWord[stored];
    return { name, shape, dtype, chunks: () => weights.draw(role, stored, tensorBytes({ dtype, shape })) };
  });
  const shards: TensorToWrite[][] = [[]];
  let used = 0;
  let total = 0;
  for (const tensor of tensors) {
    const bytes = tensorBytes(tensor);
    if (used + bytes > SHARD_BYTES) {
      shards.push([]);
      used = 0;
    }
    shards[shards.length - 1].push(tensor);
    used += bytes;
    total += bytes;
  }
  const five = (n: number): string => String(n).padStart(5, '0');
  const shardName = (i: number): string => `model-${five(i)}-of-${five(shards.length - 1)}.safetensors`;
  const write = (name: string, fill: (sink: ByteSink) => void): void => {
    const sink = create(name);
    try {
      fill(sink);
    } catch (cause) {
      sink.discard();
      throw cause;
    }
    sink.finish();
  };
  const text = (name: string, content: string): void =>
    write(name, (sink) => sink.write(new TextEncoder().encode(content)));
  const json = (name: string, value: unknown): void => text(name, `${JSON.stringify(value, null, 1)}\n`);

  const weightMap: Record<string, string> = {};
  shards.forEach((shard, i) => {
    write(shardName(i), (sink) => writeSafetensors(sink, shard));
    for (const tensor of shard) weightMap[tensor.name] = shardName(i);
  });
  json('model.safetensors.index.json', { metadata: { total_size: total }, weight_map: weightMap });
  json('config.json', configJson(c));
  json('generation_config.json', {
    bos_token_id: 199_998,
    do_sample: true,
    eos_token_id: [200_002, 199_999, 200_012],
    pad_token_id: 199_999,
  });
  text('chat_template.jinja', template);
  json('tokenizer.json', tokenizerJson(vocabulary));
}
