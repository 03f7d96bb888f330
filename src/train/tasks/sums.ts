// Families 1: addition and subtraction, also in Japanese; and comparing two numbers. Medium writes brief columns; high
// writes them in full, checks by the inverse operation (a comparison: the other way round), and does them again when
// the check disagrees.

import { addColumns, subtractColumns, type Worked } from './columns.ts';
import { type Draw, type Family, type Item, type Piece, threeLevels, wordings } from './item.ts';
import type { Random } from './random.ts';
import { slipOf } from './repair.ts';
import { numbersIn, saysNumber, saysYes } from './verify.ts';

/** Columns, check, and again where the check finds a slip. `work(slip)` does the columns once. */
export function workedWithCheck(
  work: (slip: Random | null) => Worked,
  check: (result: number) => { lines: readonly Piece[]; back: number; wanted: number },
  slip: Random | null,
): Piece[] {
  const first = work(slip);
  const tested = check(first.result);
  const line = (back: number, wanted: number): Piece => ({
    text: `\nBack: ${back}, was ${wanted}${back === wanted ? ', correct.' : ': wrong. Again.\n'}`,
  });
  const pieces = [...first.pieces, ...tested.lines, line(tested.back, tested.wanted)];
  if (tested.back === tested.wanted) return pieces;
  const second = work(null);
  const again = check(second.result);
  return [...pieces, ...second.pieces, ...again.lines, line(again.back, again.wanted)];
}

/** Lengths balanced: each operand's length is drawn on its own, one of them is `size`. */
function operands({ random, size }: Draw): [number, number] {
  const long = random.digits(size);
  const other = random.chance(0.5) ? random.digits(size) : random.digits(random.int(1, size));
  return random.chance(0.5) ? [long, other] : [other, long];
}

export function addPieces(a: number, b: number, slip: Random | null): { medium: Piece[]; high: Piece[] } {
  return {
    medium: [...addColumns(a, b, false).pieces],
    high: workedWithCheck(
      (withSlip) => addColumns(a, b, true, withSlip),
      (result) => {
        if (result < b) return { lines: [{ text: `\nCheck: ${result} < ${b}` }], back: result - b, wanted: a };
        const back = subtractColumns(result, b, true);
        return { lines: [{ text: '\nCheck: ' }, ...withoutResult(back)], back: back.result, wanted: a };
      },
      slip,
    ),
  };
}

/** By their lengths, else digit by digit up to the first that differs: `947 951: 9 9 =, 4 5 <`. */
function whichIsLarger(a: number, b: number): string {
  const [x, y] = [String(a), String(b)];
  const sign = a === b ? '=' : a > b ? '>' : '<';
  if (x.length !== y.length) return `${x} ${y}: ${x.length} digits, ${y.length} ${sign}`;
  const at = [...x].findIndex((digit, i) => digit !== y[i]);
  const pairs = [...x]
    .slice(0, at < 0 ? x.length : at + 1)
    .map((digit, i) => `${digit} ${y[i]} ${i === at ? sign : '='}`);
  return `${x} ${y}: ${pairs.join(', ')}`;
}

export function subtractPieces(a: number, b: number, slip: Random | null): { medium: Piece[]; high: Piece[] } {
  const isNegative = a < b;
  const [large, small] = isNegative ? [b, a] : [a, b];
  const intro = [{ text: `${whichIsLarger(a, b)}${isNegative ? `, so negative: ${large} - ${small}` : ''}\n` }];
  const end = isNegative ? [{ text: `\nSo -${large - small}` }] : [];
  return {
    medium: [...intro, ...subtractColumns(large, small, false).pieces, ...end],
    high: [
      ...intro,
      ...workedWithCheck(
        (withSlip) => subtractColumns(large, small, true, withSlip),
        (result) => {
          const back = addColumns(result, small, true);
          return { lines: [{ text: '\nCheck: ' }, ...withoutResult(back)], back: back.result, wanted: large };
        },
        slip,
      ),
      ...end,
    ],
  };
}

/** A check says its result as `Back: …`, so its own last line goes. */
function withoutResult(worked: Worked): Piece[] {
  return worked.pieces.slice(0, -1).map((piece, i, all) => {
    return i === all.length - 1 ? { ...piece, text: piece.text.replace(/\n$/, '') } : piece;
  });
}

const numberOnly = 'Answer with only the number.';

function sumItem(
  draw: Draw,
  a: number,
  b: number,
  sign: '+' | '-',
  asked: Pick<Item, 'prompts' | 'heldOutPrompts' | 'followUps'>,
): Item {
  const result = sign === '+' ? a + b : a - b;
  const isBare = draw.random.chance(0.08);
  const final = isBare ? String(result) : `${a} ${sign} ${b} = ${result}.`;
  const slip = slipOf(draw);
  const { medium, high } = sign === '+' ? addPieces(a, b, slip) : subtractPieces(a, b, slip);
  const key = sign === '+' ? `${Math.min(a, b)}+${Math.max(a, b)}` : `${a}-${b}`;
  return {
    key,
    ...asked,
    ...(isBare ? { instructions: numberOnly } : {}),
    solutions: threeLevels(final, medium, high),
    tool: { expression: `${a} ${sign} ${b}`, code: `print(${a} ${sign} ${b})`, result: String(result) },
    verify: (said) => saysNumber(said, result, [a, b]),
  };
}

export const addition: Family = {
  name: 'addition',
  suite: 1,
  sizes: 6,
  tools: ['calculate', 'python'],
  draw(draw) {
    const [a, b] = operands(draw);
    return sumItem(draw, a, b, '+', {
      ...wordings([
        `What is ${a} + ${b}?`,
        `${a} + ${b} = ?`,
        `Add ${a} and ${b}.`,
        `Calculate ${a} + ${b}.`,
        `${a}+${b}`,
        `What is the sum of ${a} and ${b}?`,
        `How much is ${a} plus ${b}?`,
        `Please compute ${a} + ${b}.`,
        `what's ${a} + ${b}`,
        `Tell me what ${a} and ${b} add up to.`,
        `If I add ${b} to ${a}, what do I get?`,
        `${a} plus ${b}?`,
      ]),
      followUps: [`And ${a} + ${b}?`, `Now ${a} + ${b}.`, `What about ${a} plus ${b}?`],
    });
  },
};

export const subtraction: Family = {
  name: 'subtraction',
  suite: 1,
  sizes: 6,
  tools: ['calculate', 'python'],
  draw(draw) {
    const [x, y] = operands(draw);
    const [a, b] = draw.random.chance(0.75) ? [Math.max(x, y), Math.min(x, y)] : [x, y];
    return sumItem(draw, a, b, '-', {
      ...wordings([
        `What is ${a} - ${b}?`,
        `${a} - ${b} = ?`,
        `Subtract ${b} from ${a}.`,
        `Calculate ${a} - ${b}.`,
        `${a}-${b}`,
        `What is ${a} minus ${b}?`,
        `How much is ${a} minus ${b}?`,
        `Please compute ${a} - ${b}.`,
        `what's ${a} - ${b}`,
        `Take ${b} away from ${a}.`,
        `What is the difference when I subtract ${b} from ${a}?`,
        `${a} minus ${b}?`,
      ]),
      followUps: [`And ${a} - ${b}?`, `Now ${a} - ${b}.`, `What about ${a} minus ${b}?`],
    });
  },
};

export const japaneseSums: Family = {
  name: 'japanese-sums',
  suite: 1,
  sizes: 4,
  tools: ['calculate', 'python'],
  draw(draw) {
    const [x, y] = operands(draw);
    const isSum = draw.random.chance(0.6);
    const [a, b] = isSum || x >= y ? [x, y] : [y, x];
    const sign = isSum ? '+' : '-';
    const [plus, action] = isSum ? ['足す', '足すと'] : ['引く', '引くと'];
    const item = sumItem(draw, a, b, sign, {
      ...wordings([
        `${a} ${sign} ${b} は?`,
        `${a} ${sign} ${b} はいくつですか?`,
        `${a}${plus}${b}は?`,
        `${a}${isSum ? 'に' : 'から'}${b}を${action}いくつですか?`,
        `${a} ${sign} ${b} を計算してください。`,
      ]),
      followUps: [`では、${a} ${sign} ${b} は?`],
    });
    const final = `${a} ${sign} ${b} = ${isSum ? a + b : a - b} です。`;
    const { low, medium, high } = item.solutions;
    return {
      ...item,
      instructions: undefined,
      sameAs: { family: isSum ? 'addition' : 'subtraction', key: item.key },
      key: `${sign}${item.key}`,
      solutions: { low: { ...low, final }, medium: { ...medium, final }, high: { ...high, final } },
    };
  },
};

/** Size n: up to n digits, and from 2 on also with decimals. */
export const comparison: Family = {
  name: 'comparison',
  suite: 1,
  sizes: 4,
  tools: ['python'],
  isGuessable: true,
  draw({ random, size, slips }) {
    const places = size >= 2 && random.chance(0.4) ? random.int(1, 2) : 0;
    const whole = (): number => random.digits(random.int(1, size));
    const number = (): string => {
      const n = whole();
      return places === 0 ? String(n) : `${n}.${random.int(1, random.chance(0.5) ? 9 : 99)}`;
    };
    let [x, y] = [number(), number()];
    if (places > 0 && random.chance(0.6)) y = `${x.split('.')[0]}.${random.int(1, 99)}`; // same whole part: 9.11 and 9.9
    while (Number(x) === Number(y)) y = number();
    [x, y] = [String(Number(x)), String(Number(y))];
    const [large, small] = Number(x) > Number(y) ? [x, y] : [y, x];
    const kind = random.int(0, 2); // which is larger, which is smaller, is x greater than y
    const isGreater = Number(x) > Number(y);
    const final =
      kind === 0
        ? `${large} is larger than ${small}.`
        : kind === 1
          ? `${small} is smaller than ${large}.`
          : `${isGreater ? 'Yes' : 'No'}, ${x} is ${isGreater ? 'greater' : 'less'} than ${y}.`;
    const asked =
      kind === 0
        ? [
            `Which is larger, ${x} or ${y}?`,
            `Which number is greater: ${x} or ${y}?`,
            `What is bigger, ${x} or ${y}?`,
            `Which of ${x} and ${y} is the larger number?`,
            `what is larger ${x} or ${y}`,
            `Tell me which is greater, ${x} or ${y}.`,
          ]
        : kind === 1
          ? [
              `Which is smaller, ${x} or ${y}?`,
              `Which number is less: ${x} or ${y}?`,
              `What is smaller: ${x} or ${y}?`,
              `Which of ${x} and ${y} is the smaller number?`,
              `what is less ${x} or ${y}`,
              `Tell me which is smaller, ${x} or ${y}.`,
            ]
          : [
              `Is ${x} greater than ${y}?`,
              `Is ${x} larger than ${y}?`,
              `Is ${x} more than ${y}?`,
              `Is ${x} a larger number than ${y}?`,
              `is ${x} bigger than ${y}`,
              `Can you tell me if ${x} is greater than ${y}?`,
            ];
    const held = [`${x} or ${y}: which of the two is larger?`, `Between ${x} and ${y}, which is smaller?`];
    const relation = (isMore: boolean): string => (isMore ? `${x} > ${y}` : `${x} < ${y}`);
    // A slip claims the opposite; the check does it the other way round.
    const steps = `${placesLines(x, y)}\n${compareSteps(x, y)}\n`;
    const high = (slip: Random | null): Piece[] => {
      const claimed = slip === null ? isGreater : !isGreater;
      const back = `\nCheck\n${placesLines(y, x)}\n${compareSteps(y, x)}\nso ${relation(isGreater)}`;
      return [
        { text: `${steps}${x} ` },
        { text: `${claimed ? '>' : '<'} ${y}`, isSlip: slip !== null },
        { text: slip === null ? `${back}, correct.` : `${back}, not ${relation(claimed)}: wrong. Again.\n` },
        { text: slip === null ? '' : `${compareSteps(x, y)}\n${relation(isGreater)}` }, // the places still stand there
      ].filter(({ text }) => text !== '');
    };
    const answer =
      kind === 0
        ? `Larger: ${large}, not ${small}`
        : kind === 1
          ? `Smaller: ${small}, not ${large}`
          : `Greater: ${isGreater ? 'yes' : 'no'}`;
    return {
      key: `${kind} ${x} ${y}`,
      prompts: asked,
      heldOutPrompts: kind === 2 ? [`Would you say that ${x} is greater than ${y}?`] : [held[kind]!],
      solutions: threeLevels(
        final,
        [`${steps}${relation(isGreater)}\n${answer}`],
        [...high(slipOf({ random, slips })), `\n${answer}`],
      ),
      tool: {
        code: kind === 2 ? `print(${x} > ${y})` : `print(${kind === 0 ? 'max' : 'min'}(${x}, ${y}))`,
        result: kind === 2 ? (isGreater ? 'True' : 'False') : kind === 0 ? large : small,
      },
      verify: (said) => {
        if (kind === 2) return saysYes(said, isGreater);
        const numbers = numbersIn(said);
        return numbers[0] === Number(kind === 0 ? large : small) && numbers.length <= 2;
      },
    };
  },
};

/** Every digit has a letter: `176.9: a 1 b 7 c 6 . p 9`. */
function placesLines(x: string, y: string): string {
  return [x, y].map((n) => `${n}: ${placesOf(n).map(lettered).filter(Boolean).join(' . ')}`).join('\n');
}

/** The last letters before the point tell which has more digits; if neither, digit by digit (letter, both digits, sign)
 *  up to the first that differ. A missing place counts as 0. */
function compareSteps(x: string, y: string): string {
  const [[a, b], [c, d]] = [placesOf(x), placesOf(y)];
  const [last, other] = [a, c].map((whole) => whole.at(-1)!.letter);
  const lines = [`${last} ${other} ${signOf(last!, other!)}`];
  if (last !== other) return lines[0]!;
  const places = [...a.map((place, i) => [place, c[i]!] as const)];
  for (let i = 0; i < Math.max(b.length, d.length); i++) {
    const none = { letter: FRACTION[i]!, digit: '0' };
    places.push([b[i] ?? none, d[i] ?? none]);
  }
  for (const [p, q] of places) {
    lines.push(`${p.letter} ${p.digit} ${q.digit} ${signOf(p.digit, q.digit)}`);
    if (p.digit !== q.digit) break;
  }
  return lines.join('\n');
}

interface Place {
  readonly letter: string;
  readonly digit: string;
}

const WHOLE = 'abcdefgh';
const FRACTION = 'pqr';

/** Digits before and after the point. */
function placesOf(n: string): [Place[], Place[]] {
  const [whole, part = ''] = n.split('.') as [string, string?];
  const named = (digits: string, letters: string): Place[] =>
    [...digits].map((digit, i) => ({ letter: letters[i]!, digit }));
  return [named(whole, WHOLE), named(part, FRACTION)];
}

function lettered(places: readonly Place[]): string {
  return places.map(({ letter, digit }) => `${letter} ${digit}`).join(' ');
}

/** Of two characters: digits, or letters in their order. */
function signOf(a: string, b: string): string {
  return a === b ? '=' : a > b ? '>' : '<';
}
