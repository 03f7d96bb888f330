// Ollama's dialect and llama.cpp's three routes over a scripted model.
import { describe, expect, it } from 'vitest';
import { Caller, call, final, list, type Script, scripted } from './scripted.testing.ts';

const hello = [{ role: 'user', content: 'hello' }];
const add = { type: 'function', function: { name: 'add', parameters: { type: 'object', properties: {} } } };

function setup(script: Script | string) {
  const model = scripted(script);
  const caller = new Caller({ model, aliases: ['gpt-oss:20b'] });
  return { model, caller, json: caller.json.bind(caller), events: caller.events.bind(caller) };
}

describe('Ollama chats', () => {
  it('stream lines of content and thinking, the last with counts and durations in nanoseconds', async () => {
    const { events, caller } = setup(final('Hi there!', 'They greet.'));
    const lines = await events('/api/chat', { model: 'gpt-oss:20b', messages: hello });
    const joined = (key: string): string => lines.map(({ message }) => String(message[key] ?? '')).join('');
    expect([joined('content'), joined('thinking')]).toEqual(['Hi there!', 'They greet.']);
    expect(lines.every(({ model }) => String(model) === 'gpt-oss:20b')).toBe(true);
    expect(lines.at(-1)).toMatchObject({
      done: true,
      done_reason: 'stop',
      prompt_eval_count: expect.any(Number),
      eval_count: expect.any(Number),
      total_duration: expect.any(Number),
    });
    const response = await caller.post('/api/chat', { messages: hello });
    expect(response.headers.get('content-type')).toBe('application/x-ndjson');
    expect(await response.text()).not.toContain('keep-alive');
  });

  it('answer at once when they are told to, and show no thinking when it is unwanted', async () => {
    const { json, model } = setup(final('Hi!', 'They greet.'));
    const body = await json('/api/chat', { messages: hello, stream: false });
    expect(body).toMatchObject({ message: { role: 'assistant', content: 'Hi!', thinking: 'They greet.' }, done: true });
    for (const [think, level] of [
      [false, 'low'],
      [true, 'medium'],
      ['low', 'low'],
      ['medium', 'medium'],
      ['high', 'high'],
    ] as const) {
      const { message } = await json('/api/chat', { messages: hello, stream: false, think });
      expect('thinking' in message).toBe(think !== false);
      expect(model.prompts.at(-1)).toContain(`Reasoning: ${level}`);
    }
  });

  it('go through a tool and back, with or without ids', async () => {
    for (const hasIds of [true, false]) {
      const { json, events, model } = setup((_, count) => (count === 0 ? call('add', '{"a": 1}', 'Sum.') : final('2')));
      const lines = await events('/api/chat', { messages: hello, tools: [add] });
      const calls = lines.flatMap(({ message }) => list(message.tool_calls));
      expect(calls).toMatchObject([{ function: { name: 'add', arguments: { a: 1 } } }]);
      const thinking = lines.map(({ message }) => String(message.thinking ?? '')).join('');
      const tool_calls = hasIds ? calls : calls.map((each) => ({ function: each.function }));
      const result = hasIds ? { tool_call_id: calls[0].id } : { tool_name: 'add' };
      const messages = [
        ...hello,
        { role: 'assistant', content: '', thinking, tool_calls },
        { role: 'tool', content: '2', ...result },
      ];
      await json('/api/chat', { messages, tools: [add], stream: false });
      expect(model.prompts[1].startsWith(`${model.prompts[0]}<|channel|>analysis<|message|>Sum.<|end|>`)).toBe(true);
      expect(model.prompts[1]).toContain('{"a": 1}<|call|><|start|>functions.add to=assistant');
    }
  });

  it('load a model that is always loaded', async () => {
    const { json } = setup('');
    expect(await json('/api/chat', { model: 'x', messages: [] })).toMatchObject({ done: true, done_reason: 'load' });
    expect(await json('/api/generate', { model: 'x', keep_alive: 0 })).toMatchObject({ done: true });
  });

  it('generate from a prompt and a system text', async () => {
    const { json, events, model } = setup(final('Hi!', 'hm'));
    const body = await json('/api/generate', { prompt: 'hello', system: 'Be brief.', stream: false });
    expect(body).toMatchObject({ response: 'Hi!', thinking: 'hm', done: true });
    expect(model.prompts[0]).toContain('# Instructions\n\nBe brief.<|end|><|start|>user<|message|>hello');
    const lines = await events('/api/generate', { prompt: 'hello' });
    expect(lines.map(({ response }) => String(response)).join('')).toBe('Hi!');
  });

  it('take options by their own names', async () => {
    const { json } = setup(final('one two three'));
    const cut = await json('/api/chat', { messages: hello, stream: false, options: { num_predict: 3, num_ctx: 4096 } });
    expect(cut).toMatchObject({ done_reason: 'length', eval_count: 3 });
    const stopped = await json('/api/chat', {
      messages: hello,
      stream: false,
      options: { stop: ' two', num_predict: -1 },
    });
    expect(stopped.message.content).toBe('one');
  });

  it('say what is wrong as one text under `error`', async () => {
    const { caller } = setup('');
    for (const body of [
      { messages: [{ role: 'user', content: 'x', images: ['aGk='] }] },
      { messages: hello, options: { temperature: -1 } },
      { messages: hello, think: 'hyper' },
      { messages: hello, format: 'xml' },
      { messages: hello, format: { type: 'object', not: {} } },
      { messages: [{ role: 'tool', content: '2' }] },
      [],
    ]) {
      const response = await caller.post('/api/chat', body);
      expect(response.status).toBe(400);
      expect(await response.json()).toEqual({ error: expect.stringMatching(/expected/) });
    }
    for (const field of ['suffix', 'template']) {
      expect((await caller.post('/api/generate', { prompt: 'x', [field]: 'y' })).status).toBe(400);
    }
  });

  it('learn which models there are and what they can do', async () => {
    const { caller, json } = setup('');
    const get = async (path: string) => (await caller.fetch(path)).json();
    expect(await get('/api/tags')).toMatchObject({
      models: [
        { name: 'scripted:latest', digest: expect.stringMatching(/^[0-9a-f]{64}$/), details: { family: 'gptoss' } },
        { name: 'gpt-oss:20b' },
      ],
    });
    expect(await get('/api/ps')).toMatchObject({ models: [{ name: 'scripted:latest', context_length: 8192 }] });
    expect(await get('/api/version')).toMatchObject({ version: expect.stringMatching(/^\d+\.\d+\.\d+$/) });
    expect(await json('/api/show', { model: 'gpt-oss:20b' })).toMatchObject({
      capabilities: ['completion', 'tools', 'thinking'],
      model_info: { 'gptoss.context_length': 8192 },
    });
    expect((await caller.post('/api/show', { model: 'other' })).status).toBe(404);
    expect(await json('/api/pull', { model: 'gpt-oss:20b', stream: false })).toEqual({ status: 'success' });
    expect((await caller.post('/api/pull', { model: 'other' })).status).toBe(404);
    expect(await (await caller.fetch('/')).text()).toBe('Ollama is running');
    expect((await caller.fetch('/', { method: 'HEAD' })).status).toBe(200);
    expect(caller.app.visits).toBe(0);
  });

  it('come as curl sends them, but never from a page', async () => {
    const { caller } = setup(final('Hi'));
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    const body = { messages: hello, stream: false };
    expect((await caller.post('/api/chat', body, form)).status).toBe(200);
    expect((await caller.post('/api/chat', body, { ...form, origin: 'http://localhost' })).status).toBe(415);
    expect((await caller.post('/api/chat', body, { 'content-type': 'text/plain' })).status).toBe(415);
  });
});

describe('llama.cpp routes', () => {
  it('turn text into ids and back, special tokens only where they are meant', async () => {
    const { json, model } = setup('');
    const { tokens } = await json('/tokenize', { content: '<|start|>hi ü' });
    expect(list(tokens).map(Number).includes(model.encoding.ids.start)).toBe(false);
    expect(await json('/detokenize', { tokens })).toEqual({ content: '<|start|>hi ü' });
    const special = await json('/tokenize', { content: '<|start|>hi', parse_special: true });
    expect(Number(list(special.tokens)[0])).toBe(model.encoding.ids.start);
    const pieces = await json('/tokenize', { content: 'hi', with_pieces: true });
    expect(
      list(pieces.tokens)
        .map(({ piece }) => String(piece))
        .join(''),
    ).toBe('hi');
    for (const wrong of [[-1], [1e9], [1.5], ['x'], 'x']) {
      expect(await json('/detokenize', { tokens: wrong })).toMatchObject({ error: { type: 'invalid_request_error' } });
    }
  });

  it('show the prompt that a chat would be answered from', async () => {
    const { json, model } = setup(final('Hi'));
    const body = { messages: hello, reasoning_effort: 'high', tools: [add] };
    const { prompt, tokens } = await json('/apply-template', body);
    await json('/v1/chat/completions', body);
    expect(prompt).toBe(model.prompts[0]);
    expect(list(tokens).map(Number)).toEqual(model.engine.prompts[0]);
  });
});
