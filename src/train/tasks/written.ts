// One operation of written arithmetic, as the families that need several in a row write it (stories, dates, units): at once
// where it is small, in columns otherwise; `checked` undoes it, sets what that gives beside what was there, and does it
// again where the two differ. A check of each step keeps a repair short: only that step is written twice.

import { addColumns, type Divided, divideDigits, longDivision, multiplyColumns, subtractColumns } from './columns.ts';
import type { Piece } from './item.ts';
import type { Random } from './random.ts';
import { type Attempt, type Check, repaired, verdict, wrongNumber } from './repair.ts';

export type Sign = '+' | '-' | '*' | '/';

/** What is written at once. */
const isSmall = (a: number, b: number): boolean => a <= 9 && b <= 9;

/** a sign b; the second factor and the divisor have one digit. */
export function written(a: number, sign: Sign, b: number, slip: Random | null = null): Attempt<number> {
  if (sign === '/') return divided(a, b, slip);
  const right = sign === '+' ? a + b : sign === '-' ? a - b : a * b;
  if (sign === '*' ? a < 10 : isSmall(a, b)) return atOnce(`${a} ${sign} ${b} = `, right, slip);
  if (sign === '*') {
    const { pieces, result } = multiplyColumns(a, b, slip);
    return { pieces: [{ text: `${a} * ${b}\n` }, ...pieces, { text: `= ${result}` }], result };
  }
  const { pieces, result } = sign === '+' ? addColumns(a, b, false, slip) : subtractColumns(a, b, false, slip);
  return { pieces: [...pieces.slice(0, -1), { text: `= ${result}` }], result };
}

export function atOnce(text: string, right: number, slip: Random | null): Attempt<number> {
  const result = slip === null ? right : wrongNumber(right, slip);
  return { pieces: [{ text }, { text: String(result), isSlip: result !== right }], result };
}

function divided(a: number, b: number, slip: Random | null): Attempt<number> {
  const { lines, quotient, rest } = divideDigits(a, b);
  const { pieces, result } = atOnce(`${a} / ${b}\n${lines}\n= `, quotient, slip);
  return { pieces: [...pieces, { text: ` rest ${rest}` }], result };
}

/** Long division by one digit; a slip is a wrong rest in one of its lines. */
export function slippedDivision(n: number, divisor: number, slip: Random | null): Divided {
  const lines = String(Math.floor(n / divisor)).length;
  const slipAt = slip === null ? -1 : slip.int(0, lines - 1);
  const done = longDivision(n, divisor, (line) => ({ rest: line === slipAt ? slip : null }));
  if (slip === null || done.pieces.some(({ isSlip }) => isSlip === true)) return done;
  // Where the divisor does not go into the line, what is left is only copied: the last line gets the slip.
  const [before, last] = [done.pieces.slice(0, -1), done.pieces.at(-1)!.text];
  if (!last.endsWith(`rest ${done.rest}`)) return done;
  const rest = (done.rest + slip.int(1, divisor - 1)) % divisor;
  return { ...done, pieces: [...before, { text: last.slice(0, -1) }, { text: String(rest), isSlip: true }], rest };
}

/** Whether undoing it leads back to `a`: sums and differences in columns again, products by division or by tens and ones. */
function undone(a: number, sign: Sign, b: number, found: number): Check {
  if (sign === '+' && found < b) return verdict(`Back: ${found} is less than ${b}`, false);
  if (sign === '*' && a < 10) {
    const { lines, quotient, rest } = divideDigits(found, b);
    return verdict(`Back: ${lines}\n${quotient} rest ${rest}, was ${a} rest 0`, found === a * b);
  }
  if (sign === '*') {
    const [tens, ones] = [a - (a % 10), a % 10];
    const more = ones === 0 ? '' : `, ${ones}*${b}=${ones * b}`;
    return verdict(`Check: ${tens}*${b}=${tens * b}${more}\n${a * b}, was ${found}`, found === a * b);
  }
  if (sign === '/') return verdict(`Back: ${found}*${b}=${found * b}, was ${a}`, found * b === a);
  const inverse = sign === '+' ? '-' : '+';
  const { result, pieces } = written(found, inverse, b);
  const isRight = result === a;
  if (pieces.length === 2) return verdict(`Back: ${found} ${inverse} ${b} = ${result}, was ${a}`, isRight);
  return {
    pieces: [{ text: 'Back\n' }, ...pieces.slice(1, -1), ...verdict(`${result}, was ${a}`, isRight).pieces],
    isRight,
  };
}

/** The operation, its check and, after a slip, both again. */
export function checked(a: number, sign: Sign, b: number, slip: Random | null = null): Piece[] {
  return repaired(
    (withSlip: Random | null) => written(a, sign, b, withSlip),
    (found) => undone(a, sign, b, found),
    slip,
  );
}

/** Operations of a level: high checks each of them, and only high is given slips. */
export function worked(a: number, sign: Sign, b: number, isFull: boolean, slip: Random | null = null): Piece[] {
  return isFull ? checked(a, sign, b, slip) : [...written(a, sign, b).pieces];
}

/** Characters of a trace; most are a token each, and a conversation has at most 512. */
const MOST_CHARACTERS = 530;

/** A trace with a slip where it stays short enough with its repair, else without. */
export function fitting(make: (slip: Random | null) => Piece[], slip: Random | null): Piece[] {
  const pieces = make(slip);
  const length = pieces.reduce((sum, { text }) => sum + text.length, 0);
  return slip === null || length <= MOST_CHARACTERS ? pieces : make(null);
}

/** `1 day`, `2 days`. */
export function counted(n: number, unit: string): string {
  return `${n} ${n === 1 ? singular(unit) : unit}`;
}

export function singular(unit: string): string {
  return unit.length < 4 ? unit : unit.replace(/(?<=x|ch)es$|s$/, '');
}
