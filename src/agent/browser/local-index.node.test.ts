// A folder as a web: search, opening, walls. Also through the browser, offline from question to citation.
import { mkdirSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../../test/server-process.ts';
import { browserTool } from './browser-tool.ts';
import { openLocalIndex } from './local-index.node.ts';

const folder = temporaryFolder();
const root = join(folder.path, 'My Docs');
afterAll(() => folder.remove());

/** A PDF of one page with one line of text, offsets included. */
function pdf(text: string): string {
  const stream = `BT /F1 24 Tf 72 700 Td (${text}) Tj ET`;
  const objects = [
    '<< /Type /Catalog /Pages 2 0 R >>',
    '<< /Type /Pages /Kids [3 0 R] /Count 1 >>',
    '<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>',
    `<< /Length ${stream.length} >>\nstream\n${stream}\nendstream`,
    '<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>',
    '<< /Title (A printed page) >>',
  ];
  let out = '%PDF-1.4\n';
  const offsets = objects.map((object, i) => {
    const at = out.length;
    out += `${i + 1} 0 obj\n${object}\nendobj\n`;
    return `${String(at).padStart(10, '0')} 00000 n \n`;
  });
  const start = out.length;
  out += `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${offsets.join('')}`;
  return `${out}trailer\n<< /Size ${objects.length + 1} /Root 1 0 R /Info 6 0 R >>\nstartxref\n${start}\n%%EOF\n`;
}

beforeAll(() => {
  mkdirSync(join(root, 'guide', 'deep'), { recursive: true });
  mkdirSync(join(root, '.hidden'));
  writeFileSync(join(root, 'README.md'), '# Welcome\n\nStart with the [guide](guide/setup.md).\n');
  writeFileSync(join(root, 'guide', 'setup.md'), '# Setting up\n\nThe flux capacitor needs 1.21 gigawatts to run.\n');
  writeFileSync(join(root, 'guide', 'deep', 'x y.html'), '<title>Deep page</title><p>running capacitors, twice</p>');
  writeFileSync(join(root, 'nihongo.txt'), '東京都庁は新宿区にあります。');
  writeFileSync(join(root, 'print.pdf'), pdf('Printed words about zeppelins'));
  writeFileSync(join(root, 'broken.pdf'), '%PDF-1.4 no');
  writeFileSync(join(root, 'data.bin'), 'flux');
  writeFileSync(join(root, '.hidden', 'secret.md'), 'flux secret');
  writeFileSync(join(folder.path, 'outside.md'), 'flux outside');
  symlinkSync(join(folder.path, 'outside.md'), join(root, 'linked.md'));
  symlinkSync(folder.path, join(root, 'linked'));
});

describe.each(['libsql', ...(process.versions.node.startsWith('20.') ? [] : ['node'])] as ('libsql' | 'node')[])(
  'a folder with %s',
  (sqlite) => {
    it('is searched for all words, then for some; with stems, accents and scripts without spaces', async () => {
      const index = await openLocalIndex(root, { sqlite });
      const urls = async (query: string): Promise<string[]> => (await index.search(query, 10)).map(({ url }) => url);
      const setup = 'local://my-docs/guide/setup.md';
      const deep = 'local://my-docs/guide/deep/x%20y.html';
      expect(index.size).toBe(5);
      expect(await urls('flux gigawatts')).toEqual([setup]);
      expect(new Set(await urls('capacitor'))).toEqual(new Set([setup, deep]));
      expect((await urls('capacitor nonsense gigawatts'))[0]).toBe(setup);
      expect(await urls('zeppelins')).toEqual(['local://my-docs/print.pdf']);
      expect(await urls('新宿区')).toEqual(['local://my-docs/nihongo.txt']);
      expect(await urls('大阪')).toEqual([]);
      expect((await index.search('新宿', 5))[0]!.summary).toContain('東京都庁は新宿区にあります');
      expect(await urls('secret')).toEqual([]);
      expect(await urls('outside')).toEqual([]);
      for (const query of ['"', "'; DROP TABLE pages; --", 'a AND (', 'title:x*', 'NEAR(', '', '\0', '*'])
        await urls(query);
      expect(index.problems).toEqual([expect.stringMatching(/^broken\.pdf: it is no PDF/)]);
      index.close();
    });
  },
);

describe('a folder', () => {
  it('opens its pages and nothing else', async () => {
    const index = await openLocalIndex(root, { baseUrl: 'https://docs.example.org/v1' });
    const open = (path: string): ReturnType<typeof index.open> => index.open(`https://docs.example.org/v1/${path}`);
    expect(await open('guide/setup')).toMatchObject({ url: 'https://docs.example.org/v1/guide/setup.md' });
    expect(await open('')).toMatchObject({ format: 'markdown' });
    expect(await open('print.pdf')).toMatchObject({
      title: 'A printed page',
      text: '[Page 1]\nPrinted words about zeppelins',
    });
    for (const path of ['../outside.md', '%2e%2e/outside.md', 'linked.md', 'linked/outside.md', '.hidden/secret.md']) {
      await expect(open(path)).rejects.toThrow('there is no such page');
    }
    for (const path of ['data.bin', '/etc/passwd', 'guide', '%00', 'broken.pdf']) {
      await expect(open(path)).rejects.toThrow('there is no such page');
    }
    await expect(open('%')).rejects.toThrow('no URL');
    expect(index.hostOf('https://docs.example.org/v2/')).toBeNull();
    renameSync(join(root, 'guide', 'setup.md'), join(root, 'guide', 'setup.bak'));
    symlinkSync(join(folder.path, 'outside.md'), join(root, 'guide', 'setup.md'));
    await expect(open('guide/setup.md')).rejects.toThrow('links are not followed');
    rmSync(join(root, 'guide', 'setup.md'));
    renameSync(join(root, 'guide', 'setup.bak'), join(root, 'guide', 'setup.md'));
    index.close();
  });

  it('keeps its index in a file and reads only what changed', async () => {
    const database = join(folder.path, 'index.db');
    const first = await openLocalIndex(root, { database });
    first.close();
    const page = join(root, 'new.md');
    writeFileSync(page, 'a xylophone');
    utimesSync(page, 1, 1);
    const second = await openLocalIndex(root, { database });
    expect([second.size, (await second.search('xylophone', 5)).length]).toEqual([6, 1]);
    second.close();
    rmSync(page);
    const third = await openLocalIndex(root, { database });
    expect([third.size, await third.search('xylophone', 5)]).toEqual([5, []]);
    third.close();
    writeFileSync(database, 'not a database, but long enough to be looked at as one '.repeat(100));
    await expect(openLocalIndex(root, { database })).rejects.toThrow(/the index of .* cannot be used/);
    await expect(openLocalIndex(join(root, 'none'))).rejects.toThrow(/expected a folder of pages/);
  });

  it('is a web without a network behind the browser', async () => {
    const index = await openLocalIndex(root);
    const set = browserTool({ search: index, pages: [index] });
    const call = async (name: string, value: unknown): Promise<string> => {
      const tool = set.tools.find(({ recipient }) => recipient === `browser.${name}`)!;
      expect(tool.needs!({ text: '', value })).toBeNull();
      const context = { signal: new AbortController().signal, id: 'x', show: () => undefined };
      return (await tool.run({ text: '', value }, context)).text;
    };
    expect(await call('search', { query: 'gigawatts' })).toContain('【0†Setting up†my-docs】');
    expect(await call('open', { id: 0 })).toContain('L4: The flux capacitor needs 1.21 gigawatts');
    expect(set.cite!(1, 'L4')).toEqual({ url: 'local://my-docs/guide/setup.md#L4', title: 'Setting up' });
    expect(await call('open', { id: 'local://my-docs/' })).toContain('【0†guide】');
    expect(await call('open', { id: 0 })).toContain('gigawatts');
    expect(await call('open', { id: 'https://example.org/' })).toMatch(/^Error: .*does not open such addresses/);
    index.close();
  });
});
