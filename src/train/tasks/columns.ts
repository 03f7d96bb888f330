// Written arithmetic, digit by digit, as the model learns to write it: a small network cannot carry across six digits in
// one step, but it can fill in one column after another. Two spellings: brief (medium effort) and full (high effort).
// Slips: a column may get a wrong digit on purpose, so that the check has something to find. Next: sums.ts, products.ts.

import type { Piece } from './item.ts';
import type { Random } from './random.ts';

export interface Worked {
  readonly pieces: readonly Piece[];
  /** What the written columns give; differs from the true result after a slip. */
  readonly result: number;
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

/** n times one digit, from the right: `7*4+0=28` … */
export function multiplyColumns(n: number, digit: number, slip: Random | null = null): Worked {
  const digits = String(n);
  const slipAt = slip === null ? -1 : slip.int(0, digits.length - 1);
  const pieces: Piece[] = [];
  const out: string[] = [];
  let carry = 0;
  for (let column = 0; column < digits.length; column++) {
    const x = Number(digits[digits.length - 1 - column]);
    const value = x * digit + carry;
    const isSlip = column === slipAt;
    const written = isSlip ? ((value % 10) + slip!.int(1, 9)) % 10 : value % 10;
    carry = Math.floor(value / 10);
    out.unshift(String(written));
    pieces.push(
      { text: `${x}*${digit}+${column === 0 ? 0 : carryBefore(digits, digit, column)}=` },
      { text: `${carry === 0 ? '' : carry}${written}`, isSlip },
      { text: '\n' },
    );
  }
  if (carry > 0) out.unshift(String(carry));
  return { pieces, result: Number(out.join('')) };
}

function carryBefore(digits: string, digit: number, column: number): number {
  let carry = 0;
  for (let i = 0; i < column; i++) {
    carry = Math.floor((Number(digits[digits.length - 1 - i]) * digit + carry) / 10);
  }
  return carry;
}

/** n / digit by long division: `8/3=2 rest 2` … */
export function divideDigits(n: number, divisor: number): { lines: string; quotient: number; rest: number } {
  let rest = 0;
  const lines: string[] = [];
  const quotient: number[] = [];
  for (const digit of String(n)) {
    const value = rest * 10 + Number(digit);
    const part = Math.floor(value / divisor);
    lines.push(`${value}/${divisor}=${part} rest ${value % divisor}`);
    quotient.push(part);
    rest = value % divisor;
  }
  return { lines: lines.join('\n'), quotient: Number(quotient.join('')), rest };
}
