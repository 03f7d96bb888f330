// Parameters of declared functions: what kinds there are, under which names, how a request mentions them, and their JSON
// schema. Texts, numbers, dates, one of a few choices, yes or no, lists, objects; required ones and one that may be left
// out. Names of invented functions. Pure draws. Next: function-concepts.ts.

import type { FunctionDefinition } from '../../text/harmony/messages.ts';
import type { Random } from './random.ts';
import { inventedWord, names, part, places, things } from './words.ts';

export interface ConceptDraw {
  readonly random: Random;
  readonly heldOut: boolean;
}

type Schema = Readonly<Record<string, unknown>>;

/** Values and names of one kind of parameter. */
export interface Kind {
  readonly names: readonly string[];
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'array' | 'object';
  readonly words: string; // what to ask for when it is missing
  value(draw: ConceptDraw): unknown;
  /** More of the schema than its type, for this value. */
  schema?(value: unknown, random: Random): Schema;
  /** How a request says the value, where it does not name the parameter. */
  say?(value: unknown): string;
}

export interface Parameter {
  readonly kind: Kind;
  readonly name: string;
  readonly value: unknown;
  readonly schema: Schema;
}

export const place: Kind = {
  names: ['location', 'city', 'place', 'town', 'where', 'city_name'],
  type: 'string',
  words: 'place',
  value: ({ random, heldOut }) => (random.chance(0.5) ? random.pick(part(places, heldOut)) : properName(random)),
  say: (value) => `in ${value}`,
};
export const person: Kind = {
  names: ['name', 'person', 'recipient', 'contact', 'to', 'user'],
  type: 'string',
  words: 'name',
  value: ({ random, heldOut }) => (random.chance(0.6) ? random.pick(part(names, heldOut)) : properName(random)),
  say: (value) => `for ${value}`,
};
export const amount: Kind = {
  names: ['amount', 'count', 'quantity', 'number', 'n', 'value'],
  type: 'integer',
  words: 'number',
  value: ({ random }) => random.int(1, random.pick([9, 60, 500])),
  say: (value) => `with number ${value}`,
};
export const day: Kind = {
  names: ['date', 'day', 'when', 'on_date'],
  type: 'string',
  words: 'date',
  value: ({ random }) =>
    random.chance(0.5)
      ? random.pick(['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday', 'today', 'tomorrow'])
      : `${random.int(2024, 2027)}-${two(random.int(1, 12))}-${two(random.int(1, 28))}`,
  say: (value) => `on ${value}`,
};
export const thing: Kind = {
  names: ['item', 'product', 'article', 'thing', 'title'],
  type: 'string',
  words: 'item',
  value: ({ random, heldOut }) => random.pick(part(things, heldOut)),
  say: (value) => `with ${value}`,
};

export const two = (n: number): string => String(n).padStart(2, '0');

export function properName(random: Random): string {
  const word = inventedWord(random, random.int(4, 8));
  return word[0]!.toUpperCase() + word.slice(1);
}

const CHOICES = [
  ['fast', 'slow'],
  ['small', 'medium', 'large'],
  ['celsius', 'fahrenheit'],
  ['red', 'green', 'blue'],
  ['low', 'normal', 'high'],
  ['metric', 'imperial'],
  ['text', 'html', 'json'],
  ['up', 'down', 'left', 'right'],
];

/** One of a few words that the declaration lists. */
const choice: Kind = {
  names: ['mode', 'size', 'unit', 'level', 'style', 'format', 'kind', 'option'],
  type: 'string',
  words: 'choice',
  value: ({ random }) =>
    random.chance(0.7) ? random.pick(random.pick(CHOICES)) : inventedWord(random, random.int(3, 6)),
  schema: (value, random) => {
    const known = CHOICES.find((list) => list.includes(value as string));
    if (known !== undefined) return { enum: known };
    const others = Array.from({ length: random.int(1, 3) }, () => inventedWord(random, random.int(3, 6)));
    return { enum: random.shuffle([...new Set([value as string, ...others])]) };
  },
};

const flag: Kind = {
  names: ['urgent', 'silent', 'force', 'repeat', 'private', 'verbose'],
  type: 'boolean',
  words: 'yes or no',
  value: ({ random }) => random.chance(0.5),
};

const list: Kind = {
  names: ['people', 'names', 'guests', 'members', 'list'],
  type: 'array',
  words: 'names',
  value: ({ random, heldOut }) => random.sample(part(names, heldOut), random.int(2, 3)),
  schema: () => ({ items: { type: 'string' } }),
  say: (value) => `for ${listed(value as string[])}`,
};

const numbers: Kind = {
  names: ['values', 'numbers', 'data', 'ids'],
  type: 'array',
  words: 'numbers',
  value: ({ random }) => Array.from({ length: random.int(2, 4) }, () => random.int(1, 99)),
  schema: () => ({ items: { type: 'integer' } }),
  say: (value) => `with numbers ${listed((value as number[]).map(String))}`,
};

const measure: Kind = {
  names: ['weight', 'price', 'length', 'width', 'rate'],
  type: 'number',
  words: 'number',
  value: ({ random }) => random.int(11, 999) / 10,
};

const range: Kind = {
  names: ['range', 'span', 'interval', 'limits'],
  type: 'object',
  words: 'range',
  value: ({ random }) => {
    const from = random.int(0, 60);
    return { from, to: from + random.int(1, 40) };
  },
  schema: () => objectOf({ from: 'integer', to: 'integer' }),
  say: (value) => `from ${(value as { from: number }).from} to ${(value as { to: number }).to}`,
};

const address: Kind = {
  names: ['address', 'customer', 'owner', 'contact'],
  type: 'object',
  words: 'address',
  value: ({ random, heldOut }) => ({
    name: random.pick(part(names, heldOut)),
    city: random.pick(part(places, heldOut)),
  }),
  schema: () => objectOf({ name: 'string', city: 'string' }),
  say: (value) => `for ${(value as { name: string }).name} in ${(value as { city: string }).city}`,
};

function objectOf(properties: Readonly<Record<string, string>>): Schema {
  return {
    properties: Object.fromEntries(Object.entries(properties).map(([name, type]) => [name, { type }])),
    required: Object.keys(properties),
  };
}

function listed(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}

/** What invented functions are called after. */
export const verbs = [
  'get',
  'set',
  'find',
  'start',
  'stop',
  'check',
  'open',
  'close',
  'read',
  'list',
  'count',
  'add',
  'remove',
];
export const adjectives = ['new', 'main', 'local', 'daily', 'red', 'blue', 'old', 'small', 'large'];

export function inventedName(random: Random): string {
  return `${random.pick(verbs)}_${inventedWord(random, random.int(3, 7))}`;
}

/** One to three kinds; most are plain. */
export function drawKinds(random: Random): Kind[] {
  const plain = random.sample([place, person, amount, day, thing], random.int(1, 2));
  const fits = [choice, choice, flag, measure, range];
  if (!plain.includes(amount)) fits.push(numbers);
  if (!plain.includes(person) && !plain.includes(place)) fits.push(list, address); // people and places of their own
  const others = random.chance(0.55) ? [random.pick(fits)] : [];
  return random.shuffle([...plain, ...others]);
}

/** Draws values and different names: mostly names that say what they are, some that mean nothing. */
export function namedParameters(kinds: readonly Kind[], draw: ConceptDraw): Parameter[] {
  const used = new Set<string>();
  return kinds.map((kind) => drawParameter(kind, draw, used));
}

function drawParameter(kind: Kind, draw: ConceptDraw, used: Set<string>): Parameter {
  const { random } = draw;
  const free = kind.names.filter((name) => !used.has(name));
  let name = random.chance(0.85) && free.length > 0 ? random.pick(free) : inventedWord(random, random.int(3, 6));
  while (used.has(name)) name = inventedWord(random, random.int(3, 6));
  used.add(name);
  const value = kind.value(draw);
  return { kind, name, value, schema: { type: kind.type, ...kind.schema?.(value, random) } };
}

/** The same parameter with a value that fits its schema. */
export function withOtherValue(parameter: Parameter, draw: ConceptDraw): Parameter {
  const choices = parameter.schema['enum'] as readonly string[] | undefined;
  return { ...parameter, value: choices === undefined ? parameter.kind.value(draw) : draw.random.pick(choices) };
}

export function optionalParameter(draw: ConceptDraw, others: readonly Parameter[]): Parameter {
  const used = new Set(others.map(({ name }) => name));
  return drawParameter(draw.random.pick([choice, flag, amount, measure]), draw, used);
}

/** A parameter within a request: by its kind where that is clear, else by its name. */
export function phraseOf({ kind, name, value }: Parameter, random: Random): string {
  const words = name.replaceAll('_', ' ');
  const isPlain = typeof value === 'string' || typeof value === 'number';
  if (kind.say !== undefined && (!isPlain || random.chance(0.65))) return kind.say(value);
  if (typeof value === 'boolean') return `with ${words} ${value ? 'on' : 'off'}`;
  return `with ${words} ${value}`;
}

/** The same as a sentence of its own. */
export function sentenceOf({ name, value }: Parameter): string {
  const words = name.replaceAll('_', ' ');
  return typeof value === 'boolean' ? `Turn ${words} ${value ? 'on' : 'off'}.` : `Set ${words} to ${value}.`;
}

export function shortText({ random, heldOut }: ConceptDraw): string {
  const what = random.pick(part(things, heldOut));
  const who = random.pick(part(names, heldOut));
  return random.pick([
    `call ${who}`,
    `buy ${what}`,
    `${what} are here`,
    'see you soon',
    'I am late',
    `meet ${who}`,
    `bring ${what}`,
  ]);
}

export function define(
  name: string,
  description: string,
  parameters: readonly Parameter[],
  optional: Parameter | null,
  random: Random,
): FunctionDefinition {
  const isDescribed = random.chance(0.3);
  const all =
    optional === null ? parameters : random.chance(0.7) ? [...parameters, optional] : [optional, ...parameters];
  const properties = Object.fromEntries(
    all.map((parameter) => {
      // A parameter whose name says nothing has to be described.
      const isPlain = parameter.kind.names.includes(parameter.name);
      const words = isDescribed || !isPlain ? { description: `The ${parameter.kind.words}` } : {};
      return [parameter.name, { ...parameter.schema, ...words }];
    }),
  );
  const required = parameters.map((parameter) => parameter.name);
  return { name, description, parameters: { type: 'object', properties, required } };
}
