// Owns: what Ollama's clients ask about models: tags, ps, show, pull. There is one model, it is loaded, and it stays.
// Its digest is made up from its name and size: nothing is ever fetched by it. Next: ollama.ts.

import { z } from '@hono/zod-openapi';
import { checked } from './body.ts';
import { isNameOf, notHere } from './request-parts.ts';
import type { Serving } from './serving.ts';

export const namedModelSchema = z
  .object({ model: z.string().max(512).nullish(), name: z.string().max(512).nullish(), stream: z.boolean().nullish() })
  .openapi('OllamaModelRequest');

export async function ollamaTags(serving: Serving): Promise<Response> {
  return Response.json({ models: await Promise.all(serving.names.map((name) => entry(serving, name))) });
}

export async function ollamaRunning(serving: Serving): Promise<Response> {
  const [name] = serving.names;
  const forever = new Date(Date.now() + 365 * 86_400_000).toISOString();
  const running = { expires_at: forever, size_vram: 0, context_length: serving.model.engine.context };
  return Response.json({ models: [{ ...(await entry(serving, name!)), ...running }] });
}

export async function ollamaShow(serving: Serving, body: unknown): Promise<Response> {
  const { model, name } = checked(namedModelSchema, body);
  const asked = model ?? name ?? '';
  if (!isNameOf(serving, asked)) throw notHere(serving, asked);
  const { facts } = serving;
  return Response.json({
    license: '',
    modelfile: `FROM ${asked}\n`,
    parameters: `num_ctx ${serving.model.engine.context}`,
    template: facts.chatTemplate ?? '',
    details: details(serving),
    model_info: {
      'general.architecture': 'gptoss',
      'general.parameter_count': facts.parameters ?? null,
      'gptoss.context_length': serving.model.engine.context,
      'gptoss.block_count': facts.layers ?? null,
      'gptoss.embedding_length': facts.hidden ?? null,
      'gptoss.attention.head_count': facts.heads ?? null,
      'gptoss.attention.head_count_kv': facts.kvHeads ?? null,
      'gptoss.expert_count': facts.experts ?? null,
      'gptoss.expert_used_count': facts.expertsPerToken ?? null,
    },
    capabilities: ['completion', 'tools', 'thinking'],
    modified_at: modifiedAt(serving),
  });
}

/** Clients pull before they chat; what is here needs no pulling. */
export function ollamaPull(serving: Serving, body: unknown): Response {
  const { model, name, stream } = checked(namedModelSchema, body);
  const asked = model ?? name ?? '';
  if (!isNameOf(serving, asked)) throw notHere(serving, asked);
  const line = JSON.stringify({ status: 'success' });
  const type = stream === false ? 'application/json' : 'application/x-ndjson';
  return new Response(`${line}\n`, { headers: { 'content-type': type } });
}

async function entry(serving: Serving, name: string): Promise<object> {
  const model = name.includes(':') ? name : `${name}:latest`;
  const size = serving.facts.sizeBytes ?? 0;
  const bytes = new TextEncoder().encode(`${name}\n${size}`);
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return {
    name: model,
    model,
    modified_at: modifiedAt(serving),
    size,
    digest: Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join(''),
    details: details(serving),
  };
}

function modifiedAt({ facts, startedAt }: Serving): string {
  return (facts.modifiedAt ?? startedAt).toISOString();
}

function details({ facts }: Serving): object {
  return {
    parent_model: '',
    format: 'gguf',
    family: 'gptoss',
    families: ['gptoss'],
    parameter_size: facts.parameters === undefined ? '' : parameterText(facts.parameters),
    quantization_level: facts.quantization ?? '',
  };
}

function parameterText(count: number): string {
  return count >= 1e9 ? `${(count / 1e9).toFixed(1)}B` : `${(count / 1e6).toFixed(1)}M`;
}
