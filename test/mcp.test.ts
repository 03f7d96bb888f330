// The real `gptoss mcp` as other programs meet it: the SDK's client, the real process, the embedded model.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { temporaryFolder } from './server-process.ts';
import { repoPath, seedModel } from './shared.ts';

const home = temporaryFolder();
const client = new Client({ name: 'test', version: '1' }, { capabilities: {} });

beforeAll(async () => {
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: ['--import', 'tsx', repoPath('src/cli/bin.ts'), 'mcp', '--model', seedModel, '--quiet'],
    cwd: repoPath('.'),
    env: { HOME: home.path, GPTOSS_HOME: home.path },
    stderr: 'ignore',
  });
  await client.connect(transport);
}, 60_000);
afterAll(async () => {
  await client.close();
  home.remove();
});

const ask = async (given: Record<string, unknown>): Promise<{ text: string; isError: boolean }> => {
  const { content, isError } = await client.callTool({ name: 'ask', arguments: given });
  return { text: (content as { text: string }[])[0]!.text, isError: isError === true };
};

describe('gptoss mcp', () => {
  it('says what it is and what it offers', async () => {
    expect(client.getServerVersion()?.name).toBe('gptoss');
    const { tools } = await client.listTools();
    expect(tools.map(({ name }) => name)).toEqual(['ask']);
    expect(tools[0]!.inputSchema.required).toEqual(['prompt']);
  });

  it('answers, also two questions at once, and tells progress', async () => {
    expect(await ask({ prompt: 'What is 412 + 509?' })).toEqual({ text: '412 + 509 = 921.', isError: false });
    const both = await Promise.all([ask({ prompt: 'What is 412 + 509?' }), ask({ prompt: 'What is 2 + 2?' })]);
    expect(both.map(({ text }) => text)).toEqual(['412 + 509 = 921.', '2 + 2 = 4.']);
    // As it comes in: the client itself forgets progress that arrives together with the result.
    let told = '';
    const transport = client.transport!;
    const take = transport.onmessage!;
    transport.onmessage = (message) => {
      if ('method' in message && message.method === 'notifications/progress') told += message.params?.['message'] ?? '';
      take(message);
    };
    const params = { name: 'ask', arguments: { prompt: 'What is 412 + 509?' } };
    await client.callTool(params, undefined, { onprogress: () => undefined });
    transport.onmessage = take;
    expect(told).toBe('412 + 509 = 921.');
  });

  it.each([
    [{}, /`prompt` is missing/],
    [{ prompt: 'x', reasoning: 'very' }, /`reasoning` is none/],
    [{ prompt: 'x', max_tokens: -1 }, /`max_tokens` is no number/],
    [{ prompt: 'x', system: 1 }, /`system` is no text/],
    [{ prompt: 'word '.repeat(50_000) }, /context/],
  ])('refuses what it cannot do (%#) and goes on', async (given, message) => {
    const { text, isError } = await ask(given);
    expect([isError, text]).toEqual([true, expect.stringMatching(message)]);
    expect((await ask({ prompt: 'What is 2 + 2?', max_tokens: 200 })).text).toBe('2 + 2 = 4.');
  });

  it('says that an answer was cut off, and stops when it is taken back', async () => {
    expect((await ask({ prompt: 'What is 412 + 509?', max_tokens: 2 })).text).toContain('[The answer was cut off');
    const stop = new AbortController();
    const params = { name: 'ask', arguments: { prompt: 'What is 412 + 509?' } };
    const going = client.callTool(params, undefined, { signal: stop.signal });
    stop.abort();
    await expect(going).rejects.toThrow();
    expect((await client.callTool({ name: 'nothing', arguments: {} })).isError).toBe(true);
    expect((await ask({ prompt: 'What is 2 + 2?' })).text).toBe('2 + 2 = 4.');
  });
});

describe('gptoss mcp with tools', () => {
  const folder = temporaryFolder();
  const tools = new Client({ name: 'test', version: '1' }, { capabilities: {} });
  const call = async (name: string, given: Record<string, unknown>): Promise<string> => {
    const { content } = await tools.callTool({ name, arguments: given });
    return (content as { text: string }[])[0]!.text;
  };

  beforeAll(async () => {
    mkdirSync(join(folder.path, 'pages'));
    mkdirSync(join(folder.path, 'work'));
    mkdirSync(join(folder.path, 'kept'));
    writeFileSync(join(folder.path, 'pages', 'a.md'), '# Zebras\n\nA zebra has stripes.\n');
    const options = ['--tools', 'browser,apply_patch', '--pages', join(folder.path, 'pages')];
    const allowed = ['--work-folder', join(folder.path, 'work'), '--allow', 'apply_patch'];
    const transport = new StdioClientTransport({
      command: process.execPath,
      args: [
        '--import',
        'tsx',
        repoPath('src/cli/bin.ts'),
        'mcp',
        '--model',
        seedModel,
        '--quiet',
        ...options,
        ...allowed,
      ],
      cwd: repoPath('.'),
      env: { HOME: home.path, GPTOSS_HOME: home.path },
      stderr: 'ignore',
    });
    await tools.connect(transport);
  }, 60_000);
  afterAll(async () => {
    await tools.close();
    folder.remove();
  });

  it('offers them beside the model, and runs them behind the same permissions', async () => {
    const { tools: listed } = await tools.listTools();
    expect(listed.map(({ name }) => name)).toEqual([
      ...['ask', 'browser_search', 'browser_open', 'browser_find', 'apply_patch'],
    ]);
    expect(await call('browser_search', { query: 'zebras' })).toContain('【0†Zebras†pages】');
    expect(await call('browser_open', { id: 0 })).toContain('L4: A zebra has stripes.');
    expect(await call('browser_open', { id: 'https://example.org/' })).toMatch(/^Error: .*does not open such/);
    const patch = '*** Begin Patch\n*** Add File: n.txt\n+new\n*** End Patch';
    expect(await call('apply_patch', { patch })).toBe('Done!\nA n.txt');
    expect(readFileSync(join(folder.path, 'work', 'n.txt'), 'utf8')).toBe('new\n');
    expect(await call('apply_patch', { patch: patch.replace('n.txt', '../kept/n.txt') })).toMatch(/^Error: /);
  });
});
