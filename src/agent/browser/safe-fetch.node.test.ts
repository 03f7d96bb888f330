// Fetching, with somebody on the other side who wants to be reached: a server that plays the public web (its address is
// allowed, for tests only), and one that must never hear anything. Names resolve to what each case says.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FetchError, isPublicAddress } from './addresses.ts';
import { SafeFetcher } from './safe-fetch.node.ts';

let web: Server;
let secret: Server;
let webPort: number;
let secretPort: number;
let secretHits = 0;
let seen: IncomingMessage['headers'][] = [];
const bomb = gzipSync(gzipSync(new Uint8Array(40 * 2 ** 20)));

function answer(request: IncomingMessage, response: ServerResponse): void {
  seen.push(request.headers);
  const url = new URL(request.url!, 'http://x');
  const to = url.searchParams.get('to');
  const send = (type: string | null, body: string | Uint8Array, more: Record<string, string> = {}): void => {
    response.writeHead(200, { ...(type === null ? {} : { 'content-type': type }), ...more }).end(body);
  };
  if (to !== null)
    response
      .writeHead(Number(url.searchParams.get('status') ?? 302), { location: Buffer.from(to).toString('latin1') })
      .end('moved');
  else if (url.pathname === '/loop') response.writeHead(302, { location: `/loop?${Math.random()}` }).end();
  else if (url.pathname === '/bomb') send('text/html', bomb, { 'content-encoding': 'gzip, gzip' });
  else if (url.pathname === '/gzip') send('text/html', gzipSync('packed'), { 'content-encoding': 'gzip' });
  else if (url.pathname === '/br') send('text/html', brotliCompressSync('packed'), { 'content-encoding': 'br' });
  else if (url.pathname === '/broken') send('text/html', 'no gzip', { 'content-encoding': 'gzip' });
  else if (url.pathname === '/thrice') send('text/html', 'x', { 'content-encoding': 'gzip, gzip, gzip' });
  else if (url.pathname === '/zstd') send('text/html', 'x', { 'content-encoding': 'zstd' });
  else if (url.pathname === '/image') send('image/png', 'x');
  else if (url.pathname === '/large') send('text/plain', new Uint8Array(3 * 2 ** 20));
  else if (url.pathname === '/chunks') {
    response.writeHead(200, { 'content-type': 'text/plain' });
    const more = (): void => {
      while (response.write(new Uint8Array(64 * 1024)));
      response.once('drain', more);
    };
    more();
  } else if (url.pathname === '/lie') {
    response.writeHead(200, { 'content-type': 'text/plain', 'content-length': '99999999999' }).write('x');
  } else if (url.pathname === '/silent') return;
  else if (url.pathname === '/drip') response.writeHead(200, { 'content-type': 'text/plain' }).write('x');
  else if (url.pathname === '/500') response.writeHead(500).end('no');
  else send('text/html; charset=utf-8', 'hello');
}

const listening = (server: Server): Promise<number> =>
  new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)));

beforeAll(async () => {
  web = createServer(answer);
  secret = createServer((_, response) => {
    secretHits++;
    response.end('secret');
  });
  secret.on('connection', () => secretHits++);
  webPort = await listening(web);
  secretPort = await listening(secret);
});
afterAll(() => {
  for (const server of [web, secret]) {
    server.closeAllConnections();
    server.close();
  }
});

const names: Record<string, string[]> = {};
let rebinds = 0;

function fetcher(more: ConstructorParameters<typeof SafeFetcher>[0] = {}): SafeFetcher {
  return new SafeFetcher({
    allowed: [{ address: '127.0.0.1', port: webPort }],
    bytes: 2 ** 20,
    seconds: 20,
    resolve: async (name) => {
      if (name === 'rebind.example') return rebinds++ === 0 ? ['127.0.0.1'] : ['127.0.0.1', '10.0.0.1'];
      return names[name] ?? [];
    },
    ...more,
  });
}

const text = ({ bytes }: { bytes: Uint8Array }): string => new TextDecoder().decode(bytes);

/** Where the secret server could be reached, written in every way there is. S: its port. */
const local: readonly (readonly [string, string])[] = [
  ['loopback', 'http://127.0.0.1:S/'],
  ['loopback by name', 'http://localhost:S/'],
  ['loopback by name with a dot', 'http://localhost.:S/'],
  ['loopback below localhost', 'http://a.localhost:S/'],
  ['another loopback address', 'http://127.8.8.8:S/'],
  ['a short loopback address', 'http://127.1:S/'],
  ['loopback as a number', 'http://2130706433:S/'],
  ['loopback in hexadecimal', 'http://0x7f000001:S/'],
  ['loopback in octal', 'http://0177.0.0.1:S/'],
  ['loopback in wide digits', 'http://１２７.０.０.１:S/'],
  ['loopback in percent signs', 'http://%31%32%37.0.0.1:S/'],
  ['loopback with circled digits', 'http://①②⑦.⓪.⓪.①:S/'],
  ['all zeros', 'http://0.0.0.0:S/'],
  ['zero', 'http://0:S/'],
  ['IPv6 loopback', 'http://[::1]:S/'],
  ['IPv6 unspecified', 'http://[::]:S/'],
  ['IPv4-mapped loopback', 'http://[::ffff:127.0.0.1]:S/'],
  ['IPv4-mapped loopback in hexadecimal', 'http://[::ffff:7f00:1]:S/'],
  ['IPv4-compatible loopback', 'http://[::127.0.0.1]:S/'],
  ['NAT64 loopback', 'http://[64:ff9b::7f00:1]/'],
  ['NAT64 loopback, local prefix', 'http://[64:ff9b:1::7f00:1]/'],
  ['6to4 loopback', 'http://[2002:7f00:1::]/'],
  ['Teredo', 'http://[2001:0:7f00:1::]/'],
  ['unique local IPv6', 'http://[fd00::1]/'],
  ['link-local IPv6', 'http://[fe80::1]/'],
  ['site-local IPv6', 'http://[fec0::1]/'],
  ['multicast IPv6', 'http://[ff02::1]/'],
  ['documentation IPv6', 'http://[2001:db8::1]/'],
  ['cloud metadata', 'http://169.254.169.254/latest/meta-data/'],
  ['cloud metadata as a number', 'http://2852039166/'],
  ['cloud metadata, mapped', 'http://[::ffff:169.254.169.254]/'],
  ['cloud metadata by IPv6', 'http://[fd00:ec2::254]/'],
  ['cloud metadata by name', 'http://metadata.google.internal/'],
  ['private 10/8', 'http://10.0.0.1/'],
  ['private 172.16/12', 'http://172.31.255.255/'],
  ['private 192.168/16', 'http://192.168.1.1/'],
  ['carrier-grade NAT', 'http://100.64.0.1/'],
  ['multicast', 'http://224.0.0.1/'],
  ['broadcast', 'http://255.255.255.255/'],
  ['reserved', 'http://240.0.0.1/'],
  ['benchmarking', 'http://198.18.0.1/'],
  ['protocol assignments', 'http://192.0.0.1/'],
  ['documentation', 'http://192.0.2.1/'],
  ['6to4 relay', 'http://192.88.99.1/'],
  ['a bare name', 'http://router/'],
  ['a name of the local network', 'http://printer.local/'],
  ['user and password', 'http://user:password@example.org/'],
  ['a host behind a user name', 'http://example.org@127.0.0.1:S/'],
  ['a backslash before the host', 'http:\\\\127.0.0.1:S\\'],
  ['a port of mail', 'http://example.org:25/'],
  ['a port of Redis', 'http://example.org:6379/'],
  ['a file', 'file:///etc/passwd'],
  ['ftp', 'ftp://example.org/'],
  ['gopher', 'gopher://127.0.0.1:6379/_INFO'],
  ['data', 'data:text/html,x'],
  ['a script', 'javascript:alert(1)'],
  ['a web socket', 'ws://example.org/'],
  ['a socket file', 'unix:/var/run/docker.sock'],
  ['no URL', 'http://'],
  ['a very long URL', `http://example.org/${'x'.repeat(5000)}`],
];

describe('requests to places that are not public', () => {
  it(`are at least 40 named ways`, () => {
    expect(local.length).toBeGreaterThanOrEqual(40);
    expect(new Set(local.map(([name]) => name)).size).toBe(local.length);
  });

  it.each(local)('%s: refused, directly and behind a redirect', async (_, pattern) => {
    const url = pattern.replace('S', String(secretPort));
    const get = fetcher();
    const before = secretHits;
    await expect(get.get(url)).rejects.toThrow(FetchError);
    for (const status of [301, 303, 307]) {
      const way = `http://127.0.0.1:${webPort}/?status=${status}&to=${encodeURIComponent(url)}`;
      await expect(get.get(way)).rejects.toThrow(FetchError);
    }
    expect(secretHits - before).toBe(0);
    await get.close();
  });

  it.each([
    ['to loopback', ['127.0.0.1']],
    ['to a private address', ['10.1.2.3']],
    ['to cloud metadata', ['169.254.169.254']],
    ['to IPv6 loopback', ['::1']],
    ['to a mapped address', ['::ffff:127.0.0.1']],
    ['to a public address and a private one', ['93.184.215.14', '127.0.0.1']],
    ['to a private address and a public one', ['192.168.0.1', '93.184.215.14']],
    ['to something that is no address', ['localhost']],
    ['to nothing', []],
  ])('a public name that leads %s: refused', async (_, addresses) => {
    names['evil.example.org'] = addresses;
    const get = fetcher();
    await expect(get.get('http://evil.example.org:8080/')).rejects.toThrow(FetchError);
    const way = `http://127.0.0.1:${webPort}/?to=${encodeURIComponent('http://evil.example.org/')}`;
    await expect(get.get(way)).rejects.toThrow(/not a public address|not known/);
    await get.close();
  });

  it('a name that changes its address after it was checked: each connection is checked', async () => {
    rebinds = 0;
    const get = fetcher({
      allowed: [
        { address: '127.0.0.1', port: webPort },
        { address: 'rebind.example', port: webPort },
      ],
    });
    expect(text(await get.get(`http://rebind.example:${webPort}/`))).toBe('hello');
    await expect(get.get(`http://rebind.example:${webPort}/`)).rejects.toThrow(/10\.0\.0\.1/);
    await get.close();
  });

  it('classify every special range as not public, and public ones as public', () => {
    const special = [
      ...['0.1.2.3', '10.0.0.0', '100.127.255.255', '127.255.255.254', '169.254.0.1', '172.16.0.1', '192.0.0.8'],
      ...[
        '192.31.196.1',
        '192.52.193.1',
        '192.175.48.1',
        '192.88.99.2',
        '198.19.255.255',
        '198.51.100.1',
        '203.0.113.1',
      ],
      ...[
        '239.1.1.1',
        '250.0.0.1',
        '::',
        '::1',
        '::ffff:8.8.8.8',
        '::8.8.8.8',
        '64:ff9b::808:808',
        '100::1',
        '5f00::1',
      ],
      ...['2001::1', '2001:2::1', '2001:10::1', '2001:20::1', '2001:db8::1', '2002:808:808::1', '3fff::1', 'fc00::1'],
      ...['fe80::1%eth0', 'fec0::1', 'ff0e::1', '', 'x', '1.2.3', '1.2.3.4.5', ' 8.8.8.8', '8.8.8.8\0'],
    ];
    // AS112 (192.31.196.0/24, 192.175.48.0/24) and AMT (192.52.193.0/24) are public services in public hands.
    const asIs = new Set(['192.31.196.1', '192.52.193.1', '192.175.48.1']);
    expect(special.filter((address) => isPublicAddress(address) && !asIs.has(address))).toEqual([]);
    const open = [
      '8.8.8.8',
      '1.1.1.1',
      '93.184.215.14',
      '172.15.0.1',
      '172.32.0.1',
      '100.63.0.1',
      '2606:4700::1111',
      '2a00:1450::1',
    ];
    expect(open.filter((address) => !isPublicAddress(address))).toEqual([]);
  });
});

describe('a page', () => {
  it('is fetched, also packed and behind redirects, without cookies or a referrer', async () => {
    seen = [];
    const get = fetcher();
    const base = `http://127.0.0.1:${webPort}`;
    expect(await get.get(`${base}/#part`)).toMatchObject({ url: `${base}/`, type: 'text/html', charset: 'utf-8' });
    expect(text(await get.get(`${base}/gzip`))).toBe('packed');
    expect(text(await get.get(`${base}/br`))).toBe('packed');
    const moved = await get.get(`${base}/?to=%2Fgzip`, { headers: { 'x-key': 'k' } });
    expect([moved.url, text(moved)]).toEqual([`${base}/gzip`, 'packed']);
    expect(seen.filter((headers) => headers['cookie'] ?? headers['referer'] ?? headers['authorization'])).toEqual([]);
    await get.close();
  });

  it('that leads elsewhere takes no key along', async () => {
    const get = fetcher({
      allowed: [
        { address: '127.0.0.1', port: webPort },
        { address: 'other.example', port: webPort },
      ],
    });
    names['other.example'] = ['127.0.0.1'];
    seen = [];
    const to = encodeURIComponent(`http://other.example:${webPort}/`);
    await get.get(`http://127.0.0.1:${webPort}/?to=${to}`, { headers: { 'x-key': 'k' } });
    expect(seen.map((headers) => headers['x-key'])).toEqual(['k', undefined]);
    await expect(get.get(`http://127.0.0.1:${webPort}/?to=${to}`, { body: {} })).rejects.toThrow(
      /redirects what was sent/,
    );
    await get.close();
  });

  it.each([
    ['unpacks to a lot, twice over', '/bomb', /more than 1048576 bytes/],
    ['is large', '/large', /more than 1048576 bytes/],
    ['never ends', '/chunks', /more than 1048576 bytes/],
    ['claims to be huge', '/lie', /more than 1048576 bytes/],
    ['redirects in circles', '/loop', /more than 5 redirects/],
    ['redirects nowhere', '/?to=http%3A%2F%2F', /no URL|Invalid URL|cannot be reached/],
    ['is a picture', '/image', /image\/png, which cannot be read/],
    ['is packed wrongly', '/broken', /cannot be reached/],
    ['is packed three times', '/thrice', /more than twice/],
    ['is packed in an unknown way', '/zstd', /zstd/],
    ['fails', '/500', /answered 500/],
  ])('that %s ends in an error', async (_, path, message) => {
    const get = fetcher();
    await expect(get.get(`http://127.0.0.1:${webPort}${path}`)).rejects.toThrow(message);
    await get.close();
  });

  it.each(['/silent', '/drip'])('that does not come in time (%s) is given up', async (path) => {
    const get = fetcher({ seconds: 0.05 });
    await expect(get.get(`http://127.0.0.1:${webPort}${path}`)).rejects.toThrow(/longer than 0\.05 s/);
    await get.close();
  });

  it('is given up when somebody stops it', async () => {
    const get = fetcher();
    const stop = new AbortController();
    const going = get.get(`http://127.0.0.1:${webPort}/silent`, { signal: stop.signal });
    stop.abort();
    await expect(going).rejects.toThrow(/stopped/);
    await get.close();
  });
});
