// Family 4: expressions with brackets and precedence, one operation after another: first without signs (`7 - 12 =
// -(12 - 7)`), then the expression is written again with the result. Medium writes what comes of an operation at once,
// high in columns; it looks at each result that no table has by nines, and does that one operation again where it
// disagrees.

import { addColumns, subtractColumns } from './columns.ts';
import { type Family, type Piece, threeLevels, wordings } from './item.ts';
import { digitRoot, productAttempt } from './products.ts';
import type { Random } from './random.ts';
import { type Attempt, type Check, repaired, slipOf, verdict } from './repair.ts';
import { numbersIn, saysNumber } from './verify.ts';

type Sign = '+' | '-' | '*';
type Tree = number | { readonly sign: Sign; readonly left: Tree; readonly right: Tree };

/** Size n: n + 1 operators. */
export const expressions: Family = {
  name: 'expressions',
  suite: 4,
  sizes: 4,
  tools: ['calculate', 'python'],
  draw({ random, size, slips }) {
    const tree = drawTree(random, size + 1);
    const text = textOf(tree);
    const value = treeValue(tree);
    const steps = reduceAll(tree);
    const slip = slipOf({ random, slips });
    const long = steps.flatMap((step, i) => (isLong(withoutSigns(step)) ? [i] : []));
    const slipAt = slip === null || long.length === 0 ? -1 : slip.pick(long);
    const medium = steps.flatMap((step) => [{ text: `${workedAtOnce(step)}\nNow ${step.after}\n` }]);
    const high = steps.flatMap((step, i) => [
      { text: `Step ${i + 1}: ` },
      ...worked(step, i === slipAt ? slip : null),
      { text: `\nNow ${step.after}\n` },
    ]);
    const written = (pieces: readonly Piece[]): Piece[] => [
      { text: `${text}\n` },
      ...pieces.slice(0, -1),
      { text: pieces.at(-1)!.text.trimEnd() },
    ];
    return {
      key: text,
      ...wordings([
        `What is ${text}?`,
        `Calculate ${text}.`,
        `${text} = ?`,
        `Evaluate ${text}.`,
        text,
        `Please compute ${text}.`,
        `Work out ${text}.`,
        `Find the value of ${text}.`,
        `What does ${text} come to?`,
      ]),
      followUps: [`And ${text}?`],
      solutions: threeLevels(`${text} = ${value}.`, written(medium), written(high)),
      tool: { expression: text, code: `print(${text})`, result: String(value) },
      verify: (said) => saysNumber(said, value, numbersIn(text)),
    };
  },
};

/** An operation on numbers that are not negative, and whether what it gives is. */
interface Unsigned {
  readonly x: number;
  readonly y: number;
  readonly sign: Sign;
  readonly isNegative: boolean;
}

function withoutSigns({ left, right, sign }: Reduced): Unsigned {
  const [a, b] = [Math.abs(left), Math.abs(right)];
  if (sign === '*') return { x: a, y: b, sign, isNegative: left * right < 0 };
  const [isMinusLeft, isMinusRight] = [left < 0, right !== 0 && right < 0 !== (sign === '-')];
  if (isMinusLeft === isMinusRight) return { x: a, y: b, sign: '+', isNegative: isMinusLeft };
  const [x, y] = a >= b ? [a, b] : [b, a];
  return { x, y, sign: '-', isNegative: a === b ? false : a > b ? isMinusLeft : isMinusRight };
}

/** What needs columns: all but what the tables have, and sums that change no more than the last digit and the tens. */
function isLong({ x, y, sign }: Unsigned): boolean {
  const [large, small] = [Math.max(x, y), Math.min(x, y)];
  return sign === '*' ? small > 0 && large > 9 : small > 9 || large > 99;
}

const newLine: readonly Piece[] = [{ text: '\n' }];

/** `7 + 5 = 12`, and with one column `47 + 6: 7+6=13, 53`. */
function atOnce({ x, y, sign }: Unsigned): string {
  const [large, small] = [Math.max(x, y), Math.min(x, y)];
  const result = apply(sign, x, y);
  if (sign === '*' || large <= 9) return `${x} ${sign} ${y} = ${result}`;
  const ones = large % 10;
  const top = sign === '-' && ones < small ? ones + 10 : ones;
  return `${x} ${sign} ${y}: ${top}${sign}${small}=${apply(sign, top, small)}, ${result}`;
}

/** `3 - 12 = -(12 - 3)`, what comes of that, and the sign. */
function workedAtOnce(step: Reduced): string {
  const unsigned = withoutSigns(step);
  const [asked, plain] = [`${bracketed(step.left)} ${step.sign} ${bracketed(step.right)}`, plainOf(unsigned)];
  const inWords = unsigned.isNegative ? `-(${plain})` : plain;
  const line = isLong(unsigned) ? `${plain} = ${Math.abs(step.value)}` : atOnce(unsigned);
  return `${asked === inWords ? '' : `${asked} = ${inWords}\n`}${line}${unsigned.isNegative ? `\nSo ${step.value}` : ''}`;
}

const plainOf = ({ x, y, sign }: Unsigned): string => `${x} ${sign} ${y}`;

function worked(step: Reduced, slip: Random | null): Piece[] {
  const { left, right, sign, value } = step;
  const unsigned = withoutSigns(step);
  const [asked, plain] = [`${bracketed(left)} ${sign} ${bracketed(right)}`, plainOf(unsigned)];
  const inWords = unsigned.isNegative ? `-(${plain})` : plain;
  const first = asked === inWords ? asked : `${asked} = ${inWords}`;
  const end = unsigned.isNegative ? [{ text: `\nSo ${value}` }] : [];
  if (!isLong(unsigned)) {
    const line = `${asked === inWords ? '' : `${first}\n`}${atOnce(unsigned)}`;
    const isKnown = unsigned.sign === '*' || Math.max(unsigned.x, unsigned.y) <= 9;
    return [{ text: line }, ...(!isKnown ? [...newLine, ...byNines(unsigned, Math.abs(value)).pieces] : []), ...end];
  }
  // Columns of sums begin with the sum itself.
  const head = unsigned.sign !== '*' && asked === inWords ? [] : [{ text: `${first}\n` }];
  const done = repaired(
    (withSlip) => inColumns(unsigned, withSlip),
    (found) => byNines(unsigned, found),
    slip,
  );
  return [...head, ...done, ...end];
}

function inColumns(unsigned: Unsigned, slip: Random | null): Attempt<number> {
  const { x, y, sign } = unsigned;
  const [long, short] = String(x).length >= String(y).length ? [x, y] : [y, x];
  const work = (): Attempt<number> =>
    sign === '*'
      ? productAttempt(long, short, slip)
      : sign === '+'
        ? addColumns(x, y, false, slip)
        : subtractColumns(x, y, false, slip);
  let done = work();
  // Nines do not see every slip.
  for (let tries = 0; slip !== null && tries < 50 && byNines(unsigned, done.result).isRight; tries++) done = work();
  return done;
}

/** What the digits add up to; a difference and what was taken away give what there was. */
function byNines({ x, y, sign }: Unsigned, found: number): Check {
  const [a, b, result] = sign === '-' ? [y, found, x] : [x, y, found];
  const [p, q] = [digitRoot(a), digitRoot(b)];
  const together = sign === '*' ? `${p}*${q}=${nines(p * q)}` : `${p}+${q}=${nines(p + q)}`;
  const parts = [a, b].filter((n) => n > 9).map(nines);
  const wanted = digitRoot(sign === '*' ? p * q : p + q);
  return verdict(`Nines ${[...parts, together, nines(result)].join(', ')}`, wanted === digitRoot(result));
}

/** A number and its digits' sum, and that one's: `59>14>5`. */
function nines(n: number): string {
  if (n < 10) return String(n);
  return `${n}>${nines([...String(n)].reduce((sum, digit) => sum + Number(digit), 0))}`;
}

function drawTree(random: Random, operators: number): Tree {
  if (operators === 0) return random.chance(0.8) ? random.int(1, 9) : random.int(10, 30);
  const leftCount = random.int(0, operators - 1);
  const left = drawTree(random, leftCount);
  const right = drawTree(random, operators - 1 - leftCount);
  const small = Math.abs(treeValue(left)) <= 60 && Math.abs(treeValue(right)) <= 12;
  const sign = small && random.chance(0.4) ? '*' : random.chance(0.55) ? '+' : '-';
  return joined(sign, left, right);
}

/** As it reads without brackets, from the left: a + (b + c) is (a + b) + c. */
function joined(sign: Sign, left: Tree, right: Tree): Exclude<Tree, number> {
  const isPlain = typeof right !== 'number' && (sign === '*' ? right.sign === '*' : sign === '+' && right.sign !== '*');
  return isPlain ? joined(right.sign, joined(sign, left, right.left), right.right) : { sign, left, right };
}

function apply(sign: Sign, a: number, b: number): number {
  return sign === '+' ? a + b : sign === '-' ? a - b : a * b;
}

function treeValue(tree: Tree): number {
  return typeof tree === 'number' ? tree : apply(tree.sign, treeValue(tree.left), treeValue(tree.right));
}

function bracketed(n: number): string {
  return n < 0 ? `(${n})` : String(n);
}

/** With brackets only where they are needed. */
function textOf(tree: Tree): string {
  if (typeof tree === 'number') return String(tree);
  const inner = (child: Tree, isRight: boolean): string => {
    if (typeof child === 'number') return bracketed(child);
    const isLooser = tree.sign === '*' && child.sign !== '*';
    const isRightOfMinus = isRight && tree.sign === '-' && child.sign !== '*';
    return isLooser || isRightOfMinus ? `(${textOf(child)})` : textOf(child);
  };
  return `${inner(tree.left, false)} ${tree.sign} ${inner(tree.right, true)}`;
}

interface Reduced {
  readonly left: number;
  readonly right: number;
  readonly sign: Sign;
  readonly value: number;
  readonly after: string;
}

/** One operation after another, always the first from the left that has only numbers. */
function reduceAll(tree: Tree): Reduced[] {
  const steps: Reduced[] = [];
  for (let at = tree; typeof at !== 'number'; ) {
    const done = reduceOnce(at);
    steps.push({ ...done.operation, after: textOf(done.tree) });
    at = done.tree;
  }
  return steps;
}

function reduceOnce({ sign, left, right }: Exclude<Tree, number>): {
  tree: Tree;
  operation: Omit<Reduced, 'after'>;
} {
  if (typeof left !== 'number') {
    const { tree, operation } = reduceOnce(left);
    return { tree: { sign, left: tree, right }, operation };
  }
  if (typeof right !== 'number') {
    const { tree, operation } = reduceOnce(right);
    return { tree: { sign, left, right: tree }, operation };
  }
  const value = apply(sign, left, right);
  return { tree: value, operation: { left, right, sign, value } };
}
