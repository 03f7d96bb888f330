// Family 6: weekdays, dates and times of day. Medium goes month by month or hour by hour; high counts forwards and then
// backwards to where it began. Years 2020–2039 in training; one size harder spans more months, days and hours.

import { type Draw, type Family, type Item, type Piece, threeLevels, wordings } from './item.ts';
import type { Random } from './random.ts';
import { type Attempt, type Check, repaired, slipOf, verdict } from './repair.ts';
import { numbersIn, saysNumber } from './verify.ts';

const WEEKDAYS = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'];
const MONTHS = [
  ...['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October'],
  ...['November', 'December'],
];

const two = (n: number): string => String(n).padStart(2, '0');
const isLeap = (year: number): boolean => year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
const daysIn = (year: number, month: number): number =>
  month === 2 ? (isLeap(year) ? 29 : 28) : [4, 6, 9, 11].includes(month) ? 30 : 31;

function family(name: string, draw: (draw: Draw) => Item): Family {
  return { name, suite: 6, sizes: 4, tools: ['python'], draw };
}

export const weekday = family('weekday', (draw) => {
  const { random, size } = draw;
  const start = random.int(0, 6);
  const days = random.int(1, [6, 20, 60, 150, 500][size - 1]!);
  const isBack = random.chance(0.25);
  const step = isBack ? -1 : 1;
  const [weeks, rest] = [Math.floor(days / 7), days % 7];
  const at = (n: number): string => WEEKDAYS[(((start + n * step) % 7) + 7) % 7]!;
  const day = at(days);
  const walked = Array.from({ length: rest }, (_, i) => at(i + 1));
  const first = WEEKDAYS[start]!;
  const attempt = (slip: Random | null): Attempt<string> => {
    const found = slip === null ? day : WEEKDAYS[(WEEKDAYS.indexOf(day) + slip.pick([1, 6])) % 7]!;
    const steps = walked.map((name, i) => (i === rest - 1 ? found : name));
    const lines = steps.map((name, i): Piece[] => [
      { text: `\n${i + 1} ` },
      { text: name, isSlip: name !== walked[i] },
    ]);
    const shown = rest === 0 ? [{ text: `\nrest 0: ` }, { text: found, isSlip: found !== day }] : lines.flat();
    return {
      pieces: [{ text: `${weeks}*7=${weeks * 7}, ${days}-${weeks * 7}=${rest}\n0 ${first}` }, ...shown],
      result: found,
    };
  };
  const check = (found: string): Check => {
    const back = Array.from(
      { length: rest },
      (_, i) => WEEKDAYS[(((WEEKDAYS.indexOf(found) - (i + 1) * step) % 7) + 7) % 7]!,
    );
    const end = back.at(-1) ?? found;
    const way = [found, ...back].map((name, i) => `${rest - i} ${name}`).join('\n');
    return verdict(`Back:\n${way}\n${end} is ${end === first ? '' : 'not '}${first}`, end === first);
  };
  return {
    key: `${first} ${isBack ? '-' : '+'}${days}`,
    ...wordings(
      isBack
        ? [
            `What day was it ${days} days before ${first}?`,
            `Which weekday is ${days} days before a ${first}?`,
            `Today is ${first}. What day was it ${days} days ago?`,
            `Go back ${days} days from ${first}. Which day is it?`,
          ]
        : [
            `What day is it ${days} days after ${first}?`,
            `Which weekday is ${days} days after a ${first}?`,
            `Today is ${first}. What day is it in ${days} days?`,
            `Count ${days} days on from ${first}. Which day is it?`,
          ],
    ),
    solutions: threeLevels(
      `It is ${day}.`,
      [`${days}=${weeks}*7+${rest}\n${[first, ...walked].join(', ')}`],
      repaired(attempt, check, slipOf(draw)),
    ),
    tool: {
      code: `days = ${JSON.stringify(WEEKDAYS).replaceAll(',', ', ')}\nprint(days[(${start} ${isBack ? '-' : '+'} ${days}) % 7])`,
      result: day,
    },
    verify: (said) => {
      const named = WEEKDAYS.filter((name) => said.includes(name));
      return (
        named.includes(day) &&
        named.every((name) => name === day || name === first) &&
        said.trimEnd().replace(/\.$/, '').endsWith(day)
      );
    },
  };
});

interface Day {
  readonly year: number;
  readonly month: number; // 1–12
  readonly day: number;
}

const iso = ({ year, month, day }: Day): string => `${year}-${two(month)}-${two(day)}`;

function drawDay(random: Random): Day {
  const [year, month] = [random.int(2020, 2039), random.int(1, 12)];
  return { year, month, day: random.int(1, daysIn(year, month)) };
}

/** Month by month: how many days to the end of this one, what is left. Medium and high share it, high names the month. */
function addDays(start: Day, days: number, isFull: boolean, slip: Random | null): Attempt<Day> {
  const pieces: Piece[] = [];
  let { year, month } = start;
  let at = start.day + days;
  const total = at;
  pieces.push({ text: `${start.day}+${days}=` });
  const slipped = slip === null ? 0 : slip.pick([1, -1]);
  if (at + slipped > 0) at += slipped;
  pieces.push({ text: String(at), isSlip: at !== total });
  while (at > daysIn(year, month)) {
    const length = daysIn(year, month);
    const name = isFull ? `${MONTHS[month - 1]} ${year} has ${length}` : `${two(month)} has ${length}`;
    pieces.push({ text: `\n${name}: ${at}-${length}=${at - length}` });
    at -= length;
    month = (month % 12) + 1;
    if (month === 1) year++;
  }
  const result = { year, month, day: at };
  pieces.push({ text: `\n${iso(result)}` });
  return { pieces, result };
}

/** Back by as many days has to end at the start. */
function subtractDays(found: Day, days: number, start: Day): Check {
  const lines: string[] = [`Back: ${found.day}-${days}=${found.day - days}`];
  let { year, month } = found;
  let at = found.day - days;
  while (at < 1) {
    month = month === 1 ? 12 : month - 1;
    if (month === 12) year--;
    const length = daysIn(year, month);
    lines.push(`${MONTHS[month - 1]} ${year} has ${length}: ${length}${at < 0 ? at : '-0'}=${at + length}`);
    at += length;
  }
  const back = iso({ year, month, day: at });
  const isRight = back === iso(start);
  return verdict(`${lines.join('\n')}\n${back} is ${isRight ? '' : 'not '}${iso(start)}`, isRight);
}

export const dateAfter = family('date-after', (draw) => {
  const { random, size } = draw;
  const start = drawDay(random);
  const days = random.int(1, [9, 25, 50, 90, 200][size - 1]!);
  const { result, pieces } = addDays(start, days, false, null);
  const date = iso(result);
  return {
    key: `${iso(start)}+${days}`,
    ...wordings([
      `What date is ${days} days after ${iso(start)}?`,
      `Which date comes ${days} days after ${iso(start)}?`,
      `Add ${days} days to ${iso(start)}.`,
      `Today is ${iso(start)}. What is the date in ${days} days?`,
      `It is ${iso(start)}. Which date do we write ${days} days later?`,
    ]),
    solutions: threeLevels(
      `It is ${date}.`,
      [...pieces],
      repaired(
        (slip) => addDays(start, days, true, slip),
        (found) => subtractDays(found, days, start),
        slipOf(draw),
      ),
    ),
    tool: {
      code: `from datetime import date, timedelta\nprint(date(${start.year}, ${start.month}, ${start.day}) + timedelta(${days}))`,
      result: date,
    },
    verify: (said) => {
      const dates: string[] = said.match(/\d{4}-\d\d-\d\d/g) ?? [];
      return dates.at(-1) === date && dates.every((other) => other === date || other === iso(start));
    },
  };
});

/** Whole months between two days of one year, and the ends. */
function daysBetween(from: Day, to: Day, isFull: boolean, slip: Random | null): Attempt<number> {
  if (from.month === to.month) {
    const right = to.day - from.day;
    const written = slip === null ? right : right + slip.pick([1, -1]);
    return {
      pieces: [{ text: `${to.day}-${from.day}=` }, { text: String(written), isSlip: written !== right }],
      result: written,
    };
  }
  const name = (month: number): string => (isFull ? MONTHS[month - 1]! : two(month));
  const length = daysIn(from.year, from.month);
  const pieces: Piece[] = [{ text: `${name(from.month)} ${length}-${from.day}=${length - from.day}` }];
  let total = length - from.day;
  for (let month = from.month + 1; month <= to.month; month++) {
    const more = month === to.month ? to.day : daysIn(from.year, month);
    const right = total + more;
    const isSlip = slip !== null && month === to.month;
    const written = isSlip ? right + slip.pick([1, -1, 10]) : right;
    pieces.push({ text: `\n${name(month)} ${more}: ${total}+${more}=` }, { text: String(written), isSlip });
    total = written;
  }
  return { pieces, result: total };
}

export const daysApart = family('days-apart', (draw) => {
  const { random, size } = draw;
  const from = drawDay(random);
  const month = Math.min(12, from.month + random.int(size === 1 ? 0 : 1, size));
  const length = daysIn(from.year, month);
  const day = month === from.month ? random.int(from.day, length) : random.int(1, length);
  const to: Day = { year: from.year, month, day };
  const { result, pieces } = daysBetween(from, to, false, null);
  const check = (found: number): Check => subtractDays(to, found, from);
  return {
    key: `${iso(from)} ${iso(to)}`,
    ...wordings([
      `How many days are there from ${iso(from)} to ${iso(to)}?`,
      `How many days is it from ${iso(from)} to ${iso(to)}?`,
      `Count the days from ${iso(from)} to ${iso(to)}.`,
      `Days between ${iso(from)} and ${iso(to)}?`,
      `It is ${iso(from)}. In how many days is ${iso(to)}?`,
    ]),
    solutions: threeLevels(
      `There are ${result} days.`,
      [...pieces],
      repaired((slip) => daysBetween(from, to, true, slip), check, slipOf(draw)),
    ),
    tool: {
      code: `from datetime import date\nprint((date(${to.year}, ${to.month}, ${to.day}) - date(${from.year}, ${from.month}, ${from.day})).days)`,
      result: String(result),
    },
    verify: (said) => saysNumber(said.replace(/\d{4}-\d\d-\d\d/g, ''), result),
  };
});

const clock = (minutes: number): string => {
  const at = ((minutes % 1440) + 1440) % 1440;
  return `${Math.floor(at / 60)}:${two(at % 60)}`;
};

/** Hours and minutes added apart; sixty minutes are carried. */
function addTime(start: number, add: number, slip: Random | null): Attempt<number> {
  const [h, m, dh, dm] = [Math.floor(start / 60), start % 60, Math.floor(add / 60), add % 60];
  const minutes = m + dm;
  const carry = minutes >= 60 ? 1 : 0;
  const hours = h + dh + carry;
  const right = minutes - 60 * carry;
  const written = slip === null ? right : (right + slip.pick([10, 50, 1])) % 60;
  const pieces: Piece[] = [
    { text: `${add} = ${dh} h ${dm}\n${m}+${dm}=${minutes}${carry === 1 ? `, ${minutes}-60=` : ': '}` },
    { text: String(written), isSlip: written !== right },
    { text: carry === 1 ? ', carry 1' : '' },
    {
      text: `\n${h}+${dh}+${carry}=${hours}${hours > 23 ? `, ${hours}-24=${hours - 24}` : ''}\n${hours % 24}:${two(written)}`,
    },
  ];
  return { pieces, result: (hours % 24) * 60 + written };
}

export const timeLater = family('time-later', (draw) => {
  const { random, size } = draw;
  const start = random.int(0, 1439);
  const add = random.int(1, [30, 60, 180, 500, 1400][size - 1]!);
  const end = clock(start + add);
  const check = (found: number): Check => {
    const [fh, fm, h, m] = [Math.floor(found / 60), found % 60, Math.floor(start / 60), start % 60];
    const hours = (fh - h + 24) % 24;
    const full = (found - start + 1440) % 1440;
    const text =
      fm >= m
        ? `Back: from ${h}:${two(m)} to ${fh}:${two(m)}: ${hours} h = ${hours * 60}\n${two(m)} to ${two(fm)}: ${fm - m}\n${hours * 60}+${fm - m}=${full}`
        : `Back: from ${h}:${two(m)} to ${(fh + 23) % 24}:${two(m)}: ${(hours + 23) % 24} h = ${((hours + 23) % 24) * 60}\n${two(m)} to 60 and ${two(fm)}: ${60 - m + fm}\n${((hours + 23) % 24) * 60}+${60 - m + fm}=${full}`;
    const isRight = full === add;
    return verdict(`${text}\n${full} is ${isRight ? '' : 'not '}${add}`, isRight);
  };
  return {
    key: `${clock(start)}+${add}`,
    ...wordings([
      `What time is it ${add} minutes after ${clock(start)}?`,
      `It is ${clock(start)}. What time is it in ${add} minutes?`,
      `Add ${add} minutes to ${clock(start)}.`,
      `A film starts at ${clock(start)} and takes ${add} minutes. When does it end?`,
      `My train leaves at ${clock(start)} and needs ${add} minutes. When does it arrive?`,
    ]),
    solutions: threeLevels(
      `It is ${end}.`,
      [...addTime(start, add, null).pieces.slice(0, -1), { text: `\n${end}` }],
      [
        { text: `Start ${clock(start)}, add ${add}\n` },
        ...repaired((slip) => addTime(start, add, slip), check, slipOf(draw)),
      ],
    ),
    tool: {
      code: `t = ${Math.floor(start / 60)} * 60 + ${start % 60} + ${add}\nprint(f"{t // 60 % 24}:{t % 60:02d}")`,
      result: end,
    },
    verify: (said) => {
      const times = said.match(/\d{1,2}:\d\d/g) ?? [];
      return (
        times.at(-1) === end &&
        times.every((time) => time === end || time === clock(start)) &&
        numbersIn(said).length <= 5
      );
    },
  };
});
