// Owns: when prefixes go to a store outside the page pool and come back: before a request whose beginning was saved, and
// after a message border was read that no store knows yet. Page bytes are private to backend, precision and variant, so
// a store is keyed by model and settings; whoever makes one sees to that.
// Refuses: files (prefix-store.node.ts). Nothing here ever fails a request: without the store it just reads its prompt.

import type { KvCache } from '../backend/backend.ts';
import { nextTask } from './next-task.ts';
import type { PageTable } from './page-table.ts';
import type { PagePool } from './pages.ts';

/** What one saved prefix is made of: all full pages, then the sliding pages that its last window needs. */
export interface PrefixShape {
  readonly pageTokens: number;
  readonly window: number;
  readonly fullBytes: number; // of one page
  readonly slidingBytes: number;
}

export interface PrefixStore {
  /** Length of the longest saved list of tokens that `tokens` begins with, in this shape; 0: none. */
  longest(tokens: Int32Array, shape: PrefixShape): number;
  /** Its pages. Throws (also at the end) when they are damaged. */
  load(tokens: Int32Array, shape: PrefixShape): AsyncIterable<Uint8Array>;
  save(tokens: Int32Array, shape: PrefixShape, pages: AsyncIterable<Uint8Array>): Promise<void>;
}

/** Below that many tokens, reading the prompt is no trouble. */
const WORTH_SAVING = 256;

export class PrefixKeeper {
  readonly #store: PrefixStore;
  readonly #pool: PagePool;
  readonly #cache: KvCache;
  readonly #shape: PrefixShape;
  #turn: Promise<void> = Promise.resolve(); // one at a time: two requests with one beginning restore it once
  #isClosed = false;

  constructor(store: PrefixStore, pool: PagePool, cache: KvCache) {
    this.#store = store;
    this.#pool = pool;
    this.#cache = cache;
    this.#shape = {
      pageTokens: pool.spec.pageTokens,
      window: pool.spec.window,
      fullBytes: cache.pageBytes('full'),
      slidingBytes: cache.pageBytes('sliding'),
    };
  }

  /** Whether the store has much more of these tokens than the cache. */
  canRestore(tokens: Int32Array): boolean {
    const saved = this.#longest(tokens);
    return saved >= WORTH_SAVING && saved >= this.#pool.match(tokens, tokens.length).length + WORTH_SAVING;
  }

  /** Brings the longest saved beginning into the cache, if it still helps. Never rejects. */
  restore(tokens: Int32Array): Promise<void> {
    return this.#queue(async () => {
      if (this.#isClosed || !this.canRestore(tokens)) return; // somebody else was faster
      const saved = tokens.slice(0, this.#longest(tokens));
      const table = this.#pool.draft(saved.length);
      if (table === null) return;
      try {
        await this.#fill(table, saved);
        table.commit(saved, saved.length);
      } finally {
        table.close();
      }
    });
  }

  /** Saves these tokens' pages if they are all in the cache and not in the store. Never rejects. */
  save(tokens: Int32Array): void {
    const { length } = tokens;
    if (length < WORTH_SAVING || this.#longest(tokens) === length) return;
    void this.#queue(async () => {
      if (this.#longest(tokens) === length) return;
      if (this.#pool.match(tokens, length).length < length) return;
      const table = this.#pool.open(tokens, length);
      try {
        if (table.length === length) await this.#store.save(tokens, this.#shape, this.#pages(table));
      } finally {
        table.close();
      }
    });
  }

  /** Saves these, and waits for all that is being saved. Nothing is restored any more. */
  async close(last: readonly Int32Array[]): Promise<void> {
    this.#isClosed = true;
    for (const tokens of last) this.save(tokens);
    await this.#turn;
  }

  #longest(tokens: Int32Array): number {
    return this.#store.longest(tokens, this.#shape);
  }

  async #fill(table: PageTable, tokens: Int32Array): Promise<void> {
    const count = table.nodes.length;
    let i = 0;
    for await (const bytes of this.#store.load(tokens, this.#shape)) {
      if (this.#isClosed) throw new Error('closed');
      const slot = i < count ? i : i - count + table.firstSliding;
      if (i < count) this.#cache.writePage('full', table.fullPages[slot], bytes);
      else this.#cache.writePage('sliding', table.slidingPages[slot], bytes);
      i++;
    }
    if (i !== 2 * count - table.firstSliding) throw new Error('pages are missing');
  }

  async *#pages(table: PageTable): AsyncGenerator<Uint8Array> {
    const count = table.nodes.length;
    for (let i = 0; i < count; i++) yield await this.#read('full', table.fullPages[i]);
    for (let i = table.firstSliding; i < count; i++) yield await this.#read('sliding', table.slidingPages[i]);
  }

  /** Copying a page takes up to a millisecond: others get their turn in between. */
  async #read(group: 'full' | 'sliding', page: number): Promise<Uint8Array> {
    await nextTask();
    return this.#cache.readPage(group, page);
  }

  #queue(job: () => Promise<void>): Promise<void> {
    const turn = this.#turn.then(async () => {
      try {
        await job();
      } catch {
        // Damaged or missing files, a full disk: the store reports them; here the prefix is simply not there.
      }
    });
    this.#turn = turn;
    return turn;
  }
}
