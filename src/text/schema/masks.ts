// From places in a grammar to masks over a vocabulary: which tokens may come next, whatever the way a text is cut into them.
// What a scalar allows does not depend on what lies around it, so it is found once for each of its states by one walk over
// the tree of all tokens; a token that goes beyond the end of the scalar is followed on from there. Structure allows few
// bytes, and is walked where it is met. Masks are kept by place.
// Owns the masks and their memory. Free strings, the one scalar that allows nearly everything: free-texts.ts.

import type { TokenTrie } from '../token-trie.ts';
import { tokenTrie } from '../token-trie.ts';
import type { Vocabulary } from '../vocabulary.ts';
import { CountedTexts } from './char-automata.ts';
import { freeTexts } from './free-texts.ts';
import type { Grammar, Place } from './grammar.ts';
import type { ScalarMachine } from './machine.ts';
import { TextMachine } from './text-machine.ts';

/** Few tokens are listed, many are bits: bit (id & 31) of word (id >> 5). */
export type AllowedTokens =
  | { readonly kind: 'ids'; readonly ids: readonly number[] }
  | { readonly kind: 'bits'; readonly bits: Uint32Array };

/** What a scalar allows in one of its states. */
export interface ScalarTokens {
  /** Tokens that stay in it or end with it. */
  readonly tokens: AllowedTokens;
  /** Nodes of the trie at which it may end and below which there are more tokens. */
  readonly exits: ArrayLike<number>;
}

const longestList = 1_500;
const mostBits = 384; // masks of bits kept by grammar: 25 KB each at 201,088 tokens
const mostLists = 8_000;

export class TokenMasks {
  readonly grammar: Grammar;
  readonly trie: TokenTrie;
  readonly #vocabulary: Vocabulary;
  readonly #scratch: Uint32Array;
  #scalars = new Map<ScalarMachine, Map<number, ScalarTokens>>();
  #masks = new Map<Place, Map<number, AllowedTokens>>();
  #bits = 0;
  #lists = 0;

  constructor(grammar: Grammar, vocabulary: Vocabulary) {
    this.grammar = grammar;
    this.#vocabulary = vocabulary;
    this.trie = tokenTrie(vocabulary);
    // Room for special tokens, which come after the text tokens in every vocabulary of the format.
    this.#scratch = new Uint32Array((vocabulary.size + 31) >> 5);
  }

  /** Tokens that may come at a place, and `end` where the text may end. */
  allowed(place: Place, end: number): AllowedTokens {
    let byEnd = this.#masks.get(place);
    let mask = byEnd?.get(end);
    if (mask !== undefined) return mask;
    if (this.#bits > mostBits || this.#lists > mostLists) {
      this.#masks = new Map();
      this.#scalars = new Map();
      this.#bits = 0;
      this.#lists = 0;
      byEnd = undefined;
    }
    mask = this.#compute(place, place.mayEnd ? end : -1);
    if (byEnd === undefined) {
      byEnd = new Map();
      this.#masks.set(place, byEnd);
    }
    byEnd.set(end, mask);
    this.#count(mask);
    return mask;
  }

  #count(mask: AllowedTokens): void {
    if (mask.kind === 'bits') this.#bits++;
    else this.#lists++;
  }

  #compute(place: Place, end: number): AllowedTokens {
    const bits = this.#scratch.fill(0);
    for (const { machine, own, below } of place.parts) {
      if (machine.kind !== 'scalar') continue;
      const { tokens, exits } = this.#scalar(machine, own);
      add(bits, tokens);
      if (exits.length === 0) continue;
      const after = this.grammar.after(below);
      for (let i = 0; i < exits.length; i++) this.#walk(exits[i], after, bits);
    }
    const structure = this.grammar.containers(place);
    if (structure !== null) this.#walk(0, structure, bits);
    return pack(bits, end);
  }

  /** Marks tokens below a node whose remaining bytes lead on from a place. */
  #walk(from: number, place: Place, bits: Uint32Array): void {
    const { byte, depth, token, end } = this.trie;
    const { grammar } = this;
    const base = depth[from];
    const places: Place[] = [place]; // by depth below `from`
    const last = end[from];
    for (let node = from + 1; node < last; ) {
      const at = depth[node] - base;
      const next = grammar.step(places[at - 1], byte[node]);
      if (next === null) {
        node = end[node];
        continue;
      }
      places[at] = next;
      const id = token[node];
      if (id >= 0) bits[id >> 5] |= 1 << (id & 31);
      node++;
    }
  }

  #scalar(machine: ScalarMachine, state: number): ScalarTokens {
    if (machine instanceof TextMachine && machine.automaton instanceof CountedTexts) {
      const count = machine.between(state);
      if (count >= 0 && machine.isJson) return freeTexts(this.#vocabulary).tokens(machine.automaton, count);
    }
    let byState = this.#scalars.get(machine);
    if (byState === undefined) {
      byState = new Map();
      this.#scalars.set(machine, byState);
    }
    let found = byState.get(state);
    if (found === undefined) {
      found = this.#walkScalar(machine, state);
      byState.set(state, found);
      this.#count(found.tokens);
    }
    return found;
  }

  #walkScalar(machine: ScalarMachine, state: number): ScalarTokens {
    const { nodes, byte, depth, token, end } = this.trie;
    const bits = new Uint32Array(this.#scratch.length);
    const exits: number[] = [];
    const states: number[] = [state]; // by depth
    for (let node = 1; node < nodes; ) {
      const next = machine.step(states[depth[node] - 1], byte[node]);
      if (next < 0) {
        node = end[node];
        continue;
      }
      states[depth[node]] = next;
      const id = token[node];
      if (id >= 0) bits[id >> 5] |= 1 << (id & 31);
      if (machine.accepts(next) && end[node] > node + 1) exits.push(node);
      node++;
    }
    return { tokens: pack(bits, -1), exits: Int32Array.from(exits) };
  }
}

function add(bits: Uint32Array, tokens: AllowedTokens): void {
  if (tokens.kind === 'ids') for (const id of tokens.ids) bits[id >> 5] |= 1 << (id & 31);
  else for (let i = 0; i < bits.length; i++) bits[i] |= tokens.bits[i];
}

/** The shorter form, with one id more if it is not negative. Does not keep `bits`. */
function pack(bits: Uint32Array, end: number): AllowedTokens {
  const ids: number[] = [];
  for (let word = 0; word < bits.length && ids.length <= longestList; word++) {
    for (let rest = bits[word]; rest !== 0; rest &= rest - 1) ids.push(word * 32 + 31 - Math.clz32(rest & -rest));
  }
  if (ids.length <= longestList) {
    if (end >= 0) ids.push(end);
    return { kind: 'ids', ids };
  }
  const copy = new Uint32Array(end < 0 ? bits.length : Math.max(bits.length, (end >> 5) + 1));
  copy.set(bits);
  if (end >= 0) copy[end >> 5] |= 1 << (end & 31);
  return { kind: 'bits', bits: copy };
}
