// Owns: the built-in tool `browser` as gpt-oss was trained to call it: search, open, find. Everything it shows becomes a
// page of the conversation with a number of its own (the cursor), which citations name. Pages are kept as they were read,
// so a cursor means the same lines forever. What leaves the machine is named before it does, by host.
// Refuses: to search in results. Next: view.ts (how pages are shown), backend.ts (where they come from).

import {
  type Need,
  type Source,
  type Tool,
  type ToolInput,
  type ToolOutput,
  type Toolset,
  toolError,
} from '../tool.ts';
import { FetchError } from './addresses.ts';
import type { PageBackend, SearchBackend, SearchResult } from './backend.ts';
import { domainOf, type Link, linkMark, type Page, plainText, withoutLinks, wrapped } from './page.ts';
import { type PageReader, readHere } from './page-reader.ts';
import { type CountTokens, guessedTokens, shortened, viewOf } from './view.ts';

export interface BrowserOptions {
  readonly search: SearchBackend;
  /** The first that knows an address opens it. */
  readonly pages: readonly PageBackend[];
  /** Where pages are parsed; default: here. */
  readonly reader?: PageReader;
  /** By the model's tokenizer; default: a guess. */
  readonly tokensOf?: CountTokens | undefined;
}

/** What a wrong call reads. */
class UsageProblem extends Error {}

const RESULTS = 10;
const MOST_RESULTS = 20;
const MOST_FOUND = 50;
const FOUND_LINES = 4;
/** Pages of one conversation, and their characters: a long one forgets the text of its first pages. */
const MOST_PAGES = 2000;
const MOST_CHARACTERS = 64 * 2 ** 20;

export function browserTool(options: BrowserOptions): Toolset {
  const browser = new Browser(options);
  const tool = (
    name: string,
    needs: (input: ToolInput) => Need | null,
    run: (given: Given, signal: AbortSignal) => ToolOutput | Promise<ToolOutput>,
  ): Tool => ({
    recipient: `browser.${name}`,
    seconds: 90,
    needs: (input) => {
      try {
        return needs(input);
      } catch (error) {
        if (error instanceof UsageProblem || error instanceof RangeError) return null; // it will say so when it runs
        throw error;
      }
    },
    async run(input, { signal }) {
      try {
        return await run(givenIn(input), signal);
      } catch (error) {
        if (error instanceof UsageProblem || error instanceof RangeError) return toolError(error.message);
        throw error;
      }
    },
  });
  return {
    name: 'browser',
    tools: [
      tool(
        'search',
        (input) => browser.searchNeeds(givenIn(input)),
        (given, signal) => browser.search(given, signal),
      ),
      tool(
        'open',
        (input) => browser.openNeeds(givenIn(input)),
        (given, signal) => browser.open(given, signal),
      ),
      tool(
        'find',
        () => null,
        (given) => browser.find(given),
      ),
    ],
    cite: (cursor, lines) => browser.cite(cursor, lines),
  };
}

type Given = Readonly<Record<string, unknown>>;

function givenIn({ value, text }: ToolInput): Given {
  if (value === undefined && text.trim() === '') return {};
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new UsageProblem('Invalid function arguments: expected a JSON object.');
  }
  return value as Given;
}

/** Where an `open` leads. */
type Target =
  | { readonly kind: 'page'; readonly page: Page; readonly line: number | null }
  | { readonly kind: 'address'; readonly url: string; readonly viewSource: boolean };

class Browser {
  readonly #options: BrowserOptions;
  readonly #tokensOf: CountTokens;
  readonly #pages: Page[] = []; // by cursor
  /** By the address that was asked for; pages that are remembered. */
  readonly #opened = new Map<string, Page>();
  #characters = 0;
  #forgotten = 0; // of the first pages

  constructor(options: BrowserOptions) {
    this.#options = options;
    this.#tokensOf = options.tokensOf ?? guessedTokens;
  }

  searchNeeds(given: Given): Need | null {
    const { host, name } = this.#options.search;
    if (host === null) return null;
    return { effects: ['network'], summary: `search ${name} for ${JSON.stringify(queryIn(given))}`, scope: host };
  }

  async search(given: Given, signal: AbortSignal): Promise<ToolOutput> {
    const query = queryIn(given);
    const count = numberIn(given, 'topn') ?? numberIn(given, 'top_n') ?? RESULTS;
    let results: readonly SearchResult[];
    try {
      results = await this.#options.search.search(query, Math.min(Math.max(1, count), MOST_RESULTS), signal);
    } catch (error) {
      if (error instanceof FetchError) {
        throw new UsageProblem(`Error during search for \`${shortened(query)}\`: ${shortened(error.message)}`);
      }
      throw error;
    }
    const page = resultsPage(query, results.slice(0, MOST_RESULTS));
    return this.#show(page, 0, -1, {
      kind: 'search',
      query,
      results: results.map(({ url, title, summary }) => ({ url, title, summary })),
    });
  }

  openNeeds(given: Given): Need | null {
    const target = this.#target(given);
    if (target.kind === 'page') return null;
    const host = this.#backendOf(target.url).hostOf(target.url)!;
    if (host === '') return null;
    return { effects: ['network'], summary: `fetch ${shortened(target.url)}`, scope: host };
  }

  async open(given: Given, signal: AbortSignal): Promise<ToolOutput> {
    const target = this.#target(given);
    const page = target.kind === 'page' ? target.page : await this.#fetch(target.url, target.viewSource, signal);
    let line = numberIn(given, 'loc') ?? -1;
    if (line < 0) {
      const place = target.kind === 'page' ? (target.line ?? 0) : 0;
      line = place > FOUND_LINES ? place - FOUND_LINES : place; // some lines before the passage
    }
    return this.#show(page, line, numberIn(given, 'num_lines') ?? -1, {
      kind: 'open',
      url: page.url,
      title: page.title,
    });
  }

  find(given: Given): ToolOutput {
    const { pattern } = given;
    if (typeof pattern !== 'string' && typeof pattern !== 'number') {
      throw new UsageProblem('`pattern` is missing; expected a text.');
    }
    const page = this.#page(numberIn(given, 'cursor') ?? -1);
    if (page.kind !== 'page') {
      throw new UsageProblem('Cannot run `find` on search results page or find results page');
    }
    const wanted = plainText(String(pattern));
    if (wanted.trim() === '' || wanted.length > 1000) throw new UsageProblem('`pattern` is empty or too long.');
    const found = foundPage(page, wanted);
    return this.#show(found, 0, -1, { kind: 'find', url: page.url, pattern: wanted, matches: found.links.length });
  }

  cite(cursor: number, lines: string): Source | null {
    const page = this.#pages[cursor];
    if (page === undefined) return null;
    if (page.kind === 'page') return sourceOf(placed(page.url.replace(/^view-source:/, ''), lines), page.title);
    if (page.kind === 'found') {
      const [link] = page.links;
      return link?.place === undefined ? null : sourceOf(link.url, link.place.page.title);
    }
    // A line of the results stands for the result it belongs to.
    const first = Number(/L(\d+)/.exec(lines)?.[1] ?? Number.NaN);
    for (let line = Math.min(first, page.lines.length - 1); line >= 0; line--) {
      const [, id, title] = /【(\d+)†([^†】]*)/.exec(page.lines[line]!) ?? [];
      const link = id === undefined ? undefined : page.links[Number(id)];
      if (link !== undefined) return sourceOf(link.url, title!.trim());
    }
    return null;
  }

  #target(given: Given): Target {
    const { id } = given;
    const viewSource = given['view_source'] === true;
    if (typeof id === 'string' && !/^\s*-?\d+\s*$/.test(id)) {
      const trimmed = id.trim();
      const isSource = trimmed.startsWith('view-source:');
      return {
        kind: 'address',
        url: withScheme(isSource ? trimmed.slice('view-source:'.length) : trimmed),
        viewSource: viewSource || isSource,
      };
    }
    const page = this.#page(numberIn(given, 'cursor') ?? -1);
    const number = numberIn(given, 'id') ?? -1;
    if (number < 0) {
      if (!viewSource) return { kind: 'page', page, line: null };
      return { kind: 'address', url: page.url, viewSource };
    }
    const link = page.links[number];
    if (link === undefined) throw new UsageProblem(`Invalid link id \`${number}\`.`);
    if (link.place !== undefined && !viewSource) return { kind: 'page', page: link.place.page, line: link.place.line };
    // A page that was read before is not fetched again.
    const known = this.#opened.get(link.url);
    if (known !== undefined && !viewSource) return { kind: 'page', page: known, line: null };
    return { kind: 'address', url: link.url, viewSource };
  }

  #backendOf(url: string): PageBackend {
    const backend = this.#options.pages.find((each) => each.hostOf(url) !== null);
    if (backend === undefined) {
      throw new UsageProblem(`Error fetching URL \`${shortened(url)}\`: this browser does not open such addresses`);
    }
    return backend;
  }

  async #fetch(url: string, viewSource: boolean, signal: AbortSignal): Promise<Page> {
    try {
      const source = await this.#backendOf(url).open(url, signal);
      const page = await (this.#options.reader ?? readHere).page(source, { viewSource });
      if (!viewSource) this.#opened.set(url, page).set(page.url, page);
      return page;
    } catch (error) {
      if (!(error instanceof FetchError)) throw error;
      throw new UsageProblem(`Error fetching URL \`${shortened(url)}\`: ${shortened(error.message)}`);
    }
  }

  #page(cursor: number): Page {
    if (this.#pages.length === 0) throw new UsageProblem('No pages to access!');
    const page = this.#pages[cursor === -1 ? this.#pages.length - 1 : cursor];
    if (page === undefined) {
      const range = `[0 - ${this.#pages.length - 1}]`;
      throw new UsageProblem(`Cursor \`${cursor}\` is out of range. Available cursor indices: ${range}.`);
    }
    if (page.lines.length === 0)
      throw new UsageProblem(`The page of cursor \`${cursor}\` is forgotten; open it again.`);
    return page;
  }

  #show(page: Page, line: number, count: number, details: Record<string, unknown>): ToolOutput {
    if (this.#pages.length >= MOST_PAGES) throw new UsageProblem(`No more than ${MOST_PAGES} pages can be shown.`);
    const cursor = this.#pages.length;
    const view = viewOf(page, cursor, line, count, this.#tokensOf); // throws before the page counts
    if (!this.#pages.includes(page)) {
      this.#characters += sizeOf(page);
      this.#pages.push(page);
      this.#forget();
    } else this.#pages.push(page);
    return { text: view.text, details: { ...details, cursor, lines: [view.first, view.end - 1] } };
  }

  #forget(): void {
    while (this.#characters > MOST_CHARACTERS && this.#forgotten < this.#pages.length - 1) {
      const old = this.#pages[this.#forgotten]!;
      this.#characters -= sizeOf(old);
      for (const [i, page] of this.#pages.entries())
        if (page === old) this.#pages[i] = { ...old, lines: [], links: [] };
      for (const [url, page] of this.#opened) if (page === old) this.#opened.delete(url);
      while (this.#pages[this.#forgotten]?.lines.length === 0) this.#forgotten++;
    }
  }
}

function resultsPage(query: string, results: readonly SearchResult[]): Page {
  const marks = results.map(({ url, title, summary }, id) => {
    const label = plainText(oneLine(title)) || domainOf(url) || url;
    return `  * ${linkMark(id, label, url, '')} ${plainText(oneLine(summary))}`.trimEnd();
  });
  const list = marks.length === 0 ? ['No results. Try other words.'] : marks;
  return {
    url: '',
    title: plainText(oneLine(query)),
    lines: wrapped(['', 'URL: ', '# Search Results', '', ...list].join('\n')),
    links: results.map(({ url }): Link => ({ url })),
    kind: 'results',
  };
}

function foundPage(page: Page, pattern: string): Page {
  const lines = page.lines.map(withoutLinks);
  const wanted = pattern.toLowerCase();
  const links: Link[] = [];
  const parts: string[] = [];
  for (let at = 0; at < lines.length && parts.length < MOST_FOUND; ) {
    if (!lines[at]!.toLowerCase().includes(wanted)) {
      at++;
      continue;
    }
    parts.push([`# 【${parts.length}†match at L${at}】`, ...lines.slice(at, at + FOUND_LINES)].join('\n'));
    links.push({ url: page.url, place: { page, line: at } });
    at += FOUND_LINES;
  }
  const text = parts.length === 0 ? `No \`find\` results for pattern: \`${pattern}\`` : parts.join('\n\n');
  return {
    url: `${page.url}/find?pattern=${encodeURIComponent(pattern.replace(/\p{Surrogate}/gu, '\ufffd'))}`,
    title: `Find results for text: \`${oneLine(pattern)}\` in \`${page.title}\``,
    lines: wrapped(text),
    links,
    kind: 'found',
  };
}

function queryIn({ query }: Given): string {
  if (typeof query !== 'string' || query.trim() === '') throw new UsageProblem('`query` is missing; expected a text.');
  return query.slice(0, 1000);
}

/** Numbers also come as text. */
function numberIn(given: Given, name: string): number | null {
  const value = given[name];
  if (value === undefined || value === null) return null;
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isSafeInteger(number)) {
    throw new UsageProblem(`\`${name}\` should be an integer, not \`${JSON.stringify(value)?.slice(0, 100)}\``);
  }
  return number;
}

function withScheme(url: string): string {
  return /^[a-z][a-z0-9+.-]*:(?!\d)/i.test(url) ? url : `https://${url.replace(/^\/+/, '')}`;
}

/** Pages that no other program opens are shown by line (`local://docs/a.md#L8-L9`). */
function placed(url: string, lines: string): string {
  return /^https?:/i.test(url) || !/^L\d+(?:-L\d+)?$/.test(lines) ? url : `${url}#${lines}`;
}

const sourceOf = (url: string, title: string): Source => ({ url, title });
const sizeOf = ({ lines }: Page): number => lines.reduce((sum, { length }) => sum + length + 16, 0);
const oneLine = (text: string): string => text.replace(/\s+/g, ' ').trim();
