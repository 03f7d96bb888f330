// training.json, in which `gptoss train` notes beside the weights how a model was trained: part of the model card, and from
// which streams its data was drawn.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { GptOssError } from '../../errors.ts';
import { fileError } from '../../formats/file.node.ts';
import { DEFAULT_SEED } from '../../train/run/recipe.ts';

/** Null where nothing was noted. `path`: of the weights, a folder or a file. */
export function trainingOf(path: string): Record<string, unknown> | null {
  const noted = join(path, 'training.json');
  if (!existsSync(noted)) return null;
  try {
    const value: unknown = JSON.parse(readFileSync(noted, 'utf8'));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw fileError(noted, cause);
  }
  throw new GptOssError(
    'invalid-request',
    `${noted} is no JSON object; expected what was noted of the training; mend it`,
  );
}

/** The seed that the training data was drawn with; the recipe's own where none was noted. */
export function trainingSeedOf(path: string): number {
  const seed = trainingOf(path)?.['seed'];
  return typeof seed === 'number' && Number.isSafeInteger(seed) && seed >= 0 ? seed : DEFAULT_SEED;
}
