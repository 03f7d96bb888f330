// Family 13: reading from what the user gives: a table, JSON, or sentences. One value, the row with the largest or smallest,
// how many rows fulfil a condition. The rows are read in their order, `name value` a line: going on from row to row is easy
// for a small model, jumping into the middle of a table is not, and copying what follows a name in such a list is easy
// again. Comparisons stand after both numbers. High reads the rows a second time, from the end.

import { pythonJson } from './function-concepts.ts';
import { type Draw, type Family, type Piece, threeLevels } from './item.ts';
import type { Random } from './random.ts';
import { type Attempt, type Check, repaired, slipOf, verdict } from './repair.ts';
import { saysNumber, saysWord } from './verify.ts';
import { inventedWord, names, part, places, things } from './words.ts';

interface Column {
  readonly name: string;
  value(draw: Draw): string | number;
}

const numeric = (name: string, least: number, most: number): Column => ({
  name,
  value: ({ random }) => random.int(least, most),
});

const COLUMNS: readonly Column[] = [
  numeric('age', 5, 90),
  numeric('price', 1, 99),
  numeric('points', 0, 200),
  numeric('room', 1, 60),
  numeric('stock', 0, 300),
  { name: 'city', value: ({ random, heldOut }) => random.pick(part(places, heldOut)) },
  { name: 'colour', value: ({ random }) => random.pick(['red', 'blue', 'green', 'yellow', 'black', 'white']) },
  { name: 'item', value: ({ random, heldOut }) => random.pick(part(things, heldOut)) },
  { name: 'code', value: ({ random }) => inventedWord(random, random.int(4, 6)) },
];

type Row = Readonly<Record<string, string | number>>;

interface Table {
  readonly columns: readonly string[]; // beside name
  readonly rows: readonly Row[];
}

/** Size n: n + 2 rows, one to three columns beside the name. */
function drawTable(draw: Draw, needsNumber: boolean): Table {
  const { random, size, heldOut } = draw;
  const numbers = COLUMNS.slice(0, 5);
  const first = random.pick(needsNumber ? numbers : COLUMNS);
  const others = random.sample(
    COLUMNS.filter((column) => column !== first),
    random.int(0, Math.min(2, size)),
  );
  const columns = random.shuffle([first, ...others]);
  const who = random.sample(part(names, heldOut), Math.min(size + 2, 7));
  const rows = who.map((name) => ({
    name,
    ...Object.fromEntries(columns.map((column) => [column.name, column.value(draw)])),
  }));
  return { columns: columns.map(({ name }) => name), rows };
}

/** The table as the user writes it. */
function shownTable({ columns, rows }: Table, random: Random): string {
  const all = ['name', ...columns];
  const cells = (row: Row): string[] => all.map((column) => String(row[column]));
  switch (random.int(0, 3)) {
    case 0:
      return [all.join(', '), ...rows.map((row) => cells(row).join(', '))].join('\n');
    case 1:
      return `[${rows.map(pythonJson).join(',\n')}]`;
    case 2:
      return [
        `| ${all.join(' | ')} |`,
        `|${all.map(() => '---').join('|')}|`,
        ...rows.map((row) => `| ${cells(row).join(' | ')} |`),
      ].join('\n');
    default:
      return rows
        .map((row) => `${row['name']}: ${columns.map((column) => `${column} ${row[column]}`).join(', ')}`)
        .join('\n');
  }
}

const quoted = (row: Row): string => Object.values(row).join(', ');

function asked(table: string, questions: readonly string[]): { prompts: string[]; heldOutPrompts: string[] } {
  const put = (question: string): string[] => [`${table}\n\n${question}`, `${question}\n${table}`];
  return { prompts: questions.slice(0, -1).flatMap(put), heldOutPrompts: put(questions.at(-1)!).slice(0, 1) };
}

export const lookupValue: Family = {
  ...{ name: 'lookup-value', suite: 13, sizes: 4 },
  draw(draw) {
    const { random } = draw;
    const table = drawTable(draw, false);
    const column = random.pick(table.columns);
    const row = random.pick(table.rows);
    const who = row['name'] as string;
    const value = row[column]!;
    const text = shownTable(table, random);
    const is = column === 'points' ? 'are' : 'is';
    const line = (other: Row): string => `${other['name']} ${other[column]}`;
    // A slip reads the value of another row.
    const attempt = (slip: Random | null): Attempt<string | number> => {
      const others = table.rows.filter((other) => other[column] !== value);
      const wrong = slip === null || others.length === 0 ? value : slip.pick(others)[column]!;
      const pieces: Piece[] = [{ text: `Wanted: ${column} of ${who}` }];
      for (const other of table.rows) {
        if (other === row) pieces.push({ text: `\n${who} ` }, { text: String(wrong), isSlip: wrong !== value });
        else pieces.push({ text: `\n${line(other)}` });
      }
      pieces.push({ text: `\nFound: ${who} ${wrong}` });
      return { pieces, result: wrong };
    };
    const check = (found: string | number): Check => {
      const isRight = found === value;
      const lines = [...table.rows].reverse().map((other) => `${column} ${line(other)}`);
      return verdict(
        `From the end\n${lines.join('\n')}\nAgain: ${who} ${value}${isRight ? '' : `, not ${found}`}`,
        isRight,
      );
    };
    return {
      key: `${who} ${column} ${table.rows.map(quoted).join('; ')}`,
      ...asked(text, [
        `What ${is} the ${column} of ${who}?`,
        `Give me the ${column} of ${who}.`,
        `Which ${column} does ${who} have?`,
        `${who}: ${column}?`,
        `Tell me the ${column} of ${who}.`,
        `I need the ${column} of ${who}.`,
        `What does it say for ${who} under ${column}?`,
        `Find ${who} and tell me the ${column}.`,
        `Look up the ${column} for ${who}.`,
      ]),
      solutions: threeLevels(
        `The ${column} of ${who} ${is} ${value}.`,
        [
          `${column} of ${who}\n${table.rows
            .slice(0, table.rows.indexOf(row) + 1)
            .map(line)
            .join('\n')}\nFound: ${who} ${value}`,
        ],
        repaired(attempt, check, slipOf(draw)),
      ),
      verify: (said) => (typeof value === 'number' ? saysNumber(said, value) : saysWord(said, value)),
    };
  },
};

const compared = (a: number, b: number): string => (a === b ? 'same' : a < b ? 'less' : 'more');

/** Row after row against the best so far, which ends each line: `Noah 207, 202: more, Noah 207`. */
function walkToBest(
  rows: readonly Row[],
  column: string,
  wantsMost: boolean,
  slip: Random | null,
): { pieces: Piece[]; kept: Row } {
  const [first, ...others] = rows as [Row, ...Row[]];
  const slipAt = slip === null ? -1 : slip.int(0, others.length - 1);
  const named = (row: Row): string => `${row['name']} ${row[column]}`;
  const pieces: Piece[] = [{ text: named(first) }];
  let kept = first;
  others.forEach((row, i) => {
    const word = compared(row[column] as number, kept[column] as number);
    const isBetter = (word === (wantsMost ? 'more' : 'less')) !== (i === slipAt);
    pieces.push({ text: `\n${named(row)}, ${kept[column]}: ${word}, ` });
    if (isBetter) kept = row;
    pieces.push({ text: named(kept), isSlip: i === slipAt });
  });
  return { pieces, kept };
}

export const lookupExtreme: Family = {
  ...{ name: 'lookup-extreme', suite: 13, sizes: 4 },
  draw(draw) {
    const { random } = draw;
    let table: Table;
    let column: string;
    let sorted: Row[];
    do {
      table = drawTable(draw, true);
      column = table.columns.find((name) => typeof table.rows[0]![name] === 'number')!;
      sorted = [...table.rows].sort((a, b) => (a[column] as number) - (b[column] as number));
    } while (sorted[0]![column] === sorted[1]![column] || sorted.at(-1)![column] === sorted.at(-2)![column]);
    const wantsMost = random.chance(0.5);
    const best = wantsMost ? sorted.at(-1)! : sorted[0]!;
    const answer = best['name'] as string;
    const word = wantsMost ? 'highest' : 'lowest';
    const walk = (slip: Random | null): Attempt<Row> => {
      const { pieces, kept } = walkToBest(table.rows, column, wantsMost, slip);
      const found = `\nFound: ${kept['name']} ${kept[column]}`;
      return { pieces: [{ text: `Wanted: ${word} ${column}\n` }, ...pieces, { text: found }], result: kept };
    };
    // Against each row from the end, up to the first that is better.
    const check = (found: Row): Check => {
      const better = wantsMost ? 'more' : 'less';
      const lines: string[] = [];
      for (const row of [...table.rows].reverse()) {
        const how = compared(row[column] as number, found[column] as number);
        lines.push(`${row['name']} ${row[column]}, ${found[column]}: ${how}`);
        if (how === better) return verdict(`Check, none ${better}\n${lines.join('\n')}, not the ${word}`, false);
      }
      return verdict(`Check, none ${better}\n${lines.join('\n')}\nAnswer: ${found['name']}`, true);
    };
    return {
      key: `${word} ${column} ${table.rows.map(quoted).join('; ')}`,
      ...asked(shownTable(table, random), [
        `Who has the ${word} ${column}?`,
        `Which name has the ${word} ${column}?`,
        `Find the one with the ${word} ${column}.`,
        `Look at the ${column}: who has the ${word}?`,
        `Tell me who has the ${word} ${column}.`,
        `Name the one with the ${word} ${column}.`,
        `${word} ${column}: who?`,
        `By ${column}, who is the ${word}?`,
        `Whose ${column} is the ${word}?`,
      ]),
      solutions: threeLevels(
        `${answer} has the ${word} ${column}.`,
        [
          { text: `${word} ${column}\n` },
          ...walkToBest(table.rows, column, wantsMost, null).pieces,
          { text: `\n${word}: ${answer}` },
        ],
        repaired(walk, check, slipOf(draw)),
      ),
      verify: (said) => {
        const named = table.rows.filter((row) => new RegExp(`\\b${row['name']}\\b`).test(said));
        return named.length === 1 && named[0] === best;
      },
    };
  },
};

export const lookupCount: Family = {
  ...{ name: 'lookup-count', suite: 13, sizes: 4 },
  draw(draw) {
    const { random } = draw;
    const table = drawTable(draw, true);
    const column = table.columns.find((name) => typeof table.rows[0]![name] === 'number')!;
    const limit = (random.pick(table.rows)[column] as number) + random.int(-1, 1);
    const isOver = random.chance(0.5);
    const test = (row: Row): boolean => (isOver ? (row[column] as number) > limit : (row[column] as number) < limit);
    const count = table.rows.filter(test).length;
    const words = `${column} ${isOver ? 'over' : 'under'} ${limit}`;
    const having = column === 'points' ? words : `${column === 'age' ? 'an' : 'a'} ${words}`;
    /** One line a row, with the count so far at its end; `slipAt`: row that is judged wrongly. */
    const walk = (rows: readonly Row[], isFull: boolean, slipAt = -1): Attempt<number> => {
      let at = 0;
      const pieces = rows.flatMap((row, i): Piece[] => {
        const isSlip = i === slipAt;
        const fits = test(row) !== isSlip;
        if (fits) at++;
        const shown = `${row['name']} ${row[column]}, ${limit}: ${compared(row[column] as number, limit)}, `;
        if (!isFull) return [{ text: `\n${shown}${at}` }];
        return [{ text: `\n${shown}` }, { text: fits ? 'yes' : 'no', isSlip }, { text: `, ${at}` }];
      });
      return { pieces, result: at };
    };
    const attempt = (slip: Random | null): Attempt<number> => {
      const { pieces, result } = walk(table.rows, true, slip === null ? -1 : slip.int(0, table.rows.length - 1));
      return { pieces: [{ text: `Wanted: ${words}` }, ...pieces, { text: `\nTotal ${result}` }], result };
    };
    const check = (found: number): Check => {
      const { pieces, result } = walk([...table.rows].reverse(), true);
      const isRight = found === result;
      const end = verdict(`\nAgain ${result}${isRight ? '' : `, not ${found}`}`, isRight);
      return { pieces: [{ text: 'From the end' }, ...pieces, ...end.pieces], isRight };
    };
    return {
      key: `${words} ${table.rows.map(quoted).join('; ')}`,
      ...asked(shownTable(table, random), [
        `How many have ${having}?`,
        `Count the rows with ${having}.`,
        `How many rows have ${having}?`,
        `Tell me how many have ${having}.`,
        `How many of them have ${having}?`,
        `Count how many have ${having}.`,
        `${words}: how many rows?`,
        `What is the number of rows with ${having}?`,
        `In how many rows is there ${having}?`,
      ]),
      solutions: threeLevels(
        `${count} ${count === 1 ? 'has' : 'have'} ${having}.`,
        [{ text: words }, ...walk(table.rows, false).pieces, { text: `\nTotal ${count}` }],
        repaired(attempt, check, table.rows.length <= 4 ? slipOf(draw) : null), // longer ones would not fit
      ),
      verify: (said) => saysNumber(said.replace(new RegExp(`(over|under) ${limit}`), ''), count),
    };
  },
};
