// The folder that patches touch, through the tool, with everything around it watched.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ToolOutput } from '../tool.ts';
import { openPatchFolder } from './folder.node.ts';
import { applyPatchTool } from './patch-tool.ts';

let outer: string;
let root: string;

beforeEach(() => {
  outer = mkdtempSync(join(tmpdir(), 'gptoss-patch-'));
  root = join(outer, 'work');
  mkdirSync(join(root, 'sub'), { recursive: true });
  writeFileSync(join(root, 'a.txt'), 'one\ntwo\n');
  writeFileSync(join(root, 'sub', 'b.txt'), 'b\n');
  writeFileSync(join(outer, 'secret.txt'), 'secret\n');
});
afterEach(() => rmSync(outer, { recursive: true, force: true }));

async function apply(...lines: string[]): Promise<ToolOutput> {
  const tool = applyPatchTool(await openPatchFolder(root));
  const text = ['*** Begin Patch', ...lines, '*** End Patch'].join('\n');
  return tool.run({ text, value: undefined }, { signal: AbortSignal.abort(), id: 'x', show: () => undefined });
}

/** Every file below a folder with its text; links are named, never followed. */
function all(folder: string, prefix = ''): Record<string, string> {
  const files: Record<string, string> = {};
  for (const entry of readdirSync(join(folder, prefix), { withFileTypes: true })) {
    const name = prefix + entry.name;
    if (entry.isFile()) files[name] = readFileSync(join(folder, name), 'utf8');
    else if (entry.isDirectory()) Object.assign(files, { [`${name}/`]: '' }, all(folder, `${name}/`));
    else if (entry.isSymbolicLink()) files[name] = `-> ${readlinkSync(join(folder, name))}`;
    else files[name] = 'special';
  }
  return files;
}

describe('apply_patch', () => {
  it('adds, changes, moves and deletes files', async () => {
    chmodSync(join(root, 'a.txt'), 0o755);
    const { text, isError } = await apply(
      ...['*** Add File: new/deep/c.txt', '+hello', '*** Update File: a.txt', '@@', '-two', '+TWO'],
      ...['*** Update File: sub/b.txt', '*** Move to: sub/d.txt', '@@', '-b', '+d'],
    );
    expect(isError).toBeUndefined();
    expect(text).toBe('Done!\nA new/deep/c.txt\nM a.txt\nR sub/b.txt -> sub/d.txt');
    expect(all(root)).toEqual({
      ...{ 'a.txt': 'one\nTWO\n', 'new/': '', 'new/deep/': '', 'new/deep/c.txt': 'hello\n' },
      ...{ 'sub/': '', 'sub/d.txt': 'd\n' },
    });
    expect(statSync(join(root, 'a.txt')).mode & 0o777).toBe(0o755);
    expect((await apply('*** Delete File: sub/d.txt')).text).toBe('Done!\nD sub/d.txt');
    expect(existsSync(join(root, 'sub', 'd.txt'))).toBe(false);
  });

  it('changes nothing when a later file of the patch fails, also while writing', async () => {
    const before = all(outer);
    const first = ['*** Update File: a.txt', '@@', '-two', '+TWO', '*** Add File: new/c.txt', '+c'];
    expect((await apply(...first, '*** Delete File: missing.txt')).text).toMatch(/Delete File Error - missing file/);
    expect(all(outer)).toEqual(before);
    // `a.txt/x` needs a folder where the patch itself has a file.
    expect((await apply(...first, '*** Add File: new/c.txt/x', '+x')).text).toMatch(/^Error: /);
    expect(all(outer)).toEqual(before);
  });

  it('says what it would write before it does', async () => {
    const tool = applyPatchTool(await openPatchFolder(root));
    const text = '*** Begin Patch\n*** Delete File: a.txt\n*** Update File: q\n*** Move to: r\n*** End Patch';
    expect(tool.needs?.({ text, value: undefined })).toMatchObject({
      effects: ['write'],
      summary: expect.stringContaining('delete a.txt, move q to r'),
    });
    expect(tool.needs?.({ text: 'nonsense', value: undefined })).toBeNull();
  });

  it('edits no bytes, no huge files and nothing that exists under a name it adds', async () => {
    writeFileSync(join(root, 'bytes'), Uint8Array.of(0xff, 0xfe, 0x00));
    writeFileSync(join(root, 'large'), new Uint8Array(8 * 2 ** 20 + 1));
    expect((await apply('*** Update File: bytes', '@@', '-x')).text).toMatch(/UTF-8/);
    expect((await apply('*** Update File: large', '@@', '-x')).text).toMatch(/Too large/);
    expect((await apply('*** Add File: a.txt', '+x')).text).toMatch(/already exists/);
    expect((await apply('*** Update File: a.txt', '*** Move to: sub/b.txt', '@@', '-two')).text).toMatch(
      /already exists/,
    );
  });

  it('writes a hard link anew instead of through it', async () => {
    linkSync(join(outer, 'secret.txt'), join(root, 'hard.txt'));
    await apply('*** Update File: hard.txt', '@@', '-secret', '+mine');
    expect(readFileSync(join(outer, 'secret.txt'), 'utf8')).toBe('secret\n');
    expect(readFileSync(join(root, 'hard.txt'), 'utf8')).toBe('mine\n');
  });
});

describe('outside of its folder', () => {
  const escapes: readonly (readonly [string, (path: string) => string[]])[] = [
    ['add', (path) => [`*** Add File: ${path}`, '+x']],
    ['update', (path) => [`*** Update File: ${path}`, '@@', '-secret', '+x']],
    ['delete', (path) => [`*** Delete File: ${path}`]],
    ['move', (path) => ['*** Update File: a.txt', `*** Move to: ${path}`, '@@', '-two', '+x']],
  ];
  const paths = [
    ...['../secret.txt', '../new.txt', 'sub/../../secret.txt', './../secret.txt', '..', '.', '/', 'sub', 'sub/'],
    ...['link.txt', 'linked/secret.txt', 'linked/new.txt', 'dangling', 'pipe', '~/x', 'C:\\x', '..\\secret.txt'],
    ...['.git/hooks/post-commit', '.GIT/config', 'sub/.git/config', 'a.txt/x', 'nul\u0000', 'a\tb'],
    ...['/dev/null', '/etc/passwd', '/proc/self/environ', '//etc/passwd', 'x'.repeat(2000), 'y'.repeat(300)],
  ];

  it.each(escapes)('%s touches nothing', async (_, lines) => {
    symlinkSync(join(outer, 'secret.txt'), join(root, 'link.txt'));
    symlinkSync(outer, join(root, 'linked'));
    symlinkSync(join(outer, 'not-there'), join(root, 'dangling'));
    execFileSync('mkfifo', [join(root, 'pipe')]);
    const before = all(outer);
    for (const path of [...paths, join(outer, 'secret.txt'), join(root, 'a.txt')]) {
      const { text, isError } = await apply(...lines(path));
      expect([path, isError, text.startsWith('Error: ')]).toEqual([path, true, true]);
      expect(all(outer)).toEqual(before);
    }
  });

  it('random patches touch nothing, and none throws', async () => {
    const outside = all(outer);
    for (const name of Object.keys(outside)) if (name.startsWith('work')) delete outside[name];
    const path = fc.constantFrom('a.txt', 'sub/b.txt', 'n', '../x', '../secret.txt', '/tmp/gptoss-no', 'sub', '');
    const section = fc.oneof(
      path.map((each) => [`*** Add File: ${each}`, '+x']),
      path.map((each) => [`*** Delete File: ${each}`]),
      fc.tuple(path, path).map(([from, to]) => [`*** Update File: ${from}`, `*** Move to: ${to}`, '@@', '-two', '+x']),
      fc.tuple(path, fc.string()).map(([from, text]) => [`*** Update File: ${from}`, '@@', ' one', `+${text}`]),
      fc.string().map((text) => [text]),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(section, { maxLength: 4 }), async (sections) => {
        const { text, isError } = await apply(...sections.flat());
        expect(isError === true ? text.startsWith('Error: ') : text.startsWith('Done!')).toBe(true);
        const after = all(outer);
        for (const name of Object.keys(after)) {
          if (name.startsWith('work')) expect(name).not.toMatch(/\.patch-/);
          else expect(after[name]).toBe(outside[name]);
        }
        expect(Object.keys(after).filter((name) => !name.startsWith('work'))).toEqual(Object.keys(outside));
      }),
      { numRuns: 60 },
    );
    expect(existsSync('/tmp/gptoss-no')).toBe(false);
  });
});
