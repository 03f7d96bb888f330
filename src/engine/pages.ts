// Owns: which page of the cache belongs to whom. Two groups of pages (full-attention and sliding layers), reference
// counts, sharing of equal prefixes, copy before writing into a shared page, and what is thrown away first.
// Refuses: to know what is in a page; it moves numbers, and asks `copyPage` of the cache for the one copy it needs.
//
// A prefix is a chain of PageNodes, one for each `pageTokens` tokens, in one tree for all sequences. A node is found by
// a hash chained from its parent and is believed only when parent and tokens are equal, so a collision does no harm.
// A sequence's PageTable holds a reference to every node of its chain and, of the sliding pages, only to those that the
// window still reaches. Sliding pages behind the window are the first to be taken again ("loose"); those at message
// borders, where the next turn will branch off, are taken last ("kept").
// Next: scheduler.ts, which decides who gets pages; tests in pages.test.ts run random schedules against `audit`.

import { GptOssError } from '../errors.ts';
import { auditPages } from './page-audit.ts';
import { commonLength, HASH_SEED, hashPage, type PageNode, pageNode } from './page-node.ts';
import { PageTable } from './page-table.ts';

export type PageGroup = 'full' | 'sliding';

export interface PagePoolSpec {
  readonly pageTokens: number; // a power of two
  readonly window: number; // keys a sliding layer sees, the current one included
  readonly fullPages: number;
  readonly slidingPages: number;
  /** Sliding layers, each of which needs a window more of tokens before a rebuild is right. 0: never rebuild. */
  readonly slidingLayers: number;
}

/** What of a token list is in the cache. Valid until the next change of the pool. */
export interface PrefixMatch {
  /** Tokens that can be reused as they are: full and sliding pages are both there. */
  readonly length: number;
  /** Tokens whose full pages are there, whatever the sliding ones are: what the cache knew before it forgot. */
  readonly known: number;
  readonly chain: readonly PageNode[]; // whole pages, as far as tokens agree
  readonly partial: PageNode | null; // a node that agrees with some tokens after `chain`
}

export class PagePool {
  readonly spec: PagePoolSpec;
  readonly #copyPage: (group: PageGroup, from: number, to: number) => void;
  readonly #free: Record<PageGroup, number[]>;
  readonly #root: PageNode;
  readonly #byHash = new Map<number, PageNode[]>(); // whole pages only
  // Least recently used first (a Set keeps insertion order). Tables are released from the tail, so a node always comes
  // before its parent: the first one is a leaf.
  readonly #idle = new Set<PageNode>(); // fullRefs = 0
  readonly #loose = new Set<PageNode>(); // has a sliding page, slidingRefs = 0, not kept
  readonly #kept = new Set<PageNode>(); // has a sliding page, slidingRefs = 0, kept
  readonly #tables = new Set<PageTable>();

  constructor(spec: PagePoolSpec, copyPage: (group: PageGroup, from: number, to: number) => void) {
    const { pageTokens, window, fullPages, slidingPages } = spec;
    if (pageTokens < 1 || (pageTokens & (pageTokens - 1)) !== 0 || window < 1 || fullPages < 1 || slidingPages < 1) {
      throw new GptOssError(
        'internal',
        `page pool of ${fullPages} + ${slidingPages} pages of ${pageTokens} tokens, window ${window}; expected a power of two and at least one page of each group`,
      );
    }
    this.spec = spec;
    this.#copyPage = copyPage;
    // Descending, so that pop() hands out low numbers first and memory that was never touched stays untouched.
    this.#free = {
      full: Array.from({ length: fullPages }, (_, i) => fullPages - 1 - i),
      sliding: Array.from({ length: slidingPages }, (_, i) => slidingPages - 1 - i),
    };
    this.#root = pageNode(0);
    this.#root.hash = HASH_SEED;
    this.#root.fullRefs = 1;
  }

  /** Pages that can be had now, taking unreferenced cached ones into account. */
  available(group: PageGroup): number {
    const free = this.#free[group].length;
    return group === 'full' ? free + this.#idle.size : free + this.#loose.size + this.#kept.size;
  }

  /** Pages of a group that hold something (in use or cached). */
  occupied(group: PageGroup): number {
    const total = group === 'full' ? this.spec.fullPages : this.spec.slidingPages;
    return total - this.#free[group].length;
  }

  /** Pages needed to hold `length` tokens. */
  pagesFor(length: number): number {
    return Math.ceil(length / this.spec.pageTokens);
  }

  /** First page that a token at `position` still sees through a sliding layer. */
  firstVisible(position: number): number {
    return Math.floor(Math.max(0, position - this.spec.window + 1) / this.spec.pageTokens);
  }

  /** The longest reusable prefix of tokens[0 … limit). Changes nothing. */
  match(tokens: Int32Array, limit: number): PrefixMatch {
    const { pageTokens } = this.spec;
    const chain: PageNode[] = [];
    let node = this.#root;
    while ((chain.length + 1) * pageTokens <= limit) {
      const next = this.#findWhole(node, tokens.subarray(chain.length * pageTokens, (chain.length + 1) * pageTokens));
      if (next === null) break;
      chain.push(next);
      node = next;
    }
    const whole = chain.length * pageTokens;
    let partial: PageNode | null = null;
    let common = 0;
    for (const child of node.children) {
      const n = commonLength(child, tokens, whole, limit - whole);
      // Between equals take one whose sliding page is there, then one that needs no copy.
      const isBetter = n > common || (n > 0 && n === common && this.#rank(child, n) > this.#rank(partial!, n));
      if (isBetter) {
        partial = child;
        common = n;
      }
    }
    const known = whole + common;
    if (partial !== null && this.#windowPresent(known, chain, partial)) return { length: known, known, chain, partial };
    // Within one page the largest length has the smallest window to fill, so only page ends are worth a look.
    let pages = chain.length;
    while (pages > 0 && !this.#windowPresent(pages * pageTokens, chain, null)) pages--;
    return { length: pages * pageTokens, known, chain, partial: null };
  }

  /** A table that starts with the longest cached prefix of tokens[0 … limit). `marks` are positions where a later
   *  sequence is likely to branch off: the sliding pages seen from there are kept longer. */
  open(tokens: Int32Array, limit: number, marks: Iterable<number> = []): PageTable {
    const { pageTokens } = this.spec;
    const found = this.match(tokens, limit);
    const table = new PageTable(this, marks);
    this.#tables.add(table);
    const from = this.#rebuildStart(found);
    if (from > found.length) {
      for (const node of found.chain) this.#hold(table, node, false);
      table.rebuildFrom(from);
      return table;
    }
    const whole = Math.min(found.chain.length, Math.floor(found.length / pageTokens));
    // A partial end costs window pages that a whole-page end may not have: it was checked by match for its own length.
    for (let i = 0; i < whole; i++) this.#hold(table, found.chain[i], i >= this.firstVisible(found.length));
    table.length = whole * pageTokens;
    if (found.partial !== null) {
      const isOpen = this.#continuePartial(table, found.partial, found.length - table.length);
      // No page left for the copy: fall back to the whole pages, if their window is there.
      if (!isOpen && !this.#windowPresent(table.length, found.chain, null)) {
        table.close();
        return this.open(tokens, Math.max(0, table.length - 1), marks);
      }
      if (!isOpen) this.#widenWindow(table);
    }
    return table;
  }

  /** A table with pages for `length` tokens that are not computed but will be filled in from elsewhere, and committed
   *  then. Only the last window has sliding pages. Null when there are too few pages. */
  draft(length: number): PageTable | null {
    const count = this.pagesFor(length);
    const first = this.firstVisible(length);
    if (this.available('full') < count || this.available('sliding') < count - first) return null;
    const table = new PageTable(this, []);
    this.#tables.add(table);
    for (let i = 0; i < count; i++) this.#addNode(table, i >= first);
    return table;
  }

  /** Forgets everything that no table holds. */
  clear(): void {
    while (this.#idle.size > 0) this.#evictFull();
    while (this.#loose.size + this.#kept.size > 0) this.#evictSliding();
  }

  /** Checks every invariant (page-audit.ts); for tests: it walks the whole tree. */
  audit(): void {
    const lists = { free: this.#free, idle: this.#idle, loose: this.#loose, kept: this.#kept };
    auditPages({ spec: this.spec, root: this.#root, tables: this.#tables, ...lists });
  }

  // ---- used by PageTable ----------------------------------------------------------------------------------------

  /** Pages of a table up to index `end`, or none at all when a group has too few. Sliding ones are missing from index
   *  `slidingEnd` on. */
  extend(table: PageTable, slidingEnd: number, end: number): boolean {
    const known = table.nodes.length;
    if (this.available('full') < end - known || this.available('sliding') < end - slidingEnd) return false;
    for (let i = slidingEnd; i < Math.min(known, end); i++) table.appendOwn(i, this.#take('sliding'));
    for (let i = known; i < end; i++) this.#addNode(table, true);
    return true;
  }

  /** Page `index` of a table now holds more computed tokens: makes it findable, and one with its twin if it has one. */
  publish(table: PageTable, index: number): void {
    const node = table.nodes[index];
    const parent = index === 0 ? this.#root : table.nodes[index - 1];
    if (node.parent === null) {
      node.parent = parent;
      parent.children.add(node);
    }
    if (node.count < this.spec.pageTokens) return;
    const twin = this.#findWhole(parent, node.tokens);
    if (twin === null) {
      node.hash = hashPage(parent.hash, node.tokens);
      const bucket = this.#byHash.get(node.hash);
      if (bucket === undefined) this.#byHash.set(node.hash, [node]);
      else bucket.push(node);
      return;
    }
    parent.children.delete(node);
    node.parent = null;
    this.#free.full.push(node.full);
    twin.fullRefs++;
    this.#idle.delete(twin);
    if (table.holdsSliding(index)) {
      if (twin.sliding < 0) twin.sliding = node.sliding;
      else this.#free.sliding.push(node.sliding);
      twin.slidingRefs++;
      this.#loose.delete(twin);
      this.#kept.delete(twin);
    }
    table.replace(index, twin);
  }

  /** The window of a table has passed its page `index`. */
  leave(table: PageTable, index: number, isKept: boolean): void {
    const own = table.own.get(index);
    if (own !== undefined) {
      table.own.delete(index);
      this.#free.sliding.push(own);
      return;
    }
    const node = table.nodes[index];
    if (isKept) node.isKept = true;
    if (--node.slidingRefs === 0) (node.isKept ? this.#kept : this.#loose).add(node);
  }

  /** A sliding page that a table filled again is right: it becomes the node's, unless that got one meanwhile. */
  adopt(table: PageTable, index: number): void {
    const node = table.nodes[index];
    const page = table.own.get(index)!;
    table.own.delete(index);
    if (node.sliding < 0) node.sliding = page;
    else this.#free.sliding.push(page);
    node.slidingRefs++;
    this.#loose.delete(node);
    this.#kept.delete(node);
    table.replace(index, node);
  }

  /** Frees the pages of a node that nothing was ever computed in. */
  unreserve(node: PageNode): void {
    this.#free.full.push(node.full);
    if (node.sliding >= 0) this.#free.sliding.push(node.sliding);
  }

  release(table: PageTable): void {
    this.#tables.delete(table);
    for (let i = table.nodes.length - 1; i >= 0; i--) {
      const node = table.nodes[i];
      if (node.parent === null) {
        this.unreserve(node);
        continue;
      }
      if (table.holdsSliding(i) || table.own.has(i)) this.leave(table, i, true);
      if (--node.fullRefs === 0) {
        this.#idle.add(node);
        if (node.count < this.spec.pageTokens) this.#dropRedundant(node);
      }
    }
  }

  // ---- inside ---------------------------------------------------------------------------------------------------

  /** A node with pages of its own at the end of a table. */
  #addNode(table: PageTable, isVisible: boolean): void {
    const node = pageNode(this.spec.pageTokens);
    node.full = this.#take('full');
    node.fullRefs = 1;
    if (isVisible) {
      node.sliding = this.#take('sliding');
      node.slidingRefs = 1;
    }
    table.append(node, isVisible);
  }

  #findWhole(parent: PageNode, tokens: Int32Array): PageNode | null {
    for (const node of this.#byHash.get(hashPage(parent.hash, tokens)) ?? []) {
      if (node.parent === parent && node.tokens.every((id, i) => id === tokens[i])) return node;
    }
    return null;
  }

  #rank(node: PageNode, common: number): number {
    return (node.sliding >= 0 ? 2 : 0) + (this.#canTakeOver(node, common) ? 1 : 0);
  }

  #canTakeOver(node: PageNode, common: number): boolean {
    return node.fullRefs === 0 && node.count === common && node.count < this.spec.pageTokens;
  }

  /** Where to begin when the full pages of a long prefix are there and the sliding ones are not: far enough back for
   *  every sliding layer to be right at the end. 0: nowhere. */
  #rebuildStart({ chain }: PrefixMatch): number {
    const { pageTokens, window, slidingLayers } = this.spec;
    const pages = chain.length - Math.ceil((slidingLayers * (window - 1)) / pageTokens);
    return slidingLayers === 0 ? 0 : Math.max(0, pages * pageTokens);
  }

  /** Whether a token at position `length` would find all sliding pages of its window. */
  #windowPresent(length: number, chain: readonly PageNode[], partial: PageNode | null): boolean {
    for (let i = this.firstVisible(length); i < this.pagesFor(length); i++) {
      const node = i < chain.length ? chain[i] : partial;
      if (node === null || node.sliding < 0) return false;
    }
    return true;
  }

  #hold(table: PageTable, node: PageNode, isVisible: boolean): void {
    if (node.fullRefs++ === 0) this.#idle.delete(node);
    if (isVisible && node.slidingRefs++ === 0) {
      this.#loose.delete(node);
      this.#kept.delete(node);
    }
    table.append(node, isVisible);
  }

  /** Goes on in the middle of a page: in place when nobody else can read it and all its tokens agree, else in a copy. */
  #continuePartial(table: PageTable, source: PageNode, common: number): boolean {
    if (this.#canTakeOver(source, common)) {
      this.#hold(table, source, true);
      table.length += common;
      return true;
    }
    this.#pin(source);
    const isCopied = this.extend(table, table.nodes.length, table.nodes.length + 1);
    if (isCopied) {
      const copy = table.nodes[table.nodes.length - 1];
      this.#copyPage('full', source.full, copy.full);
      this.#copyPage('sliding', source.sliding, copy.sliding);
      copy.tokens.set(source.tokens.subarray(0, common));
      copy.count = common;
      table.length += common;
    }
    this.#unpin(source);
    return isCopied;
  }

  // While its copy is made, the source must not be the page that is evicted to make room. Its place in the lists of
  // least recent use moves to the end, as it should; a parent follows so that children stay before parents.
  #pin(node: PageNode): void {
    if (node.fullRefs++ === 0) this.#idle.delete(node);
    if (node.slidingRefs++ === 0) {
      this.#loose.delete(node);
      this.#kept.delete(node);
    }
  }

  #unpin(node: PageNode): void {
    if (--node.fullRefs === 0) this.#idle.add(node);
    if (--node.slidingRefs === 0) (node.isKept ? this.#kept : this.#loose).add(node);
  }

  /** A table that was opened for a longer prefix falls back to its whole pages: its window starts earlier. */
  #widenWindow(table: PageTable): void {
    for (let i = this.firstVisible(table.length); i < table.firstSliding; i++) {
      const node = table.nodes[i];
      if (node.slidingRefs++ === 0) {
        this.#loose.delete(node);
        this.#kept.delete(node);
      }
      table.slidingPages[i] = node.sliding;
    }
    table.firstSliding = Math.min(table.firstSliding, this.firstVisible(table.length));
  }

  #take(group: PageGroup): number {
    if (this.#free[group].length === 0) group === 'full' ? this.#evictFull() : this.#evictSliding();
    return this.#free[group].pop()!;
  }

  #evictFull(): void {
    const [node] = this.#idle;
    this.#forget(node);
  }

  #evictSliding(): void {
    const [node] = this.#loose.size > 0 ? this.#loose : this.#kept;
    this.#loose.delete(node);
    this.#kept.delete(node);
    this.#free.sliding.push(node.sliding);
    node.sliding = -1;
    node.isKept = false;
  }

  /** Removes an unreferenced leaf from the tree and frees its pages. */
  #forget(node: PageNode): void {
    if (node.children.size > 0 || node.fullRefs > 0) throw new GptOssError('internal', 'a page in use was evicted');
    this.#idle.delete(node);
    this.#loose.delete(node);
    this.#kept.delete(node);
    node.parent!.children.delete(node);
    node.parent = null;
    if (node.count === this.spec.pageTokens) {
      const bucket = this.#byHash.get(node.hash)!;
      if (bucket.length === 1) this.#byHash.delete(node.hash);
      else bucket.splice(bucket.indexOf(node), 1);
    }
    this.#free.full.push(node.full);
    if (node.sliding >= 0) this.#free.sliding.push(node.sliding);
  }

  /** Two ends of the same text: keep the longer one (asking the same question again must not fill the pool). */
  #dropRedundant(node: PageNode): void {
    for (const other of node.parent!.children) {
      if (other === node) continue;
      const common = commonLength(other, node.tokens, 0, node.count);
      if (common === node.count && other.sliding >= 0) {
        this.#forget(node);
        return;
      }
      if (common === other.count && other.count < this.spec.pageTokens && other.fullRefs === 0) this.#forget(other);
    }
  }
}
