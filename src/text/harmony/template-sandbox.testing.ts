// For tests: seeded hostile templates. Half are valid templates with damage (tags copied, moved, removed, bytes changed),
// half are programs drawn from a small grammar of what costs time or memory. Rendering never throws and never hangs.

import { mutate, seeded } from '../../formats/fuzz.testing.ts';
import { renderTemplate } from './template-sandbox.ts';

export interface TemplateFuzzResult {
  readonly cases: number;
  readonly rendered: number;
  readonly refused: number;
  readonly longestText: number;
  readonly slowestMs: number;
}

/** Renders `cases` templates. A failure names its seed, which alone repeats it. */
export function fuzzTemplates(firstSeed: number, cases: number, valid: readonly string[]): TemplateFuzzResult {
  let rendered = 0;
  let longestText = 0;
  let slowestMs = 0;
  for (let seed = firstSeed; seed < firstSeed + cases; seed++) {
    const text = hostileTemplate(seed, valid);
    const started = performance.now();
    try {
      const result = renderTemplate(text);
      if (result.ok) {
        rendered++;
        longestText = Math.max(longestText, result.text.length);
      } else if (!/chat template/.test(result.problem) || result.problem.length > 500) {
        throw new Error(`unclear: ${result.problem}`);
      }
    } catch (cause) {
      throw new Error(`seed ${seed} was not handled`, { cause });
    }
    slowestMs = Math.max(slowestMs, performance.now() - started);
  }
  return { cases, rendered, refused: cases - rendered, longestText, slowestMs };
}

export function hostileTemplate(seed: number, valid: readonly string[]): string {
  const random = seeded(seed);
  const pick = <T>(list: readonly T[]): T => list[random() % list.length]!;
  if (random() % 2 === 0) return program(random);
  const base = random() % 3 === 0 ? program(random) : pick(valid);
  if (random() % 3 === 0) return damageBytes(base, random);
  return damageTags(base, random);
}

function damageBytes(text: string, random: () => number): string {
  const bytes = new TextEncoder().encode(text);
  return new TextDecoder().decode(mutate(bytes, bytes.length, random));
}

/** Tags and the text between them change places, appear twice or not at all, or come from the grammar. */
function damageTags(text: string, random: () => number): string {
  const pieces = text.split(/(?=\{[{%#])|(?<=[}%#]\})/);
  const place = (): number => random() % Math.max(1, pieces.length);
  for (let n = 1 + (random() % 4); n > 0; n--) {
    const at = place();
    switch (random() % 5) {
      case 0:
        pieces.splice(at, 1);
        break;
      case 1:
        pieces.splice(at, 0, pieces[place()] ?? '');
        break;
      case 2: {
        const other = place();
        [pieces[at], pieces[other]] = [pieces[other] ?? '', pieces[at] ?? ''];
        break;
      }
      case 3:
        pieces[at] = (pieces[at] ?? '').replace(/\w+/, () => expression(random, 2));
        break;
      default:
        pieces.splice(at, 0, statement(random, 2));
    }
  }
  return pieces.join('');
}

function program(random: () => number): string {
  let text = "{% set n = namespace(s='ab', l=[1], d={}) %}{% set s = 'xyz' %}";
  for (let i = 1 + (random() % 6); i > 0; i--) text += statement(random, 3);
  return text;
}

const names = ['messages', 'n', 'n.s', 'n.l', 'n.d', 's', 'i', 'loop', 'loop.index', 'm', 'range', 'missing'];
const numbers = ['0', '1', '-1', '2', '3', '7', '99', '4000', '1e9', '10000', '2147483648', '0.5'];
const filters = [
  ...['tojson', 'tojson(indent=2)', 'tojson(indent=999)', 'length', 'list', 'first', 'last', 'reverse', 'sort'],
  ...['join', "join(', ')", 'join(n.s)', 'string', 'unique', 'upper', 'lower', 'title', 'trim', 'indent', 'items'],
  ...['indent(8)', 'indent(width=9999)', "replace('a', n.s)", "replace('', s)", "map(attribute='role')", 'int'],
  ...["selectattr('role')", 'default(n.l)', 'dictsort', 'float', 'abs', 'safe', "sort(attribute='a.b')"],
];
const methods = ["split('a')", "replace('x', n.s)", 'upper()', 'items()', 'keys()', "get('s')", 'strip()', 'length'];
const operators = ['+', '~', '*', '-', '//', '%', '**', '==', 'in', 'not in', '<', 'and', 'or', 'is', '/'];

function expression(random: () => number, depth: number): string {
  const pick = (list: readonly string[]): string => list[random() % list.length]!;
  const inner = (): string => expression(random, depth - 1);
  if (depth <= 0) return pick([...names, ...numbers, "'t'", '[]', '{}']);
  switch (random() % 12) {
    case 0:
      return `${inner()} ${pick(operators)} ${inner()}`;
    case 1:
      return `[${inner()}, ${inner()}]`;
    case 2:
      return `{'a': ${inner()}, '__proto__': ${inner()}}`;
    case 3:
    case 4:
      return `(${inner()})|${pick(filters)}`;
    case 5:
      return `(${inner()}).${pick(methods)}`;
    case 6:
      return `${inner()} if ${inner()} else ${inner()}`;
    case 7:
      return `range(${pick(numbers)})`;
    case 8:
      return `(${inner()})[${inner()}:${inner()}:${pick(numbers)}]`;
    case 9:
      return `m(${inner()}, *[${inner()}], **${inner()})`;
    case 10:
      return `not -(${inner()})`;
    default:
      return pick(names);
  }
}

function statement(random: () => number, depth: number): string {
  const value = (): string => expression(random, 2);
  const body = (): string =>
    depth <= 0 ? 'x' : statement(random, depth - 1) + (random() % 2 ? statement(random, depth - 2) : '');
  switch (random() % 11) {
    case 0:
      return `{% for i in ${random() % 2 ? value() : 'range(99)'} %}${body()}{% endfor %}`;
    case 1:
      return `{% for i in range(${random() % 100}) %}{% set n.s = n.s ${random() % 2 ? '+' : '~'} n.s %}${body()}{% endfor %}`;
    case 2:
      return `{% for i in range(${random() % 100}) %}{% set n.l = [n.l, n.l] %}{% endfor %}${body()}`;
    case 3:
      return `{% set n.${'sld'[random() % 3]} = ${value()} %}`;
    case 4:
      return `{% if ${value()} %}${body()}{% else %}${body()}{% endif %}`;
    case 5:
      return `{% macro m(a, b=${value()}) %}${body()}{{ ${random() % 4 ? 'a' : 'm(a)'} }}{% endmacro %}`;
    case 6:
      return `{% filter ${filters[random() % filters.length]} %}${body()}{% endfilter %}`;
    case 7:
      return `{% call m(${value()}) %}${body()}{% endcall %}`;
    case 8:
      return `{% set s %}${body()}{% endset %}`;
    case 9:
      return random() % 4 ? `text ${random()}\n` : '{% break %}';
    default:
      return `{{ ${value()} }}`;
  }
}
