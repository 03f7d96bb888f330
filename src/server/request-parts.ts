// Parts of requests that several dialects share: schemas of sampling parameters, tools and effort, and their way into an
// `AnswerRequest`. One rule for each notion, so that dialects cannot drift apart.
// Rule for tools of other types than `function` (web_search, image_generation, mcp, computer use, …): this server has
// nothing to run them with, so they are left out of the prompt and named in the `x-gptoss-skipped-tools` header; a request
// that demands one of them by `tool_choice` is refused. Next: chat-completions.ts.

import { z } from '@hono/zod-openapi';
import type { SamplingOptions } from '../engine/sampling.ts';
import type { ReasoningEffort } from '../text/harmony/messages.ts';
import { jsonSchema } from './answer-formats.ts';
import { quote } from './body.ts';
import type { OfferedFunction } from './generation.ts';
import type { Serving } from './serving.ts';
import { invalid } from './wire.ts';

/** Efforts of all dialects; the model knows three. */
export const effortSchema = z.enum(['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max']).openapi({
  description: 'none and minimal count as low, xhigh and max as high: gpt-oss knows three levels.',
});

export function effortOf(word: z.infer<typeof effortSchema> | null | undefined): ReasoningEffort | undefined {
  switch (word) {
    case 'none':
    case 'minimal':
    case 'low':
      return 'low';
    case 'medium':
      return 'medium';
    case 'high':
    case 'xhigh':
    case 'max':
      return 'high';
    default:
      return undefined;
  }
}

export const MAX_SAMPLES = 128;

export const samplingFields = {
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  top_k: z.int().min(-1).max(1_000_000).nullish(), // -1: off, as in vLLM
  min_p: z.number().min(0).max(1).nullish(),
  seed: z.int().nullish(),
  frequency_penalty: z.number().min(-2).max(2).nullish(),
  presence_penalty: z.number().min(-2).max(2).nullish(),
  repetition_penalty: z.number().min(0.01).max(100).nullish(),
  logit_bias: z.record(z.string().regex(/^\d{1,9}$/), z.number().min(-100).max(100)).nullish(),
};

/** Fields of our own, for clients that send their whole conversation each time: which one it is. The tools that run here keep
 *  their state (variables, pages) from answer to answer of one key; nobody else's key finds it. */
export const sessionFields = { conversation_key: z.string().min(1).max(256).nullish() };

export function sessionKeys({ conversation_key: key }: { readonly conversation_key?: string | null }): string[] {
  return key == null ? [] : [`key:${key}`];
}

export const stopSchema = z
  .union([z.string().min(1).max(1000), z.array(z.string().min(1).max(1000)).max(64)])
  .nullish();

interface SamplingFields {
  readonly temperature?: number | null;
  readonly top_p?: number | null;
  readonly top_k?: number | null;
  readonly min_p?: number | null;
  readonly seed?: number | null;
  readonly frequency_penalty?: number | null;
  readonly presence_penalty?: number | null;
  readonly repetition_penalty?: number | null;
  readonly logit_bias?: Readonly<Record<string, number>> | null;
}

const MAX_BIASES = 4096;

export function samplingOf(fields: SamplingFields, vocab: number): SamplingOptions {
  const biases = Object.entries(fields.logit_bias ?? {}).map(([id, bias]) => [Number(id), bias] as const);
  const outside = biases.find(([id]) => id >= vocab);
  if (outside !== undefined) {
    const found = `logit_bias names token ${outside[0]}`;
    throw invalid(`${found}; expected ids below ${vocab}; use this model's token ids`, 'logit_bias');
  }
  if (biases.length > MAX_BIASES) {
    throw invalid(`logit_bias has ${biases.length} entries; expected at most ${MAX_BIASES}; give fewer`, 'logit_bias');
  }
  return {
    temperature: fields.temperature ?? undefined,
    topP: fields.top_p ?? undefined,
    topK: fields.top_k == null ? undefined : Math.max(0, fields.top_k),
    minP: fields.min_p ?? undefined,
    seed: fields.seed ?? undefined,
    frequencyPenalty: fields.frequency_penalty ?? undefined,
    presencePenalty: fields.presence_penalty ?? undefined,
    repetitionPenalty: fields.repetition_penalty ?? undefined,
    ...(biases.length === 0 ? {} : { logitBias: new Map(biases) }),
  };
}

export function stopsOf(stop: string | readonly string[] | null | undefined): readonly string[] {
  if (stop === null || stop === undefined) return [];
  return typeof stop === 'string' ? [stop] : stop;
}

export const functionSchema = z.object({
  name: z.string().min(1).max(128),
  description: z.string().nullish(),
  parameters: jsonSchema.nullish(),
  strict: z.boolean().nullish(),
});

export function functionOf(definition: z.infer<typeof functionSchema>): OfferedFunction {
  const { name, description, parameters, strict } = definition;
  return {
    name,
    ...(description == null ? {} : { description }),
    ...(parameters == null || parameters === true ? {} : { parameters }),
    strict: strict ?? false,
  };
}

/** The name under which the answer is given; throws for a model that is not here when names are taken strictly. */
export function modelNameOf(serving: Serving, asked: string | null | undefined): string {
  const [own] = serving.names;
  if (asked == null || !serving.isStrict || isNameOf(serving, asked)) return own!;
  throw notHere(serving, asked);
}

export function isNameOf(serving: Serving, asked: string): boolean {
  return serving.names.some((name) => name === asked || `${name}:latest` === asked || name === `${asked}:latest`);
}

export function notHere(serving: Serving, asked: string): Error {
  const known = serving.names.join(', ');
  const error = invalid(
    `the model ${quote(JSON.stringify(asked))} is not here; expected ${known}; choose one`,
    'model',
  );
  return Object.assign(error, { details: { ...error.details, refusal: 'no-route', code: 'model_not_found' } });
}

/** Text of content that may come in parts; anything but text is refused by name. */
export function textOf(
  content: string | readonly { readonly type: string; readonly text?: string | null }[] | null | undefined,
  path: string,
): string {
  if (content === null || content === undefined) return '';
  if (typeof content === 'string') return content;
  return content
    .map((part, i) => {
      if (typeof part.text === 'string' && textTypes.has(part.type)) return part.text;
      const found = `${path}[${i}] is of type ${quote(JSON.stringify(part.type))}`;
      throw invalid(`${found}; expected text: gpt-oss reads and writes text only; leave it out`, `${path}[${i}].type`);
    })
    .join('\n');
}

const textTypes = new Set(['text', 'input_text', 'output_text', 'summary_text', 'reasoning_text', 'refusal']);
