// From the text of a pattern to its automaton, with the conditions on the text's beginning joined in.

import { type CharDfa, charDfa, complementDfa, intersect } from './char-dfa.ts';
import { readingProperties } from './code-point-sets.ts';
import { sequence } from './expression.ts';
import { parsePattern } from './pattern.ts';
import type { WorkLimit } from './work-limit.ts';

/** `whole`: the pattern is all of the text, else it lies somewhere in it. Null: no text matches. */
export function* patternDfa(pattern: string, whole: boolean, work: WorkLimit): Generator<void, CharDfa | null> {
  yield* readingProperties(pattern, work);
  const { tree, beginnings } = parsePattern(pattern, work);
  let dfa = yield* charDfa(tree, whole, work);
  for (const { tree: beginning, isForbidden } of beginnings) {
    const begins = yield* charDfa(sequence({ kind: 'start' }, beginning), false, work);
    if (begins === null && isForbidden) continue;
    const allowed = begins !== null && isForbidden ? yield* complementDfa(begins) : begins;
    if (dfa === null || allowed === null) return null;
    dfa = yield* intersect(dfa, allowed, work);
  }
  return dfa;
}
