// Plays a Hugging Face hub and its content host on two loopback ports, with faults on demand. For tests only.

import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';

export interface FakeFile {
  content: Buffer;
  lfs: boolean;
}

/** Called for each request of the content host; true = it has answered (or spoiled) the request itself. */
export type Fault = (request: IncomingMessage, response: ServerResponse, hub: FakeHub) => boolean;

export class FakeHub {
  readonly files = new Map<string, FakeFile>();
  readonly repository = 'openai/gpt-oss-test';
  commit = 'c'.repeat(40);
  /** Answers of the content host, in order; when the list is empty it behaves. */
  faults: Fault[] = [];
  hubFaults: Fault[] = [];
  ignoreRanges = false;
  bytesPerSecond = Infinity;
  sent = 0; // content bytes
  readonly seenByContentHost: IncomingMessage['headers'][] = [];
  readonly seenByHub: IncomingMessage['headers'][] = [];
  private signature = 1;
  private readonly hub: Server;
  private readonly host: Server;

  constructor() {
    this.hub = createServer((request, response) => this.answerHub(request, response));
    this.host = createServer((request, response) => void this.answerHost(request, response));
  }

  async start(): Promise<void> {
    for (const server of [this.hub, this.host])
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  }

  async stop(): Promise<void> {
    for (const server of [this.hub, this.host]) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  }

  get url(): string {
    return `http://127.0.0.1:${(this.hub.address() as AddressInfo).port}`;
  }

  get hostUrl(): string {
    return `http://127.0.0.1:${(this.host.address() as AddressInfo).port}`;
  }

  add(path: string, content: Buffer, lfs = content.length > 10_000): void {
    this.files.set(path, { content, lfs });
  }

  /** Signed addresses given out so far stop working. */
  expire(): void {
    this.signature++;
  }

  tag(path: string): string {
    const { content, lfs } = this.files.get(path)!;
    if (lfs) return createHash('sha256').update(content).digest('hex');
    return createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex');
  }

  private answerHub(request: IncomingMessage, response: ServerResponse): void {
    this.seenByHub.push(request.headers);
    if (this.hubFaults.shift()?.(request, response, this)) return;
    const { pathname } = new URL(request.url ?? '/', 'http://x');
    const json = (value: unknown): void => {
      response.setHeader('content-type', 'application/json').end(JSON.stringify(value));
    };
    if (pathname.startsWith(`/api/models/${this.repository}/tree/`)) {
      json(
        [...this.files].map(([path, { content, lfs }]) => ({
          type: 'file',
          path,
          size: content.length,
          oid: lfs ? 'b'.repeat(40) : this.tag(path),
          ...(lfs && { lfs: { oid: this.tag(path), size: content.length, pointerSize: 130 } }),
        })),
      );
      return;
    }
    if (pathname.startsWith(`/api/models/${this.repository}`)) {
      json({
        _id: '1',
        id: this.repository,
        modelId: this.repository,
        sha: this.commit,
        private: false,
        gated: false,
        downloads: 0,
        likes: 0,
        lastModified: '2025-08-05T00:00:00.000Z',
      });
      return;
    }
    const prefix = `/${this.repository}/resolve/${this.commit}/`;
    const path = pathname.startsWith(prefix) ? decodeURIComponent(pathname.slice(prefix.length)) : '';
    const file = this.files.get(path);
    if (file === undefined) return void response.writeHead(404).end();
    const headers = {
      'x-repo-commit': this.commit,
      'x-linked-etag': `"${this.tag(path)}"`,
      'x-linked-size': String(file.content.length),
    };
    if (file.lfs) {
      response.writeHead(302, { ...headers, location: `${this.hostUrl}/${path}?signature=${this.signature}` }).end();
    } else {
      response
        .writeHead(200, { etag: `"${this.tag(path)}"`, 'content-length': file.content.length })
        .end(request.method === 'HEAD' ? undefined : file.content);
    }
  }

  private async answerHost(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.seenByContentHost.push(request.headers);
    if (this.faults.shift()?.(request, response, this)) return;
    const url = new URL(request.url ?? '/', 'http://x');
    const file = this.files.get(decodeURIComponent(url.pathname.slice(1)));
    if (file === undefined) return void response.writeHead(404).end();
    if (Number(url.searchParams.get('signature')) !== this.signature)
      return void response.writeHead(403).end('expired');
    const range = this.ignoreRanges ? null : /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
    const from = range === null ? 0 : Number(range[1]);
    const to = range === null ? file.content.length - 1 : Math.min(Number(range[2]), file.content.length - 1);
    if (from > to && file.content.length > 0)
      return void response.writeHead(416, { 'content-range': `bytes */${file.content.length}` }).end();
    response.writeHead(range === null ? 200 : 206, {
      'content-length': to + 1 - from,
      ...(range !== null && { 'content-range': `bytes ${from}-${to}/${file.content.length}` }),
    });
    const step = Number.isFinite(this.bytesPerSecond) ? 16_384 : 1 << 20;
    for (let at = from; at <= to && !response.destroyed; at += step) {
      const piece = file.content.subarray(at, Math.min(at + step, to + 1));
      this.sent += piece.length;
      if (!response.write(piece) && !response.destroyed) {
        await new Promise<void>((resolve) => {
          const done = (): void => {
            response.off('drain', done).off('close', done);
            resolve();
          };
          response.on('drain', done).on('close', done);
        });
      }
      if (Number.isFinite(this.bytesPerSecond))
        await new Promise((resolve) => setTimeout(resolve, (piece.length / this.bytesPerSecond) * 1000));
    }
    response.end();
  }
}

const content = (request: IncomingMessage, hub: FakeHub): Buffer =>
  hub.files.get(decodeURIComponent(new URL(request.url ?? '/', 'http://x').pathname.slice(1)))!.content;

/** Ways to go wrong, by name. */
export const faults = {
  status:
    (code: number, headers: Record<string, string> = {}): Fault =>
    (_, response) => {
      response.writeHead(code, headers).end();
      return true;
    },
  expired: ((_, __, hub) => {
    hub.expire();
    return false;
  }) satisfies Fault,
  page: ((_, response) => {
    response.end('<html>');
    return true;
  }) satisfies Fault,
  reset: ((request) => {
    request.socket.destroy();
    return true;
  }) satisfies Fault,
  stall: ((request, response, hub) => {
    response.writeHead(206, { 'content-length': 1000, 'content-range': `bytes 0-999/${content(request, hub).length}` });
    response.write(content(request, hub).subarray(0, 100)); // and then silence
    return true;
  }) satisfies Fault,
  truncated: ((request, response, hub) => {
    const [, from, to] = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? '') ?? [
      '',
      '0',
      String(content(request, hub).length - 1),
    ];
    const body = content(request, hub).subarray(Number(from), Math.floor((Number(from) + Number(to)) / 2));
    response.writeHead(206, { 'content-range': `bytes ${from}-${to}/${content(request, hub).length}` });
    response.end(body); // chunked: the end looks honest
    return true;
  }) satisfies Fault,
  tooMuch: ((request, response, hub) => {
    const [, from, to] = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? '')!;
    response.writeHead(206, { 'content-range': `bytes ${from}-${to}/${content(request, hub).length}` });
    response.end(Buffer.alloc(Number(to) - Number(from) + 50_000));
    return true;
  }) satisfies Fault,
  wrongRange: ((_, response) => {
    response.writeHead(206, { 'content-range': 'bytes 7-9/10' }).end('abc');
    return true;
  }) satisfies Fault,
  gzipped: ((request, response, hub) => {
    response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(content(request, hub)));
    return true;
  }) satisfies Fault,
  redirectLoop: ((request, response) => {
    response.writeHead(302, { location: request.url ?? '/' }).end();
    return true;
  }) satisfies Fault,
  garbage: ((request, response, hub) => {
    const [, from, to] = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? '') ?? [
      '',
      '0',
      String(content(request, hub).length - 1),
    ];
    response.writeHead(206, { 'content-range': `bytes ${from}-${to}/${content(request, hub).length}` });
    response.end(Buffer.alloc(Number(to) - Number(from) + 1, 0x55));
    return true;
  }) satisfies Fault,
};
