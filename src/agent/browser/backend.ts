// What stands behind the browser: something that searches, and something that opens addresses. Both say which host a
// call would reach, so that somebody can be asked first. Errors are FetchErrors, which the model reads.
// Next: browser-tool.ts; local-index.node.ts, web.node.ts (the backends).

import type { PageSource } from './page.ts';

export interface SearchResult {
  readonly url: string;
  readonly title: string;
  readonly summary: string;
}

export interface SearchBackend {
  readonly name: string;
  /** Host a search reaches; null: nothing leaves this machine. */
  readonly host: string | null;
  search(query: string, count: number, signal: AbortSignal): Promise<readonly SearchResult[]>;
}

export interface PageBackend {
  /** Null: not for this one. Otherwise the host that is reached; `''`: nothing leaves this machine. */
  hostOf(url: string): string | null;
  open(url: string, signal: AbortSignal): Promise<PageSource>;
}
