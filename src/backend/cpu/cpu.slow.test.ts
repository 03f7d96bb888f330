// All answers of the trained tiny model on every variant of the cpu backend; cpu.test.ts takes a sample.
import { describeSeedTiny } from '../../model/seed-tiny.case.ts';
import { CpuBackend, cpuVariants } from './cpu.ts';

for (const variant of cpuVariants()) {
  describeSeedTiny(`cpu ${variant}`, (options) => new CpuBackend({ ...options, variant, threads: 2 }));
}
