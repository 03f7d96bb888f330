// Owns: /v1/models, the list of one model under its names, and what its facts are called there. Next: ollama.ts, which
// lists the same model in its own words.

import { isNameOf, notHere } from './request-parts.ts';
import type { Serving } from './serving.ts';

export function listModels(serving: Serving): Response {
  return Response.json({ object: 'list', data: serving.names.map((name) => modelObject(serving, name)) });
}

export function retrieveModel(serving: Serving, name: string): Response {
  if (!isNameOf(serving, name)) throw notHere(serving, name);
  return Response.json(modelObject(serving, name));
}

function modelObject({ startedAt, model, facts }: Serving, id: string): unknown {
  return {
    id,
    object: 'model',
    created: Math.floor((facts.modifiedAt ?? startedAt).getTime() / 1000),
    owned_by: 'gptoss',
    // As other local servers call it; clients size their prompts by it.
    max_model_len: model.engine.context,
    context_length: model.engine.context,
  };
}
