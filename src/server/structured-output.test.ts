// Forms of answers through every door: what is sampled at temperature 1 under a schema, a regular expression or choices is
// valid, with reasoning before it; the same request gives the same tokens; calls that are demanded come; and what cannot be
// kept is refused by name. The engine of schemas has its own tests in text/schema/.

import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { seedModel } from '../../test/shared.ts';
import { open } from '../open.node.ts';
import type { OpenedModel } from '../opened-model.ts';
import { Caller, type Loose, list, scripted } from './scripted.testing.ts';

const ajv = new Ajv2020({ strict: false });
formats.default(ajv);
const text = { type: 'string', maxLength: 8 };
const schemas: Readonly<Record<string, object>> = {
  answer: {
    type: 'object',
    properties: { sum: { type: 'integer', minimum: 0, maximum: 2000 }, isCertain: { type: 'boolean' }, unit: text },
    required: ['sum', 'isCertain'],
    additionalProperties: false,
  },
  list: { type: 'array', items: { enum: ['red', 'green', 'blue', 7, null] }, minItems: 1, maxItems: 4 },
  union: {
    anyOf: [
      { type: 'object', properties: { kind: { const: 'circle' }, r: { type: 'number', minimum: 0, maximum: 9 } } },
      { type: 'object', properties: { kind: { const: 'square' }, side: { type: 'integer' } }, required: ['kind'] },
    ],
  },
  recursive: {
    type: 'object',
    properties: { v: { type: 'integer', minimum: 0, maximum: 9 }, next: { anyOf: [{ $ref: '#' }, { type: 'null' }] } },
    required: ['v', 'next'],
  },
  pattern: {
    type: 'object',
    properties: { zip: { type: 'string', pattern: '^\\d{5}$' }, on: { type: 'string', format: 'date' } },
    required: ['zip', 'on'],
  },
};
const question = 'What is 412 + 509?';
const messages = [{ role: 'user', content: question }];

/** The same request as each dialect says it, and the text of its answer. */
const doors: readonly (readonly [
  path: string,
  body: (schema: object, seed: number) => object,
  answer: (json: Loose) => string,
])[] = [
  [
    '/v1/chat/completions',
    (schema, seed) => ({
      ...{ messages, seed, temperature: 1, max_tokens: 300 },
      response_format: { type: 'json_schema', json_schema: { name: 'answer', schema, strict: true } },
    }),
    ({ choices }) => String(list(choices)[0].message.content),
  ],
  [
    '/v1/responses',
    (schema, seed) => ({
      ...{ input: question, seed, temperature: 1, max_output_tokens: 300 },
      text: { format: { type: 'json_schema', name: 'answer', schema, strict: true } },
    }),
    ({ output }) => String(list(list(output).at(-1)!.content)[0].text),
  ],
  [
    '/v1/messages',
    (schema, seed) => ({
      ...{ messages, seed, temperature: 1, max_tokens: 300 },
      output_config: { format: { type: 'json_schema', schema } },
    }),
    ({ content }) => String(list(content).at(-1)!.text),
  ],
  [
    '/api/chat',
    (schema, seed) => ({
      ...{ messages, format: schema, stream: false },
      options: { seed, temperature: 1, num_predict: 300 },
    }),
    ({ message }) => String(message.content),
  ],
  [
    '/api/generate',
    (schema, seed) => ({
      ...{ prompt: question, format: schema, stream: false },
      options: { seed, temperature: 1, num_predict: 300 },
    }),
    ({ response }) => String(response),
  ],
];

describe('answers held to a form', () => {
  let model: OpenedModel;
  let caller: Caller;
  beforeAll(async () => {
    model = await open(seedModel, { precision: 'exact', maxSequences: 16, threads: 1 });
    caller = new Caller({ model });
  });
  afterAll(() => {
    model.engine.audit();
    return model.close();
  });
  const chat = (body: object): Promise<Loose> => caller.json('/v1/chat/completions', { messages, ...body });

  it('are the same tokens through every door, and valid', async () => {
    for (const [seed, schema] of Object.values(schemas).entries()) {
      const generate = vi.spyOn(model.engine, 'generate');
      const answers: string[] = [];
      for (const [path, body, answer] of doors) answers.push(answer(await caller.json(path, body(schema, seed))));
      const tokens = generate.mock.results.map(({ value }) => value.tokens);
      generate.mockRestore();
      for (const each of tokens) expect(each).toEqual(tokens[0]);
      expect(new Set(answers).size).toBe(1);
      expect([answers[0], ajv.validate(schema, JSON.parse(answers[0]))]).toEqual([answers[0], true]);
    }
  });

  it('are valid whatever is sampled, with reasoning before them', async () => {
    const all = await Promise.all(
      Object.entries(schemas).map(async ([name, schema]) => {
        const json_schema = { name, schema };
        const response_format = { type: 'json_schema', json_schema };
        const body = { response_format, n: 8, temperature: 1, seed: 5, max_tokens: 300, reasoning_effort: 'low' };
        return { schema, choices: list((await chat(body)).choices) };
      }),
    );
    let whole = 0;
    for (const { schema, choices } of all) {
      for (const { message, finish_reason } of choices) {
        if (String(finish_reason) === 'length') continue;
        whole++;
        const content = String(message.content);
        expect([content, ajv.validate(schema, JSON.parse(content))]).toEqual([content, true]);
        expect(String(message.reasoning)).not.toBe('');
      }
    }
    expect(whole).toBeGreaterThan(30); // of 40; the slow tier has more
  });

  it('are JSON objects, texts of an expression or one of some choices', async () => {
    const contents = async (body: object): Promise<string[]> =>
      list((await chat({ n: 3, temperature: 1, seed: 3, max_tokens: 300, reasoning_effort: 'low', ...body })).choices)
        .filter((choice) => String(choice.finish_reason) === 'stop')
        .map((choice) => String(choice.message.content));
    for (const content of await contents({ response_format: { type: 'json_object' } }))
      expect(typeof JSON.parse(content)).toBe('object');
    const { answer } = schemas;
    for (const [field, matches] of [
      [{ structured_outputs: { regex: '(yes|no), \\d{3}!' } }, /^(yes|no), \d{3}!$/],
      [{ guided_regex: '[a-c]{4}' }, /^[a-c]{4}$/],
      [{ structured_outputs: { choice: ['red apple', 'green apple', 'red'] } }, /^(red apple|green apple|red)$/],
      [{ guided_choice: ['positive', 'negative'] }, /^(positive|negative)$/],
      [{ structured_outputs: { json: answer } }, /^\{\s*"sum"/],
      [{ structured_outputs: { json: JSON.stringify(answer) } }, /^\{\s*"sum"/],
      [{ structured_outputs: { json_object: true } }, /^\{/],
      [{ guided_json: answer }, /^\{\s*"sum"/],
      [{ json_schema: answer }, /^\{\s*"sum"/],
      [{ response_format: { type: 'json_object', schema: answer } }, /^\{\s*"sum"/],
    ] as const) {
      const found = await contents(field);
      expect(found.length).toBeGreaterThan(0);
      for (const content of found) expect(content).toMatch(matches);
    }
  });

  it('are as far as they go when the limit falls into them', async () => {
    const response_format = { type: 'json_schema', json_schema: { name: 'answer', schema: schemas.answer } };
    const ask = async (more: object): Promise<Loose> =>
      list((await chat({ response_format, temperature: 0, ...more })).choices)[0];
    const whole = String((await ask({})).message.content);
    for (let most = 5; most < 60; most += 17) {
      const { finish_reason, message } = await ask({ max_tokens: most });
      if (String(finish_reason) === 'length') expect(whole.startsWith(String(message.content))).toBe(true);
      else expect(String(message.content)).toBe(whole);
    }
    const steered = await ask({ reasoning_budget: 5 });
    expect(ajv.validate(schemas.answer, JSON.parse(String(steered.message.content)))).toBe(true);
  });

  it('may be empty where the form allows it: reasoning is not shown in its place', async () => {
    const { choices } = await chat({ structured_outputs: { choice: [''] }, max_tokens: 300 });
    expect(list(choices)[0]).toMatchObject({ finish_reason: 'stop', message: { content: '' } });
  });

  it('hold for plain completions, too', async () => {
    const ask = (body: object): Promise<Loose> =>
      caller.json('/v1/completions', { prompt: 'The sum is', temperature: 1, seed: 2, n: 8, max_tokens: 40, ...body });
    for (const { text, finish_reason } of list((await ask({ structured_outputs: { regex: ' \\d{2,4}' } })).choices)) {
      expect([String(text), String(finish_reason)]).toEqual([expect.stringMatching(/^ \d{2,4}$/), 'stop']);
    }
    const both = await caller.post('/v1/completions', { prompt: 'x', ignore_eos: true, guided_choice: ['a'] });
    expect(both.status).toBe(400);
  });

  it('are streamed as they are, with tools beside them and no preamble in between', async () => {
    const body = {
      ...{ messages, temperature: 1, seed: 11, max_tokens: 300 },
      response_format: { type: 'json_schema', json_schema: { name: 'answer', schema: schemas.answer } },
      tools: [{ type: 'function', function: { name: 'get_weather', parameters: {} } }],
    };
    for (let seed = 0; seed < 2; seed++) {
      const chunks = await caller.events('/v1/chat/completions', { ...body, seed });
      const deltas = chunks.flatMap(({ choices }) => list(choices));
      const content = deltas.map(({ delta }) => String(delta.content ?? '')).join('');
      const finish = String(deltas.at(-1)!.finish_reason);
      if (finish === 'stop') expect(ajv.validate(schemas.answer, JSON.parse(content))).toBe(true);
      if (finish === 'tool_calls') expect(content).toBe('');
    }
  });

  const calls = (body: Loose): Loose[] => list(body.choices).flatMap((choice) => list(choice.message.tool_calls));
  const fn = (name: string, parameters: object, strict?: boolean): object => ({
    type: 'function',
    function: { name, description: `Computes ${name}`, parameters, strict },
  });

  it('of calls follow the schemas of strict functions, and are JSON objects for others', async () => {
    const { answer, pattern } = schemas;
    const tools = [fn('report', answer, true), fn('deliver', pattern, true), fn('note', { type: 'object' })];
    const asked = { tools, n: 6, temperature: 1, seed: 8, max_tokens: 300, reasoning_effort: 'low' };
    const byName = new Map<string, number>();
    for (const choice of [
      'required',
      ...['report', 'deliver', 'note'].map((name) => ({ type: 'function', function: { name } })),
    ]) {
      const body = await chat({ ...asked, tool_choice: choice });
      const whole = list(body.choices).filter((each) => String(each.finish_reason) !== 'length');
      expect(whole.length).toBeGreaterThan(2);
      for (const each of whole) {
        expect(String(each.finish_reason)).toBe('tool_calls');
        expect(list(each.message.tool_calls)).toHaveLength(1);
      }
      for (const call of calls({ choices: whole } as unknown as Loose)) {
        const { name, arguments: given } = call.function;
        const value = JSON.parse(String(given));
        if (typeof choice === 'object') expect(String(name)).toBe(choice.function.name);
        if (String(name) === 'report') expect(ajv.validate(answer, value)).toBe(true);
        else if (String(name) === 'deliver') expect(ajv.validate(pattern, value)).toBe(true);
        else expect(Array.isArray(value) || typeof value !== 'object').toBe(false);
        byName.set(String(name), (byName.get(String(name)) ?? 0) + 1);
      }
    }
    expect([...byName.keys()].sort()).toEqual(['deliver', 'note', 'report']);
  });

  it('are calls where every dialect demands one, of the function that it names', async () => {
    const schema = schemas.pattern;
    const named = (name: string) => ({ name, input_schema: schema, strict: true });
    const flat = (name: string) => ({ type: 'function', name, parameters: schema, strict: true });
    const asked = { temperature: 1, seed: 4 };
    const thinking = { type: 'enabled', budget_tokens: 20 };
    const reasoning = { max_tokens: 20 };
    for (let seed = 1; seed < 3; seed++) {
      const message = await caller.json('/v1/messages', {
        ...{ ...asked, seed, max_tokens: 300, messages, thinking, tools: [named('one'), named('two')] },
        tool_choice: { type: 'tool', name: 'two' },
      });
      const any = await caller.json('/v1/messages', {
        ...{ ...asked, seed, max_tokens: 300, messages, thinking, tools: [named('one'), named('two')] },
        tool_choice: { type: 'any' },
      });
      for (const each of [message, any]) {
        const use = list(each.content).at(-1)!;
        expect([String(use.type), ajv.validate(schema, use.input)]).toEqual(['tool_use', true]);
        if (each === message) expect(use.name).toBe('two');
      }
      for (const tool_choice of [
        { type: 'function', name: 'two' },
        'required',
        { type: 'allowed_tools', mode: 'required', tools: [{ type: 'function', name: 'two' }] },
      ]) {
        const response = await caller.json('/v1/responses', {
          ...{
            ...asked,
            seed,
            input: question,
            tools: [flat('one'), flat('two')],
            tool_choice,
            reasoning,
          },
        });
        const item = list(response.output).at(-1)!;
        expect(item.type).toBe('function_call');
        expect(ajv.validate(schema, JSON.parse(String(item.arguments)))).toBe(true);
        if (typeof tool_choice === 'object') expect(item.name).toBe('two');
      }
    }
    const allowed = { mode: 'required', tools: [{ type: 'function', function: { name: 'two' } }] };
    const body = await chat({
      ...{ ...asked, n: 3, max_tokens: 300, tools: ['one', 'two'].map((name) => fn(name, schema, true)) },
      tool_choice: { type: 'allowed_tools', allowed_tools: allowed },
      reasoning_budget: 20,
    });
    const names = calls(body).map((call) => String(call.function.name));
    expect(new Set(names)).toEqual(new Set(['two']));
  });
});

describe('what cannot be kept', () => {
  const model = scripted('<|channel|>final<|message|>ok<|return|>');
  const caller = new Caller({ model });
  const nots = { type: 'object', properties: { a: { type: 'string', not: { const: 'x' } } }, required: ['a'] };

  it('is refused in every dialect, naming keyword and place, and nothing runs', async () => {
    for (const [path, fields, parameter] of [
      ...doors.map(([path, body]) => [path, body(nots, 1), undefined] as const),
      ['/v1/chat/completions', { messages, guided_json: nots }, 'guided_json'],
      [
        '/v1/chat/completions',
        { messages, tools: [{ type: 'function', function: { name: 'f', parameters: nots, strict: true } }] },
        'tools[0]',
      ],
      [
        '/v1/responses',
        { input: 'x', tools: [{ type: 'function', name: 'f', parameters: nots, strict: true }] },
        'tools[0]',
      ],
      [
        '/v1/messages',
        { messages, max_tokens: 9, tools: [{ name: 'f', input_schema: nots, strict: true }] },
        'tools[0]',
      ],
      [
        '/v1/messages',
        { messages, max_tokens: 9, output_format: { type: 'json_schema', schema: nots } },
        'output_format',
      ],
      ['/v1/completions', { prompt: 'x', structured_outputs: { json: nots } }, undefined],
    ] as const) {
      const response = await caller.post(path, fields);
      const body = (await response.json()) as { error: string | { message: string; param: string } };
      const message = typeof body.error === 'string' ? body.error : body.error.message;
      expect([path, response.status, message]).toEqual([
        path,
        400,
        expect.stringMatching(/\/properties\/a.*"not".*; expected .*; /),
      ]);
      if (parameter !== undefined) expect((body.error as { param: string }).param).toBe(parameter);
    }
    expect(model.prompts).toHaveLength(0);
  });

  it('is refused: grammars, two forms at once, broken schemas, hostile ones', async () => {
    const patterns = Object.fromEntries(
      Array.from({ length: 60 }, (_, i) => [`p${i}`, { type: 'string', pattern: `^.*a.{11}${i}$` }]),
    );
    const status = async (path: string, body: object): Promise<number> => {
      const response = await caller.post(path, body);
      const { error } = (await response.json()) as { error?: { message: string } };
      if (error !== undefined) expect(error.message).toMatch(/; expected .*; /s);
      return response.status;
    };
    for (const fields of [
      { grammar: 'root ::= "x"' },
      { guided_grammar: 'x' },
      { structural_tag: '{}' },
      { structured_outputs: { grammar: 'x' } },
      { structured_outputs: { structural_tag: 'x' } },
      { structured_outputs: { whitespace_pattern: ' ' } },
      { structured_outputs: { choice: [] } },
      { structured_outputs: { choice: [5] } },
      { structured_outputs: { regex: '(?<=x)y' } },
      { structured_outputs: { regex: '(' } },
      { structured_outputs: { regex: 'a{0,1000000000}' } },
      { structured_outputs: { json: 'not json' } },
      { structured_outputs: { regex: 'a', choice: ['a'] } },
      { guided_regex: 'a', response_format: { type: 'json_object' } },
      { response_format: { type: 'json_schema' } },
      { response_format: { type: 'json_schema', json_schema: { name: 'x', schema: false } } },
      { response_format: { type: 'json_schema', json_schema: { name: 'x', schema: { type: 'strin' } } } },
      {
        response_format: {
          type: 'json_schema',
          json_schema: { name: 'x', schema: { $ref: 'http://169.254.169.254/x' } },
        },
      },
      { response_format: { type: 'json_schema', json_schema: { name: 'x', schema: { $ref: '#' } } } },
      {
        response_format: { type: 'json_schema', json_schema: { name: 'x', schema: { type: 'string', pattern: '^+' } } },
      },
      {
        response_format: {
          type: 'json_schema',
          json_schema: { name: 'x', schema: { allOf: [{ type: 'string' }, { type: 'number' }] } },
        },
      },
      { response_format: { type: 'json_schema', json_schema: { name: 'x', schema: { properties: patterns } } } },
      {
        tools: Array.from({ length: 129 }, (_, i) => ({ type: 'function', function: { name: `f${i}`, strict: true } })),
      },
    ]) {
      const shown = JSON.stringify(fields).slice(0, 120);
      expect([shown, await status('/v1/chat/completions', { messages, ...fields })]).toEqual([shown, 400]);
    }
    for (const fields of [
      { structured_outputs: {} },
      { structured_outputs: null, grammar: null },
      { response_format: { type: 'text' }, guided_choice: ['a'] },
      { response_format: { type: 'json_schema', json_schema: { name: 'x' } } },
      { tools: [{ type: 'function', function: { name: 'f', strict: true } }], tool_choice: 'none' },
    ]) {
      expect(await status('/v1/chat/completions', { messages, ...fields })).toBe(200);
    }
    for (const path of ['/v1/responses', '/v1/messages', '/api/chat', '/v1/completions']) {
      const body = { messages, input: 'x', prompt: 'x', max_tokens: 9, grammar: 'root ::= "x"' };
      expect([path, (await caller.post(path, body)).status]).toEqual([path, 400]);
    }
  });

  it('does not keep others waiting while it is looked at', async () => {
    const properties = Object.fromEntries(
      Array.from({ length: 150 }, (_, i) => [`p${i}`, { type: 'string', pattern: `^(\\p{L}|${i}){1,40}$` }]),
    );
    let turns = 0;
    let isOver = false;
    const count = (): void => {
      turns++;
      if (!isOver) setImmediate(count);
    };
    setImmediate(count);
    const response_format = { type: 'json_schema', json_schema: { name: 'x', schema: { properties } } };
    await caller.post('/v1/chat/completions', { messages, response_format });
    isOver = true;
    expect(turns).toBeGreaterThan(3);
  });
});
