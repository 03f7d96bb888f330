// The long run of template-sandbox.test.ts: seeds that it does not take.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { seedModel } from '../../../test/shared.ts';
import { fuzzTemplates } from './template-sandbox.testing.ts';

it('20,000 seeded templates are refused or rendered within bounds', () => {
  const tiny = readFileSync(join(seedModel, 'chat_template.jinja'), 'utf8');
  const { rendered, refused, longestText } = fuzzTemplates(1_000_000, 20_000, [tiny]);
  expect(rendered).toBeGreaterThan(1000);
  expect(refused).toBeGreaterThan(1000);
  expect(longestText).toBeLessThanOrEqual(64 * 1024);
});
