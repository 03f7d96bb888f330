// Pages on which what was said comes again: keys and their values in another order, lists and rows repeated, numbered things
// by their number, quotations, values that go into a call, numbers of any length compared. A look-up, a function's argument
// and a sorted list all need one skill, to find what stood behind the same word before (induction, Olsson et al. 2022), and
// a page of nothing else teaches it sooner than a question that needs it once. Next: documents.ts.

import type { Random } from '../tasks/random.ts';
import { englishWords, inventedWord, names, part, places, things } from '../tasks/words.ts';

export function copyingPage(random: Random): string {
  return random.pick([
    pairs,
    pairs,
    rows,
    rows,
    listsAgain,
    numberedThings,
    quotations,
    calls,
    calls,
    comparisons,
    sameOrNot,
  ])(random);
}

/** A word, a name, an invented word, a number, a date: whatever may stand in a table. */
function something(random: Random): string {
  switch (random.int(0, 7)) {
    case 0:
      return random.pick(part(names, false));
    case 1:
      return random.pick(part(places, false));
    case 2:
      return random.pick(englishWords);
    case 3:
      return `${random.int(2024, 2028)}-${two(random.int(1, 12))}-${two(random.int(1, 28))}`;
    case 4:
      return capital(inventedWord(random, random.int(4, 8)));
    case 5:
      return inventedWord(random, random.int(3, 8));
    default:
      return String(random.digits(random.int(1, 4)));
  }
}

const two = (n: number): string => String(n).padStart(2, '0');
const capital = (word: string): string => word[0]!.toUpperCase() + word.slice(1);

function different(random: Random, count: number, draw: (random: Random) => string): string[] {
  const found = new Set<string>();
  while (found.size < count) found.add(draw(random));
  return [...found];
}

const who = (random: Random): string =>
  random.chance(0.6) ? random.pick(part(names, false)) : capital(inventedWord(random, random.int(4, 8)));
const field = (random: Random): string =>
  random.chance(0.6)
    ? random.pick(['age', 'city', 'price', 'room', 'code', 'colour', 'points', 'stock', 'item', 'date', 'unit', 'mode'])
    : inventedWord(random, random.int(3, 6));

/** Keys with their values, then all of them again in other orders. */
function pairs(random: Random): string {
  const keys = different(random, random.int(3, 8), something);
  const values = new Map(keys.map((key) => [key, something(random)]));
  const [before, after] = random.pick([
    ['', ': '],
    ['', ' = '],
    ['', ' > '],
    ['- ', ' is '],
    ['', ', '],
  ] as const);
  const line = (key: string): string => `${before}${key}${after}${values.get(key)}`;
  const asked = (key: string): string => `${key}? ${values.get(key)}`;
  return [
    ...keys.map(line),
    ...random.shuffle(keys).map(random.chance(0.5) ? asked : line),
    ...random.sample(keys, random.int(1, 4)).map(asked),
  ].join('\n');
}

/** A table in one form, its rows in another order with the fields named, single fields of rows. */
function rows(random: Random): string {
  const fields = different(random, random.int(1, 3), field);
  const people = different(random, random.int(3, 6), who);
  const cells = new Map(people.map((name) => [name, fields.map(() => something(random))]));
  const named = (name: string): string => `${name}: ${fields.map((f, i) => `${f} ${cells.get(name)![i]}`).join(', ')}`;
  const shown = random.pick([
    () => [['name', ...fields].join(', '), ...people.map((name) => [name, ...cells.get(name)!].join(', '))],
    () => [
      `| ${['name', ...fields].join(' | ')} |`,
      `|${['name', ...fields].map(() => '---').join('|')}|`,
      ...people.map((name) => `| ${[name, ...cells.get(name)!].join(' | ')} |`),
    ],
    () =>
      people.map((name) =>
        JSON.stringify(Object.fromEntries([['name', name], ...fields.map((f, i) => [f, cells.get(name)![i]])]))
          .replaceAll('":', '": ')
          .replaceAll(',"', ', "'),
      ),
    () => people.map(named),
  ])();
  const single = random.sample(people, random.int(1, 4)).map((name) => {
    const i = random.int(0, fields.length - 1);
    return `${fields[i]} of ${name}: ${cells.get(name)![i]}`;
  });
  return [...shown, ...random.shuffle(people).map(named), ...single].join('\n');
}

/** A list, the same again, without one thing, from the end, one by one. */
function listsAgain(random: Random): string {
  const count = random.int(3, 9);
  const isNumbers = random.chance(0.6);
  const most = random.pick([9, 99, 99, 300, 9999]);
  const list = isNumbers
    ? Array.from({ length: count }, () => String(random.int(0, most)))
    : Array.from({ length: count }, () => something(random));
  const drop = random.int(0, count - 1);
  const text = list.join(', ');
  return [
    text,
    `Again: ${text}`,
    ...random.sample(
      [
        `Without ${list[drop]} once: ${list.filter((_, i) => i !== list.indexOf(list[drop]!)).join(', ')}`,
        `From the end: ${[...list].reverse().join(', ')}`,
        `One by one:\n${list.join('\n')}`,
        `${count} things: ${list.map((each, i) => `${i + 1} ${each}`).join(', ')}`,
        `Before ${list[Math.max(1, drop)]} stands ${list[Math.max(1, drop) - 1]}.`,
        `First ${list[0]}, last ${list[count - 1]}.`,
      ],
      random.int(2, 4),
    ),
    text,
  ].join('\n');
}

function numberedThings(random: Random): string {
  const count = random.int(3, 9);
  const list = random.chance(0.5)
    ? [...inventedWord(random, count)]
    : Array.from({ length: count }, () => something(random));
  const at = list.map((_, i) => i);
  const line = (i: number): string => `${i + 1} ${list[i]}`;
  return [
    ...at.map(line),
    ...random.shuffle(at).map((i) => (random.chance(0.5) ? line(i) : `Number ${i + 1} is ${list[i]}.`)),
    ...(random.chance(0.5) ? at.map(line).reverse() : []),
  ].join('\n');
}

function quotations(random: Random): string {
  const people = different(random, random.int(2, 4), who);
  const said = new Map(
    people.map((name) => [name, Array.from({ length: random.int(2, 6) }, () => something(random)).join(' ')]),
  );
  return [
    ...people.map((name) => `${name} said "${said.get(name)}".`),
    ...random.shuffle(people).map((name) => `What did ${name} say? "${said.get(name)}"`),
  ].join('\n');
}

/** Functions by name, parameters and purpose; then a wish, the function that fits, and its arguments. */
function calls(random: Random): string {
  const made = different(random, random.int(2, 4), (r) => {
    const noun = r.chance(0.6) ? inventedWord(r, r.int(4, 7)) : r.pick(part(things, false));
    return `${r.pick(['find', 'set', 'open', 'count', 'start', 'stop', 'remove', 'check', 'get'])} ${noun}`;
  }).map((wish) => {
    const [verb, noun] = wish.split(' ') as [string, string];
    const parameters = different(random, random.int(1, 3), field);
    return {
      wish: `${verb} the ${noun}`,
      name: random.chance(0.5) ? `${verb}_${noun}` : `${noun}_${verb}`,
      parameters,
    };
  });
  const lines = made.map(({ wish, name, parameters }) => `${name}(${parameters.join(', ')}): to ${wish}`);
  for (const { wish, name, parameters } of random.shuffle([...made, random.pick(made)])) {
    const values = parameters.map(() => something(random));
    const given = parameters.map((parameter, i) => `${parameter} ${values[i]}`);
    lines.push(
      `I want to ${wish} with ${given.join(', ')}.`,
      random.chance(0.5)
        ? `${name}(${parameters.map((p, i) => `${p} = ${values[i]}`).join(', ')})`
        : `${name} {${parameters.map((p, i) => `"${p}": ${/^\d+$/.test(values[i]!) ? values[i] : `"${values[i]}"`}`).join(', ')}}`,
    );
  }
  return lines.join('\n');
}

/** Letters and words side by side. */
function sameOrNot(random: Random): string {
  const isLetters = random.chance(0.6);
  const one = (): string => (isLetters ? random.pick([...'abcdefghijklmnopqrstuvwxyz']) : something(random));
  return Array.from({ length: random.int(8, 16) }, (_, i) => {
    const first = one();
    const second = random.chance(0.5) ? first : one();
    const verdict = first === second ? 'same' : 'different';
    return isLetters && random.chance(0.5)
      ? `${i + 1} ${first}, ${i + 2} ${second}: ${first} ${second} ${verdict}`
      : `${first} ${second} ${verdict}`;
  }).join('\n');
}

/** Numbers of the same and of different length, side by side. */
function comparisons(random: Random): string {
  const lines: string[] = [];
  const fresh = (): number => random.digits(random.weighted([2, 4, 3, 1]) + 1);
  let kept = fresh();
  for (let i = random.int(8, 16); i > 0; i--) {
    // Near ones are harder, and equal ones are forgotten without examples.
    const other = random.chance(0.25) ? Math.max(0, kept + random.int(-9, 9)) : random.chance(0.06) ? kept : fresh();
    lines.push(
      random.pick([
        `${kept} ${kept < other ? '<' : kept > other ? '>' : '='} ${other}`,
        `${kept} and ${other}: larger ${Math.max(kept, other)}, smaller ${Math.min(kept, other)}`,
        `${kept} > ${other}? ${kept > other ? 'yes' : 'no'}`,
        `${kept} < ${other}? ${kept < other ? 'yes' : 'no'}`,
      ]),
    );
    if (random.chance(0.6)) kept = other;
  }
  return lines.join('\n');
}
