import { defineConfig } from 'vitest/config';

// The browser tier: scripts/test-web.mjs finds or installs Chromium and starts it.
export default defineConfig({
  test: {
    include: ['test/web/**/*.web.test.ts'],
    pool: 'forks',
    testTimeout: 180_000,
    hookTimeout: 180_000,
    reporters: ['default', './test/summary-reporter.ts'],
  },
});
