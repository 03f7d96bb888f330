// Family 5: small stories with numbers. Things come and go, boxes of equal content, a shop and its change, a way in pieces,
// two people compared. Some sentences have a number that is of no use. Medium writes one operation a line; high says what
// each number is, leaves out what is of no use, and goes back from the result to the beginning.

import { type Draw, type Family, type Item, type Piece, threeLevels } from './item.ts';
import type { Random } from './random.ts';
import { type Attempt, type Check, repaired, slipOf, verdict, wrongNumber } from './repair.ts';
import { numbersIn, saysNumber } from './verify.ts';
import { names, part, things } from './words.ts';

type Sign = '+' | '-' | '*' | '/';

/** What happens next: the running value, and the sentence that says so. */
interface Event {
  readonly sign: Sign;
  readonly by: number;
  readonly says: string;
  /** What the number is: `Ben gives 5`. */
  readonly means: string;
}

interface Story {
  readonly start: number;
  readonly opening: string;
  readonly startMeans: string;
  readonly events: readonly Event[];
  readonly questions: readonly string[]; // the last is for tests
  readonly answer: (result: number) => string;
  readonly unit: string;
  /** Sentences with a number that does not matter. */
  readonly asides: readonly string[];
}

const apply = (a: number, sign: Sign, b: number): number =>
  sign === '+' ? a + b : sign === '-' ? a - b : sign === '*' ? a * b : a / b;

const inverse = { '+': '-', '-': '+', '*': '/', '/': '*' } as const;

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
    ...{ start, events, unit: what, startMeans: `${who} has ${start}` },
    opening: random.pick([`${who} has ${start} ${what}.`, `At first ${who} has ${start} ${what}.`]),
    questions: isShared
      ? [`How many ${what} are in each bag?`, `How many ${what} does each bag hold?`, `What is in one bag?`]
      : [
          `How many ${what} does ${who} have now?`,
          `How many ${what} does ${who} have in the end?`,
          `How many ${what} are left for ${who}?`,
          `Count the ${what} of ${who} now.`,
        ],
    answer: (n) => (isShared ? `Each bag holds ${n} ${what}.` : `${who} has ${n} ${what}.`),
    asides: [
      `${who} is ${random.int(6, 60)} years old.`,
      `${friend} has ${random.int(2, 9)} brothers.`,
      `It is ${random.int(2, 11)} o'clock.`,
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
    return [{ sign: '/', by: share, says, means: `${share} bags` }, at / share];
  }
  const kind = random.weighted([4, at > 3 ? 4 : 0, at <= 20 ? 1 : 0]);
  if (kind === 2) {
    const by = random.int(2, 4);
    const says = `Then ${who} gets ${by} times as many.`;
    return [{ sign: '*', by, says, means: `${by} times` }, at * by];
  }
  if (kind === 0) {
    const by = random.int(2, 40);
    const says = random.pick([
      `${friend} gives ${who} ${by} more.`,
      `${who} buys ${by} more.`,
      `${who} finds ${by} ${what}.`,
      `Then ${who} gets ${by} from ${friend}.`,
    ]);
    return [{ sign: '+', by, says, means: `${by} more` }, at + by];
  }
  const by = random.int(1, Math.min(at - 1, 40));
  const says = random.pick([
    `${who} gives ${by} to ${friend}.`,
    `${who} loses ${by} of them.`,
    `${friend} takes ${by} away.`,
    `Then ${who} sells ${by}.`,
  ]);
  return [{ sign: '-', by, says, means: `${by} fewer` }, at - by];
}

/** Price times count, more of it, and the change. */
function shop({ random, heldOut }: Draw, steps: number): Story {
  const who = random.pick(part(names, heldOut));
  const [what, other] = random.sample(part(things, heldOut), 2) as [string, string];
  const price = random.int(2, 12);
  const count = random.int(2, 9);
  const events: Event[] = [{ sign: '*', by: count, says: `${who} buys ${count} of them.`, means: `${count} ${what}` }];
  let at = price * count;
  for (let i = 1; i < steps; i++) {
    const isLast = i === steps - 1;
    if (isLast && random.chance(0.5)) {
      const off = random.int(1, Math.max(1, Math.min(9, at - 1)));
      events.push({ sign: '-', by: off, says: `There are ${off} dollars off.`, means: `${off} dollars off` });
      at -= off;
    } else {
      const more = random.int(2, 30);
      events.push({
        sign: '+',
        by: more,
        says: `${who} also buys ${other} for ${more} dollars.`,
        means: `${more} dollars more`,
      });
      at += more;
    }
  }
  return {
    ...{ start: price, events, unit: 'dollars', startMeans: `one costs ${price}` },
    opening: random.pick([`One of the ${what} costs ${price} dollars.`, `The ${what} cost ${price} dollars each.`]),
    questions: [
      `How many dollars does ${who} pay?`,
      `How much does ${who} pay in dollars?`,
      `What does ${who} pay?`,
      `What is the price of all that in dollars?`,
    ],
    answer: (n) => `${who} pays ${n} dollars.`,
    asides: [
      `The shop opens at ${random.int(7, 10)} o'clock.`,
      `${who} has ${random.int(2, 5)} bags.`,
      `There are ${random.int(3, 30)} people in the shop.`,
    ],
  };
}

/** A way in pieces. */
function journey({ random, heldOut }: Draw, steps: number): Story {
  const who = random.pick(part(names, heldOut));
  const [speed, hours] = [random.int(3, 12) * random.pick([1, 5]), random.int(2, 6)];
  const events: Event[] = [{ sign: '*', by: hours, says: `The ride takes ${hours} hours.`, means: `${hours} hours` }];
  let at = speed * hours;
  for (let i = 1; i < steps; i++) {
    const more = random.int(1, 40);
    if (random.chance(0.65) || more >= at) {
      events.push({ sign: '+', by: more, says: `Then ${who} rides ${more} km further.`, means: `${more} km further` });
      at += more;
    } else {
      events.push({ sign: '-', by: more, says: `Then ${who} rides ${more} km back.`, means: `${more} km back` });
      at -= more;
    }
  }
  return {
    ...{ start: speed, events, unit: 'km', startMeans: `${speed} km each hour` },
    opening: `${who} rides ${speed} km each hour.`,
    questions: [
      `How many km from the start is ${who}?`,
      `How far from the start is ${who} in km?`,
      `How many km lie between ${who} and the start?`,
      `What is the distance to the start in km?`,
    ],
    answer: (n) => `${who} is ${n} km from the start.`,
    asides: [`The bicycle is ${random.int(1, 12)} years old.`, `${who} rests ${random.int(2, 9)} times.`],
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
      ...{ sign: isMore ? '+' : '-', by, means: `${b} has ${second}` },
      says: `${b} has ${by} ${isMore ? 'more' : 'fewer'} than ${a}.`,
    },
    { sign: '+', by: start, says: `They put all of them together.`, means: `${start} of ${a}` },
  ];
  let at = start + second;
  for (let i = 2; i < steps; i++) {
    const lost = random.int(1, Math.max(1, Math.min(20, at - 1)));
    events.push({ sign: '-', by: lost, says: `Then they sell ${lost}.`, means: `${lost} sold` });
    at -= lost;
  }
  return {
    ...{ start, events, unit: what, startMeans: `${a} has ${start}` },
    opening: `${a} has ${start} ${what}.`,
    questions: [
      `How many ${what} do they have?`,
      `How many ${what} do ${a} and ${b} have now?`,
      `How many ${what} are there?`,
      `What is the number of ${what} of both?`,
    ],
    answer: (n) => `They have ${n} ${what}.`,
    asides: [`${b} is ${random.int(6, 60)} years old.`, `They live in house ${random.int(2, 90)}.`],
  };
}

/** Each event on a line of its own, from the start; with a slip, one result is wrong and the rest follows from it. */
function forward({ start, events }: Story, isFull: boolean, slip: Random | null): Attempt<number> {
  const slipAt = slip === null ? -1 : slip.int(0, events.length - 1);
  const pieces: Piece[] = [];
  let at = start;
  for (const [i, { sign, by, means }] of events.entries()) {
    const right = apply(at, sign, by);
    const isSlip = i === slipAt;
    const written = isSlip ? wrongNumber(Math.floor(right), slip!) : Math.floor(right);
    pieces.push({ text: `${i === 0 ? '' : '\n'}${isFull ? `${means}: ` : ''}${at} ${sign} ${by} = ` });
    pieces.push({ text: String(written), isSlip });
    at = written;
  }
  return { pieces, result: at };
}

/** From a result back to the start, undoing the last event first. */
function backward({ start, events }: Story, result: number): Check {
  const lines: string[] = [];
  let at = result;
  for (const { sign, by } of [...events].reverse()) {
    const undone = inverse[sign];
    const next = apply(at, undone, by);
    if (next < 0 || !Number.isInteger(next))
      return verdict(`Back: ${[...lines, `${at} ${undone} ${by} fails`].join(', ')}`, false);
    lines.push(`${at} ${undone} ${by} = ${next}`);
    at = next;
  }
  const isRight = at === start;
  return verdict(`Back: ${lines.join(', ')}, ${at} is ${isRight ? '' : 'not '}${start}`, isRight);
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
  const sentences = [story.opening, ...story.events.map(({ says }) => says)];
  const aside = random.chance(0.3) ? random.pick(story.asides) : null;
  if (aside !== null) sentences.splice(random.int(1, sentences.length), 0, aside);
  const text = sentences.join(' ');
  const final = story.answer(result);
  const expression = story.events.reduce(
    (at, { sign, by }, i) => `${i > 0 && (sign === '*' || sign === '/') ? `(${at})` : at} ${sign} ${by}`,
    String(story.start),
  );
  const given = [`Given: ${story.startMeans}`, ...story.events.map(({ means }) => means)].join(', ');
  const useless = aside === null ? '' : `\nNo use: ${aside}`;
  return {
    key: text,
    prompts: story.questions.slice(0, -1).map((question) => `${text} ${question}`),
    heldOutPrompts: [`${text} ${story.questions.at(-1)}`],
    solutions: threeLevels(
      final,
      [...forward(story, false, null).pieces],
      [
        { text: `${given}${useless}\nWanted: ${story.unit}\n` },
        ...repaired(
          (slip) => forward(story, true, slip),
          (found) => backward(story, found),
          slipOf(draw),
        ),
      ],
    ),
    tool: { expression, code: `print(${expression.replaceAll('/', '//')})`, result: String(result) },
    verify: (said) => saysNumber(said, result, numbersIn(text)),
  };
}

export const inventoryProblem = family('inventory-problem', inventory, 1);
export const shopProblem = family('shop-problem', shop, 1);
export const journeyProblem = family('journey-problem', journey, 1);
export const togetherProblem = family('together-problem', together, 2);
