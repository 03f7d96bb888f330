// The page's files and what it asks: who gets HTML, under which policy, and what a shelf of models may be told.

import { describe, expect, it } from 'vitest';
import { GptOssError } from '../errors.ts';
import type { ModelShelf, PageFile, PullProgress } from './page.ts';
import { Caller, final, scripted } from './scripted.testing.ts';

const file = (text: string, type: string, isImmutable = false): PageFile => ({
  bytes: new TextEncoder().encode(text),
  type,
  isImmutable,
});
const files = new Map([
  ['/', file('<!doctype html>', 'text/html; charset=utf-8')],
  ['/assets/index-x.js', file('1', 'text/javascript', true)],
]);
const facts = { isTiny: true, tools: ['python'] };
const html = { headers: { accept: 'text/html,*/*' } };

class FakeShelf implements ModelShelf {
  readonly used: string[] = [];
  async list(): ReturnType<ModelShelf['list']> {
    return [{ name: 'tiny', title: 'tiny', sizeBytes: 1, state: 'in-use', note: '', fit: null }];
  }
  async use(name: string): Promise<void> {
    if (name !== 'tiny') throw new GptOssError('not-found', 'no such model; expected one of the list; choose another');
    this.used.push(name);
  }
  async *pull(name: string): AsyncGenerator<PullProgress> {
    yield { done: 1, total: 2, bytesPerSecond: 3 };
    if (name !== 'gpt-oss-20b') throw new GptOssError('io', 'the disk is full; expected room; make some');
  }
}

const caller = (shelf?: ModelShelf, apiKeys: readonly string[] = []): Caller =>
  new Caller({ model: scripted(final('Hi')), page: { files, facts, shelf }, apiKeys });

describe('the page', () => {
  it('is for browsers; others find the words they look for', async () => {
    const page = await caller().fetch('/', html);
    expect(page.headers.get('content-type')).toContain('text/html');
    const policy = page.headers.get('content-security-policy')!;
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toMatch(/unsafe|https?:|\*/);
    expect(await (await caller().fetch('/')).text()).toBe('Ollama is running');
    expect((await caller().fetch('/', { method: 'HEAD' })).status).toBe(200);
    const script = await caller().fetch('/assets/index-x.js');
    expect(script.headers.get('cache-control')).toContain('immutable');
    for (const path of ['/assets/', '/assets/other.js', '/assets/../package.json', '/index.html'])
      expect((await caller().fetch(path)).status, path).toBe(404);
  });

  it('loads without the key that its requests need', async () => {
    const locked = caller(undefined, ['secret']);
    expect((await locked.fetch('/', html)).status).toBe(200);
    expect((await locked.fetch('/assets/index-x.js')).status).toBe(200);
    expect((await locked.fetch('/page/info')).status).toBe(401);
    const info = await locked.fetch('/page/info', { headers: { authorization: 'Bearer secret' } });
    expect(await info.json()).toMatchObject({ model: 'scripted', isTiny: true, tools: ['python'], hasModels: false });
  });

  it('lists and changes models only where there is a shelf', async () => {
    for (const path of ['/page/models/use', '/page/models/pull'])
      expect((await caller().post(path, { model: 'tiny' })).status).toBe(404);
    const shelf = new FakeShelf();
    const with_ = caller(shelf);
    expect(await (await with_.fetch('/page/models')).json()).toMatchObject({ models: [{ name: 'tiny' }] });
    expect((await with_.post('/page/models/use', { model: 'tiny' })).status).toBe(200);
    expect(shelf.used).toEqual(['tiny']);
    const unknown = await with_.post('/page/models/use', { model: '../../etc' });
    expect([unknown.status, (await unknown.json()).error.message]).toEqual([400, expect.stringContaining('no such')]);
    for (const body of [{}, { model: 1 }, { model: '' }, [], null, { model: 'x'.repeat(2000) }])
      expect((await with_.post('/page/models/use', body)).status, JSON.stringify(body)).toBe(400);
    const foreign = await with_.post('/page/models/use', { model: 'tiny' }, { origin: 'https://evil.example' });
    expect(foreign.status).toBe(403);
  });

  it('tells how a download goes, and how it ends', async () => {
    const lines = async (model: string): Promise<unknown[]> =>
      (await (await caller(new FakeShelf()).post('/page/models/pull', { model })).text())
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown);
    const progress = { type: 'progress', done: 1, total: 2, bytesPerSecond: 3 };
    expect(await lines('gpt-oss-20b')).toEqual([progress, { type: 'done' }]);
    expect(await lines('other')).toEqual([
      progress,
      { type: 'error', message: expect.stringContaining('disk is full') },
    ]);
  });
});
