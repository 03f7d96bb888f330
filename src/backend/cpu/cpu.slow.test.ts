// All answers of the trained tiny model on every variant of the cpu backend; cpu.test.ts takes a sample.
import { describeSeedTiny } from '../../model/seed-tiny.case.ts';
import { testBackend, testVariants } from './addon.testing.ts';

for (const variant of testVariants()) {
  describeSeedTiny(`cpu ${variant}`, (options) => testBackend({ ...options, variant }));
}
