// The whole way with a small model: what must be equal bit for bit is compared by log-probabilities.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { seedModel } from '../test/shared.ts';
import type { TurnResult } from './agent/turn.ts';
import { findAddon } from './backend/cpu/addon.ts';
import { type OpenOptions, open } from './open.node.ts';
import type { ChatOptions, OpenedModel } from './opened-model.ts';

const backends = [{ backend: 'reference' }, ...(findAddon().addon === null ? [] : [{ backend: 'cpu' }])] as readonly {
  backend: 'reference' | 'cpu';
}[];

/** Plain TypeScript reads long prompts only where nothing else can. */
const isSlow = (backend: string): boolean => backend === 'reference' && backends.length > 1;

interface Said {
  readonly ids: number[];
  readonly logprobs: number[];
  readonly cached: number;
}

async function ask(model: OpenedModel, question: string, options: ChatOptions = {}): Promise<Said> {
  const said: Said = { ids: [], logprobs: [], cached: 0 };
  const turn = model.chat([{ role: 'user', content: question }], {
    seed: question.length,
    maxTokens: 20,
    logprobs: true,
    ...options,
  });
  for await (const event of turn) {
    if (event.type === 'token') {
      said.ids.push(event.token.id);
      said.logprobs.push(event.token.logprob!);
    }
    if (event.type === 'done') return { ...said, cached: event.result.usage.cachedTokens };
  }
  throw new Error('the turn has no end');
}

const questions = [
  'What is 412 + 509?',
  'Sort 5, 3, 9, 1 from small to large.',
  'Reverse the word "planet".',
  'Which is larger, 9.11 or 9.9?',
  'hello',
];

describe.each(backends)('an exact model on the $backend backend', ({ backend }) => {
  const make = (options: OpenOptions = {}) =>
    open(seedModel, { backend, precision: 'exact', context: 512, ...options });
  const using = async <T>(options: OpenOptions, fn: (model: OpenedModel) => Promise<T>): Promise<T> => {
    const model = await make(options);
    try {
      return await fn(model);
    } finally {
      model.engine.audit();
      await model.close();
    }
  };
  const alone = (question: string): Promise<Said> =>
    using({}, async (model) => ({ ...(await ask(model, question)), cached: 0 }));
  const bits = ({ ids, logprobs }: Said) => ({ ids, logprobs });

  it('gives a sequence the same bits alone and in company, in chunks of any size, and after a preemption', async () => {
    const asked = isSlow(backend) ? questions.slice(3) : questions;
    const expected = await Promise.all(asked.map(alone));
    for (const options of [
      { maxSequences: 5, chunkRows: 512 },
      { maxSequences: 3, chunkRows: 7, mixRows: 2 },
      { maxSequences: 5, context: 96, cacheTokens: 96, pageTokens: 8 },
    ]) {
      await using(options, async (model) => {
        const together = await Promise.all(asked.map((question) => ask(model, question)));
        expect(together.map(bits)).toEqual(expected.map(bits));
        if (options.cacheTokens !== undefined && asked.length > 2)
          expect(model.engine.stats().preemptions).toBeGreaterThan(0);
      });
    }
  });

  it('gives the same bits after reusing a prefix as without', async () => {
    await using({ pageTokens: 16 }, async (model) => {
      const first = await ask(model, questions[0]);
      const again = await ask(model, questions[0]);
      const other = await ask(model, questions[1]); // shares the system message
      expect([first.cached, again.cached > 40, other.cached > 30]).toEqual([0, true, true]);
      model.engine.forget();
      expect(bits(again)).toEqual(bits(first));
      expect(bits(other)).toEqual(bits(await alone(questions[1])));
    });
  });

  it.skipIf(isSlow(backend))('gives the same bits with guessed tokens run along', async () => {
    const said = 'Sort 5, 3, 9, 1, 8. 1, 3, 5, 8, 9. '.repeat(4);
    const asked = questions.map((question, i) => `${i % 2 === 0 ? said : ''}${question}`);
    const options = { maxTokens: 80, temperature: 0.7 };
    const alone = await using({ speculation: false }, async (model) => {
      const each: Said[] = [];
      for (const question of asked) each.push(await ask(model, question, options));
      expect(model.engine.stats().draftedTokens).toBe(0);
      return each;
    });
    // A clock that stands still makes guesses cost nothing, so that many are run, right and wrong ones.
    await using({ maxSequences: 3, pageTokens: 8, now: () => 0 }, async (model) => {
      const together = await Promise.all(asked.map((question) => ask(model, question, options)));
      expect(together.map(bits)).toEqual(alone.map(bits));
      const { draftedTokens, acceptedTokens } = model.engine.stats();
      expect(draftedTokens).toBeGreaterThan(acceptedTokens);
      expect(acceptedTokens).toBeGreaterThan(20);
    });
  });

  it.skipIf(isSlow(backend))(
    'gives the same bits when only the sliding keys of a prefix are gone and run again',
    async () => {
      const digits = (n: number, salt: number): string => Array.from({ length: n }, (_, i) => (i * salt) % 10).join('');
      const options = { context: 1024, cacheTokens: 1500, maxSequences: 1, pageTokens: 16, chunkRows: 48 };
      const [early, late] = [digits(420, 7), digits(900, 3)];
      await using(options, async (model) => {
        await ask(model, early, { maxTokens: 2 });
        await ask(model, late, { maxTokens: 2 }); // takes the sliding pages behind the window
        const branch = `${early.slice(0, 180)}?`;
        const rebuilt = await ask(model, branch);
        // Two sliding layers with a window of 64: 126 tokens run again, and up to the page ends.
        const known = rebuilt.cached + 128;
        expect([known % 16, known > 180, known < 250]).toEqual([0, true, true]);
        model.engine.forget();
        expect(bits(await ask(model, branch))).toEqual(bits(rebuilt));
      });
    },
  );

  it('scores what it said with the very log-probabilities it had', async () => {
    await using({}, async (model) => {
      const prompt = model.tokenizer.encodeWithSpecials('<|start|>user<|message|>hello<|end|><|start|>assistant');
      const generation = model.engine.generate(prompt, { temperature: 0, logprobs: true, maxTokens: 12 });
      const logprobs: number[] = [];
      for await (const { logprob } of generation) logprobs.push(logprob!);
      const scored = await model.score([...prompt, ...generation.tokens]);
      expect(scored.logprobs.slice(prompt.length)).toEqual(logprobs);
    });
  });
});

describe('an opened model', () => {
  it('answers, remembers a conversation token for token, and calls functions', async () => {
    const model = await open(seedModel, { precision: 'exact' });
    const first = model.chat([{ role: 'user', content: 'What is 412 + 509?' }], { temperature: 0 });
    let text = '';
    for await (const event of first) if (event.type === 'text') text += event.text;
    expect(text).toContain('921');
    const weather = {
      name: 'get_weather',
      description: 'Gets the weather.',
      parameters: { type: 'object', properties: { location: { type: 'string' } }, required: ['location'] },
    };
    const options = { temperature: 0, functions: [weather] };
    for await (const event of model.chat([{ role: 'user', content: 'What is the weather in Tokyo?' }], options)) {
      if (event.type !== 'done') continue;
      expect(event.result.finishReason).toBe('tool_calls');
      expect(event.result.calls[0]).toMatchObject({ name: 'get_weather', arguments: { value: { location: 'Tokyo' } } });
    }
    await model.close();
  });

  it('writes the system message that the model was trained with, and instructions where they belong', async () => {
    const model = await open(seedModel, { backend: 'reference' });
    const conversation = model.conversation(
      [
        { role: 'system', content: 'Answer with only the number.' },
        { role: 'user', content: '1 + 1' },
      ],
      { reasoning: 'high' },
    );
    expect(conversation.messages.map(({ role }) => role)).toEqual(['system', 'developer', 'user']);
    expect(conversation.messages[0].content).toEqual([
      {
        type: 'system',
        identity: 'You are a tiny gpt-oss model.',
        knowledgeCutoff: null,
        currentDate: null,
        effort: 'high',
      },
    ]);
    await model.close();
  });

  it('holds answers to a form, and arguments of strict functions to their schema', async () => {
    const model = await open(seedModel, { precision: 'exact', threads: 1 });
    const schema = { type: 'object', properties: { sum: { type: 'integer', maximum: 999 } }, required: ['sum'] };
    const ask = async (options: ChatOptions): Promise<TurnResult> => {
      const messages = [{ role: 'user', content: 'What is 412 + 509?' } as const];
      for await (const event of model.chat(messages, { temperature: 1, reasoningBudget: 20, ...options }))
        if (event.type === 'done') return event.result;
      throw new Error('no done event');
    };
    for (let seed = 1; seed < 4; seed++) {
      const { text, finishReason, reasoning } = await ask({ seed, format: { kind: 'json-schema', schema } });
      expect(finishReason).toBe('stop');
      expect(JSON.parse(text).sum).toBeLessThan(1000);
      expect(reasoning).not.toBe('');
      const functions = [{ name: 'report', parameters: schema, strict: true }, { name: 'other' }];
      const { calls } = await ask({ seed, functions, toolChoice: { mode: 'required', only: ['report'] } });
      expect(calls).toMatchObject([
        { name: 'report', arguments: { status: 'ok', value: { sum: expect.any(Number) } } },
      ]);
    }
    expect((await ask({ format: { kind: 'choice', choices: ['red', 'blue'] } })).text).toMatch(/^(red|blue)$/);
    const refused = ask({ format: { kind: 'json-schema', schema: { type: 'object', not: { a: 1 } } } });
    await expect(refused).rejects.toMatchObject({ code: 'invalid-request' });
    await model.close();
  });

  it('goes on from raw text until a stop string', async () => {
    const model = await open(seedModel, { precision: 'exact' });
    const events = [];
    const prompt = '<|start|>user<|message|>What is 2 + 3?<|end|><|start|>assistant';
    for await (const event of model.complete(prompt, { temperature: 0, stop: ['<|message|>'] })) events.push(event);
    const last = events.at(-1);
    expect(last).toMatchObject({ type: 'done', result: { stopString: '<|message|>', finishReason: 'stop' } });
    expect(events.map((event) => (event.type === 'text' ? event.text : '')).join('')).toMatch(/^<\|channel\|>\w+$/);
    await model.close();
  });

  it('finds its beginning again after a restart, with the same bits', async () => {
    const cacheDir = mkdtempSync(join(tmpdir(), 'gptoss-cache-'));
    const question = `Sort ${Array.from({ length: 130 }, (_, i) => i % 10).join(', ')}.`;
    try {
      const lives: Said[] = [];
      for (let i = 0; i < 2; i++) {
        const model = await open(seedModel, { precision: 'exact', cacheDir });
        lives.push(await ask(model, question));
        await model.close();
      }
      expect([lives[0].cached, lives[1].cached > 256]).toEqual([0, true]);
      expect({ ...lives[1], cached: 0 }).toEqual(lives[0]);
    } finally {
      rmSync(cacheDir, { recursive: true });
    }
  });

  it('closes everything when it cannot be opened', async () => {
    await expect(open(seedModel, { context: 1e9 })).rejects.toMatchObject({ code: 'invalid-request' });
    await expect(open('/no/such/model')).rejects.toMatchObject({ code: 'not-found' });
    await expect(open(seedModel, { backend: 'cpu', isa: 'mmx' })).rejects.toMatchObject({ code: 'unsupported-device' });
  });
});

describe('threads', () => {
  it('are one for a model that fits the cache of a core, unless more are asked for', async () => {
    const one = await open(seedModel);
    const two = await open(seedModel, { threads: 2 });
    expect(one.description).not.toMatch(/\d threads/);
    if (!two.notices.some((notice) => notice.includes('plain TypeScript')))
      expect(two.description).toMatch(/2 threads/);
    await one.close();
    await two.close();
  });
});
