// Family 3: division with and without a rest, remainders, the greatest common divisor, powers modulo a number, primes.
// High works every remainder out by long division, of which each line is a guess, its product and what is left
// (columns.ts), and multiplies back, or looks at what was claimed by another division. Medium is brief: a quotient and
// what is left, a line each; powers and primes are worked out at length by both.

import {
  addColumns,
  type DivisionSlips,
  divideDigits,
  longDivision,
  multiplyColumns,
  quotientDigit,
  repairedIfShort,
} from './columns.ts';
import { type Draw, type Family, type Item, type Piece, threeLevels, wordings } from './item.ts';
import { productPieces } from './products.ts';
import type { Random } from './random.ts';
import { type Attempt, type Check, slipOf, verdict, wrongNumber } from './repair.ts';
import { numbersIn, saysNumber, saysYes } from './verify.ts';

function family(name: string, draw: (draw: Draw) => Item, more: Partial<Family> = {}): Family {
  return { name, suite: 3, sizes: 4, tools: ['calculate', 'python'], draw, ...more };
}

/** Digits of the dividend and range of the divisor by size; the last is one size harder. */
const DIVISIONS = [
  [2, 2, 9],
  [3, 2, 9],
  [4, 2, 9],
  [3, 11, 25],
  [5, 2, 9],
] as const;

/** Some guesses of a quotient's digits are off, so that it is learned what to do then. */
function guessSlips({ random, slips }: Pick<Draw, 'random' | 'slips'>): () => DivisionSlips {
  return () => ({ guess: random.chance(slips) ? random : null });
}

/** A line for each digit of the quotient: `84/7=12 rest 0`. */
function briefDivision(n: number, divisor: number): string {
  const lines: string[] = [];
  let rest = 0;
  for (const digit of String(n)) {
    const value = rest * 10 + Number(digit);
    rest = value % divisor;
    if (value >= divisor || lines.length > 0)
      lines.push(`${value}/${divisor}=${Math.floor(value / divisor)} rest ${rest}`);
  }
  return lines.length === 0 ? `${n}/${divisor}=0 rest ${n}` : lines.join('\n');
}

function divided(
  n: number,
  divisor: number,
  slip: Random | null,
  guesses: () => DivisionSlips,
): Attempt<[number, number]> {
  const lines = divisor > n ? 1 : String(Math.floor(n / divisor)).length;
  const slipAt = slip === null ? -1 : slip.int(0, lines - 1);
  const { pieces, quotient, rest } = longDivision(n, divisor, (line) =>
    slip === null ? guesses() : { rest: line === slipAt ? slip : null },
  );
  return { pieces: [...pieces, { text: `\nResult: ${quotient} rest ${rest}` }], result: [quotient, rest] };
}

/** Quotient times divisor, and the rest, have to give the dividend. */
function multiplyBack(n: number, divisor: number, [quotient, rest]: readonly [number, number]): Check {
  const product = quotient * divisor;
  const [long, short] = quotient > 9 || divisor < 10 ? [quotient, divisor] : [divisor, quotient];
  const sum = rest === 0 ? [] : addColumns(product, rest, false).pieces.slice(0, -1);
  const { pieces, isRight } = verdict(`Back: ${product + rest}, asked: ${n}`, product + rest === n);
  return {
    pieces: [
      { text: `Check ${quotient}*${divisor}+${rest}\n` },
      ...productPieces(long, short, false, null),
      ...newLine,
      ...sum,
      ...pieces,
    ],
    isRight,
  };
}

const newLine: readonly Piece[] = [{ text: '\n' }];

export const division = family('division', (draw) => {
  const { random, size } = draw;
  const [length, least, most] = DIVISIONS[size - 1]!;
  const divisor = random.int(least, most);
  const drawn = Math.max(random.digits(length), divisor);
  const kind = random.pick(['exact', 'rest', 'mod'] as const);
  const n = kind === 'exact' ? drawn - (drawn % divisor) : drawn;
  const [quotient, rest] = [Math.floor(n / divisor), n % divisor];
  const slip = slipOf(draw);
  const guesses = guessSlips(slip === null ? draw : { ...draw, slips: 0 });
  const asked = {
    exact: [
      `What is ${n} / ${divisor}?`,
      `Divide ${n} by ${divisor}.`,
      `${n} / ${divisor} = ?`,
      `Calculate ${n} / ${divisor}.`,
      `How much is ${n} divided by ${divisor}?`,
      `${n}/${divisor}`,
      `How often does ${divisor} go into ${n}?`,
      `${n} ÷ ${divisor}`,
    ],
    rest: [
      `What is ${n} divided by ${divisor}, with remainder?`,
      `Divide ${n} by ${divisor} and give the remainder.`,
      `How often does ${divisor} go into ${n}, and what is left?`,
      `${n} / ${divisor} with remainder`,
      `Calculate ${n} / ${divisor} with the remainder.`,
      `What are the quotient and the remainder of ${n} / ${divisor}?`,
      `${n} divided by ${divisor}: quotient and remainder?`,
    ],
    mod: [
      `What is ${n} mod ${divisor}?`,
      `What is the remainder of ${n} divided by ${divisor}?`,
      `${n} % ${divisor}`,
      `${n} mod ${divisor}`,
      `Find the remainder when ${n} is divided by ${divisor}.`,
      `Calculate ${n} mod ${divisor}.`,
      `What is left when ${n} is divided by ${divisor}?`,
    ],
  }[kind];
  const final = {
    exact: `${n} / ${divisor} = ${quotient}.`,
    rest: `${n} / ${divisor} = ${quotient} remainder ${rest}.`,
    mod: `${n} mod ${divisor} = ${rest}.`,
  }[kind];
  const tool = {
    exact: { expression: `${n} / ${divisor}`, code: `print(${n} // ${divisor})`, result: String(quotient) },
    rest: { code: `print(${n} // ${divisor}, ${n} % ${divisor})`, result: `${quotient} ${rest}` },
    mod: { expression: `${n} % ${divisor}`, code: `print(${n} % ${divisor})`, result: String(rest) },
  }[kind];
  return {
    key: `${kind} ${n} ${divisor}`,
    ...wordings(asked),
    solutions: threeLevels(
      final,
      [{ text: `${briefDivision(n, divisor)}\nResult: ${quotient} rest ${rest}` }],
      repairedIfShort<[number, number]>(
        (withSlip) => divided(n, divisor, withSlip, guesses),
        (found) => multiplyBack(n, divisor, found),
        slip,
      ),
    ),
    tool,
    verify: (said) => {
      if (kind === 'mod') return saysNumber(said, rest, [n, divisor]);
      if (kind === 'exact') return saysNumber(said, quotient, [n, divisor]);
      const numbers = numbersIn(said);
      return numbers.at(-2) === quotient && saysNumber(said, rest, [n, divisor, quotient]);
    },
  };
});

const LARGEST = [30, 60, 90, 150, 250];

/** Two numbers for which Euclid's algorithm is short: few divisions, and no quotient above 9. */
function drawPair({ random, size }: Draw): [number, number] {
  const shared = random.int(1, 3 + 3 * size);
  const most = Math.max(2, Math.floor(LARGEST[size - 1]! / shared));
  let pair: [number, number];
  do pair = [shared * random.int(1, most), shared * random.int(1, most)];
  while (!isShort(Math.max(...pair), Math.min(...pair)) || (pair[0] === pair[1] && random.chance(0.8)));
  return pair;
}

function isShort(large: number, small: number): boolean {
  let [x, y, lines] = [large, small, 0];
  for (; y > 1; [x, y] = [y, x % y], lines++) if (x >= 10 * y) return false;
  return lines <= 3;
}

/** Each line divides by what was left; the last number that left nothing is it. */
function euclid(large: number, small: number, slips: () => DivisionSlips): Piece[] {
  const pieces: Piece[] = [];
  let [x, y] = [large, small];
  for (; y > 1; [x, y] = [y, x % y]) pieces.push(...quotientDigit(x, y, slips()).pieces, ...newLine);
  return [...pieces, { text: y === 0 ? 'Nothing left, so ' : 'Left 1, so ' }];
}

/** How often it goes in and what is left each time: `84: 36*2=72, 84-72=12`. */
function remainders(large: number, small: number): string {
  const lines: string[] = [];
  for (let [x, y] = [large, small]; y > 0; [x, y] = [y, x % y])
    lines.push(`${x}: ${y}*${Math.floor(x / y)}=${x - (x % y)}, ${x}-${x - (x % y)}=${x % y}`);
  return lines.join('\n');
}

/** It has to divide both, and what is left of both then must share nothing. */
function dividesBoth(large: number, small: number, found: number): Check {
  const pieces: Piece[] = [{ text: 'Check ' }];
  const parts: number[] = [];
  for (const n of found === 1 ? [] : [large, small]) {
    const { pieces: lines, quotient, rest } = longDivision(n, found);
    parts.push(quotient);
    pieces.push({ text: `${n}/${found}\n` }, ...lines, ...newLine);
    if (rest > 0) return { pieces: [...pieces, ...verdict(`Rest ${rest}, not 0`, false).pieces], isRight: false };
  }
  const [p, q] = found === 1 ? [large, small] : (parts as [number, number]);
  pieces.push({ text: `${p} and ${q}\n` }, ...euclid(p, q, () => ({})));
  const left = gcd(p, q);
  return { pieces: [...pieces, ...verdict(`they share ${left}`, left === 1).pieces], isRight: left === 1 };
}

export const commonDivisor = family(
  'common-divisor',
  (draw) => {
    const [a, b] = drawPair(draw);
    const divisor = gcd(a, b);
    const [large, small] = [Math.max(a, b), Math.min(a, b)];
    const slip = slipOf(draw);
    const guesses = guessSlips(slip === null ? draw : { ...draw, slips: 0 });
    const attempt = (withSlip: Random | null): Attempt<number> => {
      let result = divisor;
      // A number that does not divide both.
      while (withSlip !== null && (result < 2 || (large % result === 0 && small % result === 0))) {
        result = wrongNumber(divisor + withSlip.int(0, 2), withSlip);
      }
      const steps = euclid(large, small, withSlip === null ? guesses : () => ({}));
      const pieces = [...steps, { text: String(result), isSlip: result !== divisor }];
      return { pieces, result };
    };
    return {
      key: `${small} ${large}`,
      ...wordings([
        `What is the greatest common divisor of ${a} and ${b}?`,
        `gcd(${a}, ${b})`,
        `Find the gcd of ${a} and ${b}.`,
        `What is the largest number that divides both ${a} and ${b}?`,
        `What is the gcd of ${a} and ${b}?`,
        `Greatest common divisor of ${a} and ${b}?`,
        `Calculate gcd(${a}, ${b}).`,
        `What is the greatest common factor of ${a} and ${b}?`,
        `Which number is the greatest common factor of ${a} and ${b}?`,
      ]),
      solutions: threeLevels(
        `The greatest common divisor of ${a} and ${b} is ${divisor}.`,
        [{ text: `${remainders(large, small)}\nSo ${divisor}` }],
        repairedIfShort(attempt, (found) => dividesBoth(large, small, found), slip),
      ),
      tool: { code: `import math; print(math.gcd(${a}, ${b}))`, result: String(divisor) },
      verify: (said) => saysNumber(said, divisor, [a, b]),
    };
  },
  { tools: ['python'] },
);

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}

interface Power {
  /** What was divided, how often the modulus goes into it, what was left. */
  readonly value: number;
  readonly part: number;
  readonly rest: number;
}

/** Each power from the one before: times the base, then what is left of that. */
function powers(
  base: number,
  exponent: number,
  modulus: number,
  slips: (power: number) => DivisionSlips,
): Attempt<Power[]> {
  const pieces: Piece[] = [];
  const result: Power[] = [];
  for (let i = 1, at = 1; i <= exponent; i++) {
    const value = at * base;
    const done = quotientDigit(value, modulus, slips(i));
    pieces.push({ text: i === 1 ? `Power 1: ${base}\n` : `Power ${i}: ${at}*${base}` });
    if (i > 1 && at > 9) pieces.push(...newLine, ...multiplyColumns(at, base).pieces, { text: `${at}*${base}` });
    if (i > 1) pieces.push({ text: `=${value}\n` });
    pieces.push(...done.pieces, ...newLine);
    result.push({ value, part: done.part, rest: done.rest });
    at = done.rest;
  }
  pieces.push({ text: `So ${base}^${exponent} mod ${modulus} = ${result.at(-1)!.rest}` });
  return { pieces, result };
}

/** Every division again, the other way round: up to the first that does not give what was divided. */
function powersBack(modulus: number, found: readonly Power[]): Check {
  const pieces: Piece[] = [{ text: 'Check' }];
  for (const [i, { value, part, rest }] of found.entries()) {
    if (part === 0) continue;
    const product = part * modulus;
    const back = product + rest;
    pieces.push({ text: `\nPower ${i + 1}: ${part}*${modulus}=${product}\n` });
    if (rest > 9) pieces.push(...addColumns(product, rest, false).pieces.slice(0, -1), { text: `= ${back}` });
    else pieces.push({ text: `${product}+${rest}=${back}` });
    if (back !== value) return { pieces: [...pieces, { text: `, was ${value}: wrong.` }], isRight: false };
    pieces.push({ text: `, was ${value}` });
  }
  return { pieces: [...pieces, { text: ', correct.' }], isRight: true };
}

export const powerModulo = family('power-modulo', (draw) => {
  const { random, size } = draw;
  const modulus = random.int(3, 6 + 3 * size);
  const base = random.int(2, Math.min(9, 3 + 2 * size));
  const exponent = random.int(2, modulus > 9 ? 3 : 2 + size);
  const slip = slipOf(draw);
  const guesses = guessSlips(slip === null ? draw : { ...draw, slips: 0 });
  const right = powers(base, exponent, modulus, () => ({}));
  const result = right.result.at(-1)!.rest;
  const attempt = (withSlip: Random | null): Attempt<Power[]> => {
    if (withSlip === null) return powers(base, exponent, modulus, guesses);
    // Where something is divided; if nothing is, nothing can go wrong.
    const divided = right.result.flatMap(({ part }, i) => (part > 0 ? [i + 1] : []));
    const slipAt = withSlip.pick(divided);
    return powers(base, exponent, modulus, (power) => ({ rest: power === slipAt ? withSlip : null }));
  };
  return {
    key: `${base} ${exponent} ${modulus}`,
    ...wordings([
      `What is ${base}^${exponent} mod ${modulus}?`,
      `Calculate ${base}^${exponent} modulo ${modulus}.`,
      `${base} to the power of ${exponent}, modulo ${modulus}?`,
      `What is the remainder of ${base}^${exponent} divided by ${modulus}?`,
      `${base}^${exponent} mod ${modulus}`,
      `Find ${base}^${exponent} mod ${modulus}.`,
      `Compute ${base}^${exponent} % ${modulus}.`,
      `What remains of ${base}^${exponent} modulo ${modulus}?`,
      `What is left when ${base}^${exponent} is divided by ${modulus}?`,
    ]),
    solutions: threeLevels(
      `${base}^${exponent} mod ${modulus} = ${result}.`,
      powers(base, exponent, modulus, guesses).pieces,
      repairedIfShort(attempt, (found) => powersBack(modulus, found), slip),
    ),
    tool: {
      expression: `${base} ** ${exponent} % ${modulus}`,
      code: `print(${base} ** ${exponent} % ${modulus})`,
      result: String(result),
    },
    verify: (said) => saysNumber(said, result, [base, exponent, modulus]),
  };
});

const PRIMES = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31];
const isPrime = (n: number): boolean => n > 1 && PRIMES.every((p) => p * p > n || n % p > 0);

/** What shows whether a prime divides: a rule where there is one. */
function primeTest(n: number, p: number): string {
  const digits = [...String(n)].map(Number);
  if (p === 2 || p === 5) return `${p}: last digit ${n % 10}`;
  if (p === 3) {
    let at = digits[0]!;
    const sums = digits.slice(1).map((digit, i) => `${i === 0 ? at : ''}+${digit}=${(at += digit)}`);
    return `3: ${sums.length === 0 ? n : sums.join(', ')}`;
  }
  if (p === 11 && digits.length === 3) {
    const [x, y, z] = digits as [number, number, number];
    return `11: ${x}+${z}=${x + z}, ${x + z}-${y}=${x + z - y}`;
  }
  return `${p}: ${n}/${p}\n${divideDigits(n, p).lines}`;
}

export const primality = family(
  'primality',
  (draw) => {
    const { random, size } = draw;
    const most = [30, 60, 90, 120, 200][size - 1]!;
    // About half are primes, and few of the others are even.
    let n = random.int(2, most);
    const wanted = random.chance(0.5);
    for (let tries = 0; tries < 200 && (isPrime(n) !== wanted || (n % 2 === 0 && random.chance(0.7))); tries++) {
      n = random.int(2, most);
    }
    const prime = isPrime(n);
    const tested = PRIMES.filter((p) => p * p <= n);
    const next = PRIMES[tested.length]!;
    const plan = `${next}*${next}=${next * next} > ${n}, test ${tested.length === 0 ? 'none' : tested.join(', ')}\n`;
    const divisor = tested.find((p) => n % p === 0) ?? null;
    const says = (found: number | null): string =>
      found === null ? `So ${n} is prime` : `So ${n} is not prime, as ${found} divides it`;
    const attempt = (slip: Random | null): Attempt<number | null> => {
      // A slip says that a prime divides which does not, or that the only one that divides does not.
      const upToFirst = tested.filter((p) => slip !== null && p < (divisor ?? n));
      const wrong = upToFirst.filter((p) => p !== 2 && p !== 5);
      const isOnly =
        divisor !== null && divisor !== 2 && divisor !== 5 && tested.every((p) => p === divisor || n % p > 0);
      const isMissed = slip !== null && isOnly && (wrong.length === 0 || slip.chance(0.5));
      const claimed = isMissed ? null : slip === null || wrong.length === 0 ? divisor : slip.pick(wrong);
      const upTo = tested.slice(0, claimed === null ? tested.length : tested.indexOf(claimed) + 1);
      const pieces: Piece[] = [{ text: plan }];
      for (const p of upTo) {
        const said = p === claimed ? 'divides' : 'no';
        const isSlip = (p === claimed) !== (n % p === 0);
        pieces.push({ text: `${primeTest(n, p)}, ` }, { text: said, isSlip }, ...newLine);
      }
      return { pieces: [...pieces, { text: says(claimed) }], result: claimed };
    };
    return {
      key: String(n),
      ...wordings([
        `Is ${n} a prime number?`,
        `Is ${n} prime?`,
        `Check whether ${n} is prime.`,
        `Is the number ${n} a prime?`,
        `Would you call ${n} a prime number?`,
        `Tell me whether ${n} is a prime number.`,
        `Is it true that ${n} is prime?`,
        `${n}: prime or not?`,
      ]),
      solutions: threeLevels(
        prime ? `Yes, ${n} is prime.` : `No, ${n} is not prime, as ${divisor} divides it.`,
        attempt(null).pieces,
        repairedIfShort(attempt, (found) => primeCheck(n, tested, found), slipOf(draw)),
      ),
      tool: {
        code: `print(all(${n} % d for d in range(2, ${n})))`,
        result: prime ? 'True' : 'False',
      },
      verify: (said) => saysYes(said, prime),
    };
  },
  { isGuessable: true, tools: ['python'] },
);

/** What was claimed, by division: that the divisor leaves nothing, or that each of the primes leaves something. */
function primeCheck(n: number, tested: readonly number[], found: number | null): Check {
  const lines = ['Check'];
  // 2 and 5 are seen at the last digit.
  const others = tested.filter((p) => p !== 2 && p !== 5);
  for (const p of found !== null ? [found] : others.length > 0 ? others : tested) {
    const { lines: division, rest } = divideDigits(n, p);
    lines.push(`${n}/${p}\n${division}`);
    const isWrong = (rest === 0) !== (found === p);
    if (isWrong) return verdict(`${lines.join('\n')}\nrest ${rest}`, false);
    lines.push(`rest ${rest}`);
  }
  if (tested.length === 0) lines.push(`only 1 and ${n} divide it`);
  return verdict(lines.join('\n'), true);
}
