// Owns: the socket under the app. Timeouts against slow writers, limits on headers, errors of the HTTP parser as answers
// in OpenAI's form, and stopping: first no new requests, then no old ones. Next: app.ts.

import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { getRequestListener, RequestError } from '@hono/node-server';
import { GptOssError } from '../errors.ts';
import type { App } from './app.ts';
import { errorResponse, invalid } from './wire.ts';

export interface ListenOptions {
  readonly host: string;
  readonly port: number;
}

export interface Listening {
  readonly host: string;
  readonly port: number;
  /** Ends in order: answers that run may take `graceMs` more, then they are cut. Again: cuts at once. */
  stop(graceMs: number): Promise<void>;
}

const HEADER_BYTES = 32 * 1024;
const HEADERS_MS = 15_000; // a client may take so long for its headers …
const REQUEST_MS = 120_000; // … and so long for the whole request
const CHECK_MS = 5_000;
const KEEP_ALIVE_MS = 65_000; // longer than the idle time of common proxies

export async function listen(app: App, { host, port }: ListenOptions): Promise<Listening> {
  const listener = getRequestListener(app.fetch, {
    overrideGlobalObjects: false,
    // What is HTTP and yet names no address never reaches the app.
    errorHandler: (error) => errorResponse(error instanceof RequestError ? unaddressed(error) : error, 'openai'),
  });
  const limits = {
    requireHostHeader: false, // one that is missing is answered like one that is wrong
    maxHeaderSize: HEADER_BYTES,
    headersTimeout: HEADERS_MS,
    requestTimeout: REQUEST_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectionsCheckingInterval: CHECK_MS,
  };
  const server = createServer(limits, (request, response) => void listener(request, response));
  server.on('clientError', answerBrokenRequest);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(cannotListen(error, host, port)));
    server.listen(port, host, resolve);
  });
  server.on('error', () => undefined); // of a single connection that could not be accepted
  const address = server.address() as AddressInfo;
  let cut: (() => void) | null = null;
  let stopped: Promise<void> | null = null;
  const stop = async (graceMs: number): Promise<void> => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    const late = new Promise<void>((resolve) => {
      cut = resolve;
      setTimeout(resolve, graceMs).unref();
    });
    server.closeIdleConnections();
    const drained = app.drain();
    await Promise.race([drained, late]);
    app.stop();
    await Promise.race([drained, new Promise((resolve) => setTimeout(resolve, 1000))]);
    server.closeIdleConnections();
    setTimeout(() => server.closeAllConnections(), 500).unref();
    await closed;
  };
  return {
    host: address.address,
    port: address.port,
    stop: (graceMs) => {
      if (stopped !== null) cut?.();
      stopped ??= stop(graceMs);
      return stopped;
    },
  };
}

function cannotListen(error: NodeJS.ErrnoException, host: string, port: number): GptOssError {
  const reason =
    error.code === 'EADDRINUSE'
      ? 'the port is taken'
      : error.code === 'EACCES'
        ? 'the port needs more rights'
        : (error.code ?? error.message);
  const isForeign = error.code === 'EADDRNOTAVAIL' || error.code === 'ENOTFOUND';
  const help = isForeign
    ? 'expected an address of this machine; choose another with --host'
    : 'expected a free port; choose another with --port';
  const message = `cannot listen on ${host}:${port} (${reason}); ${help}`;
  return new GptOssError('io', message, { cause: error });
}

function unaddressed({ message }: Error): GptOssError {
  const found = `the request has no address that can be read (${message.toLowerCase()})`;
  return invalid(`${found}; expected a path and a Host header; check the client`);
}

const reasons: Readonly<Record<string, readonly [status: string, code: string, message: string]>> = {
  HPE_HEADER_OVERFLOW: [
    '431 Request Header Fields Too Large',
    'headers_too_large',
    `the headers are larger than ${HEADER_BYTES} bytes; expected less; send fewer`,
  ],
  ERR_HTTP_REQUEST_TIMEOUT: [
    '408 Request Timeout',
    'request_timeout',
    'the request took too long to arrive; expected it sooner; send it again',
  ],
};

/** What the parser could not read never becomes a request; it is answered on the bare socket. */
function answerBrokenRequest(error: NodeJS.ErrnoException, socket: Socket): void {
  const busy = socket as Socket & { _httpMessage?: ServerResponse | null };
  if (error.code === 'ECONNRESET' || !socket.writable || busy._httpMessage?.headersSent === true) {
    socket.destroy();
    return;
  }
  const [status, code, message] = reasons[error.code ?? ''] ?? [
    '400 Bad Request',
    'bad_request',
    'the request is not HTTP as the standard has it; expected HTTP/1.1; check the client',
  ];
  const body = JSON.stringify({ error: { message, type: 'invalid_request_error', param: null, code } });
  const head = `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n`;
  socket.end(head + body);
}
