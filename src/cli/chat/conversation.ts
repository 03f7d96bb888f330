// What a chat has said so far and its settings, and the file that `/save` writes and `/load` reads. A loaded file comes
// from outside: every field is checked. Analysis is kept for the reader, never sent back to the model. Next: chat.ts.

import { GptOssError } from '../../errors.ts';
import type { Message } from '../../text/harmony/messages.ts';
import type { Effort } from '../arguments.ts';

export interface Said {
  readonly role: 'user' | 'assistant';
  readonly text: string;
  readonly reasoning?: string;
  /** The assistant's messages as they were generated, to be sent back token for token. Not saved. */
  readonly history?: readonly Message[];
}

export interface Conversation {
  said: Said[];
  effort: Effort | null; // null: the model's default
  system: string | null;
  developer: string | null;
}

const LARGEST_FILE = 64 << 20;
const KIND = 'gptoss-conversation';

export function conversationJson(conversation: Conversation, model: string): string {
  const { effort, system, developer } = conversation;
  const said = conversation.said.map(({ history: _, ...rest }) => rest);
  return `${JSON.stringify({ kind: KIND, version: 1, model, effort, system, developer, messages: said }, null, 2)}\n`;
}

export function readConversation(json: string, name: string): Conversation {
  const bad = (what: string): GptOssError =>
    new GptOssError('invalid-request', `${name}: ${what}; expected a file written by /save; choose another`);
  if (json.length > LARGEST_FILE) throw bad('it is larger than 64 MB');
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw bad('it is not JSON');
  }
  if (!isRecord(value) || value['kind'] !== KIND || value['version'] !== 1)
    throw bad('it is no conversation of gptoss');
  const { messages, effort, system, developer } = value;
  if (!Array.isArray(messages)) throw bad('it has no list of messages');
  const said = messages.map((message: unknown, index): Said => {
    if (!isRecord(message)) throw bad(`message ${index + 1} is no object`);
    const { role, text, reasoning } = message;
    if (role !== 'user' && role !== 'assistant') throw bad(`message ${index + 1} has an unknown role`);
    if (typeof text !== 'string') throw bad(`message ${index + 1} has no text`);
    return { role, text, ...(typeof reasoning === 'string' ? { reasoning } : {}) };
  });
  if (effort !== null && effort !== 'low' && effort !== 'medium' && effort !== 'high')
    throw bad('its effort is unknown');
  return { said, effort, system: textOrNull(system), developer: textOrNull(developer) };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}
