// Downloads against a hub on loopback that misbehaves in every way we know of.
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type GptOssError, isGptOssError } from '../errors.ts';
import { HttpClient } from './http.ts';
import { FakeHub, type Fault, faults } from './hub.testing.ts';
import { killRepeatedly } from './kill.testing.ts';
import { parseWanted } from './plan.ts';
import { type PullOptions, pull, removeRepository, repositoryFolder, verifySnapshot } from './pull.ts';
import { type HubSettings, hubSettings } from './roots.ts';

const MiB = 1 << 20;
let hub: FakeHub;
let root: string;
let settings: HubSettings;
let http: HttpClient;
const segmentBytes = 1 << 20;
const weights = randomBytes(2.5 * MiB + 12_345); // three segments

beforeEach(async () => {
  hub = new FakeHub();
  await hub.start();
  root = mkdtempSync(join(tmpdir(), 'gptoss-pull-'));
  settings = hubSettings({ HF_HUB_CACHE: root, HF_ENDPOINT: hub.url, HF_TOKEN: 'secret' }, 'linux', root);
  http = new HttpClient({ connectMs: 1000, stallMs: 300 }, {});
  hub.add('config.json', Buffer.from('{"model_type":"gpt_oss"}'));
  hub.add('tokenizer.json', Buffer.from('{}'));
  hub.add('model-00000-of-00001.safetensors', weights);
  hub.add('metal/model.bin', randomBytes(20_000));
  hub.add('original/model.safetensors', randomBytes(20_000));
});
afterEach(async () => {
  await http.close();
  await hub.stop();
  rmSync(root, { recursive: true, force: true });
});

const get = (options: PullOptions = {}, word = `hf:${hub.repository}`) =>
  pull(parseWanted(word), settings, { http, backoffMs: 1, segmentBytes, ...options });
const failure = async (promise: Promise<unknown>): Promise<GptOssError> => {
  const error: unknown = await promise.then(
    () => null,
    (e: unknown) => e,
  );
  if (!isGptOssError(error)) throw new Error(`expected a GptOssError, got ${String(error)}`);
  return error;
};
const arrived = (folder: string): boolean =>
  readFileSync(join(folder, 'model-00000-of-00001.safetensors')).equals(weights);

describe('what to fetch', () => {
  it('knows the published repositories and takes any other by name', () => {
    expect(parseWanted('gpt-oss-20b').repository).toBe('openai/gpt-oss-20b');
    expect(parseWanted('gpt-oss-120b', { gguf: true }).repository).toBe('ggml-org/gpt-oss-120b-GGUF');
    expect(parseWanted('hf:a/b@v1:sub/x.gguf')).toEqual({ repository: 'a/b', revision: 'v1', file: 'sub/x.gguf' });
  });
  it.each(['', 'x', 'hf:a', '../../x', 'hf:../x', 'hf:a/b:../../c', 'hf:a/b@../x'])('refuses %j', (word) => {
    expect(() => parseWanted(word)).toThrow(/names no repository/);
  });
});

describe('a download', () => {
  it('brings one copy of the weights into the shared cache layout, and nothing else', async () => {
    const seen: number[] = [];
    const { path, plan, transferred } = await get({ onProgress: (p) => seen.push(p.bytes) });
    expect(plan.files.map((f) => f.path).sort()).toEqual([
      'config.json',
      'model-00000-of-00001.safetensors',
      'tokenizer.json',
    ]);
    expect(arrived(path)).toBe(true);
    expect(transferred).toBe(plan.bytes);
    expect(seen.at(-1)).toBe(plan.bytes);
    const repo = repositoryFolder(hub.repository, settings);
    expect(readFileSync(join(repo, 'refs', 'main'), 'utf8')).toBe(hub.commit);
    expect(readlinkSync(join(path, 'config.json'))).toBe(`../../blobs/${hub.tag('config.json')}`);
    expect(readdirSync(join(repo, 'blobs')).filter((name) => name.includes('gptoss'))).toEqual([]);
    for await (const { problem } of verifySnapshot(path)) expect(problem).toBe(null);
  });

  it('fetches nothing again when all is there', async () => {
    await get();
    expect((await get()).transferred).toBe(0);
  });

  it('takes one GGUF of a repository, and all parts of a split one', async () => {
    hub.files.clear();
    for (const n of [1, 2]) hub.add(`q/m-mxfp4-0000${n}-of-00002.gguf`, randomBytes(20_000));
    hub.add('m-Q2_K.gguf', randomBytes(20_000));
    const { path, plan } = await get();
    expect(plan.files.map((f) => f.path)).toEqual(['q/m-mxfp4-00001-of-00002.gguf', 'q/m-mxfp4-00002-of-00002.gguf']);
    expect(path.endsWith('q/m-mxfp4-00001-of-00002.gguf')).toBe(true);
    expect((await get({}, `hf:${hub.repository}:m-Q2_K.gguf`)).plan.files).toHaveLength(1);
  });

  it('sends the token to the hub and to no other host', async () => {
    await get();
    expect(hub.seenByHub.every((h) => h.authorization === 'Bearer secret')).toBe(true);
    expect(hub.seenByContentHost.length).toBeGreaterThan(0);
    expect(hub.seenByContentHost.some((h) => h.authorization !== undefined)).toBe(false);
  });

  it('handles files of no bytes', async () => {
    hub.add('tokenizer_config.json', Buffer.alloc(0));
    const { path } = await get();
    expect(readFileSync(join(path, 'tokenizer_config.json'))).toHaveLength(0);
  });

  const passing: [string, Fault[]][] = [
    ['addresses that expire', [faults.expired, faults.expired]],
    [
      '503, 429 with Retry-After, 408',
      [faults.status(503), faults.status(429, { 'retry-after': '0.01' }), faults.status(408)],
    ],
    ['connections that break', [faults.reset, faults.reset, faults.reset]],
    ['a server that falls silent', [faults.stall]],
    ['bodies that end early', [faults.truncated, faults.truncated, faults.truncated]],
    ['bodies that do not end', [faults.tooMuch]],
    ['a range that was not asked for', [faults.wrongRange]],
    ['gzip where none was asked', [faults.gzipped]],
    ['416 for a range that exists', [faults.status(416)]],
    ['wrong bytes once', [faults.garbage]],
  ];
  it.each(passing)('survives %s', async (_, list) => {
    hub.faults = [...list];
    expect(arrived((await get()).path)).toBe(true);
  });

  it('survives a server without ranges', async () => {
    hub.ignoreRanges = true;
    expect(arrived((await get()).path)).toBe(true);
  });

  it('gives up with one clear error when nothing helps, and goes on later', async () => {
    hub.faults = Array(200).fill(faults.status(500));
    const error = await failure(get({ retries: 3 }));
    expect(error.code).toBe('io');
    expect(error.message).toContain('goes on where it stopped');
    hub.faults = [];
    expect(arrived((await get()).path)).toBe(true);
  });

  it.each([
    ['wrong bytes every time', faults.garbage, 'arrived with sha256'],
    ['redirects without end', faults.redirectLoop, 'redirects without end'],
  ])('refuses %s', async (_, fault, text) => {
    hub.faults = Array(200).fill(fault);
    expect((await failure(get())).message).toContain(text);
    expect(
      existsSync(
        join(repositoryFolder(hub.repository, settings), 'blobs', hub.tag('model-00000-of-00001.safetensors')),
      ),
    ).toBe(false);
  });

  it('refuses a file that changes on the server in the middle', async () => {
    hub.faults = [
      (request, response, h) => {
        h.add('model-00000-of-00001.safetensors', randomBytes(weights.length));
        return faults.status(403)(request, response, h);
      },
    ];
    expect((await failure(get({ connections: 1 }))).message).toContain('changed on the server');
  });

  it.each([
    ['404', faults.status(404), 'not-found'],
    ['401', faults.status(401), 'io'],
    ['nonsense', faults.page, 'io'],
  ] satisfies [string, Fault, string][])('says what is wrong when the hub answers %s', async (_, fault, code) => {
    hub.hubFaults = Array(10).fill(fault);
    expect((await failure(get())).code).toBe(code);
  });

  it('refuses names and hashes that would leave the cache', async () => {
    hub.add('../../evil.safetensors', Buffer.alloc(20_000));
    expect((await failure(get({}, `hf:${hub.repository}`).then(() => get({}, `hf:${hub.repository}:..`)))).code).toBe(
      'invalid-request',
    );
    hub.files.clear();
    hub.add('x/../../evil.gguf', Buffer.alloc(20_000));
    expect((await failure(get())).message).toContain('cannot be used');
  });

  it('does not touch the network when it may not', async () => {
    settings = { ...settings, offline: true };
    expect((await failure(get())).message).toContain('HF_HUB_OFFLINE');
    expect(hub.seenByHub).toHaveLength(0);
  });

  it('stops when asked, and goes on from there', async () => {
    hub.bytesPerSecond = 2 * MiB;
    const stop = new AbortController();
    const error = await failure(get({ signal: stop.signal, onProgress: (p) => p.bytes > MiB && stop.abort() }));
    expect(error.code).toBe('aborted');
    hub.bytesPerSecond = Infinity;
    const { path, transferred } = await get();
    expect(arrived(path)).toBe(true);
    expect(transferred).toBeLessThan(weights.length - 0.7 * MiB);
  });

  it('is shared by two that want the same file at once', async () => {
    hub.bytesPerSecond = 4 * MiB;
    const waited: string[] = [];
    const [a, b] = await Promise.all([1, 2].map(() => get({ onWait: (file) => waited.push(file) })));
    expect(arrived(a.path) && arrived(b.path)).toBe(true);
    expect(a.transferred + b.transferred).toBe(a.plan.bytes);
    expect(waited.length).toBeGreaterThan(0);
  });

  it('is found damaged by verify, and is gone after remove', async () => {
    const { path } = await get();
    writeFileSync(join(path, 'model-00000-of-00001.safetensors'), 'x');
    const problems: (string | null)[] = [];
    for await (const { problem } of verifySnapshot(path)) problems.push(problem);
    expect(problems.filter((p) => p !== null)).toHaveLength(1);
    expect(removeRepository(hub.repository, settings)).toBeGreaterThan(0);
    expect(existsSync(path)).toBe(false);
    await expect(async () => removeRepository(hub.repository, settings)).rejects.toThrow(/not in the cache/);
  });

  it('finishes with the right hash after kill −9 again and again, and fetches little twice', {
    timeout: 120_000,
  }, async () => {
    await killRepeatedly(hub, root, 6, segmentBytes);
    expect(arrived((await get()).path)).toBe(true);
    expect(hub.sent).toBeLessThan(weights.length * 1.05 + 6 * 65_536);
  });
});
