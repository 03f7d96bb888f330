// Memory against hostile files: see hostile-memory.ts. hostile-memory.slow.test.ts opens many more.

import { expect, it } from 'vitest';
import { openHostileFiles, PROMISED_BYTES } from './hostile-memory.ts';

it('hostile files under 1 MB are opened or refused within 300 MB', () => {
  const { cases, opened, peak, worst } = openHostileFiles(500);
  expect(cases).toBeGreaterThan(530);
  expect(opened).toBeGreaterThan(20);
  expect(peak, worst).toBeLessThan(PROMISED_BYTES);
});
