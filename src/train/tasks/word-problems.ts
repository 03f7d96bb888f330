// Family 5: small stories with numbers. Things come and go, boxes of equal content, a shop and its change, a way in pieces,
// two people compared. Some sentences have a number that is of no use. Medium and high first go through the sentences, a
// numbered line for each that matters, with its operation; then they work out one line after the other (written.ts), and
// high undoes each operation to see whether it leads back.

import { type Draw, type Family, type Item, type Piece, threeLevels } from './item.ts';
import type { Random } from './random.ts';
import { slipOf } from './repair.ts';
import { numbersIn, saysNumber } from './verify.ts';
import { names, part, things } from './words.ts';
import { counted, fitting, type Sign, worked } from './written.ts';

/** What happens next: the running value, and the sentence that says so. */
interface Event {
  readonly sign: Sign;
  readonly by: number;
  readonly says: string;
  /** Its words around the number, from which the sign can be read: `gives more`. */
  readonly means: string;
}

/** A sentence with a number that does not matter. */
interface Aside {
  readonly says: string;
  readonly means: string;
}

interface Story {
  readonly start: number;
  readonly opening: string;
  readonly events: readonly Event[];
  readonly questions: readonly string[]; // the last is for tests
  readonly answer: (result: number) => string;
  readonly unit: string;
  readonly asides: readonly Aside[];
}

const apply = (a: number, sign: Sign, b: number): number =>
  sign === '+' ? a + b : sign === '-' ? a - b : sign === '*' ? a * b : a / b;

const aside = (before: string, means: string): Aside => ({ says: `${before} ${means}.`, means });

/** Things that come and go; the last step may share them out. */
function inventory({ random, heldOut }: Draw, steps: number): Story {
  const [who, friend] = random.sample(part(names, heldOut), 2) as [string, string];
  const what = random.pick(part(things, heldOut));
  const events: Event[] = [];
  const start = random.int(3, 40);
  let at = start;
  for (let i = 0; i < steps; i++) {
    const isLast = i === steps - 1;
    const share = isLast && steps > 1 ? [2, 3, 4, 5, 6].find((n) => at % n === 0 && random.chance(0.5)) : undefined;
    const [event, next] = nextEvent(random, who, friend, what, at, share);
    events.push(event);
    at = next;
  }
  const isShared = events.at(-1)!.sign === '/';
  return {
    ...{ start, events, unit: what },
    opening: random.pick([`${who} has ${start} ${what}.`, `At first ${who} has ${start} ${what}.`]),
    questions: isShared
      ? [
          `How many ${what} are in each bag?`,
          `How many ${what} does each bag hold?`,
          `How many ${what} are in one of the bags?`,
          `How many ${what} go into each bag?`,
          `Find the number of ${what} in each bag.`,
          `How many ${what} will there be in a single bag?`,
          `Tell me how many ${what} one bag has.`,
          `What is in one bag?`,
        ]
      : [
          `How many ${what} does ${who} have now?`,
          `How many ${what} does ${who} have in the end?`,
          `How many ${what} are left for ${who}?`,
          `How many ${what} has ${who} got now?`,
          `What number of ${what} does ${who} have at the end?`,
          `Find out how many ${what} ${who} has after that.`,
          `How many ${what} does ${who} end up with?`,
          `Count the ${what} of ${who} now.`,
        ],
    answer: (n) => (isShared ? `Each bag holds ${counted(n, what)}.` : `${who} has ${counted(n, what)}.`),
    asides: [
      aside(`${who} is`, `${random.int(6, 60)} years old`),
      aside(`${friend} has`, `${random.int(2, 9)} brothers`),
      aside(`${who} comes at`, `${random.int(2, 11)} o'clock`),
    ],
  };
}

function nextEvent(
  random: Random,
  who: string,
  friend: string,
  what: string,
  at: number,
  share: number | undefined,
): [Event, number] {
  if (share !== undefined) {
    const says = `${who} puts them into ${share} bags, the same number in each.`;
    return [{ sign: '/', by: share, says, means: 'into bags' }, at / share];
  }
  const kind = random.weighted([4, at > 3 ? 4 : 0, at <= 20 ? 1 : 0]);
  if (kind === 2) {
    const by = random.int(2, 4);
    const says = `Then ${who} gets ${by} times as many.`;
    return [{ sign: '*', by, says, means: 'gets times' }, at * by];
  }
  if (kind === 0) {
    const by = random.int(2, 40);
    const [says, means] = random.pick([
      [`${friend} gives ${who} ${by} more.`, 'gives more'],
      [`${who} buys ${by} more.`, 'buys more'],
      [`${who} finds ${by} ${what}.`, 'finds'],
      [`Then ${who} gets ${by} from ${friend}.`, 'gets from'],
    ] as const);
    return [{ sign: '+', by, says, means }, at + by];
  }
  const by = random.int(1, Math.min(at - 1, 40));
  const [says, means] = random.pick([
    [`${who} gives ${by} to ${friend}.`, 'gives to'],
    [`${who} loses ${by} of them.`, 'loses'],
    [`${friend} takes ${by} away.`, 'takes away'],
    [`Then ${who} sells ${by}.`, 'sells'],
  ] as const);
  return [{ sign: '-', by, says, means }, at - by];
}

/** Price times count, more of it, and the change. */
function shop({ random, heldOut }: Draw, steps: number): Story {
  const who = random.pick(part(names, heldOut));
  const [what, other] = random.sample(part(things, heldOut), 2) as [string, string];
  const price = random.int(2, 12);
  const count = random.int(2, 9);
  const events: Event[] = [{ sign: '*', by: count, says: `${who} buys ${count} of them.`, means: 'buys of them' }];
  let at = price * count;
  for (let i = 1; i < steps; i++) {
    const isLast = i === steps - 1;
    if (isLast && random.chance(0.5)) {
      const off = random.int(1, Math.max(1, Math.min(9, at - 1)));
      const says = off === 1 ? 'There is 1 dollar off.' : `There are ${off} dollars off.`;
      events.push({ sign: '-', by: off, says, means: 'dollars off' });
      at -= off;
    } else {
      const more = random.int(2, 30);
      events.push({
        sign: '+',
        by: more,
        says: `${who} also buys ${other} for ${more} dollars.`,
        means: 'for dollars',
      });
      at += more;
    }
  }
  return {
    ...{ start: price, events, unit: 'dollars' },
    opening: random.pick([`One of the ${what} costs ${price} dollars.`, `The ${what} cost ${price} dollars each.`]),
    questions: [
      `How many dollars does ${who} pay?`,
      `How much does ${who} pay in dollars?`,
      `What does ${who} pay?`,
      `How many dollars is that for ${who}?`,
      `How many dollars does ${who} have to pay?`,
      `What does that cost ${who} in dollars?`,
      `How many dollars does ${who} spend?`,
      `What is the price of all that in dollars?`,
    ],
    answer: (n) => `${who} pays ${counted(n, 'dollars')}.`,
    asides: [
      aside(`${who} comes at`, `${random.int(7, 10)} o'clock`),
      aside(`${who} has`, `${random.int(2, 5)} bags`),
      aside(`${who} sees`, `${random.int(3, 30)} people in the shop`),
    ],
  };
}

/** A way in pieces. */
function journey({ random, heldOut }: Draw, steps: number): Story {
  const who = random.pick(part(names, heldOut));
  const [speed, hours] = [random.int(3, 12) * random.pick([1, 5]), random.int(2, 6)];
  const events: Event[] = [
    { sign: '*', by: hours, says: `The ride of ${who} takes ${hours} hours.`, means: 'takes hours' },
  ];
  let at = speed * hours;
  for (let i = 1; i < steps; i++) {
    const more = random.int(1, 40);
    if (random.chance(0.65) || more >= at) {
      events.push({ sign: '+', by: more, says: `Then ${who} rides ${more} km further.`, means: 'rides further' });
      at += more;
    } else {
      events.push({ sign: '-', by: more, says: `Then ${who} rides ${more} km back.`, means: 'rides back' });
      at -= more;
    }
  }
  return {
    ...{ start: speed, events, unit: 'km' },
    opening: `${who} rides ${speed} km each hour.`,
    questions: [
      `How many km from the start is ${who}?`,
      `How far from the start is ${who} in km?`,
      `How many km lie between ${who} and the start?`,
      `How many km away from the start is ${who} now?`,
      `How far has ${who} got from the start, in km?`,
      `Find the distance in km from the start to ${who}.`,
      `At how many km from the start is ${who} in the end?`,
      `What is the distance to the start in km?`,
    ],
    answer: (n) => `${who} is ${n} km from the start.`,
    asides: [
      aside(`The bicycle of ${who} is`, counted(random.int(1, 12), 'years').concat(' old')),
      aside(`${who} rests`, `${random.int(2, 9)} times`),
    ],
  };
}

/** One has some, the other more or fewer; how many together. */
function together({ random, heldOut }: Draw, steps: number): Story {
  const [a, b] = random.sample(part(names, heldOut), 2) as [string, string];
  const what = random.pick(part(things, heldOut));
  const start = random.int(2, 30);
  const isMore = random.chance(0.7) || start < 4;
  const by = isMore ? random.int(1, 30) : random.int(1, start - 2);
  const second = isMore ? start + by : start - by;
  const events: Event[] = [
    {
      ...{ sign: isMore ? '+' : '-', by, means: isMore ? 'has more' : 'has fewer' },
      says: `${b} has ${by} ${isMore ? 'more' : 'fewer'} than ${a}.`,
    },
    { sign: '+', by: start, says: `${a} and ${b} put all of them together.`, means: 'put together' },
  ];
  let at = start + second;
  for (let i = 2; i < steps; i++) {
    const lost = random.int(1, Math.max(1, Math.min(20, at - 1)));
    events.push({ sign: '-', by: lost, says: `Then ${a} and ${b} sell ${lost}.`, means: 'sell' });
    at -= lost;
  }
  return {
    ...{ start, events, unit: what },
    opening: `${a} has ${start} ${what}.`,
    questions: [
      `How many ${what} do they have?`,
      `How many ${what} do ${a} and ${b} have now?`,
      `How many ${what} are there?`,
      `How many ${what} do ${a} and ${b} have in all?`,
      `How many ${what} do the two of them have?`,
      `Find how many ${what} they have now.`,
      `How many ${what} is that for both?`,
      `What is the number of ${what} of both?`,
    ],
    answer: (n) => `They have ${counted(n, what)}.`,
    asides: [aside(`${b} is`, `${random.int(6, 60)} years old`), aside(`${a} lives in`, `house ${random.int(2, 90)}`)],
  };
}

/** A line for each sentence in its order, with a number for those that matter. */
function planOf(start: number, sentences: readonly (Event | Aside)[]): string {
  let n = 0;
  const lines = sentences.map((sentence) =>
    'sign' in sentence ? `${++n} ${sentence.means}: ${sentence.sign}${sentence.by}` : `No use: ${sentence.means}`,
  );
  return [`Start ${start}`, ...lines, 'End'].join('\n');
}

/** The numbered lines of the plan, one after the other. */
function workedOut({ start, events, unit }: Story, isFull: boolean, slip: Random | null): Piece[] {
  const slipAt = slip === null ? -1 : slip.int(0, events.length - 1);
  let at = start;
  const pieces = events.flatMap(({ sign, by }, i): Piece[] => {
    const step = worked(at, sign, by, isFull, i === slipAt ? slip : null);
    at = apply(at, sign, by);
    return [{ text: `\n${i + 1}: ` }, ...step];
  });
  return [...pieces, { text: `\nSo ${counted(at, unit)}` }];
}

function family(name: string, tell: (draw: Draw, steps: number) => Story, least: number): Family {
  return {
    ...{ name, suite: 5, sizes: 4, tools: ['python', 'calculate'] },
    draw: (draw) => storyItem(draw, tell(draw, Math.max(least, draw.size))),
  };
}

function storyItem(draw: Draw, story: Story): Item {
  const { random } = draw;
  const result = story.events.reduce((at, { sign, by }) => apply(at, sign, by), story.start);
  const sentences: (Event | Aside)[] = [...story.events];
  if (random.chance(0.3)) sentences.splice(random.int(0, sentences.length), 0, random.pick(story.asides));
  const text = [story.opening, ...sentences.map(({ says }) => says)].join(' ');
  const final = story.answer(result);
  const expression = story.events.reduce(
    (at, { sign, by }, i) => `${i > 0 && (sign === '*' || sign === '/') ? `(${at})` : at} ${sign} ${by}`,
    String(story.start),
  );
  const plan = { text: planOf(story.start, sentences) };
  return {
    key: text,
    prompts: story.questions.slice(0, -1).map((question) => `${text} ${question}`),
    heldOutPrompts: [`${text} ${story.questions.at(-1)}`],
    solutions: threeLevels(
      final,
      [plan, ...workedOut(story, false, null)],
      fitting((slip) => [plan, ...workedOut(story, true, slip)], slipOf(draw)),
    ),
    tool: { expression, code: `print(${expression.replaceAll('/', '//')})`, result: String(result) },
    verify: (said) => saysNumber(said, result, numbersIn(text)),
  };
}

export const inventoryProblem = family('inventory-problem', inventory, 1);
export const shopProblem = family('shop-problem', shop, 1);
export const journeyProblem = family('journey-problem', journey, 1);
export const togetherProblem = family('together-problem', together, 2);
