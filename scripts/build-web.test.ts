// What a browser is given: bundles without anything of Node. What they do there: test/web/ (`npm run test:web`).

import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { buildWeb } from './build-web.ts';

describe('the browser bundles', () => {
  const folder = mkdtempSync(join(tmpdir(), 'gptoss-web-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('hold the core, harmony and the tokenizer, and two small packages', async () => {
    const built = await buildWeb({ folder });
    expect(built.map(({ name }) => name)).toEqual(['gptoss.js', 'harmony.js', 'tokenizer.js']);
    expect(built.map(({ packages }) => packages)).toEqual([['@huggingface/jinja', '@cfworker/json-schema'], [], []]);
    expect(readdirSync(folder)).toEqual(expect.arrayContaining(['gptoss.js', 'gptoss.js.map']));
    for (const { name, gzip } of built) expect(gzip, name).toBeLessThan(150_000); // a page loads it before the model
  });

  it('are not made when a Node module leaks in', async () => {
    const error: unknown = await buildWeb({ folder, entries: { leak: 'src/open.node.ts' } }).catch(
      (error: unknown) => error,
    );
    expect(JSON.stringify(error)).toContain('src/open.node.ts imports node:url, which a browser does not have');
  });
});
