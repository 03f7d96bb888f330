// Guessed tokens never change what comes out, only how many steps it takes; and they are run where that pays.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Drafter, GuessRecord } from './drafter.ts';
import { Engine } from './engine.ts';
import type { EngineOptions } from './engine-options.ts';
import type { GenerateOptions } from './generation.ts';
import { FakeModel, type FakeOptions } from './model.testing.ts';
import { StepCosts } from './speculation.ts';

const VOCAB = 50;
const small: EngineOptions = { context: 200, pageTokens: 4, chunkRows: 16, maxSequences: 4, cacheTokens: 400 };
/** A clock that stands still: every step costs the same, whatever its rows. */
const free = (): number => 0;
/** Repeats itself, with a token now and then that nobody foresees. */
const script = (length: number): number | undefined => {
  if (length === 111) return stopLate;
  return length % 13 === 0 ? undefined : (length % 5) + 3;
};

function make(options: EngineOptions = {}, fake: FakeOptions = { script }): { engine: Engine; model: FakeModel } {
  const model = new FakeModel({ maxRows: 64, ...fake });
  return { engine: new Engine(model, { ...small, now: free, ...options }), model };
}

const prompt = (length: number, salt = 0): number[] => Array.from({ length }, (_, i) => (i * 11 + salt * 7) % VOCAB);

async function answer(engine: Engine, tokens: readonly number[], options: GenerateOptions) {
  const said: unknown[] = [];
  const generation = engine.generate(tokens, options);
  for await (const { id, index, logprob, top } of generation) said.push({ id, index, logprob, top });
  const { finishReason, usage } = await generation.result;
  return { said, finishReason, usage };
}

/** A token that the script says only once, at length 111. */
const stopLate = 49;
/** What one request asks for, made afresh for each engine since constraints have a state. */
const ways: Record<string, () => GenerateOptions> = {
  greedy: () => ({ temperature: 0 }),
  sampled: () => ({ seed: 3, temperature: 3, topK: 40 }),
  'with log-probabilities': () => ({ temperature: 0, topLogprobs: 3 }),
  penalised: () => ({ seed: 5, frequencyPenalty: 0.4, presencePenalty: 0.1, repetitionPenalty: 1.2 }),
  biased: () => ({ seed: 6, logitBias: new Map([[4, -100]]) }),
  stopped: () => ({ temperature: 0, stopIds: [stopLate] }),
  'ended by a matcher': () => {
    let n = 0;
    return { temperature: 0, stops: [{ accept: () => (++n === 97 ? 'enough' : null) }] };
  },
  constrained: () => {
    const seen: number[] = [];
    return {
      seed: 8,
      constraints: [
        {
          // Depends on every token before, so that a token too many or too few shows.
          allowed: () => ({ kind: 'except', ids: Int32Array.of(seen.reduce((a, b) => (a * 31 + b) % VOCAB, 7)) }),
          accept: (id) => void seen.push(id),
        },
      ],
    };
  },
};

describe('speculation', () => {
  for (const [name, options] of Object.entries(ways)) {
    it(`gives the same answer in fewer steps: ${name}`, async () => {
      const plain = make({ speculation: false });
      const guessing = make();
      const request = () => ({ maxTokens: 120, ...options() });
      const expected = await answer(plain.engine, prompt(30), request());
      expect(await answer(guessing.engine, prompt(30), request())).toEqual(expected);
      guessing.engine.audit();
      expect(plain.engine.stats()).toMatchObject({ draftedTokens: 0, acceptedTokens: 0 });
      const { draftedTokens, acceptedTokens, steps } = guessing.engine.stats();
      expect(acceptedTokens).toBeLessThanOrEqual(draftedTokens);
      if (name !== 'constrained' && name !== 'penalised') expect(steps).toBeLessThan(plain.engine.stats().steps * 0.7);
      expect(guessing.engine.stats().pages).toMatchObject({ full: { held: 0 }, sliding: { held: 0 } });
    });
  }

  it('gives the same answers under random load: company, few pages, preemption, aborts, reused prefixes', async () => {
    const request = fc.record({
      base: fc.nat(2),
      cut: fc.integer({ min: 1, max: 60 }),
      maxTokens: fc.integer({ min: 1, max: 60 }),
      abortAfter: fc.option(fc.nat(20), { nil: null, freq: 4 }),
      wait: fc.nat(4),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(request, { minLength: 1, maxLength: 8 }),
        fc.record({
          context: fc.constantFrom(128, 140),
          maxSequences: fc.integer({ min: 1, max: 5 }),
          pageTokens: fc.constantFrom(1, 4, 16),
          cacheTokens: fc.constantFrom(128, 180, 600),
        }),
        async (requests, options) => {
          const { engine } = make(options, { script, slidingWindow: 9 });
          const alone = make({ ...options, speculation: false }, { script, slidingWindow: 9 }).engine;
          await Promise.all(
            requests.map(async ({ base, cut, maxTokens, abortAfter, wait }, i) => {
              for (let n = 0; n < wait * 3; n++) await new Promise((resolve) => setImmediate(resolve));
              const tokens = prompt(60, base).slice(0, cut);
              const controller = new AbortController();
              const said: number[] = [];
              try {
                const options = { seed: i, maxTokens, signal: controller.signal };
                for await (const { id } of engine.generate(tokens, options)) {
                  said.push(id);
                  if (said.length === abortAfter) controller.abort();
                }
              } catch (error) {
                expect(error).toMatchObject({ code: 'aborted' });
              }
              const whole = [...(await alone.generate(tokens, { seed: i, maxTokens }).result).tokens];
              expect(said).toEqual(abortAfter === null ? whole : whole.slice(0, said.length));
            }),
          );
          engine.audit();
          expect(engine.stats().pages).toMatchObject({ full: { held: 0 }, sliding: { held: 0 } });
          engine.forget();
          expect(engine.stats().pages).toMatchObject({ full: { cached: 0 }, sliding: { cached: 0 } });
        },
      ),
      { numRuns: 60, seed: 3 },
    );
  }, 60_000);

  it('takes at most as many tokens as are wanted and the context holds', async () => {
    const { engine } = make({}, { script: (length) => length % 3 });
    expect((await engine.generate(prompt(150), { temperature: 0 }).result).tokens.length).toBe(50);
    for (const maxTokens of [1, 2, 3, 9]) {
      expect((await engine.generate(prompt(20), { temperature: 0, maxTokens }).result).tokens.length).toBe(maxTokens);
    }
    engine.audit();
  });

  it('leaves it be where a step takes as long as its rows, after a few tries', async () => {
    let clock = 0;
    const beforeSegment = (_segment: number, { tokens }: { tokens: Int32Array }): void => {
      clock += tokens.length;
    };
    const { engine } = make({ now: () => clock }, { script, beforeSegment });
    await engine.generate(prompt(30), { temperature: 0, maxTokens: 160 }).result;
    expect(engine.stats().draftedTokens).toBeLessThan(60);
    const before = engine.stats().draftedTokens;
    await engine.generate(prompt(30, 1), { temperature: 0, maxTokens: 160 }).result;
    expect(engine.stats().draftedTokens - before).toBeLessThan(20);
  });

  it('runs next to nothing on a guess where text never repeats', async () => {
    const { engine } = make({}, { vocab: 2000 });
    await engine.generate(prompt(30), { temperature: 0, maxTokens: 160 }).result;
    expect(engine.stats().draftedTokens).toBeLessThan(8);
  });
});

describe('a drafter', () => {
  const guess = (tokens: number[], most = 4) => new Drafter(new GuessRecord(64)).guess(Int32Array.from(tokens), most);

  it('goes on as the longest equal stretch did, the latest of equals', () => {
    expect([...guess([1, 2, 3, 9, 9, 2, 3, 8, 7, 1, 2, 3]).tokens]).toEqual([9, 9, 2, 3]);
    expect([...guess([5, 2, 3, 9, 9, 6, 2, 3, 8, 7, 1, 2, 3]).tokens]).toEqual([8, 7, 1, 2]);
    expect(guess([1, 2, 3, 9, 9, 2, 3, 8, 7, 1, 2, 3]).agreed).toBe(3);
  });

  it('repeats what repeats, and guesses nothing where nothing agrees', () => {
    expect([...guess([4, 5, 6, 4, 5, 6, 4, 5], 5).tokens]).toEqual([6, 4, 5, 6, 4]);
    expect([...guess([7, 7, 7], 3).tokens]).toEqual([7, 7, 7]);
    expect(guess([1, 2, 3, 4]).tokens.length).toBe(0);
    expect(guess([1]).tokens.length).toBe(0);
  });

  it('finds in a growing line what it finds in a whole one', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(4), { minLength: 1, maxLength: 700 }), (tokens) => {
        const growing = new Drafter(new GuessRecord(64));
        const all = Int32Array.from(tokens);
        for (let n = 1; n <= all.length; n += 1 + (n % 5)) {
          const line = all.subarray(0, n);
          expect(growing.guess(line, 3)).toEqual(new Drafter(new GuessRecord(64)).guess(line, 3));
        }
      }),
      { numRuns: 20, seed: 1 },
    );
  });

  it('learns how often it is right from what came, whether its guess was run or not', () => {
    const shared = new GuessRecord(64);
    const drafter = new Drafter(shared);
    const line = [1, 2, 3, 1, 2];
    expect([...drafter.guess(Int32Array.from(line), 2).tokens]).toEqual([3, 1]);
    drafter.guess(Int32Array.from([...line, 3, 4]), 2);
    expect(shared.share(2, 0, 0)).toBe(1); // the first guessed token came
    expect(shared.share(3, 0, 0)).toBe(0); // the one after it did not
  });
});

describe('measured costs of steps', () => {
  it('say what rows cost beside each other, whatever the unit, and follow a change', () => {
    for (const unit of [0.02, 3, 500]) {
      const costs = new StepCosts(16);
      for (let i = 0; i < 40; i++) {
        costs.note(1, unit);
        costs.note(4, unit * 1.5);
      }
      expect(costs.of(4) / costs.of(1)).toBeCloseTo(1.5, 1);
      for (let i = 0; i < 40; i++) {
        costs.note(1, unit * 3); // a longer context
        costs.note(4, unit * 9);
      }
      expect(costs.of(4) / costs.of(1)).toBeCloseTo(3, 0);
    }
  });

  it('forgive one slow step', () => {
    const costs = new StepCosts(16);
    for (let i = 0; i < 20; i++) costs.note(1, 10);
    costs.note(3, 20);
    const before = costs.of(3) / costs.of(1);
    costs.note(1, 5000);
    costs.note(1, 10);
    expect(costs.of(3) / costs.of(1)).toBeGreaterThan(before * 0.7);
  });
});
