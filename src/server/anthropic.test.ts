// Anthropic's dialect over a scripted model.
import { describe, expect, it } from 'vitest';
import { Caller, call, final, type Loose, list, type Script, scripted } from './scripted.testing.ts';

const path = '/v1/messages';
const hello = [{ role: 'user', content: 'hello' }];
const add = {
  name: 'add',
  description: 'Adds',
  input_schema: { type: 'object', properties: { a: { type: 'number' } } },
};
const thinking = { type: 'enabled', budget_tokens: 8000 };

function setup(script: Script | string) {
  const model = scripted(script);
  const caller = new Caller({ model });
  return { model, caller, json: caller.json.bind(caller), events: caller.events.bind(caller) };
}

/** Adds events up as Anthropic's own clients do. */
function assembled(events: readonly Loose[]): Record<string, unknown>[] {
  const parts: Record<string, unknown>[] = [];
  for (const event of events) {
    const type = String(event.type);
    if (type === 'content_block_start') parts.push({ ...event.content_block, json: '' });
    if (type !== 'content_block_delta') continue;
    const part = parts[Number(event.index)];
    const { delta } = event;
    for (const [from, to] of [
      ['text', 'text'],
      ['thinking', 'thinking'],
      ['partial_json', 'json'],
      ['signature', 'signature'],
    ]) {
      if (delta[from] !== undefined) part[to] = `${part[to] as string}${String(delta[from])}`;
    }
  }
  return parts;
}

describe('messages', () => {
  it('show thinking when it was asked for, and keep it otherwise', async () => {
    const { json } = setup(final('Hi!', 'They greet.'));
    const body = await json(path, { max_tokens: 100, messages: hello, thinking });
    expect(body).toMatchObject({
      type: 'message',
      role: 'assistant',
      content: [
        { type: 'thinking', thinking: 'They greet.', signature: expect.stringMatching(/./) },
        { type: 'text', text: 'Hi!' },
      ],
      stop_reason: 'end_turn',
      stop_sequence: null,
    });
    const plain = await json(path, { max_tokens: 100, messages: hello });
    expect(list(plain.content)).toEqual([{ type: 'text', text: 'Hi!' }]);
    const { input_tokens: fresh, cache_read_input_tokens: cached } = plain.usage;
    expect(Number(cached)).toBeGreaterThan(20);
    expect(Number(fresh) + Number(cached)).toBe(Number(body.usage.input_tokens));
  });

  it('stream the same content', async () => {
    const { events } = setup(call('add', '{"a": [1]}', 'Sum.'));
    const told = await events(path, { max_tokens: 100, messages: hello, tools: [add], thinking });
    expect(assembled(told)).toMatchObject([
      { type: 'thinking', thinking: 'Sum.', signature: expect.stringMatching(/^sig_/) },
      { type: 'tool_use', name: 'add', input: {}, json: '{"a": [1]}' },
    ]);
    const types = told.map(({ type }) => String(type)).filter((type, i, all) => type !== all[i - 1]);
    expect(types[0]).toBe('message_start');
    expect(types.slice(-3)).toEqual(['content_block_stop', 'message_delta', 'message_stop']);
    expect(told.at(-2)).toMatchObject({
      delta: { stop_reason: 'tool_use' },
      usage: { output_tokens: expect.any(Number) },
    });
  });

  it('take tool results, and find the hidden thinking of the turn again', async () => {
    const { json, model } = setup((_, count) => (count === 0 ? call('add', '{"a": 1}', 'Sum.') : final('2')));
    const first = await json(path, { max_tokens: 100, messages: hello, tools: [add] });
    expect(first.stop_reason).toBe('tool_use');
    const content = list(first.content);
    expect(content).toMatchObject([{ type: 'tool_use', input: { a: 1 } }]);
    const result = { type: 'tool_result', tool_use_id: content[0].id, content: [{ type: 'text', text: '2' }] };
    const messages = [
      ...hello,
      { role: 'assistant', content },
      { role: 'user', content: [result, { type: 'text', text: 'so?' }] },
    ];
    await json(path, { max_tokens: 100, messages, tools: [add] });
    expect(model.prompts[1].startsWith(`${model.prompts[0]}<|channel|>analysis<|message|>Sum.<|end|>`)).toBe(true);
    expect(model.prompts[1]).toContain('<|message|>2<|end|><|start|>user<|message|>so?<|end|>');
  });

  it('say how they ended', async () => {
    const { json } = setup(final('one two three'));
    const stopped = await json(path, { max_tokens: 100, messages: hello, stop_sequences: [' two'] });
    expect(stopped).toMatchObject({ content: [{ text: 'one' }], stop_reason: 'stop_sequence', stop_sequence: ' two' });
    const cut = await json(path, { max_tokens: 4, messages: hello });
    expect(cut.stop_reason).toBe('max_tokens');
  });

  it('take the reasoning level from the effort, else from the budget', async () => {
    const { json, model } = setup(final('Hi'));
    const budget = (tokens: number) => ({ thinking: { type: 'enabled', budget_tokens: tokens } });
    for (const [fields, level] of [
      [{ output_config: { effort: 'low' } }, 'low'],
      [{ output_config: { effort: 'max' } }, 'high'],
      [{ output_config: { effort: 'medium' }, ...budget(32_000) }, 'medium'],
      [budget(1024), 'low'],
      [budget(8000), 'medium'],
      [budget(32_000), 'high'],
      [{ thinking: { type: 'adaptive' } }, 'medium'],
      [{ thinking: { type: 'disabled' } }, 'low'],
    ] as const) {
      await json(path, { max_tokens: 10, messages: hello, ...fields });
      expect(model.prompts.at(-1)).toContain(`Reasoning: ${level}`);
    }
  });

  it('count the tokens of the very prompt that would be read', async () => {
    const { json } = setup(final('Hi'));
    const body = { messages: hello, system: [{ type: 'text', text: 'Be brief.' }], tools: [add] };
    const { input_tokens } = await json(`${path}/count_tokens`, body);
    const { usage } = await json(path, { ...body, max_tokens: 10 });
    expect(input_tokens).toBe(usage.input_tokens);
  });

  it('offer only tools that they can, and force one that is named', async () => {
    const { caller, model } = setup(final('Hi'));
    const tools = [add, { type: 'web_search_20250305', name: 'web_search' }];
    const response = await caller.post(path, { max_tokens: 10, messages: hello, tools });
    expect(response.headers.get('x-gptoss-skipped-tools')).toBe('web_search_20250305');
    expect(model.prompts[0]).not.toContain('web_search');
    const wrong = await caller.post(path, {
      max_tokens: 10,
      messages: hello,
      tools,
      tool_choice: { type: 'tool', name: 'x' },
    });
    expect(wrong.status).toBe(400);
  });

  it('refuse what gpt-oss cannot read, in the form of their clients', async () => {
    const { json, caller } = setup(final('Hi'));
    const image = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: '' } };
    for (const body of [
      { messages: hello },
      { max_tokens: 0, messages: hello },
      { max_tokens: 10, messages: [] },
      { max_tokens: 10, messages: [{ role: 'user', content: [image] }] },
      { max_tokens: 10, messages: [...hello, { role: 'assistant', content: 'Sure, ' }] },
      {
        max_tokens: 10,
        messages: [{ role: 'user', content: [{ type: 'tool_result', tool_use_id: 'x', content: '' }] }],
      },
    ]) {
      expect(await json(path, body)).toMatchObject({
        type: 'error',
        error: { type: 'invalid_request_error', message: expect.stringMatching(/expected/) },
      });
    }
    expect((await caller.post(`${path}/nope`, {})).status).toBe(404);
  });
});
