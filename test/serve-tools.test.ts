// `gptoss serve --tools browser,apply_patch,mcp`: the real process with the embedded model, which calls the tool of an MCP server (its
// context holds the words of one tool at a time, so it is asked over Responses, where a request names its tools);
// and the same tools under a scripted model, for calls the embedded one was not trained to make.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Context } from '../src/cli/context.ts';
import { type OpenTools, openTools } from '../src/cli/tools/open-tools.ts';
import { Caller, final, list, scripted } from '../src/server/scripted.testing.ts';
import { writePages } from './recorded-session.ts';
import { type ServerProcess, startServer, temporaryFolder } from './server-process.ts';
import { repoPath } from './shared.ts';

const folder = temporaryFolder();
const pages = join(folder.path, 'pages');
const work = join(folder.path, 'work');
const mcpConfig = join(folder.path, 'mcp.json');
const calls = join(folder.path, 'calls');
let server: ServerProcess;
let tools: OpenTools;

beforeAll(async () => {
  writePages(pages);
  mkdirSync(work);
  const args = [repoPath('test', 'fixtures', 'weather-server.mjs'), calls];
  writeFileSync(mcpConfig, JSON.stringify({ mcpServers: { get: { command: process.execPath, args } } }));
  const context = { environment: { path: '' }, stores: { home: folder.path }, version: '0' } as unknown as Context;
  const options = { allow: ['apply_patch'], yes: false, pages, workFolder: work, pythonUnconfined: false };
  const wanted = 'browser,apply_patch,mcp';
  const more = ['--pages', pages, '--work-folder', work, '--mcp-config', mcpConfig, '--allow', 'get_weather'];
  [server, tools] = await Promise.all([
    startServer(folder.path, ['--tools', wanted, ...more, '--store', 'memory']),
    openTools({ ...options, tools: ['browser', 'apply_patch'] }, context, null).then((opened) => opened!),
  ]);
});
afterAll(async () => {
  await tools?.close();
  await server?.stop();
  folder.remove();
});

async function post(path: string, body: unknown): Promise<{ readonly [key: string]: unknown }> {
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(`${server.url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
  return (await response.json()) as { readonly [key: string]: unknown };
}

describe('gptoss serve --tools browser,apply_patch,mcp', () => {
  const question = 'What is the weather in Tokyo?';
  const answer = 'It is 18 degrees and sunny in Tokyo.';

  it('calls the tool of an MCP server that is allowed', async () => {
    const wanted = [{ type: 'mcp', server_label: 'mcp' }];
    const response = await post('/v1/responses', { input: question, tools: wanted, temperature: 0 });
    const output = response['output'] as { type: string }[];
    expect(output.find(({ type }) => type === 'mcp_call')).toMatchObject({
      ...{ name: 'get_weather', status: 'completed', server_label: 'gptoss' },
      ...{ arguments: expect.stringContaining('Tokyo'), output: expect.stringContaining('sunny') },
    });
    expect(output.at(-1)).toMatchObject({ type: 'message', content: [{ text: answer }] });
    expect(readFileSync(calls, 'utf8')).toBe('Tokyo\n');
  });

  it('edits the work folder only where that is allowed', async () => {
    const patch = '*** Begin Patch\n*** Add File: notes.txt\n+hello\n*** End Patch';
    const call = `<|channel|>commentary to=functions.apply_patch<|message|>${patch}<|call|>`;
    const model = (): ReturnType<typeof scripted> =>
      scripted((prompt) =>
        /not allowed/.test(prompt) ? final('I may not.') : prompt.includes('Done!') ? final('Written.') : call,
      );
    const asking = { messages: [{ role: 'user', content: 'Write a note.' }] };
    const context = { environment: { path: '' }, stores: { home: folder.path }, version: '0' } as unknown as Context;
    const options = { tools: ['apply_patch'], allow: [], yes: false, workFolder: work, pythonUnconfined: false };
    const closed = (await openTools(options, context, null))!;
    const said = async (hosted: OpenTools): Promise<unknown> => {
      const { choices } = await new Caller({ model: model(), hosted }).json('/v1/chat/completions', asking);
      return list(choices)[0]!['message']!['content'];
    };
    expect(await said(closed)).toBe('I may not.');
    expect(existsSync(join(work, 'notes.txt'))).toBe(false);
    expect(await said(tools)).toBe('Written.');
    expect(readFileSync(join(work, 'notes.txt'), 'utf8')).toBe('hello\n');
  });

  it('shows the pages that answers cite, and no other file', async () => {
    const page = { files: new Map(), facts: { isTiny: false, tools: tools.names } };
    const caller = new Caller({ model: scripted(null), hosted: tools, page });
    const get = (url: string) => caller.fetch(`/page/document?url=${encodeURIComponent(url)}`);
    const found = await get('local://pages/bell.md#L6');
    expect(await found.json()).toMatchObject({ title: 'The bell tower', url: 'local://pages/bell.md#L6' });
    const others = ['local://pages/../calls', 'local://pages/%2e%2e/mcp.json', 'local://other/bell.md'];
    for (const url of [...others, 'file:///etc/passwd', '/etc/passwd', 'local://pages/none.md', '']) {
      expect((await get(url)).status, url).toBe(404);
    }
  });
});
