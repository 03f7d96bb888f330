// Owns: what must always be true of the page pool, written down as checks: every page is free or belongs to exactly one
// node or table, holders are counted right, and what is evicted first is a leaf that nobody holds. For tests and doubt.

import { GptOssError } from '../errors.ts';
import type { PageNode } from './page-node.ts';
import type { PageTable } from './page-table.ts';
import type { PageGroup, PagePoolSpec } from './pages.ts';

export interface PoolState {
  readonly spec: PagePoolSpec;
  readonly root: PageNode;
  readonly tables: Iterable<PageTable>;
  readonly free: Readonly<Record<PageGroup, readonly number[]>>;
  readonly idle: ReadonlySet<PageNode>;
  readonly loose: ReadonlySet<PageNode>;
  readonly kept: ReadonlySet<PageNode>;
}

/** Throws `internal` with the first thing that is wrong. */
export function auditPages(state: PoolState): void {
  const problems: string[] = [];
  const seen: Record<PageGroup, Map<number, string>> = { full: new Map(), sliding: new Map() };
  const claim = (group: PageGroup, page: number, who: string): void => {
    const before = seen[group].get(page);
    if (before !== undefined) problems.push(`${group} page ${page} belongs to ${before} and to ${who}`);
    seen[group].set(page, who);
  };
  for (const group of ['full', 'sliding'] as const) for (const page of state.free[group]) claim(group, page, 'free');
  const holders = new Map<PageNode, [full: number, sliding: number]>();
  const nodes = new Set<PageNode>();
  for (const table of state.tables) {
    for (const [i, node] of table.nodes.entries()) {
      const held = holders.get(node) ?? [0, 0];
      held[0]++;
      if (table.holdsSliding(i)) held[1]++;
      holders.set(node, held);
      nodes.add(node);
      if (table.fullPages[i] !== node.full) problems.push('a table names another full page than its node');
      const own = table.own.get(i);
      if (own !== undefined) claim('sliding', own, 'a table');
      else if (table.holdsSliding(i) && node.sliding < 0) problems.push('a held sliding page is gone');
      const expected = own ?? (table.holdsSliding(i) ? node.sliding : -1);
      if (table.slidingPages[i] !== expected) problems.push('a table names another sliding page');
    }
  }
  const visit = (node: PageNode): void => {
    for (const child of node.children) {
      if (child.parent !== node) problems.push('a child has another parent');
      if (node.count < state.spec.pageTokens && node !== state.root) problems.push('a partial page has children');
      nodes.add(child);
      visit(child);
    }
  };
  visit(state.root);
  const position = new Map([...state.idle].map((node, i) => [node, i]));
  for (const node of nodes) {
    claim('full', node.full, 'a node');
    if (node.sliding >= 0) claim('sliding', node.sliding, 'a node');
    const [full, sliding] = holders.get(node) ?? [0, 0];
    if (node.fullRefs !== full) problems.push(`a node counts ${node.fullRefs} holders, ${full} tables hold it`);
    if (node.slidingRefs !== sliding) problems.push(`${node.slidingRefs} sliding holders counted, ${sliding} found`);
    if (state.idle.has(node) !== (full === 0)) problems.push('idle list and holders disagree');
    const isListed = state.loose.has(node) || state.kept.has(node);
    if (isListed !== (node.sliding >= 0 && sliding === 0)) problems.push('sliding lists and holders disagree');
    const own = position.get(node);
    const parent = node.parent === null ? undefined : position.get(node.parent);
    if (own !== undefined && parent !== undefined && own > parent) problems.push('a parent would go before its child');
  }
  for (const [group, total] of [
    ['full', state.spec.fullPages] as const,
    ['sliding', state.spec.slidingPages] as const,
  ]) {
    if (seen[group].size !== total) problems.push(`${total - seen[group].size} ${group} pages leaked`);
  }
  if (problems.length > 0) throw new GptOssError('internal', `page pool is inconsistent: ${problems[0]}`);
}
