// What levels cost: high thinks at least twice as long as medium, on the whole; less in suites whose medium has to write much
// to be right (calls and small talk have little to think about). Low does not think: what it writes, all levels write. Shares
// count what is there.
import { describe, expect, it } from 'vitest';
import { smallVocabulary } from './data.testing.ts';
import { TaskMixture } from './mixture.ts';
import { familyLengths, sharesOf } from './statistics.ts';

const { encoding } = smallVocabulary(1024);

describe('lengths', () => {
  const lengths = familyLengths(encoding, 12);
  const mean = (level: 'low' | 'medium' | 'high', of = lengths): number =>
    of.reduce((sum, { written }) => sum + written[level], 0) / of.length;

  const thought = (level: 'medium' | 'high', of = lengths): number => mean(level, of) - mean('low', of);

  it('at least double from level to level', () => {
    expect(mean('medium')).toBeGreaterThan(2 * mean('low'));
    expect(thought('high')).toBeGreaterThan(2 * thought('medium'));
  });

  it.each([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13])('grow in suite %i', (suite) => {
    const of = lengths.filter((each) => each.suite === suite);
    expect(mean('medium', of)).toBeGreaterThan(2 * mean('low', of));
    expect(thought('high', of)).toBeGreaterThan(1.5 * thought('medium', of));
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
