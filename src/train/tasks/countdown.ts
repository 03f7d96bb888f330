// Family 12: an expression with given numbers, each used once, that makes a target. Low guesses; medium tries a few ways;
// high goes through all ways in a fixed order until one fits. A line is one first step and everything that can follow it.

import { type Draw, type Family, threeLevels, wordings } from './item.ts';
import type { Random } from './random.ts';
import { numbersIn } from './verify.ts';

type Sign = '+' | '-' | '*';

const SIGNS: readonly Sign[] = ['+', '*', '-'];
const MOST = [9, 12, 20, 40]; // of a number, by size

interface Way {
  readonly first: string; // `3*5=15`
  readonly tries: readonly { readonly text: string; readonly value: number; readonly expression: string }[];
}

/** Larger first where the order matters. */
function operate(a: number, b: number, sign: Sign): { text: string; value: number } {
  const [x, y] = sign === '-' && a < b ? [b, a] : [a, b];
  const value = sign === '+' ? x + y : sign === '*' ? x * y : x - y;
  return { text: `${x}${sign}${y}`, value };
}

function waysOf(numbers: readonly number[]): Way[] {
  const ways: Way[] = [];
  for (const [i, j, k] of [
    [0, 1, 2],
    [0, 2, 1],
    [1, 2, 0],
  ] as const) {
    for (const sign of SIGNS) {
      const { text, value } = operate(numbers[i]!, numbers[j]!, sign);
      const tries = SIGNS.map((next) => {
        const last = operate(value, numbers[k]!, next);
        const isFirst = next !== '-' || value >= numbers[k]!;
        const inner = next === '*' && sign !== '*' ? `(${text})` : text;
        const expression = isFirst
          ? `${inner} ${next} ${numbers[k]}`
          : `${numbers[k]} - ${sign === '*' ? text : `(${text})`}`;
        return { text: `${last.text}=${last.value}`, value: last.value, expression: spaced(expression) };
      });
      ways.push({ first: `${text}=${value}`, tries });
    }
  }
  return ways;
}

const spaced = (expression: string): string => expression.replace(/(\d|\))\s*([-+*])\s*(?=[\d(])/g, '$1 $2 ');

/** A line up to the try that fits, if one does. */
function lineOf({ first, tries }: Way, target: number): string {
  const at = tries.findIndex(({ value }) => value === target);
  const shown = (at < 0 ? tries : tries.slice(0, at + 1)).map(({ text }) => text).join(', ');
  return `${first}: ${shown}${at < 0 ? '' : ' yes'}`;
}

function draw({ random, size }: Draw): ReturnType<Family['draw']> {
  const numbers = drawNumbers(random, MOST[size - 1]!);
  const ways = waysOf(numbers);
  const all = ways.flatMap(({ tries }) => tries.filter(({ value }) => value > 0));
  const target = random.pick(all).value;
  const hit = ways.findIndex(({ tries }) => tries.some(({ value }) => value === target));
  const { expression } = ways[hit]!.tries.find(({ value }) => value === target)!;
  const list = numbers.join(', ');
  // Medium sees the way soon: a few lines that fail, then the one that does not.
  const failing = ways.filter(({ tries }) => tries.every(({ value }) => value !== target));
  const guesses = random.sample(failing, random.pick([0, 0, 1]));
  return {
    key: `${[...numbers].sort((a, b) => a - b).join(' ')} ${target}`,
    ...wordings([
      `Use ${list} with + - * to make ${target}. Use each number once.`,
      `Make ${target} from ${list}, each number once.`,
      `Which expression with ${list} gives ${target}?`,
      `Combine ${list} with + - * to get ${target}.`,
      `How can you reach ${target} with ${list}?`,
    ]),
    solutions: threeLevels(
      `${expression} = ${target}.`,
      [[...guesses, ways[hit]!].map((way) => lineOf(way, target)).join('\n')],
      [
        `Numbers ${list}, target ${target}\n${ways
          .slice(0, hit + 1)
          .map((way) => lineOf(way, target))
          .join(
            '\n',
          )}\nSo ${expression}\nUsed: ${numbersIn(expression.replaceAll('-', '+')).join(', ')}, each once, correct.`,
      ],
    ),
    verify: (said) => isSolution(said, numbers, target),
  };
}

function drawNumbers(random: Random, most: number): number[] {
  return Array.from({ length: 3 }, () => random.int(1, most));
}

/** An expression over exactly these numbers, worth the target, before an equals sign or alone. */
export function isSolution(said: string, numbers: readonly number[], target: number): boolean {
  const text = said
    .replace(/[.\s]+$/, '')
    .replaceAll('×', '*')
    .replaceAll('−', '-');
  const [expression = '', value, ...rest] = text.split('=').map((side) => side.trim());
  if (rest.length > 0 || (value !== undefined && Number(value) !== target)) return false;
  const parsed = evaluate(expression);
  if (parsed === null || parsed.value !== target) return false;
  const sorted = (list: readonly number[]): string => [...list].sort((a, b) => a - b).join(' ');
  return sorted(parsed.used) === sorted(numbers);
}

/** + - * and brackets over whole numbers; null for anything else. */
function evaluate(text: string): { value: number; used: number[] } | null {
  if (text.length > 60) return null;
  const tokens = text.match(/\d+|[-+*()]|\S/g) ?? [];
  const used: number[] = [];
  let at = 0;
  const atom = (): number => {
    const token = tokens[at++];
    if (token === '(') {
      const value = sum();
      if (tokens[at++] !== ')') return Number.NaN;
      return value;
    }
    if (token === undefined || !/^\d+$/.test(token)) return Number.NaN;
    used.push(Number(token));
    return Number(token);
  };
  const product = (): number => {
    let value = atom();
    while (tokens[at] === '*') {
      at++;
      value *= atom();
    }
    return value;
  };
  const sum = (): number => {
    let value = product();
    while (tokens[at] === '+' || tokens[at] === '-') {
      const isPlus = tokens[at++] === '+';
      value = isPlus ? value + product() : value - product();
    }
    return value;
  };
  const value = sum();
  return at === tokens.length && Number.isFinite(value) ? { value, used } : null;
}

export const countdown: Family = { name: 'countdown', suite: 12, sizes: 3, draw };
