// What HTTP itself can do wrong: hosts, origins, keys, bodies, routes, leaving and stopping.
import { afterEach, describe, expect, it } from 'vitest';
import { Caller, final, patience, scripted } from './scripted.testing.ts';

const path = '/v1/chat/completions';
const hello = { messages: [{ role: 'user', content: 'hello' }] };
const model = () => scripted(final('Hi'));

async function codeOf(response: Response): Promise<string> {
  const { error } = (await response.json()) as { error: { code: string; message: string; type: string } };
  expect(error.message).toMatch(/; expected .*; /);
  expect(error.type).toMatch(/_error$/);
  return error.code;
}

describe('hosts', () => {
  const statusFor = async (host: string, hosts: string[] = []): Promise<number> =>
    (await new Caller({ model: model(), hosts }).fetch('/v1/models', { headers: { host } })).status;

  it('of this machine and addresses pass', async () => {
    for (const host of [
      'localhost',
      'localhost:8080',
      'LOCALHOST.',
      'app.localhost',
      '127.0.0.1:1',
      '[::1]:80',
      '10.0.0.7',
    ])
      expect([host, await statusFor(host)]).toEqual([host, 200]);
  });

  it('of anybody else are turned away, however they are written', async () => {
    for (const host of [
      'evil.com',
      'evil.com:8080',
      'localhost.evil.com',
      'localhost@evil.com',
      'evil.com#localhost',
      '127.0.0.1.evil.com',
      '127.0.0.1.nip.io',
      'localhost:80:80',
      'local host',
      '[::1].evil.com',
      '2130706433x',
      '-',
    ])
      expect([host, await statusFor(host)]).toEqual([host, 403]);
  });

  it('pass when they are allowed by name', async () => {
    expect(await statusFor('box.lan:8080', ['box.lan'])).toBe(200);
    expect(await statusFor('other.lan', ['box.lan'])).toBe(403);
    expect(await statusFor('anything.example', ['*'])).toBe(200);
  });
});

describe('origins', () => {
  const ask = (origin: string, origins: string[] = [], init: RequestInit = {}): Promise<Response> =>
    new Caller({ model: model(), origins }).fetch('/v1/models', {
      ...init,
      headers: { origin, host: 'localhost:8080', ...(init.headers as object) },
    });

  it('of this machine may call, others and null may not', async () => {
    for (const origin of ['http://localhost:3000', 'http://127.0.0.1', 'https://localhost:8080', 'http://[::1]:5173']) {
      const response = await ask(origin);
      expect([origin, response.status, response.headers.get('access-control-allow-origin')]).toEqual([
        origin,
        200,
        origin,
      ]);
    }
    for (const origin of [
      'https://evil.com',
      'null',
      'http://localhost.evil.com',
      'file://',
      'http://localhost@evil.com',
    ]) {
      const response = await ask(origin);
      expect([origin, response.status, response.headers.get('access-control-allow-origin')]).toEqual([
        origin,
        403,
        null,
      ]);
    }
  });

  it('may be allowed, one by one or all', async () => {
    expect((await ask('https://app.example', ['https://app.example'])).status).toBe(200);
    expect((await ask('https://app.example:1', ['https://app.example'])).status).toBe(403);
    expect((await ask('null', ['*'])).headers.get('access-control-allow-origin')).toBe('null');
  });

  it('are answered before they send, and can read errors', async () => {
    const headers = {
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'Authorization, x-a\u00e9',
    };
    const response = await ask('http://localhost:3000', [], { method: 'OPTIONS', headers });
    expect(response.status).toBe(204);
    expect(response.headers.get('access-control-allow-headers')).toBe('authorization');
    expect((await ask('https://evil.com', [], { method: 'OPTIONS', headers })).status).toBe(403);
    const caller = new Caller({ model: model(), apiKeys: ['k'] });
    const denied = await caller.fetch('/v1/models', { headers: { origin: 'http://localhost:3000' } });
    expect([denied.status, denied.headers.get('access-control-allow-origin')]).toEqual([401, 'http://localhost:3000']);
  });
});

describe('keys', () => {
  const ask = async (headers: Record<string, string>, apiKeys = ['secret', 'other']): Promise<number> =>
    (await new Caller({ model: model(), apiKeys }).fetch('/v1/models', { headers })).status;

  it('count the same as Bearer and as x-api-key, on every route', async () => {
    expect(await ask({ authorization: 'Bearer secret' })).toBe(200);
    expect(await ask({ authorization: 'bearer other' })).toBe(200);
    expect(await ask({ 'x-api-key': 'secret' })).toBe(200);
    expect(await ask({ 'x-api-key': 'secret', authorization: 'Bearer secret' })).toBe(200);
    const caller = new Caller({ model: model(), apiKeys: ['secret'] });
    for (const route of ['/', '/api/tags', '/v1/responses/x', '/metrics', '/openapi.json', '/nope']) {
      const denied = await caller.fetch(route);
      expect([route, denied.status, denied.headers.get('www-authenticate')]).toEqual([route, 401, 'Bearer']);
    }
    for (const route of ['/healthz', '/readyz']) expect((await caller.fetch(route)).status).toBe(200);
  });

  it('that are wrong, empty, doubled or of two minds are none', async () => {
    for (const headers of [
      {},
      { authorization: '' },
      { authorization: 'Bearer' },
      { authorization: 'Bearer wrong' },
      { authorization: 'Basic c2VjcmV0' },
      { authorization: 'Bearer secret, Bearer secret' },
      { 'x-api-key': '' },
      { 'x-api-key': 'secre' },
      { 'x-api-key': 'secretsecret' },
      { 'x-api-key': 'wrong', authorization: 'Bearer secret' },
    ] as Record<string, string>[])
      expect([headers, await ask(headers)]).toEqual([headers, 401]);
  });

  it('are ignored where none are set', async () => {
    expect(await ask({ authorization: 'Bearer whatever' }, [])).toBe(200);
  });
});

describe('bodies', () => {
  const caller = new Caller({ model: model(), limits: { maxBytes: 200_000, maxDepth: 64 } });
  const send = (body: BodyInit, headers: Record<string, string> = {}): Promise<Response> =>
    caller.fetch(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body,
      duplex: 'half',
    });
  afterEach(() => expect(caller.app.visits).toBe(0));

  it('that are no JSON object are refused', async () => {
    for (const body of ['', '{', 'null', '[]', '3', '"x"', 'NaN', '{"a":NaN}', "{'a':1}", '{"a":1}}', '\u0000', 'true'])
      expect([body, (await send(body)).status]).toEqual([body, 400]);
  });

  it('may begin with a byte order mark and hold anything that JSON can', async () => {
    const bom = new Uint8Array([0xef, 0xbb, 0xbf, ...new TextEncoder().encode(JSON.stringify(hello))]);
    expect((await send(bom)).status).toBe(200);
    for (const content of ['\u0000\u0007', '\ud800', '\udc00\ud800', '\ufeff', 'a\u2028b', '👩‍👩‍👧'.repeat(50)])
      expect((await send(JSON.stringify({ messages: [{ role: 'user', content }] }))).status).toBe(200);
    expect((await send('{"messages":[{"role":"user","content":"\\ud800"}]}')).status).toBe(200);
    // The last of two equal keys counts, and names that mean something to JavaScript mean nothing.
    expect((await send('{"messages":[],"messages":[{"role":"user","content":"x"}],"__proto__":{"n":9}}')).status).toBe(
      200,
    );
  });

  it('that are not UTF-8, compressed, or of a type that pages can send unasked are refused', async () => {
    expect((await send(new Uint8Array([0x22, 0xff, 0xfe, 0x22]))).status).toBe(400);
    for (const encoding of ['gzip', 'br', 'deflate', 'gzip, gzip', 'zstd'])
      expect((await send('x', { 'content-encoding': encoding })).status).toBe(415);
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x'])
      expect((await send(JSON.stringify(hello), { 'content-type': type })).status).toBe(415);
    expect((await send(JSON.stringify(hello), { 'content-type': 'application/json; charset=utf-8' })).status).toBe(200);
  });

  it('that are too large or too deep are refused before they are parsed', async () => {
    expect(await codeOf(await send(`"${'x'.repeat(300_000)}"`))).toBe('request_too_large');
    expect((await send('x', { 'content-length': '999999999999' })).status).toBe(413);
    let sent = 0;
    const endless = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        controller.enqueue(new Uint8Array(10_000));
        sent++;
      },
    });
    expect((await send(endless)).status).toBe(413);
    expect(sent).toBeLessThan(40);
    expect((await send('['.repeat(100_000))).status).toBe(400);
    expect((await send(`{"messages":${'['.repeat(70)}${']'.repeat(70)}}`)).status).toBe(400);
    const deepText = JSON.stringify({ messages: [{ role: 'user', content: '[{"'.repeat(1000) }] });
    expect((await send(deepText)).status).toBe(200);
  });

  it('hold no numbers beyond their range', async () => {
    const fields = ['1e400', '-1e400', '9223372036854775808', '1e309', '0.5'];
    for (const number of fields)
      expect((await send(`{"messages":[{"role":"user","content":"x"}],"seed":${number}}`)).status).toBe(400);
    expect((await send('{"messages":[{"role":"user","content":"x"}],"seed":-9007199254740991}')).status).toBe(200);
  });
});

describe('routes', () => {
  const caller = new Caller({ model: model() });

  it('that do not exist are said not to', async () => {
    for (const [method, route, status] of [
      ['GET', '/v1/nope', 404],
      ['POST', '/v1//x', 404],
      ['GET', '/v1/../etc/passwd', 404],
      ['GET', '/%2e%2e/etc/passwd', 404],
      ['GET', '/v1/models/other', 404],
      ['GET', path, 405],
      ['DELETE', path, 405],
      ['PUT', '/v1/responses/x', 405],
      ['PROPFIND', '/v1/models', 405],
    ] as const) {
      const response = await caller.fetch(route, { method });
      expect([method, route, response.status]).toEqual([method, route, status]);
      await codeOf(response);
      if (status === 405) expect(response.headers.get('allow')).toMatch(/GET|POST/);
    }
  });

  it('of embeddings say that there are none', async () => {
    for (const route of ['/v1/embeddings', '/api/embed']) {
      const response = await caller.post(route, { input: 'x' });
      expect(response.status).toBe(404);
      expect(await response.text()).toContain('embeddings');
    }
  });

  it('are described with the schemas that check them', async () => {
    const document = (await (await caller.fetch('/openapi.json')).json()) as {
      openapi: string;
      paths: Record<string, Record<string, { requestBody?: object }>>;
    };
    expect(document.openapi).toBe('3.1.0');
    for (const route of ['/v1/responses', path, '/v1/completions', '/v1/messages', '/api/chat', '/tokenize'])
      expect(document.paths[route].post.requestBody).toBeDefined();
    for (const [route, methods] of Object.entries(document.paths)) {
      for (const method of Object.keys(methods)) {
        const real = route.replace('{model}', 'scripted').replace('{id}', 'x');
        const response = await caller.fetch(real, { method: method.toUpperCase() });
        const isMissing = response.status === 404 && (await codeOf(response)) === 'unknown_url';
        expect([method, route, isMissing || response.status === 405]).toEqual([method, route, false]);
      }
    }
  });

  it('answer HEAD like GET, and every answer has an id', async () => {
    const response = await caller.fetch('/v1/models', { method: 'HEAD' });
    expect([response.status, await response.text()]).toEqual([200, '']);
    expect(response.headers.get('x-request-id')).toMatch(/^req_/);
  });

  it('list the model under all its names, and take any name unless told to be strict', async () => {
    const named = new Caller({ model: model(), aliases: ['gpt-oss-20b'] });
    const { data } = (await (await named.fetch('/v1/models')).json()) as { data: { id: string }[] };
    expect(data.map(({ id }) => id)).toEqual(['scripted', 'gpt-oss-20b']);
    expect((await named.post(path, { ...hello, model: 'gpt-4o' })).status).toBe(200);
    const strict = new Caller({ model: model(), aliases: ['gpt-oss-20b'], isStrict: true });
    expect((await strict.post(path, { ...hello, model: 'gpt-oss-20b' })).status).toBe(200);
    const refused = await strict.post(path, { ...hello, model: 'gpt-4o' });
    expect([refused.status, await codeOf(refused)]).toEqual([404, 'model_not_found']);
  });
});

describe('clients that leave', () => {
  it('free what they held, at whatever moment they go', async () => {
    const served = scripted(null, { maxSequences: 4, context: 2048 });
    const caller = new Caller({ model: served });
    const leave = async (i: number): Promise<void> => {
      const controller = new AbortController();
      const body = { ...hello, stream: i % 3 !== 0, max_tokens: 400, seed: i, n: i % 5 === 0 ? 2 : 1 };
      const response = caller.fetch(i % 2 === 0 ? path : '/v1/responses', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(i % 2 === 0 ? body : { ...body, input: 'hello' }),
        signal: controller.signal,
      });
      if (i % 3 === 0) {
        setTimeout(() => controller.abort(), i % 7);
        await response;
        return;
      }
      const reader = (await response).body!.getReader();
      for (let chunk = 0; chunk < i % 11; chunk++) await reader.read();
      if (i % 4 === 1) controller.abort();
      await reader.cancel();
    };
    await Promise.all(Array.from({ length: 120 }, (_, i) => leave(i)));
    await expect.poll(() => caller.app.visits, patience).toBe(0);
    await expect.poll(() => served.engine.stats().running + served.engine.stats().waiting, patience).toBe(0);
    expect(served.engine.stats().pages.full.held).toBe(0);
    served.engine.audit();
    expect((await caller.post(path, { ...hello, max_tokens: 5 })).status).toBe(200);
  });

  it('stop the computing within a token', async () => {
    const served = scripted(null, { context: 4096 });
    const caller = new Caller({ model: served });
    const response = await caller.post(path, {
      ...hello,
      stream: true,
      logit_bias: { [served.encoding.ids.return]: -100 },
    });
    const reader = response.body!.getReader();
    for (let chunk = 0; chunk < 5; chunk++) await reader.read();
    await reader.cancel();
    const { generatedTokens } = served.engine.stats();
    await expect.poll(() => served.engine.stats().running, patience).toBe(0);
    expect(served.engine.stats().generatedTokens - generatedTokens).toBeLessThanOrEqual(1);
  });

  it('that read slowly hold back their own stream only, and are given up in the end', async () => {
    const served = scripted(() => final('word '.repeat(3000)), { context: 8192 });
    const caller = new Caller({ model: served, streams: { heartbeatMs: 20, stallMs: 60 } });
    // A long answer waits for its reader, a short one is written long before anybody reads: both count until they are read.
    for (const body of [hello, { ...hello, max_tokens: 20 }]) {
      const response = await caller.post(path, { ...body, stream: true });
      await expect.poll(() => caller.app.visits, patience).toBe(0); // without anybody reading
      await expect(response.text()).rejects.toThrow('given up');
    }
    expect((await caller.post(path, { ...hello, max_tokens: 3 })).status).toBe(200);
  });

  it('hear from the server while nothing comes', async () => {
    let hold = true;
    let resume = (): void => undefined;
    const gate = (): Promise<void> | undefined =>
      hold ? new Promise<void>((resolve) => (resume = resolve)) : undefined;
    for (const [route, body, beat] of [
      [path, hello, ': keep-alive'],
      ['/v1/messages', { ...hello, max_tokens: 9 }, 'event: ping'],
    ] as const) {
      hold = true;
      const caller = new Caller({ model: scripted(final('Hi'), {}, gate), streams: { heartbeatMs: 10 } });
      const response = await caller.post(route, { ...body, stream: true });
      const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
      let text = '';
      while (text.split(beat).length < 4) text += (await reader.read()).value;
      hold = false;
      resume();
      for (let part = await reader.read(); !part.done; part = await reader.read()) text += part.value;
      expect(text).toMatch(/DONE|message_stop/);
    }
  });
});

describe('a server that stops', () => {
  it('takes nothing new, finishes what it has, then says that all is done', async () => {
    const caller = new Caller({ model: scripted(final('Hi there!')) });
    const running = await caller.post(path, { ...hello, stream: true });
    let isDrained = false;
    const drained = caller.app.drain().then(() => {
      isDrained = true;
    });
    const late = await caller.post(path, hello);
    expect([late.status, late.headers.get('retry-after')]).toEqual([503, '5']);
    expect((await caller.fetch('/readyz')).status).toBe(503);
    expect((await caller.fetch('/healthz')).status).toBe(200);
    expect(isDrained).toBe(false);
    expect(await running.text()).toContain('[DONE]');
    await drained;
  });

  it('cuts what does not finish, and tells its clients', async () => {
    const served = scripted(null, { context: 8192 });
    const caller = new Caller({ model: served });
    const bias = { [served.encoding.ids.return]: -100 };
    const streaming = await caller.post(path, { ...hello, stream: true, logit_bias: bias });
    const whole = caller.post(path, { ...hello, logit_bias: bias });
    const background = await caller.json('/v1/responses', { input: 'x', background: true, logit_bias: bias });
    const drained = caller.app.drain();
    caller.app.stop();
    await drained;
    expect(await streaming.text()).toContain('"code":"unavailable"');
    expect((await whole).status).toBe(503);
    expect(String(background.status)).toMatch(/queued|in_progress/);
    expect(served.engine.stats().running).toBe(0);
    served.engine.audit();
  });
});

describe('too many at once', () => {
  it('get 429 with the time to wait, and nothing of a refused request stays', async () => {
    const served = scripted(null, { maxSequences: 1, maxQueue: 2 });
    const caller = new Caller({ model: served });
    const body = { ...hello, stream: true, max_tokens: 50 };
    const responses = await Promise.all(Array.from({ length: 8 }, () => caller.post(path, body)));
    const refused = responses.filter(({ status }) => status === 429);
    expect(refused.length).toBeGreaterThan(0);
    expect(refused[0].headers.get('retry-after')).toBe('2');
    for (const response of responses) await response.text();
    // One request may ask for more than there is room for.
    expect((await caller.post(path, { ...hello, n: 10, max_tokens: 5 })).status).toBe(429);
    await expect.poll(() => served.engine.stats().running + served.engine.stats().waiting, patience).toBe(0);
    expect(caller.app.visits).toBe(0);
    served.engine.audit();
  });
});

describe('metrics', () => {
  it('count tokens, cache hits, answers and statuses', async () => {
    const caller = new Caller({ model: model() });
    await caller.post(path, hello);
    await caller.post(path, hello);
    await caller.post(path, {});
    const text = await (await caller.fetch('/metrics')).text();
    const value = (name: string): number => Number(new RegExp(`^gptoss:${name} (.*)$`, 'm').exec(text)?.[1]);
    expect(value('generation_tokens_total')).toBeGreaterThan(5);
    expect(value('prefix_cache_hits_total')).toBeGreaterThan(20);
    expect(value('request_success_total\\{finished_reason="stop"\\}')).toBe(2);
    expect(value('http_responses_total\\{status="400"\\}')).toBe(1);
    expect(value('time_to_first_token_seconds_count')).toBe(2);
    expect(value('num_requests_running')).toBe(0);
  });
});
