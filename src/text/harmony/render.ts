// Conversation to token ids (model-spec §4.1, §4.6). Each textual field (role, recipient, channel, type, content) is
// encoded on its own as ordinary text, so that boundaries are stable and text can never become a marker; markers come
// only from their places in the format. Also decides which old reasoning is left out of a prompt, and which tokens of a
// training example the assistant itself produced. Next: parse.ts, the way back.

import { GptOssError } from '../../errors.ts';
import { type HarmonyEncoding, markerText } from './encoding.ts';
import type { ContentPart, Conversation, Message, Role } from './messages.ts';
import { declaresFunctions, developerText, systemText } from './prompt-text.ts';
import type { SchemaTypeOptions } from './schema-type.ts';

/** Which analysis messages are left out.
 *  - `library` (default): as the harmony library. If the last assistant message is on `final`, everything on `analysis`
 *    before the first `final` of the conversation goes, and nothing else.
 *  - `turns`: what the format's documentation intends, and what our chat and server use. In every turn (from one user
 *    message to the next) that reached `final`, everything on `analysis` goes; a turn still calling tools keeps all.
 *    Function calls and results stay in any case: without its call a result makes no sense.
 *  - `never`: everything stays. */
export type DropAnalysis = 'library' | 'turns' | 'never';

export interface RenderOptions {
  readonly dropAnalysis?: DropAnalysis;
  /** Where a call names its tool: after the role (default, as the harmony library) or after the channel, as the model
   *  itself mostly writes. Messages that carry `ids` keep the form they have. */
  readonly callHeader?: 'recipient-first' | 'channel-first';
  /** How function parameters are written. */
  readonly schema?: SchemaTypeOptions;
}

export interface TrainingRender {
  readonly ids: number[];
  /** 1 where the assistant produces the token, and so is to learn it. Not its `<|start|>assistant` after someone else's
   *  message, which a prompt supplies, and not an `<|end|>` that only history puts after a `final`. */
  readonly mask: Uint8Array; // [ids]
}

/** A conversation as it is. */
export function renderConversation(
  encoding: HarmonyEncoding,
  conversation: Conversation,
  options: RenderOptions = {},
): number[] {
  const out: number[] = [];
  const messages = keptMessages(conversation.messages, options.dropAnalysis ?? 'library', false);
  const hasFunctions = conversation.messages.some(messageDeclaresFunctions);
  for (const message of messages) write(encoding, message, hasFunctions, options, out);
  return out;
}

/** A prompt: the conversation and the opening of the next message, `<|start|>assistant` if not said otherwise. */
export function renderPrompt(
  encoding: HarmonyEncoding,
  conversation: Conversation,
  options: RenderOptions = {},
  nextRole: Role = 'assistant',
): number[] {
  const out = renderConversation(encoding, conversation, options);
  out.push(encoding.ids.start);
  append(out, encoding.tokenizer.encode(nextRole));
  return out;
}

/** A training example: a last message on `final` ends in `<|return|>`. Drops by `turns` if not said otherwise, but
 *  never the reasoning of the last turn: it is what is to be learned. (The library's rule would drop it.) */
export function renderTraining(
  encoding: HarmonyEncoding,
  conversation: Conversation,
  options: RenderOptions = {},
): TrainingRender {
  const ids: number[] = [];
  const learned: (readonly [start: number, end: number])[] = [];
  const messages = keptMessages(conversation.messages, options.dropAnalysis ?? 'turns', true);
  const hasFunctions = conversation.messages.some(messageDeclaresFunctions);
  let isContinued = false; // the previous message was the assistant's own and left the turn to it
  messages.forEach((message, i) => {
    const start = ids.length;
    const opening = write(encoding, message, hasFunctions, options, ids);
    const isLast = i === messages.length - 1;
    const isFinal = message.role === 'assistant' && message.channel === 'final';
    if (isLast && isFinal) ids[ids.length - 1] = encoding.ids.return;
    if (message.role === 'assistant') {
      learned.push([isContinued ? start : start + opening, isFinal && !isLast ? ids.length - 1 : ids.length]);
    }
    isContinued = message.role === 'assistant' && message.recipient === undefined && !isFinal;
  });
  const mask = new Uint8Array(ids.length);
  for (const [start, end] of learned) mask.fill(1, start, end);
  return { ids, mask };
}

/** One message. `hasFunctions` as in `systemText`. */
export function renderMessage(
  encoding: HarmonyEncoding,
  message: Message,
  options: RenderOptions = {},
  hasFunctions = false,
): number[] {
  const out: number[] = [];
  write(encoding, message, hasFunctions, options, out);
  return out;
}

/** Appends a message; returns how many tokens `<|start|>` and the author take. */
function write(
  encoding: HarmonyEncoding,
  message: Message,
  hasFunctions: boolean,
  options: RenderOptions,
  out: number[],
): number {
  const { ids, tokenizer } = encoding;
  const { role, name, recipient, channel, contentType } = message;
  const first = out.length;
  out.push(ids.start);
  if (role === 'tool') {
    if (name === undefined || name === '') {
      throw new GptOssError(
        'invalid-request',
        'a tool message has no name; expected the name of the tool that answers, e.g. functions.get_weather; set `name`',
      );
    }
    append(out, tokenizer.encode(name));
  } else {
    append(out, tokenizer.encode(role));
    if (name !== undefined) append(out, tokenizer.encode(`:${name}`));
  }
  const opening = out.length - first;
  if (message.ids !== undefined) {
    out.length = first;
    appendKept(encoding, message.ids, out);
    return Math.min(opening, out.length - first);
  }
  const to = recipient !== undefined && recipient !== 'all' ? ` to=${recipient}` : '';
  const isChannelFirst = options.callHeader === 'channel-first' && role === 'assistant' && channel !== undefined;
  if (to !== '' && !isChannelFirst) append(out, tokenizer.encode(to));
  if (channel !== undefined) {
    out.push(ids.channel);
    append(out, tokenizer.encode(channel));
  }
  if (to !== '' && isChannelFirst) append(out, tokenizer.encode(to));
  if (contentType !== undefined) writeContentType(encoding, contentType, out);
  out.push(ids.message);
  const content = message.content;
  if (typeof content === 'string') append(out, tokenizer.encode(content));
  else for (const part of content) append(out, tokenizer.encode(partText(part, role, hasFunctions, options)));
  out.push(role === 'assistant' && recipient !== undefined ? ids.call : ids.end);
  return opening;
}

/** ` type`, or a space, the constrain marker and the type when the type begins with that marker. */
function writeContentType(encoding: HarmonyEncoding, contentType: string, out: number[]): void {
  const { ids, tokenizer } = encoding;
  if (!contentType.startsWith(markerText.constrain)) {
    append(out, tokenizer.encode(` ${contentType}`));
    return;
  }
  append(out, tokenizer.encode(' '));
  out.push(ids.constrain);
  const rest = contentType.slice(markerText.constrain.length);
  if (rest !== '') append(out, tokenizer.encode(rest));
}

/** Generated ids, replayed; a reply that ended in `<|return|>` stands in history with `<|end|>`. */
function appendKept(encoding: HarmonyEncoding, kept: readonly number[], out: number[]): void {
  const { ids } = encoding;
  const last = kept[kept.length - 1];
  const isClosed = last === ids.end || last === ids.call || last === ids.return;
  if (kept[0] !== ids.start || !isClosed) {
    throw new GptOssError(
      'invalid-request',
      'the stored ids of a message do not begin with <|start|> and end with a terminator; expected one whole message; ' +
        'store all of it, or leave `ids` out',
    );
  }
  append(out, kept);
  if (last === ids.return) out[out.length - 1] = ids.end;
}

function partText(part: ContentPart, role: Role, hasFunctions: boolean, options: RenderOptions): string {
  if (part.type === 'text') return part.text;
  if (part.type !== role) {
    throw new GptOssError(
      'invalid-request',
      `a ${role} message holds ${part.type} content; expected it in a ${part.type} message only; move it there`,
    );
  }
  return part.type === 'system' ? systemText(part, hasFunctions, options.schema) : developerText(part, options.schema);
}

function messageDeclaresFunctions(message: Message): boolean {
  if (typeof message.content === 'string') return false;
  return message.content.some((part) => part.type === 'developer' && declaresFunctions(part));
}

/** Messages that stay in the prompt. */
export function keptMessages(messages: readonly Message[], rule: DropAnalysis, keepLastTurn: boolean): Message[] {
  if (rule === 'never') return [...messages];
  if (rule === 'library') {
    const last = messages.findLast((message) => message.role === 'assistant');
    const firstFinal = messages.findIndex((message) => message.channel === 'final');
    if (last?.channel !== 'final') return [...messages];
    return messages.filter((message, i) => i >= firstFinal || message.channel !== 'analysis');
  }
  const kept: Message[] = [];
  for (let start = 0; start < messages.length; ) {
    let end = start + 1;
    while (end < messages.length && messages[end]!.role !== 'user') end++;
    const turn = messages.slice(start, end);
    const isOver = turn.some((message) => message.role === 'assistant' && message.channel === 'final');
    const isKept = !isOver || (keepLastTurn && end === messages.length);
    kept.push(...(isKept ? turn : turn.filter((message) => message.channel !== 'analysis' || isFunctionStep(message))));
    start = end;
  }
  return kept;
}

/** A call of a function, or its result. */
function isFunctionStep(message: Message): boolean {
  const tool = message.role === 'tool' ? message.name : message.recipient;
  return tool?.startsWith('functions.') === true;
}

function append(out: number[], ids: ArrayLike<number>): void {
  for (let i = 0; i < ids.length; i++) out.push(ids[i]!);
}
