// Damaged checkpoints by the thousand; fuzz.slow.test.ts runs many more of the same.

import { describe, expect, it } from 'vitest';
import { attempt, fuzz, touch } from './fuzz.testing.ts';
import { ggufBytes, openBytes, openTinyFolder } from './hostile.testing.ts';

describe('mutated checkpoints', () => {
  it('are built from files that open', () => {
    expect(attempt(() => touch(openBytes(ggufBytes())))).toBe(true);
    expect(attempt(() => touch(openTinyFolder()))).toBe(true);
  });

  it('open or are refused, 5,000 of them, and nothing else happens', () => {
    const { opened } = fuzz(1, 5000);
    expect(opened).toBeGreaterThan(100); // the mutations reach beyond the first check
    expect(opened).toBeLessThan(4900);
  });
});
