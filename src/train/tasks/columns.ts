// Written arithmetic, digit by digit, as the model learns to write it: a small network cannot carry across six digits in
// one step, but it can fill in one column after another. Two spellings of sums: brief (medium effort) and full (high).
// Division guesses each digit of the quotient and sees by what is left whether the guess was right: nothing has to be
// known but the times table. Slips: a wrong digit on purpose, so that the check has something to find.
// Next: sums.ts, products.ts, division.ts.

import type { Piece } from './item.ts';
import type { Random } from './random.ts';
import { repaired } from './repair.ts';

export interface Worked {
  readonly pieces: readonly Piece[];
  /** What the written columns give; differs from the true result after a slip. */
  readonly result: number;
}

/** Characters of reasoning (nearly all of them are tokens of their own) beyond which an example would be too long. */
const MOST_CHARACTERS = 440;

/** As `repaired`, without the slip where two attempts are too long. */
export function repairedIfShort<T>(...[attempt, check, slip]: Parameters<typeof repaired<T>>): Piece[] {
  const pieces = repaired(attempt, check, slip);
  const length = pieces.reduce((sum, { text }) => sum + text.length, 0);
  return length > MOST_CHARACTERS ? repaired(attempt, check, null) : pieces;
}

const padded = (n: number, width: number): string => String(n).padStart(width, '0');

/** Columns of a + b (whole, not negative), from the right. `slipAt`: column that gets a wrong digit. */
export function addColumns(a: number, b: number, isFull: boolean, slip: Random | null = null): Worked {
  return columns(a, b, isFull, slip, '+');
}

/** Columns of a - b, for a >= b. */
export function subtractColumns(a: number, b: number, isFull: boolean, slip: Random | null = null): Worked {
  return columns(a, b, isFull, slip, '-');
}

function columns(a: number, b: number, isFull: boolean, slip: Random | null, sign: '+' | '-'): Worked {
  const width = Math.max(String(a).length, String(b).length);
  const [top, bottom] = [padded(a, width), padded(b, width)];
  const pieces: Piece[] = [{ text: `${top} ${sign} ${bottom}\n` }];
  const slipAt = slip === null ? -1 : slip.int(0, width - 1);
  const digits: string[] = [];
  let carry = 0;
  for (let column = 0; column < width; column++) {
    const [x, y] = [Number(top[width - 1 - column]), Number(bottom[width - 1 - column])];
    const value = sign === '+' ? x + y + carry : x - y - carry;
    const next = sign === '+' ? Math.floor(value / 10) : value < 0 ? 1 : 0;
    const digit = sign === '+' ? value % 10 : (value + 10) % 10;
    const isSlip = column === slipAt;
    const written = isSlip ? (digit + slip!.int(1, 9)) % 10 : digit;
    digits.unshift(String(written));
    const left = `${x}${sign}${y}${sign}${carry}=`;
    if (isFull) {
      const word = sign === '+' ? 'carry' : 'borrow';
      pieces.push({ text: `${left}${value}, ` }, { text: String(written), isSlip }, { text: ` ${word} ${next}\n` });
    } else if (sign === '+') {
      pieces.push({ text: left }, { text: `${next === 0 ? '' : next}${written}`, isSlip }, { text: '\n' });
    } else {
      pieces.push({ text: left }, { text: `${written}`, isSlip }, { text: next === 1 ? ' b\n' : '\n' });
    }
    carry = next;
  }
  if (carry === 1) digits.unshift('1');
  const result = Number(digits.join(''));
  pieces.push({ text: `Result: ${result}` });
  return { pieces, result };
}

/** n times one digit, from the right: `7*4=28`, `3*4=12,+2=14` … */
export function multiplyColumns(n: number, digit: number, slip: Random | null = null): Worked {
  const digits = [...String(n)].map(Number).reverse();
  const slipAt = slip === null ? -1 : slip.int(0, digits.length - 1);
  const pieces: Piece[] = [];
  const out: string[] = [];
  let carry = 0;
  for (const [column, x] of digits.entries()) {
    const value = x * digit + carry;
    const isSlip = column === slipAt;
    // Never a 9 for a 0 or the other way round, which casting out nines could not tell apart.
    const written = isSlip ? ((value % 10) + slip!.int(2, 8)) % 10 : value % 10;
    const left = column === 0 ? `${x}*${digit}=` : `${x}*${digit}=${x * digit},+${carry}=`;
    carry = Math.floor(value / 10);
    out.unshift(String(written));
    pieces.push({ text: left }, { text: `${carry === 0 ? '' : carry}${written}`, isSlip }, { text: '\n' });
  }
  if (carry > 0) out.unshift(String(carry));
  return { pieces, result: Number(out.join('')) };
}

export interface Part {
  readonly pieces: readonly Piece[];
  /** One digit of the quotient. */
  readonly part: number;
  readonly rest: number;
}

/** What makes a mistake in a division: a guess that is off, which what is left shows at once, or a wrong rest. */
export interface DivisionSlips {
  readonly guess?: Random | null;
  readonly rest?: Random | null;
}

/** How often the divisor goes into a value (up to 9 times): `70: 8*8=64, 70-64=6<8`. */
export function quotientDigit(value: number, divisor: number, { guess, rest }: DivisionSlips = {}): Part {
  if (value < divisor) return { pieces: [{ text: `${value}<${divisor}: 0, rest ${value}` }], part: 0, rest: value };
  const part = Math.floor(value / divisor);
  const right = value % divisor;
  const pieces: Piece[] = [];
  const guessed = guess == null ? part : part + guess.pick([-1, 1]);
  if (guessed !== part && guessed > 0 && guessed < 10) {
    pieces.push(...guessPieces(value, divisor, guessed, true), { text: '\n' });
  }
  pieces.push(...guessPieces(value, divisor, part, false));
  const written = rest == null ? right : (right + rest.int(1, divisor - 1)) % divisor;
  pieces.push({ text: String(written), isSlip: written !== right }, { text: `<${divisor}` });
  return { pieces, part, rest: written };
}

/** The product and what is left, up to the number that is left. Of divisors with two digits both stand in columns. */
function guessPieces(value: number, divisor: number, guess: number, isOff: boolean): Piece[] {
  const product = divisor * guess;
  const pieces: Piece[] = [{ text: `${value}: ${divisor}*` }, { text: String(guess), isSlip: isOff }];
  const isLong = divisor > 9;
  if (isLong && guess > 1 && divisor % 10 > 0) {
    pieces.push({ text: '\n' }, ...multiplyColumns(divisor, guess).pieces, { text: `${divisor}*${guess}` });
  }
  pieces.push({ text: `=${product}` });
  if (product > value) return [...pieces, { text: ': too much' }];
  if (isLong && product < value) {
    const lines = subtractColumns(value, product, false).pieces.slice(0, -1);
    pieces.push({ text: '\n' }, ...lines, { text: 'Rest ' });
  } else pieces.push({ text: `, ${value}-${product}=` });
  return isOff ? [...pieces, { text: `${value - product}: too few` }] : pieces;
}

export interface Divided {
  readonly pieces: readonly Piece[];
  readonly quotient: number;
  readonly rest: number;
}

/** n / divisor by long division, a line for each digit from the first that is needed. `slips(i)`: those of line i. */
export function longDivision(n: number, divisor: number, slips: (line: number) => DivisionSlips = () => ({})): Divided {
  const digits = [...String(n)];
  const pieces: Piece[] = [];
  let [rest, quotient, line] = [0, '', 0];
  for (const [i, digit] of digits.entries()) {
    const value = rest * 10 + Number(digit);
    const isLeading = quotient === '' && value < divisor && i + 1 < digits.length;
    if (isLeading) {
      rest = value;
      continue;
    }
    const done = quotientDigit(value, divisor, slips(line));
    pieces.push(...(line === 0 ? [] : [{ text: '\n' }]), ...done.pieces);
    [rest, quotient, line] = [done.rest, quotient + done.part, line + 1];
  }
  return { pieces, quotient: Number(quotient), rest };
}

/** Long division as one text. */
export function divideDigits(n: number, divisor: number): { lines: string; quotient: number; rest: number } {
  const { pieces, quotient, rest } = longDivision(n, divisor);
  return { lines: pieces.map(({ text }) => text).join(''), quotient, rest };
}
