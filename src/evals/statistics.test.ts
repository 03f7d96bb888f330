// Values worked out by hand or given in the literature, and properties that hold for any sample.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  estimate,
  exactTest,
  majorityOf,
  medianOf,
  pairedDifference,
  passAtK,
  passHatK,
  standardError,
  upperBound,
  wilson,
} from './statistics.ts';

describe('intervals', () => {
  it('are Wilson’s for shares', () => {
    const half = wilson(0.5, 10);
    expect(half.low).toBeCloseTo(0.2366, 4);
    expect(half.high).toBeCloseTo(0.7634, 4);
    expect(wilson(0, 128).low).toBe(0);
    expect(wilson(0, 128).high).toBeCloseTo(0.0291, 4);
    expect(wilson(1, 30).high).toBe(1);
  });

  it('contain the mean and stay within 0 and 1', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(0, 1), { minLength: 1, maxLength: 60 }), (scores) => {
        const { mean, low, high } = estimate(scores.map((score) => [score]));
        expect(low).toBeGreaterThanOrEqual(0);
        expect(high).toBeLessThanOrEqual(1);
        expect(mean).toBeGreaterThanOrEqual(low);
        expect(mean).toBeLessThanOrEqual(high);
      }),
    );
  });

  it('are those of the items where items were asked several times', () => {
    const items = [
      [1, 1, 1, 1],
      [0, 0, 0, 0],
      [1, 1, 1, 1],
      [0, 0, 0, 0],
    ];
    const clustered = estimate(items);
    const independent = estimate(items.flat().map((score) => [score]));
    expect(clustered.mean).toBe(0.5);
    expect(clustered.se).toBeCloseTo(standardError([1, 0, 1, 0])!, 12);
    // Sixteen answers, but four independent ones.
    expect(clustered.high - clustered.low).toBeGreaterThan(1.5 * (independent.high - independent.low));
  });

  it('are bootstrapped for other scores, always the same', () => {
    const items = Array.from({ length: 40 }, (_, i) => [(i % 7) / 7 - 0.2]);
    const once = estimate(items);
    expect(estimate(items)).toEqual(once);
    expect(once.low).toBeLessThan(once.mean);
    expect(once.high).toBeGreaterThan(once.mean);
    expect(once.high - once.low).toBeCloseTo(2 * 1.96 * once.se!, 1);
  });

  it('bound a share that was never seen', () => {
    expect(upperBound(0, 1000)).toBeCloseTo(1 - 0.05 ** (1 / 1000), 8); // 0.2991 %
    expect(upperBound(1, 100)).toBeCloseTo(0.0466, 4);
    expect(upperBound(5, 5)).toBe(1);
  });
});

describe('pairs', () => {
  it('are tested exactly', () => {
    expect(exactTest(0, 0)).toBe(1);
    expect(exactTest(1, 11)).toBeCloseTo((2 * 13) / 4096, 10);
    expect(exactTest(5, 5)).toBe(1);
    expect(exactTest(0, 5000)).toBe(0); // no overflow, no NaN
    expect(exactTest(4900, 5100)).toBeCloseTo(0.0466, 3);
  });

  it('give a difference with its interval, strata alike', () => {
    const up: [number, number][] = Array.from({ length: 30 }, () => [0, 1]);
    const same: [number, number][] = Array.from({ length: 10 }, () => [1, 1]);
    const { mean, better, worse, n, p, low, high } = pairedDifference([up, same]);
    expect(mean).toBe(0.5); // not 30/40
    expect([better, worse, n]).toEqual([30, 0, 40]);
    expect(p).toBeCloseTo(2 ** -29, 12);
    expect([low, high]).toEqual([0.5, 0.5]);
  });
});

describe('repeats', () => {
  it('count unbiased', () => {
    expect(passAtK(5, 2, 2)).toBeCloseTo(0.7, 12);
    expect(passHatK(5, 3, 2)).toBeCloseTo(0.3, 12);
    expect(passAtK(8, 0, 8)).toBe(0);
    expect(passAtK(8, 1, 8)).toBe(1);
    expect(passHatK(8, 7, 8)).toBe(0);
    expect(passHatK(8, 8, 8)).toBe(1);
    expect(passAtK(2, 1, 4)).toBeNaN();
  });

  it('agree with counting all subsets', () => {
    const answers = [1, 0, 0, 1, 0, 1];
    let [any, all, total] = [0, 0, 0];
    for (let i = 0; i < 6; i++) {
      for (let j = i + 1; j < 6; j++) {
        for (let k = j + 1; k < 6; k++) {
          const right = answers[i]! + answers[j]! + answers[k]!;
          total++;
          if (right > 0) any++;
          if (right === 3) all++;
        }
      }
    }
    expect(passAtK(6, 3, 3)).toBeCloseTo(any / total, 12);
    expect(passHatK(6, 3, 3)).toBeCloseTo(all / total, 12);
  });

  it('have a median', () => {
    expect(medianOf([3, 1, 2])).toBe(2);
    expect(medianOf([4, 1, 2, 3])).toBe(2.5);
  });
});

describe('majority', () => {
  it('takes the answer given most often, the first of equals, and never a missing one', () => {
    const of = (text: string) =>
      [...text].map((letter) => [letter === '-' ? null : letter, letter === 'a' ? 1 : 0] as const);
    expect(majorityOf(of('abba'), 4)).toBe(1); // equal: the first
    expect(majorityOf(of('babb'), 4)).toBe(0);
    expect(majorityOf(of('--a-'), 4)).toBe(1);
    expect(majorityOf(of('----'), 4)).toBe(0);
    expect(majorityOf(of('aaabbb'), 3)).toBe(0.5);
    expect(majorityOf(of('ab'), 1)).toBe(0.5);
  });
});
