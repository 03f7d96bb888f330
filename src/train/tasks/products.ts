// Family 2: multiplication up to three by three digits. The shorter factor is written as a sum (`52 = 50 + 2`), which is
// the plan; then each partial product digit by digit, and their sum in columns. High looks at it by nines, digit by
// digit too, and does it again when that disagrees.

import { addColumns, multiplyColumns, repairedIfShort } from './columns.ts';
import { type Family, type Piece, threeLevels, wordings } from './item.ts';
import type { Random } from './random.ts';
import { type Attempt, type Check, verdict } from './repair.ts';
import { saysNumber } from './verify.ts';

/** Digits of the two factors by size; the last is the set one size harder. */
const SHAPES = [
  [1, 1],
  [2, 1],
  [3, 1],
  [2, 2],
  [3, 2],
  [3, 3],
  [4, 3],
] as const;

export const multiplication: Family = {
  name: 'multiplication',
  suite: 2,
  sizes: SHAPES.length - 1,
  tools: ['calculate', 'python'],
  draw({ random, size, slips }) {
    const [long, short] = SHAPES[size - 1]!;
    const [p, q] = [random.digits(long), random.digits(short)];
    const [a, b] = random.chance(0.5) ? [p, q] : [q, p];
    const result = a * b;
    // Of equally long factors the first that is asked for comes first.
    const [first, second] = long === short ? [a, b] : [p, q];
    const slip = random.chance(slips) ? random : null;
    return {
      key: `${Math.min(a, b)}*${Math.max(a, b)}`,
      ...wordings([
        `What is ${a} × ${b}?`,
        `${a} * ${b} = ?`,
        `Multiply ${a} by ${b}.`,
        `Calculate ${a} × ${b}.`,
        `${a}*${b}`,
        `What is ${a} times ${b}?`,
        `How much is ${a} times ${b}?`,
        `Please compute ${a} * ${b}.`,
        `what's ${a} x ${b}`,
        `Find ${a} multiplied by ${b}.`,
        `What is the product of ${a} and ${b}?`,
      ]),
      followUps: [`And ${a} × ${b}?`, `Now ${a} * ${b}.`],
      solutions: threeLevels(
        `${a} × ${b} = ${result}.`,
        productPieces(first, second, false, null),
        productPieces(first, second, true, slip),
      ),
      tool: { expression: `${a} * ${b}`, code: `print(${a} * ${b})`, result: String(result) },
      verify: (said) => saysNumber(said, result, [a, b]),
    };
  },
};

/** `long` times `short`, digit of `short` by digit. */
export function productPieces(long: number, short: number, isFull: boolean, slip: Random | null): Piece[] {
  const attempt = (withSlip: Random | null): Attempt<number> => productAttempt(long, short, withSlip);
  if (!isFull) return [...attempt(null).pieces];
  return repairedIfShort(attempt, (found) => ninesCheck(long, short, found), slip);
}

export function productAttempt(long: number, short: number, slip: Random | null): Attempt<number> {
  const digits = [...String(short)].map(Number);
  const places = digits.map((digit, i) => digit * 10 ** (digits.length - 1 - i));
  const head = digits.length === 1 ? `${long} * ${short}` : `${short} = ${places.join(' + ')}`;
  const pieces: Piece[] = [{ text: `${head}\n` }];
  const usable = digits.flatMap((digit, i) => (digit > 0 ? [i] : []));
  const slipIn = slip === null || usable.length === 0 ? -1 : slip.pick(usable);
  const parts = digits.map((digit, i) => {
    const zeros = '0'.repeat(digits.length - 1 - i);
    const isLong = long > 9 && digit > 0;
    const columns = multiplyColumns(long, digit, i === slipIn ? slip : null);
    const part = columns.result * 10 ** zeros.length;
    if (isLong) pieces.push(...columns.pieces);
    // Without columns the slip stands in the product itself.
    const isSlip = !isLong && part !== long * places[i]!;
    pieces.push({ text: `${long}*${places[i]}=` }, { text: String(part), isSlip }, { text: '\n' });
    return part;
  });
  let result = parts[0]!;
  for (const part of parts.slice(1).filter((part) => part > 0)) {
    const sum = addColumns(result, part, false);
    if (result !== parts[0]) pieces.push({ text: `Sum: ${result}\n` });
    result = sum.result;
    pieces.push(...sum.pieces.slice(0, -1));
  }
  pieces.push({ text: `Result: ${result}` });
  return { pieces, result };
}

export const digitRoot = (n: number): number => (n === 0 ? 0 : ((n - 1) % 9) + 1);

/** A number's digits added one after another, 10 and more at once reduced: `56: 5+6=11>2`. */
function nines(n: number): string[] {
  const digits = [...String(n)].map(Number);
  if (digits.length === 1) return [];
  const root = (sum: number): string => (sum > 9 ? `${sum}>${digitRoot(sum)}` : String(sum));
  let at = digits[0]!;
  const steps = digits.slice(1).map((digit, i) => {
    const step = `${i === 0 ? at : ''}+${digit}=${root(at + digit)}`;
    at = digitRoot(at + digit);
    return step;
  });
  return [`${n}: ${steps.join(',')}`];
}

/** What the digits of the factors add up to, multiplied, and what those of the result do have to agree. */
function ninesCheck(a: number, b: number, result: number): Check {
  const [x, y] = [digitRoot(a), digitRoot(b)];
  const both = x * y;
  const [wanted, found] = [digitRoot(both), digitRoot(result)];
  const together = `${x}*${y}=${both}${both > 9 ? `>${wanted}` : ''}`;
  const lines = [...nines(a), ...nines(b), together, ...nines(result)];
  return verdict(`Nines\n${lines.join('\n')}\nAsked ${wanted}, found ${found}`, wanted === found);
}
