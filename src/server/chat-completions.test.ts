// The older OpenAI dialect over a scripted model: what comes out, streamed or not, and what the model is asked.
import { describe, expect, it } from 'vitest';
import { Caller, call, final, type Loose, list, type Script, scripted, tinyTokens } from './scripted.testing.ts';

const path = '/v1/chat/completions';
const hello = [{ role: 'user', content: 'hello' }];
const add = {
  type: 'function',
  function: { name: 'add', description: 'Adds', parameters: { type: 'object', properties: { a: { type: 'number' } } } },
};

function caller(script: Script | string): Caller & { model: ReturnType<typeof scripted> } {
  const model = scripted(script);
  return Object.assign(new Caller({ model }), { model });
}

/** All deltas of one choice put together. */
function joined(chunks: readonly Loose[], index = 0): Record<string, string> {
  const out: Record<string, string> = { content: '', reasoning: '', reasoning_content: '', arguments: '', finish: '' };
  for (const choice of chunks.flatMap((chunk) => list(chunk.choices))) {
    if (Number(choice.index) !== index) continue;
    for (const key of ['content', 'reasoning', 'reasoning_content']) out[key] += choice.delta[key] ?? '';
    for (const part of list(choice.delta.tool_calls)) {
      out.arguments += part.function.arguments;
      if (part.id !== undefined) out.name = String(part.function.name);
    }
    out.finish += choice.finish_reason ?? '';
  }
  return out;
}

describe('chat completions', () => {
  it('give text, reasoning under both names, and usage that tells cached and reasoning tokens apart', async () => {
    const { json } = bound(caller(final('Hi!', 'They greet.')));
    const body = await json(path, { messages: hello });
    expect(body).toMatchObject({
      object: 'chat.completion',
      model: 'scripted',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: 'Hi!', reasoning: 'They greet.', reasoning_content: 'They greet.' },
          finish_reason: 'stop',
          logprobs: null,
        },
      ],
    });
    const { usage } = body;
    expect(Number(usage.total_tokens)).toBe(Number(usage.prompt_tokens) + Number(usage.completion_tokens));
    expect(Number(usage.completion_tokens_details.reasoning_tokens)).toBeGreaterThan(0);
    const again = await json(path, { messages: hello });
    expect(Number(again.usage.prompt_tokens_details.cached_tokens)).toBeGreaterThan(20);
  });

  it('stream the same, chunk by chunk, with usage last when it is asked for', async () => {
    const { events } = bound(caller(final('Hi there!', 'They greet.')));
    const chunks = await events(path, { messages: hello, stream_options: { include_usage: true } });
    expect(joined(chunks)).toMatchObject({ content: 'Hi there!', reasoning: 'They greet.', finish: 'stop' });
    expect(chunks[0].choices).toMatchObject([{ index: 0, delta: { role: 'assistant' }, finish_reason: null }]);
    expect(new Set(chunks.map((chunk) => String(chunk.id))).size).toBe(1);
    expect(list(chunks.at(-1)!.choices)).toHaveLength(0);
    expect(Number(chunks.at(-1)!.usage.completion_tokens)).toBeGreaterThan(0);
    expect(chunks.slice(0, -1).every((chunk) => chunk.usage === null && list(chunk.choices).length === 1)).toBe(true);
    const plain = await events(path, { messages: hello });
    expect(plain.every((chunk) => !('usage' in chunk) && list(chunk.choices).length === 1)).toBe(true);
  });

  it('give calls with ids and arguments, whole or in pieces', async () => {
    const { json, events } = bound(caller(call('add', '{"a": 1, "b": [2, "}"]}', 'Sum.')));
    const { choices } = await json(path, { messages: hello, tools: [add] });
    expect(choices).toMatchObject([
      {
        message: {
          content: null,
          reasoning: 'Sum.',
          tool_calls: [{ type: 'function', function: { name: 'add', arguments: '{"a": 1, "b": [2, "}"]}' } }],
        },
        finish_reason: 'tool_calls',
      },
    ]);
    const chunks = await events(path, { messages: hello, tools: [add] });
    expect(joined(chunks)).toMatchObject({ name: 'add', arguments: '{"a": 1, "b": [2, "}"]}', finish: 'tool_calls' });
  });

  it('repair arguments that are almost JSON, the same streamed and whole', async () => {
    for (const [written, wanted] of [
      ['{"text": "two\nlines"}', '{"text": "two\\nlines"}'],
      ['{"a": 1}]', '{"a": 1}'],
      ['[{"a": 1}]', '{"a":1}'],
      ['"{\\"a\\": 1}"', '{"a":1}'],
      ['so: {"a": 1}', '{"a":1}'],
      ['nothing of it', 'nothing of it'],
      ['', '{}'],
    ]) {
      const { json, events } = bound(caller(call('add', written)));
      const { choices } = await json(path, { messages: hello, tools: [add] });
      expect(choices[0].message.tool_calls[0].function.arguments).toBe(wanted);
      expect(joined(await events(path, { messages: hello, tools: [add] })).arguments).toBe(wanted);
    }
  });

  it('find the reasoning of a turn again by the id of its call, so that the next step reads only what is new', async () => {
    const { json, model } = bound(caller((_, count) => (count === 0 ? call('add', '{"a":1}', 'Sum.') : final('2'))));
    const first = await json(path, { messages: hello, tools: [add] });
    const { tool_calls } = first.choices[0].message;
    const messages = [
      ...hello,
      { role: 'assistant', content: null, tool_calls },
      { role: 'tool', tool_call_id: tool_calls[0].id, content: '2' },
    ];
    const second = await json(path, { messages, tools: [add] });
    expect(model.prompts[1].startsWith(`${model.prompts[0]}<|channel|>analysis<|message|>Sum.<|end|>`)).toBe(true);
    expect(model.prompts[1]).toContain('<|call|><|start|>functions.add to=assistant<|channel|>commentary<|message|>2');
    const { prompt_tokens, prompt_tokens_details, completion_tokens } = second.usage;
    const generated = Number(first.usage.completion_tokens);
    const before = Number(first.usage.prompt_tokens) + generated;
    expect(Number(prompt_tokens_details.cached_tokens)).toBeGreaterThanOrEqual(before - 1);
    expect(Number(prompt_tokens)).toBeGreaterThan(before);
    expect(Number(completion_tokens)).toBeGreaterThan(0);
  });

  it('replay an answer with the ids it was generated with, however else its text may be cut into tokens', async () => {
    const { tokenizer } = tinyTokens();
    // "Hello" in single letters: no encoder would write it so.
    const letters = [...'Hello'].flatMap((letter) => tokenizer.encode(letter));
    const [before, after] = final('#')
      .split('#')
      .map((text) => tokenizer.encodeWithSpecials(text));
    const { json, model } = bound(
      caller((_, count) => (count === 0 ? [...before, ...letters, ...after] : final('ok'))),
    );
    const first = await json(path, { messages: hello });
    const { content } = first.choices[0].message;
    expect(content).toBe('Hello');
    await json(path, { messages: [...hello, { role: 'assistant', content }, { role: 'user', content: 'again' }] });
    expect(model.engine.prompts[1].join()).toContain([...before, ...letters].join());
    // Someone else's words are encoded as usual.
    await json(path, {
      messages: [...hello, { role: 'assistant', content: 'Hello!' }, { role: 'user', content: 'x' }],
    });
    expect(model.engine.prompts[2].join()).not.toContain(letters.join());
  });

  it('say several answers to one prompt', async () => {
    const { json, events } = bound(caller((_, count) => final(`answer ${count}`)));
    const body = await json(path, { messages: hello, n: 3 });
    expect(list(body.choices).map((choice) => String(choice.message.content))).toEqual([
      'answer 0',
      'answer 1',
      'answer 2',
    ]);
    const chunks = await events(path, { messages: hello, n: 2 });
    expect([joined(chunks, 0).content, joined(chunks, 1).content].sort()).toEqual(['answer 3', 'answer 4']);
  });

  it('give log-probabilities of the text only, that of each token once, streamed as whole', async () => {
    const { json, events } = bound(caller(final('Hi!', 'They greet.')));
    const whole = await json(path, { messages: hello, logprobs: true, top_logprobs: 2 });
    const content = list(whole.choices[0].logprobs.content);
    expect(content.map((each) => String(each.token)).join('')).toBe('Hi!');
    for (const each of content) {
      expect(Number(each.logprob)).toBeLessThan(0);
      expect(list(each.top_logprobs)).toHaveLength(2);
    }
    const chunks = await events(path, { messages: hello, logprobs: true });
    const streamed = chunks.flatMap((chunk) => list(chunk.choices[0].logprobs?.content));
    expect(streamed.map((each) => String(each.token)).join('')).toBe('Hi!');
  });

  it('stop before a stop string and say why', async () => {
    const { json } = bound(caller(final('one two three')));
    const { choices } = await json(path, { messages: hello, stop: [' two'] });
    expect(choices).toMatchObject([{ message: { content: 'one' }, finish_reason: 'stop' }]);
  });

  it('say when the limit cut the answer off, and keep what there is', async () => {
    const { json } = bound(caller(final('one two three four', 'hm')));
    const { choices } = await json(path, { messages: hello, max_completion_tokens: 4 });
    expect(choices).toMatchObject([{ message: { content: '' }, finish_reason: 'length' }]);
    const cut = bound(caller(call('add', '{"a": 1, "b": 2}')));
    const body = await cut.json(path, { messages: hello, tools: [add], max_tokens: 18 });
    expect(body.choices[0].finish_reason).toBe('length');
  });

  it('put instructions first, later ones in their place, and tools where the model expects them', async () => {
    const { json, model } = bound(caller(final('ok')));
    await json(path, {
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'developer', content: [{ type: 'text', text: 'Be kind.' }] },
        ...hello,
        { role: 'assistant', content: 'Hi' },
        { role: 'developer', content: 'Now be loud.' },
        { role: 'user', content: 'again' },
      ],
      tools: [add],
      reasoning_effort: 'high',
    });
    const [prompt] = model.prompts;
    expect(prompt).toContain('Reasoning: high');
    expect(prompt).toContain('<|start|>developer<|message|># Instructions\n\nBe brief.\n\nBe kind.\n\n# Tools');
    expect(prompt).toContain('type add = (_: {');
    expect(prompt).toContain('Hi<|end|><|start|>developer<|message|># Instructions\n\nNow be loud.<|end|>');
  });

  it('tell several calls of a client one after another, each with its result', async () => {
    const { json, model } = bound(caller(final('ok')));
    const said = (id: string) => ({ id, type: 'function', function: { name: 'add', arguments: `{"a":"${id}"}` } });
    await json(path, {
      messages: [
        ...hello,
        { role: 'assistant', content: 'I add.', tool_calls: [said('x'), said('y')] },
        { role: 'tool', tool_call_id: 'y', content: 'Y' },
        { role: 'tool', tool_call_id: 'x', content: 'X' },
      ],
      tools: [add],
    });
    const order = [...model.prompts[0].matchAll(/\{"a":"(\w)"\}|<\|message\|>([XY])</g)].map((m) => m[1] ?? m[2]);
    expect(order).toEqual(['x', 'X', 'y', 'Y']);
    expect(model.prompts[0]).toContain('<|channel|>commentary<|message|>I add.<|end|>');
  });

  it('name tools of other types that they leave out, and refuse to demand one', async () => {
    const { post } = bound(caller(final('ok')));
    const tools = [add, { type: 'web_search' }, { type: 'bad\nheader' }];
    const response = await post(path, { messages: hello, tools });
    expect(response.headers.get('x-gptoss-skipped-tools')).toBe('web_search, badheader');
    const refused = await post(path, { messages: hello, tools, tool_choice: { type: 'web_search' } });
    expect(refused.status).toBe(400);
  });

  it('never lose a turn, whatever header the model writes', async () => {
    for (const [said, shown] of [
      ['I cannot help with that.<|return|>', 'I cannot help with that.'],
      ['<|channel|>analysis<|message|>only thoughts<|return|>', 'only thoughts'],
      ['<|channel|>final<|channel|>final<|message|>twice<|return|>', 'twice'],
      ['<|channel|>commentary<|message|>aside<|return|>', 'aside'],
    ]) {
      const { json, events } = bound(caller(said));
      expect((await json(path, { messages: hello })).choices[0].message.content).toBe(shown);
      expect(joined(await events(path, { messages: hello })).content).toBe(shown);
    }
  });
});

/** Methods that can be taken apart. */
function bound<T extends Caller & { model: ReturnType<typeof scripted> }>(caller: T) {
  return {
    model: caller.model,
    post: caller.post.bind(caller),
    json: caller.json.bind(caller),
    events: caller.events.bind(caller),
  };
}
