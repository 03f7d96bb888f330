// Regular expressions over code points, as trees: what patterns, formats and number ranges are made of before they become
// automata. Owns the tree and its constructors. Refuses nothing; sizes are limited where a tree is compiled.
// Next: pattern.ts (from text), numbers.ts (from bounds), char-dfa.ts (to automata).

import { type CodePointSet, digits, nothing, setOf } from './code-point-sets.ts';

export type Expression =
  | { readonly kind: 'set'; readonly set: CodePointSet }
  | { readonly kind: 'sequence'; readonly items: readonly Expression[] }
  | { readonly kind: 'choice'; readonly options: readonly Expression[] }
  | { readonly kind: 'repeat'; readonly item: Expression; readonly min: number; readonly max: number }
  | { readonly kind: 'start' } // of the text
  | { readonly kind: 'end' };

export const set = (members: CodePointSet): Expression => ({ kind: 'set', set: members });
export const sequence = (...items: Expression[]): Expression => ({ kind: 'sequence', items });
export const choice = (...options: Expression[]): Expression => ({ kind: 'choice', options });
export const repeat = (item: Expression, min: number, max: number): Expression => ({ kind: 'repeat', item, min, max });
export const optional = (item: Expression): Expression => repeat(item, 0, 1);
export const empty: Expression = sequence();
/** Matches nothing at all, not even the empty text. */
export const never: Expression = set(nothing);

export const digit: Expression = set(digits);

/** One decimal digit of a range. */
export function digitIn(low: number, high: number): Expression {
  return low > high ? never : set(setOf([0x30 + low, 0x30 + high]));
}

export function text(characters: string): Expression {
  return sequence(...Array.from(characters, (character) => character.codePointAt(0)!).map((at) => set([at, at])));
}
