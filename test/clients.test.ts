// The clients people really use, from the registry, against the real process on loopback: chat, streams, tools and back,
// leaving, errors. The model is the embedded one, so answers are known.
import { createOpenAI } from '@ai-sdk/openai';
import Anthropic from '@anthropic-ai/sdk';
import { generateText, Output, stepCountIs, streamText, tool } from 'ai';
import { Ollama } from 'ollama';
import OpenAI from 'openai';
import { zodFunction, zodResponseFormat, zodTextFormat } from 'openai/helpers/zod';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type ServerProcess, startServer, temporaryFolder } from './server-process.ts';

const folder = temporaryFolder();
const apiKey = 'key-of-this-test';
let server: ServerProcess;

beforeAll(async () => {
  server = await startServer(folder.path, ['--api-key', apiKey, '--model-alias', 'gpt-oss:20b']);
}, 300_000);

afterAll(async () => {
  expect(await server.stop()).toBe(0);
  expect(server.log()).not.toMatch(/"level":50/); // no errors
  expect(server.log()).not.toContain('Tokyo'); // no text of prompts
  folder.remove();
}, 300_000);

const sum = 'What is 412 + 509?';
const answer = '412 + 509 = 921.';
const weatherQuestion = "What's the weather in Tokyo?";
const weatherAnswer = 'It is 18 degrees and sunny in Tokyo.';
const weather = { temperature: 18, condition: 'sunny' };
const parameters = {
  type: 'object' as const,
  properties: { location: { type: 'string' } },
  required: ['location'],
};
const description = 'Current weather';
/** Structured output: what it has to be, and how the tiny model's thought is followed by it at temperature 1. */
const verdict = z.object({ sum: z.number().int(), isCertain: z.boolean(), unit: z.enum(['none', 'apples']) });

/** Resolves when the engine computes nothing any more. */
async function idle(): Promise<void> {
  const headers = { authorization: `Bearer ${apiKey}` };
  const running = async (): Promise<number> => {
    const text = await (await fetch(`${server.url}/metrics`, { headers })).text();
    return Number(/^gptoss:num_requests_running (\d+)$/m.exec(text)![1]);
  };
  await expect.poll(running, { timeout: 200_000 }).toBe(0);
}

describe('the OpenAI client', () => {
  const client = (): OpenAI => new OpenAI({ baseURL: `${server.url}/v1`, apiKey, maxRetries: 0 });
  const messages = [{ role: 'user' as const, content: sum }];

  it('lists models', async () => {
    const ids: string[] = [];
    for await (const model of client().models.list()) ids.push(model.id);
    expect(ids).toEqual(['tiny', 'gpt-oss:20b']);
    expect((await client().models.retrieve('tiny')).object).toBe('model');
  });

  it('chats, at once and streamed', async () => {
    const whole = await client().chat.completions.create({ model: 'tiny', messages });
    expect(whole.choices[0].message.content).toBe(answer);
    expect(whole.usage!.completion_tokens_details!.reasoning_tokens).toBeGreaterThan(10);
    const stream = client().chat.completions.stream({
      model: 'tiny',
      messages,
      stream_options: { include_usage: true },
    });
    let text = '';
    stream.on('content', (delta) => {
      text += delta;
    });
    const { choices, usage } = await stream.finalChatCompletion();
    expect([text, choices[0].message.content]).toEqual([answer, answer]);
    expect(usage!.total_tokens).toBe(whole.usage!.total_tokens);
  });

  it('runs tools until there is an answer', async () => {
    const asked: unknown[] = [];
    const runner = client().chat.completions.runTools({
      model: 'tiny',
      messages: [{ role: 'user', content: weatherQuestion }],
      stream: true,
      tools: [
        {
          type: 'function',
          function: {
            name: 'get_weather',
            description,
            parameters,
            parse: JSON.parse,
            function: (given: object) => {
              asked.push(given);
              return weather;
            },
          },
        },
      ],
    });
    expect(await runner.finalContent()).toBe(weatherAnswer);
    expect(asked).toEqual([{ location: 'Tokyo' }]);
  });

  it('makes responses, streams them, goes on from them, and manages them', async () => {
    const first = await client().responses.create({ model: 'tiny', input: sum, reasoning: { effort: 'medium' } });
    expect(first.output_text).toBe(answer);
    const stream = client().responses.stream({ model: 'tiny', input: 'And 17 + 5?', previous_response_id: first.id });
    const types = new Set<string>();
    for await (const event of stream) types.add(event.type);
    const second = await stream.finalResponse();
    expect(second.output_text).toBe('17 + 5 = 22.');
    expect(types).toContain('response.reasoning_text.delta');
    expect(second.usage!.input_tokens_details.cached_tokens).toBeGreaterThan(40);
    expect((await client().responses.retrieve(first.id)).output_text).toBe(answer);
    const items = await client().responses.inputItems.list(first.id);
    expect(items.data).toHaveLength(1);
    await client().responses.delete(first.id);
    await expect(client().responses.retrieve(first.id)).rejects.toBeInstanceOf(OpenAI.NotFoundError);
  });

  it('makes responses in the background, and cancels them', async () => {
    const started = await client().responses.create({ model: 'tiny', input: sum, background: true });
    const status = async (): Promise<string> => (await client().responses.retrieve(started.id)).status!;
    await expect.poll(status, { timeout: 200_000 }).toBe('completed');
    const other = await client().responses.create({ model: 'tiny', input: sum, background: true, temperature: 1 });
    expect(['cancelled', 'completed']).toContain((await client().responses.cancel(other.id)).status);
  });

  it('goes through a tool by responses', async () => {
    const tools = [{ type: 'function' as const, name: 'get_weather', description, parameters, strict: false }];
    const first = await client().responses.create({ model: 'tiny', input: weatherQuestion, tools });
    const call = first.output.find((item) => item.type === 'function_call')!;
    expect(JSON.parse(call.arguments)).toEqual({ location: 'Tokyo' });
    const output = { type: 'function_call_output' as const, call_id: call.call_id, output: JSON.stringify(weather) };
    const second = await client().responses.create({
      model: 'tiny',
      input: [output],
      tools,
      previous_response_id: first.id,
    });
    expect(second.output_text).toBe(weatherAnswer);
  });

  it('parses structured output of chats and responses, and arguments of strict tools', async () => {
    const chat = await client().chat.completions.parse({
      model: 'tiny',
      messages,
      temperature: 1,
      response_format: zodResponseFormat(verdict, 'verdict'),
      tools: [zodFunction({ name: 'report', parameters: verdict })],
      tool_choice: 'none',
    });
    expect(verdict.parse(chat.choices[0].message.parsed)).toBeDefined();
    const stream = client().chat.completions.stream({
      model: 'tiny',
      messages,
      tools: [zodFunction({ name: 'report', parameters: verdict })],
      tool_choice: 'required',
    });
    const [call] = (await stream.finalChatCompletion()).choices[0].message.tool_calls!;
    expect(verdict.parse(call.function.parsed_arguments)).toBeDefined();
    const text = { format: zodTextFormat(verdict, 'verdict') };
    const response = await client().responses.parse({ model: 'tiny', input: sum, temperature: 1, text });
    expect(verdict.parse(response.output_parsed)).toBeDefined();
    const not = { type: 'object', properties: { a: { not: { type: 'null' } } } };
    const json_schema = { name: 'x', schema: not };
    const refused = client().chat.completions.create({
      model: 'tiny',
      messages,
      response_format: { type: 'json_schema', json_schema },
    });
    await expect(refused).rejects.toMatchObject({ status: 400, code: 'invalid_json_schema', param: 'response_format' });
  });

  it('leaves, and the computing stops', async () => {
    const stream = await client().chat.completions.create({
      model: 'tiny',
      messages,
      stream: true,
      logit_bias: { 1016: -100 }, // never ends by itself
    });
    for await (const _ of stream) break;
    await idle();
    const controller = new AbortController();
    const options = { signal: controller.signal };
    const long = { model: 'tiny', messages, logit_bias: { 1016: -100 }, temperature: 1, n: 100 }; // many seconds' work
    const whole = client().chat.completions.create(long, options);
    setTimeout(() => controller.abort(), 50);
    await expect(whole).rejects.toBeInstanceOf(OpenAI.APIUserAbortError);
    await idle();
  });

  it('gets errors of its own kinds', async () => {
    const wrong = client().chat.completions.create({ model: 'tiny', messages, temperature: -1 });
    await expect(wrong).rejects.toBeInstanceOf(OpenAI.BadRequestError);
    await expect(wrong).rejects.toMatchObject({ status: 400, param: 'temperature', type: 'invalid_request_error' });
    const long = client().chat.completions.create({
      model: 'tiny',
      messages: [{ role: 'user', content: 'word '.repeat(2000) }],
    });
    await expect(long).rejects.toMatchObject({ status: 400, code: 'context_length_exceeded' });
    const nobody = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'wrong', maxRetries: 0 });
    await expect(nobody.models.list()).rejects.toBeInstanceOf(OpenAI.AuthenticationError);
    await expect(client().embeddings.create({ model: 'tiny', input: 'x' })).rejects.toMatchObject({ status: 404 });
  });

  it('completes plain text', async () => {
    const { choices } = await client().completions.create({
      model: 'tiny',
      prompt: 'What is',
      max_tokens: 4,
      echo: true,
    });
    expect(choices[0].text.startsWith('What is')).toBe(true);
    expect(choices[0].finish_reason).toBe('length');
  });
});

describe('the Anthropic client', () => {
  const client = (): Anthropic => new Anthropic({ baseURL: server.url, apiKey, maxRetries: 0 });
  const messages: Anthropic.MessageParam[] = [{ role: 'user', content: sum }];
  const base = { model: 'tiny', max_tokens: 400 };
  const tools: Anthropic.Tool[] = [{ name: 'get_weather', description, input_schema: parameters }];

  it('sends messages, with thinking and without, at once and streamed', async () => {
    const plain = await client().messages.create({ ...base, messages });
    expect(plain.content).toEqual([{ type: 'text', text: answer }]);
    const stream = client().messages.stream({ ...base, messages, thinking: { type: 'enabled', budget_tokens: 8000 } });
    let text = '';
    stream.on('text', (delta) => {
      text += delta;
    });
    const message = await stream.finalMessage();
    expect(message.content.map(({ type }) => type)).toEqual(['thinking', 'text']);
    expect([text, message.stop_reason]).toEqual([answer, 'end_turn']);
    expect(message.usage.output_tokens).toBe(plain.usage.output_tokens);
  });

  it('goes through a tool', async () => {
    const question: Anthropic.MessageParam = { role: 'user', content: weatherQuestion };
    const first = await client()
      .messages.stream({ ...base, messages: [question], tools })
      .finalMessage();
    expect(first.stop_reason).toBe('tool_use');
    const use = first.content.find((part) => part.type === 'tool_use')!;
    expect(use.input).toEqual({ location: 'Tokyo' });
    const content = [{ type: 'tool_result' as const, tool_use_id: use.id, content: JSON.stringify(weather) }];
    const second = await client().messages.create({
      ...base,
      messages: [question, { role: 'assistant', content: first.content }, { role: 'user', content }],
      tools,
    });
    expect(second.content).toEqual([{ type: 'text', text: weatherAnswer }]);
  });

  it('parses structured output', async () => {
    const schema = z.toJSONSchema(verdict);
    const { content } = await client().messages.create({
      ...{ ...base, messages, temperature: 1 },
      output_config: { format: { type: 'json_schema', schema } },
    });
    expect(verdict.parse(JSON.parse(content[0].type === 'text' ? content[0].text : ''))).toBeDefined();
  });

  it('counts tokens, and gets errors of its own kinds', async () => {
    const { input_tokens } = await client().messages.countTokens({ model: 'tiny', messages });
    expect(input_tokens).toBe(52);
    await expect(client().messages.create({ ...base, messages: [] })).rejects.toBeInstanceOf(Anthropic.BadRequestError);
    const nobody = new Anthropic({ baseURL: server.url, apiKey: 'wrong', maxRetries: 0 });
    await expect(nobody.messages.create({ ...base, messages })).rejects.toBeInstanceOf(Anthropic.AuthenticationError);
  });

  it('leaves, and the computing stops', async () => {
    const stream = client().messages.stream({ ...base, messages, max_tokens: 900, temperature: 1 });
    for await (const _ of stream) break;
    stream.abort();
    await idle();
  });
});

describe('the Ollama client', () => {
  const client = (): Ollama => new Ollama({ host: server.url, headers: { authorization: `Bearer ${apiKey}` } });
  const messages = [{ role: 'user', content: sum }];

  it('chats and generates, at once and streamed', async () => {
    const whole = await client().chat({ model: 'gpt-oss:20b', messages });
    expect([whole.message.content, whole.done_reason]).toEqual([answer, 'stop']);
    expect(whole.message.thinking).toContain('921');
    let text = '';
    let thinking = '';
    for await (const part of await client().chat({ model: 'gpt-oss:20b', messages, stream: true, think: 'high' })) {
      text += part.message.content;
      thinking += part.message.thinking ?? '';
    }
    expect([text, thinking.length > whole.message.thinking!.length]).toEqual([answer, true]);
    expect((await client().generate({ model: 'gpt-oss:20b', prompt: sum })).response).toBe(answer);
  });

  it('goes through a tool', async () => {
    const tools = [{ type: 'function', function: { name: 'get_weather', description, parameters } }];
    const question = { role: 'user', content: weatherQuestion };
    const { message } = await client().chat({ model: 'gpt-oss:20b', messages: [question], tools });
    expect(message.tool_calls).toMatchObject([{ function: { name: 'get_weather', arguments: { location: 'Tokyo' } } }]);
    const result = { role: 'tool', tool_name: 'get_weather', content: JSON.stringify(weather) };
    const last = await client().chat({ model: 'gpt-oss:20b', messages: [question, message, result], tools });
    expect(last.message.content).toBe(weatherAnswer);
  });

  it('parses structured output', async () => {
    const format = z.toJSONSchema(verdict);
    const { message } = await client().chat({ model: 'gpt-oss:20b', messages, format, options: { temperature: 1 } });
    expect(verdict.parse(JSON.parse(message.content))).toBeDefined();
  });

  it('looks at models', async () => {
    expect((await client().list()).models.map(({ name }) => name)).toEqual(['tiny:latest', 'gpt-oss:20b']);
    expect((await client().show({ model: 'gpt-oss:20b' })).capabilities).toContain('thinking');
    expect((await client().ps()).models).toHaveLength(1);
    expect((await client().pull({ model: 'gpt-oss:20b' })).status).toBe('success');
    await expect(client().show({ model: 'llama3' })).rejects.toThrow('is not here');
  });

  it('leaves, and the computing stops', async () => {
    const own = client();
    const stream = await own.chat({ model: 'gpt-oss:20b', messages, stream: true, options: { temperature: 1 } });
    for await (const _ of stream) break;
    own.abort();
    await idle();
  });
});

describe('the AI SDK', () => {
  const provider = () => createOpenAI({ baseURL: `${server.url}/v1`, apiKey });

  it.each(['responses', 'chat'] as const)('generates and streams text by %s', async (api) => {
    const model = provider()[api]('tiny');
    const { text, usage } = await generateText({ model, prompt: sum, maxRetries: 0 });
    expect([text, usage.inputTokens]).toEqual([answer, 52]);
    let streamed = '';
    for await (const delta of streamText({ model, prompt: sum, maxRetries: 0 }).textStream) streamed += delta;
    expect(streamed).toBe(answer);
  });

  it.each(['responses', 'chat'] as const)('parses structured output by %s', async (api) => {
    const model = provider()[api]('tiny');
    const output = Output.object({ schema: verdict });
    expect(verdict.parse((await generateText({ model, prompt: sum, output, maxRetries: 0 })).output)).toBeDefined();
  });

  it.each(['responses', 'chat'] as const)('runs a tool and goes on by %s', async (api) => {
    const { text, steps } = await generateText({
      model: provider()[api]('tiny'),
      prompt: weatherQuestion,
      stopWhen: stepCountIs(3),
      maxRetries: 0,
      tools: {
        get_weather: tool({
          description,
          inputSchema: z.object({ location: z.string() }),
          execute: async () => weather,
        }),
      },
    });
    expect([text, steps.length]).toEqual([weatherAnswer, 2]);
  });
});
