// Family 9: short lists of numbers. Sorting, smallest, largest, those that fulfil a condition, repeated ones dropped.
// Two numbers are compared by writing both and then the sign, so that nothing is decided before both stand there.
// Sorting puts one number after another in its place, medium and high alike; high then goes through the result, letter
// by letter (a lost number shows) and neighbour by neighbour.

import { type Draw, type Family, type Item, threeLevels, wordings } from './item.ts';
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
  const { random } = draw;
  const list = drawNumbers(draw, 0.1);
  const isDown = random.chance(0.2);
  const compare = isDown ? (a: number, b: number) => b - a : (a: number, b: number) => a - b;
  const sorted = [...list].sort(compare);
  const text = list.join(', ');
  const header = `${isDown ? 'down' : 'up'}: ${lettered(list)}\n`;
  const inserted = list.slice(1, -1).map((_, i) => insertion(list.slice(0, i + 2), compare));
  const last = insertion(list, compare);
  const before = `${header}${list[0]}\n${inserted.map((one) => `${one.steps}${one.list.join(' ')}\n`).join('')}`;
  // A slip spoils the last list; the one before it and the signs of the last step are still good, so only the list is
  // written again.
  const slip = slipOf(draw);
  const result = slip === null ? sorted : spoiled(sorted, compare, slip);
  const { pieces, isRight } = orderCheck(result, list.length, compare);
  const high = [
    `${before}${last.steps}Sorted: `,
    { text: result.join(', '), isSlip: slip !== null },
    '\n',
    ...pieces,
    `${isRight ? '' : ' Again.'}\nSorted: ${sorted.join(', ')}`,
  ];
  const order = isDown ? 'from largest to smallest' : 'from smallest to largest';
  return {
    key: `${isDown ? 'down' : 'up'} ${ascending(list).join(',')}`,
    ...(isDown
      ? wordings([
          `Sort ${text} ${order}.`,
          `Sort ${text} in descending order.`,
          `Put ${text} in order, largest first.`,
          `Arrange ${text} with the biggest first.`,
          `Please sort ${text} from high to low.`,
          `sort descending: ${text}`,
          `Sort the list ${text} in reverse order, from large to small.`,
          `Sort ${text} from large to small.`,
          `Arrange ${text} ${order}.`,
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
          `Sort ${text} from small to large.`,
          `Sort ${text} ${order}.`,
          `Write ${text} with the smallest first.`,
        ])),
    solutions: threeLevels(
      `Sorted: ${sorted.join(', ')}.`,
      [`${before}${last.steps}Sorted: ${sorted.join(', ')}`],
      high,
    ),
    tool: {
      code: `print(sorted([${text}]${isDown ? ', reverse=True' : ''}))`,
      result: `[${sorted.join(', ')}]`,
    },
    verify: (said) => saysList(said, sorted),
  };
});

const letterOf = (i: number): string => String.fromCharCode(65 + i);
const lettered = (list: readonly number[]): string => list.map((n, i) => `${letterOf(i)}${n}`).join(' ');
const signOf = (a: number, b: number): string => (a === b ? '=' : a > b ? '>' : '<');

/** The last of `list` is put among the sorted others: `C22: 18<23>` and then the new list. The signs compare those
 *  from the left with the new one, up to the first before which it belongs. */
function insertion(
  list: readonly number[],
  compare: (a: number, b: number) => number,
): { steps: string; list: number[] } {
  const n = list.at(-1)!;
  const name = `${letterOf(list.length - 1)}${n}`;
  const others = list.slice(0, -1).sort(compare);
  const at = others.findIndex((other) => compare(other, n) >= 0);
  const steps = others.slice(0, at < 0 ? others.length : at + 1).map((other) => `${other}${signOf(other, n)}`);
  if (at < 0) steps.push('end');
  return { steps: `${name}: ${steps.join('')}\n`, list: [...list].sort(compare) };
}

/** Two neighbours the wrong way round, or one number lost. */
function spoiled(sorted: readonly number[], compare: (a: number, b: number) => number, random: Random): number[] {
  const swaps = sorted.slice(1).flatMap((n, i) => (compare(sorted[i]!, n) < 0 ? [i] : []));
  const wrong = [...sorted];
  if (swaps.length === 0 || random.chance(0.3)) wrong.splice(random.int(0, wrong.length - 1), 1);
  else {
    const at = random.pick(swaps);
    [wrong[at], wrong[at + 1]] = [wrong[at + 1]!, wrong[at]!];
  }
  return wrong;
}

/** `A18 B22 up` …: each with the one before it, up to the first that is wrong; the last letter tells whether all
 *  are there. */
function orderCheck(result: readonly number[], length: number, compare: (a: number, b: number) => number): Check {
  const [last, wanted] = [letterOf(result.length - 1), letterOf(length - 1)];
  const lines = [`Check A to ${wanted}: A${result[0]}`];
  for (let i = 1; i < result.length; i++) {
    const [x, y] = [result[i - 1]!, result[i]!];
    lines.push(`${letterOf(i)}${y} ${x === y ? 'same' : x < y ? 'up' : 'down'}`);
    if (compare(x, y) > 0) return verdict(lines.join(' '), false);
  }
  return verdict(`${lines.join(' ')}\n${last}, was ${wanted}`, last === wanted);
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
      lines.push(`${kept} ${n} ${signOf(kept, n)}, keep ${isBetter ? n : kept}`);
      if (isBetter) kept = n;
    }
    const walk = lines.join('\n');
    const attempt = (slip: Random | null | 'again'): Attempt<number> => {
      const others = list.filter((n) => n !== best);
      const found = slip === null || slip === 'again' || others.length === 0 ? best : slip.pick(others);
      return {
        pieces: [
          { text: `${slip === 'again' ? '' : `List: ${text}\n`}${walk}\nFound ` },
          { text: String(found), isSlip: found !== best },
        ],
        result: found,
      };
    };
    // Against each number, up to the first that is better.
    const check = (found: number): Check => {
      const at = list.findIndex((n) => (isMax ? n > found : n < found));
      const shown = at < 0 ? list : list.slice(0, at + 1);
      const lines = shown.map((n) => `${found} ${n} ${signOf(found, n)}`).join('\n');
      return verdict(at < 0 ? `Check\n${lines}\nNone ${isMax ? 'larger' : 'smaller'}` : `Check\n${lines}`, at < 0);
    };
    return {
      key: ascending(list).join(','),
      ...wordings([
        `What is the ${word} of ${text}?`,
        `Find the ${word} number: ${text}.`,
        `Which is the ${word}: ${text}?`,
        `${isMax ? 'Maximum' : 'Minimum'} of ${text}?`,
        `Which number is the ${word} in ${text}?`,
        `${text}: which one is the ${word}?`,
        `what's the ${isMax ? 'highest' : 'lowest'} number in ${text}`,
        `Pick the ${word} number from ${text}.`,
        `Give me the ${isMax ? 'biggest' : 'lowest'} of these: ${text}.`,
      ]),
      solutions: threeLevels(
        `The ${word} number is ${best}.`,
        [walk],
        [...repaired(attempt, check, slipOf(draw), 'again' as const), `\n${isMax ? 'Largest' : 'Smallest'}: ${best}`],
      ),
      tool: { code: `print(${isMax ? 'max' : 'min'}([${text}]))`, result: String(best) },
      verify: (said) => saysNumber(said, best),
    };
  });
}

export const minimum = extreme('minimum');
export const maximum = extreme('maximum');

/** A line for each number, which ends with the number that was kept last, after the one before it where it is kept
 *  itself (`12 yes: 5, 12`): a list that is read off step by step, as each one kept is followed by the next. */
function keptAlong(
  list: readonly number[],
  isKept: (n: number, i: number) => boolean,
  say: (n: number, i: number) => string,
): string[] {
  let last = '';
  return list.map((n, i) => {
    const before = last;
    if (isKept(n, i)) last = String(n);
    const end = last === '' ? '' : isKept(n, i) && before !== '' ? `: ${before}, ${n}` : `: ${last}`;
    return `${say(n, i)}${end}`;
  });
}

export const filterList = family('filter-list', (draw) => {
  const { random } = draw;
  const list = drawNumbers(draw);
  const listed = (numbers: readonly number[]): string => (numbers.length === 0 ? 'none' : numbers.join(', '));
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
  const isParity = words === 'even' || words === 'odd';
  // What is looked at: the sign against the limit, or the last digit.
  const seen = (n: number): string =>
    isParity ? `${n} ${n % 10} ${n % 2 === 0 ? 'even' : 'odd'}` : `${n} ${limit} ${signOf(n, limit)}`;
  const lookedAt = (n: number): string => `${seen(n)} ${test(n) ? 'yes' : 'no'}`;
  const walk = `${words}?\n${keptAlong(list, test, lookedAt).join('\n')}`;
  // The second time only the lists are written anew.
  const attempt = (slip: Random | null | 'lists'): Attempt<readonly [number[], number[]]> => {
    const at = slip === null || slip === 'lists' ? -1 : slip.int(0, list.length - 1); // lands on the wrong side
    const [yes, no] = [list.filter((n, i) => test(n) !== (i === at)), list.filter((n, i) => test(n) === (i === at))];
    const isSlip = at >= 0;
    return {
      pieces: [
        { text: `${slip === 'lists' ? '' : `${walk}\n`}Result: ` },
        { text: listed(yes), isSlip },
        { text: '\nDropped: ' },
        { text: listed(no), isSlip },
      ],
      result: [yes, no],
    };
  };
  // Both lists are gone through again, up to the first that is in the wrong one.
  const check = ([yes, no]: readonly [number[], number[]]): Check => {
    const placed = [...yes.map((n) => [n, true] as const), ...no.map((n) => [n, false] as const)];
    const at = placed.findIndex(([n, isKept]) => test(n) !== isKept);
    const shown = at < 0 ? placed : placed.slice(0, at + 1);
    const part = (isKept: boolean): string => {
      const lines = shown.filter(([, is]) => is === isKept).map(([n]) => `\n${lookedAt(n)}`);
      return lines.length === 0 ? '' : `\n${isKept ? 'Result' : 'Dropped'}${lines.join('')}`;
    };
    return verdict(`Check${part(true)}${part(false)}`, at < 0);
  };
  return {
    key: `${words}: ${ascending(list).join(',')}`,
    ...wordings([
      `Which of ${text} are ${words}?`,
      `List the numbers that are ${words}: ${text}.`,
      `Keep only the numbers that are ${words}: ${text}.`,
      `Here are some numbers: ${text}. Which are ${words}?`,
      `Pick out the ones that are ${words}: ${text}.`,
      `Find all numbers in ${text} that are ${words}.`,
      `which of these are ${words}: ${text}`,
      `From ${text}, which ones are ${words}?`,
    ]),
    solutions: threeLevels(
      `Result: ${listed(kept)}.`,
      [walk],
      repaired(attempt, check, slipOf(draw), 'lists' as const),
    ),
    tool: { code: `print([x for x in [${text}] if ${code}])`, result: `[${kept.join(', ')}]` },
    verify: (said) => (kept.length === 0 ? /\bnone\b/i.test(said) && !/\d/.test(said) : saysList(said, kept)),
  };
});

export const dropRepeats = family('drop-repeats', (draw) => {
  const list = drawNumbers({ ...draw, size: draw.size + 1 }, 0.45);
  const text = list.join(', ');
  const kept = [...new Set(list)];
  const isNew = (n: number, i: number): boolean => list.indexOf(n) === i;
  const walk = keptAlong(list, isNew, (n, i) => `${n} ${isNew(n, i) ? 'new' : 'again'}`).join('\n');
  return {
    key: text,
    ...wordings([
      `Remove the repeated numbers from ${text}.`,
      `List each number once: ${text}.`,
      `Drop the duplicates: ${text}.`,
      `Leave out the numbers that come again: ${text}.`,
      `Give me ${text} without repeats.`,
      `Keep only the first of each number: ${text}.`,
      `remove duplicates: ${text}`,
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
