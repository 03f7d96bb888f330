// The engine over a scripted model that notices every wrong page (model.testing.ts).
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Batch } from '../backend/backend.ts';
import type { Constraint } from './constraint.ts';
import { Engine } from './engine.ts';
import type { EngineOptions } from './engine-options.ts';
import type { Generation } from './generation.ts';
import { FakeModel, type FakeOptions, fakeLogits } from './model.testing.ts';
import { argmax, logSumExp } from './sampling.ts';

const greedy = { temperature: 0 } as const;
const small: EngineOptions = { context: 200, pageTokens: 4, chunkRows: 16, maxSequences: 4, cacheTokens: 400 };

function make(options: EngineOptions = {}, fake: FakeOptions = {}): { engine: Engine; model: FakeModel } {
  const model = new FakeModel(fake);
  return { engine: new Engine(model, { ...small, ...options }), model };
}

/** What a model without any engine would say, greedily. */
function oracle(prompt: readonly number[], n: number, vocab = 50): number[] {
  const tokens = [...prompt];
  for (let i = 0; i < n; i++) tokens.push(argmax(fakeLogits(tokens, vocab)));
  return tokens.slice(prompt.length);
}

async function finish(generation: Generation): Promise<number[]> {
  const ids: number[] = [];
  for await (const token of generation) ids.push(token.id);
  return ids;
}

const prompt = (length: number, salt = 0): number[] => Array.from({ length }, (_, i) => (i * 11 + salt * 7) % 50);

describe('an engine', () => {
  it('streams what the model says, with index, log-probabilities and times', async () => {
    const { engine } = make();
    const generation = engine.generate(prompt(37), { ...greedy, maxTokens: 5, topLogprobs: 2 });
    const seen = [];
    for await (const token of generation) seen.push(token);
    const ids = oracle(prompt(37), 5);
    expect(seen.map((token) => token.id)).toEqual(ids);
    expect(seen.map((token) => token.index)).toEqual([0, 1, 2, 3, 4]);
    const row = fakeLogits([...prompt(37), ids[0]], 50);
    expect(seen[1].logprob).toBeCloseTo(row[ids[1]] - logSumExp(row), 9);
    expect(seen[1].top![0].id).toBe(ids[1]);
    const result = await generation.result;
    expect(result).toMatchObject({ tokens: ids, finishReason: 'length' });
    expect(result.usage).toEqual({ promptTokens: 37, cachedTokens: 0, completionTokens: 5 });
    expect(result.timings.firstTokenMs).toBeGreaterThanOrEqual(result.timings.promptMs);
    await engine.close();
  });

  it('gives the same tokens whatever the chunk size', async () => {
    for (const chunkRows of [1, 2, 3, 7, 16, 64]) {
      const { engine, model } = make({ chunkRows });
      expect(await finish(engine.generate(prompt(61), { ...greedy, maxTokens: 9 }))).toEqual(oracle(prompt(61), 9));
      expect(Math.max(...model.steps.map((step) => step.rows))).toBeLessThanOrEqual(Math.max(chunkRows, 20));
      await engine.close();
    }
  });

  it('reads only the new tokens in the next step of a tool loop', async () => {
    const { engine, model } = make();
    const first = [...prompt(40)];
    const said = await finish(engine.generate(first, { ...greedy, maxTokens: 10 }));
    const next = [...first, ...said, 7, 8, 9];
    const rowsBefore = model.rows;
    const generation = engine.generate(next, { ...greedy, maxTokens: 1 });
    expect(await finish(generation)).toEqual(oracle(next, 1));
    // The last token of a generation was never fed back, so it counts as new.
    expect((await generation.result).usage.cachedTokens).toBe(first.length + said.length - 1);
    expect(model.rows - rowsBefore).toBe(4);
  });

  it('reads only from the first dropped reasoning token on in the turn after a final answer', async () => {
    const { engine, model } = make();
    const first = prompt(90);
    const said = await finish(engine.generate(first, { ...greedy, maxTokens: 60 }));
    // The next prompt keeps the first said token (the channel marker), drops 30 (reasoning), keeps the rest.
    const next = [...first, said[0], 49 - said[1], ...said.slice(31), 5, 6, 7];
    const rowsBefore = model.rows;
    const generation = engine.generate(next, { ...greedy, maxTokens: 3 });
    expect(await finish(generation)).toEqual(oracle(next, 3));
    expect((await generation.result).usage.cachedTokens).toBe(first.length + 1);
    expect(model.rows - rowsBefore).toBe(next.length - first.length - 1 + 2);
  });

  it('reads a prompt that it just answered again with one row', async () => {
    const { engine, model } = make();
    const one = await finish(engine.generate(prompt(33), { ...greedy, maxTokens: 4 }));
    const before = model.rows;
    expect(await finish(engine.generate(prompt(33), { ...greedy, maxTokens: 4 }))).toEqual(one);
    expect(model.rows - before).toBe(1 + 3);
  });

  it('keeps the place where two conversations part when told so, long after the window has passed it', async () => {
    const { engine } = make({ maxSequences: 1, cacheTokens: 200 });
    const system = prompt(51);
    const long = [...system, ...prompt(120, 3)];
    await finish(engine.generate(long, { ...greedy, maxTokens: 20, keep: [51] }));
    const other = [...system, 1, 2, 3];
    const generation = engine.generate(other, { ...greedy, maxTokens: 2 });
    expect(await finish(generation)).toEqual(oracle(other, 2));
    expect((await generation.result).usage.cachedTokens).toBe(51);
  });

  it('shares one reading of a prompt among all its samples, each with its own draws', async () => {
    const { engine, model } = make();
    const tokens = prompt(100);
    const run = (sample: number) => finish(engine.generate(tokens, { seed: 4, sample, maxTokens: 8 }));
    const together = await Promise.all([0, 1, 2, 3].map(run));
    expect(model.steps.reduce((sum, step) => sum + step.rows, 0)).toBe(100 + 3 + 4 * 7);
    expect(new Set(together.map(String)).size).toBe(4);
    expect(await run(2)).toEqual(together[2]);
    engine.audit();
  });

  it('loses nothing and frees everything under random load: shared prefixes, few pages, aborts', async () => {
    const request = fc.record({
      base: fc.nat(3),
      cut: fc.integer({ min: 1, max: 70 }),
      tail: fc.array(fc.nat(49), { minLength: 1, maxLength: 30 }),
      maxTokens: fc.integer({ min: 1, max: 25 }),
      abortAfter: fc.option(fc.nat(12), { nil: null, freq: 4 }),
      wait: fc.nat(4),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(request, { minLength: 1, maxLength: 14 }),
        fc.record({
          context: fc.constantFrom(128, 140),
          maxSequences: fc.integer({ min: 1, max: 6 }),
          chunkRows: fc.constantFrom(3, 16, 64),
          mixRows: fc.constantFrom(0, 4, 16),
          pageTokens: fc.constantFrom(1, 4, 16),
          cacheTokens: fc.constantFrom(128, 180, 600),
        }),
        fc.constantFrom(1, 3),
        async (requests, options, segments) => {
          const { engine } = make(options, { slidingWindow: 9, segments });
          const jobs = requests.map(async ({ base, cut, tail, maxTokens, abortAfter, wait }) => {
            for (let i = 0; i < wait * 3; i++) await new Promise((resolve) => setImmediate(resolve));
            const tokens = [...prompt(70, base).slice(0, cut), ...tail];
            const controller = new AbortController();
            const said: number[] = [];
            try {
              for await (const { id } of engine.generate(tokens, { ...greedy, maxTokens, signal: controller.signal })) {
                said.push(id);
                if (said.length === abortAfter) controller.abort();
              }
            } catch (error) {
              expect(error).toMatchObject({ code: 'aborted' });
            }
            const whole = oracle(tokens, maxTokens).slice(0, 128 + 12 - tokens.length);
            expect(said).toEqual(abortAfter === null ? whole.slice(0, said.length) : whole.slice(0, said.length));
            if (abortAfter === null) expect(said.length).toBe(Math.min(maxTokens, options.context - tokens.length));
          });
          await Promise.all(jobs);
          engine.audit();
          const { pages, running, waiting } = engine.stats();
          expect([pages.full.held, pages.sliding.held, running, waiting]).toEqual([0, 0, 0, 0]);
          engine.forget();
          expect(engine.stats().pages).toMatchObject({ full: { cached: 0 }, sliding: { cached: 0 } });
          await engine.close();
        },
      ),
      { numRuns: 120, seed: 11 },
    );
  }, 60_000);

  it('puts the youngest back when pages run out, and repeats none of its tokens', async () => {
    const { engine } = make({ context: 100, cacheTokens: 100, maxSequences: 3 });
    const prompts = [prompt(20, 1), prompt(20, 2), prompt(20, 3)];
    const all = await Promise.all(
      prompts.map((tokens) => finish(engine.generate(tokens, { ...greedy, maxTokens: 70 }))),
    );
    expect(all).toEqual(prompts.map((tokens) => oracle(tokens, 70)));
    expect(engine.stats().preemptions).toBeGreaterThan(0);
    const sampled = () => prompts.map((tokens) => finish(engine.generate(tokens, { seed: 1, maxTokens: 70 })));
    const crowded = await Promise.all(sampled());
    for (const [i, tokens] of prompts.entries()) {
      expect(await finish(engine.generate(tokens, { seed: 1, maxTokens: 70 }))).toEqual(crowded[i]);
    }
  });

  it('stops at stop ids, which are part of the answer, and at the word of a stop matcher', async () => {
    const { engine } = make();
    const ids = oracle(prompt(9), 12);
    const stopIds = [ids[4]];
    const generation = engine.generate(prompt(9), { ...greedy, maxTokens: 12, stopIds });
    expect(await finish(generation)).toEqual(ids.slice(0, ids.indexOf(ids[4]) + 1));
    expect((await generation.result).finishReason).toBe('stop');
    let n = 0;
    const stops = [{ accept: () => (++n === 3 ? 'loop' : null) }];
    const second = engine.generate(prompt(9), { ...greedy, stops });
    expect(await finish(second)).toEqual(ids.slice(0, 3));
    expect((await second.result).finishReason).toBe('loop');
  });

  it('lets constraints decide, and tells when they leave nothing', async () => {
    const { engine } = make();
    const accepted: number[] = [];
    const even: Constraint = {
      allowed: () => ({ kind: 'only', ids: Int32Array.from(accepted.length < 4 ? [2, 4, 6] : []) }),
      accept: (token) => accepted.push(token),
    };
    const generation = engine.generate(prompt(9), { seed: 1, constraints: [even] });
    const ids = await finish(generation);
    expect(ids.every((id) => [2, 4, 6].includes(id))).toBe(true);
    expect(accepted).toEqual(ids);
    expect((await generation.result).finishReason).toBe('constraint');
    const broken: Constraint = {
      allowed: () => {
        throw new Error('schema engine failed');
      },
      accept: () => undefined,
    };
    const [bad, good] = [
      finish(engine.generate(prompt(9), { constraints: [broken] })),
      finish(engine.generate(prompt(9), { ...greedy, maxTokens: 3 })),
    ];
    await expect(bad).rejects.toThrow('schema engine failed');
    expect(await good).toEqual(oracle(prompt(9), 3));
  });

  it('refuses what cannot run before any work, and stops with length when the context is full', async () => {
    const { engine, model } = make({ context: 60 });
    expect(() => engine.generate(prompt(61))).toThrow('61 tokens do not fit a context of 60');
    expect(() => engine.generate([])).toThrow('there are no tokens');
    for (const bad of [-1, 50, 1.5, Number.NaN]) expect(() => engine.generate([1, bad])).toThrow('token 1 is');
    expect(() => engine.generate([1], { maxTokens: -1 })).toThrow('max tokens is -1');
    expect(() => engine.generate([1], { temperature: -1 })).toThrow('temperature is -1');
    await expect(engine.score(prompt(61))).rejects.toThrow('do not fit');
    await expect(engine.score(prompt(9), { from: Number.NaN })).rejects.toThrow('score from NaN');
    const full = engine.generate(prompt(60), greedy);
    expect(await finish(full)).toEqual([]);
    expect((await full.result).finishReason).toBe('length');
    expect(model.steps.length).toBe(0);
    const almost = engine.generate(prompt(57), greedy);
    expect(await finish(almost)).toEqual(oracle(prompt(57), 3));
    expect((await almost.result).finishReason).toBe('length');
    await engine.close();
    expect(() => engine.generate([1])).toThrow('closed');
    expect(() => new Engine(new FakeModel(), { context: 1e6 })).toThrow('context is 1000000');
  });

  it('frees pages and slot when aborted while a prompt is read, between two segments', async () => {
    const controller = new AbortController();
    let segments = 0;
    const { engine, model } = make(
      {},
      {
        segments: 8,
        beforeSegment: () => {
          if (++segments === 3) controller.abort();
        },
      },
    );
    await expect(finish(engine.generate(prompt(150), { signal: controller.signal }))).rejects.toMatchObject({
      code: 'aborted',
    });
    await expect.poll(() => engine.stats().running, { interval: 1, timeout: 200_000 }).toBe(0);
    expect(segments).toBe(3);
    expect(engine.stats()).toMatchObject({ running: 0, pages: { full: { held: 0, cached: 0 } } });
    engine.audit();
    expect(await finish(engine.generate(prompt(30), { ...greedy, maxTokens: 4 }))).toEqual(oracle(prompt(30), 4));
    expect(model.steps.length).toBeGreaterThan(1);
  });

  it('stops computing when a reader leaves its stream, or was never wanted', async () => {
    const { engine, model } = make();
    for await (const { index } of engine.generate(prompt(10), greedy)) if (index === 2) break;
    const { steps } = engine.stats();
    await expect.poll(() => engine.stats().running, { interval: 1, timeout: 200_000 }).toBe(0);
    expect(engine.stats().steps).toBeLessThanOrEqual(steps + 1);
    const signal = AbortSignal.abort();
    const before = model.steps.length;
    await expect(finish(engine.generate(prompt(10), { signal }))).rejects.toMatchObject({ code: 'aborted' });
    await expect(engine.score(prompt(10), { signal })).rejects.toMatchObject({ code: 'aborted' });
    expect(model.steps.length).toBe(before);
  });

  it('lets others decode while a long prompt is read, in the pauses of its steps', async () => {
    const order: string[] = [];
    const note = (segment: number, batch: Batch): void => {
      order.push(batch.tokens.length > 4 ? `p${segment}` : 'd');
    };
    const { engine } = make({ mixRows: 4, now: () => 0 }, { segments: 4, beforeSegment: note });
    const decode = engine.generate(prompt(3), { ...greedy, maxTokens: 40 });
    await decode.next();
    order.length = 0;
    const long = finish(engine.generate(prompt(64, 5), { ...greedy, maxTokens: 2 }));
    expect(await long).toEqual(oracle(prompt(64, 5), 2));
    const whilePrompt = order.slice(order.indexOf('p0'), order.lastIndexOf('p3') + 1).join('');
    expect(whilePrompt.replace(/d/g, '')).toBe('p0p1p2p3'.repeat(4)); // four chunks of 16
    expect(whilePrompt).toMatch(/p0d+p1/);
    const rest = await finish(decode);
    expect([decode.tokens[0], ...rest]).toEqual(oracle(prompt(3), 40));
  });

  it.each([0.25, 0.5, 0.6, 0.9])(
    'shares the time between a long prompt and decodes: %d for the prompt',
    async (share) => {
      // A clock that only steps move: a segment of the prompt takes 10, a whole decode 24.
      const segments = 8;
      let clock = 0;
      const order: string[] = [];
      const note = (_: number, batch: Batch): void => {
        const isPrompt = batch.tokens.length > 4;
        clock += isPrompt ? 10 : 24 / segments;
        if (isPrompt) order.push('p');
        else if (order.length === 0 || order.at(-1) !== `d${batch.sequences[0].position}`) {
          order.push(`d${batch.sequences[0].position}`);
        }
      };
      const { engine } = make(
        { mixRows: 0, promptShare: share, now: () => clock, context: 1500, cacheTokens: 3000 },
        { segments, beforeSegment: note },
      );
      const decode = engine.generate(prompt(3), { ...greedy, maxTokens: 1400 });
      await decode.next();
      order.length = 0;
      await finish(engine.generate(prompt(256, 5), { ...greedy, maxTokens: 1 }));
      const whilePrompt = order.slice(order.indexOf('p'), order.lastIndexOf('p') + 1);
      await decode.return!();
      const decodes = whilePrompt.filter((each) => each !== 'p').length;
      const read = whilePrompt.length - decodes;
      expect(read).toBe((256 / 16) * segments);
      const ratio = (read * 10) / (read * 10 + decodes * 24);
      expect(Math.abs(ratio - share)).toBeLessThan(0.04);
      // The longest gap: segments until a decode is owed, one of them perhaps begun just before.
      const gaps = whilePrompt
        .join(' ')
        .split(/ ?d\d+ ?/)
        .map((gap) => gap.replace(/[^p]/g, '').length);
      expect(Math.max(...gaps)).toBeLessThanOrEqual(Math.ceil((24 * share) / (1 - share) / 10) + 1);
    },
  );

  it('takes prompts in turn, so that a short one does not wait for a long one', async () => {
    const { engine } = make({ mixRows: 0 });
    const order: string[] = [];
    const long = finish(engine.generate(prompt(190, 1), { ...greedy, maxTokens: 1 })).then(() => order.push('long'));
    const short = finish(engine.generate(prompt(20, 2), { ...greedy, maxTokens: 1 })).then(() => order.push('short'));
    await Promise.all([long, short]);
    expect(order).toEqual(['short', 'long']);
  });

  it('is fair between clients and says when too many wait', async () => {
    const { engine } = make({ maxSequences: 1, maxQueue: 5 });
    const order: string[] = [];
    const ask = (client: string, i: number): Promise<unknown> =>
      finish(engine.generate(prompt(5, i), { ...greedy, maxTokens: 3, client })).then(() => order.push(client));
    const first = ask('busy', 0);
    await new Promise((resolve) => setImmediate(resolve));
    const others = [1, 2, 3, 4].map((i) => ask('busy', i));
    const late = ask('late', 5);
    expect(() => engine.generate([1])).toThrowError(expect.objectContaining({ code: 'overloaded' }));
    await Promise.all([first, late, ...others]);
    expect(order.indexOf('late')).toBeLessThan(2);
  });

  it('serves 64 streams at once, none more than twice as fast as another', async () => {
    const { engine, model } = make({ maxSequences: 64, context: 120, cacheTokens: 64 * 120 }, { maxRows: 128 });
    const progress = new Array<number>(64).fill(0);
    let slowest: number | null = null;
    const streams = progress.map(async (_, i) => {
      const tokens = prompt(20 + (i % 9), i);
      for await (const { index } of engine.generate(tokens, { ...greedy, maxTokens: 80 })) {
        progress[i] = index + 1;
        if (index === 79) slowest ??= Math.min(...progress); // when the first one is done
      }
      return tokens;
    });
    for (const [i, tokens] of (await Promise.all(streams)).entries()) {
      if (i % 8 === 0)
        expect(await finish(engine.generate(tokens, { ...greedy, maxTokens: 80 }))).toEqual(oracle(tokens, 80));
    }
    expect(slowest).toBeGreaterThanOrEqual(40);
    expect(Math.max(...model.steps.map((step) => step.sequences))).toBe(64);
    engine.audit();
  });

  it('frees every page and slot when a thousand readers leave at random moments', async () => {
    const { engine } = make({ maxSequences: 16, maxQueue: 2000, cacheTokens: 1500 }, { segments: 2 });
    const leave = async (i: number): Promise<void> => {
      const controller = new AbortController();
      const generation = engine.generate(prompt(5 + (i % 50), i % 7), {
        ...greedy,
        maxTokens: 40,
        signal: controller.signal,
        client: `client ${i % 13}`,
      });
      let n = 0;
      const most = (i * 31) % 12;
      try {
        if (i % 3 === 0) setImmediate(() => controller.abort());
        for await (const _ of generation) {
          if (++n < most) continue;
          if (i % 2 === 0) break;
          controller.abort();
        }
      } catch (error) {
        expect(error).toMatchObject({ code: 'aborted' });
      }
    };
    await Promise.all(Array.from({ length: 1000 }, (_, i) => leave(i)));
    while (engine.stats().running > 0) await new Promise((resolve) => setImmediate(resolve));
    engine.audit();
    expect(engine.stats()).toMatchObject({
      running: 0,
      waiting: 0,
      pages: { full: { held: 0 }, sliding: { held: 0 } },
    });
    expect(await finish(engine.generate(prompt(9), { ...greedy, maxTokens: 5 }))).toEqual(oracle(prompt(9), 5));
  });

  it('fails only the requests of a step that failed', async () => {
    let isBroken = false;
    const { engine } = make(
      { maxSequences: 1 },
      {
        beforeSegment: () => {
          if (isBroken) throw new Error('device lost');
        },
      },
    );
    isBroken = true;
    await expect(finish(engine.generate(prompt(5), greedy))).rejects.toThrow('device lost');
    isBroken = false;
    expect(await finish(engine.generate(prompt(5), { ...greedy, maxTokens: 3 }))).toEqual(oracle(prompt(5), 3));
    engine.audit();
  });

  it('scores given tokens a few rows at a time', async () => {
    const { engine, model } = make({ chunkRows: 16 }, { vocab: 50 });
    const tokens = prompt(45);
    const { logprobs, top, usage } = await engine.score(tokens, { topLogprobs: 3 });
    expect(logprobs[0]).toBeNull();
    for (let i = 1; i < tokens.length; i++) {
      const row = fakeLogits(tokens.slice(0, i), 50);
      expect(logprobs[i]).toBeCloseTo(row[tokens[i]] - logSumExp(row), 9);
      expect(top![i]![0].id).toBe(argmax(row));
    }
    expect(usage).toEqual({ promptTokens: 45, cachedTokens: 0, completionTokens: 0 });
    const before = model.rows;
    const tail = await engine.score(tokens, { from: 40 });
    expect(tail.logprobs.map((value) => value === null)).toEqual(tokens.map((_, i) => i < 40));
    expect(tail.logprobs.slice(40)).toEqual(logprobs.slice(40));
    expect(model.rows - before).toBe(5);
    expect((await engine.score([3])).logprobs).toEqual([null]);
    const huge = make({ chunkRows: 64 }, { vocab: 2 ** 20 });
    await huge.engine.score(prompt(40));
    expect(Math.max(...huge.model.steps.map((step) => step.scored))).toBeLessThanOrEqual(8);
  });

  it('says what it is doing', async () => {
    const { engine } = make();
    await finish(engine.generate(prompt(30), { ...greedy, maxTokens: 4 }));
    await finish(engine.generate(prompt(30), { ...greedy, maxTokens: 4 }));
    expect(engine.stats()).toMatchObject({ promptTokens: 60, cachedTokens: 29, generatedTokens: 8, preemptions: 0 });
    expect(engine.cacheBytes).toBeGreaterThan(0);
  });

  it('tells waiting and running requests when it is closed', async () => {
    const { engine, model } = make({ maxSequences: 1 });
    const both = [1, 2].map((i) => finish(engine.generate(prompt(20, i), greedy)));
    const settled = Promise.allSettled(both);
    await new Promise((resolve) => setImmediate(resolve));
    await engine.close();
    for (const { status } of await settled) expect(status).toBe('rejected');
    expect([model.isClosed, model.cacheMade!.isClosed]).toEqual([true, true]);
  });
});

describe('a session', () => {
  it('remembers the tokens it said, one generation at a time', async () => {
    const { engine } = make();
    const session = engine.session();
    const generation = session.generate(prompt(8), { ...greedy, maxTokens: 3 });
    expect(() => session.generate(prompt(8))).toThrow('generating already');
    await finish(generation);
    expect([...session.tokens]).toEqual([...prompt(8), ...oracle(prompt(8), 3)]);
    const next = session.generate(Int32Array.of(...session.tokens, 5), { ...greedy, maxTokens: 2 });
    await finish(next);
    expect((await next.result).usage.cachedTokens).toBe(10);
    const last = session.generate(prompt(8), greedy);
    const rest = finish(last);
    session.close();
    await expect(rest).rejects.toMatchObject({ code: 'aborted' });
    expect(() => session.generate([1])).toThrow('closed');
  });
});
