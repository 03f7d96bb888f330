import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { packagedO200k } from './o200k-harmony.node.ts';
import { markAccepted, type TokenTrie, tokenTrie, trieChild, trieNode } from './token-trie.ts';
import { Vocabulary } from './vocabulary.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Byte strings of all tokens of a trie, in its order. */
function spell(trie: TokenTrie): string[] {
  const path: number[] = [];
  const found: string[] = [];
  for (let node = 1; node < trie.nodes; node++) {
    path.length = trie.depth[node] - 1;
    path.push(trie.byte[node]);
    if (trie.token[node] >= 0) found.push(path.join());
  }
  return found;
}

function marked(trie: TokenTrie, size: number, state: number, step: (state: number, byte: number) => number): number[] {
  const mask = new Uint32Array(Math.ceil(size / 32));
  markAccepted(trie, state, step, mask);
  return Array.from({ length: size }, (_, id) => id).filter((id) => (mask[id >> 5] >>> (id & 31)) & 1);
}

describe('tokenTrie', () => {
  it('holds every token once, in order of bytes, whatever the vocabulary', () => {
    const token = fc.uint8Array({ maxLength: 5, max: 3 });
    fc.assert(
      fc.property(fc.array(token, { maxLength: 60 }), (tokens) => {
        const trie = tokenTrie(Vocabulary.of(tokens));
        const compare = (a: Uint8Array, b: Uint8Array): number => Buffer.compare(a, b);
        const expected = [
          ...new Set(
            tokens
              .filter((t) => t.length > 0)
              .sort(compare)
              .map((t) => t.join()),
          ),
        ];
        expect(spell(trie)).toEqual(expected);
        expect(trie.end[0]).toBe(trie.nodes);
      }),
      { numRuns: 500 },
    );
  });

  it('leads from bytes to nodes, below which everything begins with them', () => {
    const trie = tokenTrie(Vocabulary.of(['a', 'ab', 'abc', 'b', 'ac'].map(bytes)));
    const node = trieNode(trie, bytes('ab'));
    expect(trie.token[node]).toBe(1);
    expect(trie.end[node] - node).toBe(2);
    expect(trieChild(trie, node, 0x63)).toBe(node + 1);
    expect(trieChild(trie, node, 0x62)).toBe(-1);
    expect(trieNode(trie, bytes('b'))).toBe(trie.nodes - 1);
    expect(trieNode(trie, bytes('abd'))).toBe(-1);
    expect(trieNode(trie, new Uint8Array(0))).toBe(0);
  });

  it('gives the id that encoding gives where two tokens have the same bytes', () => {
    const trie = tokenTrie(Vocabulary.of(['b', 'a', 'c', 'a', 'a'].map(bytes)));
    expect(trie.token[trieNode(trie, bytes('a'))]).toBe(1);
  });

  it('marks exactly the tokens of o200k that an automaton accepts', () => {
    const vocabulary = packagedO200k();
    const trie = tokenTrie(vocabulary);
    expect(tokenTrie(vocabulary)).toBe(trie);
    // An optional space, then digits only: states 0 (start), 1 (digits).
    const step = (state: number, byte: number): number =>
      byte >= 0x30 && byte <= 0x39 ? 1 : state === 0 && byte === 0x20 ? 1 : -1;
    const expected = Array.from({ length: vocabulary.size }, (_, id) => id).filter((id) =>
      /^ ?\d*$/.test(Buffer.from(vocabulary.token(id)).toString('latin1')),
    );
    expect(marked(trie, vocabulary.size, 0, step)).toEqual(expected);
    expect(marked(trie, vocabulary.size, 0, (state) => state)).toHaveLength(vocabulary.size);
    expect(marked(trie, vocabulary.size, 0, () => -1)).toEqual([]);
  });
});
