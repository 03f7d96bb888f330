// The two dialects of OpenAI's interface in which a question can be put: chat completions and responses. Pure: messages to
// bodies, answers to steps. Next: http-answerer.ts.

import type { FunctionDefinition, Message, ReasoningEffort } from '../text/harmony/messages.ts';
import { countOf, type Loose, list, textOf } from './http.ts';

export type ChatPart = Readonly<Record<string, unknown>>;

export interface HttpCall {
  readonly id: string;
  readonly name: string;
  readonly arguments: string;
}

export interface BodyOptions {
  readonly messages: readonly Message[];
  readonly temperature: number | null;
  readonly seed: number | null;
  readonly maxTokens: number | null;
  /** `max_tokens`, which most servers know, for `max_completion_tokens`. */
  readonly usesOldName: boolean;
  readonly level: ReasoningEffort | null;
}

export interface Dialect {
  readonly path: string;
  history(messages: readonly Message[]): ChatPart[];
  body(model: string, history: readonly ChatPart[], options: BodyOptions): object;
  /** Null: not an answer of this dialect. */
  read(json: Loose): {
    readonly text: string;
    readonly reasoning: string;
    readonly calls: readonly HttpCall[];
    readonly isCut: boolean;
    readonly usage: { promptTokens: number; completionTokens: number; reasoningTokens: number | null };
  } | null;
  /** What to append: the answer's calls, and what they gave. */
  results(json: Loose, calls: readonly HttpCall[], outputs: readonly string[]): ChatPart[];
}

const given = (fields: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null && value !== undefined));

/** Every declared function of a conversation. */
function functionsOf(messages: readonly Message[]): FunctionDefinition[] {
  return messages.flatMap(({ content }) =>
    typeof content === 'string'
      ? []
      : content.flatMap((part) => (part.type === 'developer' ? (part.functions ?? []) : [])),
  );
}

function plainText({ content }: Message): string {
  if (typeof content === 'string') return content;
  return content
    .map((part) => (part.type === 'text' ? part.text : part.type === 'developer' ? (part.instructions ?? '') : ''))
    .join('');
}

const callName = (recipient: string): string => recipient.replace(/^functions\./, '');
const parametersOf = ({ parameters }: FunctionDefinition): unknown => parameters ?? { type: 'object', properties: {} };

const chat: Dialect = {
  path: '/chat/completions',
  history(messages) {
    const out: ChatPart[] = [];
    let calls = 0;
    for (const message of messages) {
      const { role, recipient, channel } = message;
      const content = plainText(message);
      if (role === 'tool') out.push({ role, tool_call_id: `call_${calls}`, content });
      else if (role === 'assistant' && recipient !== undefined) {
        const id = `call_${++calls}`;
        const call = { id, type: 'function', function: { name: callName(recipient), arguments: content } };
        out.push({ role, content: null, tool_calls: [call] });
      } else if (role === 'assistant' && channel === 'analysis') continue;
      else if (content !== '') out.push({ role: role === 'developer' ? 'system' : role, content });
    }
    return out;
  },
  body(model, history, { messages, temperature, seed, maxTokens, usesOldName, level }) {
    const tools = functionsOf(messages).map((definition) => ({
      type: 'function',
      function: given({
        name: definition.name,
        description: definition.description,
        parameters: parametersOf(definition),
      }),
    }));
    return {
      ...{ model, messages: history },
      ...given({ temperature, seed, reasoning_effort: level }),
      ...given({ [usesOldName ? 'max_tokens' : 'max_completion_tokens']: maxTokens }),
      ...(tools.length > 0 ? { tools } : {}),
    };
  },
  read(json) {
    const choice = list(json['choices'])[0];
    const message = choice?.['message'];
    if (message === undefined || message === null) return null;
    const usage = json['usage'];
    return {
      text: textOf(message['content']),
      reasoning: textOf(message['reasoning_content']) || textOf(message['reasoning']),
      calls: list(message['tool_calls']).map((call, i) => ({
        id: textOf(call['id']) || `call_${i}`,
        name: textOf(call['function']?.['name']),
        arguments: textOf(call['function']?.['arguments']),
      })),
      isCut: textOf(choice!['finish_reason']) === 'length',
      usage: {
        promptTokens: countOf(usage?.['prompt_tokens']) ?? 0,
        completionTokens: countOf(usage?.['completion_tokens']) ?? 0,
        reasoningTokens: countOf(usage?.['completion_tokens_details']?.['reasoning_tokens']),
      },
    };
  },
  results(json, calls, outputs) {
    const message = list(json['choices'])[0]!['message']!;
    return [
      message as unknown as ChatPart,
      ...calls.map(({ id }, i) => ({ role: 'tool', tool_call_id: id, content: outputs[i] })),
    ];
  },
};

const responses: Dialect = {
  path: '/responses',
  history(messages) {
    const out: ChatPart[] = [];
    let calls = 0;
    for (const message of messages) {
      const { role, recipient, channel } = message;
      const content = plainText(message);
      if (role === 'tool') out.push({ type: 'function_call_output', call_id: `call_${calls}`, output: content });
      else if (role === 'assistant' && recipient !== undefined) {
        const id = `call_${++calls}`;
        out.push({ type: 'function_call', call_id: id, name: callName(recipient), arguments: content });
      } else if (role === 'assistant' && channel === 'analysis') continue;
      else if (content !== '') out.push({ role, content });
    }
    return out;
  },
  body(model, history, { messages, temperature, maxTokens, level }) {
    const tools = functionsOf(messages).map((definition) => ({
      type: 'function',
      ...given({ name: definition.name, description: definition.description, parameters: parametersOf(definition) }),
      strict: false,
    }));
    return {
      ...{ model, input: history, store: false },
      ...given({ temperature, max_output_tokens: maxTokens, reasoning: level === null ? null : { effort: level } }),
      ...(tools.length > 0 ? { tools } : {}),
    };
  },
  read(json) {
    if (!Array.isArray(json['output'])) return null;
    const items = list(json['output']);
    const texts = (type: string, key: 'content' | 'summary'): string =>
      items
        .filter((item) => (item['type'] as unknown) === type)
        .flatMap((item) => list(item[key]).map((part) => textOf(part['text'])))
        .join('');
    const usage = json['usage'];
    return {
      text: texts('message', 'content'),
      reasoning: texts('reasoning', 'content') || texts('reasoning', 'summary'),
      calls: items
        .filter((item) => (item['type'] as unknown) === 'function_call')
        .map((item) => ({
          id: textOf(item['call_id']),
          name: textOf(item['name']),
          arguments: textOf(item['arguments']),
        })),
      isCut: textOf(json['status']) === 'incomplete',
      usage: {
        promptTokens: countOf(usage?.['input_tokens']) ?? 0,
        completionTokens: countOf(usage?.['output_tokens']) ?? 0,
        reasoningTokens: countOf(usage?.['output_tokens_details']?.['reasoning_tokens']),
      },
    };
  },
  results(json, calls, outputs) {
    return [
      ...(json['output'] as unknown as ChatPart[]),
      ...calls.map(({ id }, i) => ({ type: 'function_call_output', call_id: id, output: outputs[i] })),
    ];
  },
};

export const dialects: Readonly<Record<'chat' | 'responses', Dialect>> = { chat, responses };
