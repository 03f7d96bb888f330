// Pairs about what is right: of each, the chosen ending is the family's own, the rejected one differs in the way it says.
import { describe, expect, it } from 'vitest';
import { contrastPair } from './contrasts.ts';
import { smallVocabulary } from './data.testing.ts';
import type { Example } from './examples.ts';

const { tokenizer, encoding } = smallVocabulary(1024);
const text = ({ ids }: Example): string => tokenizer.decode([...ids]);
const finalOf = (example: Example): string => text(example).split('<|channel|>final<|message|>').at(-1)!;
const reasoningOf = (example: Example): number => text(example).split('<|start|>assistant').slice(1).join('').length;

describe('a contrast', () => {
  const pairs = Array.from({ length: 60 }, (_, n) => contrastPair(encoding, { seed: 4 }, n));

  it('of answers has the same reasoning and another answer', () => {
    for (const { of, chosen, rejected } of pairs) {
      if (of !== 'answer') continue;
      expect(finalOf(rejected)).not.toBe(finalOf(chosen));
      const upTo = (example: Example): string => text(example).slice(0, text(example).lastIndexOf('<|message|>'));
      expect(upTo(rejected)).toBe(upTo(chosen));
    }
  });

  it('of calls prefers the answer to a call of something undeclared or unfit', () => {
    for (const { of, chosen, rejected } of pairs) {
      if (of !== 'call') continue;
      expect(text(rejected)).toMatch(/ to=(python|functions\.\w+)[\s\S]*<\|call\|>$/);
      expect(text(chosen)).toMatch(/<\|return\|>$/);
      expect(text(chosen)).not.toContain('<|call|>');
    }
  });

  it('of lengths has the same answer after reasoning of another length', () => {
    for (const { of, chosen, rejected } of pairs) {
      if (of !== 'length') continue;
      expect(finalOf(rejected)).toBe(finalOf(chosen));
      expect(reasoningOf(rejected)).not.toBe(reasoningOf(chosen));
    }
  });

  it('is a function of seed and number', () => {
    expect(text(contrastPair(encoding, { seed: 4 }, 7).rejected)).toBe(text(pairs[7]!.rejected));
    expect(text(contrastPair(encoding, { seed: 5 }, 7).rejected)).not.toBe(text(pairs[7]!.rejected));
  });
});
