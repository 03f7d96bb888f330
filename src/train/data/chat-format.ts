// OpenAI's chat format (messages with tool_calls, tools beside them) as harmony messages, for training data. `thinking`,
// `reasoning` and `reasoning_content` become analysis. Throws `invalid-request` with the field that is wrong.
// The server's reader of requests is another matter: it accepts what clients send, this one what a file should hold.

import { GptOssError } from '../../errors.ts';
import {
  type FunctionDefinition,
  type Message,
  type ReasoningEffort,
  reasoningEfforts,
} from '../../text/harmony/messages.ts';

type Json = Readonly<Record<string, unknown>>;

export function messagesOfChat(list: readonly Json[], around: Json): Message[] {
  const out: Message[] = [];
  const instructions: string[] = [];
  let effort: ReasoningEffort | undefined;
  const wanted = around['reasoning_effort'];
  if (wanted !== undefined) {
    effort = reasoningEfforts.find((known) => known === wanted);
    if (effort === undefined) throw wrong('reasoning_effort', reasoningEfforts.join(', '));
  }
  const functions = toolsOf(around['tools']);
  const callNames = new Map<string, string>();
  for (const [i, message] of list.entries()) {
    const at = `message ${i + 1}`;
    const role = message['role'];
    const text = textOf(message['content'], at);
    if (role === 'system' || role === 'developer') {
      if (text !== '') instructions.push(text);
    } else if (role === 'user') out.push({ role, content: text });
    else if (role === 'tool') out.push(resultOf(message, text, callNames, at));
    else assistantMessages(message, text, callNames, at, out);
  }
  const developer =
    instructions.length > 0 || functions.length > 0
      ? [
          {
            role: 'developer',
            content: [
              {
                type: 'developer',
                instructions: instructions.length > 0 ? instructions.join('\n\n') : null,
                functions,
              },
            ],
          } as const,
        ]
      : [];
  return [
    { role: 'system', content: [{ type: 'system', ...(effort === undefined ? {} : { effort }) }] },
    ...developer,
    ...out,
  ];
}

function assistantMessages(
  message: Json,
  text: string,
  callNames: Map<string, string>,
  at: string,
  out: Message[],
): void {
  const thinking = message['thinking'] ?? message['reasoning'] ?? message['reasoning_content'];
  if (thinking !== undefined && thinking !== null) {
    if (typeof thinking !== 'string') throw wrong(`the thinking of ${at}`, 'text');
    if (thinking !== '') out.push({ role: 'assistant', channel: 'analysis', content: thinking });
  }
  const calls = message['tool_calls'] ?? [];
  if (!Array.isArray(calls)) throw wrong(`tool_calls of ${at}`, 'a list');
  if (text !== '') out.push({ role: 'assistant', channel: calls.length > 0 ? 'commentary' : 'final', content: text });
  if (calls.length > 1) throw wrong(`tool_calls of ${at}`, 'one call a message: this format has no parallel calls');
  for (const call of calls as Json[]) {
    const called = call?.['function'] as Json | undefined;
    const [name, given] = [called?.['name'], called?.['arguments']];
    if (typeof name !== 'string' || name === '') throw wrong(`the call in ${at}`, 'function.name');
    const content = typeof given === 'string' ? given : JSON.stringify(given ?? {});
    if (typeof call['id'] === 'string') callNames.set(call['id'], name);
    callNames.set('', name);
    out.push({
      role: 'assistant',
      channel: 'commentary',
      recipient: `functions.${name}`,
      contentType: '<|constrain|>json',
      content,
    });
  }
  if (text === '' && calls.length === 0) throw wrong(`content of ${at}`, 'text or tool_calls');
}

function resultOf(message: Json, content: string, callNames: ReadonlyMap<string, string>, at: string): Message {
  const id = message['tool_call_id'];
  const name = message['name'] ?? callNames.get(typeof id === 'string' ? id : '');
  if (typeof name !== 'string') throw wrong(`tool_call_id of ${at}`, 'the id of an earlier call');
  return {
    role: 'tool',
    name: name.startsWith('functions.') ? name : `functions.${name}`,
    recipient: 'assistant',
    channel: 'commentary',
    content,
  };
}

function toolsOf(tools: unknown): FunctionDefinition[] {
  if (tools === undefined || tools === null) return [];
  if (!Array.isArray(tools)) throw wrong('tools', 'a list');
  return tools.map((tool: Json, i) => {
    const definition = (tool?.['function'] ?? tool) as Json | undefined;
    const name = definition?.['name'];
    if (typeof name !== 'string' || name === '') throw wrong(`tool ${i + 1}`, 'function.name');
    const description = definition?.['description'];
    return {
      name,
      ...(typeof description === 'string' ? { description } : {}),
      parameters: definition?.['parameters'],
    };
  });
}

function textOf(content: unknown, at: string): string {
  if (content === undefined || content === null) return '';
  if (typeof content === 'string') return content;
  if (Array.isArray(content)) {
    return content
      .map((part: Json) => {
        if (part?.['type'] !== 'text' || typeof part['text'] !== 'string') throw wrong(`content of ${at}`, 'text only');
        return part['text'];
      })
      .join('');
  }
  throw wrong(`content of ${at}`, 'text');
}

function wrong(what: string, expected: string): GptOssError {
  return new GptOssError('invalid-request', `${what} is wrong; expected ${expected}; correct the line`);
}
