// The walls, from the inside: a guest with all rights of the process tries what it can (test/fixtures/python-guest.mjs).
// The list of attempts is the one of docs/tools.md. No Python is needed for that, so every wall of this machine is tried.
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { existsSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { repoPath } from '../../../test/shared.ts';
import { folderOf, type WallName, walls } from './walls.node.ts';

const guest = repoPath('test', 'fixtures', 'python-guest.mjs');
const MEMORY_MIB = 64;
const word = 'the-secret-word';
let folder: string;
let empty: string;
let visitors = 0;
const servers: Server[] = [];
const works = new Set<WallName>();
const udp = createSocket('udp4');
let port = 0;

beforeAll(async () => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'gptoss-escape-')));
  empty = realpathSync(mkdtempSync(join(tmpdir(), 'gptoss-empty-')));
  writeFileSync(join(folder, 'secret'), word);
  writeFileSync(join(folder, 'addon.node'), 'not really');
  const listen = (where: object): Promise<Server> =>
    new Promise((resolve) => {
      const server = createServer((socket) => {
        visitors++;
        socket.on('error', () => undefined);
        socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
      });
      server.on('error', () => resolve(server)); // no IPv6 here, or no abstract names
      servers.push(server.listen(where, () => resolve(server)));
    });
  port = ((await listen({ host: '127.0.0.1', port: 0 })).address() as { port: number }).port;
  await listen({ host: '::1', port });
  await listen({ path: join(folder, 'socket') });
  if (process.platform === 'linux') await listen({ path: '\0gptoss-test' });
  udp.on('message', () => visitors++);
  await new Promise<void>((resolve) => udp.bind(port, '127.0.0.1', resolve));
});

afterAll(() => {
  for (const server of servers) server.close();
  udp.close();
  for (const each of [folder, empty]) rmSync(each, { recursive: true, force: true });
});

const all = walls({
  memoryMiB: MEMORY_MIB,
  folder: folderOf(repoPath('node_modules', 'pyodide', 'package.json')),
  ...{ runner: guest, session: guest, empty: '/nowhere', deno: null, packages: null },
});

/** What the guest says behind a wall, by attempt; `limitMs`: it is killed then. */
async function attempt(
  name: WallName,
  only?: readonly string[],
  except: readonly string[] = [],
): Promise<Map<string, string>> {
  const options = { memoryMiB: MEMORY_MIB, folder: folderOf(repoPath('node_modules', 'pyodide', 'package.json')) };
  const { command, args } = walls({
    ...options,
    ...{ runner: guest, session: guest, empty, deno: null, packages: null },
  }).get(name)!;
  const told = { port, secret: join(folder, 'secret'), target: join(folder, 'target'), parent: process.pid, folder };
  const child = spawn(command, [...args, JSON.stringify({ ...told, only, except })], {
    ...{ cwd: '/', env: {}, stdio: ['ignore', 'pipe', 'pipe'], detached: true },
  });
  let out = '';
  let errors = '';
  child.stdout.on('data', (chunk) => (out += chunk));
  child.stderr.on('data', (chunk) => (errors += chunk));
  await new Promise((resolve) => child.on('close', resolve));
  const lines = out.split('\n').filter((line) => line !== '');
  const found = new Map(lines.map((line) => JSON.parse(line) as [string, string]));
  if (found.size === 0 && only === undefined) throw new Error(`the guest said nothing: ${errors.slice(0, 500)}`);
  return found;
}

describe.each(['bubblewrap', 'unshare'] as const)('behind %s', (name) => {
  it('a guest that owns the process gets nowhere', async (context) => {
    if (!all.has(name)) return context.skip(`${name} is not on this machine`);
    let found: Map<string, string>;
    try {
      found = await attempt(name);
    } catch (error) {
      return context.skip(`${name} does not work on this machine: ${String(error).slice(0, 200)}`);
    }
    works.add(name);
    const escaped = [...found].filter(([what, said]) => what !== 'end' && !said.startsWith('blocked'));
    // A datagram or signal to an empty world may be sent; whether it arrives is seen from here.
    expect(escaped.filter(([what]) => what !== 'udp datagram')).toEqual([]);
    expect(found.has('end')).toBe(true);
    expect(found.size).toBeGreaterThanOrEqual(38);
    expect(visitors).toBe(0);
    expect(readFileSync(join(folder, 'secret'), 'utf8')).toBe(word);
    expect(readdirSync(folder).sort()).toEqual(['addon.node', 'secret', 'socket']);
    for (const path of ['/tmp/gptoss-escaped', '/gptoss-escaped', '/tmp/link']) expect(existsSync(path)).toBe(false);
  });

  it.each(['memory bomb', 'memory bomb by wasm'])('a %s ends in the process, not in the machine', async (bomb) => {
    if (!works.has(name)) return; // said above
    const found = await attempt(name, ['names in the environment', bomb]);
    expect(found.size).toBeGreaterThan(0); // it ran
    // Either it is told that there is no more, or it is gone before it can say anything.
    if (found.has(bomb)) expect(found.get(bomb)).toMatch(/^blocked/);
    else expect(found.has('end')).toBe(false);
  });
});

describe('behind the flags of Node alone', () => {
  it('files, programs and threads are out of reach; the network may not be', async (context) => {
    if (process.platform === 'win32') return context.skip('the limits are those of Unix');
    const found = await attempt('flags', undefined, ['debugger of the parent']);
    const open = [...found].filter(([what, said]) => what !== 'end' && !said.startsWith('blocked'));
    // What this wall does not stop, as docs/tools.md says; it is why it does not count as one.
    const known = [
      ...['tcp to this machine', 'tcp by IPv6', 'tcp to another machine', 'fetch', 'http request', 'udp datagram'],
      ...['a name server', 'unix socket', 'abstract unix socket', 'signal to the parent', 'signal to everybody'],
      ...['inner bindings', 'another user'],
    ];
    expect(open.map(([what]) => what).filter((what) => !known.includes(what))).toEqual([]);
    expect(readdirSync(folder).sort()).toEqual(['addon.node', 'secret', 'socket']);
    expect(found.size).toBeGreaterThanOrEqual(38);
  });
});
