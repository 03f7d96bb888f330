// Family 4: expressions with brackets and precedence. Medium replaces one operation per line; high works each of them out
// in columns and reads the expression once more from the other end.

import { type Family, type Piece, threeLevels, wordings } from './item.ts';
import { productPieces } from './products.ts';
import type { Random } from './random.ts';
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
  draw({ random, size }) {
    const tree = drawTree(random, size + 1);
    const text = textOf(tree);
    const value = treeValue(tree);
    const steps: { left: number; right: number; sign: Sign; after: string }[] = [];
    for (let at: Tree = tree; typeof at !== 'number'; ) {
      const done = reduceOnce(at);
      steps.push({ ...done.operation, after: textOf(done.tree) });
      at = done.tree;
    }
    const medium = steps.map((step) => `${operation(step)}, so ${step.after}`).join('\n');
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
      solutions: threeLevels(
        `${text} = ${value}.`,
        [`${text}\n${medium}`],
        [
          { text: `${text}\n` },
          ...steps.flatMap((step, i): Piece[] => [
            { text: `Step ${i + 1}: ${step.left} ${step.sign} ${step.right}\n` },
            ...columnsOf(step),
            { text: `\nNow ${step.after}\n` },
          ]),
          { text: `Check: ${steps.map(operation).join(', ')}. Result ${value}.` },
        ],
      ),
      tool: { expression: text, code: `print(${text})`, result: String(value) },
      verify: (said) => saysNumber(said, value, numbersIn(text)),
    };
  },
};

function operation({ left, right, sign }: { left: number; right: number; sign: Sign }): string {
  return `${bracketed(left)} ${sign} ${bracketed(right)} = ${apply(sign, left, right)}`;
}

function columnsOf({ left, right, sign }: { left: number; right: number; sign: Sign }): Piece[] {
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
  return { sign, left, right };
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

/** The leftmost operation whose operands are numbers, carried out. */
function reduceOnce(tree: Exclude<Tree, number>): {
  tree: Tree;
  operation: { left: number; right: number; sign: Sign };
} {
  const { sign, left, right } = tree;
  if (typeof left !== 'number') {
    const done = reduceOnce(left);
    return { tree: { sign, left: done.tree, right }, operation: done.operation };
  }
  if (typeof right !== 'number') {
    const done = reduceOnce(right);
    return { tree: { sign, left, right: done.tree }, operation: done.operation };
  }
  return { tree: apply(sign, left, right), operation: { left, right, sign } };
}
