// The web behind the browser: each search service as it answers, played by a local server, and pages of several types.
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebPages, webSearch } from './web.node.ts';

let server: Server;
let port: number;
let seen: { url: string; headers: IncomingMessage['headers']; body: string }[] = [];
let answer: unknown;

const pages: Record<string, readonly [string, string | Uint8Array]> = {
  '/html': ['text/html', '<title>T</title><p>x</p>'],
  '/bare': ['', '<!doctype html><title>T</title>'],
  '/latin': ['text/html; charset=iso-8859-1', Uint8Array.of(0x63, 0x61, 0x66, 0xe9)],
  '/sjis': ['text/html', new Uint8Array([...Buffer.from('<meta charset="shift_jis"><p>'), 0x93, 0x8c, 0x8b, 0x9e])],
  '/unknown': ['text/plain; charset=x-klingon', 'plain'],
  '/json': ['application/json', '{"a": 1}'],
  '/md': ['text/markdown', '# M'],
  '/pdf': ['application/pdf', '%PDF-1.4 broken'],
};

beforeAll(async () => {
  server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => {
      seen.push({ url: request.url!, headers: request.headers, body });
      const [type, text] = pages[request.url!] ?? ['application/json', JSON.stringify(answer)];
      response.writeHead(200, type === '' ? {} : { 'content-type': type }).end(text);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const signal = new AbortController().signal;
const found = [
  {
    url: 'https://example.org/a',
    title: 'A <b>bold</b>',
    content: 'about a',
    description: 'about <strong>a</strong>',
    summary: 'about a',
  },
  { url: 'javascript:alert(1)', title: 'no' },
  { title: 'no address' },
  null,
  { url: 'http://example.org/b' },
];

describe('a search', () => {
  it.each([
    ['searxng', { results: found }, /^\/search\?format=json&q=two%20words%20%26$/, {}],
    [
      'brave',
      { web: { results: found } },
      /^\/res\/v1\/web\/search\?q=two%20words%20%26&count=3$/,
      { 'x-subscription-token': 'k' },
    ],
    ['exa', { results: found }, /^\/search$/, { 'x-api-key': 'k' }],
  ] as const)('by %s asks as the service wants and reads what it says', async (kind, result, url, headers) => {
    answer = result;
    seen = [];
    const search = webSearch({ kind, url: `http://127.0.0.1:${port}`, key: 'k' });
    expect(await search.search('two words &', 3, signal)).toEqual([
      { url: 'https://example.org/a', title: 'A bold', summary: 'about a' },
      { url: 'http://example.org/b', title: '', summary: '' },
    ]);
    expect(seen).toHaveLength(1);
    expect(seen[0]!.url).toMatch(url);
    expect(seen[0]!.headers).toMatchObject(headers);
    if (kind === 'exa') expect(JSON.parse(seen[0]!.body)).toMatchObject({ query: 'two words &', numResults: 3 });
    if (kind === 'searxng') expect(JSON.stringify(seen[0]!.headers)).not.toContain('"k"');
    expect(search.host).toBe(`127.0.0.1:${port}`);
    answer = { error: 'quota' };
    await expect(search.search('x', 3, signal)).rejects.toThrow('answered without results');
    await search.close();
  });

  it('needs its address or its key', () => {
    expect(() => webSearch({ kind: 'searxng' })).toThrow(/needs an address/);
    expect(() => webSearch({ kind: 'brave' })).toThrow(/needs a key/);
    expect(() => webSearch({ kind: 'exa', key: '' })).toThrow(/needs a key/);
  });
});

describe('a page of the web', () => {
  it('is read by its type and its alphabet', async () => {
    const web = new WebPages({ allowed: [{ address: '127.0.0.1', port }] });
    const open = async (path: string): Promise<string> => {
      const { format, text } = await web.open(`http://127.0.0.1:${port}${path}`, signal);
      return `${format}: ${text}`;
    };
    expect(await open('/html')).toMatch(/^html: /);
    expect(await open('/bare')).toMatch(/^html: /);
    expect(await open('/latin')).toBe('html: café');
    expect(await open('/sjis')).toContain('東京');
    expect(await open('/unknown')).toBe('text: plain');
    expect(await open('/json')).toBe('text: {"a": 1}');
    expect(await open('/md')).toBe('markdown: # M');
    await expect(open('/pdf')).rejects.toThrow(/no PDF that can be read/);
    expect([web.hostOf('https://a.example:8443/x'), web.hostOf('file:///x'), web.hostOf('x')]).toEqual([
      ...['a.example:8443', null, null],
    ]);
    await web.close();
  });
});
