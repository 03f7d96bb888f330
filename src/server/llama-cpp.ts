// Owns: llama.cpp's /tokenize, /detokenize and /apply-template. Text is text here, too: names of special tokens in it
// become their ids only where `parse_special` says so. Next: generation.ts.

import { z } from '@hono/zod-openapi';
import { checked } from './body.ts';
import { chatPrompt } from './chat-completions.ts';
import type { Serving, Visit } from './serving.ts';
import { invalid } from './wire.ts';

export const tokenizeSchema = z
  .object({
    content: z.string(),
    parse_special: z.boolean().nullish().openapi({ description: 'Names of special tokens become their ids.' }),
    with_pieces: z.boolean().nullish(),
  })
  .openapi('TokenizeRequest');

export const detokenizeSchema = z
  .object({ tokens: z.array(z.int().min(0)).max(4_000_000) })
  .openapi('DetokenizeRequest');

export function tokenize({ model }: Serving, body: unknown): Response {
  const { content, parse_special: isTemplate, with_pieces: hasPieces } = checked(tokenizeSchema, body);
  const { tokenizer } = model;
  const ids = isTemplate === true ? tokenizer.encodeWithSpecials(content) : tokenizer.encode(content);
  if (hasPieces !== true) return Response.json({ tokens: ids });
  return Response.json({ tokens: ids.map((id) => ({ id, piece: piece(tokenizer.decodeBytes([id])) })) });
}

/** Text, or the bytes where they are only a part of a character. */
function piece(bytes: Uint8Array): string | number[] {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return Array.from(bytes);
  }
}

export function detokenize({ model }: Serving, body: unknown): Response {
  const { tokens } = checked(detokenizeSchema, body);
  const { vocab } = model.engine.model;
  const outside = tokens.find((id) => id >= vocab);
  if (outside !== undefined) {
    throw invalid(`tokens holds ${outside}; expected ids below ${vocab}; use this model's token ids`, 'tokens');
  }
  return Response.json({ content: model.tokenizer.decode(tokens) });
}

/** The prompt of a chat request as text, special tokens by their names, and as ids: only those tell a marker from text
 *  that spells one. */
export function applyTemplate(serving: Serving, visit: Visit, body: unknown): Response {
  const tokens = chatPrompt(serving, visit, body);
  return Response.json({ prompt: serving.model.tokenizer.decode(tokens), tokens });
}
