// Family 2: multiplication up to three by three digits. Medium: partial products, digit by digit where there is only
// one, and their sum; high: every digit of all partial products, the column sums, and a check by nines, done again
// when it disagrees.

import { addColumns, multiplyColumns } from './columns.ts';
import { type Family, type Piece, threeLevels, wordings } from './item.ts';
import type { Random } from './random.ts';
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
        productPieces(p, q, false, null),
        productPieces(p, q, true, slip),
      ),
      tool: { expression: `${a} * ${b}`, code: `print(${a} * ${b})`, result: String(result) },
      verify: (said) => saysNumber(said, result, [a, b]),
    };
  },
};

/** `long` times `short`, digit of `short` by digit. */
export function productPieces(long: number, short: number, isFull: boolean, slip: Random | null): Piece[] {
  const attempt = (withSlip: Random | null): { pieces: Piece[]; result: number } => {
    const pieces: Piece[] = [];
    const digits = [...String(short)].map(Number).reverse();
    const slipIn = withSlip === null ? -1 : withSlip.int(0, digits.length - 1);
    const parts = digits.map((digit, place) => {
      const columns = multiplyColumns(long, digit, place === slipIn ? withSlip : null);
      const part = columns.result * 10 ** place;
      const zeros = '0'.repeat(place);
      if ((isFull || digits.length === 1) && long > 9) pieces.push({ text: `${long}*${digit}\n` }, ...columns.pieces);
      pieces.push({ text: `${long}*${digit}${zeros}=${part}\n` });
      return part;
    });
    let result = parts[0]!;
    for (const part of parts.slice(1)) {
      const sum = addColumns(Math.max(result, part), Math.min(result, part), false);
      result = sum.result;
      pieces.push(...sum.pieces.slice(0, -1), { text: `Sum: ${result}\n` });
    }
    pieces.push({ text: `Result: ${result}` });
    return { pieces, result };
  };
  const first = attempt(slip);
  if (!isFull) return first.pieces;
  const check = ninesCheck(long, short, first.result);
  const pieces: Piece[] = [...first.pieces, { text: check.text }];
  if (check.isRight) return pieces;
  const second = attempt(null);
  return [...pieces, { text: ' Again.\n' }, ...second.pieces, { text: ninesCheck(long, short, second.result).text }];
}

const digitSum = (n: number): number => [...String(n)].reduce((sum, digit) => sum + Number(digit), 0);
const digitRoot = (n: number): number => (n === 0 ? 0 : ((n - 1) % 9) + 1);

/** Digit sums of the factors, of their product, and of the result have to agree. */
function ninesCheck(a: number, b: number, result: number): { text: string; isRight: boolean } {
  const line = (n: number): string => {
    const steps: number[] = [];
    for (let at = n; at > 9; ) steps.push((at = digitSum(at)));
    return [n, ...steps].join(' > ');
  };
  const [x, y] = [digitRoot(a), digitRoot(b)];
  const wanted = digitRoot(x * y);
  const found = digitRoot(result);
  const isRight = wanted === found;
  const verdict = isRight ? `${found} = ${wanted}, correct.` : `${found} is not ${wanted}: wrong.`;
  return {
    text: `\nCheck nines: ${line(a)}, ${line(b)}, ${x}*${y}=${line(x * y)}, ${line(result)}\n${verdict}`,
    isRight,
  };
}
