// Conversations and documents as token ids with a mask: how much of each token is to be learned, 1 or 0, and more where
// an answer is short and hard. Only what the assistant itself writes is learned, headers and terminators included; of a
// conversation's turns only the last, because earlier ones lost their reasoning; and never a slip that was put there on
// purpose. Next: batches.ts.

import { GptOssError } from '../../errors.ts';
import type { HarmonyEncoding } from '../../text/harmony/encoding.ts';
import type { Message } from '../../text/harmony/messages.ts';
import { renderPrompt, renderTraining } from '../../text/harmony/render.ts';
import type { TaskConversation, Unlearned } from '../tasks/conversation.ts';

export interface Example {
  readonly ids: Int32Array;
  /** Whether the token itself (not the one after it) is learned, and how much: weights of the loss. The first never is. */
  readonly mask: Uint8Array; // [ids]
}

const RENDERING = { callHeader: 'channel-first' } as const;

export interface ExampleOptions {
  /** Turns that are learned: the last (default), or all of them. */
  readonly turns?: 'last' | 'all';
  readonly unlearned?: readonly Unlearned[];
}

export function conversationExample(
  encoding: HarmonyEncoding,
  messages: readonly Message[],
  options: ExampleOptions = {},
): Example {
  const { ids, mask } = renderTraining(encoding, { messages }, RENDERING);
  const { turns = 'last', unlearned = [] } = options;
  const isReduced = turns === 'last' || unlearned.length > 0;
  if (isReduced) {
    const starts = messageStarts(encoding, ids);
    if (turns === 'last') {
      // Reasoning of earlier turns may have been left out, so messages are counted from the end.
      const after = messages.length - 1 - messages.findLastIndex((message) => message.role === 'user');
      mask.fill(0, 0, starts[starts.length - after] ?? ids.length);
    }
    for (const { message, start, end } of unlearned) {
      unlearn(encoding, ids, mask, starts[starts.length - messages.length + message]!, start, end, messages[message]!);
    }
  }
  return { ids: Int32Array.from(ids), mask };
}

/** Answers given at once are a twelfth of all learned tokens, and the hardest. */
const LOW_WEIGHT = 2;

export function taskExample(encoding: HarmonyEncoding, conversation: TaskConversation): Example {
  const { messages, unlearned, setting } = conversation;
  const example = conversationExample(encoding, messages, { unlearned });
  return setting.level === 'low' ? { ...example, mask: example.mask.map((learned) => learned * LOW_WEIGHT) } : example;
}

/** The ids a model is asked to go on from, `<|start|>assistant` included. */
export function promptIds(encoding: HarmonyEncoding, messages: readonly Message[]): number[] {
  return renderPrompt(encoding, { messages }, { ...RENDERING, dropAnalysis: 'turns' });
}

/** Plain text, learned whole: a document ends with `<|endoftext|>`. */
export function documentExample(encoding: HarmonyEncoding, text: string): Example {
  const ids = [...Array.from(encoding.tokenizer.encode(text)), encoding.endOfText ?? encoding.ids.return];
  const mask = new Uint8Array(ids.length).fill(1);
  mask[0] = 0;
  return { ids: Int32Array.from(ids), mask };
}

function messageStarts(encoding: HarmonyEncoding, ids: readonly number[]): number[] {
  return ids.flatMap((id, i) => (id === encoding.ids.start ? [i] : []));
}

/** Takes characters [from, to) of a message's text out of the mask: every token that holds a part of them. */
function unlearn(
  encoding: HarmonyEncoding,
  ids: readonly number[],
  mask: Uint8Array,
  messageStart: number,
  from: number,
  to: number,
  message: Message,
): void {
  if (typeof message.content !== 'string') {
    throw new GptOssError('internal', 'a message with unlearned text has parts; expected plain text');
  }
  const utf8 = new TextEncoder();
  const [start, end] = [from, to].map((at) => utf8.encode((message.content as string).slice(0, at)).length);
  let at = ids.indexOf(encoding.ids.message, messageStart) + 1;
  for (let byte = 0; byte < end!; at++) {
    const length = encoding.textBytes(ids[at]!)?.length ?? 0;
    if (byte + length > start!) mask[at] = 0;
    byte += length;
    if (length === 0) break; // the text is over
  }
}
