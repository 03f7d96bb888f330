// Which build of the addon the tests load: the usual one, or (for sanitizers) the file that GPTOSS_TEST_ADDON names.
import { CpuBackend, type CpuOptions, cpuVariants } from './cpu.ts';

export const addonPath = process.env['GPTOSS_TEST_ADDON'];

export const testVariants = (): readonly string[] => cpuVariants(addonPath);

export function testBackend(options: CpuOptions): CpuBackend {
  return new CpuBackend({ threads: 2, addonPath, ...options });
}
