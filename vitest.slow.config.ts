import { defineConfig } from 'vitest/config';

// The slow tier: long fuzz, training runs, ten-thousand-turn runs.
export default defineConfig({
  test: {
    include: ['src/**/*.slow.test.ts', 'test/**/*.slow.test.ts'],
    pool: 'forks',
    testTimeout: 3_600_000,
    setupFiles: ['./test/fuzz-seed.ts'],
    reporters: ['default', './test/summary-reporter.ts'],
  },
});
