// Family 6: weekdays, dates and times of day. Divisions, sums and differences are written digit by digit (written.ts), months
// are gone through one a line, weekdays are counted with their numbers. High undoes each operation, and counts weekdays
// backwards, to see whether it comes back to where it was. Years 2020–2039 in training; one size harder spans more months,
// days and hours.

import { type Draw, type Family, type Item, type Piece, threeLevels, wordings } from './item.ts';
import type { Random } from './random.ts';
import { type Attempt, type Check, repaired, slipOf, verdict } from './repair.ts';
import { numbersIn, saysNumber } from './verify.ts';
import { atOnce, counted, fitting, slippedDivision, worked } from './written.ts';

const WEEKDAYS = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'];
const two = (n: number): string => String(n).padStart(2, '0');
const isLeap = (year: number): boolean => year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
const daysIn = (year: number, month: number): number =>
  month === 2 ? (isLeap(year) ? 29 : 28) : [4, 6, 9, 11].includes(month) ? 30 : 31;

function family(name: string, draw: (draw: Draw) => Item): Family {
  return { name, suite: 6, sizes: 4, tools: ['python'], draw };
}

/** Long division by seven: whole weeks, and the days that are left. */
function inWeeks(days: number, slip: Random | null): Attempt<readonly [number, number]> {
  const { pieces, quotient, rest } = slippedDivision(days, 7, slip);
  return { pieces: [...pieces, { text: `\n${counted(quotient, 'weeks')}, rest ${rest}` }], result: [quotient, rest] };
}

/** Sevens again, from the right, beginning with the days that were left. */
function weeksBack(days: number, [weeks, rest]: readonly [number, number]): Check {
  let carry = rest;
  const lines = [...String(weeks)].map(Number).reverse();
  const sums = lines.map((digit) => {
    const value = 7 * digit + carry;
    const line = `7*${digit}=${7 * digit}, +${carry}=${value}`;
    carry = Math.floor(value / 10);
    return line;
  });
  const back = 7 * weeks + rest;
  return verdict(`Back\n${sums.join('\n')}\n${back}, was ${days}`, back === days);
}

export const weekday = family('weekday', (draw) => {
  const { random, size } = draw;
  const start = random.int(0, 6);
  const days = random.int(1, [6, 20, 60, 150, 500][size - 1]!);
  const isBack = random.chance(0.25);
  const step = isBack ? -1 : 1;
  const rest = days % 7;
  const at = (n: number): string => WEEKDAYS[(((start + n * step) % 7) + 7) % 7]!;
  const day = at(days);
  const first = WEEKDAYS[start]!;
  const sign = isBack ? '-' : '+';
  const walk = (slip: Random | null): Attempt<string> => {
    const end = slip === null ? day : WEEKDAYS[(WEEKDAYS.indexOf(day) + slip.pick([1, 6])) % 7]!;
    const lines = Array.from({ length: rest }, (_, i) => `${sign}${i + 1} ${i === rest - 1 ? '' : at(i + 1)}`);
    const text = [`Day ${sign}${rest}\n0 ${rest === 0 ? '' : first}`, ...lines].join('\n');
    return { pieces: [{ text }, { text: end, isSlip: end !== day }], result: end };
  };
  const check = (found: string): Check => {
    const from = WEEKDAYS.indexOf(found);
    const back = Array.from(
      { length: rest + 1 },
      (_, i) => `${rest === i ? '' : sign}${rest - i} ${WEEKDAYS[(from - i * step + 14) % 7]}`,
    );
    const end = back.at(-1)!.split(' ')[1]!;
    return verdict(`Back\n${back.join('\n')}\n${end}, was ${first}`, end === first);
  };
  const slip = slipOf(draw);
  const slipsInWeeks = slip?.chance(0.4) === true;
  const said = counted(days, 'days');
  return {
    key: `${first} ${isBack ? '-' : '+'}${days}`,
    ...wordings(
      isBack
        ? [
            `What day was it ${said} before ${first}?`,
            `Which weekday is ${said} before a ${first}?`,
            `Today is ${first}. What day was it ${said} ago?`,
            `Today is ${first}. Which day was ${said} ago?`,
            `It is ${first} now. What weekday was it ${said} earlier?`,
            `If today is ${first}, what day was it ${said} before?`,
            `Name the weekday ${said} before ${first}.`,
            `Go back ${said} from ${first}. Which day is it?`,
          ]
        : [
            `What day is it ${said} after ${first}?`,
            `Which weekday is ${said} after a ${first}?`,
            `Today is ${first}. What day is it in ${said}?`,
            `Today is ${first}. Which day comes ${said} later?`,
            `It is ${first} now. What weekday will it be in ${said}?`,
            `If today is ${first}, what day is it after ${said}?`,
            `Name the weekday ${said} after ${first}.`,
            `Count ${said} on from ${first}. Which day is it?`,
          ],
    ),
    solutions: threeLevels(
      `It is ${day}.`,
      [...inWeeks(days, null).pieces, { text: '\n' }, ...walk(null).pieces],
      [
        ...repaired(
          (withSlip) => inWeeks(days, withSlip),
          (found) => weeksBack(days, found),
          slipsInWeeks ? slip : null,
        ),
        { text: '\n' },
        ...repaired(walk, check, slipsInWeeks ? null : slip),
      ],
    ),
    tool: {
      code: `days = ${JSON.stringify(WEEKDAYS).replaceAll(',', ', ')}\nprint(days[(${start} ${isBack ? '-' : '+'} ${days}) % 7])`,
      result: day,
    },
    verify: (final) => {
      const named = WEEKDAYS.filter((name) => final.includes(name));
      return (
        named.includes(day) &&
        named.every((name) => name === day || name === first) &&
        final.trimEnd().replace(/\.$/, '').endsWith(day)
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

/** The length of a month; February's by whether four divides the year. */
function lengthLine(year: number, month: number): string {
  const leap = month === 2 ? `${year % 100}/4 rest ${year % 4}, ` : '';
  return `${year}-${two(month)}: ${leap}has ${daysIn(year, month)}`;
}

/** Month by month: the days are too many for this one, so its length is taken off. */
function addDays(start: Day, days: number, isFull: boolean, slip: Random | null): Piece[] {
  let { year, month } = start;
  let at = start.day + days;
  const pieces: Piece[] = [...worked(start.day, '+', days, isFull, slip)];
  for (; at > daysIn(year, month); month = (month % 12) + 1, year += month === 1 ? 1 : 0) {
    const length = daysIn(year, month);
    pieces.push({ text: `\n${lengthLine(year, month)}, ${at} is more\n` }, ...worked(at, '-', length, isFull));
    at -= length;
  }
  return [...pieces, { text: `\n${lengthLine(year, month)}, ${at} fits\n${iso({ year, month, day: at })}` }];
}

export const dateAfter = family('date-after', (draw) => {
  const { random, size } = draw;
  const start = drawDay(random);
  const days = random.int(1, [9, 25, 50, 90, 200][size - 1]!);
  const date = new Date(Date.UTC(start.year, start.month - 1, start.day + days)).toISOString().slice(0, 10);
  const more = counted(days, 'days');
  return {
    key: `${iso(start)}+${days}`,
    ...wordings([
      `What date is ${more} after ${iso(start)}?`,
      `Which date comes ${more} after ${iso(start)}?`,
      `Add ${more} to ${iso(start)}.`,
      `Today is ${iso(start)}. What is the date in ${more}?`,
      `Today is ${iso(start)}. What date will it be after ${more}?`,
      `${iso(start)} plus ${more}?`,
      `Which day is ${more} later than ${iso(start)}?`,
      `If I count ${more} on from ${iso(start)}, which date do I get?`,
      `It is ${iso(start)}. Which date do we write ${more} later?`,
    ]),
    solutions: threeLevels(
      `It is ${date}.`,
      addDays(start, days, false, null),
      fitting((slip) => addDays(start, days, true, slip), slipOf(draw)),
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

/** Month after month to the last, each with its days. The slip is in one of the operations. */
function daysBetween(from: Day, to: Day, isFull: boolean, slip: Random | null): Piece[] {
  if (from.month === to.month) {
    const text = `${two(from.month)} to ${two(to.month)}: same month\n`;
    return [{ text }, ...worked(to.day, '-', from.day, isFull, slip)];
  }
  const slipAt = slip === null ? -1 : slip.int(0, to.month - from.month);
  const slipOfMonth = (month: number): Random | null => (slipAt === month - from.month ? slip : null);
  let total = daysIn(from.year, from.month) - from.day;
  const pieces: Piece[] = [
    { text: `${two(from.month)} to ${two(to.month)}\n${lengthLine(from.year, from.month)}\n` },
    ...worked(total + from.day, '-', from.day, isFull, slipOfMonth(from.month)),
  ];
  for (let month = from.month + 1; month <= to.month; month++) {
    const isLast = month === to.month;
    const more = isLast ? to.day : daysIn(from.year, month);
    // Which month it is stands beside the last one, or the walk stops too early or never.
    const line = isLast
      ? `${iso(to).slice(0, 7)}, to ${two(to.month)}: last, ${to.day}`
      : lengthLine(from.year, month).replace(':', `, to ${two(to.month)}:`);
    pieces.push({ text: `\n${line}\n` }, ...worked(total, '+', more, isFull, slipOfMonth(month)));
    total += more;
  }
  return pieces;
}

export const daysApart = family('days-apart', (draw) => {
  const { random, size } = draw;
  const from = drawDay(random);
  const month = Math.min(12, from.month + random.int(size === 1 ? 0 : 1, size));
  const length = daysIn(from.year, month);
  const day = month === from.month ? random.int(from.day, length) : random.int(1, length);
  const to: Day = { year: from.year, month, day };
  const days = (a: Day): number => Date.UTC(a.year, a.month - 1, a.day) / 86_400_000;
  const result = days(to) - days(from);
  const isAre = result === 1 ? 'is' : 'are';
  const end = { text: `\nSo ${counted(result, 'days')}` };
  return {
    key: `${iso(from)} ${iso(to)}`,
    ...wordings([
      `How many days are there from ${iso(from)} to ${iso(to)}?`,
      `How many days is it from ${iso(from)} to ${iso(to)}?`,
      `Count the days from ${iso(from)} to ${iso(to)}.`,
      `Days between ${iso(from)} and ${iso(to)}?`,
      `How long is it from ${iso(from)} to ${iso(to)} in days?`,
      `How many days lie between ${iso(from)} and ${iso(to)}?`,
      `Today is ${iso(from)}. How many days are left until ${iso(to)}?`,
      `How many days after ${iso(from)} is ${iso(to)}?`,
      `It is ${iso(from)}. In how many days is ${iso(to)}?`,
    ]),
    solutions: threeLevels(
      `There ${isAre} ${counted(result, 'days')}.`,
      [...daysBetween(from, to, false, null), end],
      [...fitting((slip) => daysBetween(from, to, true, slip), slipOf(draw)), end],
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

/** Minutes and hours apart, a line each. */
function addTimeBriefly(start: number, add: number): string {
  const [h, m, dh, dm] = [Math.floor(start / 60), start % 60, Math.floor(add / 60), add % 60];
  const carry = m + dm >= 60 ? 1 : 0;
  return [
    `${add} min = ${dh} h ${two(dm)}`,
    `${m}+${dm}=${m + dm}${carry === 1 ? `, 1 h ${two(m + dm - 60)}` : ''}`,
    `${h}+${dh}+${carry}=${h + dh + carry}`,
    clock(start + add),
  ].join('\n');
}

/** Tens of minutes by six are hours; then minutes and hours are added apart, and sixty minutes are carried. */
function addTime(start: number, add: number, slip: Random | null): Piece[] {
  const [h, m, dh, dm] = [Math.floor(start / 60), start % 60, Math.floor(add / 60), add % 60];
  const [minutes, slipAt] = [m + dm, slip?.int(0, 2) ?? -1];
  const carry = minutes >= 60 ? 1 : 0;
  const hours = h + dh + carry;
  const carried = carry === 1 ? `${minutes}-60=${minutes - 60}, carry 1` : `${minutes} is below 60, carry 0`;
  const day = hours > 23 ? `${hours}-24=${hours - 24}` : `${hours} is below 24`;
  const sum = `${h}+${dh}+${carry}=`;
  return [
    ...repaired(
      (withSlip) => inHours(add, withSlip),
      ([a, b]) => hoursBack(add, a, b),
      slipAt === 0 ? slip : null,
    ),
    { text: `\nMinutes ` },
    ...worked(m, '+', dm, true, slipAt === 1 ? slip : null),
    { text: `\n${carried}\nHours ` },
    ...repaired(
      (withSlip) => atOnce(sum, hours, withSlip),
      (found) => verdict(`Back: ${found}-${carry}-${dh}=${found - carry - dh}, was ${h}`, found === hours),
      slipAt === 2 ? slip : null,
    ),
    { text: `\n${day}\n${clock(start + add)}` },
  ];
}

function inHours(add: number, slip: Random | null): Attempt<readonly [number, number]> {
  const { pieces, quotient, rest } = slippedDivision(Math.floor(add / 10), 6, slip);
  const minutes = rest * 10 + (add % 10);
  return {
    pieces: [{ text: `${add} min\n` }, ...pieces, { text: `\n${quotient} h ${two(minutes)}` }],
    result: [quotient, minutes],
  };
}

function hoursBack(add: number, h: number, m: number): Check {
  const back = h * 60 + m;
  const tens = Math.floor(m / 10);
  return verdict(`Back: 6*${h}=${6 * h}, ${6 * h}+${tens}=${6 * h + tens}\n${back}, was ${add}`, back === add);
}

export const timeLater = family('time-later', (draw) => {
  const { random, size } = draw;
  const start = random.int(0, 1439);
  const add = random.int(1, [30, 60, 180, 500, 1400][size - 1]!);
  const end = clock(start + add);
  const more = counted(add, 'minutes');
  return {
    key: `${clock(start)}+${add}`,
    ...wordings([
      `What time is it ${more} after ${clock(start)}?`,
      `It is ${clock(start)}. What time is it in ${more}?`,
      `Add ${more} to ${clock(start)}.`,
      `A film starts at ${clock(start)} and takes ${more}. When does it end?`,
      `It is ${clock(start)} now. What will the clock say after ${more}?`,
      `${clock(start)} plus ${more}?`,
      `The meeting begins at ${clock(start)} and lasts ${more}. When is it over?`,
      `What is the time ${more} later than ${clock(start)}?`,
      `My train leaves at ${clock(start)} and needs ${more}. When does it arrive?`,
    ]),
    solutions: threeLevels(`It is ${end}.`, [{ text: addTimeBriefly(start, add) }], addTime(start, add, slipOf(draw))),
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
