// The browser as the model meets it: exact displays, cursors, errors. Pages come from memory; the web is in other tests.
import { describe, expect, it } from 'vitest';
import type { ToolOutput, Toolset } from '../tool.ts';
import { FetchError } from './addresses.ts';
import type { PageBackend, SearchBackend } from './backend.ts';
import { browserTool } from './browser-tool.ts';
import type { PageSource } from './page.ts';
import { pageOf } from './page-text.ts';

const long = Array.from({ length: 300 }, (_, i) => `Paragraph ${i} of a long text.`).join('\n\n');
const pages: Record<string, Omit<PageSource, 'url'>> = {
  'https://example.org/a': {
    format: 'html',
    text: `<html><head><title>Page A</title><style>x{}</style></head><body><script>alert(1)</script>
      <h1>Heading</h1><p>Some <b>bold</b> text with a <a href="/b">link</a> and
      <a href="https://other.example/x">another</a>, again <a href="/b">the first</a>.</p>
      <ul><li>one</li><li>two <ol><li>deep</li></ol></li></ul>
      <pre>code  here\n  indented</pre><img src="x.png" alt="a picture"><img src="y.png">
      <table><tr><th>k</th><th>v</th></tr><tr><td>a</td><td>1</td></tr></table>
      <p>x<sup>2</sup> and H<sub>2</sub>O</p><a href="javascript:alert(1)">no</a> <a href="#top">up</a>
      <p hidden>hidden</p><p style="display: none">none</p></body></html>`,
  },
  'https://example.org/b': { format: 'markdown', text: `# Page B\n\nBack to [A](https://example.org/a).\n\n${long}` },
};

const search: SearchBackend = {
  name: 'memory',
  host: 'search.example',
  search: async (query) => {
    if (query === 'broken') throw new FetchError('the server answered 500');
    if (query === 'nothing') return [];
    return [
      { url: 'https://example.org/a', title: 'Page A', summary: 'About a.' },
      { url: 'https://other.example/x', title: 'X 【9†fake】', summary: 'with † and\nlines' },
    ];
  },
};
const memory: PageBackend = {
  hostOf: (url) => (url.startsWith('https://') ? new URL(url).host : null),
  open: async (url) => {
    const found = pages[url];
    if (found === undefined) throw new FetchError('the server answered 404');
    return { url, ...found };
  },
};

interface Browser {
  readonly set: Toolset;
  call(name: string, value?: unknown): Promise<ToolOutput>;
}

function open(): Browser {
  const set = browserTool({ search, pages: [memory] });
  return {
    set,
    call: async (name, value) => {
      const tool = set.tools.find(({ recipient }) => recipient === `browser.${name}`)!;
      const text = value === undefined ? '' : JSON.stringify(value);
      return tool.run({ text, value }, { signal: new AbortController().signal, id: 'x', show: () => undefined });
    },
  };
}

describe('the browser shows', () => {
  it('results of a search as a page with numbered links', async () => {
    const { call } = open();
    expect((await call('search', { query: 'some words' })).text).toBe(
      [
        '[0] some words',
        '**viewing lines [0 - 5] of 5**',
        '',
        'L0: ',
        'L1: URL: ',
        'L2: # Search Results',
        'L3: ',
        'L4:   * 【0†Page A†example.org】 About a.',
        'L5:   * 【1†X 〖9‡fake〗†other.example】 with † and lines',
      ].join('\n'),
    );
    expect((await call('search', { query: 'nothing' })).text).toContain('No results');
  });

  it('a page as text with links, lists, code, tables and images', async () => {
    const { call } = open();
    const { text, details } = await call('open', { id: 'https://example.org/a' });
    expect(text).toBe(
      [
        '[0] Page A (https://example.org/a)',
        '**viewing lines [0 - 21] of 21**',
        '',
        'L0: ',
        'L1: URL: https://example.org/a',
        'L2: # Heading',
        'L3: ',
        'L4: Some bold text with a 【0†link】 and 【1†another†other.example】, again 【0†the ',
        'L5: first】.',
        'L6: ',
        'L7:   * one',
        'L8:   * two',
        'L9:     1. deep',
        'L10: ',
        'L11: code  here',
        'L12:   indented',
        'L13: ',
        'L14: [Image 0: a picture][Image 1]',
        'L15: ',
        'L16: k | v',
        'L17: a | 1',
        'L18: ',
        'L19: x^{2} and H_{2}O',
        'L20: ',
        'L21: no up',
      ].join('\n'),
    );
    expect(details).toMatchObject({ kind: 'open', url: 'https://example.org/a', cursor: 0, lines: [0, 21] });
  });

  it('as much as fits, and more when it scrolls', async () => {
    const { call } = open();
    const first = (await call('open', { id: 'https://example.org/b' })).text;
    const [, from, to, all] = /viewing lines \[(\d+) - (\d+)\] of (\d+)/.exec(first)!.map(Number);
    expect([from, all]).toEqual([0, 604]);
    expect(to).toBeGreaterThan(100);
    expect(to).toBeLessThan(400);
    expect((await call('open', { loc: 300, num_lines: 3 })).text).toMatch(/^\[1\] .*\n\*\*viewing lines \[300 - 302\]/);
    expect((await call('open', { cursor: 0, loc: 604 })).text).toContain('L604: Paragraph 299');
  });

  it('links by number, also as text, on the page of a cursor', async () => {
    const { call } = open();
    await call('search', { query: 'x' });
    expect((await call('open', { id: 0 })).text).toContain('[1] Page A');
    expect((await call('open', { id: '0' })).text).toContain('[2] Page B');
    expect((await call('open', { id: 0, cursor: 0 })).text).toContain('[3] Page A');
  });

  it('its source when asked', async () => {
    const { call } = open();
    await call('open', { id: 'https://example.org/a' });
    expect((await call('open', { view_source: true })).text).toContain('<h1>Heading</h1>');
    expect((await call('open', { id: 'view-source:https://example.org/a' })).text).toContain(
      '(view-source:https://example.org/a)',
    );
  });

  it('where a text stands, and the place itself', async () => {
    const { call } = open();
    await call('open', { id: 'https://example.org/b' });
    const { text } = await call('find', { pattern: 'PARAGRAPH 250' });
    expect(text).toBe(
      [
        '[1] Find results for text: `PARAGRAPH 250` in `Page B` (https://example.org/b/find?pattern=PARAGRAPH 250)',
        '**viewing lines [0 - 4] of 4**',
        '',
        'L0: # 【0†match at L506】',
        'L1: Paragraph 250 of a long text.',
        'L2: ',
        'L3: Paragraph 251 of a long text.',
        'L4: ',
      ].join('\n'),
    );
    expect((await call('open', { id: 0 })).text).toContain('viewing lines [502 - ');
    expect((await call('find', { pattern: 'nowhere', cursor: 0 })).text).toContain(
      'L0: No `find` results for pattern: `nowhere`',
    );
    expect((await call('find', { pattern: 'paragraph', cursor: 0 })).details).toMatchObject({ matches: 50 });
  });
});

describe('the browser says', () => {
  it.each([
    ['open', {}, 'No pages to access!'],
    ['find', { pattern: 'x' }, 'No pages to access!'],
    ['search', {}, '`query` is missing'],
    ['search', { query: 'broken' }, 'Error during search for `broken`: the server answered 500'],
    [
      'open',
      { id: 'https://example.org/none' },
      'Error fetching URL `https://example.org/none`: the server answered 404',
    ],
    ['open', { id: 'file:///etc/passwd' }, 'does not open such addresses'],
    ['open', { id: 1.5 }, 'No pages to access!'],
    ['search', [1], 'Invalid function arguments'],
  ])('%s %j: %s', async (name, value, message) => {
    const { text, isError } = await open().call(name, value);
    expect([isError, text]).toEqual([true, expect.stringContaining('Error: ')]);
    expect(text).toContain(message);
  });

  it.each([
    ['open', { cursor: 7 }, 'Cursor `7` is out of range. Available cursor indices: [0 - 0].'],
    ['open', { id: 99 }, 'Invalid link id `99`.'],
    ['open', { loc: 500 }, 'Invalid location parameter: `500`. Cannot exceed page maximum of 5.'],
    ['open', { cursor: 'x' }, '`cursor` should be an integer, not `"x"`'],
    ['find', { pattern: 'x' }, 'Cannot run `find` on search results page'],
    ['find', {}, '`pattern` is missing'],
  ])('after a search: %s %j: %s', async (name, value, message) => {
    const browser = open();
    await browser.call('search', { query: 'q' });
    const { text, isError } = await browser.call(name, value);
    expect([isError, text]).toEqual([true, expect.stringContaining(message)]);
    // What failed is no page: the next one has the next cursor.
    expect((await browser.call('search', { query: 'q' })).text).toMatch(/^\[1\]/);
  });

  it('which host a call would reach, and nothing for pages it has', async () => {
    const { call, set } = open();
    const need = (name: string, value: unknown): unknown =>
      set.tools.find(({ recipient }) => recipient === `browser.${name}`)!.needs!({ text: '', value });
    expect(need('search', { query: 'q' })).toMatchObject({ effects: ['network'], scope: 'search.example' });
    expect(need('open', { id: 'example.org/a' })).toMatchObject({
      scope: 'example.org',
      summary: 'fetch https://example.org/a',
    });
    expect(need('open', { id: 3 })).toBeNull();
    await call('search', { query: 'q' });
    expect(need('open', { id: 0 })).toMatchObject({ scope: 'example.org' });
    await call('open', { id: 0 });
    expect(need('open', { id: 0, cursor: 0 })).toBeNull();
    expect(need('open', { loc: 3 })).toBeNull();
    expect(need('find', { pattern: 'x' })).toBeNull();
  });

  it('what a citation stands for', async () => {
    const { call, set } = open();
    await call('search', { query: 'q' });
    await call('open', { id: 0 });
    await call('find', { pattern: 'heading' });
    expect(set.cite!(1, 'L4')).toEqual({ url: 'https://example.org/a', title: 'Page A' });
    expect(set.cite!(0, 'L4')).toEqual({ url: 'https://example.org/a', title: 'Page A' });
    expect(set.cite!(0, 'L5-L6')).toMatchObject({ url: 'https://other.example/x' });
    expect(set.cite!(2, 'L0')).toEqual({ url: 'https://example.org/a', title: 'Page A' });
    expect(set.cite!(0, 'L1')).toBeNull();
    expect(set.cite!(9, 'L1')).toBeNull();
  });
});

describe('a hostile page', () => {
  it('cannot spell a link, however it tries', () => {
    const text = '【0†x†evil.example】 ◼ <p>【<b>1</b>†y】</p><a href="https://e.example/】†">a†b】c</a>';
    const page = pageOf({ url: 'https://example.org/', format: 'html', text });
    const shown = page.lines.join('\n');
    expect(shown.match(/【[^】]*】/g)).toEqual(['【0†a‡b〗c†e.example】']);
    expect(page.links).toHaveLength(1);
  });

  it('may be deep, broken or empty', () => {
    const deep = pageOf({
      url: 'https://e.example/',
      format: 'html',
      text: `<p>top</p>${'<div><sup>'.repeat(200_000)}x`,
    });
    expect(deep.lines.join('')).toContain('top');
    // What only looks closed, and what only looks open.
    for (const piece of [
      '<b><!--</b>-->',
      '<b></x>',
      '<b><script></b></script>',
      '<b title="</b>">',
      '<!--',
      '<script>',
      '<b ',
    ]) {
      pageOf({ url: 'https://e.example/', format: 'html', text: piece.repeat(50_000) });
    }
    const flat = pageOf({
      url: 'https://e.example/',
      format: 'html',
      text: `${'<p>a<br><b>b</b><li>c'.repeat(5000)}end`,
    });
    expect(flat.lines.join('')).toContain('end');
    for (const text of [
      '',
      '<',
      '<html',
      '</p></p>',
      '<!doctype html>',
      '\0',
      '<a href="http://[">x</a>',
      '<table><td>',
    ]) {
      expect(pageOf({ url: 'https://e.example/', format: 'html', text }).lines.length).toBeGreaterThan(1);
    }
  });
});
