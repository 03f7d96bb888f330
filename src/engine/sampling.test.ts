import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { applyMask } from './constraint.ts';
import { philox, uniform } from './random.ts';
import {
  argmax,
  logSumExp,
  Sampler,
  SamplerBuffers,
  type SamplingOptions,
  samplingParams,
  topLogprobs,
} from './sampling.ts';

const none = new Int32Array(0);

function sampler(options: SamplingOptions, vocab: number, stream = 0, prompt = none): Sampler {
  return new Sampler(samplingParams({ seed: 1, ...options }, vocab), prompt, new SamplerBuffers(vocab), stream);
}

/** How often each token comes out of `n` draws. */
function counts(options: SamplingOptions, logits: Float32Array, n: number): number[] {
  const one = sampler(options, logits.length);
  const result = new Array<number>(logits.length).fill(0);
  for (let i = 0; i < n; i++) result[one.sample(logits, [])!.id]++;
  return result;
}

/** Probabilities by the book: sort everything, cut, normalise. */
function expected(options: SamplingOptions, logits: Float32Array): number[] {
  const t = options.temperature ?? 1;
  const max = Math.max(...logits);
  let rows = Array.from(logits, (l, id) => ({ id, w: Math.exp((l - max) / t) })).sort(
    (a, b) => b.w - a.w || a.id - b.id,
  );
  if (options.topK) rows = rows.slice(0, options.topK);
  let total = rows.reduce((sum, row) => sum + row.w, 0);
  let running = 0;
  rows = rows.filter((row, i) => {
    const isKept = i === 0 || running < (options.topP ?? 1) * total;
    running += row.w;
    return isKept;
  });
  rows = rows.filter((row) => row.w >= (options.minP ?? 0));
  total = rows.reduce((sum, row) => sum + row.w, 0);
  const result = new Array<number>(logits.length).fill(0);
  for (const row of rows) result[row.id] = row.w / total;
  return result;
}

/** Upper 99.99 % point of chi-square, by the Wilson-Hilferty cube. */
const chiLimit = (df: number): number => df * (1 - 2 / (9 * df) + 3.72 * Math.sqrt(2 / (9 * df))) ** 3;

describe('random numbers', () => {
  it('are those of Philox 4x32-10', () => {
    const all = 0xffffffff;
    const hex = (words: number[]): string[] => words.map((word) => word.toString(16).padStart(8, '0'));
    expect(hex(philox([0, 0, 0, 0], [0, 0]))).toEqual(['6627e8d5', 'e169c58d', 'bc57ac4c', '9b00dbd8']);
    expect(hex(philox([all, all, all, all], [all, all]))).toEqual(['408f276d', '41c83b0e', 'a20bc7c6', '6d5451fd']);
  });

  it('lie in [0, 1) and depend on seed, stream and index only', () => {
    const draws = Array.from({ length: 2000 }, (_, i) => uniform(5, 0, i));
    expect(Math.min(...draws)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...draws)).toBeLessThan(1);
    expect(draws.reduce((a, b) => a + b) / 2000).toBeCloseTo(0.5, 1);
    const places = [
      [5, 0, 1],
      [5, 1, 0],
      [6, 0, 0],
      [-5, 0, 0],
      [5 + 2 ** 32, 0, 0],
      [5, 0, 0],
    ] as const;
    expect(new Set(places.map(([seed, stream, index]) => uniform(seed, stream, index))).size).toBe(places.length);
    expect(uniform(5, 0, 0)).toBe(draws[0]);
  });
});

describe('sampling', () => {
  const logits = Float32Array.from({ length: 24 }, (_, i) => Math.sin(i * 2.7) * 2 + (i === 5 ? 1.5 : 0));

  it.each<SamplingOptions>([
    {},
    { temperature: 0.5 },
    { temperature: 2.5 },
    { topK: 7 },
    { topP: 0.8 },
    { minP: 0.2 },
    { temperature: 1.3, topK: 12, topP: 0.7, minP: 0.1 },
  ])('draws from the distribution that the parameters say: %o', (options) => {
    const n = 20_000;
    const got = counts(options, logits, n);
    const want = expected(options, logits);
    let chi = 0;
    let df = -1;
    for (const [id, p] of want.entries()) {
      if (p === 0) expect(got[id]).toBe(0);
      else {
        chi += (got[id] - n * p) ** 2 / (n * p);
        df++;
      }
    }
    expect(chi).toBeLessThan(chiLimit(df));
  });

  it('cuts exactly where a full sort would, with ties going to the lower id', () => {
    const values = fc.array(fc.integer({ min: -6, max: 6 }), { minLength: 2, maxLength: 40 });
    fc.assert(
      fc.property(
        values,
        fc.integer({ min: 1, max: 41 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (list, topK, topP) => {
          const row = Float32Array.from(list, (v) => v / 2);
          const support = expected({ topK, topP }, row);
          const one = sampler({ topK, topP }, row.length);
          for (let i = 0; i < 60; i++) expect(support[one.sample(row, [])!.id]).toBeGreaterThan(0);
        },
      ),
      { numRuns: 200, seed: 3 },
    );
  });

  it('is greedy at temperature 0, ties to the lowest id', () => {
    const row = Float32Array.of(0, 3, 1, 3);
    expect(sampler({ temperature: 0 }, 4).sample(row, [])!.id).toBe(1);
    expect(sampler({ temperature: 1e-30 }, 4).sample(row, [])!.id).toBe(1);
    expect(sampler({ topP: 0 }, 4).sample(row, [])!.id).toBe(1);
    expect(sampler({ temperature: 1e-5 }, 4).sample(row, [])!.id % 2).toBe(1);
  });

  it('repeats with the same seed and differs with another seed or stream', () => {
    const run = (seed: number, stream: number): number[] => {
      const one = sampler({ seed }, logits.length, stream);
      return Array.from({ length: 40 }, () => one.sample(logits, [])!.id);
    };
    expect(run(9, 0)).toEqual(run(9, 0));
    expect(run(9, 0)).not.toEqual(run(10, 0));
    expect(run(9, 0)).not.toEqual(run(9, 1));
  });

  it('lowers what was said before by the three penalties', () => {
    const row = Float32Array.of(1, 0.9, -0.5);
    const ids = (options: SamplingOptions, prompt = none): number[] => {
      const one = sampler({ temperature: 0, ...options }, 3, 0, prompt);
      return Array.from({ length: 5 }, () => one.sample(row, [])!.id);
    };
    expect(ids({})).toEqual([0, 0, 0, 0, 0]);
    expect(ids({ presencePenalty: 0.5 })).toEqual([0, 1, 0, 0, 0]);
    expect(ids({ frequencyPenalty: 0.5 })).toEqual([0, 1, 0, 1, 0]);
    expect(ids({ repetitionPenalty: 2 })).toEqual([0, 1, 0, 0, 0]);
    expect(ids({ repetitionPenalty: 2 }, Int32Array.of(0))).toEqual([1, 0, 0, 0, 0]);
  });

  it('applies bias and masks of every kind', () => {
    const row = Float32Array.of(1, 4, 2, 3);
    const choose = (options: SamplingOptions, ...masks: Parameters<Sampler['sample']>[1]): number | undefined =>
      sampler({ temperature: 0, ...options }, 4).sample(row, masks)?.id;
    expect(choose({ logitBias: new Map([[0, 100]]) })).toBe(0);
    expect(choose({}, { kind: 'only', ids: Int32Array.of(0, 2) })).toBe(2);
    expect(choose({}, { kind: 'except', ids: Int32Array.of(1) })).toBe(3);
    expect(choose({}, { kind: 'bits', bits: Uint32Array.of(0b0101) })).toBe(2);
    expect(choose({}, { kind: 'only', ids: Int32Array.of(0, 2) }, { kind: 'except', ids: Int32Array.of(2) })).toBe(0);
    expect(choose({}, { kind: 'only', ids: none })).toBeUndefined();
    expect([...row]).toEqual([1, 4, 2, 3]);
    const long = new Float32Array(70).fill(1);
    applyMask(long, { kind: 'bits', bits: Uint32Array.of(0, 0xffffffff) });
    expect([long[31], long[32], long[63], long[64]]).toEqual([-Infinity, 1, 1, -Infinity]);
  });

  it('reports the log-probabilities of the model itself, whatever was done to the logits', () => {
    const row = Float32Array.of(1, 4, 2, 3);
    const normaliser = Math.log([...row].reduce((sum, l) => sum + Math.exp(l), 0));
    const one = sampler({ temperature: 0, topLogprobs: 2, logitBias: new Map([[0, 50]]) }, 4).sample(row, [])!;
    expect(one.id).toBe(0);
    expect(one.logprob).toBeCloseTo(1 - normaliser, 10);
    expect(one.top!.map((entry) => entry.id)).toEqual([1, 3]);
    expect(one.top![0].logprob).toBeCloseTo(4 - normaliser, 10);
    expect(logSumExp(row)).toBeCloseTo(normaliser, 12);
    expect(topLogprobs(row, 9, 0).map((entry) => entry.id)).toEqual([1, 3, 2, 0]);
    expect(sampler({}, 4).sample(row, [])!.logprob).toBeNull();
  });

  it('says so when the model returns nothing usable', () => {
    const bad = [Float32Array.of(Number.NaN, Number.NaN), Float32Array.of(0, Infinity)];
    for (const row of bad) expect(() => sampler({}, 2).sample(row, [])).toThrow('no usable logits');
    expect(argmax(Float32Array.of(Number.NaN, 1))).toBe(1);
  });

  it.each<[SamplingOptions, string]>([
    [{ temperature: -1 }, 'temperature is -1'],
    [{ temperature: Number.NaN }, 'temperature is NaN'],
    [{ temperature: 1e9 }, 'temperature is 1000000000'],
    [{ topP: 2 }, 'top_p is 2'],
    [{ topK: -5 }, 'top_k is -5'],
    [{ topK: 1.5 }, 'top_k is 1.5'],
    [{ minP: -0.1 }, 'min_p is -0.1'],
    [{ seed: 2 ** 63 }, 'seed is'],
    [{ frequencyPenalty: 3 }, 'frequency_penalty is 3'],
    [{ presencePenalty: Number.POSITIVE_INFINITY }, 'presence_penalty is Infinity'],
    [{ repetitionPenalty: 0 }, 'repetition_penalty is 0'],
    [{ logitBias: new Map([[10, 1]]) }, 'logit_bias token is 10'],
    [{ logitBias: new Map([[1, Number.NaN]]) }, 'logit_bias of token 1 is NaN'],
    [{ topLogprobs: 101 }, 'top_logprobs is 101'],
  ])('refuses %o by name', (options, message) => {
    expect(() => samplingParams(options, 10)).toThrow(message);
  });
});
