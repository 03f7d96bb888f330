// The cpu backend under the common suites, once for each variant that this machine can run.
// What is special about native code (lifetimes, threads, bad arguments) is in addon.test.ts.
import { describe, it } from 'vitest';
import { describeModel } from '../../model/model.case.ts';
import { describeSeedTiny } from '../../model/seed-tiny.case.ts';
import { describeBackend } from '../backend.case.ts';
import type { Precision } from '../backend.ts';
import { addonPath, testBackend, testVariants } from './addon.testing.ts';
import { findAddon } from './addon.ts';
import type { CpuOptions } from './cpu.ts';

const { addon, problems } = findAddon(addonPath);

if (addon === null) {
  describe('backend cpu', () => {
    it.skip(`is not built: ${problems.join('; ')}`, () => {});
  });
} else {
  for (const [rank, variant] of testVariants().entries()) {
    const make = (options: CpuOptions) => testBackend({ ...options, variant });
    // Variants of a family (avx512, avx512-vnni) differ in the dots of `fast`. What they share runs on the plain one and
    // on the best of this machine; on all in cpu.slow.test.ts.
    const precisions: Precision[] = rank > 0 && variant.includes('-') ? ['fast'] : ['exact', 'fast'];
    describeBackend(`cpu ${variant}`, make, { precisions });
    describeModel(`cpu ${variant}`, make, { precisions });
    if (precisions.length < 2) continue;
    // All 71 run in cpu.slow.test.ts, on two threads.
    describeSeedTiny(`cpu ${variant}`, (options) => make({ ...options, threads: 1 }), { every: 24 });
  }
}
