// The bundles in a real headless Chromium, from files served on loopback under a policy that forbids eval and foreign
// hosts: the tiny model answers there what it answers under Node. `npm run test:web` finds or installs the browser.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildWeb } from '../../scripts/build-web.ts';
import { open } from '../../src/open.node.ts';
import { HarmonyEncoding } from '../../src/text/harmony/encoding.ts';
import { renderPrompt } from '../../src/text/harmony/render.ts';
import { o200kHarmony } from '../../src/text/o200k-harmony.node.ts';
import { repoPath, seedModel } from '../shared.ts';

const executablePath = process.env.GPTOSS_CHROMIUM ?? '';
const question = 'What is 412 + 509?';

interface Answer {
  readonly text: string;
  readonly tokens: readonly number[];
  readonly finish: string;
}

describe.skipIf(executablePath === '')('the bundle in Chromium (GPTOSS_CHROMIUM names it)', () => {
  const bundles = mkdtempSync(join(tmpdir(), 'gptoss-web-'));
  const requests: string[] = [];
  const problems: string[] = [];
  let server: Server;
  let browser: Browser;
  let page: Page;
  let origin: string;

  /** Calls a function of page.mjs. */
  const call = async <T>(name: string, ...args: readonly unknown[]): Promise<T> =>
    (await page.evaluate(
      ([name, args]) =>
        (globalThis as unknown as { gptossTest: Record<string, (...args: unknown[]) => unknown> }).gptossTest[
          name as string
        ]!(...(args as unknown[])),
      [name, args] as const,
    )) as T;

  beforeAll(async () => {
    await buildWeb({ folder: bundles });
    server = serve({
      '/web/': bundles,
      '/test/': repoPath('test', 'web'),
      '/models/tiny/': seedModel,
      '/assets/': repoPath('assets'),
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    browser = await chromium.launch({
      executablePath,
      args: [
        ...['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
        ...['--disable-component-update', '--disable-sync'],
      ],
    });
    page = await browser.newPage();
    page.on('request', (request) => requests.push(request.url()));
    page.on('pageerror', (error) => problems.push(error.message));
    page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
    await page.goto(`${origin}/`);
    await page.waitForFunction(() => 'gptossTest' in globalThis);
  }, 120_000);

  afterAll(async () => {
    await browser?.close();
    server?.close();
    rmSync(bundles, { recursive: true, force: true });
  });

  it('answers from the tiny model, token for token as under Node', async () => {
    const model = await open(seedModel, { backend: 'reference', context: 1024 });
    const expected: number[] = [];
    for await (const event of model.chat([{ role: 'user', content: question }], { temperature: 0, maxTokens: 200 }))
      if (event.type === 'done') expected.push(...event.result.tokens);
    await model.close();
    const said = await call<Answer>('answer', question);
    expect(said.text).toContain('921');
    expect(said.finish).toBe('stop');
    expect(said.tokens).toEqual(expected);
  });

  it('answers the same in a worker', async () => {
    const said = await call<Answer>('answerInWorker', question);
    expect(said.text).toContain('921');
    expect(said.finish).toBe('stop');
  });

  it('renders and tokenizes with o200k_harmony as under Node', async () => {
    const text = 'Grüße, 世界! 👩‍🚀 <|start|> 1234567';
    const tokens = [
      ...renderPrompt(new HarmonyEncoding(o200kHarmony()), { messages: [{ role: 'user', content: text }] }),
    ];
    expect(await call('promptTokens', text)).toEqual({ tokens, text: o200kHarmony().decode(tokens) });
  });

  it('refuses damaged files with our errors', async () => {
    expect(await call('refusal', 'model.safetensors', 100, [])).toMatchObject({ isOurs: true, code: 'bad-checkpoint' });
    expect(await call('refusal', 'config.json', 0, [0x7b])).toMatchObject({ isOurs: true, code: 'bad-checkpoint' });
    expect(await call('refusal', 'tokenizer.json', 500, [])).toMatchObject({ isOurs: true, code: 'bad-checkpoint' });
  });

  it('asks no other host and reports no error', () => {
    expect(requests.length).toBeGreaterThan(5);
    expect(requests.filter((url) => !url.startsWith(`${origin}/`) && !url.startsWith(`blob:${origin}`))).toEqual([]);
    expect(problems).toEqual([]);
  });
});

const types: Record<string, string> = {
  '.mjs': 'text/javascript',
  '.js': 'text/javascript',
  '.json': 'application/json',
};

/** Files of some folders by the beginning of their path; `/` is an empty page with page.mjs. */
function serve(folders: Readonly<Record<string, string>>): Server {
  return createServer((request, response) => {
    const path = request.url ?? '/';
    response.setHeader('content-security-policy', "default-src 'self'; img-src data:");
    if (path === '/') {
      response.setHeader('content-type', 'text/html');
      response.end(
        '<!doctype html><link rel="icon" href="data:,"><script type="module" src="/test/page.mjs"></script>',
      );
      return;
    }
    const folder = Object.entries(folders).find(([prefix]) => path.startsWith(prefix));
    const name = folder === undefined ? '' : path.slice(folder[0].length);
    try {
      if (folder === undefined || !/^[\w.-]+$/.test(name)) throw new Error('not served');
      const bytes = readFileSync(join(folder[1], name));
      response.setHeader('content-type', types[extname(name)] ?? 'application/octet-stream');
      response.end(bytes);
    } catch {
      response.statusCode = 404;
      response.end();
    }
  });
}
