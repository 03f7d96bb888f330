// adapter_config.json and adapter_model.safetensors to an Adapter. Both are hostile: shapes are compared with the model before
// anything is read, patterns of names are matched in linear time, what is not understood is refused by its name.
// Layouts as peft 0.21 writes them (training.md §3.4). Next: adapter.ts.

import { GptOssError } from '../errors.ts';
import type { AdaptedName, Adapter, LowRank } from './adapter.ts';
import type { ModelConfig } from './config.ts';
import { printable } from './messages.ts';
import { entryValues, readSafetensors } from './safetensors.ts';
import type { ByteSource, TensorEntry } from './tensor.ts';

const KEY =
  /^(?:base_model\.model\.)?model\.layers\.(\d{1,5})\.(self_attn\.([qkvo])_proj|mlp\.experts(?:\.base_layer)?)\.lora_([AB])(?:\.default)?(?:\.weight)?$/;

function bad(what: string, expected: string, act: string): GptOssError {
  return new GptOssError('bad-checkpoint', `the adapter ${what}; expected ${expected}; ${act}`);
}

interface Settings {
  readonly alpha: number;
  readonly alphas: readonly [pattern: string, alpha: number][];
  readonly rootOfRank: boolean;
}

/** Settings that change what an adapter computes, and the values with which they change nothing. */
const NEUTRAL: Readonly<Record<string, readonly unknown[]>> = {
  ...{ use_dora: [false], lora_bias: [false], fan_in_fan_out: [false], use_qalora: [false], use_bdlora: [null, false] },
  ...{ bias: ['none'], modules_to_save: [null], trainable_token_indices: [null], layer_replication: [null] },
  ...{ alora_invocation_tokens: [null], arrow_config: [null], velora_config: [null], monteclora_config: [null] },
};

function readSettings(json: Readonly<Record<string, unknown>>): Settings {
  if (json.peft_type !== 'LORA') {
    throw bad(
      `is of the kind ${printable(String(json.peft_type))}`,
      '"peft_type": "LORA"',
      'merge it with the program that made it',
    );
  }
  for (const [name, neutral] of Object.entries(NEUTRAL)) {
    const value = json[name];
    if (value === undefined || neutral.includes(value) || (Array.isArray(value) && value.length === 0)) continue;
    throw bad(`has ${name} ${printable(JSON.stringify(value)).slice(0, 60)}`, 'a plain LoRA', 'merge it with PEFT');
  }
  const alpha = json.lora_alpha;
  if (typeof alpha !== 'number' || !Number.isFinite(alpha))
    throw bad('has no lora_alpha', 'a number', 'get adapter_config.json again');
  const alphas = Object.entries((json.alpha_pattern ?? {}) as Record<string, unknown>).map(([pattern, value]) => {
    if (typeof value !== 'number' || !Number.isFinite(value))
      throw bad(`has an alpha_pattern without a number for ${printable(pattern)}`, 'numbers', 'correct it');
    return [pattern, value] as [string, number];
  });
  return { alpha, alphas, rootOfRank: json.use_rslora === true };
}

/** Of one module or parameter: the alpha of the first pattern that its name ends with, else of all. */
function scaleOf({ alpha, alphas, rootOfRank }: Settings, name: string, rank: number): number {
  const own = alphas.find(([pattern]) => endsWithPattern(name, pattern))?.[1] ?? alpha;
  return own / (rootOfRank ? Math.sqrt(rank) : rank);
}

/** PEFT's `(.*\.)?(pattern)$` for names, `.`, `\.`, `\d`, each with `*` or `+`; by sets of places, so in linear time. */
export function endsWithPattern(name: string, pattern: string): boolean {
  const parts = [...pattern.replace(/^\^|\$$/g, '').matchAll(/(\\.|[^\\])([*+]?)/gs)];
  const tests = parts.map(([, piece, times]) => {
    const known = /^(\\[.d]|[\w.-])$/.test(piece);
    if (!known || pattern.length > 1000) {
      throw bad(
        `has the pattern ${printable(pattern).slice(0, 80)}`,
        'names, ".", "\\." and "\\d" in it',
        'write the names out',
      );
    }
    const fits = (c: string): boolean =>
      piece === '.' ? true : piece === '\\d' ? /\d/.test(c) : c === (piece === '\\.' ? '.' : piece);
    return { fits, times };
  });
  /** Places in `tests` that may come next, with those behind stars. */
  const open = (places: Iterable<number>): Set<number> => {
    const all = new Set<number>();
    for (let place of places) {
      all.add(place);
      while (tests[place]?.times === '*' && !all.has(place + 1)) all.add(++place);
    }
    return all;
  };
  let places = open([0]);
  for (let i = 0; i < name.length; i++) {
    const next: number[] = name[i] === '.' && !pattern.startsWith('^') ? [0] : [];
    for (const place of places) {
      if (tests[place]?.fits(name[i]) !== true) continue;
      if (tests[place].times !== '') next.push(place, place + 1);
      else next.push(place + 1);
    }
    places = open(next);
  }
  return places.has(tests.length);
}

interface Pair {
  a?: TensorEntry;
  b?: TensorEntry;
}

const MOST_RANK = 4096;

export function readAdapter(
  name: string,
  config: Readonly<Record<string, unknown>>,
  source: ByteSource,
  model: ModelConfig,
): Adapter {
  const settings = readSettings(config);
  const pairs = new Map<string, Pair>();
  for (const entry of readSafetensors(source).entries) {
    const [, layer, module, , side] = KEY.exec(entry.name) ?? [];
    if (layer === undefined || Number(layer) >= model.layers) {
      throw bad(
        `changes ${printable(entry.name)}`,
        `attention projections and expert parameters of ${model.layers} layers`,
        'check that it was made for this model, or merge it with PEFT',
      );
    }
    const key = `${Number(layer)} ${module}`;
    const pair = pairs.get(key) ?? {};
    pair[side === 'A' ? 'a' : 'b'] = entry;
    pairs.set(key, pair);
  }
  if (pairs.size === 0) throw bad('holds no tensors', 'lora_A and lora_B', 'get adapter_model.safetensors again');
  const layers = new Map<number, Map<AdaptedName, LowRank>>();
  for (const [key, { a, b }] of pairs) {
    const [layer, module] = key.split(' ');
    if (a === undefined || b === undefined)
      throw bad(`has only one of lora_A and lora_B for ${printable(key)}`, 'both', 'get it again');
    const changes = layers.get(Number(layer)) ?? new Map<AdaptedName, LowRank>();
    layers.set(Number(layer), changes);
    const path = `model.layers.${layer}`;
    const found = module.startsWith('mlp')
      ? expertPair(path, a, b, model, settings)
      : densePair(path, module, a, b, model, settings);
    for (const [matrix, delta] of found) {
      if (changes.has(matrix))
        throw bad(`changes ${matrix} of layer ${layer} twice`, 'one change each', 'get it again');
      changes.set(matrix, delta);
    }
  }
  const touchesExperts = [...layers.values()].some((changes) => changes.has('gate') || changes.has('down'));
  return { name, layers, touchesExperts };
}

function shapeError(a: TensorEntry, b: TensorEntry, expected: string): GptOssError {
  return bad(
    `has ${printable(a.name)} of ${a.shape.join(' × ')} and B of ${b.shape.join(' × ')}`,
    expected,
    'check that it was made for this model',
  );
}

function densePair(
  path: string,
  module: string,
  a: TensorEntry,
  b: TensorEntry,
  { hidden, heads, kvHeads, headDim }: ModelConfig,
  settings: Settings,
): [AdaptedName, LowRank][] {
  const name = module['self_attn.'.length] as 'q' | 'k' | 'v' | 'o';
  const cols = name === 'o' ? heads * headDim : hidden;
  const rows = name === 'o' ? hidden : (name === 'q' ? heads : kvHeads) * headDim;
  const rank = a.shape[0];
  const fits = a.shape.length === 2 && b.shape.length === 2 && a.shape[1] === cols && b.shape[0] === rows;
  if (!fits || b.shape[1] !== rank || rank < 1 || rank > MOST_RANK)
    throw shapeError(a, b, `rank × ${cols} and ${rows} × rank`);
  const scale = scaleOf(settings, `${path}.${module}`, rank);
  return [[name, { rank, scale, a: entryValues(a), b: entryValues(b) }]];
}

/** Which of the two parameters a pair belongs to shows in its shapes: nesting is an implementation's affair. */
function expertPair(
  path: string,
  a: TensorEntry,
  b: TensorEntry,
  { hidden, intermediate, experts }: ModelConfig,
  settings: Settings,
): [AdaptedName, LowRank][] {
  const rank = a.shape[0] / experts;
  const isUp = a.shape[1] === hidden && b.shape[0] === 2 * intermediate;
  const isDown = a.shape[1] === intermediate && b.shape[0] === hidden;
  const fits = a.shape.length === 2 && b.shape.length === 2 && b.shape[1] === a.shape[0] && (isUp || isDown);
  if (!fits || !Number.isInteger(rank) || rank < 1 || rank > MOST_RANK) {
    throw shapeError(
      a,
      b,
      `${experts} experts' gate_up_proj or down_proj (A [experts · rank, in], B [out, rank · experts])`,
    );
  }
  const scale = scaleOf(settings, `${path}.mlp.experts.${isUp ? 'gate_up_proj' : 'down_proj'}`, rank);
  const [into, outOf] = [entryValues(a), entryValues(b)];
  /** Rows first, first + step, … of B, for each expert. */
  const part = (first: number, step: number, rows: number): LowRank => {
    const values = new Float32Array(experts * rows * rank);
    for (let e = 0; e < experts; e++) {
      for (let row = 0; row < rows; row++) {
        for (let r = 0; r < rank; r++) {
          values[(e * rows + row) * rank + r] = outOf[(first + row * step) * rank * experts + r * experts + e];
        }
      }
    }
    return { rank, scale, a: into, b: values };
  };
  if (isDown) return [['down', part(0, 1, hidden)]];
  return [
    ['gate', part(0, 2, intermediate)],
    ['up', part(1, 2, intermediate)],
  ];
}
