// Plain completions: text and ids, echo, scores, several at once.
import { describe, expect, it } from 'vitest';
import { Caller, list, type Script, scripted } from './scripted.testing.ts';

const path = '/v1/completions';

function setup(script: Script | string | null) {
  const model = scripted(script);
  const caller = new Caller({ model });
  return { model, caller, json: caller.json.bind(caller), events: caller.events.bind(caller) };
}

describe('completions', () => {
  it('go on from text and from ids as they are, without a template', async () => {
    const { json, model } = setup(' world<|return|>');
    const ids = model.tokenizer.encode('hello <|start|>');
    expect(ids).not.toContain(model.encoding.ids.start);
    const body = await json(path, { prompt: 'hello <|start|>' });
    expect(body).toMatchObject({ object: 'text_completion', choices: [{ text: ' world', finish_reason: 'stop' }] });
    await json(path, { prompt: [model.encoding.ids.start, ...ids] });
    expect(model.engine.prompts).toEqual([ids, [model.encoding.ids.start, ...ids]]);
  });

  it('hide special tokens, or show them by their names', async () => {
    const { json } = setup('<|channel|>final<|message|>Hi<|return|>');
    expect((await json(path, { prompt: 'x' })).choices[0].text).toBe('finalHi');
    const shown = await json(path, { prompt: 'x', skip_special_tokens: false, return_token_ids: true });
    expect(shown.choices[0].text).toBe('<|channel|>final<|message|>Hi<|return|>');
    expect(list(shown.choices[0].token_ids)).toHaveLength(Number(shown.usage.completion_tokens));
  });

  it('answer several prompts, several times each, in order', async () => {
    const { json } = setup((prompt, count) => ` ${prompt}${count}<|return|>`);
    const { choices } = await json(path, { prompt: ['a', 'b'], n: 2 });
    expect(list(choices).map(({ index, text }) => [Number(index), String(text)])).toEqual([
      [0, ' a0'],
      [1, ' a1'],
      [2, ' b2'],
      [3, ' b3'],
    ]);
  });

  it('stream', async () => {
    const { events } = setup(' one two<|return|>');
    const chunks = await events(path, { prompt: 'x', stream_options: { include_usage: true } });
    expect(chunks.flatMap(({ choices }) => list(choices).map(({ text }) => String(text))).join('')).toBe(' one two');
    expect(chunks.at(-2)).toMatchObject({ choices: [{ finish_reason: 'stop' }] });
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: expect.any(Number) } });
  });

  it('score a prompt without going on', async () => {
    const { json, model } = setup(null);
    const text = 'hello there';
    const body = await json(path, { prompt: text, max_tokens: 0, echo: true, logprobs: 2 });
    const { logprobs, text: echoed } = body.choices[0];
    expect(echoed).toBe(text);
    expect(list(logprobs.tokens).map(String).join('')).toBe(text);
    expect(list(logprobs.token_logprobs)).toHaveLength(model.tokenizer.encode(text).length);
    expect(list(logprobs.token_logprobs)[0]).toBeNull();
    expect(Number(list(logprobs.token_logprobs)[1])).toBeLessThan(0);
    expect(Object.keys(list(logprobs.top_logprobs)[1]).length).toBeGreaterThanOrEqual(1);
    expect(body.usage.completion_tokens).toBe(0);
  });

  it('echo the prompt before what follows, scores included', async () => {
    const { json } = setup(' world<|return|>');
    const { choices } = await json(path, { prompt: 'hello', echo: true, logprobs: 0, max_tokens: 16 });
    expect(choices[0].text).toBe('hello world');
    const { tokens, text_offset: offsets } = choices[0].logprobs;
    const texts = list(tokens).map(String);
    expect(list(offsets).map(Number)).toEqual(texts.map((_, i) => texts.slice(0, i).join('').length));
  });

  it('refuse what they cannot do before the first byte, streamed or not', async () => {
    const { caller } = setup(' x<|return|>');
    for (const body of [
      { prompt: '' },
      { prompt: [] },
      { prompt: [1, 'a'] },
      { prompt: [5000] },
      { prompt: [-1] },
      { prompt: 'word '.repeat(9000) },
      { prompt: 'x', max_tokens: 0 },
      { prompt: 'x', max_tokens: -1 },
      { prompt: 'x', suffix: 'y' },
      { prompt: 'x', best_of: 5 },
      { prompt: 'x', logprobs: 21 },
      { prompt: ['a', 'b'], n: 100 },
      { prompt: 'x', stop: [''] },
      {},
    ]) {
      for (const stream of [false, true]) {
        const response = await caller.post(path, { ...body, stream });
        expect([response.status, JSON.stringify(body).slice(0, 60)]).toEqual([400, JSON.stringify(body).slice(0, 60)]);
        expect(await response.json()).toMatchObject({ error: { type: 'invalid_request_error' } });
      }
    }
    expect(caller.app.visits).toBe(0);
  });
});
