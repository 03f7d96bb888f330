// Family 7: lengths, weights, volumes and times in other units; money, and change. Factors that are powers of ten move one
// zero or one digit a line; other products, quotients, sums and differences are written digit by digit. High converts back
// in the same way and sets what that gives beside what was asked.

import { addColumns, divideDigits, multiplyColumns, subtractColumns } from './columns.ts';
import { type Draw, type Family, type Item, type Piece, threeLevels, wordings } from './item.ts';
import type { Random } from './random.ts';
import { type Attempt, type Check, repaired, slipOf, verdict, wrongNumber } from './repair.ts';
import { numbersIn, saysNumber } from './verify.ts';
import { names, part, things } from './words.ts';
import { atOnce, counted, fitting, singular, written } from './written.ts';

function family(name: string, draw: (draw: Draw) => Item, more: Partial<Family> = {}): Family {
  return { name, suite: 7, sizes: 4, tools: ['calculate', 'python'], draw, ...more };
}

/** Large unit, small unit, how many small ones make a large one. */
const UNITS = [
  ['km', 'm', 1000],
  ['m', 'cm', 100],
  ['cm', 'mm', 10],
  ['m', 'mm', 1000],
  ['kg', 'g', 1000],
  ['t', 'kg', 1000],
  ['l', 'ml', 1000],
  ['l', 'cl', 100],
  ['hours', 'minutes', 60],
  ['minutes', 'seconds', 60],
  ['days', 'hours', 24],
  ['weeks', 'days', 7],
  ['years', 'months', 12],
  ['dozens', 'eggs', 12],
] as const;

export const unitConversion = family('unit-conversion', (draw) => {
  const { random, size } = draw;
  const [large, small, factor] = random.pick(UNITS);
  const n = random.int(2, [9, 20, 60, 200, 900][size - 1]!);
  const isDown = random.chance(0.55); // to the smaller unit
  const [from, to] = isDown ? [large, small] : [small, large];
  const value = isDown ? n : n * factor;
  const result = isDown ? n * factor : n;
  const sign = isDown ? '*' : '/';
  const head = `1 ${singular(large)} = ${factor} ${small}\n`;
  const attempt = (slip: Random | null): Attempt<number> => {
    const lines = isDown ? timesLines(value, factor) : overLines(value, factor);
    const { pieces, result: found } = atOnce(`${lines}\n${value}${sign}${factor}=`, result, slip);
    return { pieces: [{ text: head }, ...pieces, { text: ` ${to}` }], result: found };
  };
  const check = (found: number): Check => {
    const [back, rest] = isDown ? [Math.floor(found / factor), found % factor] : [found * factor, 0];
    const lines = isDown ? overLines(found, factor) : timesLines(found, factor);
    const isRight = back === value && rest === 0;
    return verdict(`Back\n${lines}\n${back}${isDown ? ` rest ${rest}` : ''}, was ${value}`, isRight);
  };
  return {
    key: `${value} ${from} ${to}`,
    ...wordings([
      `Convert ${value} ${from} to ${to}.`,
      `How many ${to} are ${value} ${from}?`,
      `${value} ${from} in ${to}?`,
      `What is ${value} ${from} in ${to}?`,
      `Express ${value} ${from} in ${to}.`,
      `Change ${value} ${from} into ${to}.`,
      `${value} ${from} = ? ${to}`,
      `How many ${to} do ${value} ${from} make?`,
      `How much is ${value} ${from} when written in ${to}?`,
    ]),
    solutions: threeLevels(
      `${value} ${from} = ${result} ${to}.`,
      [...attempt(null).pieces],
      fitting((slip) => repaired(attempt, check, slip), slipOf(draw)),
    ),
    tool: {
      expression: `${value} ${sign} ${factor}`,
      code: `print(${value} ${isDown ? '*' : '//'} ${factor})`,
      result: String(result),
    },
    verify: (said) => saysNumber(said, result, [value, factor]),
  };
});

const isPowerOfTen = (factor: number): boolean => [10, 100, 1000].includes(factor);

/** Without the result's own line. A zero moves over, line by line; sixty is six and a zero. */
function timesLines(n: number, factor: number): string {
  if (isPowerOfTen(factor)) return zeros(factor, (i) => `${n * 10 ** i}*${factor / 10 ** i}`);
  if (factor === 60) return n < 10 ? timesLines(n, 6) : `${timesLines(n, 6)}\n${n}*6=${n * 6}`;
  if (factor < 10) return n < 10 ? `${n}*${factor}=${n * factor}` : textOf(multiplyColumns(n, factor).pieces);
  const parts = [...String(n)].reverse().map((digit, place) => [Number(digit), 10 ** place] as const);
  const lines = parts.map(([digit, ten]) => `${factor}*${digit * ten}=${factor * digit * ten}`);
  let sum = 0;
  for (const [i, [digit, ten]] of parts.entries()) {
    const part = factor * digit * ten;
    if (i > 0 && part > 0 && sum > 0) lines.push(textOf(written(part, '+', sum).pieces));
    sum += part;
  }
  return lines.join('\n');
}

function overLines(n: number, factor: number): string {
  if (isPowerOfTen(factor)) return shifted(n, factor);
  if (factor === 60) return `${Math.floor(n / 10)} tens\n${divideDigits(Math.floor(n / 10), 6).lines}`;
  return factor < 10 ? divideDigits(n, factor).lines : longLines(n, factor);
}

/** By twelve or twenty-four: their multiples are known, what is left stands in columns. */
function longLines(n: number, factor: number): string {
  let [rest, isBegun] = [0, false];
  const lines: string[] = [];
  for (const [i, digit] of [...String(n)].entries()) {
    const value = rest * 10 + Number(digit);
    const product = value - (value % factor);
    rest = value % factor;
    if (product > 0) {
      const left = rest === 0 ? `${value} - ${product} = 0` : textOf(written(value, '-', product).pieces);
      lines.push(`${value}: ${factor}*${product / factor}=${product}\n${left}<${factor}`);
    } else if (isBegun || i === String(n).length - 1) lines.push(`${value}<${factor}: 0, rest ${value}`);
    isBegun ||= product > 0;
  }
  return lines.join('\n');
}

function zeros(factor: number, line: (i: number) => string): string {
  return Array.from({ length: String(factor).length }, (_, i) => line(i)).join('\n');
}

/** The last digits are split off one by one: `6709`, `670|9`, `67|09` … */
function shifted(n: number, factor: number): string {
  const digits = String(n).padStart(String(factor).length, '0');
  return zeros(factor, (i) => (i === 0 ? digits : `${digits.slice(0, -i)}|${digits.slice(-i)}`));
}

const textOf = (pieces: readonly Piece[]): string =>
  pieces
    .map(({ text }) => text)
    .join('')
    .trimEnd();

/** Hours with minutes, metres with centimetres … as the smaller unit, and back. */
export const mixedUnits = family('mixed-units', (draw) => {
  const { random, size } = draw;
  const [large, small, factor] = random.pick([
    ['h', 'min', 60],
    ['min', 's', 60],
    ['m', 'cm', 100],
    ['km', 'm', 1000],
    ['kg', 'g', 1000],
    ['days', 'h', 24],
    ['weeks', 'days', 7],
  ] as const);
  const [a, b] = [random.int(1, [4, 9, 15, 30, 90][size - 1]!), random.int(1, factor - 1)];
  const total = a * factor + b;
  const isDown = random.chance(0.5);
  const asMixed = (whole: number, rest: number): string => `${counted(whole, large)} ${counted(rest, small)}`;
  const mixed = asMixed(a, b);
  const final = isDown ? `${mixed} = ${total} ${small}.` : `${total} ${small} = ${mixed}.`;
  const head = `1 ${singular(large)} = ${factor} ${small}\n`;
  const attempt = (slip: Random | null): Attempt<readonly [number, number]> => {
    const lines = isDown ? joinLines(a, b, factor) : overLines(total, factor);
    if (isDown) {
      const { pieces, result } = atOnce(`${head}${lines}\n= `, total, slip);
      return { pieces: [...pieces, { text: ` ${small}` }], result: [result, 0] };
    }
    const rest = slip === null ? b : wrongNumber(b, slip) % factor;
    const [before, after] = asMixed(a, rest).split(/(?<= )(?=\d+ \D+$)/) as [string, string];
    return {
      pieces: [{ text: `${head}${lines}\n= ${before}` }, { text: after, isSlip: rest !== b }],
      result: [a, rest],
    };
  };
  const check = ([first, rest]: readonly [number, number]): Check => {
    if (!isDown) {
      const sum = first * factor + rest;
      return verdict(`Back\n${joinLines(first, rest, factor)}\n${sum}, was ${total}`, sum === total);
    }
    const back = asMixed(Math.floor(first / factor), first % factor);
    return verdict(`Back\n${overLines(first, factor)}\n${back}, was ${mixed}`, back === mixed);
  };
  return {
    key: `${isDown ? 'down' : 'up'} ${mixed}`,
    ...wordings(
      isDown
        ? [
            `How many ${small} are ${mixed}?`,
            `Convert ${mixed} to ${small}.`,
            `${mixed} in ${small}?`,
            `Express ${mixed} in ${small}.`,
            `${mixed} = ? ${small}`,
            `What is ${mixed} in ${small} alone?`,
            `Change ${mixed} into ${small}.`,
            `Write ${mixed} in ${small} only.`,
          ]
        : [
            `Write ${total} ${small} in ${large} and ${small}.`,
            `Convert ${total} ${small} to ${large} and ${small}.`,
            `How many ${large} and ${small} are ${total} ${small}?`,
            `Express ${total} ${small} in ${large} and ${small}.`,
            `${total} ${small} in ${large} and ${small}?`,
            `What is ${total} ${small} in ${large} and ${small}?`,
            `Change ${total} ${small} into ${large} and ${small}.`,
            `Split ${total} ${small} into ${large} and ${small}.`,
          ],
    ),
    solutions: threeLevels(
      final,
      [...attempt(null).pieces],
      fitting((slip) => repaired(attempt, check, slip), slipOf(draw)),
    ),
    tool: {
      ...(isDown ? { expression: `${a} * ${factor} + ${b}` } : {}),
      code: isDown ? `print(${a} * ${factor} + ${b})` : `print(${total} // ${factor}, ${total} % ${factor})`,
      result: isDown ? String(total) : `${a} ${b}`,
    },
    verify: (said) => {
      if (isDown) return saysNumber(said, total, [a, b]);
      const numbers = numbersIn(said);
      return numbers.at(-2) === a && saysNumber(said, b, [a, total]);
    },
  };
});

/** Large and small ones as small ones: digits side by side for powers of ten, otherwise product and sum. */
function joinLines(a: number, b: number, factor: number): string {
  const places = String(factor).length - 1;
  const padded = String(b).padStart(places, '0');
  if (isPowerOfTen(factor)) return `${padded.length} digits: ${padded}\n${a}|${padded}`;
  const product = a * factor;
  const line = `${a}*${factor}=${product}`;
  const lines = timesLines(a, factor);
  const { pieces } = written(product, '+', b);
  const sum = textOf(pieces.length > 2 ? pieces.slice(0, -1) : pieces);
  return `${lines}\n${lines.endsWith(line) ? '' : `${line}\n`}${sum}`;
}

const dollars = (cents: number): string => `$${Math.floor(cents / 100)}.${String(cents % 100).padStart(2, '0')}`;

export const moneyChange = family(
  'money-change',
  (draw) => {
    const { random, size, heldOut } = draw;
    const paid = random.pick(
      [
        [500, 1000],
        [1000, 2000],
        [2000, 5000],
        [5000, 10000],
        [10000, 20000],
      ][size - 1]!,
    );
    const price = random.int(5, paid - 1);
    const change = paid - price;
    const what = random.pick(part(things, heldOut));
    const who = random.pick(part(names, heldOut));
    const width = String(paid).length;
    const point = (cents: number): string =>
      dollars(cents)
        .slice(1)
        .padStart(width + 1, '0');
    // Medium counts up: to the next whole dollar, then dollars.
    const next = Math.ceil(price / 100);
    const up = `To $${next}: ${next * 100 - price} cents\n$${next} to $${paid / 100}: ${paid / 100 - next}`;
    const attempt = (slip: Random | null): Attempt<number> => {
      const { pieces, result } = subtractColumns(paid, price, false, slip);
      const head = { text: `${point(paid)} - ${point(price)}\n` };
      const end = { text: `= ${point(result)}\n${dollars(result)}` };
      return { pieces: [head, ...pieces.slice(1, -1), end], result };
    };
    const check = (found: number): Check => {
      const isRight = found + price === paid;
      const { pieces } = addColumns(Number(`1${point(found).replace('.', '')}`), price, false);
      const sum = `${point(found + price)}, was ${point(paid)}`;
      const head = { text: `Back: ${point(found)} + ${point(price)}\n` };
      return { pieces: [head, ...pieces.slice(1, 1 + 3 * width), ...verdict(sum, isRight).pieces], isRight };
    };
    return {
      key: `${paid} ${price}`,
      ...wordings([
        `${who} pays ${dollars(price)} with ${dollars(paid)}. How much change does ${who} get?`,
        `I buy ${what} for ${dollars(price)} and give ${dollars(paid)}. What is my change?`,
        `What is the change from ${dollars(paid)} for ${dollars(price)}?`,
        `${who} has ${dollars(paid)} and spends ${dollars(price)}. How much is left?`,
        `${dollars(paid)} - ${dollars(price)}: how much change is that?`,
        `A bill of ${dollars(price)} is paid with ${dollars(paid)}. What change is due?`,
        `The bill is ${dollars(price)} and ${who} hands over ${dollars(paid)}. What does ${who} get back?`,
        `The ${what} cost ${dollars(price)}. How much is left of ${dollars(paid)}?`,
      ]),
      solutions: threeLevels(
        `The change is ${dollars(change)}.`,
        [{ text: up }],
        repaired(attempt, check, slipOf(draw)),
      ),
      tool: {
        code: `print(f"{(${paid} - ${price}) / 100:.2f}")`,
        result: dollars(change).slice(1),
      },
      verify: (said) => saysNumber(said, change / 100, [paid / 100, price / 100]),
    };
  },
  { tools: ['python'] },
);
