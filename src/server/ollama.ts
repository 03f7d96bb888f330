// Owns: Ollama's dialect: /api/chat and /api/generate, and what its clients ask before (version, tags, show, ps, pull).
// Answers are lines of JSON, streamed unless told otherwise. `think` sets the reasoning level; false means low, and the
// reasoning is not shown. `keep_alive` and `options.num_ctx` are accepted: the model stays, its context is what the server
// was started with. Refuses: images, `suffix`, `context`. Next: generation.ts.

import { z } from '@hono/zod-openapi';
import type { GeneratedToken } from '../engine/generation.ts';
import type { ReasoningEffort } from '../text/harmony/messages.ts';
import type { Answer, AnswerEvent } from './answer.ts';
import { type AnswerFormat, answerFormat, constraintFields, jsonSchema, ofSchema } from './answer-formats.ts';
import { checked } from './body.ts';
import { told } from './chat-completions.ts';
import type { Said } from './dialogue.ts';
import type { AnswerRequest, OfferedFunction, StartedAnswer } from './generation.ts';
import { newId } from './ids.ts';
import { chatLogprobs } from './logprobs.ts';
import { effortOf, effortSchema, functionOf, functionSchema, modelNameOf } from './request-parts.ts';
import { type Serving, streamed, type Visit } from './serving.ts';
import { invalid } from './wire.ts';

/** The version of Ollama whose API this is; clients ask for a least one. */
export const ollamaVersion = '0.14.0';

const optionsSchema = z.object({
  num_ctx: z.int().min(1).nullish(),
  num_predict: z.int().min(-2).nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_k: z.int().min(0).max(1_000_000).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  min_p: z.number().min(0).max(1).nullish(),
  seed: z.int().nullish(),
  stop: z.union([z.string().min(1).max(1000), z.array(z.string().min(1).max(1000)).max(64)]).nullish(),
  repeat_penalty: z.number().min(0.01).max(100).nullish(),
  presence_penalty: z.number().min(-2).max(2).nullish(),
  frequency_penalty: z.number().min(-2).max(2).nullish(),
});

const commonFields = {
  model: z.string().max(512).nullish(),
  stream: z.boolean().nullish(),
  format: z.union([z.literal('json'), z.literal(''), jsonSchema]).nullish(),
  ...constraintFields,
  think: z.union([z.boolean(), effortSchema]).nullish(),
  keep_alive: z.union([z.string(), z.number()]).nullish(),
  options: optionsSchema.nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: z.int().min(0).max(20).nullish(),
  images: z.array(z.unknown()).nullish(),
};

const messageSchema = z.object({
  role: z.enum(['system', 'user', 'assistant', 'tool']),
  content: z.string().nullish(),
  thinking: z.string().nullish(),
  images: z.array(z.unknown()).nullish(),
  tool_calls: z
    .array(
      z.object({
        id: z.string().max(256).nullish(),
        function: z.object({
          name: z.string().min(1).max(128),
          arguments: z.record(z.string(), z.unknown()).nullish(),
        }),
      }),
    )
    .max(256)
    .nullish(),
  tool_name: z.string().max(128).nullish(),
  tool_call_id: z.string().max(256).nullish(),
});

export const ollamaChatSchema = z
  .object({
    ...commonFields,
    messages: z.array(messageSchema).max(100_000).nullish(),
    tools: z.array(z.looseObject({ type: z.string().nullish(), function: functionSchema.nullish() })).nullish(),
  })
  .openapi('OllamaChatRequest');

export const ollamaGenerateSchema = z
  .object({
    ...commonFields,
    prompt: z.string().nullish(),
    system: z.string().nullish(),
    suffix: z.string().nullish(),
    context: z.array(z.unknown()).nullish(),
    template: z.string().nullish(),
    raw: z.boolean().nullish(),
  })
  .openapi('OllamaGenerateRequest');

type Common = Pick<z.infer<typeof ollamaChatSchema>, keyof typeof commonFields>;

export async function ollamaChat(serving: Serving, visit: Visit, body: unknown): Promise<Response> {
  const wanted = checked(ollamaChatSchema, body);
  const spoken = wanted.messages ?? [];
  const shape = new OllamaShape(serving, wanted, (text, thinking, calls) => ({
    message: {
      role: 'assistant',
      content: text,
      ...(thinking === '' ? {} : { thinking }),
      ...(calls.length === 0 ? {} : { tool_calls: calls.map(toolCall) }),
    },
  }));
  if (spoken.length === 0) return Response.json(shape.loaded());
  const said = spoken.map((message, i) => saidOf(message, `messages[${i}]`));
  const functions = (wanted.tools ?? []).flatMap(({ type, function: definition }) =>
    definition == null || (type != null && type !== 'function') ? [] : [functionOf(definition)],
  );
  return answer(serving, visit, wanted, said, functions, shape);
}

export async function ollamaGenerate(serving: Serving, visit: Visit, body: unknown): Promise<Response> {
  const wanted = checked(ollamaGenerateSchema, body);
  const refuse = (field: 'suffix' | 'context' | 'template' | 'raw', reason: string): void => {
    const value = wanted[field];
    if (value == null || value === '' || value === false || (Array.isArray(value) && value.length === 0)) return;
    throw invalid(`${field} is set; expected none: ${reason}; leave it out`, field);
  };
  refuse('suffix', 'gpt-oss only goes on at the end');
  refuse('context', '/api/chat takes earlier messages');
  refuse('template', 'gpt-oss has its own format');
  refuse('raw', '/v1/completions goes on from text and ids as they are');
  const shape = new OllamaShape(serving, wanted, (text, thinking) => ({
    response: text,
    ...(thinking === '' ? {} : { thinking }),
  }));
  const { prompt, system } = wanted;
  if (prompt == null || prompt === '') return Response.json(shape.loaded());
  const instructions: Said[] = system == null || system === '' ? [] : [{ role: 'instructions', text: system }];
  return answer(serving, visit, wanted, [...instructions, { role: 'user', text: prompt }], [], shape);
}

async function answer(
  serving: Serving,
  visit: Visit,
  wanted: Common,
  said: readonly Said[],
  functions: readonly OfferedFunction[],
  shape: OllamaShape,
): Promise<Response> {
  if ((wanted.images ?? []).length > 0) throw noImages('images');
  const started = (await serving.answerer.ready(requestOf(wanted, said, functions, visit))).start();
  if (wanted.stream === false) return Response.json(shape.whole(await told(started, async () => undefined)));
  return streamed(serving, visit, 'ollama', async (stream) => {
    await tellLines(started, shape, (line) => stream.write(`${JSON.stringify(line)}\n`));
  });
}

async function tellLines(
  started: StartedAnswer,
  shape: OllamaShape,
  write: (line: unknown) => Promise<void>,
): Promise<void> {
  let tokens: GeneratedToken[] = [];
  let hasText = false;
  let hasThought = false;
  await told(started, async (event: AnswerEvent) => {
    if (event.type === 'run' || event.type === 'citation') return;
    if (event.type === 'token') tokens.push(event.token);
    else if (event.type === 'done') await write(shape.last(event.answer));
    else if (event.kind === 'call') {
      if (event.type === 'end' && event.call !== null && event.call.isWhole) {
        await write(shape.line('', '', [event.call], []));
      }
    } else if (event.kind === 'reasoning') {
      if (!shape.showsThinking || event.type === 'end') return;
      if (event.type === 'delta') await write(shape.line('', event.text, [], []));
      else if (hasThought) await write(shape.line('', '\n\n', [], []));
      hasThought = true;
    } else if (event.type === 'delta') {
      await write(shape.line(event.text, '', [], tokens));
      tokens = [];
    } else if (event.type === 'begin') {
      if (hasText) await write(shape.line('\n\n', '', [], []));
      hasText = true;
    }
  });
}

function requestOf(
  wanted: Common,
  said: readonly Said[],
  functions: readonly OfferedFunction[],
  visit: Visit,
): AnswerRequest {
  const options = wanted.options ?? {};
  const effort = effortOfThink(wanted.think);
  const { num_predict: most } = options;
  if (most === 0)
    throw invalid('options.num_predict is 0; expected 1 or more, or -1; change it', 'options.num_predict');
  if (wanted.top_logprobs != null && wanted.logprobs !== true) {
    throw invalid('top_logprobs is set without logprobs; expected both; set logprobs to true', 'top_logprobs');
  }
  const { stop } = options;
  return {
    said,
    functions,
    toolChoice: { mode: 'auto' },
    ...(effort === undefined ? {} : { effort }),
    format: answerFormat(wanted, formatOf(wanted.format)),
    sampling: {
      temperature: options.temperature ?? undefined,
      topK: options.top_k ?? undefined,
      topP: options.top_p ?? undefined,
      minP: options.min_p ?? undefined,
      seed: options.seed ?? undefined,
      repetitionPenalty: options.repeat_penalty ?? undefined,
      presencePenalty: options.presence_penalty ?? undefined,
      frequencyPenalty: options.frequency_penalty ?? undefined,
      ...(wanted.logprobs === true ? { logprobs: true, topLogprobs: wanted.top_logprobs ?? 0 } : {}),
    },
    stop: stop == null ? [] : typeof stop === 'string' ? [stop] : stop,
    ...(most == null || most < 0 ? {} : { maxTokens: most }),
    id: visit.id,
    owner: visit.owner,
    signal: visit.signal,
  };
}

function effortOfThink(think: Common['think']): ReasoningEffort | undefined {
  if (think === false) return 'low';
  return think === true ? undefined : effortOf(think);
}

function formatOf(format: Common['format']): AnswerFormat | null {
  if (format == null || format === '') return null;
  return format === 'json' ? { format: { kind: 'json-object' }, field: 'format' } : ofSchema(format, 'format');
}

function saidOf(message: z.infer<typeof messageSchema>, path: string): Said {
  const text = message.content ?? '';
  if ((message.images ?? []).length > 0) throw noImages(`${path}.images`);
  switch (message.role) {
    case 'system':
      return { role: 'instructions', text };
    case 'user':
      return { role: 'user', text };
    case 'tool': {
      const { tool_call_id: callId, tool_name: name } = message;
      return { role: 'tool', callId: callId ?? null, ...(name == null ? {} : { name }), text };
    }
    case 'assistant':
      return {
        role: 'assistant',
        text,
        reasoning: message.thinking ?? '',
        calls: (message.tool_calls ?? []).map(({ id, function: { name, arguments: given } }) => ({
          id: id ?? newId('call'),
          name,
          arguments: JSON.stringify(given ?? {}),
        })),
      };
  }
}

function noImages(path: string): Error {
  return invalid(`${path} holds images; expected text: gpt-oss reads and writes text only; leave them out`, path);
}

type Content = (text: string, thinking: string, calls: readonly Answer['calls'][number][]) => object;

class OllamaShape {
  readonly showsThinking: boolean;
  readonly #serving: Serving;
  readonly #model: string;
  readonly #content: Content;
  readonly #hasLogprobs: boolean;

  constructor(serving: Serving, wanted: Common, content: Content) {
    this.#serving = serving;
    const own = modelNameOf(serving, wanted.model);
    this.#model = wanted.model ?? own; // clients look for the name they used
    this.#content = content;
    this.showsThinking = wanted.think !== false;
    this.#hasLogprobs = wanted.logprobs === true;
  }

  line(
    text: string,
    thinking: string,
    calls: readonly Answer['calls'][number][],
    tokens: readonly GeneratedToken[],
  ): unknown {
    return {
      ...this.#head(),
      ...this.#content(text, thinking, calls),
      done: false,
      ...(this.#hasLogprobs && tokens.length > 0 ? { logprobs: this.#logprobs(tokens) } : {}),
    };
  }

  last(whole: Answer): unknown {
    return { ...this.#head(), ...this.#content('', '', []), ...this.#ending(whole) };
  }

  whole(whole: Answer): unknown {
    const calls = whole.calls.filter((call) => call.isWhole);
    return {
      ...this.#head(),
      ...this.#content(whole.text, this.showsThinking ? whole.reasoning : '', calls),
      ...this.#ending(whole),
      ...(this.#hasLogprobs ? { logprobs: this.#logprobs(whole.logprobs) } : {}),
    };
  }

  /** The answer to a request without a prompt: the model is here, as always. */
  loaded(): unknown {
    return { ...this.#head(), ...this.#content('', '', []), done: true, done_reason: 'load' };
  }

  #head(): object {
    return { model: this.#model, created_at: new Date().toISOString() };
  }

  #logprobs(tokens: readonly GeneratedToken[]): unknown {
    return chatLogprobs(tokens, this.#serving.model.tokenizer);
  }

  #ending({ finish, notice, usage, timings }: Answer): object {
    const nanoseconds = (ms: number): number => Math.round(ms * 1e6);
    return {
      done: true,
      done_reason: finish === 'length' ? 'length' : 'stop',
      ...(notice === null ? {} : { notice }),
      total_duration: nanoseconds(timings.firstTokenMs + timings.decodeMs),
      load_duration: 0,
      prompt_eval_count: usage.promptTokens,
      prompt_eval_duration: nanoseconds(timings.promptMs),
      eval_count: usage.completionTokens,
      eval_duration: nanoseconds(timings.decodeMs),
    };
  }
}

function toolCall({ id, name, arguments: given }: Answer['calls'][number]): unknown {
  let value: unknown;
  try {
    value = JSON.parse(given);
  } catch {
    value = null;
  }
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  return { id, function: { name, arguments: isObject ? value : { arguments: given } } };
}
