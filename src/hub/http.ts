// The one way out to the network: undici with the user's proxies, time limits on silence, no redirects followed by itself.
// Nothing here knows files or hubs. A token goes to the host it was meant for and nowhere else.

import { Agent, type Dispatcher, EnvHttpProxyAgent, request, fetch as undiciFetch } from 'undici';
import { GptOssError } from '../errors.ts';

export interface HttpLimits {
  readonly connectMs: number;
  /** Longest silence while headers or body are awaited. */
  readonly stallMs: number;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Dispatcher.ResponseData['body'];
  /** Where the bytes came from, after redirects. */
  readonly url: string;
}

export class HttpClient {
  private readonly dispatcher: Dispatcher;

  constructor(
    limits: HttpLimits = { connectMs: 10_000, stallMs: 20_000 },
    env: Readonly<Record<string, string | undefined>> = process.env,
  ) {
    const options = {
      connect: { timeout: limits.connectMs },
      headersTimeout: limits.stallMs,
      bodyTimeout: limits.stallMs,
    };
    const proxied = ['HTTP_PROXY', 'http_proxy', 'HTTPS_PROXY', 'https_proxy'].some((key) => env[key]);
    this.dispatcher = proxied ? new EnvHttpProxyAgent(options) : new Agent(options);
  }

  /** A fetch for libraries: with the dispatcher, and the token for requests to `home` (fetch drops it on the way elsewhere). */
  fetch(home: string, token: string | null, signal?: AbortSignal): typeof globalThis.fetch {
    const { dispatcher } = this;
    const bound = (input: string | URL, init: RequestInit = {}) => {
      const headers = new Headers(init.headers);
      if (token !== null && new URL(input).origin === new URL(home).origin)
        headers.set('authorization', `Bearer ${token}`);
      const own = { headers: [...headers], dispatcher, ...(signal === undefined ? {} : { signal }) };
      return undiciFetch(input, { ...(init as object), ...own });
    };
    return bound as unknown as typeof globalThis.fetch;
  }

  /**
   * GET or HEAD. Follows up to five redirects; `relativeOnly` stops at one that leads to another host and returns it
   * (its Location is then the answer). The token is sent only to the host of the first URL.
   */
  async get(
    url: string,
    options: {
      method?: 'GET' | 'HEAD';
      headers?: Record<string, string>;
      token?: string | null;
      relativeOnly?: boolean;
      signal?: AbortSignal;
    },
  ): Promise<HttpAnswer> {
    const home = new URL(url).host;
    let at = url;
    for (let hop = 0; hop <= 5; hop++) {
      const { host, protocol } = new URL(at);
      if (protocol !== 'https:' && protocol !== 'http:') break;
      const authorised = options.token && host === home ? { authorization: `Bearer ${options.token}` } : {};
      const answer = await request(at, {
        method: options.method ?? 'GET',
        headers: { 'user-agent': 'gptoss', 'accept-encoding': 'identity', ...options.headers, ...authorised },
        dispatcher: this.dispatcher,
        ...(options.signal === undefined ? {} : { signal: options.signal }),
      });
      const headers: Record<string, string> = {};
      for (const [key, value] of Object.entries(answer.headers))
        headers[key] = Array.isArray(value) ? value.join(', ') : (value ?? '');
      const { location } = headers;
      const isRedirect = [301, 302, 303, 307, 308].includes(answer.statusCode) && location !== undefined;
      const next = isRedirect ? new URL(location, at) : null;
      if (next === null || (options.relativeOnly && next.host !== host)) {
        return { status: answer.statusCode, headers, body: answer.body, url: at };
      }
      await answer.body.dump();
      at = next.href;
    }
    throw new GptOssError('io', `${home} redirects without end; expected a file; try again later or check HF_ENDPOINT`);
  }

  async close(): Promise<void> {
    await this.dispatcher.destroy();
  }
}
