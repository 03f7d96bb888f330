// Owns: the pages of one sequence, in order: which are computed, which are reserved for the next step, and which sliding
// pages the window still reaches. Refuses: to decide about pages that others may hold; that is PagePool's (pages.ts).
//
// A table may begin with a rebuild: the full pages of a prefix are known, its sliding pages are gone, and tokens before
// `fullFrom` run again only to fill sliding layers. Those keys are right only after as many windows as there are sliding
// layers, so until then they lie in pages of the table's own that nobody else ever sees.

import type { SequenceRows } from '../backend/backend.ts';
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
  slidingPages = new Int32Array(16); // -1: given back, or not reserved yet
  /** Full pages hold all tokens before this position, whatever `length` is. */
  fullFrom = 0;
  /** Sliding pages that belong to this table and to no node, by index. */
  readonly own = new Map<number, number>();
  #slidingEnd = 0; // sliding pages are reserved below this index
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

  /** Full pages still missing for `rows` more tokens. */
  missing(rows: number): number {
    return Math.max(0, this.#pool.pagesFor(this.length + rows) - this.nodes.length);
  }

  /** Rows that fit when each group has so many pages more. */
  roomWith(full: number, sliding: number): number {
    const pages = Math.min(this.nodes.length + full, this.#slidingEnd + sliding);
    return pages * this.#pool.spec.pageTokens - this.length;
  }

  /** Makes room for `rows` tokens after `length`; false (and nothing changed) when a group has too few pages. */
  reserve(rows: number): boolean {
    const end = this.#pool.pagesFor(this.length + rows);
    return end <= this.#slidingEnd || this.#pool.extend(this, this.#slidingEnd, end);
  }

  /** Gives back pages beyond `length` in which nothing was computed that counts. */
  trim(): void {
    const end = this.#pool.pagesFor(this.length);
    while (this.nodes.length > end && this.nodes[this.nodes.length - 1].parent === null) {
      this.#pool.unreserve(this.nodes.pop()!);
      this.slidingPages[this.nodes.length] = -1;
    }
    this.#slidingEnd = Math.min(this.#slidingEnd, this.nodes.length);
  }

  /** What a step of `rows` tokens after `length` is told about this sequence, but for its place in the step. */
  rows(rowCount: number): Omit<SequenceRows, 'firstRow'> {
    const pages = this.nodes.length;
    const fullPages = this.fullPages.subarray(0, pages);
    const base = { rowCount, position: this.length, fullPages };
    if (this.length >= this.fullFrom) return { ...base, slidingPages: this.slidingPages.subarray(0, pages) };
    // The window of a rebuild's first rows reaches back to what is gone. Any page will do there: what it gives is wrong,
    // and no longer counts when the rows that matter are reached.
    const slidingPages = this.slidingPages.slice(0, pages);
    const first = Math.floor(this.length / this.#pool.spec.pageTokens);
    for (let i = this.#pool.firstVisible(this.length); i < first; i++) {
      if (slidingPages[i] < 0) slidingPages[i] = slidingPages[first];
    }
    return { ...base, slidingPages, fullFrom: this.fullFrom };
  }

  /** Begins `from`, with sliding pages to be filled again from there on; the nodes are those of known full pages. */
  rebuildFrom(from: number): void {
    const { pageTokens } = this.#pool.spec;
    this.fullFrom = this.nodes.length * pageTokens;
    this.length = from;
    this.firstSliding = from / pageTokens;
    this.#slidingEnd = this.firstSliding;
  }

  /** tokens[length … length + rows) are computed now: publishes their pages and lets the window move on. */
  commit(tokens: Int32Array, rows: number): void {
    const { pageTokens } = this.#pool.spec;
    const rebuilt = Math.min(rows, Math.max(0, this.fullFrom - this.length));
    if (rebuilt > 0) this.#commitRebuilt(rebuilt);
    for (let done = rebuilt; done < rows; ) {
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
      this.#pool.leave(this, this.firstSliding, this.#keptPages.has(this.firstSliding));
      this.slidingPages[this.firstSliding] = -1;
    }
  }

  #commitRebuilt(rows: number): void {
    const { pageTokens, window } = this.#pool.spec;
    const before = Math.floor(this.length / pageTokens);
    this.length += rows;
    // Only the last window before `fullFrom` is right in every layer; whole pages of it are everybody's again.
    for (let i = before; (i + 1) * pageTokens <= this.length && i < this.nodes.length; i++) {
      if (i * pageTokens >= this.fullFrom - window + 1 && this.own.has(i)) this.#pool.adopt(this, i);
    }
  }

  /** Gives everything back. What was computed stays in the cache until its pages are needed. */
  close(): void {
    if (this.#isClosed) throw new GptOssError('internal', 'a page table was closed twice');
    this.#isClosed = true;
    this.#pool.release(this);
    this.nodes.length = 0;
  }

  /** For the pool: a node with its sliding page if the window reaches it. */
  append(node: PageNode, isVisible: boolean): void {
    const index = this.nodes.length;
    if (index === this.fullPages.length) {
      this.fullPages = grown(this.fullPages);
      this.slidingPages = grown(this.slidingPages);
    }
    this.nodes.push(node);
    this.fullPages[index] = node.full;
    this.slidingPages[index] = isVisible ? node.sliding : -1;
    this.#slidingEnd = index + 1;
    if (!isVisible) this.firstSliding = index + 1;
  }

  /** For the pool: a sliding page of the table's own for a node that is there. */
  appendOwn(index: number, page: number): void {
    this.own.set(index, page);
    this.slidingPages[index] = page;
    this.#slidingEnd = index + 1;
  }

  /** For the pool. */
  replace(index: number, node: PageNode): void {
    const isHeld = this.holdsSliding(index);
    this.nodes[index] = node;
    this.fullPages[index] = node.full;
    if (isHeld) this.slidingPages[index] = node.sliding;
  }

  /** Whether it counts among the holders of the node's sliding page. */
  holdsSliding(index: number): boolean {
    return index >= this.firstSliding && this.slidingPages[index] >= 0 && !this.own.has(index);
  }
}

function grown(array: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(array.length * 2);
  larger.set(array);
  return larger;
}
