// Owns: getting a page from the network without being led elsewhere. The address is checked when the connection is made
// (names are resolved once, and the address that was checked is the one connected to), again on the open socket, and
// again for each redirect. Bounds: time, bytes on the wire and after unpacking, redirects, types.
// Refuses: cookies, credentials, proxies, anything but GET that redirects. Next: addresses.ts (which addresses).

import { lookup as systemLookup } from 'node:dns/promises';
import type { Socket } from 'node:net';
import { type Readable, Transform, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import { Agent, buildConnector, request } from 'undici';
import { type AllowedPlace, checkedUrl, FetchError, isAddress, isPublicAddress } from './addresses.ts';

export interface SafeFetchOptions {
  /** Places that may be reached although they are not public. */
  readonly allowed?: readonly AllowedPlace[];
  /** Seconds for all of a page, redirects included; default 30. */
  readonly seconds?: number;
  /** Bytes of a page, unpacked; default 8 MiB. */
  readonly bytes?: number;
  readonly redirects?: number;
  /** Addresses of a name; for tests. */
  readonly resolve?: (name: string) => Promise<readonly string[]>;
  readonly userAgent?: string;
}

export interface FetchOptions {
  readonly signal?: AbortSignal;
  /** Sent to the first host only. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON by POST. */
  readonly body?: unknown;
}

export interface Fetched {
  /** After redirects. */
  readonly url: string;
  /** Without parameters, in lower case; empty: not said. */
  readonly type: string;
  readonly charset: string | null;
  readonly bytes: Uint8Array;
}

const TYPES =
  /^(|text\/[\w.+-]+|application\/(xhtml\+xml|xml|json|[\w.+-]+\+(xml|json)|pdf|x-ndjson|javascript|yaml))$/;

export class SafeFetcher {
  readonly #options: Required<Omit<SafeFetchOptions, 'resolve'>>;
  readonly #resolve: (name: string) => Promise<readonly string[]>;
  readonly #agent: Agent;

  constructor(options: SafeFetchOptions = {}) {
    const { resolve = resolveName, ...rest } = options;
    const defaults = { allowed: [], seconds: 30, bytes: 8 * 2 ** 20, redirects: 5, userAgent: 'gptoss (page reader)' };
    this.#options = { ...defaults, ...rest };
    this.#resolve = resolve;
    this.#agent = new Agent({
      connect: this.#connector(),
      pipelining: 0, // each page has a connection of its own, so each has been checked
      maxHeaderSize: 32 * 1024,
      headersTimeout: this.#options.seconds * 1000,
      bodyTimeout: this.#options.seconds * 1000,
    });
  }

  /** Throws FetchError for everything that goes wrong. */
  async get(address: string, options: FetchOptions = {}): Promise<Fetched> {
    const late = AbortSignal.timeout(Math.ceil(this.#options.seconds * 1000));
    const signal = options.signal === undefined ? late : AbortSignal.any([options.signal, late]);
    try {
      return await this.#follow(address, options, signal);
    } catch (error) {
      if (options.signal?.aborted === true) throw new FetchError('stopped');
      if (late.aborted) throw new FetchError(`it took longer than ${this.#options.seconds} s`);
      throw error instanceof FetchError ? error : new FetchError(reasonOf(error));
    }
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  async #follow(address: string, options: FetchOptions, signal: AbortSignal): Promise<Fetched> {
    let url = checkedUrl(address, this.#options.allowed);
    const { origin } = url;
    for (let redirects = 0; ; redirects++) {
      const response = await request(url, {
        dispatcher: this.#agent,
        signal,
        method: options.body === undefined ? 'GET' : 'POST',
        headers: {
          'user-agent': this.#options.userAgent,
          accept: 'text/html,application/xhtml+xml,text/*;q=0.9,application/json;q=0.8,application/pdf;q=0.8',
          'accept-encoding': 'gzip, deflate, br',
          ...(options.body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(url.origin === origin ? options.headers : {}),
        },
        ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
      });
      const { statusCode, headers, body } = response;
      const next = single(headers['location']);
      if (statusCode >= 300 && statusCode < 400 && next !== null && statusCode !== 304) {
        body.on('error', () => undefined).destroy();
        if (options.body !== undefined) throw new FetchError('it redirects what was sent');
        if (redirects >= this.#options.redirects)
          throw new FetchError(`more than ${this.#options.redirects} redirects`);
        const target = new URL(next, url);
        if (url.protocol === 'https:' && target.protocol === 'http:') {
          throw new FetchError('it redirects from https to http');
        }
        url = checkedUrl(target.href, this.#options.allowed);
        continue;
      }
      try {
        if (statusCode < 200 || statusCode >= 300) throw new FetchError(`the server answered ${statusCode}`);
        return await this.#read(url, headers, body, signal);
      } finally {
        body.on('error', () => undefined).destroy();
      }
    }
  }

  async #read(
    url: URL,
    headers: Record<string, string | string[] | undefined>,
    body: Readable,
    signal: AbortSignal,
  ): Promise<Fetched> {
    const [type = '', ...parameters] = (single(headers['content-type']) ?? '').toLowerCase().split(';');
    if (!TYPES.test(type.trim())) throw new FetchError(`it is ${type.trim().slice(0, 80)}, which cannot be read`);
    const most = this.#options.bytes;
    if (Number(single(headers['content-length']) ?? 0) > most) throw new FetchError(`it has more than ${most} bytes`);
    const unpackers = (single(headers['content-encoding']) ?? '')
      .toLowerCase()
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== '' && name !== 'identity')
      .reverse()
      .map(unpacker);
    if (unpackers.length > 2) throw new FetchError('it is packed more than twice');
    const chunks: Uint8Array[] = [];
    const sink = new Writable({
      write(chunk: Uint8Array, _, done) {
        chunks.push(chunk);
        done();
      },
    });
    // Every stage is counted, so that a packed page in a packed page gains nothing.
    const stages = unpackers.flatMap((unpack) => [unpack, counted(most)]);
    await pipeline([body, counted(most), ...stages, sink], { signal });
    const charset = parameters.map((each) => /^\s*charset="?([\w.:-]{1,40})"?\s*$/.exec(each)?.[1]).find(Boolean);
    return { url: url.href, type: type.trim(), charset: charset ?? null, bytes: concatenated(chunks) };
  }

  /** Connects to an address that was checked, never to a name. */
  #connector(): buildConnector.connector {
    const plain = buildConnector({ timeout: 10_000, allowH2: false });
    return (options, callback) => {
      const host = options.hostname.replace(/^\[|\]$/g, '');
      const port = Number(options.port) || (options.protocol === 'https:' ? 443 : 80);
      this.#addressOf(host, port).then(
        (address) => {
          const servername = isAddress(host) ? undefined : (options.servername ?? host);
          const done: buildConnector.Callback = (...outcome) => {
            const [error, socket] = outcome;
            if (error === null && !this.#may((socket as Socket).remoteAddress ?? '', port)) {
              (socket as Socket).destroy();
              callback(new FetchError('the connection ended at an address that is not public'), null);
            } else callback(...outcome);
          };
          plain(
            { ...options, hostname: address, host: address, ...(servername === undefined ? {} : { servername }) },
            done,
          );
        },
        (error: Error) => callback(error, null),
      );
    };
  }

  async #addressOf(host: string, port: number): Promise<string> {
    const addresses = isAddress(host) ? [host] : await this.#resolve(host);
    // One private address among public ones is somebody trying.
    const wrong = addresses.find((address) => !this.#may(address, port));
    if (wrong !== undefined) throw new FetchError(`${host} leads to ${wrong}, which is not a public address`);
    const [first] = addresses;
    if (first === undefined) throw new FetchError(`${host} is not known`);
    return first;
  }

  #may(address: string, port: number): boolean {
    return (
      isPublicAddress(address) ||
      this.#options.allowed.some((place) => place.address === address && place.port === port)
    );
  }
}

/** Lets bytes through until there are too many. */
function counted(most: number): Transform {
  let size = 0;
  return new Transform({
    transform(chunk: Uint8Array, _, done) {
      size += chunk.length;
      if (size > most) done(new FetchError(`it has more than ${most} bytes`));
      else done(null, chunk);
    },
  });
}

/** IPv4 first: more networks have it. */
async function resolveName(name: string): Promise<string[]> {
  const found = await systemLookup(name, { all: true, verbatim: true });
  return found.sort((a, b) => a.family - b.family).map(({ address }) => address);
}

function unpacker(name: string): NodeJS.ReadWriteStream {
  switch (name) {
    case 'gzip':
    case 'x-gzip':
      return createGunzip();
    case 'deflate':
      return createInflate();
    case 'br':
      return createBrotliDecompress();
    default:
      throw new FetchError(`it is packed with ${name.slice(0, 40)}, which cannot be read`);
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'it cannot be reached';
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOTFOUND'
    ? 'the name is not known'
    : `it cannot be reached (${code ?? error.message.slice(0, 200)})`;
}

const single = (value: string | string[] | undefined): string | null =>
  (Array.isArray(value) ? value[0] : value) ?? null;

function concatenated(chunks: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}
