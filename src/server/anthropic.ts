// Owns: /v1/messages and /v1/messages/count_tokens: Anthropic's dialect. Thinking is shown when it was asked for; where it
// was not, it is kept here and found again by the ids of tool calls. `output_config.effort` sets the reasoning level, else
// the thinking budget does. Refuses: images and documents, and a last message of the assistant to be continued.
// Next: anthropic-events.ts (what goes out), generation.ts.

import { z } from '@hono/zod-openapi';
import type { ToolChoice } from '../agent/steering.ts';
import type { ReasoningEffort } from '../text/harmony/messages.ts';
import { type AnswerFormat, answerFormat, constraintFields, jsonSchema, ofSchema } from './answer-formats.ts';
import { AnthropicTeller } from './anthropic-events.ts';
import { checked, quote } from './body.ts';
import { told } from './chat-completions.ts';
import type { Said } from './dialogue.ts';
import type { AnswerRequest, OfferedFunction } from './generation.ts';
import { effortOf, effortSchema, modelNameOf, textOf } from './request-parts.ts';
import { type Serving, streamed, type Visit } from './serving.ts';
import type { TurnCall } from './turn-memory.ts';
import { invalid, sse } from './wire.ts';

const partSchema = z.looseObject({
  type: z.string().max(128),
  text: z.string().nullish(),
  thinking: z.string().nullish(),
  id: z.string().max(256).nullish(),
  name: z.string().max(128).nullish(),
  input: z.unknown().optional(),
  tool_use_id: z.string().max(256).nullish(),
  content: z
    .union([z.string(), z.array(z.looseObject({ type: z.string().max(128), text: z.string().nullish() }))])
    .nullish(),
});

const textPartsSchema = z.union([
  z.string(),
  z.array(z.looseObject({ type: z.string().max(128), text: z.string().nullish() })),
]);

const thinkingSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('enabled'), budget_tokens: z.int().min(1), display: z.string().nullish() }),
  z.object({ type: z.literal('adaptive'), display: z.string().nullish() }),
  z.object({ type: z.literal('disabled') }),
]);

const formatSchema = z.object({ type: z.literal('json_schema'), schema: jsonSchema }).nullish();

const commonFields = {
  model: z.string().max(512).nullish(),
  messages: z
    .array(
      z.object({ role: z.enum(['user', 'assistant', 'system']), content: z.union([z.string(), z.array(partSchema)]) }),
    )
    .min(1)
    .max(100_000),
  system: textPartsSchema.nullish(),
  tools: z
    .array(
      z.looseObject({
        type: z.string().max(128).nullish(),
        name: z.string().max(128).nullish(),
        description: z.string().nullish(),
        input_schema: jsonSchema.nullish(),
        strict: z.boolean().nullish(),
      }),
    )
    .nullish(),
  tool_choice: z
    .object({ type: z.enum(['auto', 'any', 'tool', 'none']), name: z.string().max(128).nullish() })
    .nullish(),
  thinking: thinkingSchema.nullish(),
  output_config: z
    .object({
      effort: effortSchema.nullish(),
      format: formatSchema,
    })
    .nullish(),
  output_format: formatSchema.openapi({ description: 'The name of output_config.format while it was a beta.' }),
  ...constraintFields,
  reasoning_effort: effortSchema.nullish(),
};

export const countSchema = z.object(commonFields).openapi('CountTokensRequest');

export const messagesSchema = z
  .object({
    ...commonFields,
    max_tokens: z.int().min(1),
    stop_sequences: z.array(z.string().min(1).max(1000)).max(64).nullish(),
    stream: z.boolean().nullish(),
    temperature: z.number().min(0).max(2).nullish(),
    top_p: z.number().min(0).max(1).nullish(),
    top_k: z.int().min(0).max(1_000_000).nullish(),
    seed: z.int().nullish(),
  })
  .openapi('MessagesRequest');

type Common = z.infer<typeof countSchema>;
type MessagesBody = z.infer<typeof messagesSchema>;

export async function messages(serving: Serving, visit: Visit, body: unknown): Promise<Response> {
  const wanted = checked(messagesSchema, body);
  const { functions, skipped } = toolsOf(wanted.tools ?? []);
  const started = (await serving.answerer.ready(requestOf(wanted, functions, visit))).start();
  const teller = new AnthropicTeller({
    model: modelNameOf(serving, wanted.model),
    promptTokens: started.promptTokens,
    context: serving.model.engine.context,
    showsThinking: showsThinking(wanted),
  });
  let response: Response;
  if (wanted.stream === true) {
    response = streamed(serving, visit, 'anthropic', async (stream) => {
      for (const event of teller.begin()) await stream.write(sse(event, event.type));
      await told(started, async (event) => {
        for (const each of teller.tell(event)) await stream.write(sse(each, each.type));
      });
    });
  } else {
    await told(started, async (event) => {
      for (const _ of teller.tell(event)); // fills the message
    });
    response = Response.json(teller.message());
  }
  if (skipped.length > 0) response.headers.set('x-gptoss-skipped-tools', skipped.join(', '));
  return response;
}

export function countTokens(serving: Serving, visit: Visit, body: unknown): Response {
  const wanted = checked(countSchema, body);
  const { functions } = toolsOf(wanted.tools ?? []);
  const { said, effort, format } = commonOf(wanted);
  const prompt = serving.answerer.prompt({ said, functions, effort, format, owner: visit.owner });
  return Response.json({ input_tokens: prompt.length });
}

function requestOf(wanted: MessagesBody, functions: readonly OfferedFunction[], visit: Visit): AnswerRequest {
  const { thinking, temperature, top_p: topP, top_k: topK, seed } = wanted;
  if (wanted.messages.at(-1)!.role === 'assistant') {
    const found = "the last message is the assistant's";
    throw invalid(
      `${found}; expected the user's or a tool result: answers are not continued; leave it out`,
      'messages',
    );
  }
  return {
    ...commonOf(wanted),
    functions,
    toolChoice: choiceOf(wanted.tool_choice),
    sampling: {
      temperature: temperature ?? undefined,
      topP: topP ?? undefined,
      topK: topK ?? undefined,
      seed: seed ?? undefined,
    },
    stop: wanted.stop_sequences ?? [],
    maxTokens: wanted.max_tokens,
    ...(thinking?.type === 'enabled' ? { reasoningBudget: thinking.budget_tokens } : {}),
    id: visit.id,
    owner: visit.owner,
    signal: visit.signal,
  };
}

function commonOf(wanted: Common): Pick<AnswerRequest, 'said' | 'format'> & { effort?: ReasoningEffort } {
  const system = textOf(wanted.system, 'system');
  const effort = effortOfThinking(wanted);
  const format = answerFormat(wanted, formatOf(wanted));
  return {
    said: [
      ...(system === '' ? [] : [{ role: 'instructions', text: system } as const]),
      ...wanted.messages.flatMap((message, i) => saidOf(message, `messages[${i}]`)),
    ],
    format,
    ...(effort === undefined ? {} : { effort }),
  };
}

function formatOf({ output_config, output_format }: Common): AnswerFormat | null {
  if (output_config?.format != null) return ofSchema(output_config.format.schema, 'output_config.format');
  return output_format == null ? null : ofSchema(output_format.schema, 'output_format');
}

/** A budget says in tokens what gpt-oss knows as three levels. */
function effortOfThinking({ output_config, reasoning_effort, thinking }: Common): ReasoningEffort | undefined {
  const named = effortOf(output_config?.effort ?? reasoning_effort);
  if (named !== undefined || thinking == null) return named;
  if (thinking.type === 'disabled') return 'low';
  if (thinking.type === 'adaptive') return undefined;
  return thinking.budget_tokens < 4096 ? 'low' : thinking.budget_tokens < 16_384 ? 'medium' : 'high';
}

function showsThinking({ thinking }: Common): boolean {
  return (thinking?.type === 'enabled' || thinking?.type === 'adaptive') && thinking.display !== 'omitted';
}

function saidOf({ role, content }: Common['messages'][number], path: string): Said[] {
  const parts = typeof content === 'string' ? [{ type: 'text', text: content }] : content;
  return role === 'assistant' ? [assistantOf(parts, path)] : othersOf(parts, role, path);
}

function assistantOf(parts: readonly z.infer<typeof partSchema>[], path: string): Said {
  const reasoning: string[] = [];
  const texts: string[] = [];
  const calls: TurnCall[] = [];
  for (const [i, part] of parts.entries()) {
    if (part.type === 'thinking') reasoning.push(part.thinking ?? '');
    else if (part.type === 'tool_use') {
      if (part.id == null || part.name == null || part.name === '') {
        throw invalid(`${path}.content[${i}] lacks id or name; expected both; add them`, `${path}.content[${i}]`);
      }
      calls.push({ id: part.id, name: part.name, arguments: JSON.stringify(part.input ?? {}) });
    } else if (!isForeign(part.type)) texts.push(textOf([part], `${path}.content`));
  }
  const said = (list: readonly string[]): string => list.filter((text) => text !== '').join('\n\n');
  return { role: 'assistant', text: said(texts), reasoning: said(reasoning), calls };
}

function othersOf(parts: readonly z.infer<typeof partSchema>[], role: 'user' | 'system', path: string): Said[] {
  const said: Said[] = [];
  let texts: string[] = [];
  const close = (): void => {
    if (texts.length > 0) said.push({ role: role === 'user' ? 'user' : 'instructions', text: texts.join('\n') });
    texts = [];
  };
  for (const [i, part] of parts.entries()) {
    if (part.type === 'tool_result' && role === 'user') {
      close();
      if (part.tool_use_id == null) {
        throw invalid(`${path}.content[${i}].tool_use_id is missing; expected the call's id; add it`, path);
      }
      said.push({
        role: 'tool',
        callId: part.tool_use_id,
        text: textOf(part.content, `${path}.content[${i}].content`),
      });
    } else if (!isForeign(part.type)) texts.push(textOf([part], `${path}.content`));
  }
  close();
  return said;
}

/** Parts of tools that only Anthropic runs, and thinking that only it can read. */
function isForeign(type: string): boolean {
  return type === 'redacted_thinking' || type.startsWith('server_tool_use') || /_tool_result$/.test(type);
}

function toolsOf(tools: NonNullable<Common['tools']>): { functions: OfferedFunction[]; skipped: string[] } {
  const functions: OfferedFunction[] = [];
  const skipped: string[] = [];
  for (const [i, tool] of tools.entries()) {
    if (tool.type != null && tool.type !== 'custom') {
      skipped.push(tool.type.replace(/[^\w.-]/g, '').slice(0, 40));
      continue;
    }
    if (tool.name == null || tool.name === '') {
      throw invalid(`tools[${i}].name is missing; expected 1 to 128 characters; add it`, `tools[${i}].name`);
    }
    const { name, description, input_schema: schema, strict } = tool;
    functions.push({
      name,
      ...(description == null ? {} : { description }),
      ...(schema == null || schema === true ? {} : { parameters: schema }),
      strict: strict ?? false,
    });
  }
  return { functions, skipped: skipped.slice(0, 20) };
}

function choiceOf(choice: Common['tool_choice']): ToolChoice {
  switch (choice?.type) {
    case 'none':
      return { mode: 'none' };
    case 'any':
      return { mode: 'required' };
    case 'tool':
      if (choice.name == null) {
        throw invalid(`tool_choice.name is ${quote('missing')}; expected a tool; add it`, 'tool_choice.name');
      }
      return { mode: 'required', only: [choice.name] };
    default:
      return { mode: 'auto' };
  }
}
