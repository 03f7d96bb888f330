// Owns: a tool's result as a message of the conversation. Its author is the tool that was called, never anything a model
// made up (a call to `system` must not be answered by a system message), its channel is the call's, its text is plain
// text that fits into what is left of the context. Next: agent.ts.

import { type Message, standardChannels } from '../text/harmony/messages.ts';
import type { ToolCall } from '../text/harmony/tool-calls.ts';
import type { Tool } from './tool.ts';

interface Encoder {
  encode(text: string): ArrayLike<number>;
}

export function resultMessage(call: ToolCall, tool: Tool | null, text: string): Message {
  const { channel } = call.message;
  return {
    role: 'tool',
    name: tool?.recipient ?? `functions.${call.name.replace(/[^\w$]/g, '').slice(0, 64) || 'unknown'}`,
    recipient: 'assistant',
    channel:
      channel !== undefined && standardChannels.includes(channel) && channel !== 'final' ? channel : 'commentary',
    content: text,
  };
}

/** Tokens of a text; texts that are far too long are only guessed at. */
export function tokensOf(tokenizer: Encoder, text: string, most: number): number {
  return text.length > most * 16 ? Number.POSITIVE_INFINITY : tokenizer.encode(text).length;
}

/** The text, or its beginning and end with a note between them, in at most so many tokens. */
export function fitted(tokenizer: Encoder, text: string, most: number): string {
  if (tokensOf(tokenizer, text, most) <= most) return text;
  // Tokens per character differ from text to text, so the size is found by trying: seven tries halve the doubt each.
  let kept = '';
  for (let low = 0, high = Math.min(text.length, most * 16), i = 0; i < 12 && low < high; i++) {
    const size = Math.ceil((low + high) / 2);
    const candidate = shortened(text, size);
    if (tokensOf(tokenizer, candidate, most) <= most) {
      kept = candidate;
      low = size;
    } else high = size - 1;
  }
  return kept;
}

function shortened(text: string, size: number): string {
  const head = Math.ceil(size * 0.7);
  const tail = size - head;
  const left = text.length - size;
  return `${text.slice(0, head)}\n[… ${left} characters left out …]\n${tail === 0 ? '' : text.slice(-tail)}`;
}
