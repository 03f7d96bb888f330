// Family 4: expressions with brackets and precedence. Medium replaces one operation per line; high works each of them out
// in columns and reads the expression once more from the other end.

import { type Family, type Piece, threeLevels, wordings } from './item.ts';
import { productPieces } from './products.ts';
import type { Random } from './random.ts';
import { type Attempt, type Check, repaired, slipOf, verdict } from './repair.ts';
import { addPieces, subtractPieces } from './sums.ts';
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
    const steps = reduceAll(tree, 'left', null);
    const lines = (of: readonly Reduced[]): string =>
      of.map((step) => `${operation(step)}, so ${step.after}`).join('\n');
    const attempt = (slip: Random | null): Attempt<number> => {
      const done = reduceAll(tree, 'left', slip);
      return {
        pieces: [
          { text: `${text}\n` },
          ...done.flatMap((step, i): Piece[] => [
            { text: `Step ${i + 1}: ${step.left} ${step.sign} ${step.right}\n` },
            ...columnsOf(step),
            { text: '\nNow ' },
            { text: step.after, isSlip: step.isSlip },
            { text: i + 1 < done.length ? '\n' : '' },
          ]),
        ],
        result: done.at(-1)!.value,
      };
    };
    // The same in another order, from the other end, in brief.
    const check = (found: number): Check => {
      const isRight = found === value;
      return verdict(
        `Check from the right: ${reduceAll(tree, 'right', null).map(operation).join(', ')}\n${found} is ${isRight ? '' : 'not '}${value}`,
        isRight,
      );
    };
    // A second attempt is brief as well: the columns are known to be long, and the slip was in what was carried over.
    const high = repaired(
      (slip) => (slip === 'again' ? { pieces: [{ text: `${text}\n${lines(steps)}` }], result: value } : attempt(slip)),
      check,
      slipOf({ random, slips }),
      'again' as const,
    );
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
      solutions: threeLevels(`${text} = ${value}.`, [`${text}\n${lines(steps)}`], high),
      tool: { expression: text, code: `print(${text})`, result: String(value) },
      verify: (said) => saysNumber(said, value, numbersIn(text)),
    };
  },
};

function operation({ left, right, sign }: Pick<Reduced, 'left' | 'right' | 'sign'>): string {
  return `${bracketed(left)} ${sign} ${bracketed(right)} = ${apply(sign, left, right)}`;
}

function columnsOf({ left, right, sign }: Pick<Reduced, 'left' | 'right' | 'sign'>): Piece[] {
  const [a, b] = [Math.abs(left), Math.abs(right)];
  const result = apply(sign, left, right);
  const signed = left < 0 || right < 0 ? [{ text: `\nWith signs: ${result}` }] : [];
  if (sign === '*') {
    const [long, short] = String(a).length >= String(b).length ? [a, b] : [b, a];
    return [...productPieces(long, short, false, null), ...signed];
  }
  // Signs decide whether magnitudes are added or subtracted.
  const isSum = ((sign === '+') === left < 0) === right < 0;
  const works = isSum ? addPieces(a, b, null) : subtractPieces(Math.max(a, b), Math.min(a, b), null);
  return [...works.medium, ...(result < 0 && signed.length === 0 ? [{ text: `\nWith signs: ${result}` }] : signed)];
}

function drawTree(random: Random, operators: number): Tree {
  if (operators === 0) return random.chance(0.7) ? random.int(1, 12) : random.int(10, 60);
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
  /** What is carried on; a slip is another number than the operation gives. */
  readonly value: number;
  readonly isSlip: boolean;
  readonly after: string;
}

/** One operation after another, the first one from this end that has only numbers. */
function reduceAll(tree: Tree, from: 'left' | 'right', slip: Random | null): Reduced[] {
  const steps: Reduced[] = [];
  const slipAt = slip === null ? -1 : slip.int(0, operators(tree) - 1);
  for (let at = tree; typeof at !== 'number'; ) {
    const isSlip = steps.length === slipAt;
    const done = reduceOnce(at, from, isSlip ? slip!.pick([1, -1, 2, 10]) : 0);
    steps.push({ ...done.operation, isSlip, after: textOf(done.tree) });
    at = done.tree;
  }
  return steps;
}

function operators(tree: Tree): number {
  return typeof tree === 'number' ? 0 : 1 + operators(tree.left) + operators(tree.right);
}

/** `off`: how far from the right result. */
function reduceOnce(
  { sign, left, right }: Exclude<Tree, number>,
  from: 'left' | 'right',
  off: number,
): { tree: Tree; operation: Pick<Reduced, 'left' | 'right' | 'sign' | 'value'> } {
  for (const side of from === 'left' ? (['left', 'right'] as const) : (['right', 'left'] as const)) {
    const child = side === 'left' ? left : right;
    if (typeof child === 'number') continue;
    const { tree, operation } = reduceOnce(child, from, off);
    return { tree: { sign, left, right, [side]: tree }, operation };
  }
  const [a, b] = [left as number, right as number];
  const value = apply(sign, a, b) + off;
  return { tree: value, operation: { left: a, right: b, sign, value } };
}
