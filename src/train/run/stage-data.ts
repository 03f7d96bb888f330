// What each stage of the recipe learns from, example by example and with a name for where it comes from: for plans that are
// looked at before a run. The stages themselves use the sources in recipe.ts, which draw the same.

import type { HarmonyEncoding } from '../../text/harmony/encoding.ts';
import { contrastPair } from '../data/contrasts.ts';
import { DocumentMixture } from '../data/documents.ts';
import { conversationExample, documentExample, type Example } from '../data/examples.ts';
import { TaskMixture } from '../data/mixture.ts';
import { preferencePair } from '../data/preferences.ts';
import { conversationOptions, type Recipe } from './recipe.ts';
import type { StageKind } from './stages.ts';

export interface NamedExample {
  /** A family, a kind of document or a kind of pair. */
  readonly of: string;
  readonly example: Example;
  /** Of pairs: what is rejected. */
  readonly rejected?: Example;
}

/** Example n of a stage, for any n. Reinforcement has prompts: an example is one with a solution. */
export function stageExamples(encoding: HarmonyEncoding, recipe: Recipe, kind: StageKind): (n: number) => NamedExample {
  const { seed, families: named } = recipe;
  const families = named === undefined ? {} : { families: named };
  switch (kind) {
    case 'pretrain': {
      const documents = new DocumentMixture({ seed, ...families });
      return (n) => {
        const { of, text } = documents.documentOf(n);
        return { of, example: documentExample(encoding, text) };
      };
    }
    case 'sft':
    case 'anneal': {
      const mixture = new TaskMixture(encoding, conversationOptions(recipe, kind));
      return (n) => {
        const { example, conversation } = mixture.exampleOf(n);
        return { of: conversation.item.family, example };
      };
    }
    case 'dpo': {
      const options = { seed: seed + 3, ...families };
      return (n) => {
        if (n % 3 === 0) {
          const { chosen, rejected } = preferencePair(encoding, options, n);
          return { of: 'style', example: chosen, rejected };
        }
        const { of, chosen, rejected } = contrastPair(encoding, options, n);
        return { of, example: chosen, rejected };
      };
    }
    case 'rl': {
      const mixture = new TaskMixture(encoding, conversationOptions(recipe, kind));
      return (n) => {
        const conversation = mixture.conversation(n);
        return { of: conversation.item.family, example: conversationExample(encoding, conversation.messages) };
      };
    }
  }
}
