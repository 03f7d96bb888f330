// The socket: slow and broken writers, readers that leave at any moment, and stopping in order.
import { request } from 'node:http';
import { connect } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { type App, createApp } from './app.ts';
import { type Listening, listen } from './listen.node.ts';
import { final, patience, scripted } from './scripted.testing.ts';

let listening: Listening | null = null;
afterEach(() => listening?.stop(0));

async function start(app: App): Promise<Listening> {
  listening = await listen(app, { host: '127.0.0.1', port: 0 });
  return listening;
}

/** Sends bytes as they are; resolves to what came back until the server closed, or was silent for too long. */
function raw(port: number, bytes: string | Buffer): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
    const done = (): void => {
      socket.destroy();
      resolve(text);
    };
    socket.on('data', (chunk) => {
      text += chunk.toString();
      if (/\r\n\r\n.*\}$/s.test(text)) done();
    });
    socket.on('close', done);
    socket.on('error', done);
    setTimeout(done, patience.timeout).unref();
  });
}

const body = JSON.stringify({ messages: [{ role: 'user', content: 'hello' }] });
const head = (more = ''): string =>
  `POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n${more}\r\n`;

describe('the listening server', () => {
  it('answers requests that are no HTTP, or whose headers are too large, in the usual form', async () => {
    const { port } = await start(createApp({ model: scripted(final('Hi')) }));
    for (const [bytes, status, code] of [
      ['GARBAGE\r\n\r\n', '400', 'bad_request'],
      ['GET / HTTP/1.1\r\n\r\n', '400', 'invalid_value'], // no host
      ['GET / HTTP/1.0\r\n\r\n', '400', 'invalid_value'],
      ['GET / HTTP/1.1\r\nhost: localhost:99999\r\n\r\n', '400', 'invalid_value'],
      ['GET / HTTP/1.1\r\nhost: localhost@evil.com\r\n\r\n', '400', 'invalid_value'],
      [`GET / HTTP/1.1\r\n${'a: b\r\n'.repeat(3000)}host: localhost\r\n\r\n`, '400', 'invalid_value'], // too many
      [`GET / HTTP/1.1\r\nhost: localhost\r\nx: ${'a'.repeat(1_000_000)}\r\n\r\n`, '431', 'headers_too_large'],
      [`${head('content-length: 5\r\ncontent-length: 6')}\r\nhello`, '400', 'bad_request'],
      [`${head('transfer-encoding: chunked')}\r\nZZZ\r\n`, '400', ''],
      [Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01]), '400', 'bad_request'], // TLS
    ] as const) {
      const answer = await raw(port, bytes);
      expect(answer.slice(0, 12)).toBe(`HTTP/1.1 ${status}`);
      if (code !== '') expect(answer).toContain(`"code":"${code}"`);
    }
    expect(await raw(port, `${head(`content-length: ${body.length}`)}\r\n${body}`)).toContain('"content":"Hi"');
  });

  it('is not held up by writers that send a byte now and then', async () => {
    const { port } = await start(createApp({ model: scripted(final('Hi')) }));
    const sockets = Array.from({ length: 50 }, () => {
      const socket = connect(port, '127.0.0.1', () => socket.write(head('content-length: 100')));
      socket.on('error', () => undefined);
      return socket;
    });
    expect(await raw(port, `${head(`content-length: ${body.length}`)}\r\n${body}`)).toContain('"content":"Hi"');
    for (const socket of sockets) socket.destroy();
  });

  it('frees everything when a thousand clients leave at random moments', async () => {
    const served = scripted(null, { context: 1024, maxSequences: 8, maxQueue: 2000 });
    const app = createApp({ model: served, limits: {} });
    const { port } = await start(app);
    let seed = 7;
    const random = (most: number): number => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      return (seed >>> 8) % most;
    };
    const leave = (i: number): Promise<void> =>
      new Promise((resolve) => {
        const text = JSON.stringify({
          messages: [{ role: 'user', content: 'hello' }],
          stream: i % 4 !== 0,
          max_tokens: 30,
          seed: i,
        });
        const moment = random(5);
        const headers = { 'content-type': 'application/json', 'content-length': text.length };
        const sent = request({ port, host: '127.0.0.1', method: 'POST', path: '/v1/chat/completions', headers });
        const go = (): void => {
          sent.destroy();
          resolve();
        };
        sent.on('error', go);
        sent.on('response', (response) => {
          let left = random(moment === 4 ? 40 : 4);
          response.on('data', () => {
            if (left-- <= 0) go();
          });
          response.on('end', go);
          response.on('error', go);
        });
        if (moment === 0)
          sent.write(text.slice(0, 10), go); // in the middle of the body
        else {
          sent.end(text);
          if (moment === 1) setTimeout(go, random(20)); // waiting, or reading the prompt
        }
      });
    const clients = Array.from({ length: 1000 }, (_, i) => i);
    const next = async (): Promise<void> => {
      for (let i = clients.pop(); i !== undefined; i = clients.pop()) await leave(i);
    };
    await Promise.all(Array.from({ length: 48 }, next));
    await expect.poll(() => app.visits, patience).toBe(0);
    const stats = (): number => served.engine.stats().running + served.engine.stats().waiting;
    await expect.poll(stats, patience).toBe(0);
    expect(served.engine.stats().pages.full.held).toBe(0);
    served.engine.audit();
    const after = body.replace('}]', '}],"max_tokens":3');
    expect(await raw(port, `${head(`content-length: ${after.length}`)}\r\n${after}`)).toContain('"finish_reason"');
  });

  it('stops at once when nothing runs, and says what is wrong when it cannot start', async () => {
    const first = await start(createApp({ model: scripted(final('Hi')) }));
    const second = listen(createApp({ model: scripted(final('Hi')) }), { host: '127.0.0.1', port: first.port });
    await expect(second).rejects.toThrow(/the port is taken.*--port/);
    const idle = connect(first.port, '127.0.0.1'); // an open connection holds nothing up
    idle.on('error', () => undefined);
    await first.stop(60_000);
    expect(await raw(first.port, 'GET / HTTP/1.1\r\n\r\n')).toBe('');
  });

  it('lets a running stream end within its time, and cuts it after that', async () => {
    for (const [words, graceMs, isWhole] of [
      [20, 60_000, true],
      [100_000, 0, false],
    ] as const) {
      let begin = (): void => undefined;
      const begun = new Promise<void>((resolve) => (begin = resolve));
      let letGo = (): void => undefined;
      const gate = new Promise<void>((resolve) => (letGo = resolve));
      const hold = (): Promise<void> => {
        begin();
        return gate;
      };
      const said = final('word '.repeat(words));
      const { port, stop } = await start(createApp({ model: scripted(said, { context: 8192 }, hold) }));
      const text = body.replace('}]', '}],"stream":true');
      const answer = raw(port, `${head(`content-length: ${text.length}\r\nconnection: close`)}\r\n${text}`);
      await begun;
      const stopped = stop(graceMs);
      letGo();
      await stopped;
      expect((await answer).includes('[DONE]')).toBe(isWhole);
    }
  });
});
