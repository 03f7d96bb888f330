// The example of a function of one's own in docs/tools.md is taken from there and run: the embedded model calls it.
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { repoPath } from './shared.ts';

it('the example of docs/tools.md answers through its function', async () => {
  const page = readFileSync(repoPath('docs', 'tools.md'), 'utf8');
  const example = [...page.matchAll(/```ts\n([\s\S]*?)```/g)]
    .map((match) => match[1]!)
    .find((text) => text.includes('tool({'))!;
  const code = example.replace("'gptoss'", JSON.stringify(pathToFileURL(repoPath('src', 'index.ts')).href));
  const folder = mkdtempSync(join(tmpdir(), 'gptoss-tools-'));
  try {
    const file = join(folder, 'example.mts');
    writeFileSync(
      file,
      code.replace('run: ({ expression }) =>', 'run: ({ expression }) => (console.error(expression), 0) ||'),
    );
    const tsx = pathToFileURL(repoPath('node_modules', 'tsx', 'dist', 'loader.mjs')).href;
    const { stdout, stderr } = await promisify(execFile)(process.execPath, ['--import', tsx, file]);
    expect(stderr).toContain('12 * 34');
    expect(stdout).toContain('408');
  } finally {
    rmSync(folder, { recursive: true });
  }
});
