// Owns: /v1/responses: create (at once, streamed, in the background), retrieve, delete, cancel, input items. A response
// goes on from a stored one by the ids that were generated then, so its prompt is the old one bit for bit and more.
// Refuses: conversations and prompts kept by the platform, hosted tools that are demanded by name.
// Next: responses-events.ts (what goes out), response-input.ts (what comes in), store.ts.

import { z } from '@hono/zod-openapi';
import { GptOssError } from '../errors.ts';
import type { AnswerEvent } from './answer.ts';
import { type AnswerFormat, answerFormat, constraintFields, formatSchema, ofNamedSchema } from './answer-formats.ts';
import { checked, quote } from './body.ts';
import type { Said } from './dialogue.ts';
import type { AnswerRequest, StartedAnswer } from './generation.ts';
import { newId } from './ids.ts';
import {
  effortOf,
  effortSchema,
  modelNameOf,
  samplingFields,
  samplingOf,
  sessionFields,
  sessionKeys,
  stopSchema,
  stopsOf,
} from './request-parts.ts';
import { inputItemSchema, listedItems, saidOfItems } from './response-input.ts';
import { responseToolChoice, responseToolSchema, responseTools, toolChoiceSchema } from './response-tools.ts';
import { type ResponseEvent, ResponseTeller, responseIdOfItem } from './responses-events.ts';
import { RunningResponse } from './running-responses.ts';
import { type Serving, streamed, type Visit } from './serving.ts';
import type { OutputItem, ResponseBody, StoredResponse } from './store.ts';
import { invalid, problemOf, refused, sse } from './wire.ts';

const MAX_CHAIN = 10_000; // responses that one goes on from, one after another

export const responseSchema = z
  .object({
    model: z.string().max(512).nullish(),
    input: z.union([z.string(), z.array(inputItemSchema).max(100_000)]).nullish(),
    instructions: z.string().nullish(),
    previous_response_id: z.string().max(256).nullish(),
    max_output_tokens: z.int().min(1).nullish(),
    ...samplingFields,
    stop: stopSchema,
    store: z.boolean().nullish(),
    stream: z.boolean().nullish(),
    background: z.boolean().nullish(),
    metadata: z.record(z.string().max(64), z.string().max(512)).nullish(),
    include: z.array(z.string().max(128)).nullish(),
    top_logprobs: z.int().min(0).max(20).nullish(),
    tools: z.array(responseToolSchema).nullish(),
    tool_choice: toolChoiceSchema.nullish(),
    parallel_tool_calls: z.boolean().nullish(),
    reasoning: z
      .object({ effort: effortSchema.nullish(), summary: z.string().nullish(), max_tokens: z.int().min(0).nullish() })
      .nullish(),
    text: z
      .object({
        format: z
          .discriminatedUnion('type', [
            z.object({ type: z.literal('text') }),
            z.object({ type: z.literal('json_object') }),
            formatSchema.extend({ type: z.literal('json_schema') }),
          ])
          .nullish(),
        verbosity: z.string().nullish(),
      })
      .nullish(),
    ...constraintFields,
    truncation: z.enum(['auto', 'disabled']).nullish(),
    user: z.string().nullish(),
    safety_identifier: z.string().nullish(),
    prompt_cache_key: z.string().nullish(),
    ...sessionFields,
    conversation: z.unknown().optional(),
    prompt: z.unknown().optional(),
  })
  .openapi('ResponseRequest');

type Wanted = z.infer<typeof responseSchema>;

/** A response that was asked for, ready to run. */
interface Plan {
  readonly id: string;
  readonly wanted: Wanted;
  readonly request: AnswerRequest;
  readonly teller: ResponseTeller;
  readonly said: readonly Said[]; // its own input
  readonly input: readonly OutputItem[];
  readonly skipped: readonly string[];
}

export async function createResponse(serving: Serving, visit: Visit, body: unknown): Promise<Response> {
  const wanted = checked(responseSchema, body);
  if (wanted.conversation != null || wanted.prompt != null) {
    const field = wanted.prompt == null ? 'conversation' : 'prompt';
    throw invalid(
      `${field} is set; expected input and previous_response_id, which this server keeps; use those`,
      field,
    );
  }
  if (wanted.background === true && wanted.store === false) {
    throw invalid('background is set without store; expected both: others read it from there; set store', 'background');
  }
  // What runs in the background belongs to nobody's connection.
  const owner = wanted.background === true ? serving.enter(visit.owner) : visit;
  try {
    const plan = planOf(wanted, serving, owner);
    const started = (await serving.answerer.ready(plan.request)).start();
    plan.teller.containerId = started.containerId;
    const response =
      wanted.background === true
        ? inBackground(serving, visit, owner, plan, started)
        : wanted.stream === true
          ? streamedResponse(serving, visit, plan, started)
          : Response.json(await run(serving, plan, started, async () => undefined));
    if (plan.skipped.length > 0) response.headers.set('x-gptoss-skipped-tools', headerText(plan.skipped));
    return response;
  } catch (error) {
    if (owner !== visit) owner.done();
    throw error;
  }
}

export function retrieveResponse(serving: Serving, visit: Visit, id: string, query: URLSearchParams): Response {
  const running = serving.running.get(id, visit.owner);
  if (query.get('stream') === 'true') {
    if (running === null) {
      throw invalid(`the response ${quote(id)} has no events any more; expected one that runs; retrieve it as it is`);
    }
    const after = Number(query.get('starting_after') ?? -1);
    if (!Number.isInteger(after) || after < -1) {
      throw invalid('starting_after is no sequence number; expected one; change it', 'starting_after');
    }
    return readRunning(serving, visit, running, after);
  }
  const told = running ?? serving.running.awaitedOf(id, visit.owner);
  return Response.json(told === null ? find(serving, visit.owner, id).body : told.teller.body());
}

export function deleteResponse(serving: Serving, visit: Visit, id: string): Response {
  const running = serving.running.get(id, visit.owner);
  const told = running ?? serving.running.awaitedOf(id, visit.owner);
  if (told === null) find(serving, visit.owner, id);
  else told.isDeleted = true;
  running?.visit.leave(); // nobody would see its end
  serving.store.delete(id);
  void serving.answerer.sessions.forget(visit.owner, id); // the state of its tools goes with it
  return Response.json({ id, object: 'response.deleted', deleted: true });
}

export async function cancelResponse(serving: Serving, visit: Visit, id: string): Promise<Response> {
  const running = serving.running.get(id, visit.owner);
  if (running !== null && !running.isOver) {
    running.visit.leave();
    for await (const _ of running.read(-1, visit.signal)); // to its end, which is near
    return Response.json(running.teller.body());
  }
  const body = serving.running.awaitedOf(id, visit.owner)?.teller.body() ?? find(serving, visit.owner, id).body;
  if (body['background'] !== true) {
    throw invalid(
      `the response ${quote(id)} does not run in the background; expected one that does; close its connection`,
    );
  }
  return Response.json(body);
}

export function listInputItems(serving: Serving, visit: Visit, id: string, query: URLSearchParams): Response {
  const { input } = find(serving, visit.owner, id);
  const limit = Number(query.get('limit') ?? 20);
  if (!Number.isInteger(limit) || limit < 1 || limit > 100) {
    throw invalid(`limit is ${quote(query.get('limit') ?? '')}; expected 1 to 100; change it`, 'limit');
  }
  const ordered = query.get('order') === 'asc' ? [...input] : [...input].reverse();
  const after = query.get('after');
  const from = after === null ? 0 : ordered.findIndex((item) => item.id === after) + 1;
  if (after !== null && from === 0)
    throw invalid(`after is ${quote(after)}; expected an item's id; change it`, 'after');
  const data = ordered.slice(from, from + limit);
  const ends = { first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null };
  return Response.json({ object: 'list', data, ...ends, has_more: ordered.length > from + limit });
}

// ---- running ------------------------------------------------------------------------------------------------------

function streamedResponse(serving: Serving, visit: Visit, plan: Plan, started: StartedAnswer): Response {
  return streamed(serving, visit, 'openai', async (stream) => {
    await run(serving, plan, started, (event) => stream.write(sse(event, event.type)));
    await stream.write(sse('[DONE]'));
  });
}

function inBackground(serving: Serving, visit: Visit, own: Visit, plan: Plan, started: StartedAnswer): Response {
  const running = new RunningResponse(plan.id, own, plan.teller);
  serving.running.add(running);
  const task = run(serving, plan, started, async (event) => running.tell(event), running);
  const over = (): void => {
    running.end();
    own.done();
  };
  task.then(over, over);
  if (plan.wanted.stream === true) return readRunning(serving, visit, running, -1);
  return Response.json(plan.teller.body());
}

function readRunning(serving: Serving, visit: Visit, running: RunningResponse, after: number): Response {
  return streamed(serving, visit, 'openai', async (stream) => {
    for await (const event of running.read(after, visit.signal)) await stream.write(sse(event, event.type));
    await stream.write(sse('[DONE]'));
  });
}

/** Runs a response to its end and stores it. What goes wrong once it runs is part of the response. */
async function run(
  serving: Serving,
  plan: Plan,
  started: StartedAnswer,
  emit: (event: ResponseEvent) => Promise<void>,
  running: RunningResponse | null = null,
): Promise<ResponseBody> {
  const { teller } = plan;
  const { owner } = plan.request;
  const awaited =
    running === null && plan.wanted.store !== false ? serving.running.await(plan.id, owner, teller) : null;
  const isDeleted = (): boolean => (running ?? awaited)?.isDeleted === true;
  try {
    for (const event of teller.begin(running !== null)) await emit(event);
    if (running !== null) keep(serving, plan, null);
    for (;;) {
      const next = await started.events.next();
      if (next.done) break;
      await forward(serving, plan, next.value, emit, running !== null, isDeleted);
    }
  } catch (error) {
    if (running === null && plan.wanted.stream !== true) throw error;
    const { code, message, isOurs } = problemOf(error);
    const hasLeft = plan.request.signal.aborted; // the client, or the server stops
    if (isOurs && !hasLeft) serving.log.error({ response: plan.id, error: String(error) }, 'a response failed');
    const event = teller.fail(code ?? 'server_error', message);
    if (!isDeleted()) keep(serving, plan, null);
    await emit(event);
  } finally {
    serving.running.ended(plan.id);
  }
  return teller.body();
}

async function forward(
  serving: Serving,
  plan: Plan,
  event: AnswerEvent,
  emit: (event: ResponseEvent) => Promise<void>,
  isInBackground: boolean,
  isDeleted: () => boolean,
): Promise<void> {
  const events = [...plan.teller.tell(event)];
  if (event.type === 'done') {
    const { answer } = event;
    if (answer.finish === 'aborted' && !isInBackground) {
      throw refused('unavailable', 'the server is stopping; expected it to run on; send the request again later');
    }
    // Stored before it is told: whoever reads the end may go on from it at once.
    if (!isDeleted()) keep(serving, plan, event);
  }
  for (const each of events) await emit(each);
}

/** Stores a response as it is now. A store that fails costs the answer nothing. */
function keep(serving: Serving, plan: Plan, done: Extract<AnswerEvent, { type: 'done' }> | null): void {
  const { wanted, said, input, teller, id, request } = plan;
  if (wanted.store === false) return;
  const body = teller.body();
  const response: StoredResponse = {
    id,
    owner: request.owner,
    createdAt: Number(body['created_at']),
    previousId: wanted.previous_response_id ?? null,
    body,
    input,
    said,
    history: done?.answer.history ?? [],
    calls: done?.answer.calls ?? [],
  };
  try {
    serving.store.put(response);
  } catch (error) {
    serving.log.error({ response: id, error: String(error) }, 'a response could not be stored');
    serving.metrics.storeErrors++;
  }
}

// ---- reading requests ---------------------------------------------------------------------------------------------

function planOf(wanted: Wanted, serving: Serving, visit: Visit): Plan {
  const key = newId('').slice(1);
  const id = `resp_${key}`;
  const { functions, byName, hosted, skipped } = responseTools(wanted.tools ?? [], serving.hosted);
  const items = typeof wanted.input === 'string' ? [{ role: 'user', content: wanted.input }] : (wanted.input ?? []);
  const said = saidOfItems(items, (itemId) => storedItem(serving, visit.owner, itemId));
  const before = wanted.previous_response_id == null ? [] : chain(serving, visit.owner, wanted.previous_response_id);
  const effort = effortOf(wanted.reasoning?.effort);
  const includes = new Set(wanted.include ?? []);
  const hasLogprobs = includes.has('message.output_text.logprobs') || (wanted.top_logprobs ?? 0) > 0;
  const request: AnswerRequest = {
    said: [
      ...(wanted.instructions == null || wanted.instructions === ''
        ? []
        : [{ role: 'instructions', text: wanted.instructions } as const]),
      ...before,
      ...said,
    ],
    functions,
    toolChoice: responseToolChoice(wanted.tool_choice),
    ...(effort === undefined ? {} : { effort }),
    format: answerFormat(wanted, formatOf(wanted.text?.format)),
    sampling: {
      ...samplingOf(wanted, serving.model.engine.model.vocab),
      ...(hasLogprobs ? { logprobs: true, topLogprobs: wanted.top_logprobs ?? 0 } : {}),
    },
    stop: stopsOf(wanted.stop),
    ...(wanted.max_output_tokens == null ? {} : { maxTokens: wanted.max_output_tokens }),
    ...(wanted.reasoning?.max_tokens == null ? {} : { reasoningBudget: wanted.reasoning.max_tokens }),
    hosted,
    session: {
      after: [
        ...sessionKeys(wanted),
        ...(wanted.previous_response_id == null ? [] : [wanted.previous_response_id]),
        ...containersIn(wanted.tools ?? [], items),
      ],
      as: [id, ...sessionKeys(wanted)],
    },
    id: visit.id,
    owner: visit.owner,
    signal: visit.signal,
  };
  const teller = new ResponseTeller({
    key,
    body: bodyOf(wanted, modelNameOf(serving, wanted.model), serving),
    tools: byName,
    tokenizer: serving.model.tokenizer,
    hasLogprobs,
    hasSealedReasoning: includes.has('reasoning.encrypted_content'),
  });
  return { id, wanted, request, teller, said, input: listedItems(items), skipped };
}

/** Containers that a request names: as code_interpreter's own, or by giving back a call that ran in one (the last first). */
function containersIn(tools: readonly Record<string, unknown>[], items: readonly Record<string, unknown>[]): string[] {
  const named = tools.map(({ container }) => container);
  const past = items.map((item) => item['container_id']).reverse();
  return [...named, ...past].filter((id): id is string => typeof id === 'string' && id.startsWith('cntr_')).slice(0, 8);
}

/** What the earlier responses were asked and said, oldest first. */
function chain(serving: Serving, owner: string, last: string): Said[] {
  const links: StoredResponse[] = [];
  for (let id: string | null = last; id !== null; id = links.at(-1)!.previousId) {
    const stored = serving.store.get(id);
    const what = `the previous response ${quote(JSON.stringify(id))}`;
    const parameter = 'previous_response_id';
    if (stored === null || stored.owner !== owner) {
      const found = `${what} is not stored`;
      throw invalid(`${found}; expected one that is; send the whole input`, parameter, 'previous_response_not_found');
    }
    const { status } = stored.body;
    if (status !== 'completed' && status !== 'incomplete') {
      throw invalid(`${what} is ${status}; expected one that has ended; wait for it or leave it out`, parameter);
    }
    links.push(stored);
    if (links.length > MAX_CHAIN) throw invalid(`${what} ends no chain of ${MAX_CHAIN}; expected fewer`, parameter);
  }
  return links.reverse().flatMap(({ said, history, calls }) => [...said, { role: 'kept' as const, history, calls }]);
}

function storedItem(serving: Serving, owner: string, itemId: string): OutputItem | null {
  const responseId = responseIdOfItem(itemId);
  const stored = responseId === null ? null : serving.store.get(responseId);
  if (stored === null || stored.owner !== owner) return null;
  return stored.body.output.find((item) => item.id === itemId) ?? null;
}

function find(serving: Serving, owner: string, id: string): StoredResponse {
  const stored = serving.store.get(id);
  if (stored !== null && stored.owner === owner) return stored;
  const found = `there is no response ${quote(JSON.stringify(id))}`;
  throw new GptOssError('not-found', `${found}; expected a stored one; check the id`);
}

function formatOf(format: NonNullable<Wanted['text']>['format']): AnswerFormat | null {
  if (format?.type === 'json_object') return { format: { kind: 'json-object' }, field: 'text.format' };
  return format?.type === 'json_schema' ? ofNamedSchema(format, 'text.format') : null;
}

/** All that clients may look for, with the values that hold here. */
function bodyOf(wanted: Wanted, model: string, serving: Serving): Readonly<Record<string, unknown>> {
  return {
    created_at: Math.floor(Date.now() / 1000),
    completed_at: null,
    background: wanted.background ?? false,
    error: null,
    incomplete_details: null,
    instructions: wanted.instructions ?? null,
    max_output_tokens: wanted.max_output_tokens ?? null,
    max_tool_calls: null,
    model,
    parallel_tool_calls: false, // gpt-oss was trained to call one tool at a time
    previous_response_id: wanted.previous_response_id ?? null,
    prompt_cache_key: wanted.prompt_cache_key ?? null,
    reasoning: {
      effort: effortOf(wanted.reasoning?.effort) ?? serving.defaultEffort,
      summary: wanted.reasoning?.summary ?? null,
    },
    safety_identifier: wanted.safety_identifier ?? null,
    service_tier: 'default',
    store: wanted.store ?? true,
    temperature: wanted.temperature ?? serving.defaultTemperature,
    text: { format: wanted.text?.format ?? { type: 'text' }, verbosity: wanted.text?.verbosity ?? 'medium' },
    tool_choice: wanted.tool_choice ?? 'auto',
    tools: wanted.tools ?? [],
    top_logprobs: wanted.top_logprobs ?? 0,
    top_p: wanted.top_p ?? 1,
    frequency_penalty: wanted.frequency_penalty ?? 0,
    presence_penalty: wanted.presence_penalty ?? 0,
    truncation: wanted.truncation ?? 'disabled',
    usage: null,
    user: wanted.user ?? null,
    metadata: wanted.metadata ?? {},
  };
}

/** Words of clients in a header: only what a header can hold, and little of it. */
function headerText(words: readonly string[]): string {
  return words
    .slice(0, 20)
    .map((word) => word.replace(/[^\w.:-]/g, '').slice(0, 40))
    .join(', ');
}
