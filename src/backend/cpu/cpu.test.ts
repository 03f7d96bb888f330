// The cpu backend under the common suites, once for each variant that this machine can run.
// What is special about native code (lifetimes, threads, bad arguments) is in addon.test.ts.
import { describe, it } from 'vitest';
import { describeModel } from '../../model/model.case.ts';
import { describeSeedTiny } from '../../model/seed-tiny.case.ts';
import { describeBackend } from '../backend.case.ts';
import { findAddon } from './addon.ts';
import { CpuBackend, cpuVariants } from './cpu.ts';

const { addon, problems } = findAddon();

if (addon === null) {
  describe('backend cpu', () => {
    it.skip(`is not built: ${problems.join('; ')}`, () => {});
  });
} else {
  for (const variant of cpuVariants()) {
    describeBackend(`cpu ${variant}`, (options) => new CpuBackend({ ...options, variant, threads: 2 }));
    describeModel(`cpu ${variant}`, (options) => new CpuBackend({ ...options, variant, threads: 2 }));
    // All 71 run in cpu.slow.test.ts.
    describeSeedTiny(`cpu ${variant}`, (options) => new CpuBackend({ ...options, variant, threads: 2 }), { every: 12 });
  }
}
