// Numbers within bounds as expressions over their digits. Exact: digits are compared as digits, never as rounded values.
// How long a number may be is limited, so that a model cannot write digits for ever, and so that different digits are
// different values to whoever reads them: 19 digits for integers, 15 for numbers with bounds (all of which a double keeps
// apart). Refuses bounds that have more digits than that. Next: schema-compiler.ts.

import type { CharDfa } from './char-dfa.ts';
import { setOf } from './code-point-sets.ts';
import {
  choice,
  digit,
  digitIn,
  type Expression,
  empty,
  never,
  optional,
  repeat,
  sequence,
  set,
  text,
} from './expression.ts';

const mostIntegerDigits = 19;
const mostDigits = 15;

export interface Bounds {
  readonly low: number; // -Infinity: none
  readonly high: number;
  readonly isLowOpen: boolean;
  readonly isHighOpen: boolean;
}

/** A bound that cannot be kept exactly. */
export class InexactBound extends Error {}

const minus = text('-');
const digits = (min: number, max: number): Expression => (max <= 0 ? empty : repeat(digit, min, max));

/** Integers without exponent and fraction; null: there are none. */
export function integers({ low, high, isLowOpen, isHighOpen }: Bounds): Expression | null {
  const limit = 10n ** BigInt(mostIntegerDigits) - 1n;
  let from = low < -Number(limit) ? -limit : BigInt(Math.ceil(low));
  let to = high > Number(limit) ? limit : high < -Number(limit) ? -limit - 1n : BigInt(Math.floor(high));
  if (low > Number(limit)) from = limit + 1n;
  if (isLowOpen && Number.isInteger(low)) from += 1n;
  if (isHighOpen && Number.isInteger(high)) to -= 1n;
  if (from > to) return null;
  const options: Expression[] = [];
  if (to >= 0n) options.push(naturals(from > 0n ? from : 0n, to));
  if (from < 0n) options.push(sequence(minus, naturals(to < 0n ? -to : 1n, -from)));
  return choice(...options);
}

/** Whole numbers of low … high without leading zeros. */
function naturals(low: bigint, high: bigint): Expression {
  const options: Expression[] = [];
  const longest = String(high).length;
  for (let length = String(low).length; length <= longest; length++) {
    const least = length === 1 ? 0n : 10n ** BigInt(length - 1);
    const most = 10n ** BigInt(length) - 1n;
    options.push(sameLength(String(low > least ? low : least), String(high < most ? high : most)));
  }
  return choice(...options);
}

/** Digit strings between two of the same length. */
function sameLength(low: string, high: string): Expression {
  if (/^0*$/.test(low) && /^9*$/.test(high)) return digits(low.length, low.length);
  const a = Number(low[0]);
  const b = Number(high[0]);
  const rest = low.length - 1;
  if (a === b) return sequence(digitIn(a, a), sameLength(low.slice(1), high.slice(1)));
  return choice(
    sequence(digitIn(a, a), sameLength(low.slice(1), '9'.repeat(rest))),
    sequence(digitIn(a + 1, b - 1), digits(rest, rest)),
    sequence(digitIn(b, b), sameLength('0'.repeat(rest), high.slice(1))),
  );
}

/** Integers that `step` divides, whatever their leading zeros. */
export function multiples(step: number): CharDfa {
  // Classes: anything else, minus, 0 … 9. States: begin, after the minus, then one for each remainder.
  const intervals = Int32Array.from([0, 0x2d, 0x2e, ...Array.from({ length: 11 }, (_, i) => 0x30 + i)]);
  const classes = Int32Array.from([0, 1, 0, ...Array.from({ length: 10 }, (_, i) => 2 + i), 0]);
  const classCount = 12;
  const next = new Int32Array((step + 2) * classCount).fill(-1);
  next[1] = 1;
  for (let state = 0; state < step + 2; state++) {
    const remainder = state < 2 ? 0 : state - 2;
    for (let value = 0; value < 10; value++)
      next[state * classCount + 2 + value] = 2 + ((remainder * 10 + value) % step);
  }
  const accepting = new Uint8Array(step + 2);
  accepting[2] = 1;
  return { intervals, classes, classCount, next, accepting };
}

/** Numbers of any kind. Not larger than a double can be, so that a reader never meets infinity. */
export function allNumbers(): Expression {
  const whole = choice(text('0'), sequence(digitIn(1, 9), digits(0, 17)));
  const fraction = sequence(text('.'), digits(1, 17));
  const power = choice(digits(1, 2), sequence(text('1'), digits(2, 2)), sequence(text('2'), digitIn(0, 8), digit));
  const sign = set(setOf([0x2b, 0x2b, 0x2d, 0x2d]));
  const exponent = sequence(set(setOf([0x45, 0x45, 0x65, 0x65])), optional(sign), power);
  return sequence(optional(minus), whole, optional(fraction), optional(exponent));
}

/** Digits before and after the point of a bound that is not negative. */
interface Decimal {
  readonly whole: string; // without leading zeros but for "0"
  readonly fraction: string; // without trailing zeros
  readonly isOpen: boolean;
}

/** Numbers without exponent within bounds; null: there are none. */
export function decimals(bounds: Bounds): Expression | null {
  const { low, high, isLowOpen, isHighOpen } = bounds;
  if (low > high || (low === high && (isLowOpen || isHighOpen))) return null;
  const options: Expression[] = [];
  const limit = 10 ** mostDigits;
  if (high >= 0 && low < limit) {
    const from = low >= 0 ? decimal(low, isLowOpen) : decimal(0, false);
    options.push(positives(from, high < limit ? decimal(high, isHighOpen) : null));
  }
  if (low <= 0 && high > -limit && low !== 0) {
    const from = high <= 0 ? decimal(-high, isHighOpen) : decimal(0, false);
    options.push(sequence(minus, positives(from, low > -limit ? decimal(-low, isLowOpen) : null)));
  }
  return options.length === 0 ? null : choice(...options);
}

function decimal(value: number, isOpen: boolean): Decimal {
  const [mantissa, exponent = '0'] = String(value).split('e');
  const [before, after = ''] = mantissa.split('.');
  const point = before.length + Number(exponent);
  const all = before + after;
  const whole = point <= 0 ? '0' : all.slice(0, point).padEnd(point, '0');
  const fraction = point >= 0 ? all.slice(point) : '0'.repeat(-point) + all;
  if (whole.length + fraction.length > mostDigits) {
    throw new InexactBound(`has more digits than the ${mostDigits} that bounds of numbers may have`);
  }
  return { whole: whole.replace(/^0+(?=\d)/, ''), fraction: fraction.replace(/0+$/, ''), isOpen };
}

/** Numbers that are not negative between two bounds, in all their spellings of so many digits. */
function positives(low: Decimal, high: Decimal | null): Expression {
  const options: Expression[] = [];
  const from = BigInt(low.whole);
  const to = high === null ? 10n ** BigInt(mostDigits) - 1n : BigInt(high.whole);
  const isSame = from === to && high !== null;
  options.push(sequence(text(low.whole), fractions(low, isSame ? high : null, mostDigits - low.whole.length)));
  if (high !== null && !isSame && to > from) {
    options.push(sequence(text(high.whole), fractions(null, high, mostDigits - high.whole.length)));
  }
  const last = high === null ? to : to - 1n;
  for (let length = low.whole.length; length <= String(last).length; length++) {
    const least = length === 1 ? 0n : 10n ** BigInt(length - 1);
    const most = 10n ** BigInt(length) - 1n;
    const first = from + 1n > least ? from + 1n : least;
    const end = last < most ? last : most;
    if (first > end) continue;
    options.push(sequence(sameLength(String(first), String(end)), fractions(null, null, mostDigits - length)));
  }
  return choice(...options);
}

/** What may follow the whole part: nothing, or a point and digits that keep to the bounds' own fractions. */
function fractions(low: Decimal | null, high: Decimal | null, most: number): Expression {
  const isEndWithin = (at: number, isAtLow: boolean, isAtHigh: boolean): boolean => {
    if (isAtLow && (at < low!.fraction.length || low!.isOpen)) return false; // trailing zeros have been cut off
    return !(isAtHigh && at >= high!.fraction.length && high!.isOpen);
  };
  const rest = (at: number, isAtLow: boolean, isAtHigh: boolean, mustGoOn: boolean): Expression => {
    if (!isAtLow && !isAtHigh) return digits(mustGoOn ? 1 : 0, most - at);
    const options: Expression[] = !mustGoOn && isEndWithin(at, isAtLow, isAtHigh) ? [empty] : [];
    if (at < most) {
      const least = isAtLow ? Number(low!.fraction[at] ?? 0) : 0;
      const largest = isAtHigh ? Number(high!.fraction[at] ?? 0) : 9;
      // The digits in between leave both bounds behind; the outer ones may still touch theirs.
      const inner = [isAtLow ? least + 1 : least, isAtHigh ? largest - 1 : largest];
      options.push(sequence(digitIn(inner[0], inner[1]), rest(at + 1, false, false, false)));
      if (isAtLow && least <= largest) {
        options.push(sequence(digitIn(least, least), rest(at + 1, true, isAtHigh && least === largest, false)));
      }
      if (isAtHigh && least <= largest && !(isAtLow && least === largest)) {
        options.push(sequence(digitIn(largest, largest), rest(at + 1, false, true, false)));
      }
    }
    return options.length === 0 ? never : choice(...options);
  };
  const isAtLow = low !== null;
  const isAtHigh = high !== null;
  const withPoint = most > 0 ? [sequence(text('.'), rest(0, isAtLow, isAtHigh, true))] : [];
  const without = isEndWithin(0, isAtLow, isAtHigh) ? [empty] : [];
  const options = [...without, ...withPoint];
  return options.length === 0 ? never : choice(...options);
}
