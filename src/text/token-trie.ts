// A byte trie over all text tokens, for constraints on sampling: which tokens may come next if their bytes must follow a
// grammar? Nodes lie in depth-first order, so that "this byte is refused, skip everything below" is one jump and a walk over
// the whole vocabulary is a loop without recursion or pointers. Built once per vocabulary, when first asked for.
// Special tokens have no bytes and are never in it.

import type { Vocabulary } from './vocabulary.ts';

export interface TokenTrie {
  /** Node 0 is the root (no byte). Children of a node follow it, in order of their bytes. */
  readonly nodes: number;
  readonly byte: Uint8Array; // [nodes]
  readonly depth: Uint16Array; // [nodes] bytes from the root
  readonly token: Int32Array; // [nodes] id that ends here, or -1
  readonly end: Uint32Array; // [nodes] first node that is not below this one
}

const built = new WeakMap<Vocabulary, TokenTrie>();

export function tokenTrie(vocabulary: Vocabulary): TokenTrie {
  let trie = built.get(vocabulary);
  if (trie === undefined) {
    trie = build(vocabulary);
    built.set(vocabulary, trie);
  }
  return trie;
}

/** Child of `node` along `byte`, or -1. */
export function trieChild(trie: TokenTrie, node: number, byte: number): number {
  const end = trie.end[node];
  for (let child = node + 1; child < end; child = trie.end[child]) {
    if (trie.byte[child] === byte) return child;
    if (trie.byte[child] > byte) break;
  }
  return -1;
}

/** Node that these bytes lead to, or -1: every token below it begins with them. */
export function trieNode(trie: TokenTrie, bytes: Uint8Array): number {
  let node = 0;
  for (let i = 0; i < bytes.length && node >= 0; i++) node = trieChild(trie, node, bytes[i]);
  return node;
}

/**
 * Sets the bit of every token all of whose bytes an automaton accepts from `state`: bit id & 31 of mask[id >> 5].
 * `step` gives the state after a byte, or a negative number to refuse it; states may be any other number.
 */
export function markAccepted(
  trie: TokenTrie,
  state: number,
  step: (state: number, byte: number) => number,
  mask: Uint32Array,
): void {
  const { nodes, byte, depth, token, end } = trie;
  const states: number[] = [state]; // by depth
  for (let node = 1; node < nodes; ) {
    const next = step(states[depth[node] - 1], byte[node]);
    if (next < 0) {
      node = end[node];
      continue;
    }
    states[depth[node]] = next;
    const id = token[node];
    if (id >= 0) mask[id >> 5] |= 1 << (id & 31);
    node++;
  }
}

function build(vocabulary: Vocabulary): TokenTrie {
  const { bytes, starts } = vocabulary;
  const order = sortedTokens(vocabulary);
  // A sorted token adds one node for each byte beyond what it shares with the one before it.
  const shared = new Uint16Array(order.length);
  let nodes = 1;
  for (let i = 0; i < order.length; i++) {
    const at = starts[order[i]];
    const length = starts[order[i] + 1] - at;
    if (i > 0) {
      const before = starts[order[i - 1]];
      const limit = Math.min(length, starts[order[i - 1] + 1] - before);
      let n = 0;
      while (n < limit && bytes[before + n] === bytes[at + n]) n++;
      shared[i] = n;
    }
    nodes += length - shared[i];
  }
  const trie = {
    nodes,
    byte: new Uint8Array(nodes),
    depth: new Uint16Array(nodes),
    token: new Int32Array(nodes).fill(-1),
    end: new Uint32Array(nodes),
  };
  const path = new Uint32Array(vocabulary.longest + 1); // open node of each depth
  let open = 0; // depth of the deepest open node
  let node = 1;
  for (let i = 0; i < order.length; i++) {
    const at = starts[order[i]];
    const length = starts[order[i] + 1] - at;
    while (open > shared[i]) trie.end[path[open--]] = node;
    while (open < length) {
      trie.byte[node] = bytes[at + open];
      trie.depth[node] = ++open;
      path[open] = node++;
    }
    if (trie.token[path[open]] < 0) trie.token[path[open]] = order[i]; // of equal tokens the one that encoding gives
  }
  while (open >= 0) trie.end[path[open--]] = node;
  return trie;
}

/** Ids with text, in order of their bytes; equal ones in order of id. */
function sortedTokens({ size, bytes, starts }: Vocabulary): Uint32Array {
  const ids = new Uint32Array(size);
  let count = 0;
  for (let id = 0; id < size; id++) if (starts[id + 1] > starts[id]) ids[count++] = id;
  const order = ids.subarray(0, count);
  const byteAt = (id: number, depth: number): number =>
    starts[id] + depth < starts[id + 1] ? bytes[starts[id] + depth] : -1;

  // Radix quicksort of three parts, by one byte at a time: each byte of a token is looked at a few times at most.
  const todo: number[] = [0, count, 0]; // from, to, depth
  while (todo.length > 0) {
    const depth = todo.pop()!;
    const to = todo.pop()!;
    const from = todo.pop()!;
    if (to - from < 2) continue;
    const pivot = byteAt(order[(from + to) >> 1], depth);
    let less = from;
    let greater = to;
    for (let i = from; i < greater; ) {
      const id = order[i];
      const byte = byteAt(id, depth);
      if (byte < pivot) {
        order[i++] = order[less];
        order[less++] = id;
      } else if (byte > pivot) {
        order[i] = order[--greater];
        order[greater] = id;
      } else i++;
    }
    todo.push(from, less, depth, greater, to, depth);
    if (pivot >= 0) todo.push(less, greater, depth + 1);
    else order.subarray(less, greater).sort();
  }
  return order;
}
