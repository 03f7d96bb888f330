// Family 10: binary numbers, Roman numerals, and operations on bits. Medium goes digit by digit; high writes place values
// and goes the other way to see whether it ends where it began.

import { type Draw, type Family, type Item, type Piece, threeLevels, wordings } from './item.ts';
import type { Random } from './random.ts';
import { type Attempt, type Check, repaired, slipOf, verdict, wrongNumber } from './repair.ts';
import { numbersIn, saysNumber } from './verify.ts';
import { fitting } from './written.ts';

function family(name: string, draw: (draw: Draw) => Item): Family {
  return { name, suite: 10, sizes: 4, tools: ['python'], draw };
}

const BITS = [3, 4, 6, 8, 10];

function drawBits({ random, size }: Draw): number {
  const bits = BITS[size - 1]!;
  return random.int(bits === 3 ? 2 : 2 ** (BITS[size - 2]! - 1), 2 ** bits - 1);
}

const spaced = (text: string): string => [...text].join(' ');

/** Bits from the left, doubling: each line is what was so far, twice, and the bit. */
function doubling(binary: string, slip: Random | null): Attempt<number> {
  const slipAt = slip === null ? -1 : slip.int(1, binary.length - 1);
  const pieces: Piece[] = [{ text: binary[0]! }];
  let at = Number(binary[0]);
  for (let i = 1; i < binary.length; i++) {
    const right = at * 2 + Number(binary[i]);
    const written = i === slipAt ? wrongNumber(right, slip!) : right;
    pieces.push({ text: `\n${at}*2+${binary[i]}=` }, { text: String(written), isSlip: written !== right });
    at = written;
  }
  return { pieces, result: at };
}

/** Halving: rests from the last to the first are the bits. */
function halving(n: number, slip: Random | null): Attempt<string> {
  const pieces: Piece[] = [];
  const bits: string[] = [];
  const steps = Math.max(1, n.toString(2).length);
  const slipAt = slip === null ? -1 : slip.int(0, steps - 1);
  let at = n;
  for (let i = 0; i < steps; i++) {
    const right = at % 2;
    const written = i === slipAt ? 1 - right : right;
    pieces.push({ text: `${i === 0 ? '' : '\n'}${at}/2=${Math.floor(at / 2)} rest ` });
    pieces.push({ text: String(written), isSlip: written !== right });
    bits.unshift(String(written));
    at = Math.floor(at / 2);
  }
  const result = bits.join('');
  pieces.push({ text: `\nRests upwards: ${spaced(result)}\nBinary: ${result}` });
  return { pieces, result };
}

export const fromBinary = family('from-binary', (draw) => {
  const n = drawBits(draw);
  const binary = n.toString(2);
  const places = [...binary].map((bit, i) => ({ bit, value: 2 ** (binary.length - 1 - i) }));
  const attempt = (slip: Random | null): Attempt<number> => {
    const { pieces, result } = doubling(binary, slip);
    const lines = places.map(({ bit, value }) => `${bit} is ${value}`).join('\n');
    return { pieces: [{ text: `Bits ${spaced(binary)}\n${lines}\nDoubling\n` }, ...pieces], result };
  };
  const check = (found: number): Check => {
    const back = halving(found, null);
    const isRight = back.result === binary;
    const lines = back.pieces.slice(0, -1);
    const end = `\nBits ${spaced(back.result)}, ${isRight ? 'the same, correct.' : `not ${spaced(binary)}: wrong.`}`;
    return { pieces: [{ text: 'Back\n' }, ...lines, { text: end }], isRight };
  };
  return {
    key: binary,
    ...wordings([
      `What is binary ${binary} in decimal?`,
      `Convert ${binary} from binary to decimal.`,
      `Which decimal number is 0b${binary}?`,
      `${binary} in base 2 is which number?`,
      `Read ${binary} as a binary number.`,
    ]),
    solutions: threeLevels(
      `Binary ${binary} is ${n}.`,
      [...doubling(binary, null).pieces],
      repaired(attempt, check, slipOf(draw)),
    ),
    tool: { code: `print(int("${binary}", 2))`, result: String(n) },
    verify: (said) => saysNumber(said, n, [Number(binary), 2]),
  };
});

export const toBinary = family('to-binary', (draw) => {
  const n = drawBits(draw);
  const binary = n.toString(2);
  const brief: string[] = [];
  for (let at = n; at > 0; at = Math.floor(at / 2)) brief.push(`${at} ${at % 2}`);
  const check = (found: string): Check => {
    const { pieces, result } = doubling(found, null);
    const isRight = result === n;
    return {
      pieces: [{ text: 'Back\n' }, ...pieces, ...verdict(`\n${result}, was ${n}`, isRight).pieces],
      isRight,
    };
  };
  return {
    key: String(n),
    ...wordings([
      `What is ${n} in binary?`,
      `Convert ${n} to binary.`,
      `Write ${n} in base 2.`,
      `Which bits make ${n}?`,
      `Give the binary form of ${n}.`,
    ]),
    solutions: threeLevels(
      `${n} in binary is ${binary}.`,
      [`${brief.join('\n')}\n${spaced(binary)}`],
      repaired((slip) => halving(n, slip), check, slipOf(draw)),
    ),
    tool: { code: `print(f"{${n}:b}")`, result: binary },
    verify: (said) => {
      const found = (said.match(/\d+/g) ?? []).filter((number) => number !== String(n) || number === binary);
      return found.at(-1) === binary && found.every((number) => number === binary || number === '2');
    },
  };
});

const ROMAN = [
  [1000, 'M'],
  [900, 'CM'],
  [500, 'D'],
  [400, 'CD'],
  [100, 'C'],
  [90, 'XC'],
  [50, 'L'],
  [40, 'XL'],
  [10, 'X'],
  [9, 'IX'],
  [5, 'V'],
  [4, 'IV'],
  [1, 'I'],
] as const;

function romanParts(n: number): (readonly [number, string])[] {
  const parts: (readonly [number, string])[] = [];
  for (let at = n; at > 0; ) {
    const next = ROMAN.find(([value]) => value <= at)!;
    parts.push(next);
    at -= next[0];
  }
  return parts;
}

const roman = (n: number): string =>
  romanParts(n)
    .map(([, letters]) => letters)
    .join('');
const letterValue = Object.fromEntries(ROMAN.map(([value, letters]) => [letters, value]));

const drawRoman = ({ random, size }: Draw): number =>
  random.int([2, 10, 40, 100, 1000][size - 1]!, [12, 49, 120, 400, 2100][size - 1]!);

/** Takes the largest sign that fits, again and again; the numeral grows with each. */
function toSigns(n: number, slip: Random | null): Attempt<string> {
  const parts = romanParts(n);
  const slipAt = slip === null ? -1 : slip.int(0, parts.length - 1);
  const pieces: Piece[] = [];
  let [at, result] = [n, ''];
  for (const [i, [value, letters]] of parts.entries()) {
    const written = i === slipAt ? slip!.pick(ROMAN.filter(([, other]) => other !== letters))[1] : letters;
    pieces.push(
      { text: `${i === 0 ? '' : '\n'}${at}-${value}=${at - value}, ` },
      { text: written, isSlip: written !== letters },
      { text: `: ${result}${written}` },
    );
    at -= value;
    result += written;
  }
  return { pieces, result };
}

/** Sign by sign from the left; a smaller one before a larger one is subtracted. */
function fromSigns(text: string, slip: Random | null): Attempt<number> {
  const letters = [...text];
  const slipAt = slip === null ? -1 : slip.int(0, letters.length - 1);
  const pieces: Piece[] = [];
  let at = 0;
  for (const [i, letter] of letters.entries()) {
    const value = letterValue[letter]!;
    const isLess = i + 1 < letters.length && value < letterValue[letters[i + 1]!]!;
    const right = isLess ? at - value : at + value;
    const written = i === slipAt ? wrongNumber(Math.max(0, right), slip!) : right;
    pieces.push({
      text: `${i === 0 ? '' : '\n'}${letter} ${value}${isLess ? `, before ${letters[i + 1]}` : ''}: ${at}${isLess ? '-' : '+'}${value}=`,
    });
    pieces.push({ text: String(written), isSlip: written !== right });
    at = written;
  }
  return { pieces, result: at };
}

export const toRoman = family('to-roman', (draw) => {
  const n = drawRoman(draw);
  const text = roman(n);
  const check = (found: string): Check => {
    const { pieces, result } = fromSigns(found, null);
    const isRight = result === n;
    return {
      pieces: [{ text: 'Back\n' }, ...pieces, ...verdict(`\n${result}, was ${n}`, isRight).pieces],
      isRight,
    };
  };
  return {
    key: String(n),
    ...wordings([
      `What is ${n} in Roman numerals?`,
      `Write ${n} as a Roman numeral.`,
      `Convert ${n} to Roman numerals.`,
      `How did the Romans write ${n}?`,
    ]),
    solutions: threeLevels(
      `${n} is ${text}.`,
      [...toSigns(n, null).pieces],
      fitting((wrong) => repaired((slip) => toSigns(n, slip), check, wrong), slipOf(draw)),
    ),
    tool: {
      code: `n, r = ${n}, ""\nfor v, s in [(1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"), (40, "XL"), (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I")]:\n    r, n = r + s * (n // v), n % v\nprint(r)`,
      result: text,
    },
    verify: (said) => {
      const found = said.match(/\b[IVXLCDM]+\b/g) ?? [];
      return found.length === 1 && found[0] === text && numbersIn(said).every((number) => number === n);
    },
  };
});

export const fromRoman = family('from-roman', (draw) => {
  const n = drawRoman(draw);
  const text = roman(n);
  const check = (found: number): Check => {
    if (found <= 0 || found > 3999) return verdict(`Back: ${found} has no Roman numeral`, false);
    const { pieces, result } = toSigns(found, null);
    const isRight = result === text;
    return {
      pieces: [{ text: 'Back\n' }, ...pieces, ...verdict(`\n${result}, was ${text}`, isRight).pieces],
      isRight,
    };
  };
  return {
    key: String(n),
    ...wordings([
      `What number is ${text}?`,
      `What is the Roman numeral ${text} in decimal?`,
      `Convert ${text} to a number.`,
      `Read the Roman numeral ${text}.`,
    ]),
    solutions: threeLevels(
      `${text} is ${n}.`,
      [{ text: `Signs ${spaced(text)}\n` }, ...fromSigns(text, null).pieces],
      [
        { text: `Signs ${spaced(text)}\n` },
        ...fitting((wrong) => repaired((slip) => fromSigns(text, slip), check, wrong), slipOf(draw)),
      ],
    ),
    tool: {
      code: `v = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}\nd = [v[c] for c in "${text}"]\nprint(sum(-a if a < b else a for a, b in zip(d, d[1:] + [0])))`,
      result: String(n),
    },
    verify: (said) => saysNumber(said, n),
  };
});

export const bitwise = family('bitwise', (draw) => {
  const { random, size } = draw;
  const width = [3, 4, 5, 6, 8][size - 1]!;
  const [x, y] = [random.int(1, 2 ** width - 1), random.int(1, 2 ** width - 1)];
  const name = random.pick(['AND', 'OR', 'XOR'] as const);
  const value = name === 'AND' ? x & y : name === 'OR' ? x | y : x ^ y;
  const bits = (n: number): string => n.toString(2).padStart(width, '0');
  const [a, b, result] = [bits(x), bits(y), bits(value)];
  const sign = { AND: '&', OR: '|', XOR: '^' }[name];
  const columns = (isFull: boolean, slip: Random | null): Attempt<string> => {
    const slipAt = slip === null ? -1 : slip.int(0, width - 1);
    const pieces: Piece[] = isFull ? [{ text: `${name} of ${spaced(a)} and ${spaced(b)}\n` }] : [];
    let found = '';
    for (let i = 0; i < width; i++) {
      const written = i === slipAt ? String(1 - Number(result[i])) : result[i]!;
      pieces.push(
        { text: `${i === 0 ? '' : '\n'}${isFull ? `${i + 1}: ` : ''}${a[i]} ${b[i]} ` },
        { text: written, isSlip: written !== result[i] },
      );
      found += written;
    }
    if (isFull) pieces.push({ text: `\nTogether ${found}` });
    return { pieces, result: found };
  };
  // Bit by bit again, by the rule in words, up to the first that differs.
  const check = (found: string): Check => {
    const rule = { AND: 'both 1', OR: 'at least one 1', XOR: 'exactly one 1' }[name];
    const lines: string[] = [];
    let isRight = true;
    for (let i = 0; i < width && isRight; i++) {
      isRight = found[i] === result[i];
      lines.push(`${i + 1}: ${a[i]} ${b[i]} ${result[i] === '1' ? 'yes' : 'no'}, ${found[i]}`);
    }
    return verdict(`Found ${spaced(found)}, ${rule}\n${lines.join('\n')}`, isRight);
  };
  return {
    key: `${name} ${[a, b].sort().join(' ')}`,
    ...wordings([
      `What is ${a} ${name} ${b}?`,
      `Compute the bitwise ${name} of ${a} and ${b}.`,
      `${a} ${name} ${b} = ?`,
      `Apply ${name} to the bits ${a} and ${b}.`,
    ]),
    solutions: threeLevels(
      `${a} ${name} ${b} = ${result}.`,
      [...columns(false, null).pieces],
      repaired((slip) => columns(true, slip), check, slipOf(draw)),
    ),
    tool: { code: `print(f"{0b${a} ${sign} 0b${b}:0${width}b}")`, result },
    verify: (said) => {
      const found = said.match(/\b[01]+\b/g) ?? [];
      return found.at(-1) === result && found.every((other) => [a, b, result].includes(other));
    },
  };
});
