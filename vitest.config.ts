import { defineConfig } from 'vitest/config';

// The default tier: no GPU, no network, no browser, no timing (docs: CONTRIBUTING.md, "Test tiers").
export default defineConfig({
  test: {
    include: [
      'src/**/*.test.ts',
      'web/**/*.test.ts',
      'test/**/*.test.ts',
      'scripts/**/*.test.ts',
      'bench/**/*.test.ts',
    ],
    exclude: ['test/clients/**', '**/*.{slow,web}.test.ts', 'node_modules/**', 'dist/**'],
    pool: 'forks',
    maxWorkers: '100%', // the default leaves a core idle
    // Against hangs only: a busy machine is ten times slower than an idle one.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    setupFiles: ['./test/fuzz-seed.ts'],
    reporters: ['default', './test/summary-reporter.ts'],
  },
});
