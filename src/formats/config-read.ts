// Reads ModelConfig from its three spellings: Hugging Face config.json, OpenAI's original/config.json, GGUF metadata.
// Files are hostile: every number has bounds (far above any gpt-oss), and the parts must fit each other. Fine-tunes are
// expected: missing layer_types, rope_parameters in place of rope_scaling, num_experts in place of num_local_experts.
// `truncate` of YaRN is not read: gpt-oss never rounds the bounds (model-spec §1.4). Type: config.ts.

import { GptOssError } from '../errors.ts';
import type { ModelConfig } from './config.ts';
import type { GgufFile, GgufValue } from './gguf.ts';

type Json = Readonly<Record<string, unknown>>;

const SWIGLU_ALPHA = 1.702; // no file states it
const SWIGLU_LIMIT = 7; // GGUF does not state it
const RMS_EPS = 1e-5; // original/config.json does not state it

function bad(file: string, what: string): GptOssError {
  return new GptOssError(
    'bad-checkpoint',
    `${file}: ${what}; expected the configuration of a gpt-oss model; check that the file belongs to the weights`,
  );
}

/** Reads numbers out of one object, with the file's name in each message. */
class Reader {
  readonly file: string;
  readonly json: Json;
  constructor(file: string, json: Json) {
    this.file = file;
    this.json = json;
  }

  has(key: string): boolean {
    return Object.hasOwn(this.json, key) && this.json[key] !== null && this.json[key] !== undefined;
  }

  number(keys: readonly string[], fallback?: number): number {
    for (const key of keys) {
      if (!this.has(key)) continue;
      const value = this.json[key];
      if (typeof value !== 'number' || !Number.isFinite(value)) throw bad(this.file, `${key} is not a finite number`);
      return value;
    }
    if (fallback !== undefined) return fallback;
    throw bad(this.file, `${keys[0]} is missing`);
  }

  object(key: string): Reader | null {
    if (!this.has(key)) return null;
    const value = this.json[key];
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw bad(this.file, `${key} is not an object`);
    return new Reader(this.file, value as Json);
  }
}

const alternating = (layers: number): boolean[] => Array.from({ length: layers }, (_, i) => i % 2 === 0);

export function configFromHuggingFace(json: Json, file: string): ModelConfig {
  const r = new Reader(file, json);
  if (r.has('model_type') && json['model_type'] !== 'gpt_oss')
    throw bad(file, `model_type is ${JSON.stringify(json['model_type'])?.slice(0, 60)}, not "gpt_oss"`);
  const rope = r.object('rope_parameters') ?? r.object('rope_scaling') ?? new Reader(file, {});
  const layers = layerCount(file, r.number(['num_hidden_layers']));
  const hidden = r.number(['hidden_size']);
  const heads = r.number(['num_attention_heads']);
  const kind = rope.json['rope_type'] ?? rope.json['type'] ?? 'default';
  if (kind !== 'yarn' && kind !== 'default')
    throw bad(file, `rope type is ${JSON.stringify(kind)?.slice(0, 60)}, not "yarn"`);
  const factor = kind === 'yarn' ? rope.number(['factor']) : 1;
  const maxContext = r.number(['max_position_embeddings']);
  const originalContext = rope.number(
    ['original_max_position_embeddings'],
    r.number(['initial_context_length'], Math.max(1, Math.floor(maxContext / factor))),
  );
  return checkConfig(
    {
      layers,
      hidden,
      heads,
      kvHeads: r.number(['num_key_value_heads'], heads),
      headDim: r.number(['head_dim'], hidden / heads),
      experts: r.number(['num_local_experts', 'num_experts']),
      expertsPerToken: r.number(['num_experts_per_tok', 'experts_per_token']),
      intermediate: r.number(['intermediate_size']),
      vocab: r.number(['vocab_size']),
      slidingWindow: r.number(['sliding_window']),
      sliding: layerTypes(r, layers),
      ropeTheta: rope.number(['rope_theta'], r.number(['rope_theta'], 150000)),
      rope: {
        factor,
        originalContext,
        betaFast: rope.number(['beta_fast'], 32),
        betaSlow: rope.number(['beta_slow'], 1),
      },
      maxContext,
      rmsEps: r.number(['rms_norm_eps'], RMS_EPS),
      swigluAlpha: SWIGLU_ALPHA,
      swigluLimit: r.number(['swiglu_limit'], SWIGLU_LIMIT),
    },
    file,
  );
}

function layerTypes(r: Reader, layers: number): boolean[] {
  if (!r.has('layer_types')) return alternating(layers);
  const types = r.json['layer_types'];
  if (!Array.isArray(types) || types.length !== layers) throw bad(r.file, `layer_types does not list ${layers} layers`);
  return types.map((type: unknown) => {
    if (type === 'sliding_attention') return true;
    if (type === 'full_attention') return false;
    throw bad(r.file, 'layer_types holds something other than "sliding_attention" and "full_attention"');
  });
}

export function configFromOriginal(json: Json, file: string): ModelConfig {
  const r = new Reader(file, json);
  const layers = layerCount(file, r.number(['num_hidden_layers']));
  const hidden = r.number(['hidden_size']);
  const factor = r.number(['rope_scaling_factor'], 1);
  const originalContext = r.number(['initial_context_length'], 4096);
  return checkConfig(
    {
      layers,
      hidden,
      heads: r.number(['num_attention_heads']),
      kvHeads: r.number(['num_key_value_heads']),
      headDim: r.number(['head_dim']),
      experts: r.number(['num_experts']),
      expertsPerToken: r.number(['experts_per_token', 'num_experts_per_tok']),
      intermediate: r.number(['intermediate_size']),
      vocab: r.number(['vocab_size']),
      slidingWindow: r.number(['sliding_window']),
      sliding: alternating(layers),
      ropeTheta: r.number(['rope_theta'], 150000),
      rope: {
        factor,
        originalContext,
        betaFast: r.number(['rope_ntk_beta'], 32),
        betaSlow: r.number(['rope_ntk_alpha'], 1),
      },
      maxContext: Math.round(originalContext * factor),
      rmsEps: RMS_EPS,
      swigluAlpha: SWIGLU_ALPHA,
      swigluLimit: r.number(['swiglu_limit'], SWIGLU_LIMIT),
    },
    file,
  );
}

/** float32 metadata gets the short decimal it was written from, so that 1e-5 is the same in every container. */
function shortDecimal(value: number): number {
  const short = Number(value.toPrecision(7));
  return Math.fround(short) === value ? short : value;
}

/** `vocab` is the number of embedding rows: GGUF states it only there. */
export function configFromGguf(gguf: GgufFile, vocab: number, file: string): ModelConfig {
  const arch = gguf.fields.get('general.architecture')?.value;
  if (arch !== 'gpt-oss' && arch !== 'gptoss')
    throw bad(
      file,
      `general.architecture is ${typeof arch === 'string' ? JSON.stringify(arch.slice(0, 40)) : 'missing'}, not "gpt-oss"`,
    );
  const values: Record<string, unknown> = Object.create(null);
  for (const [key, field] of gguf.fields) {
    if (!key.startsWith(`${arch}.`)) continue;
    values[key.slice(arch.length + 1)] = field.type === 'f32' ? shortDecimal(field.value as number) : field.value;
  }
  const r = new Reader(file, values);
  const layers = layerCount(file, r.number(['block_count']));
  const hidden = r.number(['embedding_length']);
  const heads = r.number(['attention.head_count']);
  const factor = r.number(['rope.scaling.factor'], 1);
  const maxContext = r.number(['context_length']);
  const headDim = r.number(['attention.key_length', 'rope.dimension_count'], hidden / heads);
  if (r.number(['attention.value_length'], headDim) !== headDim) throw bad(file, 'key and value lengths differ');
  if (r.number(['rope.dimension_count'], headDim) !== headDim)
    throw bad(file, 'rope.dimension_count is not the head dimension');
  if (r.number(['vocab_size'], vocab) !== vocab)
    throw bad(file, `vocab_size is ${r.number(['vocab_size'])}, but the embedding has ${vocab} rows`);
  const scaling = r.json['rope.scaling.type'];
  if (scaling !== undefined && scaling !== 'yarn' && scaling !== 'none')
    throw bad(file, 'rope.scaling.type is not "yarn"');
  return checkConfig(
    {
      layers,
      hidden,
      heads,
      kvHeads: r.number(['attention.head_count_kv'], heads),
      headDim,
      experts: r.number(['expert_count']),
      expertsPerToken: r.number(['expert_used_count']),
      intermediate: r.number(['expert_feed_forward_length', 'feed_forward_length']),
      vocab,
      slidingWindow: r.number(['attention.sliding_window']),
      sliding: ggufPattern(r, layers),
      ropeTheta: r.number(['rope.freq_base'], 150000),
      rope: {
        factor: scaling === 'none' ? 1 : factor,
        originalContext: r.number(
          ['rope.scaling.original_context_length'],
          Math.max(1, Math.floor(maxContext / factor)),
        ),
        betaFast: r.number(['rope.scaling.yarn_beta_fast'], 32),
        betaSlow: r.number(['rope.scaling.yarn_beta_slow'], 1),
      },
      maxContext,
      rmsEps: r.number(['attention.layer_norm_rms_epsilon'], RMS_EPS),
      swigluAlpha: SWIGLU_ALPHA,
      swigluLimit: SWIGLU_LIMIT,
    },
    file,
  );
}

/** A period (every n-th layer is full) or a list of booleans; absent means period 2. */
function ggufPattern(r: Reader, layers: number): boolean[] {
  const key = 'attention.sliding_window_pattern';
  const value = r.json[key] as GgufValue | undefined;
  if (value === undefined) return alternating(layers);
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 1)
    return Array.from({ length: layers }, (_, i) => i % value < value - 1);
  if (typeof value === 'object' && value.type !== 'string' && value.count === layers)
    return Array.from(value.numbers(), (flag) => flag !== 0);
  throw bad(r.file, `${key} is neither a period nor a list of ${layers} flags`);
}

function layerCount(file: string, layers: number): number {
  if (!Number.isSafeInteger(layers) || layers < 1 || layers > 1024)
    throw bad(file, `the number of layers is ${layers}, not 1 to 1024`);
  return layers;
}

/** Bounds: no value that passes can overflow a size computed from it, and none is near a real model's. */
export function checkConfig(config: ModelConfig, file: string): ModelConfig {
  const whole = (name: string, value: number, max: number): void => {
    if (!Number.isSafeInteger(value) || value < 1 || value > max)
      throw bad(file, `${name} is ${value}, not a whole number from 1 to ${max}`);
  };
  const real = (name: string, value: number, min: number, max: number): void => {
    if (!(value >= min && value <= max)) throw bad(file, `${name} is ${value}, not a number from ${min} to ${max}`);
  };
  layerCount(file, config.layers);
  whole('hidden size', config.hidden, 1 << 16);
  whole('number of heads', config.heads, 1 << 12);
  whole('number of key-value heads', config.kvHeads, 1 << 12);
  whole('head dimension', config.headDim, 1 << 12);
  whole('number of experts', config.experts, 1 << 14);
  whole('number of experts per token', config.expertsPerToken, 64);
  whole('intermediate size', config.intermediate, 1 << 18);
  whole('vocabulary size', config.vocab, 1 << 22);
  whole('sliding window', config.slidingWindow, 1 << 30);
  whole('context length', config.maxContext, 1 << 30);
  whole('original context length', config.rope.originalContext, 1 << 30);
  if (config.headDim % 2 !== 0)
    throw bad(file, `head dimension ${config.headDim} is odd; rotary embedding needs pairs`);
  if (config.heads % config.kvHeads !== 0)
    throw bad(file, `${config.heads} heads cannot share ${config.kvHeads} key-value heads`);
  if (config.expertsPerToken > config.experts)
    throw bad(file, `${config.expertsPerToken} experts per token of only ${config.experts}`);
  real('rope theta', config.ropeTheta, 1.001, 1e12);
  real('rope scaling factor', config.rope.factor, 1, 1e6);
  real('beta_fast', config.rope.betaFast, 1e-6, 1e6);
  real('beta_slow', config.rope.betaSlow, 1e-6, 1e6);
  real('RMS epsilon', config.rmsEps, 0, 1);
  real('swiglu limit', config.swigluLimit, 1e-6, 1e6);
  return config;
}
