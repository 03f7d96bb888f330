// The Responses dialect over a scripted model: bodies, events, state, tools, and what the model is asked.
import { describe, expect, it } from 'vitest';
import { Caller, call, final, type Loose, list, type Script, scripted, tinyTokens } from './scripted.testing.ts';
import { MemoryStore } from './store.ts';

const path = '/v1/responses';
const add = {
  type: 'function',
  name: 'add',
  description: 'Adds',
  parameters: { type: 'object', properties: { a: { type: 'number' } } },
};

function setup(script: Script | string, beforeStep?: () => void | Promise<void>) {
  const model = scripted(script, {}, beforeStep);
  const store = new MemoryStore();
  const caller = new Caller({ model, store });
  const del = async (id: string): Promise<Response> => caller.fetch(`${path}/${id}`, { method: 'DELETE' });
  const get = async (rest: string): Promise<Loose> => (await caller.fetch(`${path}/${rest}`)).json() as Promise<Loose>;
  return { model, store, caller, get, del, json: caller.json.bind(caller), events: caller.events.bind(caller) };
}

const types = (events: readonly Loose[]): string[] => events.map(({ type }) => String(type));
const textOf = (body: Loose): string =>
  list(body.output)
    .filter(({ type }) => String(type) === 'message')
    .map(({ content }) => String(content[0].text))
    .join('|');

describe('a response', () => {
  it('holds reasoning and message items, usage, and what it was asked', async () => {
    const { json } = setup(final('Hi!', 'They greet.'));
    const body = await json(path, { input: 'hello', reasoning: { effort: 'high' }, metadata: { a: 'b' } });
    expect(body).toMatchObject({
      object: 'response',
      status: 'completed',
      model: 'scripted',
      reasoning: { effort: 'high' },
      metadata: { a: 'b' },
      store: true,
      error: null,
      incomplete_details: null,
      output: [
        {
          type: 'reasoning',
          summary: [],
          content: [{ type: 'reasoning_text', text: 'They greet.' }],
          status: 'completed',
        },
        {
          type: 'message',
          role: 'assistant',
          status: 'completed',
          content: [{ type: 'output_text', text: 'Hi!', annotations: [] }],
        },
      ],
    });
    expect(Number(body.usage.output_tokens_details.reasoning_tokens)).toBeGreaterThan(0);
    expect(Number(body.usage.total_tokens)).toBe(Number(body.usage.input_tokens) + Number(body.usage.output_tokens));
  });

  it('streams every event in its order, numbered without a gap, and ends with the body that is stored', async () => {
    const { events, get } = setup(call('add', '{"a": 1}', 'Sum.'));
    const told = await events(path, { input: 'hello', tools: [add] });
    const once = types(told).filter((type, i, all) => type !== all[i - 1]);
    expect(once).toEqual([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
      'response.reasoning_text.delta',
      'response.reasoning_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.output_item.added',
      'response.function_call_arguments.delta',
      'response.function_call_arguments.done',
      'response.output_item.done',
      'response.completed',
    ]);
    expect(told.map(({ sequence_number: n }) => Number(n))).toEqual(told.map((_, i) => i));
    const { response } = told.at(-1)!;
    expect(await get(String(response.id))).toEqual(response);
    expect(list(response.output)).toMatchObject([
      { type: 'reasoning' },
      { type: 'function_call', arguments: '{"a": 1}' },
    ]);
    const [, item] = list(response.output);
    expect(told.filter((event) => event.item_id === item.id).every((event) => Number(event.output_index) === 1)).toBe(
      true,
    );
  });

  it('streams text with its own events, the deltas adding up to the text', async () => {
    const { events } = setup(final('Hi there!'));
    const told = await events(path, { input: 'hello', include: ['message.output_text.logprobs'], top_logprobs: 1 });
    const deltas = told.filter(({ type }) => String(type) === 'response.output_text.delta');
    expect(deltas.map(({ delta }) => String(delta)).join('')).toBe('Hi there!');
    const logprobs = deltas.flatMap((delta) => list(delta.logprobs));
    expect(logprobs.map(({ token }) => String(token)).join('')).toBe('Hi there!');
    const done = told.find(({ type }) => String(type) === 'response.output_text.done')!;
    expect(done).toMatchObject({ text: 'Hi there!', content_index: 0 });
    expect(list(done.logprobs)).toHaveLength(logprobs.length);
  });

  it('goes on from a stored one with the very ids that were generated, calls and results included', async () => {
    const { tokenizer } = tinyTokens();
    const script: Script = (_, count) => [call('add', '{"a":1}', 'Sum.'), final('2', 'Done.'), final('again 2')][count];
    const { json, model } = setup(script);
    const first = await json(path, { input: 'hello', tools: [add], instructions: 'Be brief.' });
    const { call_id } = list(first.output)[1];
    const result = [{ type: 'function_call_output', call_id, output: [{ type: 'input_text', text: '2' }] }];
    const second = await json(path, {
      input: result,
      tools: [add],
      instructions: 'Be brief.',
      previous_response_id: first.id,
    });
    expect(textOf(second)).toBe('2');
    const [one, two] = model.engine.prompts;
    const generated = tokenizer.encodeWithSpecials(String(script('', 0)));
    expect(two.slice(0, one.length + generated.length)).toEqual([...one, ...generated]);
    expect(Number(second.usage.input_tokens_details.cached_tokens)).toBeGreaterThanOrEqual(
      one.length + generated.length - 1,
    );
    await json(path, { input: 'and?', tools: [add], previous_response_id: second.id });
    const third = model.prompts[2];
    expect(third).not.toContain('Be brief.'); // instructions are not carried over
    expect(third).toContain('functions.add to=assistant<|channel|>commentary<|message|>2<|end|>');
    expect(third).toContain('<|channel|>final<|message|>2<|end|><|start|>user<|message|>and?');
    expect(third).not.toContain('Done.'); // reasoning of finished turns is dropped
  });

  it('takes its own items back as input, whole or by reference, and recognises the turn', async () => {
    const script: Script = (_, count) => (count === 0 ? call('add', '{"a":1}', 'Sum.') : final('2'));
    const { json, model } = setup(script);
    const first = await json(path, { input: 'hello', tools: [add] });
    const items = list(first.output);
    const result = { type: 'function_call_output', call_id: items[1].call_id, output: '2' };
    const input = [{ role: 'user', content: 'hello' }, ...items, result];
    await json(path, { input, tools: [add], store: false });
    const references = items.map(({ id }) => ({ type: 'item_reference', id }));
    await json(path, { input: [{ role: 'user', content: 'hello' }, ...references, result], tools: [add] });
    const [one, two, three] = model.engine.prompts;
    expect(two.slice(0, one.length)).toEqual(one);
    expect(three).toEqual(two);
    expect(model.prompts[1]).toContain('Sum.<|end|>');
  });

  it('carries reasoning through clients that store nothing here', async () => {
    const script: Script = (_, count) => (count === 0 ? call('add', '{"a":1}', 'Sum — ü.') : final('2'));
    const first = setup(script);
    const include = ['reasoning.encrypted_content'];
    const body = await first.json(path, { input: 'hello', tools: [add], include, store: false });
    const [reasoning, item] = list(body.output);
    // Another server, which remembers nothing.
    const second = setup(() => final('2'));
    const result = { type: 'function_call_output', call_id: item.call_id, output: '2' };
    const sealed = { type: 'reasoning', id: 'rs_x', summary: [], encrypted_content: reasoning.encrypted_content };
    await second.json(path, { input: [{ role: 'user', content: 'hello' }, sealed, item, result], tools: [add] });
    expect(second.model.prompts[0]).toContain('<|channel|>analysis<|message|>Sum — ü.<|end|>');
    expect((await first.caller.fetch(`${path}/${String(body.id)}`)).status).toBe(404);
  });

  it('is incomplete when the limit cut it off', async () => {
    const { json, events } = setup(final('one two three', 'hm hm hm'));
    const body = await json(path, { input: 'hello', max_output_tokens: 4 });
    expect(body).toMatchObject({ status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' } });
    const told = await events(path, { input: 'hello', max_output_tokens: 4 });
    expect(types(told).at(-1)).toBe('response.incomplete');
  });

  it('answers probes with hardly any input', async () => {
    const { json } = setup(final('Hi'));
    for (const body of [{}, { input: '' }, { input: [] }, { input: [], max_output_tokens: 1, instructions: 'x' }]) {
      expect(String((await json(path, body)).object)).toBe('response');
    }
  });

  it('is found, listed and deleted by its owner alone', async () => {
    const model = scripted(final('Hi'));
    const caller = new Caller({ model, apiKeys: ['one', 'two'] });
    const as = (key: string) => ({ authorization: `Bearer ${key}` });
    const { id } = await caller.json(path, { input: 'hello' }, as('one'));
    const read = async (key: string, rest = ''): Promise<number> =>
      (await caller.fetch(`${path}/${String(id)}${rest}`, { headers: as(key) })).status;
    expect([await read('one'), await read('two'), await read('two', '/input_items')]).toEqual([200, 404, 404]);
    const foreign = await caller.post(path, { input: 'x', previous_response_id: id }, as('two'));
    expect(foreign.status).toBe(400);
    expect(await foreign.json()).toMatchObject({ error: { code: 'previous_response_not_found' } });
    expect((await caller.fetch(`${path}/${String(id)}`, { method: 'DELETE', headers: as('two') })).status).toBe(404);
    expect((await caller.fetch(`${path}/${String(id)}`, { method: 'DELETE', headers: as('one') })).status).toBe(200);
    expect(await read('one')).toBe(404);
  });

  it('goes on from none that failed, and from no circle', async () => {
    const { json, store } = setup(final('Hi'));
    const { id } = await json(path, { input: 'hello' });
    const stored = store.get(String(id))!;
    store.put({ ...stored, id: 'resp_one', previousId: 'resp_two' });
    store.put({ ...stored, id: 'resp_two', previousId: 'resp_one' });
    store.put({ ...stored, id: 'resp_failed', body: { ...stored.body, status: 'failed' } });
    for (const previous_response_id of ['resp_one', 'resp_failed']) {
      const { error } = await json(path, { input: 'x', previous_response_id });
      expect(error).toMatchObject({ type: 'invalid_request_error', param: 'previous_response_id' });
    }
  });

  it('lists its input in pages', async () => {
    const { json, get } = setup(final('Hi'));
    const input = ['a', 'b', 'c'].map((content) => ({ role: 'user', content }));
    const { id } = await json(path, { input });
    const first = await get(`${String(id)}/input_items?limit=2&order=asc`);
    expect(list(first.data)).toMatchObject([{ content: [{ text: 'a' }] }, { content: [{ text: 'b' }] }]);
    expect(first.has_more).toBe(true);
    const rest = await get(`${String(id)}/input_items?order=asc&after=${String(first.last_id)}`);
    expect(list(rest.data)).toMatchObject([{ type: 'message', content: [{ type: 'input_text', text: 'c' }] }]);
    expect((await get(`${String(id)}/input_items?limit=0`)).error.param).toBe('limit');
  });

  it('outlives a store that fails: the answer goes out and the failure is logged', async () => {
    const logged: string[] = [];
    const store = new MemoryStore();
    store.put = () => {
      throw new Error('ENOSPC: no space left on device');
    };
    const log = { info: () => undefined, warn: () => undefined, error: (_: object, text: string) => logged.push(text) };
    const caller = new Caller({ model: scripted(final('Hi')), store, log });
    expect(textOf(await caller.json(path, { input: 'hello' }))).toBe('Hi');
    expect(logged).toEqual(['a response could not be stored']);
    expect(await (await caller.fetch('/metrics')).text()).toContain('gptoss:store_errors_total 1');
  });
});

describe('a response in the background', () => {
  it('is queued, runs without its client, and can be read and replayed from any event', async () => {
    const { json, get, caller, model } = setup(final('Hi there!', 'hm'));
    const body = await json(path, { input: 'hello', background: true });
    expect(body).toMatchObject({ status: expect.stringMatching(/queued|in_progress/), background: true });
    const response = await caller.fetch(`${path}/${String(body.id)}?stream=true&starting_after=4`);
    const told = (await response.text()).split('\n').filter((line) => line.startsWith('data: {'));
    expect(told.map((line) => Number(JSON.parse(line.slice(6)).sequence_number))[0]).toBe(5);
    expect(JSON.parse(told.at(-1)!.slice(6))).toMatchObject({ type: 'response.completed' });
    expect(textOf(await get(String(body.id)))).toBe('Hi there!');
    expect(caller.app.visits).toBe(0);
    model.engine.audit();
  });

  it('can be cancelled, once and again, and deleted while it runs', async () => {
    let hold = true;
    let resume = (): void => undefined;
    const gate = (): Promise<void> | undefined =>
      hold ? new Promise<void>((resolve) => (resume = resolve)) : undefined;
    const { json, get, caller, del, model, store } = setup(final('Hi'), gate);
    const cancel = async (id: string): Promise<Loose> =>
      (await caller.fetch(`${path}/${id}/cancel`, { method: 'POST' })).json() as Promise<Loose>;
    const one = String((await json(path, { input: 'hello', background: true })).id);
    expect(String((await get(one)).status)).toBe('in_progress');
    expect((await json(path, { input: 'x', previous_response_id: one })).error.param).toBe('previous_response_id');
    expect(await cancel(one)).toMatchObject({ status: 'cancelled' });
    expect(await cancel(one)).toMatchObject({ status: 'cancelled' });
    const two = String((await json(path, { input: 'hello', background: true })).id);
    expect((await del(two)).status).toBe(200);
    hold = false;
    resume();
    const three = await json(path, { input: 'hello' });
    expect(textOf(three)).toBe('Hi');
    expect(await cancel(String(three.id))).toMatchObject({ error: { type: 'invalid_request_error' } });
    expect(store.get(two)).toBeNull();
    expect((await get(two)).error.code).toBe('not_found');
    expect(caller.app.visits).toBe(0);
    model.engine.audit();
  });
});

it('a response that is being streamed can be looked at and deleted: its reader gets it whole, the store does not', async () => {
  let resume = (): void => undefined;
  let isHeld = true;
  const gate = (): Promise<void> | undefined =>
    isHeld ? new Promise<void>((resolve) => (resume = resolve)) : undefined;
  const { caller, get, del, store } = setup(final('Hi there!'), gate);
  const streams = await Promise.all(['kept', 'deleted'].map((input) => caller.post(path, { input, stream: true })));
  const readers = streams.map((response) => response.body!.pipeThrough(new TextDecoderStream()).getReader());
  const firsts = await Promise.all(readers.map((reader) => reader.read()));
  const [kept, deleted] = firsts.map(({ value }) => /"id":"(resp_\w+)"/.exec(value!)![1]!);
  expect(await get(kept!)).toMatchObject({ id: kept, status: 'in_progress', background: false });
  const cancelled = await caller.fetch(`${path}/${kept}/cancel`, { method: 'POST' });
  expect([cancelled.status, await cancelled.text()]).toEqual([400, expect.stringContaining('in the background')]);
  expect((await del(deleted!)).status).toBe(200);
  expect((await get(deleted!)).error.code).toBe('not_found');
  expect((await del(deleted!)).status).toBe(404);
  isHeld = false;
  resume();
  for (const reader of readers) {
    let text = '';
    for (let next = await reader.read(); !next.done; next = await reader.read()) text += next.value;
    expect(text).toContain('event: response.completed');
    expect(text).toContain('Hi there!');
  }
  expect(store.get(kept!)!.body.status).toBe('completed');
  expect(store.get(deleted!)).toBeNull();
  expect((await get(deleted!)).error.code).toBe('not_found');
});

describe('tools of a response', () => {
  it('may be custom: a function with one text, and calls come back as they were declared', async () => {
    const custom = { type: 'custom', name: 'shell', description: 'Runs', format: { type: 'text' } };
    const script: Script = (_, count) => (count === 0 ? call('shell', '{"input": "ls -l"}') : final('ok'));
    const { json, events, model } = setup(script);
    const body = await json(path, { input: 'hello', tools: [custom] });
    const [item] = list(body.output);
    expect(item).toMatchObject({ type: 'custom_tool_call', name: 'shell', input: 'ls -l' });
    const output = { type: 'custom_tool_call_output', call_id: item.call_id, output: 'files' };
    await json(path, { input: [{ role: 'user', content: 'hello' }, item, output], tools: [custom] });
    expect(model.prompts[1]).toContain('{"input": "ls -l"}<|call|><|start|>functions.shell to=assistant');
    const again = setup(call('shell', '{"input": "ls -l"}'));
    const told = types(await again.events(path, { input: 'hello', tools: [custom] }));
    expect(told).toContain('response.custom_tool_call_input.delta');
    expect(told).toContain('response.custom_tool_call_input.done');
    expect(events).toBeDefined();
  });

  it('may be custom with a regular expression, which the text follows', async () => {
    const { json } = setup(() => null); // sampled, under the masks
    const format = { type: 'grammar', syntax: 'regex', definition: '[a-c]{3}|\\d' };
    const tools = [{ type: 'custom', name: 'code', format }];
    const asked = { input: 'hi', tools, tool_choice: 'required', temperature: 1, max_output_tokens: 400 };
    let count = 0;
    for (let seed = 0; seed < 6; seed++) {
      const { status, output } = await json(path, { ...asked, seed });
      if (String(status) !== 'completed') continue;
      expect(list(output).at(-1)).toMatchObject({
        type: 'custom_tool_call',
        input: expect.stringMatching(/^([a-c]{3}|\d)$/),
      });
      count++;
    }
    expect(count).toBeGreaterThan(0);
  });

  it('may stand in a namespace', async () => {
    const space = {
      type: 'namespace',
      name: 'mcp__files',
      description: 'Files',
      tools: [{ ...add, name: 'read-file' }],
    };
    const { json, model } = setup(call('mcp__files_read_file', '{"a":1}'));
    const body = await json(path, { input: 'hello', tools: [space] });
    expect(list(body.output)).toMatchObject([{ type: 'function_call', namespace: 'mcp__files', name: 'read-file' }]);
    expect(model.prompts[0]).toContain('type mcp__files_read_file = ');
  });

  it('of other types are skipped and named; what demands one is refused', async () => {
    const { caller } = setup(final('ok'));
    const grammar = { type: 'custom', name: 'patch', format: { type: 'grammar', syntax: 'lark', definition: 'x' } };
    const tools = [{ type: 'web_search' }, { type: 'image_generation' }, grammar, add];
    const response = await caller.post(path, { input: 'hello', tools });
    expect(response.status).toBe(200);
    expect(response.headers.get('x-gptoss-skipped-tools')).toBe('web_search, image_generation, custom:patch');
    for (const choice of [
      { type: 'web_search' },
      { type: 'function', name: 'nope' },
      { type: 'custom', name: 'patch' },
    ]) {
      expect((await caller.post(path, { input: 'hello', tools, tool_choice: choice })).status).toBe(400);
    }
  });

  it('may be a part of those offered, by allowed_tools', async () => {
    const sub = { ...add, name: 'sub' };
    const { caller } = setup(() => null); // sampled, under the masks
    const choice = { type: 'allowed_tools', mode: 'required', tools: [{ type: 'function', name: 'sub' }] };
    const names = new Set<string>();
    for (let seed = 0; seed < 6; seed++) {
      const body = {
        input: 'hi',
        tools: [add, sub],
        tool_choice: choice,
        seed,
        max_output_tokens: 400,
        temperature: 1,
      };
      for (const item of list((await caller.json(path, body)).output)) {
        if (String(item.type) === 'function_call') names.add(String(item.name));
        expect(String(item.type)).not.toBe('message');
      }
    }
    expect([...names]).toEqual(['sub']);
  });
});
