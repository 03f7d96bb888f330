// Owns: from one row of logits to one token. Parameters and their checks, penalties, masks, temperature, top-k, top-p,
// min-p, the draw, and log-probabilities. Nothing here sorts the vocabulary: at 201,088 logits a greedy choice is one
// pass, a sampled one a few passes.
// Order: penalties, logit bias, masks | temperature | top-k | top-p (of what top-k left) | min-p | draw. Log-probabilities
// are the model's own (before all of that), as evaluation and training need them.
// A draw depends on (seed, stream, index of the token) only: see random.ts. Next: scheduler.ts.

import { GptOssError } from '../errors.ts';
import { applyMask, type TokenMask } from './constraint.ts';
import { uniform } from './random.ts';

export interface SamplingOptions {
  /** 0 (or below 1e-6) = greedy: the highest logit, ties to the lowest id. Default 1. */
  readonly temperature?: number;
  readonly topP?: number; // 1 = off
  readonly topK?: number; // 0 = off
  readonly minP?: number; // 0 = off
  /** Any safe integer. Without it a random one is taken. */
  readonly seed?: number;
  readonly frequencyPenalty?: number; // over generated tokens
  readonly presencePenalty?: number; // over generated tokens
  readonly repetitionPenalty?: number; // over prompt and generated tokens; 1 = off
  readonly logitBias?: ReadonlyMap<number, number>;
  /** Log-probability of each chosen token. */
  readonly logprobs?: boolean;
  /** And those of the n most likely ones. Implies `logprobs`. */
  readonly topLogprobs?: number;
}

export interface SamplingParams {
  readonly temperature: number;
  readonly topP: number;
  readonly topK: number;
  readonly minP: number;
  readonly seed: number;
  readonly frequencyPenalty: number;
  readonly presencePenalty: number;
  readonly repetitionPenalty: number;
  readonly logitBias: ReadonlyMap<number, number>;
  readonly logprobs: boolean;
  readonly topLogprobs: number;
}

export interface TokenLogprob {
  readonly id: number;
  readonly logprob: number;
}

export interface Sample {
  readonly id: number;
  readonly logprob: number | null;
  readonly top: readonly TokenLogprob[] | null; // most likely first
}

/** Largest number of alternatives that may be asked for with each token. */
export const MAX_TOP_LOGPROBS = 100;
const GREEDY_BELOW = 1e-6; // colder than this, dividing by it overflows before it changes any choice
const NEGLIGIBLE = -45; // e^-45 of the largest weight, 200,000 times, is below the rounding of the sum

function refuse(name: string, value: unknown, expected: string): never {
  throw new GptOssError('invalid-request', `${name} is ${String(value)}; expected ${expected}; change or omit it`, {
    details: { parameter: name },
  });
}

function numberIn(name: string, value: number | undefined, fallback: number, low: number, high: number): number {
  if (value === undefined) return fallback;
  if (typeof value !== 'number' || !(value >= low && value <= high))
    refuse(name, value, `a number from ${low} to ${high}`);
  return value;
}

function integerIn(name: string, value: number | undefined, fallback: number, low: number, high: number): number {
  if (value === undefined) return fallback;
  if (!Number.isSafeInteger(value) || value < low || value > high) {
    refuse(name, value, `an integer from ${low} to ${high}`);
  }
  return value;
}

/** Fills in defaults; throws `invalid-request` naming the parameter. */
export function samplingParams(options: SamplingOptions, vocab: number): SamplingParams {
  const bias = options.logitBias ?? new Map<number, number>();
  for (const [id, value] of bias) {
    if (!Number.isInteger(id) || id < 0 || id >= vocab) refuse('logit_bias token', id, `an id from 0 to ${vocab - 1}`);
    numberIn(`logit_bias of token ${id}`, value, 0, -100, 100);
  }
  const topLogprobs = integerIn('top_logprobs', options.topLogprobs, 0, 0, MAX_TOP_LOGPROBS);
  const smallest = Number.MIN_SAFE_INTEGER;
  const largest = Number.MAX_SAFE_INTEGER;
  return {
    temperature: numberIn('temperature', options.temperature, 1, 0, 100),
    topP: numberIn('top_p', options.topP, 1, 0, 1),
    topK: integerIn('top_k', options.topK, 0, 0, largest),
    minP: numberIn('min_p', options.minP, 0, 0, 1),
    seed: integerIn('seed', options.seed, Math.floor(Math.random() * 2 ** 48), smallest, largest),
    frequencyPenalty: numberIn('frequency_penalty', options.frequencyPenalty, 0, -2, 2),
    presencePenalty: numberIn('presence_penalty', options.presencePenalty, 0, -2, 2),
    repetitionPenalty: numberIn('repetition_penalty', options.repetitionPenalty, 1, 0.01, 100),
    logitBias: bias,
    logprobs: (options.logprobs ?? false) || topLogprobs > 0,
    topLogprobs,
  };
}

/** Highest logit, ties to the lowest id; -1 when nothing is allowed (or nothing is a number). */
export function argmax(logits: Float32Array): number {
  let best = Number.NEGATIVE_INFINITY;
  let id = -1;
  for (let i = 0; i < logits.length; i++) {
    if (logits[i] > best) {
      best = logits[i];
      id = i;
    }
  }
  return id;
}

// e^-x for 0 <= x < 45 as a table over whole bins times a short series over the rest: relative error below 1e-11, a
// third of the time of Math.exp, and the same bits in every JavaScript engine.
const BINS_PER_NAT = 32;
const BINS = -NEGLIGIBLE * BINS_PER_NAT + 1;
const EXP_OF_BIN = Float64Array.from({ length: BINS }, (_, bin) => Math.exp(-bin / BINS_PER_NAT));

function expOfBin(bin: number, rest: number): number {
  const f = -rest / BINS_PER_NAT; // rest in [0, 1) bins
  return EXP_OF_BIN[bin] * (1 + f * (1 + f * (1 / 2 + f * (1 / 6 + f * (1 / 24 + f / 120)))));
}

/** log Σ exp(logits), in float64. */
export function logSumExp(logits: Float32Array): number {
  const top = argmax(logits);
  if (top < 0) return Number.NEGATIVE_INFINITY;
  const max = logits[top];
  let sum = 0;
  for (let i = 0; i < logits.length; i++) {
    const x = (max - logits[i]) * BINS_PER_NAT;
    if (x < BINS - 1) sum += expOfBin(x | 0, x - (x | 0));
  }
  return max + Math.log(sum);
}

/** The n largest, most likely first, ties to the lower id. n is small: an ordered list is kept beside one pass. */
export function topLogprobs(logits: Float32Array, n: number, normaliser: number): TokenLogprob[] {
  const limit = Math.min(n, logits.length);
  const ids = new Int32Array(limit + 1);
  const values = new Float64Array(limit + 1).fill(Number.NEGATIVE_INFINITY);
  let count = 0;
  for (let i = 0; i < logits.length && limit > 0; i++) {
    const value = logits[i];
    if (!(value > values[limit - 1])) continue;
    let at = Math.min(count, limit - 1);
    for (; at > 0 && values[at - 1] < value; at--) {
      values[at] = values[at - 1];
      ids[at] = ids[at - 1];
    }
    values[at] = value;
    ids[at] = i;
    count = Math.min(count + 1, limit);
  }
  return Array.from(ids.subarray(0, count), (id, i) => ({ id, logprob: values[i] - normaliser }));
}

/** Weights e^((logit - max) / temperature) of one row, and the cuts made on them. After the first cut only the ids left
 *  are walked, in ascending order. Reused from token to token. */
class Weights {
  readonly #weights: Float64Array; // by id
  readonly #bins: Uint16Array; // by id: distance below the largest logit
  readonly #perBin = new Float64Array(BINS);
  readonly #ids: Int32Array; // those still in, ascending
  #count = 0;

  constructor(vocab: number) {
    this.#weights = new Float64Array(vocab);
    this.#bins = new Uint16Array(vocab);
    this.#ids = new Int32Array(vocab);
  }

  /** Returns the sum of all weights. */
  fill(logits: Float32Array, max: number, temperature: number): number {
    const scale = BINS_PER_NAT / temperature;
    // The hottest loop outside the kernels, 200,000 times a token: whether V8 inlines `expOfBin` and keeps fields in registers
    // depends on what else the process did, and costs three times as much where it does not. So both are done here.
    const weights = this.#weights;
    const bins = this.#bins;
    const ids = this.#ids;
    const exp = EXP_OF_BIN;
    let sum = 0;
    let count = 0;
    for (let i = 0; i < logits.length; i++) {
      const x = (max - logits[i]) * scale;
      if (!(x < BINS - 1)) continue; // too small to matter, -Infinity or NaN
      const bin = x | 0;
      const f = -(x - bin) / BINS_PER_NAT;
      const weight = exp[bin] * (1 + f * (1 + f * (1 / 2 + f * (1 / 6 + f * (1 / 24 + f / 120)))));
      weights[i] = weight;
      bins[i] = bin;
      ids[count++] = i;
      sum += weight;
    }
    this.#count = count;
    return sum;
  }

  /** The same for only the `k` likeliest: most ids are dropped before their weight is ever computed. */
  fillTop(logits: Float32Array, max: number, temperature: number, k: number): number {
    const scale = BINS_PER_NAT / temperature;
    const perBin = this.#perBin.fill(0);
    for (let i = 0; i < logits.length; i++) {
      const x = (max - logits[i]) * scale;
      const bin = x < BINS - 1 ? x | 0 : BINS - 1; // the last bin: out
      this.#bins[i] = bin;
      perBin[bin]++;
    }
    let edge = 0;
    for (let reached = perBin[0]; reached < k && edge < BINS - 2; ) reached += perBin[++edge];
    let count = 0;
    for (let i = 0; i < logits.length; i++) {
      const bin = this.#bins[i];
      if (bin > edge) continue;
      this.#weights[i] = expOfBin(bin, (max - logits[i]) * scale - bin);
      this.#ids[count++] = i;
    }
    this.#count = count;
    return this.keepTop('count', k);
  }

  /** Keeps the likeliest tokens until their count (or their weight) reaches `target`; returns the weight kept. */
  keepTop(measure: 'count' | 'weight', target: number): number {
    const weights = this.#weights;
    const ids = this.#ids;
    const perBin = this.#perBin.fill(0);
    for (let i = 0; i < this.#count; i++) perBin[this.#bins[ids[i]]] += measure === 'count' ? 1 : weights[ids[i]];
    let edge = 0;
    let reached = 0;
    while (edge < BINS - 1 && reached + perBin[edge] < target) reached += perBin[edge++];
    const members: number[] = []; // only the bin that holds the border is ever sorted
    for (let i = 0; i < this.#count; i++) if (this.#bins[ids[i]] === edge) members.push(ids[i]);
    members.sort((a, b) => weights[b] - weights[a] || a - b);
    let kept = 0; // at least one: `reached` is below the target, or the target is 0 and the likeliest token stays
    while (kept < members.length && (kept === 0 || reached < target)) {
      reached += measure === 'count' ? 1 : weights[members[kept]];
      kept++;
    }
    const inEdge = new Set(members.slice(0, kept));
    return this.#keep((id) => this.#bins[id] < edge || inEdge.has(id));
  }

  /** Keeps tokens with at least `share` of the largest weight. */
  keepAbove(share: number): number {
    return this.#keep((id) => this.#weights[id] >= share);
  }

  /** The token at which the running sum, by id, passes `at`. */
  find(at: number): number {
    let sum = 0;
    for (let i = 0; i < this.#count; i++) {
      sum += this.#weights[this.#ids[i]];
      if (sum > at) return this.#ids[i];
    }
    return this.#ids[this.#count - 1]; // rounding: `at` is just below the sum
  }

  #keep(isKept: (id: number) => boolean): number {
    let count = 0;
    let sum = 0;
    for (let i = 0; i < this.#count; i++) {
      const id = this.#ids[i];
      if (!isKept(id)) continue;
      this.#ids[count++] = id;
      sum += this.#weights[id];
    }
    this.#count = count;
    return sum;
  }
}

/** Chooses the tokens of one sequence. Buffers of vocabulary size are shared by all samplers of an engine. */
export class SamplerBuffers {
  readonly weights: Weights;
  readonly changed: Float32Array;

  constructor(vocab: number) {
    this.weights = new Weights(vocab);
    this.changed = new Float32Array(vocab);
  }
}

export class Sampler {
  readonly params: SamplingParams;
  readonly #stream: number;
  readonly #buffers: SamplerBuffers;
  readonly #generated = new Map<number, number>(); // token -> times
  readonly #seen: Set<number> | null; // prompt and generated, for the repetition penalty
  #index = 0;

  /** `stream` tells the samples of one request apart. */
  constructor(params: SamplingParams, prompt: Int32Array, buffers: SamplerBuffers, stream = 0) {
    this.params = params;
    this.#stream = stream;
    this.#buffers = buffers;
    this.#seen = params.repetitionPenalty === 1 ? null : new Set(prompt);
  }

  /** Chooses a token and remembers it. Null when the masks allow none. Does not change `logits`. */
  sample(logits: Float32Array, masks: readonly TokenMask[]): Sample | null {
    const { params } = this;
    const changed = this.#changed(logits, masks);
    const top = argmax(changed);
    if (top < 0 && argmax(logits) >= 0) return null;
    if (top < 0 || changed[top] === Number.POSITIVE_INFINITY) {
      throw new GptOssError(
        'internal',
        'the model returned no usable logits (NaN or infinite); expected numbers; the checkpoint may be damaged: run `gptoss inspect`',
      );
    }
    const id = params.temperature < GREEDY_BELOW ? top : this.#draw(changed, changed[top]);
    this.#remember(id);
    if (!params.logprobs) return { id, logprob: null, top: null };
    const normaliser = logSumExp(logits);
    return {
      id,
      logprob: logits[id] - normaliser,
      top: params.topLogprobs > 0 ? topLogprobs(logits, params.topLogprobs, normaliser) : null,
    };
  }

  #draw(logits: Float32Array, max: number): number {
    const { temperature, topK, topP, minP, seed } = this.params;
    const { weights } = this.#buffers;
    const isCut = topK > 0 && topK < logits.length;
    let sum = isCut ? weights.fillTop(logits, max, temperature, topK) : weights.fill(logits, max, temperature);
    if (topP < 1) sum = weights.keepTop('weight', topP * sum);
    if (minP > 0) sum = weights.keepAbove(minP);
    return weights.find(uniform(seed, this.#stream, this.#index) * sum);
  }

  #remember(id: number): void {
    this.#index++;
    this.#generated.set(id, (this.#generated.get(id) ?? 0) + 1);
    this.#seen?.add(id);
  }

  /** The logits after penalties, bias and masks: the same array when there are none. */
  #changed(logits: Float32Array, masks: readonly TokenMask[]): Float32Array {
    const { frequencyPenalty, presencePenalty, repetitionPenalty, logitBias } = this.params;
    const isPenalised = frequencyPenalty !== 0 || presencePenalty !== 0;
    if (masks.length === 0 && logitBias.size === 0 && !isPenalised && this.#seen === null) return logits;
    const row = this.#buffers.changed;
    row.set(logits);
    for (const id of this.#seen ?? [])
      row[id] = row[id] > 0 ? row[id] / repetitionPenalty : row[id] * repetitionPenalty;
    if (isPenalised) for (const [id, n] of this.#generated) row[id] -= frequencyPenalty * n + presencePenalty;
    for (const [id, bias] of logitBias) row[id] += bias;
    for (const mask of masks) applyMask(row, mask);
    return row;
  }
}
