// What the data amounts to: tokens of each family at each level, and what a stage draws from which family. For plans, docs
// and tests; nothing is trained with it. Samples to look at: samples.ts.

import type { HarmonyEncoding } from '../../text/harmony/encoding.ts';
import type { ReasoningEffort } from '../../text/harmony/messages.ts';
import { reasoningEfforts } from '../../text/harmony/messages.ts';
import { type TaskFamily, taskFamilies } from '../tasks/registry.ts';
import { conversationExample, type Example } from './examples.ts';

export interface FamilyLengths {
  readonly family: string;
  readonly suite: number;
  /** Mean tokens of the prompt, level low. */
  readonly prompt: number;
  /** Mean tokens that the model writes, markers included. */
  readonly written: Readonly<Record<ReasoningEffort, number>>;
}

/** Means over `count` training problems of each family, without general tools. */
export function familyLengths(
  encoding: HarmonyEncoding,
  count: number,
  families: readonly TaskFamily[] = taskFamilies,
): FamilyLengths[] {
  return families.map((family) => {
    const written = { low: 0, medium: 0, high: 0 };
    let [prompt, found] = [0, 0];
    for (let n = 0; n < count; n++) {
      for (const level of reasoningEfforts) {
        const task = family.generate(1, n, { level, split: 'train' });
        if (task === null) break;
        const { ids, mask } = conversationExample(encoding, task.messages);
        const learned = mask.reduce((a, b) => a + b, 0);
        written[level] += learned;
        if (level === 'low') {
          prompt += ids.length - learned;
          found++;
        }
      }
    }
    const mean = (sum: number): number => sum / Math.max(1, found);
    return {
      ...{ family: family.name, suite: family.suite, prompt: mean(prompt) },
      written: { low: mean(written.low), medium: mean(written.medium), high: mean(written.high) },
    };
  });
}

export interface Share {
  readonly of: string; // a family, or a kind of document
  readonly examples: number;
  readonly tokens: number;
  /** Tokens that are learned from. */
  readonly learned: number;
}

/** The first `count` examples of a stage by where they come from, largest first. */
export function sharesOf(
  example: (n: number) => { readonly of: string; readonly example: Example },
  count: number,
): Share[] {
  const shares = new Map<string, { examples: number; tokens: number; learned: number }>();
  for (let n = 0; n < count; n++) {
    const { of, example: one } = example(n);
    const share = shares.get(of) ?? { examples: 0, tokens: 0, learned: 0 };
    shares.set(of, share);
    share.examples++;
    share.tokens += one.ids.length;
    for (const learned of one.mask) share.learned += learned;
  }
  return [...shares].map(([of, share]) => ({ of, ...share })).sort((a, b) => b.tokens - a.tokens);
}
