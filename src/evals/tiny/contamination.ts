// Whether anything that was asked had been trained: the streams that training draws from are drawn again, and looked through
// for the content of each item (its key), for its whole prompt word by word (declared functions and earlier turns are part of
// the problem; the system message is not), and, where wordings are held out, for thirteen words of its question in a row.
// A step inside another problem's solution (`7*23` within a longer product) is not a problem that was asked. Small talk,
// a fixed list of questions, is trained as it is asked but for wordings that are held out: only those are looked for.
// The test's texts are kept and the training's stream past them, so memory does not grow with the stream.

import type { HarmonyEncoding } from '../../text/harmony/encoding.ts';
import type { Message } from '../../text/harmony/messages.ts';
import { DocumentMixture } from '../../train/data/documents.ts';
import { TaskMixture } from '../../train/data/mixture.ts';
import { conversationOptions, conversationStages } from '../../train/run/recipe.ts';
import { taskFamilyNamed } from '../../train/tasks/registry.ts';
import { hash32 } from '../../train/tasks/split.ts';
import type { SampleRecord } from '../record.ts';

const WORDS = 13;

export interface Contamination {
  /** Items that were looked for. */
  readonly items: number;
  /** Training problems and documents that were looked through. */
  readonly problems: number;
  readonly documents: number;
  readonly contaminated: number;
  /** A few of them, with where they were found. */
  readonly examples: readonly string[];
}

export interface ContaminationOptions {
  /** Of each stage that draws conversations. */
  readonly problems: number;
  readonly seed: number;
  readonly signal?: AbortSignal;
  /** Called now and then, so that a program stays awake. */
  readonly breathe?: () => Promise<void>;
}

export async function findContamination(
  records: readonly SampleRecord[],
  encoding: HarmonyEncoding,
  { problems, seed, signal, breathe }: ContaminationOptions,
): Promise<Contamination> {
  const items = new Set<string>();
  const byKey = new Map<string, string>(); // family and key -> item
  const byPrompt = new Map<string, string>(); // fingerprint -> item
  const byWords = new Map<string, string>();
  for (const { item, cell, question, extra } of records) {
    // `family/set/key`, whose key may hold anything.
    const family = item.slice(0, item.indexOf('/'));
    if (taskFamilyNamed(family).isFixed && cell.set !== 'template') continue;
    items.add(item);
    byKey.set(`${family} ${item.slice(family.length + cell.set.length + 2)}`, item);
    if (cell.tools === 'off' && typeof extra?.['prompt'] === 'string' && extra['prompt'] !== '')
      byPrompt.set(extra['prompt'], item);
    if (cell.set === 'template') for (const stretch of stretches(wordsOf(question))) byWords.set(stretch, item);
  }
  const found = new Map<string, string>();
  const look = (prompt: readonly Message[], where: string): void => {
    const same = byPrompt.get(promptFingerprint(prompt));
    if (same !== undefined) found.set(same, `the whole prompt in ${where}`);
    for (const stretch of stretches(wordsOf(textOf(prompt.at(-1)!)))) {
      const item = byWords.get(stretch);
      if (item !== undefined) found.set(item, `“${stretch}” in ${where}`);
    }
  };
  for (const stage of conversationStages) {
    const mixture = new TaskMixture(encoding, conversationOptions({ seed }, stage));
    for (let n = 0; n < problems; n++) {
      const { item, messages, promptLength } = mixture.conversation(n * 3);
      const where = `problem ${n} of ${stage}`;
      const before = messages.slice(0, promptLength - 1);
      const known = byKey.get(`${item.family} ${item.key}`);
      if (known !== undefined) found.set(known, `its content in ${where}`);
      for (const content of [...item.prompts, ...(item.followUps ?? [])]) {
        look([...before, { role: 'user', content }], `${where} (${item.family})`);
      }
      if (n % 256 === 0) {
        await breathe?.();
        signal?.throwIfAborted();
      }
    }
  }
  const documents = Math.floor(problems / 4);
  const texts = new DocumentMixture({ seed });
  for (let n = 0; n < documents; n++) {
    const { text, questions } = texts.documentOf(n);
    // Where a page asks nothing itself, each of its lines might be what is asked.
    for (const content of [text, ...(questions ?? text.split('\n'))])
      look([{ role: 'user', content }], `document ${n}`);
    if (n % 256 === 0) {
      await breathe?.();
      signal?.throwIfAborted();
    }
  }
  return {
    ...{ items: items.size, problems: problems * conversationStages.length, documents, contaminated: found.size },
    examples: [...found].slice(0, 10).map(([item, where]) => `${item}: ${where}`),
  };
}

/** Of everything but the system message, without regard to case and punctuation. Short prompts are no texts: empty. */
export function promptFingerprint(prompt: readonly Message[]): string {
  const words = prompt.filter(({ role }) => role !== 'system').flatMap((message) => wordsOf(textOf(message)));
  const text = words.join(' ');
  return words.length < 3 ? '' : `${hash32(text).toString(16)}-${hash32(` ${text}`).toString(16)}`;
}

function textOf({ content }: Message): string {
  return typeof content === 'string' ? content : JSON.stringify(content);
}

function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}]+|[-+*/×÷−<>=%^()]/gu) ?? [];
}

function* stretches(all: readonly string[]): Generator<string> {
  const words = all.filter((word) => /[\p{L}\p{N}]/u.test(word)); // the rule under a table's head is no text
  for (let at = 0; at + WORDS <= words.length; at++) yield words.slice(at, at + WORDS).join(' ');
}
