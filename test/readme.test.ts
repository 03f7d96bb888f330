// The example in the README is taken from there and run, against the sources.
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { repoPath } from './shared.ts';

it('The example in the README prints the answer of the embedded model', async () => {
  const readme = readFileSync(repoPath('README.md'), 'utf8');
  const examples = [...readme.matchAll(/```ts\n([\s\S]*?)```/g)].map((match) => match[1]);
  const example = examples.find((text) => text.includes("from 'gptoss'"));
  expect(example, 'README.md has no example that imports gptoss').toBeDefined();
  const code = example!.replace("'gptoss'", JSON.stringify(pathToFileURL(repoPath('src', 'index.ts')).href));
  expect(example!.trim().split('\n').length).toBeLessThanOrEqual(12);
  const folder = mkdtempSync(join(tmpdir(), 'gptoss-readme-'));
  try {
    const file = join(folder, 'example.mts');
    writeFileSync(file, code);
    const tsx = pathToFileURL(repoPath('node_modules', 'tsx', 'dist', 'loader.mjs')).href;
    const { stdout, stderr } = await promisify(execFile)(process.execPath, ['--import', tsx, file]);
    expect(stdout).toMatch(/921.*\n\d+ tokens/);
    expect(stderr).toContain('921'); // its reasoning
  } finally {
    rmSync(folder, { recursive: true });
  }
});
