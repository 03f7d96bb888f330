// Owns: /v1/chat/completions. A request in OpenAI's older dialect becomes an `AnswerRequest`, the events of the answer
// become chunks or one object. Reasoning goes out as `reasoning` and as `reasoning_content`, because clients look for
// either. Refuses: what the request parser names (images, audio, functions of the time before tools).
// Next: generation.ts; the newer dialect is responses.ts.

import { z } from '@hono/zod-openapi';
import type { ToolChoice } from '../agent/steering.ts';
import type { GeneratedToken } from '../engine/generation.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import { type Answer, type AnswerEvent, separator } from './answer.ts';
import { answerFormat, constraintFields, ofResponseFormat, responseFormatSchema } from './answer-formats.ts';
import { checked } from './body.ts';
import type { Said } from './dialogue.ts';
import type { AnswerRequest, OfferedFunction, StartedAnswer } from './generation.ts';
import { newId } from './ids.ts';
import { chatLogprobs } from './logprobs.ts';
import {
  effortOf,
  effortSchema,
  functionOf,
  functionSchema,
  MAX_SAMPLES,
  modelNameOf,
  samplingFields,
  samplingOf,
  sessionFields,
  sessionKeys,
  stopSchema,
  stopsOf,
  textOf,
} from './request-parts.ts';
import { type Serving, streamed, type Visit } from './serving.ts';
import { invalid, refused, sse } from './wire.ts';

const contentSchema = z.union([
  z.string(),
  z.array(z.looseObject({ type: z.string(), text: z.string().nullish(), refusal: z.string().nullish() })),
]);

const toolCallSchema = z.object({
  id: z.string().max(256),
  type: z.literal('function').optional(),
  function: z.object({ name: z.string().min(1).max(128), arguments: z.string() }),
});

const messageSchema = z.object({
  role: z.enum(['system', 'developer', 'user', 'assistant', 'tool']),
  content: contentSchema.nullish(),
  tool_calls: z.array(toolCallSchema).max(256).nullish(),
  tool_call_id: z.string().max(256).nullish(),
  reasoning: z.string().nullish(),
  reasoning_content: z.string().nullish(),
  refusal: z.string().nullish(),
});

export const chatSchema = z
  .object({
    model: z.string().max(512).nullish(),
    messages: z.array(messageSchema).min(1).max(100_000),
    ...samplingFields,
    stop: stopSchema,
    n: z.int().min(1).max(MAX_SAMPLES).nullish(),
    max_tokens: z.int().min(1).nullish(),
    max_completion_tokens: z.int().min(1).nullish(),
    stream: z.boolean().nullish(),
    stream_options: z.object({ include_usage: z.boolean().nullish() }).nullish(),
    logprobs: z.boolean().nullish(),
    top_logprobs: z.int().min(0).max(20).nullish(),
    reasoning_effort: effortSchema.nullish(),
    reasoning: z.object({ effort: effortSchema.nullish(), max_tokens: z.int().min(0).nullish() }).nullish(),
    reasoning_budget: z.int().min(0).nullish(),
    chat_template_kwargs: z.object({ reasoning_effort: effortSchema.nullish() }).nullish(),
    include_reasoning: z.boolean().nullish(),
    tools: z.array(z.looseObject({ type: z.string(), function: functionSchema.nullish() })).nullish(),
    tool_choice: z
      .union([
        z.enum(['none', 'auto', 'required']),
        z.looseObject({
          type: z.string(),
          function: z.object({ name: z.string() }).nullish(),
          allowed_tools: z
            .object({
              mode: z.enum(['auto', 'required']),
              tools: z.array(z.looseObject({ type: z.string(), function: z.object({ name: z.string() }).nullish() })),
            })
            .nullish(),
        }),
      ])
      .nullish(),
    parallel_tool_calls: z.boolean().nullish(),
    response_format: responseFormatSchema,
    ...constraintFields,
    ...sessionFields,
    modalities: z.array(z.string()).nullish(),
    audio: z.unknown().optional(),
    functions: z.unknown().optional(),
    function_call: z.unknown().optional(),
  })
  .openapi('ChatCompletionRequest');

type ChatBody = z.infer<typeof chatSchema>;

export async function chatCompletions(serving: Serving, visit: Visit, body: unknown): Promise<Response> {
  const chat = checked(chatSchema, body);
  const { functions, skipped } = toolsOf(chat);
  const request = requestOf(chat, functions, serving, visit);
  const shape = new ChatShape(modelNameOf(serving, chat.model), serving.model.tokenizer, chat);
  const ready = await serving.answerer.ready(request);
  const samples = Array.from({ length: chat.n ?? 1 }, (_, sample) =>
    ready.start(sample, sample === 0 ? visit.signal : visit.fork()),
  );
  const headers = skipped.length > 0 ? { 'x-gptoss-skipped-tools': skipped.join(', ') } : undefined;
  if (chat.stream !== true) {
    const answers = await Promise.all(samples.map(({ events }) => finished(events)));
    return Response.json(shape.whole(answers), headers === undefined ? undefined : { headers });
  }
  const response = streamed(serving, visit, 'openai', async (stream) => {
    const write = (chunk: unknown): Promise<void> => stream.write(sse(chunk));
    const answers = await Promise.all(
      samples.map(async (sample, index) => {
        const teller = new ChunkTeller(shape, index);
        await write(shape.chunk(index, { role: 'assistant', content: '' }));
        return told(sample, async (event) => {
          for (const chunk of teller.tell(event)) await write(chunk);
        });
      }),
    );
    if (chat.stream_options?.include_usage === true) await write(shape.usageChunk(answers));
    await stream.write(sse('[DONE]'));
  });
  for (const [name, value] of Object.entries(headers ?? {})) response.headers.set(name, value);
  return response;
}

/** The prompt that a chat request would be answered from. */
export function chatPrompt(serving: Serving, visit: Visit, body: unknown): number[] {
  const chat = checked(chatSchema, body);
  return serving.answerer.prompt(requestOf(chat, toolsOf(chat).functions, serving, visit));
}

/** Reads an answer to its end. */
export async function finished(events: AsyncGenerator<AnswerEvent, Answer>): Promise<Answer> {
  for (;;) {
    const next = await events.next();
    if (next.done) return checkedEnd(next.value);
  }
}

/** Hands every event on; returns the answer. */
export async function told({ events }: StartedAnswer, tell: (event: AnswerEvent) => Promise<void>): Promise<Answer> {
  for (;;) {
    const next = await events.next();
    if (next.done) return checkedEnd(next.value);
    if (next.value.type !== 'done' || next.value.answer.finish !== 'aborted') await tell(next.value);
  }
}

/** A client that left reads nothing; any other abort is the server's. */
function checkedEnd(answer: Answer): Answer {
  if (answer.finish !== 'aborted') return answer;
  throw refused('unavailable', 'the server is stopping; expected it to run on; send the request again later');
}

function requestOf(
  chat: ChatBody,
  functions: readonly OfferedFunction[],
  serving: Serving,
  visit: Visit,
): AnswerRequest {
  if (chat.stream_options != null && chat.stream !== true) {
    throw invalid('stream_options is set without stream; expected both; set stream to true', 'stream_options');
  }
  if (chat.top_logprobs != null && chat.logprobs !== true) {
    throw invalid('top_logprobs is set without logprobs; expected both; set logprobs to true', 'top_logprobs');
  }
  if (chat.audio != null || (chat.modalities ?? []).some((modality) => modality !== 'text')) {
    throw invalid(
      'an answer as audio is asked for; expected text, all that gpt-oss writes; leave it out',
      'modalities',
    );
  }
  if (chat.functions != null || chat.function_call != null) {
    throw invalid(
      'functions and function_call are set; expected tools and tool_choice, which replaced them; use those',
      'functions',
    );
  }
  const effort = effortOf(
    chat.reasoning_effort ?? chat.reasoning?.effort ?? chat.chat_template_kwargs?.reasoning_effort,
  );
  const budget = chat.reasoning_budget ?? chat.reasoning?.max_tokens;
  const maxTokens = chat.max_completion_tokens ?? chat.max_tokens;
  const isLogged = chat.logprobs === true;
  return {
    said: chat.messages.map((message, i) => saidOf(message, `messages[${i}]`)),
    functions,
    toolChoice: choiceOf(chat.tool_choice),
    ...(effort === undefined ? {} : { effort }),
    format: answerFormat(chat, ofResponseFormat(chat.response_format)),
    sampling: {
      ...samplingOf(chat, serving.model.engine.model.vocab),
      ...(isLogged ? { logprobs: true, topLogprobs: chat.top_logprobs ?? 0 } : {}),
    },
    stop: stopsOf(chat.stop),
    ...(maxTokens == null ? {} : { maxTokens }),
    ...(budget == null ? {} : { reasoningBudget: budget }),
    hosted: serving.hosted,
    session: { after: sessionKeys(chat), as: sessionKeys(chat) },
    id: visit.id,
    owner: visit.owner,
    signal: visit.signal,
  };
}

function saidOf(message: z.infer<typeof messageSchema>, path: string): Said {
  const { role, tool_calls: calls, tool_call_id: callId } = message;
  const parts = message.content;
  const content = Array.isArray(parts) ? parts.map((part) => ({ ...part, text: part.text ?? part.refusal })) : parts;
  const text = textOf(content, `${path}.content`);
  if (role !== 'assistant' && content == null) {
    throw invalid(`${path}.content is missing; expected text; add it`, `${path}.content`);
  }
  switch (role) {
    case 'system':
    case 'developer':
      return { role: 'instructions', text };
    case 'user':
      return { role: 'user', text };
    case 'tool':
      if (callId == null) throw invalid(`${path}.tool_call_id is missing; expected the id of the call; add it`, path);
      return { role: 'tool', callId, text };
    case 'assistant':
      return {
        role: 'assistant',
        text: text || (message.refusal ?? ''),
        reasoning: message.reasoning ?? message.reasoning_content ?? '',
        calls: (calls ?? []).map(({ id, function: { name, arguments: given } }) => ({ id, name, arguments: given })),
      };
  }
}

function toolsOf({ tools }: ChatBody): { functions: OfferedFunction[]; skipped: string[] } {
  const functions: OfferedFunction[] = [];
  const skipped: string[] = [];
  for (const [i, tool] of (tools ?? []).entries()) {
    if (tool.type !== 'function') skipped.push(tool.type.replace(/[^\w.-]/g, '').slice(0, 40));
    else if (tool.function == null) {
      throw invalid(`tools[${i}].function is missing; expected a definition; add it`, `tools[${i}].function`);
    } else functions.push(functionOf(tool.function));
  }
  return { functions, skipped: skipped.slice(0, 20) };
}

function choiceOf(choice: ChatBody['tool_choice']): ToolChoice {
  if (choice == null) return { mode: 'auto' };
  if (typeof choice === 'string') return { mode: choice };
  if (choice.type === 'function' && choice.function != null) return { mode: 'required', only: [choice.function.name] };
  if (choice.type === 'allowed_tools' && choice.allowed_tools != null) {
    const { mode, tools } = choice.allowed_tools;
    return { mode, only: tools.flatMap((tool) => (tool.function == null ? [] : [tool.function.name])) };
  }
  const found = `tool_choice.type is ${JSON.stringify(choice.type).slice(0, 80)}`;
  throw invalid(`${found}; expected function with a name; choose a function`, 'tool_choice');
}

/** The objects that clients read. */
class ChatShape {
  readonly hasReasoning: boolean;
  readonly hasLogprobs: boolean;
  readonly #head: { id: string; created: number; model: string };
  readonly #hasUsage: boolean;

  readonly #tokenizer: Tokenizer;

  constructor(model: string, tokenizer: Tokenizer, { include_reasoning, logprobs, stream_options }: ChatBody) {
    this.#tokenizer = tokenizer;
    this.#head = { id: newId('chatcmpl'), created: Math.floor(Date.now() / 1000), model };
    this.hasReasoning = include_reasoning !== false;
    this.hasLogprobs = logprobs === true;
    this.#hasUsage = stream_options?.include_usage === true;
  }

  whole(answers: readonly Answer[]): unknown {
    const { id, created, model } = this.#head;
    const choices = answers.map((answer, index) => ({
      index,
      message: {
        role: 'assistant',
        content: answer.text === '' && answer.calls.length > 0 ? null : answer.text,
        refusal: null,
        ...(this.hasReasoning && answer.reasoning !== '' ? reasoningFields(answer.reasoning) : {}),
        ...(answer.calls.length > 0 ? { tool_calls: answer.calls.map((call) => toolCall(call)) } : {}),
        ...annotationsOf(answer),
      },
      logprobs: this.hasLogprobs ? this.logprobs(answer.logprobs) : null,
      finish_reason: finishOf(answer),
    }));
    const notices = noticesOf(answers);
    return { id, object: 'chat.completion', created, model, choices, usage: usageOf(answers), ...notices };
  }

  logprobs(tokens: readonly GeneratedToken[]): unknown {
    return { content: chatLogprobs(tokens, this.#tokenizer), refusal: null };
  }

  chunk(index: number, delta: unknown, finish: string | null = null, logprobs: unknown = null): unknown {
    const { id, created, model } = this.#head;
    const choices = [{ index, delta, logprobs, finish_reason: finish }];
    return { id, object: 'chat.completion.chunk', created, model, choices, ...(this.#hasUsage ? { usage: null } : {}) };
  }

  usageChunk(answers: readonly Answer[]): unknown {
    const { id, created, model } = this.#head;
    return { id, object: 'chat.completion.chunk', created, model, choices: [], usage: usageOf(answers) };
  }
}

/** Events of one answer as chunks. */
class ChunkTeller {
  readonly #shape: ChatShape;
  readonly #index: number;
  #calls = 0;
  #hasText = false;
  #hasReasoning = false;
  #tokens: GeneratedToken[] = [];

  constructor(shape: ChatShape, index: number) {
    this.#shape = shape;
    this.#index = index;
  }

  *tell(event: AnswerEvent): Generator<unknown> {
    switch (event.type) {
      case 'begin':
        if (event.call !== null) {
          const { id, name } = event.call;
          yield this.#call({ index: this.#calls++, id, type: 'function', function: { name, arguments: '' } });
        } else if (event.kind !== 'reasoning') {
          if (this.#hasText) yield this.#chunk({ content: separator });
          this.#hasText = true;
        } else {
          if (this.#hasReasoning && this.#shape.hasReasoning) yield this.#chunk(reasoningFields(separator));
          this.#hasReasoning = true;
        }
        break;
      case 'delta':
        if (event.kind === 'call') {
          yield this.#call({ index: this.#calls - 1, function: { arguments: event.text } });
        } else if (event.kind === 'reasoning') {
          if (this.#shape.hasReasoning) yield this.#chunk(reasoningFields(event.text));
        } else {
          yield this.#chunk({ content: event.text });
        }
        break;
      case 'token':
        this.#tokens.push(event.token);
        break;
      case 'done': {
        const annotations = annotationsOf(event.answer);
        if ('annotations' in annotations) yield this.#chunk(annotations);
        const last = this.#chunk({}, finishOf(event.answer)) as Readonly<Record<string, unknown>>;
        yield { ...last, ...noticesOf([event.answer]) };
      }
    }
  }

  #call(call: unknown): unknown {
    return this.#chunk({ tool_calls: [call] });
  }

  #chunk(delta: Readonly<Record<string, unknown>>, finish: string | null = null): unknown {
    const hasTokens = this.#shape.hasLogprobs && this.#tokens.length > 0 && (finish !== null || 'content' in delta);
    const logprobs = hasTokens ? this.#shape.logprobs(this.#tokens.splice(0)) : null;
    return this.#shape.chunk(this.#index, delta, finish, logprobs);
  }
}

function reasoningFields(text: string): { reasoning: string; reasoning_content: string } {
  return { reasoning: text, reasoning_content: text };
}

function toolCall({ id, name, arguments: given }: Answer['calls'][number]): unknown {
  return { id, type: 'function', function: { name, arguments: given } };
}

/** Links of the text, in the words of the API. */
function annotationsOf({ citations }: Answer): { annotations?: unknown } {
  if (citations.length === 0) return {};
  return {
    annotations: citations.map(({ url, title, start, end }) => ({
      type: 'url_citation',
      url_citation: { url, title, start_index: start, end_index: end },
    })),
  };
}

/** What the text of an answer in a form has no place for. */
function noticesOf(answers: readonly Answer[]): { notice?: string } {
  const notices = answers.flatMap(({ notice }) => (notice === null ? [] : [notice]));
  return notices.length === 0 ? {} : { notice: [...new Set(notices)].join(' ') };
}

function finishOf({ finish }: Answer): string {
  return finish === 'aborted' ? 'stop' : finish;
}

export function usageOf(answers: readonly Answer[]): unknown {
  const sum = (pick: (usage: Answer['usage']) => number): number =>
    answers.reduce((total, { usage }) => total + pick(usage), 0);
  const [first] = answers;
  const prompt = first?.usage.promptTokens ?? 0; // n answers share one prompt
  const completion = sum((usage) => usage.completionTokens);
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    prompt_tokens_details: { cached_tokens: first?.usage.cachedTokens ?? 0 },
    completion_tokens_details: { reasoning_tokens: sum((usage) => usage.reasoningTokens) },
  };
}
