// What a server of gpt-oss should keep: each case is one promise, asked once. Shapes and events hold for any model; cases
// marked `isHard` also need a model that can choose among tools it was never shown, which the embedded one cannot.
// Next: conform.ts, which repeats them.

import { Ajv2020 } from 'ajv/dist/2020.js';
import { ask, chat, type Dialect, responses, type Said } from './dialects.ts';
import { messages, ollama } from './other-dialects.ts';
import { demand, type Loose, shorten, type Target, textOf } from './target.ts';
import { tools, weather, weatherResult } from './tools.ts';

export interface Case {
  readonly id: string;
  readonly group: 'shape' | 'tools' | 'effort' | 'structured' | 'limits' | 'state' | 'cache' | 'safety' | 'errors';
  readonly isHard?: boolean;
  run(target: Target): Promise<void>;
}

const dialects: readonly Dialect[] = [chat, responses, messages, ollama];
const sum = { text: 'What is 412 + 509?' };
const ajv = new Ajv2020({ strict: false });

function checkCall(said: Said, tool: { readonly name: string; readonly parameters: object }): void {
  const names = said.calls.map(({ name }) => name);
  demand(names.includes(tool.name), `expected a call of ${tool.name}; there was ${names.join(', ') || 'none'}`);
  const { arguments: given } = said.calls.find(({ name }) => name === tool.name)!;
  checkSchema(given, tool.parameters);
}

function checkSchema(value: unknown, schema: object): void {
  const isValid = ajv.validate(schema, value);
  demand(isValid, `${shorten(JSON.stringify(value))} does not follow its schema: ${ajv.errorsText()}`);
}

function* shapes(): Generator<Case> {
  for (const dialect of dialects) {
    for (const isStreamed of [false, true]) {
      yield {
        id: `${dialect.name}${isStreamed ? ' streamed' : ''}: an answer and its reasoning, well formed`,
        group: 'shape',
        run: async (target) => {
          const said = await ask(target, dialect, { ...sum, effort: 'medium' }, isStreamed);
          demand(said.text.trim() !== '', 'there is no text');
          demand(said.reasoning.trim() !== '', 'there is no reasoning');
          demand(!/<\|[a-z]+\|>/.test(said.text + said.reasoning), 'markers of the format are in the text');
        },
      };
    }
  }
}

function* toolCases(): Generator<Case> {
  for (const dialect of dialects) {
    const ways = [false, true];
    for (const isStreamed of ways) {
      yield {
        id: `${dialect.name}${isStreamed ? ' streamed' : ''}: a tool is called, its result used`,
        group: 'tools',
        run: async (target) => {
          const question = { text: weather.prompt, tools: [weather] };
          const said = await ask(target, dialect, question, isStreamed);
          checkCall(said, weather);
          const next = await target.ask(dialect.path, dialect.goOn(question, said, weatherResult));
          demand(dialect.whole(next).text.includes('18'), 'the answer does not use the result');
        },
      };
    }
    for (const tool of tools) {
      for (const isStreamed of ways) {
        yield {
          id: `${dialect.name}${isStreamed ? ' streamed' : ''}: ${tool.name} is chosen among ${tools.length}`,
          group: 'tools',
          isHard: true,
          run: async (target) => checkCall(await ask(target, dialect, { text: tool.prompt, tools }, isStreamed), tool),
        };
      }
    }
    if (dialect === ollama) continue; // it has no word for it
    yield {
      id: `${dialect.name}: tool choice none, required and by name`,
      group: 'tools',
      run: async (target) => {
        const offered = tools.filter(({ name }) => name === 'get_weather' || name === 'set_light');
        const choose = (toolChoice: 'none' | 'required' | { name: string }, text: string): Promise<Said> =>
          ask(target, dialect, { text, tools: offered, toolChoice, strict: toolChoice !== 'none' }, false);
        const none = await choose('none', weather.prompt);
        demand(none.calls.length === 0, 'none: there was a call');
        const required = await choose('required', sum.text);
        demand(required.calls.length > 0, 'required: there was no call');
        const tool = offered.find(({ name }) => name === required.calls[0]!.name);
        demand(tool !== undefined, 'required: a tool that was not offered');
        checkCall(required, tool);
        checkCall(await choose({ name: 'set_light' }, sum.text), offered[1]!);
      },
    };
  }
}

function* effortCases(): Generator<Case> {
  for (const dialect of dialects) {
    yield {
      id: `${dialect.name}: high effort thinks longer than low`,
      group: 'effort',
      run: async (target) => {
        const [low, high] = await Promise.all(
          (['low', 'high'] as const).map((effort) => ask(target, dialect, { ...sum, effort }, false)),
        );
        const lengths = `${low!.reasoning.length} and ${high!.reasoning.length} characters`;
        demand(high!.reasoning.length > low!.reasoning.length, `low and high reason in ${lengths}`);
      },
    };
  }
}

const person = {
  type: 'object',
  properties: {
    name: { type: 'string', minLength: 1, maxLength: 40 },
    age: { type: 'integer', minimum: 0, maximum: 130 },
    kind: { enum: ['adult', 'child'] },
    tags: { type: 'array', items: { type: 'string', maxLength: 12 }, minItems: 1, maxItems: 3 },
  },
  required: ['name', 'age', 'kind', 'tags'],
  additionalProperties: false,
};
const nested = {
  type: 'object',
  properties: {
    items: {
      type: 'array',
      minItems: 1,
      maxItems: 3,
      items: { $ref: '#/$defs/item' },
    },
    total: { anyOf: [{ type: 'number' }, { type: 'null' }] },
  },
  required: ['items', 'total'],
  additionalProperties: false,
  $defs: {
    item: {
      type: 'object',
      properties: { sku: { type: 'string', pattern: '^[A-Z]{2}-[0-9]{3}$' }, paid: { type: 'boolean' } },
      required: ['sku', 'paid'],
      additionalProperties: false,
    },
  },
};

function* structuredCases(): Generator<Case> {
  for (const dialect of dialects) {
    for (const [name, schema, text] of [
      ['an object of simple fields', person, 'Ada is 36 years old and likes engines. Describe her as JSON.'],
      ['references, a pattern, alternatives', nested, 'Two items, AB-123 paid and CD-456 not. Describe them as JSON.'],
    ] as const) {
      for (const isStreamed of [false, true]) {
        yield {
          id: `${dialect.name}${isStreamed ? ' streamed' : ''}: ${name} follow the schema, after reasoning`,
          group: 'structured',
          run: async (target) => {
            const said = await ask(target, dialect, { text, schema }, isStreamed);
            let value: unknown;
            try {
              value = JSON.parse(said.text);
            } catch {
              demand(false, `no JSON: ${shorten(said.text)}`);
            }
            checkSchema(value, schema);
            demand(said.reasoning !== '', 'there is no reasoning');
          },
        };
      }
    }
  }
  yield {
    id: 'chat: a schema that cannot be followed is refused, or followed',
    group: 'structured',
    run: async (target) => {
      const schema = {
        type: 'object',
        properties: { n: { type: 'integer' } },
        required: ['n'],
        not: { minProperties: 1 },
      };
      const body = chat.body({ ...sum, schema, maxTokens: 300 });
      const { status } = await target.call('POST', chat.path, { model: target.model, ...body });
      demand(status >= 400 && status < 500, `status ${status} for a schema that nothing can satisfy`);
    },
  };
}

function* limitCases(): Generator<Case> {
  for (const dialect of dialects) {
    yield {
      id: `${dialect.name}: a limit of tokens is said to have cut the answer`,
      group: 'limits',
      run: async (target) => {
        const said = await ask(target, dialect, { ...sum, maxTokens: 16, effort: 'high' }, false);
        demand(said.isCut, 'the answer does not say that it was cut');
      },
    };
  }
}

const rest: readonly Case[] = [
  {
    id: 'responses: stored, retrieved, gone on from, deleted',
    group: 'state',
    run: async (target) => {
      const first = await target.ask('/v1/responses', { ...responses.body(sum), store: true });
      const path = `/v1/responses/${encodeURIComponent(textOf(first['id']))}`;
      const again = await target.call('GET', path);
      demand(again.status === 200 && textOf(again.json['id']) === textOf(first['id']), 'it cannot be retrieved');
      const body = { ...responses.body({ text: 'What is 17 + 5?' }), previous_response_id: first['id'] };
      const next = responses.whole(await target.ask('/v1/responses', body));
      const alone = responses.whole(first);
      demand(next.promptTokens > alone.promptTokens, 'what was said before is not in the prompt');
      demand((await target.call('DELETE', path)).status === 200, 'it cannot be deleted');
      demand((await target.call('GET', path)).status === 404, 'it is there after it was deleted');
    },
  },
  {
    id: 'chat: the same beginning is not read twice',
    group: 'cache',
    run: async (target) => {
      const text = `${'Numbers are added digit by digit, from the right. '.repeat(12)}What is 412 + 509?`;
      const said: Said[] = [];
      for (let i = 0; i < 2; i++) said.push(await ask(target, chat, { text, effort: 'low', maxTokens: 1 }, false));
      const { cachedTokens, promptTokens } = said[1]!;
      demand(cachedTokens > promptTokens / 2, `${cachedTokens} of ${promptTokens} tokens were in the cache`);
    },
  },
  ...dialects.map(
    (dialect): Case => ({
      id: `${dialect.name}: markers in what a user writes stay text`,
      group: 'safety',
      run: async (target) => {
        const count = async (text: string): Promise<number> =>
          (await ask(target, dialect, { text, maxTokens: 8 }, false)).promptTokens;
        const [plain, marked] = [await count('a b'), await count(`a ${'<|end|><|start|>'.repeat(8)} b`)];
        demand(marked - plain > 24, `16 markers took ${marked - plain} tokens: they are special tokens`);
      },
    }),
  ),
  ...(
    [
      ['an unknown effort', { reasoning_effort: 'utmost' }],
      ['a negative temperature', { temperature: -1 }],
      ['messages that are no list', { messages: 'hello' }],
      ['an unknown role', { messages: [{ role: 'nobody', content: 'hello' }] }],
    ] as const
  ).map(
    ([what, wrong]): Case => ({
      id: `chat: ${what} is refused`,
      group: 'errors',
      run: (target) => refuses(target, { model: target.model, ...chat.body({ ...sum, maxTokens: 1 }), ...wrong }),
    }),
  ),
  { id: 'chat: broken JSON is refused', group: 'errors', run: (target) => refuses(target, '{"messages": [') },
];

async function refuses(target: Target, body: object | string): Promise<void> {
  const { status, json } = await target.call('POST', chat.path, body);
  demand(status >= 400 && status < 500, `status ${status}`);
  const { error } = json as Loose;
  demand(textOf(error?.['message']) !== '' && textOf(error?.['type']) !== '', 'no error object with message and type');
}

export const cases: readonly Case[] = [
  ...shapes(),
  ...toolCases(),
  ...effortCases(),
  ...structuredCases(),
  ...limitCases(),
  ...rest,
];
