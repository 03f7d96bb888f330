// Owns: the input of a response: items as clients send them, to what was said. Items of one turn (reasoning, message,
// calls) that follow each other are put together again, so that the turn is found in the memory of generated ones.
// Items of tools that this server does not run are left out, with their results; anything else unknown is refused.
// Next: dialogue.ts.

import { z } from '@hono/zod-openapi';
import { quote } from './body.ts';
import type { Said } from './dialogue.ts';
import { newId } from './ids.ts';
import { textOf } from './request-parts.ts';
import { keyOf } from './response-tools.ts';
import type { OutputItem } from './store.ts';
import type { TurnCall } from './turn-memory.ts';
import { invalid } from './wire.ts';

const partsSchema = z.union([
  z.string(),
  z.array(z.looseObject({ type: z.string(), text: z.string().nullish(), refusal: z.string().nullish() })),
]);

export const inputItemSchema = z.looseObject({
  type: z.string().max(128).nullish(),
  id: z.string().max(256).nullish(),
  role: z.string().max(64).nullish(),
  content: partsSchema.nullish(),
  call_id: z.string().max(256).nullish(),
  name: z.string().max(128).nullish(),
  namespace: z.string().max(128).nullish(),
  arguments: z.string().nullish(),
  input: z.string().nullish(),
  output: partsSchema.nullish(),
  summary: z.array(z.looseObject({ type: z.string(), text: z.string().nullish() })).nullish(),
  encrypted_content: z.string().nullish(),
});

type InputItem = z.infer<typeof inputItemSchema>;

/** Items of tools that are not run here. */
const foreign = /(?:_call|_call_output|_approval_request|_approval_response|_list_tools|^compaction.*|^tool_search.*)$/;

/** A turn that is being put together. */
interface OpenTurn {
  readonly reasoning: string[];
  readonly texts: string[];
  readonly calls: TurnCall[];
}

/** `find`: an item of a stored response by its id. */
export function saidOfItems(items: readonly InputItem[], find: (id: string) => OutputItem | null): Said[] {
  const said: Said[] = [];
  let turn: OpenTurn | null = null;
  const open = (): OpenTurn => {
    turn ??= { reasoning: [], texts: [], calls: [] };
    return turn;
  };
  const close = (): void => {
    if (turn === null) return;
    const { reasoning, texts, calls } = turn;
    said.push({ role: 'assistant', text: texts.join('\n\n'), reasoning: reasoning.join('\n\n'), calls });
    turn = null;
  };
  const take = (item: InputItem, path: string): void => {
    const type = item.type ?? 'message';
    switch (type) {
      case 'message': {
        const text = textOf(refusals(item.content), `${path}.content`);
        if (item.role === 'assistant') {
          if (text !== '') open().texts.push(text);
          return;
        }
        close();
        if (item.role === 'user') said.push({ role: 'user', text });
        else if (item.role === 'system' || item.role === 'developer') said.push({ role: 'instructions', text });
        else {
          const found = `${path}.role is ${quote(JSON.stringify(item.role ?? null))}`;
          throw invalid(`${found}; expected user, assistant, system or developer; change it`, `${path}.role`);
        }
        return;
      }
      case 'reasoning': {
        const text = reasoningText(item, path);
        if (text !== '') open().reasoning.push(text);
        return;
      }
      case 'function_call':
      case 'custom_tool_call': {
        const { call_id: id, name, namespace } = item;
        const given = type === 'function_call' ? item.arguments : JSON.stringify({ input: item.input ?? '' });
        if (id == null || name == null || name === '' || given == null) {
          throw invalid(`${path} lacks call_id, name or arguments; expected all of them; add them`, path);
        }
        open().calls.push({ id, name: keyOf(name, namespace), arguments: given });
        return;
      }
      case 'function_call_output':
      case 'custom_tool_call_output': {
        close();
        if (item.call_id == null) throw invalid(`${path}.call_id is missing; expected the call's; add it`, path);
        said.push({ role: 'tool', callId: item.call_id, text: textOf(item.output, `${path}.output`) });
        return;
      }
      case 'item_reference': {
        const stored = item.id == null ? null : find(item.id);
        if (stored === null) {
          const found = `${path} refers to ${quote(JSON.stringify(item.id ?? null))}, which is not stored`;
          throw invalid(`${found}; expected an item of a stored response; send the item itself`, `${path}.id`);
        }
        take(inputItemSchema.parse(stored), path);
        return;
      }
      default:
        if (foreign.test(type)) return;
        throw invalid(
          `${path}.type is ${quote(JSON.stringify(type))}; expected an item as documented; leave it out`,
          `${path}.type`,
        );
    }
  };
  for (const [i, item] of items.entries()) take(item, `input[${i}]`);
  close();
  return said;
}

function refusals(content: InputItem['content']): Parameters<typeof textOf>[0] {
  if (!Array.isArray(content)) return content;
  return content.map((part) => ({ ...part, text: part.text ?? part.refusal }));
}

function reasoningText(item: InputItem, path: string): string {
  const own = textOf(item.content, `${path}.content`);
  if (own !== '') return own;
  const sealed = item.encrypted_content;
  if (sealed != null && sealed !== '') return unseal(sealed);
  return textOf(item.summary, `${path}.summary`);
}

/** Reasoning for clients that store nothing here and pass it back unread. It is not secret: they see it anyway. */
export function seal(text: string): string {
  const bytes = new TextEncoder().encode(text);
  let binary = '';
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return `gptoss.${btoa(binary)}`;
}

/** Empty for what other servers sealed. */
function unseal(sealed: string): string {
  if (!sealed.startsWith('gptoss.')) return '';
  try {
    const binary = atob(sealed.slice('gptoss.'.length));
    return new TextDecoder().decode(Uint8Array.from(binary, (c) => c.charCodeAt(0)));
  } catch {
    return '';
  }
}

/** Items as they are listed: each with an id and its type. */
export function listedItems(items: readonly InputItem[]): OutputItem[] {
  return items.map((item) => {
    const type = item.type ?? 'message';
    const isText = type === 'message' && typeof item.content === 'string';
    const part = item.role === 'assistant' ? 'output_text' : 'input_text';
    return {
      ...item,
      type,
      id: item.id ?? newId(type === 'message' ? 'msg' : 'item'),
      ...(isText ? { content: [{ type: part, text: item.content }] } : {}),
    };
  });
}
