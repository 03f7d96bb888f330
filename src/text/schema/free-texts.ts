// JSON strings of any text, limited by length at most: the scalar that most of a structured answer consists of. Which tokens
// it allows between two characters depends on the characters still allowed and nothing else, so one walk over a vocabulary
// serves all grammars, and a limit only leaves out the longer ones.

import { type TokenTrie, tokenTrie } from '../token-trie.ts';
import type { Vocabulary } from '../vocabulary.ts';
import type { CountedTexts } from './char-automata.ts';
import type { ScalarCache, ScalarTokens } from './masks.ts';
import { anyText } from './text-machine.ts';

const built = new WeakMap<Vocabulary, FreeTexts>();

export function freeTexts(vocabulary: Vocabulary): FreeTexts {
  let texts = built.get(vocabulary);
  if (texts === undefined) {
    texts = new FreeTexts(vocabulary);
    built.set(vocabulary, texts);
  }
  return texts;
}

const mostKept = 256; // answers kept, 25 KB each at 201,088 tokens

export class FreeTexts {
  /** What strings of any text allow, below any node of the tree of tokens. */
  readonly scalars: ScalarCache = new Map();
  readonly #words: number;
  /** Tokens within a string, by the characters they need room for. */
  readonly #inner: number[][] = [];
  /** Tokens that close the string after so many characters. */
  readonly #closing: number[][] = [];
  /** Nodes at which the string closes after so many characters, with more tokens below. */
  readonly #exits: number[][] = [];
  readonly #kept = new Map<string, ScalarTokens>();

  constructor(vocabulary: Vocabulary) {
    this.#words = (vocabulary.size + 31) >> 5;
    this.#sort(tokenTrie(vocabulary));
  }

  /** What may come after `count` characters of a text of min … max. */
  tokens({ min, max }: CountedTexts, count: number): ScalarTokens {
    const longest = this.#inner.length;
    const room = Math.min(max - count, longest);
    const missing = Math.min(Math.max(0, min - count), longest);
    const key = `${room} ${missing}`;
    let answer = this.#kept.get(key);
    if (answer === undefined) {
      if (this.#kept.size >= mostKept) this.#kept.clear();
      answer = this.#answer(room, missing);
      this.#kept.set(key, answer);
    }
    return answer;
  }

  #answer(room: number, missing: number): ScalarTokens {
    const bits = new Uint32Array(this.#words);
    const exits: number[] = [];
    for (let count = 0; count <= room && count < this.#inner.length; count++) {
      for (const id of this.#inner[count]) bits[id >> 5] |= 1 << (id & 31);
      if (count < missing) continue;
      for (const id of this.#closing[count]) bits[id >> 5] |= 1 << (id & 31);
      for (const node of this.#exits[count]) exits.push(node);
    }
    return { tokens: { kind: 'bits', bits }, exits: Int32Array.from(exits) };
  }

  #sort({ nodes, byte, depth, token, end }: TokenTrie): void {
    const between = anyText.step(0, 0x22);
    const states: number[] = [between]; // by depth
    const counts: number[] = [0]; // by depth: whole characters
    for (let node = 1; node < nodes; ) {
      const here = depth[node];
      const next = anyText.step(states[here - 1], byte[node]);
      if (next < 0) {
        node = end[node];
        continue;
      }
      const isClosed = anyText.accepts(next);
      const count = counts[here - 1] + (next === between ? 1 : 0);
      states[here] = next;
      counts[here] = count;
      // A character that is not whole needs room, too.
      const needed = next === between || isClosed ? count : count + 1;
      for (const lists of [this.#inner, this.#closing, this.#exits]) while (lists.length <= needed) lists.push([]);
      if (token[node] >= 0) (isClosed ? this.#closing : this.#inner)[needed].push(token[node]);
      if (isClosed && end[node] > node + 1) this.#exits[needed].push(node);
      node++;
    }
  }
}
