// The chat page in a real headless Chromium, against the real server with the tiny model, and against a scripted model where
// an answer has to be long or hostile. GPTOSS_SCREENSHOTS names a folder for pictures of it.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { build } from 'vite';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Context } from '../../src/cli/context.ts';
import { type OpenTools, openTools } from '../../src/cli/tools/open-tools.ts';
import { createApp } from '../../src/server/app.ts';
import { type Listening, listen } from '../../src/server/listen.node.ts';
import { readPage } from '../../src/server/page.node.ts';
import { final, type Script, scripted } from '../../src/server/scripted.testing.ts';
import { recorded, session, writePages } from '../recorded-session.ts';
import { type ServerProcess, startServer, temporaryFolder } from '../server-process.ts';
import { repoPath } from '../shared.ts';
import { payloads } from './xss-payloads.ts';

const executablePath = process.env.GPTOSS_CHROMIUM ?? '';
const pictures = process.env.GPTOSS_SCREENSHOTS ?? '';
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

describe.skipIf(executablePath === '')('the chat page in Chromium (GPTOSS_CHROMIUM names it)', () => {
  const folder = temporaryFolder();
  let browser: Browser;
  let tiny: ServerProcess;
  let tools: OpenTools;
  let page: Page;
  let requests: string[];
  let problems: string[];
  const listening: Listening[] = [];

  beforeAll(async () => {
    await build({ configFile: repoPath('web/vite.config.ts') });
    [browser, tiny] = await Promise.all([
      chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', '--no-first-run'] }),
      startServer(folder.path),
    ]);
    writePages(join(folder.path, 'pages'));
    const options = { tools: ['browser', 'python'], allow: [], yes: false, pages: join(folder.path, 'pages') };
    const context = { environment: { path: '' }, stores: { home: folder.path }, version: '0' } as unknown as Context;
    tools = (await openTools({ ...options, pythonUnconfined: true }, context, null))!;
  });

  afterAll(async () => {
    await browser?.close();
    await tiny?.stop();
    for (const one of listening) await one.stop(0);
    await tools?.close();
    folder.remove();
  });

  beforeEach(async () => {
    await fresh();
  });

  afterEach(() => {
    const own = requests.filter((url) => !/^(?:http:\/\/127\.0\.0\.1:\d+\/|data:|blob:)/.test(url));
    expect(own, 'nothing is asked of another host').toEqual([]);
    expect(problems).toEqual([]);
  });

  /** A page in a browser profile of its own. */
  async function fresh(options: Parameters<Browser['newPage']>[0] = {}): Promise<void> {
    await page?.context().close();
    page = await browser.newPage({ viewport: { width: 1180, height: 800 }, ...options });
    requests = [];
    problems = [];
    page.on('request', (request) => requests.push(request.url()));
    page.on('pageerror', (error) => problems.push(error.message));
    page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
    page.on('dialog', (dialog) => {
      problems.push(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
  }

  async function scriptedServer(script: Script | string, port = 0, pauseMs = 0, hosted?: OpenTools): Promise<string> {
    const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, pauseMs));
    const model = scripted(script, { context: 32_768 }, pauseMs === 0 ? undefined : pause);
    const files = readPage(repoPath('dist/page'))!;
    const page = { files, facts: { isTiny: false, tools: hosted?.names ?? [] } };
    const app = createApp({ model, page, ...(hosted === undefined ? {} : { hosted }) });
    const one = await listen(app, { host: '127.0.0.1', port });
    listening.push(one);
    return `http://127.0.0.1:${one.port}`;
  }

  async function ask(text: string): Promise<void> {
    await page.fill('#question', text);
    await page.press('#question', 'Enter');
  }

  const answered = (count = 1): Promise<unknown> =>
    page.waitForFunction((count) => document.querySelectorAll('.answer .actions').length === count, count);
  const text = (selector: string): Promise<string> => page.locator(selector).last().innerText();

  async function audit(): Promise<string[]> {
    await page.evaluate(axe);
    return page.evaluate(async () => {
      const run = (
        globalThis as unknown as {
          axe: { run(): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> };
        }
      ).axe;
      const { violations } = await run.run();
      return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
    });
  }

  async function picture(name: string): Promise<void> {
    if (pictures !== '') await page.screenshot({ path: `${pictures}/${name}.png` });
  }

  it('asks the tiny model, streams its answer, folds its reasoning, and keeps both over a reload', async () => {
    await page.goto(tiny.url);
    await page.getByRole('radio', { name: 'High' }).check();
    const request = page.waitForRequest((one) => one.url().endsWith('/v1/responses'));
    await ask('What is 412 + 509?');
    expect((await request).postDataJSON()).toMatchObject({ reasoning: { effort: 'high' }, store: false, stream: true });
    await answered();
    expect(await text('.answer .markdown')).toContain('921');
    expect(await text('.figures')).toMatch(/\d+ tokens/);
    await page.click('.reasoning summary');
    await page.waitForSelector('.reasoning-text .piece');
    await ask('Sort these numbers: 5, 3, 9, 1.');
    await answered(2);
    expect(await text('.answer .markdown')).toMatch(/1, 3, 5, 9/);
    await picture('light');
    await page.reload();
    await answered(2);
    expect(await page.locator('.bubble').allInnerTexts()).toEqual([
      'What is 412 + 509?',
      'Sort these numbers: 5, 3, 9, 1.',
    ]);
    await ask('What is 2 + 2?');
    await answered(3);
    expect(await page.getByRole('radio', { name: 'High' }).isChecked()).toBe(true);
  });

  it('renames and deletes a conversation', async () => {
    await page.goto(tiny.url);
    await ask('What is 1 + 2?');
    await answered();
    await page.hover('.list li:not(.group)');
    await page.click('.list button[aria-label^="Rename"]');
    await page.fill('.list input', 'Small sums');
    await page.press('.list input', 'Enter');
    await page.waitForFunction(() => document.querySelector('.top h1')?.textContent === 'Small sums');
    await page.reload();
    await answered();
    expect(await page.locator('.list .title').innerText()).toBe('Small sums');
    await page.hover('.list li:not(.group)');
    await page.click('.list button[aria-label^="Delete"]');
    await page.click('.sure .danger');
    await page.waitForSelector('.welcome');
    expect(await page.locator('.list .title').count()).toBe(0);
  });

  it('asks again, asks otherwise, and goes back and forth between the versions', async () => {
    await page.goto(tiny.url);
    await ask('What is 1 + 2?');
    await answered();
    await page.click('.answer button[aria-label="Answer again"]');
    await page.waitForFunction(() => document.querySelector('.answer .branches')?.textContent?.includes('2/2'));
    await page.hover('.user');
    await page.click('.user button[aria-label="Edit"]');
    await page.fill('.editing textarea', 'What is 20 + 30?');
    await page.press('.editing textarea', 'Enter');
    await page.waitForFunction(() => document.querySelector('.answer .markdown')?.textContent?.includes('50'));
    await answered();
    await page.click('.user button[aria-label="Previous version"]');
    expect(await text('.bubble')).toBe('What is 1 + 2?');
  });

  it('stops at once when told to, and keeps what came', async () => {
    // Slow enough that it cannot end first; with numbers, or the loop guard would end it.
    const words = Array.from({ length: 4000 }, (_, i) => `word ${(i * 7919) % 10_007}`).join(' ');
    await page.goto(await scriptedServer(final(words), 0, 20));
    await ask('Go');
    await page.waitForFunction(() => (document.querySelector('.answer .markdown')?.textContent?.length ?? 0) > 100);
    await page.keyboard.press('Escape');
    await answered();
    expect(await text('.answer .notice')).toBe('Stopped.');
    expect((await text('.answer .markdown')).length).toBeGreaterThan(100);
  });

  it('shows that the server is gone, and goes on when it is back', async () => {
    const url = await scriptedServer(final('Here again.'));
    await page.goto(url);
    await page.waitForFunction(() => document.querySelector('.chip')?.textContent === 'scripted');
    await listening.at(-1)!.stop(0);
    await ask('Still there?');
    await page.waitForSelector('.trouble');
    await page.waitForSelector('.notice.error');
    problems = problems.filter((problem) => !problem.includes('ERR_CONNECTION_REFUSED'));
    await scriptedServer(final('Here again.'), Number(new URL(url).port));
    await page.waitForSelector('.trouble', { state: 'detached' });
    await page.click('.answer button[aria-label="Answer again"]');
    await page.waitForFunction(() => document.querySelector('.answer .markdown')?.textContent?.includes('Here again.'));
    problems = problems.filter((problem) => !problem.includes('ERR_CONNECTION_REFUSED'));
  });

  /** The answers of the only conversation, as they were written. */
  const kept = (): Promise<string[]> =>
    page.evaluate(async () => {
      const database = await new Promise<IDBDatabase>((resolve) => {
        const opening = indexedDB.open('gptoss');
        opening.onsuccess = () => resolve(opening.result);
      });
      const [name] = Array.from(database.objectStoreNames);
      const all = await new Promise<{ nodes: Record<string, { parts?: { type: string; text: string }[] }> }[]>(
        (resolve) => {
          const reading = database.transaction(name!).objectStore(name!).getAll();
          reading.onsuccess = () => resolve(reading.result);
        },
      );
      const answers = Object.values(all[0]!.nodes).flatMap(({ parts }) => (parts === undefined ? [] : [parts]));
      return answers.map((parts) => parts.flatMap(({ type, text }) => (type === 'text' ? [text] : [])).join('\n\n'));
    });

  it('uses a tool with the tiny model, shows the call as a card, and goes on after a reload', async () => {
    const server = await startServer(folder.path, ['--tools', 'python', '--python-unconfined', '--store', 'memory']);
    await page.goto(server.url);
    await ask('Use python to compute 12 * 34.');
    await answered();
    expect(await text('.answer .markdown')).toContain('408');
    await page.click('.tool summary');
    expect(await page.locator('.tool .fence code').textContent()).toContain('12 * 34');
    expect(await text('.tool .plain pre')).toContain('408');
    expect(await audit()).toEqual([]);
    await page.reload();
    await answered();
    await ask('What is 2 + 2?');
    await answered(2);
    expect(await text('.answer .markdown')).toContain('4');
    await server.stop();
  });

  it('asks with the tools of the server although it has not told them yet', async () => {
    await page.route('**/page/info', async (route) => {
      await new Promise((resolve) => setTimeout(resolve, 1000));
      await route.continue();
    });
    await page.goto(await scriptedServer(final('Yes.'), 0, 0, tools));
    const request = page.waitForRequest((one) => one.url().endsWith('/v1/responses'));
    await ask('Is it true?');
    expect(((await request).postDataJSON() as { tools: unknown[] }).tools).toHaveLength(2);
    await answered();
  });

  it('asks before its database has opened and loses nothing: neither the question nor the conversation it belongs to', async () => {
    const slowly = (): void => {
      const { addEventListener } = EventTarget.prototype;
      IDBOpenDBRequest.prototype.addEventListener = function (this: IDBOpenDBRequest, type: string, listener: unknown) {
        const call = listener as (event: Event) => void;
        const late = (event: Event): unknown => setTimeout(() => call(event), 1000);
        addEventListener.call(this, type, type === 'success' ? late : call);
      };
    };
    await page.addInitScript(slowly);
    await page.goto(await scriptedServer(final('Yes.'), 0, 0, tools));
    await ask('Is it true?');
    await answered();
    await page.reload();
    await ask('Is it true again?');
    await answered(2);
    expect(await page.locator('.bubble').allInnerTexts()).toEqual(['Is it true?', 'Is it true again?']);
    expect(await page.locator('.list li:not(.group)').count()).toBe(1);
  });

  it('answers although the conversations in its database cannot be read', async () => {
    await page.addInitScript(() => {
      IDBIndex.prototype.getAll = () => {
        throw new DOMException('damaged', 'DataError');
      };
    });
    await page.goto(await scriptedServer(final('Yes.'), 0, 0, tools));
    await ask('Is it true?');
    await answered();
    expect(await text('.answer .markdown')).toBe('Yes.');
  });

  it('replays a recorded session to the same text as every other surface, and opens what it cites', async () => {
    await page.goto(await scriptedServer(recorded, 0, 0, tools));
    for (const [i, { question }] of session.entries()) {
      await ask(question);
      await answered(i + 1);
    }
    expect(await kept()).toEqual(session.map(({ answer }) => answer));
    expect(await page.locator('.tool').count()).toBe(6);
    await page.locator('.tool > summary').first().click();
    expect(await page.locator('.results a').allInnerTexts()).toHaveLength(3);
    expect(await audit()).toEqual([]);
    await picture('tools');
    await page.locator('.markdown a', { hasText: 'The bell tower' }).click();
    await page.waitForSelector('.line.cited');
    expect(await text('.line.cited')).toContain('The bell tower is 41.5 metres tall');
    expect(await audit()).toEqual([]);
    await picture('document');
    await page.keyboard.press('Escape');
    await page.waitForSelector('dialog.document', { state: 'detached' });
  });

  it('offers files that Python wrote, and says when they are gone', async () => {
    const code = "open('/mnt/data/table.csv', 'w').write('a,b')";
    const call = `<|channel|>analysis to=python code<|message|>${code}<|call|>`;
    const script: Script = (prompt) => (prompt.includes('table.csv.]<|end|>') ? final('It is written.') : call);
    await page.goto(await scriptedServer(script, 0, 0, tools));
    await ask('Write a table.');
    await answered();
    const waiting = page.waitForEvent('download');
    await page.click('.files button');
    const download = await waiting;
    expect(download.suggestedFilename()).toBe('table.csv');
    expect(readFileSync(await download.path(), 'utf8')).toBe('a,b');
    const forgotten = await page.evaluate(async () => {
      const body = JSON.stringify({ conversation_key: location.hash.slice(1) });
      const headers = { 'content-type': 'application/json' };
      return (await fetch('./page/forget', { method: 'POST', headers, body })).json();
    });
    expect(forgotten).toEqual({ forgotten: true });
    await page.click('.files button');
    await page.waitForSelector('.files .notice');
    problems = problems.filter((problem) => !problem.includes('404'));
  });

  it('takes text from an input method: its Enter chooses the word, only the next one sends', async () => {
    await page.goto(tiny.url);
    const session = await page.context().newCDPSession(page);
    await page.focus('#question');
    await session.send('Input.imeSetComposition', { text: 'こんにちは', selectionStart: 5, selectionEnd: 5 });
    await page.evaluate(() =>
      document
        .querySelector('#question')!
        .dispatchEvent(
          new KeyboardEvent('keydown', { key: 'Enter', isComposing: true, bubbles: true, cancelable: true }),
        ),
    );
    expect(await page.locator('.bubble').count()).toBe(0);
    await session.send('Input.insertText', { text: 'こんにちは' });
    expect(await page.inputValue('#question')).toBe('こんにちは');
    await page.keyboard.press('Enter');
    await answered();
    expect(await text('.bubble')).toBe('こんにちは');
  });

  it('speaks Japanese', async () => {
    await fresh({ locale: 'ja-JP' });
    await page.goto(tiny.url);
    expect(await page.getAttribute('html', 'lang')).toBe('ja');
    expect(await page.locator('.new').innerText()).toContain('新しいチャット');
    await picture('japanese');
  });

  it.each(['light', 'dark'] as const)('has no fault that axe finds, %s', async (colorScheme) => {
    await fresh({ colorScheme });
    await page.goto(tiny.url);
    await page.waitForSelector('.welcome');
    expect(await audit()).toEqual([]);
    await ask('What is 412 + 509?');
    await answered();
    expect(await audit()).toEqual([]);
    if (colorScheme === 'dark') await picture('dark');
    await page.click('.sidebar .settings');
    await page.waitForSelector('.models li');
    expect(await audit()).toEqual([]);
    await picture(`settings-${colorScheme}`);
  });

  it('fits a phone, with the conversations in a drawer', async () => {
    await fresh({ viewport: { width: 390, height: 780 }, hasTouch: true, isMobile: true });
    await page.goto(tiny.url);
    await ask('What is 412 + 509?');
    await answered();
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);
    await picture('phone');
    await page.click('button[aria-label="Menu"]');
    await page.waitForSelector('.sidebar.open');
    expect(await audit()).toEqual([]);
  });

  it('draws tables, code and formulas', async () => {
    const answer =
      '| a | b |\n|---|--:|\n| 1 | 2 |\n\n```ts\nconst x: number = 1;\n```\n\nEuler: $e^{i\\pi} + 1 = 0$\n\n$$\\frac{a}{b}$$\n\nIt costs $5 and $6.';
    await page.goto(await scriptedServer(final(answer)));
    await ask('Draw');
    await answered();
    await page.waitForSelector('.hljs-keyword');
    await page.waitForSelector('math[display="block"] mfrac');
    expect(await page.locator('td.right').innerText()).toBe('2');
    expect(await text('.markdown')).toContain('It costs $5 and $6.');
    await picture('markdown');
  });

  it(`runs none of ${payloads.length} hostile texts in an answer`, async () => {
    await page.goto(await scriptedServer(final(payloads.join('\n\n'), payloads.join('\n\n'))));
    await ask(payloads.join('\n'));
    await answered();
    await page.click('.reasoning summary');
    await inspect();
  });

  it.each(payloads.map((payload, i) => [i, payload] as const))(
    'runs nothing when text %i stands alone, is a title, or a tool says it',
    async (_, payload) => {
      await page.goto(await scriptedServer(final(payload)));
      const tool = { type: 'tool', id: 't', name: payload, input: payload, output: payload, status: 'failed' };
      const sources = [{ title: payload, url: 'https://ok.example/' }];
      const parts = [
        { ...tool, images: [], files: [], sources },
        {
          type: 'text',
          id: 'm',
          text: payload,
          phase: '',
          citations: [{ ...sources[0], start: 0, end: 1 }],
          isOpen: false,
        },
      ];
      const nodes = {
        q: { id: 'q', parent: null, role: 'user', text: payload },
        a: {
          id: 'a',
          parent: 'q',
          role: 'assistant',
          parts,
          effort: 'low',
          output: [],
          end: 'error',
          error: payload,
          figures: null,
        },
      };
      const conversation = { id: 'c', title: payload, createdAt: 0, changedAt: 0, system: payload, nodes, leaf: 'a' };
      await page.click('.sidebar .settings');
      await page.setInputFiles('input[type=file]', {
        name: 'x.json',
        mimeType: 'application/json',
        buffer: Buffer.from(JSON.stringify({ conversations: [conversation] })),
      });
      await page.waitForSelector('.list .title');
      await page.click('button[aria-label="Close"]:visible >> nth=-1');
      await page.click('.list .title');
      await answered();
      await inspect();
    },
  );

  /** Nothing ran, nothing was loaded, and no element is there that could do either. */
  async function inspect(): Promise<void> {
    await page.waitForTimeout(50); // for what would run late
    const found = await page.evaluate(() => ({
      pwned: (globalThis as { pwned?: unknown }).pwned,
      elements: [
        ...document.querySelectorAll(
          '.messages script, .messages iframe, .messages object, .messages embed, .messages img, .messages style, .messages link, .messages base, .messages meta, .messages form, .messages input, .messages video, .messages audio',
        ),
      ].map(({ outerHTML }) => outerHTML),
      handlers: [...document.querySelectorAll('.messages *')].flatMap(({ attributes }) =>
        [...attributes].filter(({ name }) => /^on|^style$|^srcdoc$|^formaction$/i.test(name)).map(({ name }) => name),
      ),
      links: [...document.querySelectorAll('.messages a[href]')]
        .map((link) => link.getAttribute('href')!)
        .filter((href) => !/^(?:https?:|mailto:)/.test(href)),
    }));
    expect(found).toEqual({ pwned: undefined, elements: [], handlers: [], links: [] });
  }
});
