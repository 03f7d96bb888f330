// What cpu.test.ts takes a sample of: all answers of the trained tiny model on every variant of the cpu backend, and
// `exact` on the variants that share its code with others.
import { describeModel } from '../../model/model.case.ts';
import { describeSeedTiny } from '../../model/seed-tiny.case.ts';
import { describeBackend } from '../backend.case.ts';
import { testBackend, testVariants } from './addon.testing.ts';
import type { CpuOptions } from './cpu.ts';

for (const variant of testVariants()) {
  const make = (options: CpuOptions) => testBackend({ ...options, variant });
  describeBackend(`cpu ${variant}`, make, { precisions: ['exact'] });
  describeModel(`cpu ${variant}`, make, { precisions: ['exact'] });
  describeSeedTiny(`cpu ${variant}`, make);
}
