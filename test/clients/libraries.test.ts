// Client libraries that are too heavy for everyday tests, as their users call them, against the real process with the
// embedded model, whose answers are known: chat, streams, tools until there is an answer, structured output, leaving.

import { createOpenResponses } from '@ai-sdk/open-responses';
import { HumanMessage, type ToolMessage } from '@langchain/core/messages';
import { tool as langchainTool } from '@langchain/core/tools';
import { ChatOpenAI } from '@langchain/openai';
import {
  Agent,
  OpenAIChatCompletionsModel,
  OpenAIResponsesModel,
  Runner,
  setTracingDisabled,
  tool,
} from '@openai/agents';
import { tool as aiTool, generateText, Output, stepCountIs, streamText } from 'ai';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type ServerProcess, startServer, temporaryFolder } from '../server-process.ts';

const folder = temporaryFolder();
const apiKey = 'key-of-this-test';
let server: ServerProcess;
let enforcesSchemas = false;

beforeAll(async () => {
  setTracingDisabled(true);
  server = await startServer(folder.path, ['--api-key', apiKey]);
  const format = { type: 'json_schema', json_schema: { name: 'any', strict: true, schema: { type: 'object' } } };
  const response = await fetch(`${server.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      model: 'tiny',
      messages: [{ role: 'user', content: 'x' }],
      response_format: format,
      max_tokens: 1,
    }),
  });
  enforcesSchemas = response.status === 200;
}, 120_000);

afterAll(async () => {
  expect(await server.stop()).toBe(0);
  expect(server.log()).not.toMatch(/"level":50/); // no errors
  folder.remove();
}, 60_000);

const sum = 'What is 412 + 509?';
const answer = '412 + 509 = 921.';
const weatherQuestion = "What's the weather in Tokyo?";
const weatherAnswer = 'It is 18 degrees and sunny in Tokyo.';
const weather = { temperature: 18, condition: 'sunny' };
const name = 'get_weather';
const description = 'Current weather';
const location = z.object({ location: z.string() });
const verdict = z.object({ left: z.number().int(), even: z.boolean(), kind: z.enum(['sum', 'other']) });
const notYet = 'the server refuses schemas: it cannot enforce them';

async function idle(): Promise<void> {
  const running = async (): Promise<number> => {
    const text = await (
      await fetch(`${server.url}/metrics`, { headers: { authorization: `Bearer ${apiKey}` } })
    ).text();
    return Number(/^gptoss:num_requests_running (\d+)$/m.exec(text)![1]);
  };
  await expect.poll(running, { timeout: 10_000 }).toBe(0);
}

describe.each(['responses', 'chat'] as const)('the Agents SDK by %s', (api) => {
  const model = () => {
    const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey, maxRetries: 0 }) as never;
    return api === 'chat' ? new OpenAIChatCompletionsModel(client, 'tiny') : new OpenAIResponsesModel(client, 'tiny');
  };
  const asked: unknown[] = [];
  const getWeather = tool({
    name,
    description,
    parameters: {
      type: 'object',
      properties: { location: { type: 'string' } },
      required: ['location'],
      additionalProperties: true,
    },
    strict: false,
    execute: async (given: unknown) => {
      asked.push(given);
      return JSON.stringify(weather);
    },
  });
  const runner = new Runner({ tracingDisabled: true });

  it('answers, streams, and goes on with what was said', async () => {
    const agent = new Agent({ name: 'Adder', model: model() });
    const first = await runner.run(agent, sum);
    expect(first.finalOutput).toBe(answer);
    const streamed = await runner.run(agent, [...first.history, { role: 'user', content: 'What is 17 + 5?' }], {
      stream: true,
    });
    let text = '';
    for await (const piece of streamed.toTextStream()) text += piece;
    await streamed.completed;
    expect([text, streamed.finalOutput]).toEqual(['17 + 5 = 22.', '17 + 5 = 22.']);
  });

  it.each([false, true])('runs a tool until there is an answer, streamed: %s', async (stream) => {
    asked.length = 0;
    const agent = new Agent({ name: 'Weather', model: model(), tools: [getWeather] });
    if (stream) {
      const streamed = await runner.run(agent, weatherQuestion, { stream: true, maxTurns: 3 });
      for await (const _ of streamed);
      expect(streamed.finalOutput).toBe(weatherAnswer);
    } else expect((await runner.run(agent, weatherQuestion, { maxTurns: 3 })).finalOutput).toBe(weatherAnswer);
    expect(asked).toEqual([{ location: 'Tokyo' }]);
  });

  it('gets output of its type', async ({ skip }) => {
    skip(!enforcesSchemas, notYet);
    const agent = new Agent({ name: 'Judge', model: model(), outputType: verdict });
    const { finalOutput } = await runner.run(agent, sum);
    expect(verdict.safeParse(finalOutput).success).toBe(true);
  });
});

describe('the AI SDK by open-responses', () => {
  const model = () => createOpenResponses({ name: 'gptoss', url: `${server.url}/v1/responses`, apiKey })('tiny');

  it('generates and streams text', async () => {
    const { text, usage } = await generateText({ model: model(), prompt: sum, maxRetries: 0 });
    expect([text, usage.inputTokens]).toEqual([answer, 52]);
    const result = streamText({ model: model(), prompt: sum, maxRetries: 0 });
    let streamed = '';
    for await (const delta of result.textStream) streamed += delta;
    expect(streamed).toBe(answer);
    expect((await result.reasoningText)?.length).toBeGreaterThan(10);
  });

  it('runs a tool and goes on', async () => {
    const { text, steps } = await generateText({
      model: model(),
      prompt: weatherQuestion,
      stopWhen: stepCountIs(3),
      maxRetries: 0,
      tools: { [name]: aiTool({ description, inputSchema: location, execute: async () => weather }) },
    });
    expect([text, steps.length]).toEqual([weatherAnswer, 2]);
  });

  it('gets output of a schema', async ({ skip }) => {
    skip(!enforcesSchemas, notYet);
    const output = Output.object({ schema: verdict });
    const result = await generateText({ model: model(), prompt: sum, maxRetries: 0, output });
    expect(verdict.safeParse(result.output).success).toBe(true);
  });

  it('leaves, and the computing stops', async () => {
    const controller = new AbortController();
    const { fullStream } = streamText({
      model: model(),
      prompt: sum,
      maxRetries: 0,
      temperature: 2,
      abortSignal: controller.signal,
    });
    for await (const part of fullStream) if (part.type === 'text-delta' || part.type === 'reasoning-delta') break;
    controller.abort();
    await idle();
  });
});

describe.each([false, true])('LangChain, with the Responses API: %s', (useResponsesApi) => {
  const model = (more: object = {}) =>
    new ChatOpenAI({
      model: 'tiny',
      apiKey,
      useResponsesApi,
      maxRetries: 0,
      configuration: { baseURL: `${server.url}/v1` },
      ...more,
    });

  it('invokes and streams', async () => {
    expect((await model().invoke(sum)).text).toBe(answer);
    let text = '';
    for await (const chunk of await model().stream(sum)) text += chunk.text;
    expect(text).toBe(answer);
  });

  it('goes through a tool', async () => {
    const getWeather = langchainTool(async () => JSON.stringify(weather), { name, description, schema: location });
    const bound = model().bindTools([getWeather]);
    const question = new HumanMessage(weatherQuestion);
    const first = await bound.invoke([question]);
    expect(first.tool_calls).toMatchObject([{ name, args: { location: 'Tokyo' } }]);
    const result = (await getWeather.invoke(first.tool_calls![0])) as ToolMessage;
    expect((await bound.invoke([question, first, result])).text).toBe(weatherAnswer);
  });

  it('gets output of a schema', async ({ skip }) => {
    skip(!enforcesSchemas, notYet);
    const judged = await model().withStructuredOutput(verdict, { method: 'jsonSchema' }).invoke(sum);
    expect(verdict.safeParse(judged).success).toBe(true);
  });

  it('leaves, and the computing stops', async () => {
    const controller = new AbortController();
    const stream = await model({ temperature: 2 }).stream(sum, { signal: controller.signal });
    const read = (async () => {
      for await (const _ of stream) controller.abort();
    })();
    await expect(read).rejects.toThrow();
    await idle();
  });
});
