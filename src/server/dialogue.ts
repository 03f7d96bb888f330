// Owns: a conversation as every dialect of HTTP says it, and its way into harmony: where instructions stand, what becomes
// of tool names, which call a result answers, and which turns are replayed with the ids they were generated with.
// Text of users and tools stays text: it is encoded as such, whatever it spells. Refuses: images, audio and files (the
// dialects say so). Next: generation.ts.

import type { DeveloperContent, FunctionDefinition, Message, ResponseFormat } from '../text/harmony/messages.ts';
import type { ToolNames } from '../text/harmony/tool-calls.ts';
import type { TurnCall, TurnMemory } from './turn-memory.ts';
import { invalid } from './wire.ts';

export type Said =
  | { readonly role: 'instructions'; readonly text: string }
  | { readonly role: 'user'; readonly text: string }
  | {
      readonly role: 'assistant';
      /** What it showed: text, or with calls what it said before them. */
      readonly text: string;
      readonly reasoning: string;
      readonly calls: readonly TurnCall[];
    }
  /** `callId` null: the result of the oldest call without one (of that name, if it is given). */
  | { readonly role: 'tool'; readonly callId: string | null; readonly name?: string; readonly text: string }
  /** A stored turn, replayed as it was generated. */
  | { readonly role: 'kept'; readonly history: readonly Message[]; readonly calls: readonly TurnCall[] };

export interface Dialogue {
  readonly said: readonly Said[];
  /** As they are called in the prompt. */
  readonly functions: readonly FunctionDefinition[];
  readonly names: ToolNames;
  readonly formats: readonly ResponseFormat[];
  readonly owner: string;
}

interface OpenCall {
  readonly id: string;
  readonly name: string;
}

/** The messages after the system message. */
export function harmonyMessages({ said, functions, names, formats, owner }: Dialogue, memory: TurnMemory): Message[] {
  const isLater = said.findIndex(({ role }) => role !== 'instructions');
  const opening = said.slice(0, isLater < 0 ? said.length : isLater);
  const instructions = opening.map((part) => ('text' in part ? part.text : '')).filter((text) => text !== '');
  const messages: Message[] = [];
  if (instructions.length > 0 || functions.length > 0 || formats.length > 0) {
    const developer: DeveloperContent = {
      type: 'developer',
      instructions: instructions.length > 0 ? instructions.join('\n\n') : null,
      functions,
      ...(formats.length > 0 ? { responseFormats: formats } : {}),
    };
    messages.push({ role: 'developer', content: [developer] });
  }
  const open: OpenCall[] = []; // calls without a result
  for (let i = opening.length; i < said.length; i++) {
    const part = said[i]!;
    switch (part.role) {
      case 'instructions':
        messages.push({ role: 'developer', content: [{ type: 'developer', instructions: part.text }] });
        break;
      case 'user':
        messages.push({ role: 'user', content: part.text });
        break;
      case 'kept':
        messages.push(...part.history);
        open.push(...part.calls);
        break;
      case 'assistant': {
        open.push(...part.calls);
        messages.push(...(memory.recall(owner, part) ?? spoken(part, names)));
        if (part.calls.length < 2) break;
        // The model calls one tool at a time, so several calls at once are told one after another with their results.
        const results: Extract<Said, { role: 'tool' }>[] = [];
        for (let next = said[i + 1]; next?.role === 'tool'; next = said[i + 1]) {
          results.push(next);
          i++;
        }
        messages.push(...callsWithResults(part.calls, results, open, names, messages.splice(-part.calls.length)));
        break;
      }
      case 'tool':
        messages.push(result(part, answered(part, open), names));
    }
  }
  return messages;
}

/** A turn of the assistant that was not generated here, or is not remembered. */
function spoken({ text, reasoning, calls }: Extract<Said, { role: 'assistant' }>, names: ToolNames): Message[] {
  const messages: Message[] = [];
  const say = (channel: string, content: string): void => {
    if (content !== '') messages.push({ role: 'assistant', channel, content });
  };
  say('analysis', reasoning);
  say(calls.length > 0 ? 'commentary' : 'final', text);
  for (const call of calls) messages.push(callMessage(call, names));
  return messages;
}

function callMessage(call: TurnCall, names: ToolNames): Message {
  return {
    role: 'assistant',
    recipient: `functions.${names.toModel(call.name)}`,
    channel: 'commentary',
    contentType: '<|constrain|>json',
    content: call.arguments,
  };
}

function callsWithResults(
  calls: readonly TurnCall[],
  results: readonly Extract<Said, { role: 'tool' }>[],
  open: OpenCall[],
  names: ToolNames,
  callMessages: readonly Message[],
): Message[] {
  const told = results.map((part) => ({ call: answered(part, open), part }));
  const messages: Message[] = [];
  calls.forEach(({ id }, i) => {
    messages.push(callMessages[i]!);
    const at = told.findIndex(({ call }) => call.id === id);
    if (at < 0) return;
    const [{ call, part }] = told.splice(at, 1) as [(typeof told)[number]];
    messages.push(result(part, call, names));
  });
  for (const { call, part } of told) messages.push(result(part, call, names));
  return messages;
}

/** The call that a result belongs to: the latest with its id, or the first that waits. */
function answered(part: Extract<Said, { role: 'tool' }>, open: OpenCall[]): OpenCall {
  const { callId, name } = part;
  const at =
    callId !== null
      ? open.findLastIndex((call) => call.id === callId)
      : open.findIndex((call) => name === undefined || call.name === name);
  if (at >= 0) return open.splice(at, 1)[0]!;
  if (callId === null && name !== undefined) return { id: '', name };
  const which = callId === null ? 'a tool result' : `the tool result for ${JSON.stringify(callId.slice(0, 80))}`;
  throw invalid(`${which} answers no call; expected the call before its one result; send the whole conversation`);
}

function result(part: Extract<Said, { role: 'tool' }>, call: OpenCall, names: ToolNames): Message {
  const name = `functions.${names.toModel(call.name)}`;
  return { role: 'tool', name, recipient: 'assistant', channel: 'commentary', content: part.text };
}
