// Owns: a folder of pages as a web of its own, without any network: full-text search (SQLite FTS5) and opening over
// Markdown, HTML, PDF and text. Addresses are `local://NAME/path/in/folder`, or below a base address when the folder is a
// copy of a site. The index lies in memory or in a file, where only what changed is read again.
// Refuses: links in the file system, hidden files, whatever lies outside the folder. Next: browser-tool.ts.

import { type Dirent, realpathSync, statSync } from 'node:fs';
import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { basename, join, relative, sep } from 'node:path';
import { GptOssError } from '../../errors.ts';
import { type Database, openDatabase } from '../sqlite.node.ts';
import { FetchError } from './addresses.ts';
import type { PageBackend, SearchBackend, SearchResult } from './backend.ts';
import type { PageSource } from './page.ts';
import { type PageReader, readHere } from './page-reader.ts';

export interface LocalIndexOptions {
  /** Part of the addresses; default: the folder's name. */
  readonly name?: string;
  /** Of the site the folder is a copy of, e.g. `https://docs.example.org/`; citations then lead there. */
  readonly baseUrl?: string;
  /** File of the index; default: in memory. */
  readonly database?: string;
  /** Files that are read at most; default 20,000. */
  readonly files?: number;
  readonly sqlite?: 'node' | 'libsql';
  /** Where pages are parsed; default: here. */
  readonly reader?: PageReader;
}

const MOST_BYTES = 16 * 2 ** 20; // of one file
const MOST_TEXT = 2 * 2 ** 20; // characters of one file that are indexed
const FORMATS: Readonly<Record<string, PageSource['format'] | 'pdf'>> = {
  ...{ md: 'markdown', markdown: 'markdown', mdx: 'markdown', html: 'html', htm: 'html', xhtml: 'html', pdf: 'pdf' },
  ...{ txt: 'text', text: 'text', rst: 'text', adoc: 'text', org: 'text', tex: 'text', csv: 'text', log: 'text' },
};
const VERSION = 1;
const SCHEMA = `
  CREATE TABLE pages (id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, stamp TEXT NOT NULL, title TEXT NOT NULL) STRICT;
  CREATE VIRTUAL TABLE words USING fts5(title, body, tokenize = 'porter unicode61 remove_diacritics 2');
  PRAGMA user_version = ${VERSION};
`;

/** Reads the folder and its index. Throws `not-found` when there is no such folder, `io` for a broken index file. */
export async function openLocalIndex(folder: string, options: LocalIndexOptions = {}): Promise<LocalIndex> {
  let root: string;
  try {
    root = realpathSync(folder);
    if (!statSync(root).isDirectory()) throw new Error('it is a file');
  } catch (cause) {
    throw new GptOssError('not-found', `cannot search ${folder}; expected a folder of pages; name another`, { cause });
  }
  let database: Database | null = null;
  try {
    database = await openDatabase(options.database ?? ':memory:', options.sqlite);
    const { user_version: version } = database.prepare('PRAGMA user_version').get() as { user_version: number };
    if (version === 0) database.exec(`BEGIN; ${SCHEMA} COMMIT;`);
    else if (version !== VERSION) throw new Error(`it is of version ${version}`);
    const index = new LocalIndex(root, database, options);
    await index.refresh();
    return index;
  } catch (cause) {
    database?.close();
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new GptOssError('io', `the index of ${folder} cannot be used (${why}); expected an index; remove its file`, {
      cause,
    });
  }
}

export class LocalIndex implements SearchBackend, PageBackend {
  readonly name: string;
  readonly host = null;
  /** Pages in the index. */
  size = 0;
  /** Files that could not be read, with the reason. */
  readonly problems: string[] = [];
  readonly #root: string;
  readonly #base: string;
  readonly #database: Database;
  readonly #most: number;
  readonly #reader: PageReader;

  constructor(root: string, database: Database, options: LocalIndexOptions) {
    this.#root = root;
    this.#database = database;
    this.#most = options.files ?? 20_000;
    this.#reader = options.reader ?? readHere;
    this.name = (options.name ?? basename(root)).toLowerCase().replace(/[^a-z0-9.-]+/g, '-') || 'pages';
    this.#base = options.baseUrl === undefined ? `local://${this.name}/` : `${options.baseUrl.replace(/\/+$/, '')}/`;
  }

  /** Reads what changed since the last time. */
  async refresh(): Promise<void> {
    const known = new Map<string, { id: number; stamp: string }>();
    for (const row of this.#database.prepare('SELECT id, path, stamp FROM pages').all()) {
      const { id, path, stamp } = row as { id: number; path: string; stamp: string };
      known.set(path, { id, stamp });
    }
    const insert = this.#database.prepare('INSERT INTO pages (path, stamp, title) VALUES (?, ?, ?)');
    const words = this.#database.prepare('INSERT INTO words (rowid, title, body) VALUES (?, ?, ?)');
    const drop = (id: number): void => {
      this.#database.prepare('DELETE FROM pages WHERE id = ?').run(id);
      this.#database.prepare('DELETE FROM words WHERE rowid = ?').run(id);
    };
    this.#database.exec('BEGIN');
    try {
      for await (const path of this.#paths()) {
        const { mtimeMs, size } = await stat(join(this.#root, path));
        const stamp = `${mtimeMs}:${size}`;
        const before = known.get(path);
        known.delete(path);
        if (before?.stamp === stamp) continue;
        if (before !== undefined) drop(before.id);
        try {
          const page = await this.#reader.page(await this.#source(path));
          const { lastInsertRowid } = insert.run(path, stamp, page.title);
          const body = page.lines.slice(2).join('\n').slice(0, MOST_TEXT);
          words.run(
            Number(lastInsertRowid),
            spaced(page.title),
            spaced(body.replace(/【\d+†([^†】]*)[^】]*】/g, '$1')),
          );
        } catch (error) {
          if (this.problems.length < 100) this.problems.push(`${path}: ${(error as Error).message}`);
        }
      }
      for (const { id } of known.values()) drop(id);
      this.#database.exec('COMMIT');
    } catch (error) {
      this.#database.exec('ROLLBACK');
      throw error;
    }
    this.size = (this.#database.prepare('SELECT count(*) AS n FROM pages').get() as { n: number }).n;
  }

  async search(query: string, count: number): Promise<readonly SearchResult[]> {
    const terms = termsOf(query);
    if (terms.length === 0) return [];
    // All words first; pages with some of them when none has all.
    const rows = this.#match(terms.join(' '), count);
    const found = rows.length > 0 || terms.length === 1 ? rows : this.#match(terms.join(' OR '), count);
    return found.map(({ path, title, part }) => ({ url: this.#urlOf(path), title, summary: unspaced(part) }));
  }

  hostOf(url: string): string | null {
    return url.startsWith(this.#base) ? '' : null;
  }

  async open(url: string): Promise<PageSource> {
    let path: string;
    try {
      path = decodeURIComponent(url.slice(this.#base.length).replace(/[?#].*$/s, ''));
    } catch {
      throw new FetchError('it is no URL');
    }
    const candidates = [
      path,
      ...(path === '' || path.endsWith('/')
        ? ['index.html', 'index.md', 'README.md']
        : ['.md', '.html', '/index.html', '/index.md']
      ).map((end) => path + end),
    ];
    for (const candidate of candidates) {
      // Only what is in the index is opened, so no path leads out of the folder.
      const row = this.#database.prepare('SELECT path FROM pages WHERE path = ?').get(candidate);
      if (row !== undefined && row !== null) return { ...(await this.#source(candidate)), url: this.#urlOf(candidate) };
    }
    throw new FetchError('there is no such page');
  }

  close(): void {
    this.#database.close();
  }

  #match(expression: string, count: number): { path: string; title: string; part: string }[] {
    const statement = this.#database.prepare(`
      SELECT pages.path AS path, pages.title AS title, snippet(words, 1, '', '', ' … ', 32) AS part
      FROM words JOIN pages ON pages.id = words.rowid
      WHERE words MATCH ? ORDER BY bm25(words, 4.0, 1.0), pages.path LIMIT ?`);
    return statement.all(expression, count) as { path: string; title: string; part: string }[];
  }

  #urlOf(path: string): string {
    return this.#base + path.split('/').map(encodeURIComponent).join('/');
  }

  /** Files with pages in them, in order. */
  async *#paths(): AsyncGenerator<string> {
    const folders = [this.#root];
    let left = this.#most;
    for (let folder = folders.shift(); folder !== undefined; folder = folders.shift()) {
      let entries: Dirent[];
      try {
        entries = await readdir(folder, { withFileTypes: true });
      } catch (error) {
        this.problems.push(`${folder}: ${(error as Error).message}`);
        continue;
      }
      for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
        if (entry.name.startsWith('.') || entry.name === 'node_modules') continue;
        const path = join(folder, entry.name);
        if (entry.isDirectory()) folders.push(path);
        else if (entry.isFile() && formatOf(entry.name) !== null) {
          if (left-- <= 0) {
            this.problems.push(`more than ${this.#most} files: the rest is left out`);
            return;
          }
          yield relative(this.#root, path).split(sep).join('/');
        }
      }
    }
  }

  async #source(path: string): Promise<PageSource> {
    const file = join(this.#root, path);
    // A file that has become a link since it was indexed does not lead out.
    if ((await realpath(file)) !== file) throw new FetchError('links are not followed');
    if ((await stat(file)).size > MOST_BYTES) throw new FetchError(`it has more than ${MOST_BYTES} bytes`);
    const bytes = await readFile(file);
    const format = formatOf(path)!;
    const url = this.#urlOf(path);
    if (format === 'pdf') return { url, ...(await this.#reader.pdf(bytes)), format: 'text' };
    return { url, format, text: new TextDecoder().decode(bytes) };
  }
}

function formatOf(name: string): PageSource['format'] | 'pdf' | null {
  const ending = name.slice(name.lastIndexOf('.') + 1).toLowerCase();
  return name.includes('.') && Object.hasOwn(FORMATS, ending) ? FORMATS[ending]! : null;
}

const CJK = /[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff]/;
const EACH_CJK = new RegExp(CJK, 'g');

/** Scripts without spaces are indexed by character; a run of them is searched as a phrase. */
function spaced(text: string): string {
  return text.replace(EACH_CJK, ' $& ');
}

function unspaced(text: string): string {
  return text
    .replace(new RegExp(` +(?=${CJK.source})|(?<=${CJK.source}) +`, 'g'), '')
    .replace(/\s+/g, ' ')
    .trim();
}

/** Every term quoted, so that no query is an expression. */
function termsOf(query: string): string[] {
  const words = query.normalize('NFKC').match(/[\p{L}\p{N}\p{M}_]+/gu) ?? [];
  return [...new Set(words)].slice(0, 32).map((word) => `"${spaced(word).trim()}"`);
}
