// Checks that find something: an attempt, a look at what it gave by another way, and a second attempt where the two
// disagree. In training some first attempts have a slip; the slip is read, not learned, the check after it is.
// Whatever follows a slip goes on from the slipped value, as it would when the model errs. Used by: the families.

import type { Draw, Piece } from './item.ts';
import type { Random } from './random.ts';

export interface Attempt<T> {
  readonly pieces: readonly Piece[];
  readonly result: T;
}

export interface Check {
  /** How it was looked at, and the verdict: ends in `correct.` or `wrong.` */
  readonly pieces: readonly Piece[];
  readonly isRight: boolean;
}

/** `attempt(slip)` works it out once, with a slip where a Random is given; the second time it is given `second`. `check`
 *  must be able to fail. */
export function repaired<T, Second = null>(
  attempt: (slip: Random | null | Second) => Attempt<T>,
  check: (result: T) => Check,
  slip: Random | null,
  second?: Second,
): Piece[] {
  const first = attempt(slip);
  const tested = check(first.result);
  const pieces = [...first.pieces, { text: '\n' }, ...tested.pieces];
  if (tested.isRight) return pieces;
  const again = attempt(second ?? null);
  return [...pieces, { text: ' Again.\n' }, ...again.pieces, { text: '\n' }, ...check(again.result).pieces];
}

/** For a check that is one text. */
export function verdict(text: string, isRight: boolean): Check {
  return { pieces: [{ text: `${text}${isRight ? ', correct.' : ': wrong.'}` }], isRight };
}

export function slipOf({ random, slips }: Pick<Draw, 'random' | 'slips'>): Random | null {
  return random.chance(slips) ? random : null;
}

/** Another number such as one gets by mistake; never negative. */
export function wrongNumber(n: number, random: Random): number {
  const other = n + random.pick([1, -1, 1, -1, 2, -2, 10, -10]);
  return other < 0 ? n + 1 : other;
}
