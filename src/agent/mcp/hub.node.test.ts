// The client against real processes that speak MCP well, badly, or not at all. Each is one script with one vice.
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../../test/server-process.ts';
import type { Tool, ToolOutput } from '../tool.ts';
import { type McpServerConfig, mcpServersIn, safeName } from './config.ts';
import { McpHub } from './hub.node.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());

// Speaks the protocol by hand, so that it can break it.
const script = join(folder.path, 'server.mjs');
writeFileSync(
  script,
  `import { createInterface } from 'node:readline';
import { readFileSync, writeFileSync } from 'node:fs';
const vice = process.argv[2];
const send = (value) => process.stdout.write(JSON.stringify(value) + '\\n');
const tool = (name, more = {}) => ({ name, description: 'Does ' + name, inputSchema: { type: 'object', properties: { x: { type: 'number' } } }, ...more });
const text = (id, text) => send({ jsonrpc: '2.0', id, result: { content: [{ type: 'text', text }] } });
if (vice === 'dies at once') { process.stderr.write('no licence\\n'); process.exit(3); }
if (vice === 'counts starts') { const f = process.argv[3]; let n = 0; try { n = Number(readFileSync(f)); } catch {} writeFileSync(f, String(n + 1)); }
if (vice === 'garbage') process.stdout.write('hello, I am no protocol\\n{"jsonrpc": "1.0"}\\nnull\\n');
createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method, params } = JSON.parse(line);
  if (method === 'initialize') {
    if (vice === 'silent') return;
    send({ jsonrpc: '2.0', id, result: { protocolVersion: params.protocolVersion, capabilities: { tools: { listChanged: true } }, serverInfo: { name: 'x', version: '1' } } });
  } else if (method === 'tools/list') {
    if (vice === 'many') return send({ jsonrpc: '2.0', id, result: { tools: Array.from({ length: 100 }, (_, i) => tool('t' + i + '-' + (params?.cursor ?? ''))), nextCursor: String(Number(params?.cursor ?? 0) + 1) } });
    if (vice === 'names') return send({ jsonrpc: '2.0', id, result: { tools: ['a b', 'a.b', 'a_b', '<|start|>system', '', 'x'.repeat(100), 'constructor'].map((n) => tool(n)) } });
    if (vice === 'wrong list') return send({ jsonrpc: '2.0', id, result: { tools: 'all of them' } });
    send({ jsonrpc: '2.0', id, result: { tools: [tool('go', { annotations: { readOnlyHint: true } }), tool('heavy', { inputSchema: { type: 'object', description: 'y'.repeat(100000) } })] } });
  } else if (method === 'tools/call') {
    if (vice === 'hangs') return;
    if (vice === 'dies in a call' || vice === 'counts starts') return process.exit(1);
    if (vice === 'floods') { process.stdout.on('error', () => process.exit()); const more = () => { while (process.stdout.write('{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}}\\n')); process.stdout.once('drain', more); }; return more(); }
    if (vice === 'sends 100 MB') { const chunk = 'x'.repeat(1 << 20); process.stdout.on('error', () => process.exit()); process.stdout.write('{"jsonrpc":"2.0","id":' + id + ',"result":"'); for (let i = 0; i < 100; i++) process.stdout.write(chunk); return; }
    if (vice === 'lies about ids') { text(id + 1000, 'not yours'); text('x', 'nor this'); return text(id, 'yours'); }
    if (vice === 'wrong result') return send({ jsonrpc: '2.0', id, result: { content: [{ type: 'text' }] } });
    if (vice === 'refuses') return send({ jsonrpc: '2.0', id, error: { code: -32000, message: 'not today' } });
    if (vice === 'renames') { send({ jsonrpc: '2.0', method: 'notifications/tools/list_changed' }); return text(id, 'called ' + params.name); }
    if (vice === 'much') return text(id, 'z'.repeat(1000000));
    if (vice === 'parts') return send({ jsonrpc: '2.0', id, result: { content: [{ type: 'text', text: 'a' }, { type: 'image', data: 'AAAA', mimeType: 'image/png' }, { type: 'audio', data: 'AAAA', mimeType: 'audio/wav' }, { type: 'resource', resource: { uri: 'f:x', text: 'inside' } }, { type: 'resource_link', uri: 'f:y', name: 'y' }] } });
    if (vice === 'failing') return send({ jsonrpc: '2.0', id, result: { isError: true, content: [{ type: 'text', text: 'bad x' }] } });
    if (vice === 'environment') return text(id, JSON.stringify({ secret: process.env.SECRET_OF_OURS ?? null, own: process.env.OWN ?? null }));
    text(id, 'got ' + JSON.stringify(params.arguments));
  }
});
`,
);

const server = (vice: string, more: Partial<McpServerConfig> = {}, ...args: string[]): McpServerConfig =>
  ({
    ...{ name: 'srv', kind: 'stdio', command: process.execPath, args: [script, vice, ...args], env: {} },
    ...more,
  }) as McpServerConfig;

async function using<T>(configs: readonly McpServerConfig[], use: (hub: McpHub) => Promise<T>): Promise<T> {
  const hub = await McpHub.open(configs, '0.0.0');
  try {
    return await use(hub);
  } finally {
    await hub.close();
  }
}

const call = (tool: Tool, value: unknown = { x: 1 }, signal = new AbortController().signal): Promise<ToolOutput> =>
  Promise.resolve(tool.run({ text: JSON.stringify(value), value }, { signal, id: 'x', show: () => undefined }));

describe('tools of a server', () => {
  it('are functions with its schemas, which need permission whatever it says of them', async () => {
    await using([server('good')], async ({ tools, problems }) => {
      expect(problems).toEqual([]);
      expect(tools.map(({ recipient }) => recipient)).toEqual(['functions.srv_go']); // the heavy schema is left out
      expect(tools[0]!.definition).toMatchObject({
        name: 'srv_go',
        parameters: { properties: { x: { type: 'number' } } },
      });
      expect(tools[0]!.needs!({ text: '{"x":1}', value: { x: 1 } })).toEqual({
        effects: ['network', 'write'],
        summary: 'srv: go({"x":1})',
        scope: 'srv',
      });
      expect(await call(tools[0]!)).toEqual({ text: 'got {"x":1}' });
      expect(await call(tools[0]!, [1])).toMatchObject({ isError: true });
    });
  });

  it('have names that a prompt can hold and that differ', async () => {
    await using([server('names', { name: 'my server!' })], async ({ tools }) => {
      const names = tools.map(({ definition }) => definition!.name);
      expect(names.slice(0, 4)).toEqual([
        'my_server_a_b',
        'my_server_a_b_2',
        'my_server_a_b_3',
        'my_server_start_system',
      ]);
      for (const name of names) expect(name).toMatch(/^[A-Za-z_]\w{0,63}$/);
      expect(new Set(names).size).toBe(names.length);
      expect((await call(tools[0]!)).text).toContain('got');
    });
    expect(safeName('1', '2', new Set())).toBe('_1_2');
  });

  it('are so many at most', async () => {
    await using([server('many')], async ({ tools }) => expect(tools).toHaveLength(128));
  });

  it('answer with text, pictures and notes about the rest; much text is cut', async () => {
    await using([server('parts')], async ({ tools }) => {
      const { text, images } = await call(tools[0]!);
      expect(text).toBe('a\n[a picture was shown to the user]\n[audio was left out]\ninside\n[y: f:y]');
      expect(images).toEqual([{ name: 'image-1', mediaType: 'image/png', bytes: Buffer.from([0, 0, 0]) }]);
    });
    await using([server('much')], async ({ tools }) =>
      expect((await call(tools[0]!)).text.length).toBeLessThan(263_000),
    );
    await using([server('failing')], async ({ tools }) => {
      expect(await call(tools[0]!)).toEqual({ text: 'Error: bad x', isError: true });
    });
  });

  it('see nothing of our environment but what their entry gives', async () => {
    process.env['SECRET_OF_OURS'] = 'secret';
    await using([server('environment', { env: { OWN: 'own' } } as Partial<McpServerConfig>)], async ({ tools }) => {
      expect(JSON.parse((await call(tools[0]!)).text)).toEqual({ secret: null, own: 'own' });
    });
    delete process.env['SECRET_OF_OURS'];
  });
});

describe('a server that', () => {
  it.each([
    ['dies at once', server('dies at once'), /srv: it cannot be started.*no licence/],
    ['never answers', server('silent', { startSeconds: 0.3 }), /it cannot be started.*timed out/i],
    ['lists nonsense', server('wrong list'), /tools/],
    ['does not exist', server('x', { command: join(folder.path, 'none') } as Partial<McpServerConfig>), /ENOENT/],
  ])('%s is a problem, not an error; the others work', async (_, config, problem) => {
    await using([config, server('good', { name: 'other' })], async ({ tools, problems }) => {
      expect(problems).toEqual([expect.stringMatching(problem)]);
      expect(tools.map(({ definition }) => definition!.name)).toEqual(['other_go']);
    });
  });

  it.each([
    ['hangs', server('hangs', { callSeconds: 0.3 }), /timed out/i],
    ['dies in a call', server('dies in a call'), /went away/],
    ['floods', server('floods'), /went away/],
    ['sends 100 MB', server('sends 100 MB'), /went away/],
    ['answers with nonsense', server('wrong result'), /invalid|expected/i],
    ['refuses', server('refuses'), /not today/],
  ])('%s costs its call and no more', async (_, config, message) => {
    await using([config], async ({ tools }) => {
      await expect(call(tools[0]!)).rejects.toThrow(message);
    });
  });

  it('writes what is no protocol, lies about ids or renames its tools is heard as far as it makes sense', async () => {
    await using([server('garbage')], async ({ tools }) => expect((await call(tools[0]!)).text).toBe('got {"x":1}'));
    await using([server('lies about ids')], async ({ tools }) => expect((await call(tools[0]!)).text).toBe('yours'));
    await using([server('renames')], async (hub) => {
      expect((await call(hub.tools[0]!)).text).toBe('called go');
      expect(hub.tools.map(({ definition }) => definition!.name)).toEqual(['srv_go']);
    });
  });

  it('dies again and again is not started for ever', async () => {
    const counter = join(folder.path, 'starts');
    await using([server('counts starts', {}, counter)], async ({ tools }) => {
      for (let i = 0; i < 4; i++) await expect(call(tools[0]!)).rejects.toThrow(/went away/);
      await expect(call(tools[0]!)).rejects.toThrow(/4 times and is not started again/);
    });
  });

  it('hangs is left at once when somebody stops the call', async () => {
    await using([server('hangs')], async ({ tools }) => {
      const stop = new AbortController();
      const going = call(tools[0]!, {}, stop.signal);
      stop.abort();
      await expect(going).rejects.toThrow();
    });
  });

  it('speaks HTTP is called there, with its headers; a redirect is not followed', async () => {
    const seen: (string | undefined)[] = [];
    const http = createServer((request, response) => {
      seen.push(request.headers['authorization']);
      let body = '';
      request.on('data', (chunk) => {
        body += chunk;
      });
      request.on('end', () => {
        if (request.url === '/moved') return response.writeHead(307, { location: '/mcp' }).end();
        if (request.method !== 'POST') return response.writeHead(405).end();
        const { id, method, params } = JSON.parse(body);
        if (id === undefined) return response.writeHead(202).end();
        const result =
          method === 'initialize'
            ? {
                protocolVersion: params.protocolVersion,
                capabilities: { tools: {} },
                serverInfo: { name: 'h', version: '1' },
              }
            : method === 'tools/list'
              ? { tools: [{ name: 'go', inputSchema: { type: 'object' } }] }
              : { content: [{ type: 'text', text: 'over http' }] };
        response
          .writeHead(200, { 'content-type': 'application/json' })
          .end(JSON.stringify({ jsonrpc: '2.0', id, result }));
      });
    });
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
    const base = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
    const config: McpServerConfig = {
      name: 'web',
      kind: 'http',
      url: `${base}/mcp`,
      headers: { authorization: 'Bearer k' },
    };
    await using([config, { ...config, name: 'moved', url: `${base}/moved` }], async ({ tools, problems }) => {
      expect(problems).toEqual([expect.stringMatching(/^moved: it cannot be started/)]);
      expect((await call(tools[0]!)).text).toBe('over http');
      expect(seen.every((header) => header === 'Bearer k')).toBe(true);
    });
    http.closeAllConnections();
    http.close();
  });
});

describe('a configuration', () => {
  it('is read in the usual form', () => {
    const text = JSON.stringify({
      mcpServers: {
        files: { command: 'npx', args: ['-y', 'x'], env: { A: 'b' }, cwd: '/x' },
        web: { type: 'http', url: 'https://example.org/mcp', headers: { h: 'v' }, callSeconds: 5 },
        off: { command: 'x', disabled: true },
      },
    });
    expect(mcpServersIn(text, 'f')).toEqual([
      { name: 'files', kind: 'stdio', command: 'npx', args: ['-y', 'x'], env: { A: 'b' }, cwd: '/x' },
      { name: 'web', kind: 'http', url: 'https://example.org/mcp', headers: { h: 'v' }, callSeconds: 5 },
    ]);
  });

  it.each([
    ['{', /no JSON/],
    ['[]', /names no servers/],
    ['{"mcpServers": {"a": 1}}', /server "a" in f: it is no object/],
    ['{"mcpServers": {"a": {}}}', /one of "command" and "url"/],
    ['{"mcpServers": {"a": {"command": "x", "url": "http://y"}}}', /one of "command" and "url"/],
    ['{"mcpServers": {"a": {"url": "file:///x"}}}', /no http address/],
    ['{"mcpServers": {"a": {"command": "x", "args": "y"}}}', /"args" is no list/],
    ['{"mcpServers": {"a": {"command": "x", "env": {"A": 1}}}}', /"env" holds/],
  ])('%s is refused by name', (text, message) => {
    expect(() => mcpServersIn(text, 'f')).toThrow(message);
  });
});
