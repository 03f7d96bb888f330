// Which checkpoint a command opens: the one that --model names, else the best gpt-oss on this machine, else the tiny
// model that comes with the package. Says so on stderr when it was not asked for by name. Next: open-speaker.ts.

import { bestFound, resolveModel } from '../hub/resolve.ts';
import type { HubSettings } from '../hub/roots.ts';
import { tinyModelPath } from '../open.node.ts';

export interface ModelChoice {
  readonly path: string;
  readonly why: 'asked' | 'found' | 'embedded';
  /** Word for messages: what was asked for, the found model's id, or "tiny". */
  readonly name: string;
}

export function chooseModel(word: string | undefined, stores: HubSettings): ModelChoice {
  if (word === 'tiny') return { path: tinyModelPath, why: 'asked', name: 'tiny' };
  if (word !== undefined) return { path: resolveModel(word, stores), why: 'asked', name: word };
  const found = bestFound(stores);
  if (found !== null) return { path: found.path, why: 'found', name: found.id };
  return { path: tinyModelPath, why: 'embedded', name: 'tiny' };
}

export function choiceNotice(choice: ModelChoice): string | null {
  if (choice.why === 'asked') return null;
  if (choice.why === 'found') return `using ${choice.name} (${choice.path}); --model chooses another`;
  return (
    'no gpt-oss found on this machine: the tiny model that comes with gptoss answers (sums, sorting, letters of words; ' +
    'no knowledge of the world); --model chooses another'
  );
}

/** What to try with the embedded model; each of these is something it was trained for. */
export const TINY_EXAMPLES = [
  'What is 412 + 509?',
  'Sort these numbers: 5, 3, 9, 1.',
  'Reverse the word "planet".',
  'Which is larger, 9.11 or 9.9?',
  'こんにちは',
];
