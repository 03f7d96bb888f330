import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { PassThrough } from 'node:stream';
import { afterEach, describe, expect, it } from 'vitest';
import { seedModel } from '../../../test/shared.ts';
import { hubSettings } from '../../hub/roots.ts';
import { main } from '../main.ts';
import { cases } from './cases.ts';

let server: Server | null = null;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
  server = null;
});

async function conform(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const written = { out: '', err: '' };
  const output = (name: 'out' | 'err') => ({
    write: (text: string) => void (written[name] += text),
    ...{ isTerminal: false, colour: false, columns: 80, rows: 24 },
  });
  const stdin = new PassThrough();
  stdin.end();
  const code = await main(['conform', ...argv], {
    terminal: { out: output('out'), err: output('err') },
    stdin: stdin as unknown as NodeJS.ReadStream,
    environment: { isa: null, ci: false, noColour: false, path: '', dumb: false },
    stores: hubSettings({}, 'linux', tmpdir()),
    version: '1.2.3',
    signal: new AbortController().signal,
    takeInterrupts: () => {},
  });
  return { code, ...written };
}

/** A server that answers as it is told. */
async function impostor(
  answer: (request: IncomingMessage, body: string, response: ServerResponse) => void,
): Promise<string> {
  server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => void (body += chunk.toString()));
    request.on('end', () => answer(request, body, response));
  });
  await new Promise<void>((resolve) => server!.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server!.address() as AddressInfo).port}`;
}

const json = (response: ServerResponse, status: number, value: object): void => {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(value));
};

describe('conform', () => {
  it('has cases of every kind, named apart', () => {
    expect(new Set(cases.map(({ id }) => id)).size).toBe(cases.length);
    expect(cases.length).toBeGreaterThan(80);
  });

  it('finds our own server in order', async () => {
    const groups = ['shape', 'tools', 'effort', 'limits', 'state', 'cache', 'safety', 'errors'];
    const only = groups.flatMap((group) => ['--only', `${group} `]);
    const { code, out, err } = await conform('--model', seedModel, '--k', '1', '--json', ...only);
    const report = JSON.parse(out);
    const wrong = report.results.filter((each: { complaints: string[] }) => each.complaints.length > 0);
    expect(wrong).toEqual([]);
    expect(report.pass_hat_k).toBe(report.cases);
    expect([code, report.k, err.includes('cases failed')]).toEqual([0, 1, false]);
  }, 120_000);

  it('says what is wrong with others, and leaves out dialects that they do not speak', async () => {
    const seen: string[] = [];
    const url = await impostor(({ url: path, headers }, body, response) => {
      seen.push(headers.authorization ?? '');
      if (path === '/v1/models') json(response, 200, { data: [{ id: 'other' }] });
      else if (path !== '/v1/chat/completions') json(response, 404, { error: { message: 'no', type: 'x' } });
      else if (body.includes('"stream":true')) response.end('data: {"object":"x"}\n\n');
      else json(response, 200, { object: 'chat.completion', id: 'a', created: 1, choices: [] });
    });
    const { code, out, err } = await conform('--url', `${url}/v1`, '--api-key', 'k', '--k', '2', '--only', 'shape');
    expect(code).toBe(1);
    expect(out).toMatch(/chat: an answer.* 0\/2 {2}no message of the assistant/);
    expect(out).toMatch(/chat streamed: an answer.* 0\/2 {2}the stream does not end in \[DONE\]/);
    expect(out).toMatch(/ollama: an answer.* – {2}\/api\/chat is not served/);
    expect(out).toContain('other: pass^2 0 of 2 cases (0.0 %), pass@2 0.0 %, 6 skipped');
    expect(err).toMatch(/^gptoss: invalid-request: 2 of 2 cases failed/);
    expect(new Set(seen)).toEqual(new Set(['Bearer k']));
  });

  it('survives a server that answers nonsense, breaks off or is not there', async () => {
    const url = await impostor((_, body, response) => {
      if (body.includes('"stream":true')) response.end('nothing like events \u001b[2J');
      else if (body.includes('claims')) response.destroy();
      else response.writeHead(200).end('<html>');
    });
    const { code, out } = await conform('--url', url, '--request-model', 'claims', '--k', '1');
    expect(code).toBe(1);
    expect(out).toContain('a line that is no event');
    expect(out).toContain('no answer from /v1/chat/completions');
    expect(out).not.toContain('\u001b');
    const nobody = await conform('--url', 'http://127.0.0.1:9', '--k', '1');
    expect([nobody.code, nobody.out]).toEqual([1, '']);
  }, 60_000);

  it('takes no case that does not exist', async () => {
    expect((await conform('--url', 'http://127.0.0.1:9', '--request-model', 'x', '--only', 'nothing')).err).toContain(
      'no case contains nothing',
    );
  });
});
