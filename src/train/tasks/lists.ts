// Family 9: short lists of numbers. Sorting (medium: put each number in its place; high: merge halves and check the order),
// smallest, largest, those that fulfil a condition, repeated ones dropped.

import { type Draw, type Family, type Item, type Piece, threeLevels, wordings } from './item.ts';
import type { Random } from './random.ts';
import { type Attempt, type Check, repaired, slipOf, verdict } from './repair.ts';
import { saysList, saysNumber } from './verify.ts';

function drawNumbers({ random, size }: Draw, repeats = 0): number[] {
  const length = size + 2;
  const most = random.pick([20, 99, 99, 300]);
  const numbers: number[] = [];
  while (numbers.length < length) {
    const isRepeat = numbers.length > 0 && random.chance(repeats);
    numbers.push(isRepeat ? random.pick(numbers) : random.int(1, most));
  }
  return random.shuffle(numbers);
}

function family(name: string, draw: (draw: Draw) => Item): Family {
  return { name, suite: 9, sizes: 5, tools: ['python'], draw };
}

const ascending = (list: readonly number[]): number[] => [...list].sort((a, b) => a - b);

export const sortList = family('sort-list', (draw) => {
  const { random, slips } = draw;
  const list = drawNumbers(draw, 0.1);
  const isDown = random.chance(0.2);
  const compare = isDown ? (a: number, b: number) => b - a : (a: number, b: number) => a - b;
  const sorted = [...list].sort(compare);
  const text = list.join(', ');
  const inserted: string[] = [];
  for (let i = 1; i <= list.length; i++) inserted.push(list.slice(0, i).sort(compare).join(', '));
  const isSlip = random.chance(slips) && sorted.length >= 4;
  const high: Piece[] = [{ text: `List: ${text}\n${list.length} numbers\n${mergeTrace(list, compare)}\n` }];
  if (isSlip) {
    // One neighbour pair stands the wrong way round in a first result.
    const at = random.int(0, sorted.length - 2);
    const wrong = [...sorted];
    [wrong[at], wrong[at + 1]] = [wrong[at + 1]!, wrong[at]!];
    if (wrong[at] === wrong[at + 1])
      high.push({ text: `Sorted: ${sorted.join(', ')}\n${orderCheck(sorted, compare)}` });
    else {
      high.push({
        text: `Sorted: ${wrong
          .slice(0, at)
          .map((n) => `${n}, `)
          .join('')}`,
      });
      high.push({ text: `${wrong[at]}, ${wrong[at + 1]}`, isSlip: true });
      high.push({
        text: `${wrong
          .slice(at + 2)
          .map((n) => `, ${n}`)
          .join('')}\n${orderCheck(wrong, compare)}\n`,
      });
      high.push({ text: `Sorted: ${sorted.join(', ')}\n${orderCheck(sorted, compare)}` });
    }
  } else high.push({ text: `Sorted: ${sorted.join(', ')}\n${orderCheck(sorted, compare)}` });
  const order = isDown ? 'from largest to smallest' : 'from smallest to largest';
  return {
    key: `${isDown ? 'down' : 'up'} ${ascending(list).join(',')}`,
    ...(isDown
      ? wordings([
          `Sort ${text} ${order}.`,
          `Sort ${text} in descending order.`,
          `Put ${text} in order, largest first.`,
          `Order these numbers downwards: ${text}.`,
        ])
      : wordings([
          `Sort ${text}`,
          `Sort these numbers: ${text}.`,
          `Put ${text} in order.`,
          `Sort ${text} in ascending order.`,
          `Order the numbers ${text}.`,
          `Arrange ${text} ${order}.`,
          `sort: ${text}`,
          `Please sort the list ${text}.`,
          `Write ${text} with the smallest first.`,
        ])),
    solutions: threeLevels(`Sorted: ${sorted.join(', ')}.`, [inserted.join('\n')], high),
    tool: {
      code: `print(sorted([${text}]${isDown ? ', reverse=True' : ''}))`,
      result: `[${sorted.join(', ')}]`,
    },
    verify: (said) => saysList(said, sorted),
  };
});

function mergeTrace(list: readonly number[], compare: (a: number, b: number) => number): string {
  const lines: string[] = [];
  let runs = list.map((n) => [n]);
  while (runs.length > 1) {
    const next: number[][] = [];
    for (let i = 0; i < runs.length; i += 2) next.push([...runs[i]!, ...(runs[i + 1] ?? [])].sort(compare));
    lines.push(next.map((run) => run.join(', ')).join(' | '));
    runs = next;
  }
  return lines.join('\n');
}

/** Walks the neighbours, and counts. */
function orderCheck(list: readonly number[], compare: (a: number, b: number) => number): string {
  const signs = list.slice(1).map((n, i) => {
    const sign = n === list[i] ? '=' : n > list[i]! ? '<' : '>';
    return { text: `${list[i]} ${sign} ${n}`, isRight: compare(list[i]!, n) <= 0 };
  });
  const wrong = signs.findIndex((sign) => !sign.isRight);
  const shown = wrong < 0 ? signs : signs.slice(0, wrong + 1);
  const verdict = wrong < 0 ? `${list.length} numbers, correct.` : 'wrong. Again.';
  return `Check: ${shown.map(({ text }) => text).join(', ')}, ${verdict}`;
}

function extreme(name: 'minimum' | 'maximum'): Family {
  return family(name, (draw) => {
    const list = drawNumbers(draw);
    const text = list.join(', ');
    const isMax = name === 'maximum';
    const best = isMax ? Math.max(...list) : Math.min(...list);
    const word = isMax ? 'largest' : 'smallest';
    let kept = list[0]!;
    const lines = [`start ${kept}`];
    for (const n of list.slice(1)) {
      const isBetter = isMax ? n > kept : n < kept;
      const sign = n === kept ? '=' : n > kept ? '>' : '<';
      lines.push(`${n} ${sign} ${kept}, keep ${isBetter ? n : kept}`);
      if (isBetter) kept = n;
    }
    const walk = lines.join('\n');
    const relation = isMax ? '>=' : '<=';
    const attempt = (slip: Random | null): Attempt<number> => {
      const others = list.filter((n) => n !== best);
      const found = slip === null || others.length === 0 ? best : slip.pick(others);
      return {
        pieces: [{ text: `List: ${text}\n${walk}\nFound ` }, { text: String(found), isSlip: found !== best }],
        result: found,
      };
    };
    // Against each number, up to the first that is better.
    const check = (found: number): Check => {
      const at = list.findIndex((n) => (isMax ? n > found : n < found));
      const lines = (at < 0 ? list : list.slice(0, at)).map((n) => `${found} ${relation} ${n}`);
      if (at < 0) return verdict(`Check\n${lines.join('\n')}\nAll hold`, true);
      return verdict(`Check\n${[...lines, `not ${found} ${relation} ${list[at]}`].join('\n')}`, false);
    };
    return {
      key: ascending(list).join(','),
      ...wordings([
        `What is the ${word} of ${text}?`,
        `Find the ${word} number: ${text}.`,
        `Which is the ${word}: ${text}?`,
        `${isMax ? 'Maximum' : 'Minimum'} of ${text}?`,
        `Which number is the ${word} in ${text}?`,
        `Give me the ${isMax ? 'biggest' : 'lowest'} of these: ${text}.`,
      ]),
      solutions: threeLevels(`The ${word} number is ${best}.`, [walk], repaired(attempt, check, slipOf(draw))),
      tool: { code: `print(${isMax ? 'max' : 'min'}([${text}]))`, result: String(best) },
      verify: (said) => saysNumber(said, best),
    };
  });
}

export const minimum = extreme('minimum');
export const maximum = extreme('maximum');

export const filterList = family('filter-list', (draw) => {
  const { random } = draw;
  const list = drawNumbers(draw);
  const text = list.join(', ');
  const limit = random.pick(list) + random.int(-2, 2);
  const kinds = [
    { words: `greater than ${limit}`, test: (n: number) => n > limit, code: `x > ${limit}` },
    { words: `less than ${limit}`, test: (n: number) => n < limit, code: `x < ${limit}` },
    { words: 'even', test: (n: number) => n % 2 === 0, code: 'x % 2 == 0' },
    { words: 'odd', test: (n: number) => n % 2 === 1, code: 'x % 2 == 1' },
  ];
  const { words, test, code } = random.pick(kinds);
  const kept = list.filter(test);
  const shown = kept.length === 0 ? 'none' : kept.join(', ');
  const walk = list.map((n) => `${n} ${test(n) ? 'yes' : 'no'}`).join('\n');
  return {
    key: `${words}: ${ascending(list).join(',')}`,
    ...wordings([
      `Which of ${text} are ${words}?`,
      `List the numbers that are ${words}: ${text}.`,
      `Keep only the numbers that are ${words}: ${text}.`,
      `From ${text}, which ones are ${words}?`,
    ]),
    solutions: threeLevels(
      `Result: ${shown}.`,
      [walk],
      [
        `List: ${text}\nCondition: ${words}\n${walk}\nKept: ${shown}\nCheck: ${kept.length} kept, ${list.length - kept.length} dropped, ${list.length} in all, correct.`,
      ],
    ),
    tool: { code: `print([x for x in [${text}] if ${code}])`, result: `[${kept.join(', ')}]` },
    verify: (said) => (kept.length === 0 ? /\bnone\b/i.test(said) && !/\d/.test(said) : saysList(said, kept)),
  };
});

export const dropRepeats = family('drop-repeats', (draw) => {
  const list = drawNumbers({ ...draw, size: draw.size + 1 }, 0.45);
  const text = list.join(', ');
  const kept = [...new Set(list)];
  const seen: number[] = [];
  const walk = list
    .map((n) => {
      if (seen.includes(n)) return `${n} again`;
      seen.push(n);
      return `${n} new`;
    })
    .join('\n');
  return {
    key: text,
    ...wordings([
      `Remove the repeated numbers from ${text}.`,
      `List each number once: ${text}.`,
      `Drop the duplicates: ${text}.`,
      `Which different numbers are in ${text}?`,
    ]),
    solutions: threeLevels(
      `Result: ${kept.join(', ')}.`,
      [walk],
      [
        `List: ${text}\n${walk}\nKept: ${kept.join(', ')}\nCheck: ${kept.length} different, ${list.length - kept.length} repeated, ${list.length} in all, correct.`,
      ],
    ),
    tool: { code: `print(list(dict.fromkeys([${text}])))`, result: `[${kept.join(', ')}]` },
    verify: (said) => saysList(said, kept),
  };
});
