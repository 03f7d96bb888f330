// Owns: what the page tree is made of: one node for each page's worth of tokens, and how nodes are compared. Refuses: to
// link, share or free them; that is pages.ts.

/** One page's worth of tokens at one place of the tree. `count` < pageTokens: a partial page, always a leaf. */
export interface PageNode {
  parent: PageNode | null; // null: the root, or not in the tree yet
  readonly children: Set<PageNode>;
  readonly tokens: Int32Array; // [pageTokens], the first `count` are computed
  count: number;
  hash: number;
  full: number; // page id; -1 for the root
  sliding: number; // page id, or -1 when it was given back
  fullRefs: number; // tables that hold this node
  slidingRefs: number; // of these, the ones whose window still reaches it
  isKept: boolean; // its sliding page lies at a message border
}

export const HASH_SEED = 0x811c9dc5 | 0;

/** Of a whole page after everything before it. */
export function hashPage(parent: number, tokens: Int32Array): number {
  let hash = parent;
  for (let i = 0; i < tokens.length; i++) {
    hash = Math.imul(hash ^ tokens[i], 0x01000193);
    hash ^= hash >>> 15;
  }
  return hash | 0;
}

/** How many of the node's tokens agree with tokens[from … from + limit). */
export function commonLength(node: PageNode, tokens: Int32Array, from: number, limit: number): number {
  const end = Math.min(node.count, limit);
  let n = 0;
  while (n < end && node.tokens[n] === tokens[from + n]) n++;
  return n;
}

export function pageNode(tokens: number): PageNode {
  return {
    parent: null,
    children: new Set(),
    tokens: new Int32Array(tokens),
    count: 0,
    hash: 0,
    full: -1,
    sliding: -1,
    fullRefs: 0,
    slidingRefs: 0,
    isKept: false,
  };
}
