// Owns: the web behind the browser: pages by the safe fetcher, searches by SearXNG (one's own), Brave or Exa (by key).
// Keys go to their own service only. Next: safe-fetch.node.ts (the walls), browser-tool.ts.

import { GptOssError } from '../../errors.ts';
import { type AllowedPlace, FetchError, hostOf, portOf } from './addresses.ts';
import type { PageBackend, SearchBackend, SearchResult } from './backend.ts';
import type { PageSource } from './page.ts';
import { type PageReader, readHere } from './page-reader.ts';
import { type Fetched, SafeFetcher, type SafeFetchOptions } from './safe-fetch.node.ts';

/** Opens pages of the public web. */
export class WebPages implements PageBackend {
  readonly #fetcher: SafeFetcher;
  readonly #reader: PageReader;

  constructor({ reader = readHere, ...options }: SafeFetchOptions & { readonly reader?: PageReader } = {}) {
    this.#fetcher = new SafeFetcher(options);
    this.#reader = reader;
  }

  hostOf(url: string): string | null {
    try {
      const parsed = new URL(url);
      return parsed.protocol === 'http:' || parsed.protocol === 'https:' ? parsed.host : null;
    } catch {
      return null;
    }
  }

  async open(url: string, signal: AbortSignal): Promise<PageSource> {
    const fetched = await this.#fetcher.get(url, { signal });
    if (fetched.type === 'application/pdf' || startsWith(fetched.bytes, '%PDF-')) {
      return { url: fetched.url, ...(await this.#reader.pdf(fetched.bytes)), format: 'text' };
    }
    const text = textOf(fetched);
    const isHtml = /html/.test(fetched.type) || (fetched.type === '' && /^\s*<(!doctype|html)/i.test(text));
    const isMarkdown = fetched.type === 'text/markdown';
    return { url: fetched.url, text, format: isHtml ? 'html' : isMarkdown ? 'markdown' : 'text' };
  }

  close(): Promise<void> {
    return this.#fetcher.close();
  }
}

export interface WebSearchOptions extends SafeFetchOptions {
  readonly kind: 'searxng' | 'brave' | 'exa';
  /** Of SearXNG; for the others another address of the same service (a proxy of one's own, a test). */
  readonly url?: string;
  readonly key?: string;
}

const SERVICES = { brave: 'https://api.search.brave.com', exa: 'https://api.exa.ai' } as const;

/** Throws `invalid-request` when an address or a key is missing. */
export function webSearch(options: WebSearchOptions): SearchBackend & { close(): Promise<void> } {
  const { kind, key, url, ...rest } = options;
  const address = url ?? (kind === 'searxng' ? undefined : SERVICES[kind]);
  if (address === undefined || !URL.canParse(address)) {
    throw new GptOssError('invalid-request', `the search ${kind} needs an address; expected a URL; give one`);
  }
  if (kind !== 'searxng' && !key) {
    throw new GptOssError('invalid-request', `the search ${kind} needs a key; expected one in the environment; set it`);
  }
  const base = new URL(address.endsWith('/') ? address : `${address}/`);
  const fetcher = new SafeFetcher({ ...rest, allowed: [...(rest.allowed ?? []), ...placesOf(base)] });
  const ask = async (path: string, more: Parameters<SafeFetcher['get']>[1]): Promise<unknown> => {
    const fetched = await fetcher.get(new URL(path, base).href, more);
    try {
      return JSON.parse(textOf(fetched)) as unknown;
    } catch {
      throw new FetchError('the search answered with something that is no JSON');
    }
  };
  return {
    name: kind,
    host: base.host,
    close: () => fetcher.close(),
    async search(query, count, signal) {
      switch (kind) {
        case 'searxng': {
          const found = await ask(`search?format=json&q=${encodeURIComponent(query)}`, { signal });
          return results(at(found, 'results'), count, ['content']);
        }
        case 'brave': {
          const path = `res/v1/web/search?q=${encodeURIComponent(query.slice(0, 400))}&count=${count}`;
          const found = await ask(path, {
            signal,
            headers: { 'x-subscription-token': key!, accept: 'application/json' },
          });
          return results(at(at(found, 'web'), 'results'), count, ['description']);
        }
        case 'exa': {
          const body = { query, numResults: count, contents: { summary: true, text: { maxCharacters: 500 } } };
          const found = await ask('search', { signal, headers: { 'x-api-key': key! }, body });
          return results(at(found, 'results'), count, ['summary', 'text']);
        }
      }
    },
  };
}

/** The address of a search engine is chosen by its user, so it may be on this machine; a page's never is. */
function placesOf(url: URL): AllowedPlace[] {
  const host = hostOf(url);
  const addresses = host === 'localhost' ? ['localhost', '127.0.0.1', '::1'] : [host];
  return addresses.map((address) => ({ address, port: portOf(url) }));
}

function results(list: unknown, count: number, summaries: readonly string[]): SearchResult[] {
  if (!Array.isArray(list)) throw new FetchError('the search answered without results');
  const found: SearchResult[] = [];
  for (const each of list as unknown[]) {
    const url = at(each, 'url');
    if (typeof url !== 'string' || !/^https?:\/\//i.test(url) || !URL.canParse(url)) continue;
    const title = at(each, 'title');
    const summary = summaries.map((name) => at(each, name)).find((text) => typeof text === 'string' && text !== '');
    found.push({
      url: new URL(url).href,
      title: typeof title === 'string' ? withoutTags(title) : '',
      summary: typeof summary === 'string' ? withoutTags(summary) : '',
    });
    if (found.length === count) break;
  }
  return found;
}

const at = (value: unknown, key: string): unknown =>
  typeof value === 'object' && value !== null && Object.hasOwn(value, key)
    ? (value as Record<string, unknown>)[key]
    : undefined;

/** Services mark the words that were found. */
const withoutTags = (text: string): string =>
  text.replace(/<\/?(strong|b|em|mark|span)[^>]{0,100}>/g, '').slice(0, 1000);

function textOf({ bytes, charset }: Fetched): string {
  const head = new TextDecoder('latin1').decode(bytes.subarray(0, 2048));
  const said = charset ?? /<meta[^>]{0,200}charset=["']?([\w.:-]{1,40})/i.exec(head)?.[1] ?? 'utf-8';
  try {
    return new TextDecoder(said).decode(bytes);
  } catch {
    return new TextDecoder().decode(bytes);
  }
}

const startsWith = (bytes: Uint8Array, text: string): boolean =>
  text.split('').every((character, i) => bytes[i] === character.charCodeAt(0));
