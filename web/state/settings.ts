// Settings of the page, kept in the browser's local storage: each is a signal that writes itself back. What is read there is
// checked, since anything may have written it. The key for the server stays in this tab's session only.

import { effect, type Signal, signal } from '@preact/signals';
import type { Effort } from './conversation.ts';

export interface Sampling {
  /** null: as the server has it. */
  readonly temperature: number | null;
  readonly topP: number | null;
  readonly maxTokens: number | null;
  readonly seed: number | null;
}

export const noSampling: Sampling = { temperature: null, topP: null, maxTokens: null, seed: null };

function kept<T>(name: string, initial: T, isValid: (value: unknown) => value is T, storage: Storage): Signal<T> {
  let value = initial;
  try {
    const read: unknown = JSON.parse(storage.getItem(`gptoss.${name}`) ?? 'null');
    if (isValid(read)) value = read;
  } catch {
    // unreadable: the initial value
  }
  const kept = signal(value);
  effect(() => {
    try {
      storage.setItem(`gptoss.${name}`, JSON.stringify(kept.value));
    } catch {
      // full or forbidden: it lasts as long as the page
    }
  });
  return kept;
}

const oneOf =
  <T extends string>(...values: readonly T[]) =>
  (value: unknown): value is T =>
    values.includes(value as T);
const isText = (value: unknown): value is string => typeof value === 'string';
const isTexts = (value: unknown): value is readonly string[] => Array.isArray(value) && value.every(isText);
const isSampling = (value: unknown): value is Sampling => {
  const keys = Object.keys(noSampling);
  if (typeof value !== 'object' || value === null) return false;
  return keys.every((key) => {
    const one = (value as Record<string, unknown>)[key];
    return one === null || (typeof one === 'number' && Number.isFinite(one));
  });
};

export const effort = kept<Effort>('effort', 'medium', oneOf('low', 'medium', 'high'), localStorage);
export const theme = kept<'system' | 'light' | 'dark'>(
  'theme',
  'system',
  oneOf('system', 'light', 'dark'),
  localStorage,
);
export const languageChoice = kept<'system' | 'en' | 'ja'>(
  'language',
  'system',
  oneOf('system', 'en', 'ja'),
  localStorage,
);
export const systemPrompt = kept('system', '', isText, localStorage);
export const sampling = kept<Sampling>('sampling', noSampling, isSampling, localStorage);
export const toolsOff = kept<readonly string[]>('tools-off', [], isTexts, localStorage);
export const apiKey = kept('key', '', isText, sessionStorage);
