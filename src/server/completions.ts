// Owns: /v1/completions: going on from text or ids as they are, without a template. Text is text, also where it spells a
// marker; whoever wants markers sends ids. Several prompts and several answers to each may come in one request; `echo`
// with `max_tokens` 0 scores a prompt, as evaluation harnesses do. Refuses: suffixes, which gpt-oss was not trained on.
// Next: agent/continuation.ts.

import { z } from '@hono/zod-openapi';
import { type ContinueEvent, type ContinueResult, startContinuation } from '../agent/continuation.ts';
import type { Constraint } from '../engine/constraint.ts';
import type { GeneratedToken } from '../engine/generation.ts';
import type { TokenLogprob } from '../engine/sampling.ts';
import type { StreamDecoder } from '../text/stream-decoder.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import { answerFormat, constraintFields, ofResponseFormat, responseFormatSchema } from './answer-formats.ts';
import { checked } from './body.ts';
import { newId } from './ids.ts';
import { checkLength } from './length-check.ts';
import { MAX_SAMPLES, modelNameOf, samplingFields, samplingOf, stopSchema, stopsOf } from './request-parts.ts';
import { type Serving, streamed, type Visit } from './serving.ts';
import { invalid, sse } from './wire.ts';

const ids = z.array(z.int().min(0)).min(1);

export const completionSchema = z
  .object({
    model: z.string().max(512).nullish(),
    prompt: z.union([
      z.string(),
      ids,
      z.array(z.string()).min(1).max(MAX_SAMPLES),
      z.array(ids).min(1).max(MAX_SAMPLES),
    ]),
    ...samplingFields,
    stop: stopSchema,
    n: z.int().min(1).max(MAX_SAMPLES).nullish(),
    best_of: z.int().min(1).max(MAX_SAMPLES).nullish(),
    max_tokens: z.int().min(0).nullish(),
    stream: z.boolean().nullish(),
    stream_options: z.object({ include_usage: z.boolean().nullish() }).nullish(),
    echo: z.boolean().nullish(),
    logprobs: z.int().min(0).max(20).nullish(),
    suffix: z.string().nullish(),
    ignore_eos: z.boolean().nullish(),
    skip_special_tokens: z.boolean().nullish().openapi({ description: 'false: markers appear by their names.' }),
    return_token_ids: z.boolean().nullish(),
    response_format: responseFormatSchema,
    ...constraintFields,
  })
  .openapi('CompletionRequest');

type CompletionBody = z.infer<typeof completionSchema>;

interface Prompt {
  readonly tokens: readonly number[];
  readonly text: string;
}

/** One of the choices, as far as it came. */
interface Choice {
  readonly index: number;
  readonly prompt: Prompt;
  readonly result: ContinueResult | null; // null: only the prompt was scored
  readonly logprobs: LogprobLists;
}

export async function completions(serving: Serving, visit: Visit, body: unknown): Promise<Response> {
  const wanted = checked(completionSchema, body);
  const prompts = promptsOf(wanted, serving.model.tokenizer, serving.model.engine.context);
  checkCombinations(wanted, prompts.length);
  const shape = new CompletionShape(modelNameOf(serving, wanted.model), wanted);
  const runs = prompts.flatMap((prompt, place) =>
    Array.from({ length: wanted.n ?? 1 }, (_, sample) => ({ prompt, sample, index: place * (wanted.n ?? 1) + sample })),
  );
  const held = await constraintOf(serving, visit, wanted);
  const started = runs.map((run) => ({ ...run, events: start(serving, visit, wanted, run, held) }));
  if (wanted.stream !== true) {
    const choices = await Promise.all(started.map((run) => finish(serving, visit, wanted, run, async () => undefined)));
    return Response.json(shape.whole(choices));
  }
  return streamed(serving, visit, 'openai', async (stream) => {
    const choices = await Promise.all(
      started.map(async (run) => {
        const tell: Tell = (text, logprobs) => stream.write(sse(shape.chunk(run.index, text, logprobs, null)));
        const choice = await finish(serving, visit, wanted, run, tell);
        await stream.write(sse(shape.chunk(run.index, '', null, finishOf(choice))));
        return choice;
      }),
    );
    if (wanted.stream_options?.include_usage === true) await stream.write(sse(shape.usage(choices)));
    await stream.write(sse('[DONE]'));
  });
}

type Tell = (text: string, logprobs: LogprobLists | null) => Promise<void>;

interface Run {
  readonly prompt: Prompt;
  readonly sample: number;
  readonly index: number;
}

/** Null: nothing is to be generated. */
function start(
  serving: Serving,
  visit: Visit,
  wanted: CompletionBody,
  { prompt, sample }: Run,
  held: (() => Constraint) | null,
): Events | null {
  const { engine, encoding, tokenizer } = serving.model;
  const maxTokens = wanted.max_tokens ?? 16;
  if (maxTokens === 0) return null;
  const sampling = samplingOf(wanted, engine.model.vocab);
  return startContinuation(engine, visibleText(tokenizer, wanted.skip_special_tokens !== false), prompt.tokens, {
    ...sampling,
    temperature: sampling.temperature ?? serving.defaultTemperature,
    maxTokens,
    ...(wanted.logprobs == null ? {} : { logprobs: true, topLogprobs: wanted.logprobs }),
    stop: stopsOf(wanted.stop),
    stopIds: wanted.ignore_eos === true ? [] : encoding.stopIds(),
    ...(held === null ? {} : { constraints: [held()] }),
    sample,
    client: visit.owner,
    signal: visit.fork(),
  });
}

/** What each text is held to, if it is. It ends in `<|return|>`, as an answer does. */
async function constraintOf(
  { answerer, model }: Serving,
  visit: Visit,
  wanted: CompletionBody,
): Promise<(() => Constraint) | null> {
  const format = answerFormat(wanted, ofResponseFormat(wanted.response_format));
  if (format === null) return null;
  if (wanted.ignore_eos === true) {
    throw invalid(`ignore_eos and ${format.field} are both set; expected one: a form has an end; choose`, 'ignore_eos');
  }
  return answerer.steerer.text(format.format, model.encoding.ids.return, visit.signal);
}

type Events = AsyncGenerator<ContinueEvent, ContinueResult>;

async function finish(
  serving: Serving,
  visit: Visit,
  wanted: CompletionBody,
  { prompt, index, events }: Run & { readonly events: Events | null },
  tell: Tell,
): Promise<Choice> {
  const { engine, tokenizer } = serving.model;
  const hasLogprobs = wanted.logprobs != null;
  const logprobs = new LogprobLists(tokenizer);
  if (wanted.echo === true) {
    if (hasLogprobs) {
      const topLogprobs = wanted.logprobs ?? 0;
      const scored = await engine.score(prompt.tokens, { topLogprobs, signal: visit.fork(), client: visit.owner });
      prompt.tokens.forEach((id, i) => {
        logprobs.add(id, scored.logprobs[i] ?? null, scored.top?.[i] ?? null);
      });
    }
    await tell(prompt.text, hasLogprobs ? logprobs : null);
  }
  if (events === null) return { index, prompt, result: null, logprobs };
  for (;;) {
    const next = await events.next();
    if (next.done) return { index, prompt, result: next.value, logprobs };
    if (next.value.type === 'done') continue;
    const { text, token } = next.value;
    const own = token !== null && hasLogprobs ? logprobs.addGenerated(token) : null;
    if (text !== '' || own !== null) await tell(text, own);
  }
}

/** The tokenizer's decoder, without the names of special tokens. */
function visibleText(tokenizer: Tokenizer, isWithoutSpecials: boolean): Pick<Tokenizer, 'decoder'> {
  if (!isWithoutSpecials) return tokenizer;
  return {
    decoder: (): StreamDecoder => {
      const decoder = tokenizer.decoder();
      const push = (id: number): string => (tokenizer.isSpecial(id) ? '' : decoder.push(id));
      return { push, flush: () => decoder.flush() };
    },
  };
}

function promptsOf({ prompt }: CompletionBody, tokenizer: Tokenizer, context: number): Prompt[] {
  const one = (each: string | number[]): Prompt => {
    if (typeof each === 'string') checkLength([{ role: 'user', content: each }], tokenizer, context);
    const tokens = typeof each === 'string' ? tokenizer.encode(each) : each;
    if (tokens.length === 0)
      throw invalid('the prompt is empty; expected at least one token; write something', 'prompt');
    return { tokens, text: typeof each === 'string' ? each : tokenizer.decode(tokens) };
  };
  if (typeof prompt === 'string') return [one(prompt)];
  return typeof prompt[0] === 'number' ? [one(prompt as number[])] : (prompt as (string | number[])[]).map(one);
}

function checkCombinations(wanted: CompletionBody, prompts: number): void {
  if (wanted.suffix != null && wanted.suffix !== '') {
    throw invalid('suffix is set; expected none: gpt-oss only goes on at the end; leave it out', 'suffix');
  }
  if (wanted.best_of != null && wanted.best_of !== (wanted.n ?? 1)) {
    throw invalid('best_of differs from n; expected the same: all answers are returned; leave it out', 'best_of');
  }
  if (wanted.stream_options != null && wanted.stream !== true) {
    throw invalid('stream_options is set without stream; expected both; set stream to true', 'stream_options');
  }
  if (wanted.max_tokens === 0 && wanted.echo !== true) {
    throw invalid('max_tokens is 0; expected at least 1, or echo to score the prompt; change it', 'max_tokens');
  }
  if (prompts * (wanted.n ?? 1) > MAX_SAMPLES) {
    throw invalid(`${prompts} prompts with n ask for more than ${MAX_SAMPLES} answers; expected fewer; split it`, 'n');
  }
}

/** Tokens and log-probabilities in parallel lists. */
class LogprobLists {
  readonly #tokenizer: Tokenizer;
  readonly tokens: string[] = [];
  readonly token_logprobs: (number | null)[] = [];
  readonly top_logprobs: (Record<string, number> | null)[] = [];
  readonly text_offset: number[] = [];
  #offset = 0;

  constructor(tokenizer: Tokenizer, offset = 0) {
    this.#tokenizer = tokenizer;
    this.#offset = offset;
  }

  add(id: number, logprob: number | null, top: readonly TokenLogprob[] | null): void {
    const text = this.#tokenizer.decode([id]);
    this.tokens.push(text);
    this.token_logprobs.push(finite(logprob));
    this.top_logprobs.push(
      top === null
        ? null
        : Object.fromEntries(top.map((each) => [this.#tokenizer.decode([each.id]), finite(each.logprob)!])),
    );
    this.text_offset.push(this.#offset);
    this.#offset += text.length;
  }

  /** Adds it here and returns it alone, for a chunk. */
  addGenerated({ id, logprob, top }: GeneratedToken): LogprobLists {
    const alone = new LogprobLists(this.#tokenizer, this.#offset);
    alone.add(id, logprob, top);
    this.add(id, logprob, top);
    return alone;
  }
}

/** JSON knows no infinity. */
function finite(logprob: number | null): number | null {
  return logprob === null ? null : Math.max(-9999, logprob);
}

class CompletionShape {
  readonly #head: { id: string; object: string; created: number; model: string };
  readonly #wanted: CompletionBody;

  constructor(model: string, wanted: CompletionBody) {
    this.#head = { id: newId('cmpl'), object: 'text_completion', created: Math.floor(Date.now() / 1000), model };
    this.#wanted = wanted;
  }

  whole(choices: readonly Choice[]): unknown {
    const { echo, logprobs, return_token_ids: hasIds } = this.#wanted;
    return {
      ...this.#head,
      choices: choices.map((choice) => ({
        index: choice.index,
        text: (echo === true ? choice.prompt.text : '') + (choice.result?.text ?? ''),
        logprobs: logprobs == null ? null : choice.logprobs,
        finish_reason: finishOf(choice),
        ...(hasIds === true ? { token_ids: choice.result?.tokens ?? [], prompt_token_ids: choice.prompt.tokens } : {}),
      })),
      usage: usageOf(choices),
    };
  }

  chunk(index: number, text: string, logprobs: LogprobLists | null, finish: string | null): unknown {
    const choices = [{ index, text, logprobs, finish_reason: finish }];
    const usage = this.#wanted.stream_options?.include_usage === true ? { usage: null } : {};
    return { ...this.#head, choices, ...usage };
  }

  usage(choices: readonly Choice[]): unknown {
    return { ...this.#head, choices: [], usage: usageOf(choices) };
  }
}

function finishOf({ result }: Choice): string {
  return result === null || result.finishReason === 'length' ? 'length' : 'stop';
}

function usageOf(choices: readonly Choice[]): unknown {
  const prompts = new Map(choices.map((choice) => [choice.prompt, choice]));
  let prompt = 0;
  let cached = 0;
  for (const { prompt: each, result } of prompts.values()) {
    prompt += each.tokens.length;
    cached += result?.usage.cachedTokens ?? 0;
  }
  const completion = choices.reduce((sum, { result }) => sum + (result?.usage.completionTokens ?? 0), 0);
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    prompt_tokens_details: { cached_tokens: cached },
  };
}
