// The long run of hostile-memory.test.ts: the same bound over a stretch of the fuzz, garbage collected when V8 likes.

import { expect, it } from 'vitest';
import { openHostileFiles, PROMISED_BYTES } from './hostile-memory.ts';

it('20,000 damaged checkpoints one after the other stay within 300 MB', () => {
  const { cases, peak, worst } = openHostileFiles(20_000);
  expect(cases).toBeGreaterThan(20_000);
  expect(peak, worst).toBeLessThan(PROMISED_BYTES);
});
