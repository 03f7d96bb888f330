// What the documents promise: links lead somewhere, the tree that README draws exists, every command of the table is one
// that the program has. README's example: readme.test.ts.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseArguments } from '../src/cli/arguments.ts';
import { repoPath } from './shared.ts';

const DOCUMENTS = [
  'README.md',
  'README.ja.md',
  'ARCHITECTURE.md',
  'CONTRIBUTING.md',
  'docs/command-line.md',
  'docs/training.md',
];
const read = (name: string): string => readFileSync(repoPath(name), 'utf8');

describe('README', () => {
  it('draws folders and files that exist', () => {
    const tree = /```\n(src\/[\s\S]*?)```/.exec(read('README.md'))![1]!;
    const missing: string[] = [];
    let parent = '';
    for (const line of tree.trimEnd().split('\n')) {
      const [, indent, name] = /^( *)(\S+)/.exec(line)!;
      if (indent === '') parent = name!;
      const path = indent === '' ? name! : join(parent, name!);
      if (!existsSync(repoPath(path))) missing.push(path);
    }
    expect(missing).toEqual([]);
  });
});

describe('the documents', () => {
  it.each(DOCUMENTS)('%s links only to files that are there', (document) => {
    const links = [...read(document).matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map((match) => match[1]!);
    expect(links.filter((link) => !existsSync(join(dirname(repoPath(document)), link)))).toEqual([]);
  });

  it('list every command in docs/command-line.md, and no other', () => {
    const help = parseArguments(['--help'], { version: '', interactive: false });
    const commands = [...(help.kind === 'text' ? help.text : '').matchAll(/^ {2}([a-z]+) .*\S/gm)].map(
      (match) => match[1],
    );
    const real = commands.filter((name) => name !== 'gptoss' && name !== 'help');
    const listed = [...read('docs/command-line.md').matchAll(/^\| `([a-z]+)[^|]*\|/gm)].map((match) => match[1]);
    expect(listed).toEqual(real);
  });
});
