// Family 13: reading from what the user gives: a table, JSON, or sentences. One value, the row with the largest or smallest,
// how many rows fulfil a condition. Medium quotes what matters; high goes through all rows and reads the quote again.

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
    // A slip takes the value of another row.
    const attempt = (slip: Random | null): Attempt<string | number> => {
      const others = table.rows.filter((other) => other[column] !== value);
      const wrong = slip === null || others.length === 0 ? value : slip.pick(others)[column]!;
      const lines = table.rows.map((other) => `${other['name']}: ${other === row ? 'yes' : 'no'}`);
      const pieces: Piece[] = [
        { text: `Wanted: ${column} of ${who}\n${lines.join('\n')}\n${column}: ` },
        { text: String(wrong), isSlip: wrong !== value },
      ];
      return { pieces, result: wrong };
    };
    const check = (found: string | number): Check => {
      const isRight = found === value;
      const line = ['name', ...table.columns].map((name) => `${name} ${row[name]}`).join(', ');
      return verdict(`Row again: ${line}\n${found} is ${isRight ? '' : 'not '}${value}`, isRight);
    };
    return {
      key: `${who} ${column} ${table.rows.map(quoted).join('; ')}`,
      ...asked(text, [
        `What is the ${column} of ${who}?`,
        `Give me the ${column} of ${who}.`,
        `Which ${column} does ${who} have?`,
        `${who}: ${column}?`,
        `Look up the ${column} for ${who}.`,
      ]),
      solutions: threeLevels(
        `The ${column} of ${who} is ${value}.`,
        [`${['name', ...table.columns].join(', ')}\n${quoted(row)}`],
        repaired(attempt, check, slipOf(draw)),
      ),
      verify: (said) => (typeof value === 'number' ? saysNumber(said, value) : saysWord(said, value)),
    };
  },
};

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
      const found = slip === null ? best : slip.pick(table.rows.filter((row) => row !== best));
      let kept = table.rows[0]!;
      const lines = [`${kept['name']} ${kept[column]}, keep`];
      for (const row of table.rows.slice(1)) {
        const isBetter =
          wantsMost === (row[column] as number) > (kept[column] as number) && row[column] !== kept[column];
        const sign =
          row[column] === kept[column] ? '=' : (row[column] as number) > (kept[column] as number) ? '>' : '<';
        lines.push(`${row['name']} ${row[column]} ${sign} ${kept[column]}, ${isBetter ? 'keep' : 'no'}`);
        if (isBetter) kept = row;
      }
      return {
        pieces: [
          { text: `Wanted: ${word} ${column}\n${lines.join('\n')}\nKept: ` },
          { text: `${found['name']} ${found[column]}`, isSlip: found !== best },
        ],
        result: found,
      };
    };
    const check = (found: Row): Check => {
      const relation = wantsMost ? '>=' : '<=';
      const bad = table.rows.find((row) => (wantsMost ? row[column]! > found[column]! : row[column]! < found[column]!));
      const shown = bad === undefined ? table.rows : table.rows.slice(0, table.rows.indexOf(bad));
      const lines = shown.map((row) => `${found[column]} ${relation} ${row[column]}`);
      if (bad === undefined) return verdict(`Check\n${lines.join('\n')}\nAll hold`, true);
      return verdict(`Check\n${[...lines, `not ${found[column]} ${relation} ${bad[column]}`].join('\n')}`, false);
    };
    return {
      key: `${word} ${column} ${table.rows.map(quoted).join('; ')}`,
      ...asked(shownTable(table, random), [
        `Who has the ${word} ${column}?`,
        `Which name has the ${word} ${column}?`,
        `Find the one with the ${word} ${column}.`,
        `Whose ${column} is the ${word}?`,
      ]),
      solutions: threeLevels(
        `${answer} has the ${word} ${column}.`,
        [`${table.rows.map((row) => `${row['name']} ${row[column]}`).join('\n')}\n${word}: ${best[column]}`],
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
    const sign = isOver ? '>' : '<';
    const attempt = (slip: Random | null): Attempt<number> => {
      let at = 0;
      const lines = table.rows.map((row) => {
        if (test(row)) return `${row['name']} ${row[column]} ${sign} ${limit}: ${++at}`;
        return `${row['name']} ${row[column]}: no`;
      });
      const found = slip === null ? count : Math.max(0, count + slip.pick([1, -1]));
      return {
        pieces: [
          { text: `Wanted: ${words}\n${lines.join('\n')}\nTotal ` },
          { text: String(found), isSlip: found !== count },
        ],
        result: found,
      };
    };
    const check = (found: number): Check => {
      const fitting = table.rows
        .filter(test)
        .reverse()
        .map((row) => row[column]);
      const isRight = found === count;
      const list = fitting.length === 0 ? 'none' : fitting.join(', ');
      return verdict(`From the end: ${list}, that is ${count}\n${found} is ${isRight ? '' : 'not '}${count}`, isRight);
    };
    return {
      key: `${words} ${table.rows.map(quoted).join('; ')}`,
      ...asked(shownTable(table, random), [
        `How many have a ${words}?`,
        `Count the rows with a ${words}.`,
        `How many rows have a ${words}?`,
        `In how many rows is there a ${words}?`,
      ]),
      solutions: threeLevels(
        `${count} ${count === 1 ? 'has' : 'have'} a ${words}.`,
        [`${table.rows.map((row) => `${row[column]} ${test(row) ? 'yes' : 'no'}`).join('\n')}\nTotal ${count}`],
        repaired(attempt, check, slipOf(draw)),
      ),
      verify: (said) => saysNumber(said.replace(new RegExp(`(over|under) ${limit}`), ''), count),
    };
  },
};
