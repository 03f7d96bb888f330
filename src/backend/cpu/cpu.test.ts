// The cpu backend under the common suites, once for each variant that this machine can run.
// What is special about native code (lifetimes, threads, bad arguments) is in addon.test.ts.
import { describe, it } from 'vitest';
import { describeModel } from '../../model/model.case.ts';
import { describeSeedTiny } from '../../model/seed-tiny.case.ts';
import { describeBackend } from '../backend.case.ts';
import { addonPath, testBackend, testVariants } from './addon.testing.ts';
import { findAddon } from './addon.ts';

const { addon, problems } = findAddon(addonPath);

if (addon === null) {
  describe('backend cpu', () => {
    it.skip(`is not built: ${problems.join('; ')}`, () => {});
  });
} else {
  for (const variant of testVariants()) {
    describeBackend(`cpu ${variant}`, (options) => testBackend({ ...options, variant }));
    describeModel(`cpu ${variant}`, (options) => testBackend({ ...options, variant }));
    // All 71 run in cpu.slow.test.ts.
    describeSeedTiny(`cpu ${variant}`, (options) => testBackend({ ...options, variant }), { every: 12 });
  }
}
