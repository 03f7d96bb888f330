// From places in a grammar to masks over a vocabulary: which tokens may come next, whatever the way a text is cut into them.
// What a scalar allows does not depend on what lies around it, so it is found once for each of its states by a walk over
// the tree of all tokens (or the part of it below a token's beginning); a token that goes beyond the end of the scalar is
// followed on from there. Structure allows few bytes, and is walked where it is met. Masks are kept by place.
// Owns the masks and their memory. Free strings, the one scalar that allows nearly everything: free-texts.ts.

import { type TokenTrie, tokenTrie } from '../token-trie.ts';
import type { Vocabulary } from '../vocabulary.ts';
import { CountedTexts, DfaTexts } from './char-automata.ts';
import type { CharDfa } from './char-dfa.ts';
import { foldedTokens, foldingTokens } from './class-trie.ts';
import { type FreeTexts, freeTexts } from './free-texts.ts';
import type { Grammar, Place } from './grammar.ts';
import type { Machine, ScalarMachine } from './machine.ts';
import { anyText, TextMachine } from './text-machine.ts';

/** Few tokens are listed, many are bits: bit (id & 31) of word (id >> 5). */
export type AllowedTokens =
  | { readonly kind: 'ids'; readonly ids: readonly number[] }
  | { readonly kind: 'bits'; readonly bits: Uint32Array };

/** What a scalar allows in one of its states, below a node of the tree of tokens. */
export interface ScalarTokens {
  /** Tokens that stay in it or end with it. */
  readonly tokens: AllowedTokens;
  /** Nodes at which it may end and below which there are more tokens. */
  readonly exits: ArrayLike<number>;
}

/** By (state, node) of one machine. */
export type ScalarCache = Map<number, ScalarTokens>;

const longestList = 1_500;
const mostBytes = 12 << 20; // kept for a grammar
const NODES = 2 ** 22; // more than any tree of tokens has
const longWalk = 2_000; // nodes; beyond them, folded tokens are quicker
const mostFolded = 8; // expressions of a grammar

export class TokenMasks {
  readonly grammar: Grammar;
  readonly #trie: TokenTrie;
  readonly #free: FreeTexts;
  readonly #vocabulary: Vocabulary;
  readonly #words: number;
  readonly #isAlone: boolean; // one scalar is all there is: nothing follows it
  readonly #isWide = new Set<ScalarMachine>(); // walks over its tokens are long
  #scalars = new Map<ScalarMachine, ScalarCache>();
  #masks = new Map<Place, Map<number, AllowedTokens>>();
  #bytes = 0;

  constructor(grammar: Grammar, vocabulary: Vocabulary) {
    this.grammar = grammar;
    this.#vocabulary = vocabulary;
    this.#isAlone = grammar.machines.length === 1;
    this.#trie = tokenTrie(vocabulary);
    this.#free = freeTexts(vocabulary);
    this.#words = (vocabulary.size + 31) >> 5;
  }

  /** Builds ahead, in steps, what makes masks of expressions quick. */
  *preparing(): Generator<void, void> {
    const dfas = new Set<CharDfa>();
    for (const machine of this.grammar.machines) {
      const dfa = this.#foldable(machine);
      if (dfa === null || dfas.size >= mostFolded) continue;
      dfas.add(dfa);
      yield* foldingTokens(this.#vocabulary, dfa, formOf(machine));
    }
  }

  /** Memory of the masks that are kept, about. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Tokens that may come at a place, and `end` where the text may end. */
  allowed(place: Place, end: number): AllowedTokens {
    let byEnd = this.#masks.get(place);
    const known = byEnd?.get(end);
    if (known !== undefined) return known;
    if (this.#bytes > mostBytes) {
      this.#masks = new Map();
      this.#scalars = new Map();
      this.#bytes = 0;
      byEnd = undefined;
    }
    const found = new Collected();
    this.#walk(0, place, found);
    const mask = found.mask(this.#words, place.mayEnd ? end : -1);
    if (byEnd === undefined) {
      byEnd = new Map();
      this.#masks.set(place, byEnd);
    }
    byEnd.set(end, mask);
    this.#count(mask);
    return mask;
  }

  #count(mask: AllowedTokens): void {
    this.#bytes += 200 + (mask.kind === 'bits' ? mask.bits.byteLength : mask.ids.length * 8);
  }

  /** Collects the tokens below a node whose remaining bytes lead on from a place. */
  #walk(node: number, place: Place, found: Collected): void {
    const { grammar } = this;
    for (const { machine, own, below } of place.parts) {
      if (machine.kind !== 'scalar') continue;
      const { tokens, exits } = this.#scalar(machine, own, node);
      found.add(tokens);
      if (exits.length === 0) continue;
      const after = grammar.after(below);
      for (let i = 0; i < exits.length; i++) this.#walk(exits[i], after, found);
    }
    const structure = grammar.structure(place);
    if (structure === null) return;
    const { byte, token, end } = this.#trie;
    const last = end[node];
    for (let child = node + 1; child < last; child = end[child]) {
      const next = grammar.step(structure, byte[child]);
      if (next === null) continue;
      if (token[child] >= 0) found.ids.push(token[child]);
      if (end[child] > child + 1) this.#walk(child, next, found);
    }
  }

  #scalar(machine: ScalarMachine, state: number, node: number): ScalarTokens {
    if (node === 0 && machine instanceof TextMachine && machine.automaton instanceof CountedTexts) {
      const count = machine.between(state);
      if (count >= 0 && machine.isJson) return this.#free.tokens(machine.automaton, count);
    }
    const isAny = machine === anyText;
    let cache = isAny ? this.#free.scalars : this.#scalars.get(machine);
    if (cache === undefined) {
      cache = new Map();
      this.#scalars.set(machine, cache);
    }
    const key = state * NODES + node;
    let found = cache.get(key);
    if (found === undefined) {
      found = this.#folded(machine, state, node) ?? this.#walkScalar(machine, state, node);
      cache.set(key, found);
      if (!isAny) this.#count(found.tokens);
    }
    return found;
  }

  /** By classes of characters; null: it has to be walked, or that is as good. */
  #folded(machine: ScalarMachine, state: number, node: number): ScalarTokens | null {
    const dfa = node === 0 ? this.#foldable(machine) : null;
    if (dfa === null || !(machine instanceof TextMachine)) return null;
    const inner = machine.between(state);
    const folded = inner < 0 ? null : foldedTokens(this.#vocabulary, dfa, formOf(machine));
    if (folded === null) return null;
    if (!this.#isWide.has(machine)) {
      const few = new Collected();
      const ends: number[] = [];
      if (this.#follow(machine, state, 0, few, ends, longWalk)) return few.scalar(this.#words, ends);
      this.#isWide.add(machine);
    }
    const found = new Collected();
    const exits: number[] = [];
    const { byte, token, end } = this.#trie;
    const onMark = (mark: number, reached: number): void => {
      const next = machine.step(machine.at(reached), byte[mark]);
      if (next < 0) return;
      if (token[mark] >= 0) found.ids.push(token[mark]);
      if (end[mark] === mark + 1) return;
      if (machine.accepts(next)) exits.push(mark);
      this.#follow(machine, next, mark, found, exits, Number.POSITIVE_INFINITY);
    };
    folded.follow(dfa, inner, (tokens) => found.add(tokens), onMark);
    return found.scalar(this.#words, exits);
  }

  /** Where a text without quotes may end is not known of folded tokens: then nothing may come after it. */
  #foldable(machine: Machine): CharDfa | null {
    if (!(machine instanceof TextMachine) || !(machine.automaton instanceof DfaTexts)) return null;
    return machine.isJson || this.#isAlone ? machine.automaton.dfa : null;
  }

  #walkScalar(machine: ScalarMachine, state: number, from: number): ScalarTokens {
    const found = new Collected();
    const exits: number[] = [];
    this.#follow(machine, state, from, found, exits, Number.POSITIVE_INFINITY);
    return found.scalar(this.#words, exits);
  }

  /** False: given up after `most` nodes. */
  #follow(
    machine: ScalarMachine,
    state: number,
    from: number,
    found: Collected,
    exits: number[],
    most: number,
  ): boolean {
    const { byte, depth, token, end } = this.#trie;
    const states: number[] = []; // by depth
    states[depth[from]] = state;
    const last = end[from];
    let left = most;
    for (let node = from + 1; node < last; ) {
      const here = depth[node];
      const next = machine.step(states[here - 1], byte[node]);
      if (next < 0) {
        node = end[node];
        continue;
      }
      if (--left < 0) return false;
      states[here] = next;
      if (token[node] >= 0) found.ids.push(token[node]);
      if (!this.#isAlone && end[node] > node + 1 && machine.accepts(next)) exits.push(node);
      node++;
    }
    return true;
  }
}

function formOf(machine: Machine): 'json' | 'plain' {
  return machine instanceof TextMachine && machine.isJson ? 'json' : 'plain';
}

/** Tokens on their way into a mask. */
class Collected {
  readonly ids: number[] = [];
  readonly #bits: Uint32Array[] = [];

  add(tokens: AllowedTokens): void {
    if (tokens.kind === 'bits') this.#bits.push(tokens.bits);
    else for (const id of tokens.ids) this.ids.push(id);
  }

  scalar(words: number, exits: readonly number[]): ScalarTokens {
    return { tokens: this.mask(words, -1), exits: Int32Array.from(exits) };
  }

  /** The shorter form, with one id more if it is not negative. */
  mask(words: number, end: number): AllowedTokens {
    if (this.#bits.length === 0 && this.ids.length <= longestList) {
      if (end >= 0) this.ids.push(end);
      return { kind: 'ids', ids: [...new Set(this.ids)] };
    }
    const bits = new Uint32Array(end < 0 ? words : Math.max(words, (end >> 5) + 1));
    for (const [i, more] of this.#bits.entries()) {
      if (i === 0) bits.set(more);
      else for (let word = 0; word < more.length; word++) bits[word] |= more[word];
    }
    for (const id of this.ids) bits[id >> 5] |= 1 << (id & 31);
    if (end >= 0) bits[end >> 5] |= 1 << (end & 31);
    return { kind: 'bits', bits };
  }
}
