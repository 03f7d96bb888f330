// The long run of fuzz.test.ts, with a bound on memory.

import { expect, it } from 'vitest';
import { fuzz } from './fuzz.testing.ts';

it('200,000 mutated checkpoints open or are refused, in bounded memory', () => {
  let peak = 0;
  for (let i = 0; i < 200; i++) {
    fuzz(1_000_000 + i * 1000, 1000);
    peak = Math.max(peak, process.memoryUsage().arrayBuffers);
  }
  expect(peak).toBeLessThan(1 << 30); // before collection; the files have 40 KB each
});
