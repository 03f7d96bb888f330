// Family 7: lengths, weights, volumes and times in other units; money in coins, and change. Medium writes the factor and
// one operation; high writes the factor both ways and converts back.

import { divideDigits, subtractColumns } from './columns.ts';
import { type Draw, type Family, type Item, type Piece, threeLevels, wordings } from './item.ts';
import type { Random } from './random.ts';
import { type Attempt, type Check, repaired, slipOf, verdict, wrongNumber } from './repair.ts';
import { numbersIn, saysNumber } from './verify.ts';
import { names, part, things } from './words.ts';

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
  const attempt = (slip: Random | null): Attempt<number> => {
    const written =
      slip === null ? result : slip.chance(0.4) && factor % 10 === 0 ? result * 10 : wrongNumber(result, slip);
    const pieces: Piece[] = [
      {
        text: `From ${from} to ${to}\n1 ${large} = ${factor} ${small}\nTo the ${isDown ? 'smaller' : 'larger'} unit: ${sign} ${factor}\n`,
      },
      ...(isDown ? partsOf(value, factor) : longDivision(value, factor)),
      { text: `${value}${sign}${factor}=` },
      { text: String(written), isSlip: written !== result },
    ];
    return { pieces, result: written };
  };
  const check = (found: number): Check => {
    const back = isDown ? Math.floor(found / factor) : found * factor;
    const rest = isDown ? found % factor : 0;
    const isRight = back === value && rest === 0;
    const way = isDown ? `${found}/${factor}=${back} rest ${rest}` : `${found}*${factor}=${back}`;
    return verdict(
      `Back: from ${to} to ${from}\n${way}\n${back} ${from} is ${isRight ? '' : 'not '}${value} ${from}`,
      isRight,
    );
  };
  return {
    key: `${value} ${from} ${to}`,
    ...wordings([
      `Convert ${value} ${from} to ${to}.`,
      `How many ${to} are ${value} ${from}?`,
      `${value} ${from} in ${to}?`,
      `What is ${value} ${from} in ${to}?`,
      `How much is ${value} ${from} when written in ${to}?`,
    ]),
    solutions: threeLevels(
      `${value} ${from} = ${result} ${to}.`,
      [`1 ${large} = ${factor} ${small}\n${value}${sign}${factor}=${result}`],
      repaired(attempt, check, slipOf(draw)),
    ),
    tool: {
      expression: `${value} ${sign} ${factor}`,
      code: `print(${value} ${isDown ? '*' : '//'} ${factor})`,
      result: String(result),
    },
    verify: (said) => saysNumber(said, result, [value, factor]),
  };
});

/** Tens and ones apart, where the factor is not a power of ten. */
function partsOf(value: number, factor: number): Piece[] {
  if (value < 10 || factor % 10 === 0) return [];
  const [tens, ones] = [value - (value % 10), value % 10];
  return [{ text: `${tens}*${factor}=${tens * factor}, ${ones}*${factor}=${ones * factor}\n` }];
}

function longDivision(value: number, factor: number): Piece[] {
  if (factor % 10 === 0 && factor !== 60) return [];
  const [n, by] = factor === 60 ? [value / 10, 6] : [value, factor];
  return [{ text: `${by === factor ? '' : `${n}/${by}\n`}${divideDigits(n, by).lines}\n` }];
}

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
  const mixed = `${a} ${large} ${b} ${small}`;
  const final = isDown ? `${mixed} = ${total} ${small}.` : `${total} ${small} = ${mixed}.`;
  const attempt = (slip: Random | null): Attempt<readonly [number, number]> => {
    const head = { text: `1 ${large} = ${factor} ${small}\n` };
    if (isDown) {
      const written = slip === null ? total : wrongNumber(total, slip);
      const pieces: Piece[] = [
        { ...head, text: `${head.text}${a} ${large}: ${a}*${factor}=${a * factor}\n${a * factor}+${b}=` },
        { text: String(written), isSlip: written !== total },
      ];
      return { pieces, result: [written, 0] };
    }
    const rest = slip === null ? b : wrongNumber(b, slip) % factor;
    const pieces: Piece[] = [
      {
        ...head,
        text: `${head.text}${factor % 100 === 0 ? '' : `${divideDigits(total, factor).lines}\n`}${total}: ${a}*${factor}=${a * factor}\n${total}-${a * factor}=`,
      },
      { text: String(rest), isSlip: rest !== b },
    ];
    return { pieces, result: [a, rest] };
  };
  const check = (found: readonly [number, number]): Check => {
    if (isDown) {
      const [whole, rest] = [Math.floor(found[0] / factor), found[0] % factor];
      const isRight = whole === a && rest === b;
      return verdict(
        `Back: ${whole}*${factor}=${whole * factor}, ${found[0]}-${whole * factor}=${rest}\n${whole} ${large} ${rest} ${small} is ${isRight ? '' : 'not '}${mixed}`,
        isRight,
      );
    }
    const sum = found[0] * factor + found[1];
    const isRight = sum === total;
    return verdict(
      `Back: ${found[0]}*${factor}=${found[0] * factor}, +${found[1]}=${sum}\n${sum} is ${isRight ? '' : 'not '}${total}`,
      isRight,
    );
  };
  return {
    key: `${isDown ? 'down' : 'up'} ${mixed}`,
    ...wordings(
      isDown
        ? [
            `How many ${small} are ${mixed}?`,
            `Convert ${mixed} to ${small}.`,
            `${mixed} in ${small}?`,
            `Write ${mixed} in ${small} only.`,
          ]
        : [
            `Write ${total} ${small} in ${large} and ${small}.`,
            `Convert ${total} ${small} to ${large} and ${small}.`,
            `How many ${large} and ${small} are ${total} ${small}?`,
            `Split ${total} ${small} into ${large} and ${small}.`,
          ],
    ),
    solutions: threeLevels(
      final,
      [
        isDown
          ? `${a}*${factor}=${a * factor}\n${a * factor}+${b}=${total}`
          : `${a}*${factor}=${a * factor}\n${total}-${a * factor}=${b}`,
      ],
      repaired(attempt, check, slipOf(draw)),
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
    const attempt = (slip: Random | null): Attempt<number> => {
      const columns = subtractColumns(paid, price, false, slip);
      const pieces: Piece[] = [
        { text: `In cents: ${paid} and ${price}\n` },
        ...columns.pieces,
        { text: `\n${columns.result} cents = ${dollars(columns.result)}` },
      ];
      return { pieces, result: columns.result };
    };
    const check = (found: number): Check => {
      const isRight = found + price === paid;
      return verdict(
        `Back: ${dollars(found)} + ${dollars(price)} = ${dollars(found + price)}\nPaid: ${dollars(paid)}`,
        isRight,
      );
    };
    // Up to the next dollar, then whole dollars.
    const up = (100 - (price % 100)) % 100;
    const next = Math.ceil(price / 100);
    return {
      key: `${paid} ${price}`,
      ...wordings([
        `${who} pays ${dollars(price)} with ${dollars(paid)}. How much change does ${who} get?`,
        `I buy ${what} for ${dollars(price)} and give ${dollars(paid)}. What is my change?`,
        `What is the change from ${dollars(paid)} for ${dollars(price)}?`,
        `The ${what} cost ${dollars(price)}. How much is left of ${dollars(paid)}?`,
      ]),
      solutions: threeLevels(
        `The change is ${dollars(change)}.`,
        [`To $${next}: ${up} cents\n$${next} to $${paid / 100}: ${paid / 100 - next}`],
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
