// Reads a user's training data: JSONL, one conversation a line, as harmony messages or in OpenAI's chat format. Every line
// is judged on its own; each problem names its line and its reason, and whether it makes the line unusable. Nothing is
// repaired in silence. What is good becomes examples: user-data.ts.

import { isGptOssError } from '../../errors.ts';
import { markerText } from '../../text/harmony/encoding.ts';
import { messageFromJson } from '../../text/harmony/message-json.ts';
import { type Message, roles, standardChannels } from '../../text/harmony/messages.ts';
import { messagesOfChat } from './chat-format.ts';

export type LintCode =
  | 'json' // the line is no JSON object
  | 'shape' // no list of messages, or a field of the wrong type
  | 'role'
  | 'channel'
  | 'order' // channels or roles in an order that the format does not have
  | 'terminator' // <|call|> where <|end|> belongs, or the other way round
  | 'call' // a call without result, a result without call, arguments that are no JSON
  | 'markers' // text that spells a marker
  | 'length'
  | 'empty' // nothing in it is learned
  | 'duplicate'
  | 'effort'; // says about the file as a whole

export interface LintProblem {
  readonly line: number; // from 1; 0: the file
  readonly code: LintCode;
  readonly severity: 'error' | 'warning';
  readonly message: string;
}

export interface LintedLine {
  readonly line: number;
  readonly messages: readonly Message[];
  /** For DPO: a pair of endings of the same prompt. */
  readonly rejected?: readonly Message[];
}

/** One line. Adds to `problems`; null when it cannot be used. Empty lines are skipped by the caller. */
export function lintLine(text: string, line: number, problems: LintProblem[]): LintedLine | null {
  const before = problems.length;
  const complain = (code: LintCode, message: string, severity: 'error' | 'warning' = 'error'): void => {
    problems.push({ line, code, severity, message });
  };
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    complain('json', `it is no JSON (${(error as Error).message}); expected one object a line`);
    return null;
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    complain('json', 'it is no JSON object; expected {"messages": [...]}');
    return null;
  }
  const from = json as Record<string, unknown>;
  const isPair = 'chosen' in from || 'rejected' in from;
  const read = (field: string, prefix: readonly unknown[]): Message[] | null => {
    const list = from[field];
    if (!Array.isArray(list) || list.length === 0) {
      complain(
        'shape',
        `${field} is ${list === undefined ? 'missing' : 'no list of messages'}; expected at least one message`,
      );
      return null;
    }
    return readMessages([...prefix, ...list], from, complain);
  };
  const prompt = isPair && Array.isArray(from['prompt']) ? from['prompt'] : [];
  const messages = read(isPair ? 'chosen' : 'messages', prompt);
  const rejected = isPair ? read('rejected', prompt) : undefined;
  if (messages !== null) checkConversation(messages, complain);
  if (rejected !== undefined && rejected !== null) checkConversation(rejected, complain);
  const isUsable = !problems.slice(before).some(({ severity }) => severity === 'error');
  if (!isUsable || messages === null || rejected === null) return null;
  return { line, messages, ...(rejected === undefined ? {} : { rejected }) };
}

type Complain = (code: LintCode, message: string, severity?: 'error' | 'warning') => void;

function readMessages(list: readonly unknown[], from: Record<string, unknown>, complain: Complain): Message[] | null {
  for (const [i, entry] of list.entries()) {
    const role = typeof entry === 'object' && entry !== null ? (entry as { role?: unknown }).role : undefined;
    if (typeof entry !== 'object' || entry === null || Array.isArray(entry)) {
      complain('shape', `message ${i + 1} is no object; expected {"role": …, "content": …}`);
      return null;
    }
    if (typeof role !== 'string' || !roles.some((known) => known === role)) {
      complain('role', `message ${i + 1} has the role ${JSON.stringify(role)}; expected ${roles.join(', ')}`);
      return null;
    }
  }
  try {
    return isChatFormat(list as Record<string, unknown>[])
      ? messagesOfChat(list as Record<string, unknown>[], from)
      : list.map((entry) => messageFromJson(entry));
  } catch (error) {
    if (!isGptOssError(error)) throw error;
    complain('shape', error.message);
    return null;
  }
}

/** OpenAI's format: no assistant message says a channel or recipient. */
function isChatFormat(list: readonly Record<string, unknown>[]): boolean {
  return !list.some(({ channel, recipient, content }) => {
    const parts = Array.isArray(content) ? (content as { type?: unknown }[]) : [];
    return channel !== undefined || recipient !== undefined || parts.some(({ type }) => /_content$/.test(String(type)));
  });
}

/** A marker's text in a message stays text, so it is almost always a template that was applied twice. */
const MARKERS = new RegExp(
  Object.values(markerText)
    .map((text) => text.replaceAll('|', '\\|'))
    .join('|'),
);

function checkConversation(messages: readonly Message[], complain: Complain): void {
  let open: string | null = null; // tool that was called and has not answered
  let spoken = false;
  let final = false; // the turn has its final message
  for (const [i, message] of messages.entries()) {
    const at = `message ${i + 1}`;
    const { role, channel, recipient, content } = message;
    if (message.name !== undefined && role !== 'tool' && MARKERS.test(message.name))
      complain('markers', `the name of ${at} holds a marker`);
    checkText(at, message, complain);
    if (role === 'system' && i > 0) complain('order', `${at} is a system message; expected it first only`);
    if (role === 'user') {
      if (open !== null) complain('call', `${at} comes while ${open} has not answered; expected its result first`);
      [open, final] = [null, false];
    }
    if (role === 'tool') {
      if (open === null)
        complain('call', `${at} is the result of a tool that was not called; expected a call before it`);
      else if (message.name !== open)
        complain('call', `${at} answers for ${message.name}; expected ${open}, which was called`);
      open = null;
    }
    if (role !== 'assistant') continue;
    spoken = true;
    if (open !== null)
      complain(
        'terminator',
        `${at} goes on after a call; a call ends the turn with <|call|>, and its result has to follow`,
      );
    if (channel === undefined) complain('channel', `${at} has no channel; expected ${standardChannels.join(', ')}`);
    else if (!standardChannels.includes(channel))
      complain('channel', `${at} is on channel ${JSON.stringify(channel)}; expected ${standardChannels.join(', ')}`);
    if (recipient !== undefined) {
      if (channel === 'final')
        complain(
          'terminator',
          `${at} calls ${recipient} on the final channel; a final message ends with <|end|>, a call belongs to commentary`,
        );
      if (channel === 'analysis' && recipient.startsWith('functions.'))
        complain('channel', `${at} calls ${recipient} on analysis; calls of functions go to commentary`, 'warning');
      if (recipient.startsWith('functions.') && typeof content === 'string' && !isJson(content))
        complain('call', `the arguments in ${at} are no JSON`);
      open = recipient;
    } else if (/^to=/.test(typeof content === 'string' ? content : '')) {
      complain(
        'terminator',
        `${at} writes its recipient in the text; expected the field "recipient", so that it ends with <|call|>`,
      );
    }
    if (final && channel === 'analysis')
      complain('order', `${at} is analysis after the final message; expected it before`);
    if (final && channel === 'final') complain('order', `${at} is a second final message of one turn; expected one`);
    if (channel === 'final') final = true;
  }
  if (open !== null && messages.at(-1)?.role !== 'assistant') complain('call', `${open} was called and never answered`);
  if (!spoken) complain('empty', 'no assistant message: nothing would be learned');
  else if (messages.at(-1)!.role !== 'assistant')
    complain('order', `it ends with a ${messages.at(-1)!.role} message; expected the assistant's`, 'warning');
}

function checkText(at: string, { content }: Message, complain: Complain): void {
  const texts =
    typeof content === 'string' ? [content] : content.flatMap((part) => (part.type === 'text' ? [part.text] : []));
  for (const text of texts) {
    const marker = MARKERS.exec(text)?.[0];
    if (marker !== undefined)
      complain('markers', `${at} spells ${marker}; expected plain text: markers are written by the renderer`);
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
