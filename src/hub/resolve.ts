// A word after `--model` -> a path to open. Order: an existing path; a full id of a found model; an alias such as
// `gpt-oss-20b`; any part of an id that fits just one. Ambiguous and unknown words list the candidates.

import { existsSync } from 'node:fs';
import { GptOssError } from '../errors.ts';
import { type FoundModel, findModels } from './find.ts';
import type { HubSettings } from './roots.ts';

/** Absolute or relative path of the model that `word` names. Throws `not-found` with the candidates. */
export function resolveModel(word: string, settings: HubSettings): string {
  if (word === '') throw unknown(word, []);
  const prefixed = /^(hf|ollama|lmstudio|llama\.cpp|own):/.test(word);
  if (!prefixed && existsSync(word)) return word;
  if (!prefixed && /^[./~\\]|^[A-Za-z]:\\|\.\.[\\/]/.test(word)) throw unknown(word, []); // meant as a path
  const models = findModels(settings);
  const whole = models.filter((model) => model.problem === null);
  const chosen = choose(word, whole);
  if (chosen !== null) return chosen.path;
  const broken = models.find((model) => model.id.toLowerCase() === word.toLowerCase() && model.problem !== null);
  if (broken !== undefined) {
    throw new GptOssError(
      'bad-checkpoint',
      `model ${broken.id} cannot be used: ${broken.problem}; expected a complete download; get it again or remove it`,
    );
  }
  throw unknown(word, whole);
}

/** The best complete model on this disk, or null: the larger one that is found first wins nothing over the usual 20b. */
export function bestFound(settings: HubSettings): FoundModel | null {
  const whole = findModels(settings).filter((model) => model.problem === null && model.size !== null);
  return whole.find((model) => model.size === '20b') ?? whole[0] ?? null;
}

function choose(word: string, models: readonly FoundModel[]): FoundModel | null {
  const wanted = word.toLowerCase();
  const exact = models.find(
    (model) => model.id.toLowerCase() === wanted || model.id.toLowerCase() === `${wanted}:latest`,
  );
  if (exact !== undefined) return exact;
  const size = /^(?:openai\/)?gpt-oss[-:](20b|120b)$/.exec(wanted)?.[1];
  if (size !== undefined) return models.find((model) => model.size === size) ?? null; // any copy will do
  const partial = models.filter((model) => model.id.toLowerCase().includes(wanted));
  if (partial.length > 1) {
    throw new GptOssError(
      'not-found',
      `"${word}" fits ${partial.length} models; expected one; say which: ${candidates(partial)}`,
      { details: { candidates: partial.map((model) => model.id) } },
    );
  }
  return partial[0] ?? null;
}

function unknown(word: string, models: readonly FoundModel[]): GptOssError {
  const known = models.length === 0 ? 'none found on this machine' : candidates(models);
  return new GptOssError(
    'not-found',
    `no model "${word}"; expected a path or the name of a model on this machine (${known}); check the spelling or download it first`,
    { details: { candidates: models.map((model) => model.id) } },
  );
}

function candidates(models: readonly FoundModel[]): string {
  const shown = models.slice(0, 8).map((model) => model.id);
  return shown.join(', ') + (models.length > shown.length ? `, and ${models.length - shown.length} more` : '');
}
