// Messages as JSON, in the field names of the harmony library, so that stored conversations and training data can be
// exchanged with it. What comes in is checked field by field; what the library has no field for (response formats, a
// verbatim tools text, stored ids) is refused or left out on the way out, as stated below. Next: messages.ts.

import { GptOssError } from '../../errors.ts';
import {
  type ContentPart,
  type DeveloperContent,
  type FunctionDefinition,
  type Message,
  type ReasoningEffort,
  type Role,
  reasoningEfforts,
  roles,
  type SystemContent,
  standardChannels,
  type ToolNamespace,
} from './messages.ts';
import { defaultIdentity, defaultKnowledgeCutoff } from './prompt-text.ts';

type Json = Readonly<Record<string, unknown>>;

/** A message for JSON.stringify. `ids` are left out. */
export function messageToJson(message: Message): Json {
  const { role, name, recipient, channel, contentType, content } = message;
  return {
    role,
    ...(name === undefined ? {} : { name }),
    ...(recipient === undefined ? {} : { recipient }),
    ...(channel === undefined ? {} : { channel }),
    ...(contentType === undefined ? {} : { content_type: contentType }),
    content: typeof content === 'string' ? content : content.map(partToJson),
  };
}

/** A message out of parsed JSON; throws `invalid-request` with the field that is wrong. */
export function messageFromJson(json: unknown): Message {
  const from = object(json, 'a message');
  const role = roles.find((known) => known === from['role']);
  if (role === undefined) throw wrong('role', `one of ${roles.join(', ')}`);
  const content = from['content'];
  if (typeof content !== 'string' && !Array.isArray(content)) throw wrong('content', 'text or a list of parts');
  const name = text(from, 'name');
  const recipient = text(from, 'recipient');
  const channel = text(from, 'channel');
  const contentType = text(from, 'content_type');
  return {
    role,
    ...(name === undefined ? {} : { name }),
    ...(recipient === undefined ? {} : { recipient }),
    ...(channel === undefined ? {} : { channel }),
    ...(contentType === undefined ? {} : { contentType }),
    content: typeof content === 'string' ? content : content.map((part) => partFromJson(part, role)),
  };
}

function partToJson(part: ContentPart): Json {
  if (part.type === 'text') return { type: 'text', text: part.text };
  if (part.type === 'system') return systemToJson(part);
  if (part.responseFormats !== undefined && part.responseFormats.length > 0) {
    throw wrong('response formats', 'none: the JSON form has no field for them');
  }
  const functions = part.functions ?? [];
  const spaces = functions.length > 0 ? [{ name: 'functions', functions }, ...(part.tools ?? [])] : (part.tools ?? []);
  return {
    type: 'developer_content',
    ...(part.instructions === undefined || part.instructions === null ? {} : { instructions: part.instructions }),
    ...(spaces.length === 0 ? {} : { tools: spacesToJson(spaces) }),
  };
}

function systemToJson(part: SystemContent): Json {
  const { identity = defaultIdentity, knowledgeCutoff = defaultKnowledgeCutoff, currentDate = null } = part;
  const { effort = 'medium', channels = standardChannels, channelRequired = true, tools = [] } = part;
  return {
    type: 'system_content',
    ...(identity === null ? {} : { model_identity: identity }),
    ...(effort === null ? {} : { reasoning_effort: effort[0]!.toUpperCase() + effort.slice(1) }),
    ...(currentDate === null ? {} : { conversation_start_date: currentDate }),
    ...(knowledgeCutoff === null ? {} : { knowledge_cutoff: knowledgeCutoff }),
    channel_config: { valid_channels: channels, channel_required: channelRequired },
    ...(tools.length === 0 ? {} : { tools: spacesToJson(tools) }),
  };
}

/** A section that is kept as text becomes a description: the library writes it the same way when there are no functions. */
function spacesToJson(spaces: readonly ToolNamespace[]): Json {
  const entries = spaces.map((space): [string, Json] => {
    const heading = `## ${space.name}\n\n`;
    const body = space.text?.startsWith(heading) ? space.text.slice(heading.length) : space.text;
    const description = body ?? space.description;
    const functions = body === undefined ? (space.functions ?? []) : [];
    const tools = functions.map(({ name, description: about = '', parameters }) => ({
      name,
      description: about,
      ...(parameters === undefined || parameters === null ? {} : { parameters }),
    }));
    return [space.name, { name: space.name, ...(description === undefined ? {} : { description }), tools }];
  });
  return Object.fromEntries(entries);
}

function partFromJson(json: unknown, role: Role): ContentPart {
  const from = object(json, 'a content part');
  const type = from['type'];
  if (type === 'text') return { type: 'text', text: text(from, 'text') ?? '' };
  if (type === 'system_content' && role === 'system') return systemFromJson(from);
  if (type === 'developer_content' && role === 'developer') return developerFromJson(from);
  throw wrong(
    'type of a content part',
    `text${role === 'system' || role === 'developer' ? ` or ${role}_content` : ''}`,
  );
}

/** What is absent is left out of the prompt, as in the library; so every field is set. */
function systemFromJson(from: Json): SystemContent {
  const effortText = text(from, 'reasoning_effort')?.toLowerCase();
  const effort = reasoningEfforts.find((known): known is ReasoningEffort => known === effortText);
  if (effortText !== undefined && effort === undefined) throw wrong('reasoning_effort', 'Low, Medium or High');
  const given = from['channel_config'];
  const config = given === undefined || given === null ? {} : object(given, 'channel_config');
  const channels = config['valid_channels'] ?? [];
  if (!Array.isArray(channels) || !channels.every((channel) => typeof channel === 'string')) {
    throw wrong('valid_channels', 'a list of names');
  }
  return {
    type: 'system',
    identity: text(from, 'model_identity') ?? null,
    effort: effort ?? null,
    currentDate: text(from, 'conversation_start_date') ?? null,
    knowledgeCutoff: text(from, 'knowledge_cutoff') ?? null,
    channels,
    channelRequired: config['channel_required'] === true,
    tools: spacesFromJson(from['tools']),
  };
}

function developerFromJson(from: Json): DeveloperContent {
  const spaces = spacesFromJson(from['tools']);
  const instructions = text(from, 'instructions');
  return {
    type: 'developer',
    ...(instructions === undefined ? {} : { instructions }),
    ...(spaces.length === 0 ? {} : { tools: spaces }),
  };
}

function spacesFromJson(json: unknown): ToolNamespace[] {
  if (json === undefined || json === null) return [];
  return Object.entries(object(json, 'tools')).map(([key, value]) => {
    const from = object(value, 'a tool namespace');
    const tools = from['tools'] ?? [];
    if (!Array.isArray(tools)) throw wrong('tools of a namespace', 'a list');
    const description = text(from, 'description');
    return {
      name: text(from, 'name') ?? key,
      ...(description === undefined ? {} : { description }),
      functions: tools.map(functionFromJson),
    };
  });
}

function functionFromJson(json: unknown): FunctionDefinition {
  const from = object(json, 'a function');
  const name = text(from, 'name');
  if (name === undefined || name === '') throw wrong('name of a function', 'text');
  return { name, description: text(from, 'description') ?? '', parameters: from['parameters'] };
}

function object(value: unknown, what: string): Json {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(what, 'an object');
  return value as Json;
}

/** A text field; undefined when absent or null. */
function text(from: Json, field: string): string | undefined {
  const value = Object.hasOwn(from, field) ? from[field] : undefined;
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'string') throw wrong(field, 'text');
  return value;
}

function wrong(what: string, expected: string): GptOssError {
  return new GptOssError('invalid-request', `${what} in a message is wrong; expected ${expected}; correct the JSON`);
}
