// Family 3: division with and without a rest, remainders, the greatest common divisor, powers modulo a number, primes.
// Medium writes the short algorithm; high writes every product and difference, and multiplies back.

import { addColumns, divideDigits, multiplyColumns } from './columns.ts';
import { type Draw, type Family, type Item, type Piece, threeLevels, wordings } from './item.ts';
import type { Random } from './random.ts';
import { type Attempt, type Check, repaired, slipOf, verdict, wrongNumber } from './repair.ts';
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

/** One line for each digit: how often, how much that is, what is left. */
function longDivision(n: number, divisor: number, slip: Random | null): Attempt<[number, number]> {
  const digits = [...String(n)].map(Number);
  const slipAt = slip === null ? -1 : slip.int(0, digits.length - 1);
  const pieces: Piece[] = [];
  let [rest, quotient] = [0, ''];
  for (const [i, digit] of digits.entries()) {
    const value = rest * 10 + digit;
    const part = Math.floor(value / divisor);
    const product = part * divisor;
    const right = value - product;
    // A slip leaves another rest; it stays below the divisor, so that the next line can go on from it.
    rest = i === slipAt ? (right + slip!.int(1, divisor - 1)) % divisor : right;
    pieces.push({ text: `${i === 0 ? '' : '\n'}${value}: ${divisor}*${part}=${product}, ${value}-${product}=` });
    pieces.push({ text: String(rest), isSlip: rest !== right });
    quotient += part;
  }
  pieces.push({ text: `\nResult: ${Number(quotient)} rest ${rest}` });
  return { pieces, result: [Number(quotient), rest] };
}

/** Quotient times divisor, and the rest, have to give the dividend. */
function multiplyBack(n: number, divisor: number, [quotient, rest]: readonly [number, number]): Check {
  const product = quotient * divisor;
  const columns = divisor < 10 ? multiplyColumns(quotient, divisor).pieces : multiplyParts(quotient, divisor);
  const sum = rest === 0 ? [] : [{ text: `${product}+${rest}=${product + rest}\n` }];
  const isRight = product + rest === n;
  const end = isRight ? `${n} = ${n}, correct.` : `${product + rest} is not ${n}: wrong.`;
  return {
    pieces: [{ text: `Check ${quotient}*${divisor}\n` }, ...columns, ...sum, { text: end }],
    isRight,
  };
}

function multiplyParts(quotient: number, divisor: number): Piece[] {
  const [tens, ones] = [Math.floor(divisor / 10), divisor % 10];
  const [a, b] = [quotient * tens * 10, quotient * ones];
  const sum = addColumns(Math.max(a, b), Math.min(a, b), false);
  return [{ text: `${quotient}*${tens}0=${a}\n${quotient}*${ones}=${b}\n` }, ...sum.pieces, { text: '\n' }];
}

export const division = family('division', (draw) => {
  const { random, size } = draw;
  const [length, least, most] = DIVISIONS[size - 1]!;
  const divisor = random.int(least, most);
  const drawn = Math.max(random.digits(length), divisor);
  const kind = random.pick(['exact', 'rest', 'mod'] as const);
  const n = kind === 'exact' ? drawn - (drawn % divisor) : drawn;
  const [quotient, rest] = [Math.floor(n / divisor), n % divisor];
  const { lines } = divideDigits(n, divisor);
  const asked = {
    exact: [`What is ${n} / ${divisor}?`, `Divide ${n} by ${divisor}.`, `${n} / ${divisor} = ?`, `${n} ÷ ${divisor}`],
    rest: [
      `What is ${n} divided by ${divisor}, with remainder?`,
      `Divide ${n} by ${divisor} and give the remainder.`,
      `How often does ${divisor} go into ${n}, and what is left?`,
      `${n} divided by ${divisor}: quotient and remainder?`,
    ],
    mod: [
      `What is ${n} mod ${divisor}?`,
      `What is the remainder of ${n} divided by ${divisor}?`,
      `${n} % ${divisor}`,
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
      [`${lines}\nResult: ${quotient} rest ${rest}`],
      repaired<[number, number]>(
        (slip) => longDivision(n, divisor, slip),
        (found) => multiplyBack(n, divisor, found),
        slipOf(draw),
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

const LARGEST = [40, 100, 200, 400, 900];

export const commonDivisor = family(
  'common-divisor',
  (draw) => {
    const { random, size } = draw;
    const shared = random.int(1, 3 + 3 * size);
    const most = Math.max(2, Math.floor(LARGEST[size - 1]! / shared));
    const [a, b] = [shared * random.int(1, most), shared * random.int(1, most)];
    const divisor = gcd(a, b);
    const [large, small] = [Math.max(a, b), Math.min(a, b)];
    const euclid = (slip: Random | null): Attempt<number> => {
      const pieces: Piece[] = [];
      let [x, y] = [large, small];
      while (y > 0) {
        const times = Math.floor(x / y);
        pieces.push({ text: `${x} = ${times}*${y} + ${x % y}, as ${times}*${y}=${times * y}\n` });
        [x, y] = [y, x % y];
      }
      const wrong = slip === null ? x : wrongNumber(x, slip);
      pieces.push({ text: 'Last one: ' }, { text: String(wrong), isSlip: wrong !== x });
      return { pieces, result: Math.max(1, wrong) };
    };
    const brief: string[] = [];
    for (let [x, y] = [large, small]; y > 0; [x, y] = [y, x % y]) brief.push(`${x}%${y}=${x % y}`);
    const check = (found: number): Check => {
      const [p, q] = [Math.floor(large / found), Math.floor(small / found)];
      const [restP, restQ] = [large % found, small % found];
      const lines = `Check ${large}/${found}=${p} rest ${restP}, ${small}/${found}=${q} rest ${restQ}`;
      if (restP > 0 || restQ > 0) return verdict(lines, false);
      const left = gcd(p, q);
      return verdict(`${lines}, ${p} and ${q} share ${left}`, left === 1);
    };
    return {
      key: `${small} ${large}`,
      ...wordings([
        `What is the greatest common divisor of ${a} and ${b}?`,
        `gcd(${a}, ${b})`,
        `Find the gcd of ${a} and ${b}.`,
        `What is the largest number that divides both ${a} and ${b}?`,
        `Which number is the greatest common factor of ${a} and ${b}?`,
      ]),
      solutions: threeLevels(
        `The greatest common divisor of ${a} and ${b} is ${divisor}.`,
        [`${brief.join('\n')}\nSo ${divisor}`],
        repaired(euclid, check, slipOf(draw)),
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

export const powerModulo = family('power-modulo', (draw) => {
  const { random, size } = draw;
  const modulus = random.int(3, 6 + 3 * size);
  const base = random.int(2, 3 + 2 * size);
  const exponent = random.int(2, 2 + size);
  let result = base % modulus;
  const brief: string[] = [`${base}%${modulus}=${result}`];
  const values = [result];
  for (let i = 1; i < exponent; i++) {
    const product = result * (base % modulus);
    brief.push(`${result}*${base % modulus}=${product}, ${product}%${modulus}=${product % modulus}`);
    values.push((result = product % modulus));
  }
  const attempt = (slip: Random | null): Attempt<number> => {
    const pieces: Piece[] = [{ text: `Power 1: ${base} = ${Math.floor(base / modulus)}*${modulus} + ${values[0]}` }];
    let at = values[0]!;
    const slipAt = slip === null ? -1 : slip.int(1, exponent - 1);
    for (let i = 1; i < exponent; i++) {
      const product = at * values[0]!;
      const rest = product % modulus;
      const isSlip = i === slipAt;
      const written = isSlip ? (rest + slip!.int(1, modulus - 1)) % modulus : rest;
      pieces.push({
        text: `\nPower ${i + 1}: ${at}*${values[0]}=${product} = ${Math.floor(product / modulus)}*${modulus} + `,
      });
      pieces.push({ text: String(written), isSlip });
      at = written;
    }
    return { pieces, result: at };
  };
  // By another way: without reducing before the end, where the numbers stay small, else from two halves.
  const half = Math.floor(exponent / 2);
  const check = (found: number): Check => {
    const [p, q] = [base ** half % modulus, base ** (exponent - half) % modulus];
    const text = `Check ${base}^${half}=${base ** half}, %${modulus}=${p}\n${base}^${exponent - half}=${base ** (exponent - half)}, %${modulus}=${q}\n${p}*${q}=${p * q}, %${modulus}=${(p * q) % modulus}`;
    const isRight = found === (p * q) % modulus;
    return verdict(isRight ? text : `${text}, not ${found}`, isRight);
  };
  return {
    key: `${base} ${exponent} ${modulus}`,
    ...wordings([
      `What is ${base}^${exponent} mod ${modulus}?`,
      `Calculate ${base}^${exponent} modulo ${modulus}.`,
      `${base} to the power of ${exponent}, modulo ${modulus}?`,
      `What is the remainder of ${base}^${exponent} divided by ${modulus}?`,
      `What is left when ${base}^${exponent} is divided by ${modulus}?`,
    ]),
    solutions: threeLevels(
      `${base}^${exponent} mod ${modulus} = ${result}.`,
      [brief.join('\n')],
      repaired(attempt, check, slipOf(draw)),
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

export const primality = family(
  'primality',
  ({ random, size }) => {
    const most = [30, 60, 120, 200, 400][size - 1]!;
    // About half are primes, and few of the others are even.
    let n = random.int(2, most);
    const wanted = random.chance(0.5);
    for (let tries = 0; tries < 200 && (isPrime(n) !== wanted || (n % 2 === 0 && random.chance(0.7))); tries++) {
      n = random.int(2, most);
    }
    const prime = isPrime(n);
    const tested = PRIMES.filter((p) => p * p <= n);
    const upTo = prime ? tested : tested.slice(0, tested.findIndex((p) => n % p === 0) + 1);
    const brief = upTo.map((p) => `${n}%${p}=${n % p}`);
    const full = upTo.map((p) => `${n} = ${Math.floor(n / p)}*${p} + ${n % p}, ${n % p === 0 ? 'divides' : 'no'}`);
    const next = PRIMES[upTo.length] ?? 37;
    const last = upTo.at(-1) ?? 2;
    const reason = prime ? `${next}*${next}=${next * next} > ${n}` : `${last}*${n / last}=${n}`;
    const check = prime
      ? upTo.map((p) => `${Math.floor(n / p)}*${p}=${n - (n % p)}, ${n - (n % p)} is not ${n}`).join('\n')
      : `${n / last}*${last}: ${multiplyColumns(n / last, Math.min(last, 9)).result === n ? `${n} = ${n}` : `${n}`}`;
    return {
      key: String(n),
      ...wordings(
        [
          `Is ${n} a prime number?`,
          `Is ${n} prime?`,
          `Check whether ${n} is prime.`,
          `${n}: prime or not?`,
          `Does ${n} have any divisors besides 1 and itself?`,
        ].slice(0, 4),
      ),
      solutions: threeLevels(
        prime ? `Yes, ${n} is prime.` : `No, ${n} is not prime, as ${last} divides it.`,
        [[...brief, reason].join('\n')],
        [`Test small primes up to ${n}\n${[...full, reason].join('\n')}\nCheck\n${check}\n${reason}, correct.`],
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
