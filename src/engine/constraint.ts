// The two interfaces through which other layers steer a generation without the engine ever seeing text: constraints say
// which tokens may come next, stop matchers say when to end. Owns their types and how a mask is applied to logits.
// Refuses: harmony, JSON Schema, stop strings; those live in text/ and agent/ and are handed in.
// Next: sampling.ts.

/** Tokens that may come next. `bits`: bit (id & 31) of word (id >> 5) is set when the id is allowed. */
export type TokenMask =
  | { readonly kind: 'only'; readonly ids: Int32Array }
  | { readonly kind: 'except'; readonly ids: Int32Array }
  | { readonly kind: 'bits'; readonly bits: Uint32Array };

/** State along one sequence. The engine calls `allowed` before a token is chosen and `accept` with the choice. */
export interface Constraint {
  /** Null: anything goes. The mask is read before the next call and may be reused by the constraint. */
  allowed(): TokenMask | null;
  accept(token: number): void;
}

/** Sees each token right after it was chosen; a word ends the generation with it as the finish reason. */
export interface StopMatcher {
  accept(token: number): string | null;
}

/** Sets the logits of forbidden tokens to -Infinity. */
export function applyMask(logits: Float32Array, mask: TokenMask): void {
  if (mask.kind === 'except') {
    for (const id of mask.ids) logits[id] = Number.NEGATIVE_INFINITY;
    return;
  }
  if (mask.kind === 'only') {
    const kept = Float32Array.from(mask.ids, (id) => logits[id] ?? Number.NEGATIVE_INFINITY);
    logits.fill(Number.NEGATIVE_INFINITY);
    for (let i = 0; i < kept.length; i++) logits[mask.ids[i]] = kept[i]; // an id outside is not an element: no effect
    return;
  }
  const { bits } = mask;
  for (let word = 0; word * 32 < logits.length; word++) {
    const set = word < bits.length ? bits[word] : 0;
    if (set === 0xffffffff) continue;
    const end = Math.min(32, logits.length - word * 32);
    for (let bit = 0; bit < end; bit++) {
      if ((set & (1 << bit)) === 0) logits[word * 32 + bit] = Number.NEGATIVE_INFINITY;
    }
  }
}
