import { defineConfig } from 'vitest/config';

// Heavier clients and agent programs: scripts/test-clients.mjs installs them first.
export default defineConfig({
  test: {
    include: ['test/clients/*.test.ts'],
    pool: 'forks',
    testTimeout: 180_000,
    hookTimeout: 180_000,
    reporters: ['default', './test/summary-reporter.ts'],
  },
});
