// Owns: who may talk to the server at all. The Host header has to name this machine (a page of evil.com whose name was
// rebound to 127.0.0.1 still sends its own), an Origin has to be allowed, and a key has to be right where keys are set.
// The same for every address the server listens on, and on by default.
// Refuses: to tell apart endpoints by the way a key was sent: Bearer and x-api-key count alike. Next: app.ts.

import { quote } from './body.ts';
import { refused } from './wire.ts';

export interface GuardOptions {
  /** Host names besides localhost and addresses; `*` allows any. */
  readonly hosts?: readonly string[];
  /** Origins of pages besides those of this machine; `*` allows any. */
  readonly origins?: readonly string[];
  readonly apiKeys?: readonly string[];
}

/** A host name or address without its port; null for what is none. */
export function hostName(host: string): string | null {
  const match = /^(\[[0-9a-f:.]{2,45}\]|[a-z0-9_](?:[a-z0-9_.-]{0,252})?)(?::\d{1,5})?$/i.exec(host);
  if (match === null) return null;
  return match[1]!.toLowerCase().replace(/\.$/, '');
}

const isAddress = (name: string): boolean => name.startsWith('[') || /^\d{1,3}(?:\.\d{1,3}){3}$/.test(name);
const isLoopbackName = (name: string): boolean => name === 'localhost' || name.endsWith('.localhost');

export function isLoopback(name: string): boolean {
  return isLoopbackName(name) || name === '[::1]' || name === '::1' || /^127(?:\.\d{1,3}){3}$/.test(name);
}

export class Guard {
  readonly #hosts: ReadonlySet<string>;
  readonly #origins: ReadonlySet<string>;
  readonly #keys: readonly string[];

  constructor(options: GuardOptions = {}) {
    this.#hosts = new Set((options.hosts ?? []).map((name) => name.toLowerCase()));
    this.#origins = new Set((options.origins ?? []).map((origin) => origin.toLowerCase().replace(/\/$/, '')));
    this.#keys = options.apiKeys ?? [];
  }

  /** An address cannot be rebound: a page that was loaded from it was served by it. */
  checkHost(host: string): void {
    const name = hostName(host);
    if (name !== null && (isAddress(name) || isLoopbackName(name) || this.#hosts.has(name))) return;
    if (this.#hosts.has('*')) return;
    const found = `the Host header is ${quote(JSON.stringify(host))}`;
    throw refused('forbidden', `${found}; expected localhost, an address or an allowed name; see --allowed-host`);
  }

  /** Whether a page of this origin may read answers; null: there is no origin to check. */
  checkOrigin(origin: string | null, host: string): string | null {
    if (origin === null) return null;
    const lower = origin.toLowerCase();
    if (this.#origins.has('*') || this.#origins.has(lower)) return origin;
    const name = /^https?:\/\/([^/@\s]+)$/.exec(lower)?.[1];
    if (name !== undefined && (name === host.toLowerCase() || isLoopback(hostName(name) ?? ''))) return origin;
    const found = `the Origin ${quote(JSON.stringify(origin))} is not allowed`;
    throw refused('forbidden', `${found}; expected a page of this machine; see --cors-origin`);
  }

  /** A name for who asks: the place of their key, or null when no keys are set. */
  checkKey(headers: Headers): string | null {
    if (this.#keys.length === 0) return null;
    const given: string[] = [];
    const authorization = headers.get('authorization');
    if (authorization !== null) given.push(/^bearer\s+(\S+)\s*$/i.exec(authorization)?.[1] ?? '');
    const key = headers.get('x-api-key');
    if (key !== null) given.push(key.trim());
    // Every key that was sent has to be right, so that no proxy and server can disagree about which one counts.
    const places = given.map((each) => this.#keys.findIndex((known) => isEqual(known, each)));
    if (places.length === 0 || places.some((place) => place < 0)) {
      const what = given.length === 0 ? 'there is no API key' : 'the API key is wrong';
      throw refused('unauthorized', `${what}; expected a key of this server; send it as Bearer token or x-api-key`);
    }
    return `key-${places[0]}`;
  }
}

/** In the same time for every wrong key of one length. */
function isEqual(a: string, b: string): boolean {
  let difference = a.length ^ b.length;
  for (let i = 0; i < a.length; i++) difference |= a.charCodeAt(i) ^ b.charCodeAt(i % Math.max(1, b.length));
  return difference === 0;
}

const readableHeaders = 'x-request-id, retry-after, x-gptoss-skipped-tools';

export function corsHeaders(origin: string | null): Record<string, string> {
  if (origin === null) return { vary: 'Origin' };
  return {
    vary: 'Origin',
    'access-control-allow-origin': origin,
    'access-control-expose-headers': readableHeaders,
  };
}

/** The answer to a preflight of an allowed origin. */
export function preflight(request: Request, origin: string): Response {
  const wanted = request.headers.get('access-control-request-headers') ?? '';
  const headers = wanted
    .split(',')
    .map((name) => name.trim().toLowerCase())
    .filter((name) => /^[a-z0-9-]{1,64}$/.test(name))
    .slice(0, 64);
  return new Response(null, {
    status: 204,
    headers: {
      ...corsHeaders(origin),
      'access-control-allow-methods': 'GET, HEAD, POST, DELETE, OPTIONS',
      'access-control-allow-headers': headers.join(', '),
      'access-control-max-age': '600',
      ...(request.headers.get('access-control-request-private-network') === 'true'
        ? { 'access-control-allow-private-network': 'true' }
        : {}),
    },
  });
}
