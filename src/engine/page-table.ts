// Owns: the pages of one sequence, in order: which are computed, which are reserved for the next step, and which sliding
// pages the window still reaches. Refuses: to decide about pages that others may hold; that is PagePool's (pages.ts).

import { GptOssError } from '../errors.ts';
import type { PageNode } from './page-node.ts';
import type { PagePool } from './pages.ts';

/** The pages of one sequence. `length` tokens are computed; pages beyond them are reserved for the next step. */
export class PageTable {
  readonly nodes: PageNode[] = [];
  /** Computed tokens. */
  length = 0;
  /** Pages below this index gave their sliding page back. */
  firstSliding = 0;
  fullPages = new Int32Array(16); // [capacity], the first nodes.length are valid
  slidingPages = new Int32Array(16);
  readonly #pool: PagePool;
  readonly #keptPages = new Set<number>();
  #isClosed = false;

  constructor(pool: PagePool, marks: Iterable<number>) {
    this.#pool = pool;
    for (const mark of marks) this.mark(mark);
  }

  /** A later sequence will likely share everything before `position` (or one token more) and then differ. */
  mark(position: number): void {
    const last = Math.floor(position / this.#pool.spec.pageTokens);
    for (let i = this.#pool.firstVisible(position); i <= last; i++) this.#keptPages.add(i);
  }

  /** Pages of each group still missing for `rows` more tokens. */
  missing(rows: number): number {
    return Math.max(0, this.#pool.pagesFor(this.length + rows) - this.nodes.length);
  }

  /** Makes room for `rows` tokens after `length`; false (and nothing changed) when a group has too few pages. */
  reserve(rows: number): boolean {
    const missing = this.missing(rows);
    return missing === 0 || this.#pool.extend(this, missing);
  }

  /** tokens[length … length + rows) are computed now: publishes their pages and lets the window move on. */
  commit(tokens: Int32Array, rows: number): void {
    const { pageTokens } = this.#pool.spec;
    for (let done = 0; done < rows; ) {
      const index = Math.floor(this.length / pageTokens);
      const node = this.nodes[index];
      const n = Math.min(rows - done, pageTokens - node.count);
      node.tokens.set(tokens.subarray(this.length, this.length + n), node.count);
      node.count += n;
      this.length += n;
      done += n;
      this.#pool.publish(this, index);
    }
    const first = this.#pool.firstVisible(this.length);
    for (; this.firstSliding < first; this.firstSliding++) {
      this.slidingPages[this.firstSliding] = -1;
      this.#pool.leave(this.nodes[this.firstSliding], this.#keptPages.has(this.firstSliding));
    }
  }

  /** Gives everything back. What was computed stays in the cache until its pages are needed. */
  close(): void {
    if (this.#isClosed) throw new GptOssError('internal', 'a page table was closed twice');
    this.#isClosed = true;
    this.#pool.release(this);
    this.nodes.length = 0;
  }

  /** For the pool. */
  append(node: PageNode, isVisible: boolean): void {
    const index = this.nodes.length;
    if (index === this.fullPages.length) {
      this.fullPages = grown(this.fullPages);
      this.slidingPages = grown(this.slidingPages);
    }
    this.nodes.push(node);
    this.fullPages[index] = node.full;
    this.slidingPages[index] = isVisible ? node.sliding : -1;
    if (!isVisible) this.firstSliding = index + 1;
  }

  /** For the pool. */
  replace(index: number, node: PageNode): void {
    this.nodes[index] = node;
    this.fullPages[index] = node.full;
    this.slidingPages[index] = index >= this.firstSliding ? node.sliding : -1;
  }
}

function grown(array: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(array.length * 2);
  larger.set(array);
  return larger;
}
