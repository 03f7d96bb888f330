// Request bodies that are valid but for some random damage, and bodies that are random altogether: every one gets an
// answer or an error in its dialect's form, never a server error, and nothing is left behind.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Caller, call, final, patience, scripted } from './scripted.testing.ts';

const schema = { type: 'object', properties: { a: { type: 'string' }, b: { type: 'number' } }, required: ['a'] };
const weather = { name: 'get_weather', description: 'Weather', parameters: schema };
const said = { id: 'c1', type: 'function', function: { name: 'get_weather', arguments: '{"a":"x"}' } };

/** One good request for each route, with as many fields as possible. */
const good: readonly (readonly [path: string, body: object])[] = [
  [
    '/v1/chat/completions',
    {
      model: 'm',
      messages: [
        { role: 'system', content: 's' },
        { role: 'user', content: [{ type: 'text', text: 'u' }] },
        { role: 'assistant', content: 'a', reasoning: 'r', tool_calls: [said] },
        { role: 'tool', tool_call_id: 'c1', content: 't' },
        { role: 'user', content: 'v' },
      ],
      tools: [{ type: 'function', function: weather }],
      tool_choice: 'auto',
      temperature: 0.5,
      top_p: 0.9,
      seed: 1,
      stop: ['x'],
      n: 1,
      max_tokens: 6,
      logprobs: true,
      top_logprobs: 1,
      logit_bias: { 5: 1 },
      reasoning_effort: 'low',
      response_format: { type: 'text' },
      stream: false,
    },
  ],
  [
    '/v1/responses',
    {
      input: [
        { role: 'user', content: 'u' },
        { type: 'reasoning', summary: [], content: [{ type: 'reasoning_text', text: 'r' }] },
        { type: 'function_call', call_id: 'c1', name: 'get_weather', arguments: '{}' },
        { type: 'function_call_output', call_id: 'c1', output: 't' },
        { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'a' }] },
        { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'v' }] },
      ],
      instructions: 'i',
      tools: [{ type: 'function', ...weather }, { type: 'custom', name: 'c' }, { type: 'web_search' }],
      tool_choice: { type: 'function', name: 'get_weather' },
      reasoning: { effort: 'low' },
      text: { format: { type: 'text' } },
      max_output_tokens: 6,
      metadata: { a: 'b' },
      include: ['reasoning.encrypted_content'],
      stream: false,
      background: false,
    },
  ],
  [
    '/v1/messages',
    {
      max_tokens: 6,
      system: [{ type: 'text', text: 's' }],
      messages: [
        { role: 'user', content: 'u' },
        {
          role: 'assistant',
          content: [
            { type: 'thinking', thinking: 'r', signature: 's' },
            { type: 'text', text: 'a' },
            { type: 'tool_use', id: 'c1', name: 'get_weather', input: { a: 'x' } },
          ],
        },
        { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'c1', content: 't' }] },
      ],
      tools: [{ name: 'get_weather', description: 'd', input_schema: schema }],
      tool_choice: { type: 'auto' },
      thinking: { type: 'enabled', budget_tokens: 1024 },
      stop_sequences: ['x'],
      stream: false,
    },
  ],
  ['/v1/messages/count_tokens', { messages: [{ role: 'user', content: 'u' }], system: 's', tools: [] }],
  ['/v1/completions', { prompt: ['a', 'b'], max_tokens: 4, n: 1, echo: true, logprobs: 1, stop: 'x', stream: false }],
  [
    '/api/chat',
    {
      model: 'm',
      messages: [
        { role: 'system', content: 's' },
        { role: 'user', content: 'u' },
        { role: 'assistant', content: '', tool_calls: [{ function: { name: 'get_weather', arguments: { a: 'x' } } }] },
        { role: 'tool', tool_name: 'get_weather', content: 't' },
      ],
      tools: [{ type: 'function', function: weather }],
      think: 'low',
      format: '',
      options: { num_predict: 6, temperature: 0.5, stop: ['x'], num_ctx: 2048 },
      stream: false,
      keep_alive: '5m',
    },
  ],
  ['/api/generate', { model: 'm', prompt: 'p', system: 's', options: { num_predict: 6 }, stream: false }],
  ['/api/show', { model: 'scripted' }],
  ['/tokenize', { content: 'x', with_pieces: true }],
  ['/detokenize', { tokens: [1, 2, 3] }],
  ['/apply-template', { messages: [{ role: 'user', content: 'u' }] }],
];

type Path = readonly (string | number)[];

function pathsOf(value: unknown, here: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [here];
  return [here, ...Object.entries(value).flatMap(([key, inner]) => pathsOf(inner, [...here, key]))];
}

function changed(value: unknown, path: Path, edit: (old: unknown) => unknown): unknown {
  if (path.length === 0) return edit(value);
  const [key, ...rest] = path;
  const copy: Record<string, unknown> | unknown[] = Array.isArray(value) ? [...value] : { ...(value as object) };
  const fields = copy as Record<string | number, unknown>;
  const inner = changed(fields[key], rest, edit);
  if (inner === undefined && Array.isArray(copy)) copy.splice(Number(key), 1);
  else if (inner === undefined) delete fields[key];
  else fields[key] = inner;
  return copy;
}

const odd = fc.oneof(
  fc.constantFrom<unknown>(
    ...[undefined, null, true, false, 0, -1, 1e9, 1e308, 2 ** 53, 0.1, '', ' ', 'x', 'null', '<|start|>', '__proto__'],
    ...[[], {}, [[]], [null], [{}], { type: 'text' }, { type: 'image_url' }, { type: 'x' }, ['x', 1], 'x'.repeat(3000)],
    ...['required', 'none', 'high', 'json_object', 'user', 'assistant', 'tool', '\ud800', '\u0000'],
  ),
  fc.jsonValue({ maxDepth: 3 }),
  fc.string(),
  fc.double(),
);

const damaged = fc
  .tuple(fc.constantFrom(...good), fc.array(fc.tuple(fc.nat(), odd), { minLength: 1, maxLength: 3 }))
  .map(([[path, body], edits]) => {
    let now: unknown = body;
    for (const [place, value] of edits) {
      const paths = pathsOf(now);
      now = changed(now, paths[place % paths.length], () => value);
    }
    return { path, text: JSON.stringify(now) ?? '' };
  });

const random = fc
  .tuple(fc.constantFrom(...good), fc.oneof(fc.json({ maxDepth: 5 }), fc.string({ unit: 'binary' }), fc.string()))
  .map(([[path], text]) => ({ path, text }));

describe('random bodies', () => {
  const model = scripted(
    (prompt, count) =>
      prompt.length % 3 === 0 ? call('get_weather', '{"a":"y"}', 'hm') : count % 40 === 0 ? null : final('ok'),
    { context: 600, maxSequences: 4 },
  );
  const caller = new Caller({ model, aliases: ['m'] });

  const check = async ({ path, text }: { path: string; text: string }): Promise<void> => {
    const response = await caller.post(path, text);
    const body = await response.text();
    expect([200, 400, 404, 413, 415, 429]).toContain(response.status);
    const isStream = response.headers.get('content-type')?.includes('json') !== true || body.includes('\n');
    if (response.status !== 200) {
      const { error } = JSON.parse(body) as { error: { message?: string } | string };
      expect(typeof error === 'string' ? error : error.message).toMatch(/expected/);
    } else if (!isStream) JSON.parse(body);
    else expect(body).not.toContain('internal_error');
  };

  it.each([
    ['that were good once', damaged, 2600],
    ['that never were', random, 900],
  ] as const)('%s are answered or refused, and leave nothing', async (_, bodies, numRuns) => {
    await fc.assert(fc.asyncProperty(bodies, check), { numRuns });
    await expect.poll(() => caller.app.visits, patience).toBe(0);
    await expect.poll(() => model.engine.stats().running + model.engine.stats().waiting, patience).toBe(0);
    model.engine.audit();
  });

  it('that are good are answered', async () => {
    for (const [path, body] of good) {
      const response = await caller.post(path, body);
      expect([path, response.status, await response.text()]).toEqual([path, 200, expect.any(String)]);
    }
  });
});
