// The fifteen families of the suite, each of one or more of the trainer's, and the tasks that the seed model (the floor of
// every model that ships here) was measured on, in sizes as in its own table. Names are groups of results.
// Next: suite.ts (asks them), checks.ts.

import { weatherCall } from '../../train/tasks/function-calls.ts';
import type { GeneralTool } from '../../train/tasks/item.ts';
import { registered, type TaskFamily, taskFamilies, taskFamilyNamed } from '../../train/tasks/registry.ts';

const names = [
  'add, subtract, compare',
  'multiply',
  'divide, gcd, powers, primes',
  'expressions',
  'word problems',
  'dates and times',
  'units and money',
  'letters',
  'lists',
  'bases and bits',
  'logic',
  'countdown',
  'lookup',
  'functions',
  'conversation',
];

/** The family of the suite that a group (a family of the trainer) belongs to; other groups are their own. */
export function rowOf(group: string): string {
  const suite = suites.get(group);
  return suite === undefined ? group : `${String(suite).padStart(2, '0')} ${names[suite - 1]!}`;
}

const suites = new Map(taskFamilies.map(({ name, suite }) => [name, suite]));

export interface SeedTask {
  readonly name: string;
  /** Taken in turn. */
  readonly from: readonly { readonly family: TaskFamily; readonly sizes?: readonly [number, number] }[];
  readonly tool?: GeneralTool;
  /** The trainer's family that has the same problems, where it is not the one that draws them. */
  readonly sameAs?: string;
  /** Percent right by level in its own table: its own wordings, n about 100. */
  readonly published: readonly [low: number, medium: number, high: number];
}

const task = (
  name: string,
  published: SeedTask['published'],
  families: Readonly<Record<string, readonly [number, number] | null>>,
  tool?: GeneralTool,
): SeedTask => ({
  name: `seed: ${name}`,
  published,
  from: Object.entries(families).map(([family, sizes]) => ({
    family: taskFamilyNamed(family),
    ...(sizes === null ? {} : { sizes }),
  })),
  ...(tool === undefined ? {} : { tool }),
});

const WORDS = [1, 4] as const; // up to ten letters
const LIST = [1, 3] as const; // three to five numbers

/** Rows of the seed's table of accuracy, in its order. */
export const seedTasks: readonly SeedTask[] = [
  task('addition, 1-4 digits', [7, 100, 100], { addition: [1, 4] }),
  task('subtraction, 1-4 digits', [3, 97, 97], { subtraction: [1, 4] }),
  task('2-digit × 1-digit', [33, 100, 100], { multiplication: [2, 2] }),
  task('compare two numbers', [84, 99, 100], { comparison: [1, 4] }),
  task('sort 3-5 numbers', [82, 96, 92], { 'sort-list': LIST }),
  task('minimum', [91, 99, 100], { minimum: LIST }),
  task('maximum', [87, 100, 95], { maximum: LIST }),
  task('count a letter', [57, 80, 84], { 'count-letter': WORDS }),
  task('reverse a word', [52, 82, 83], { 'reverse-word': WORDS }),
  task('n-th letter', [64, 99, 92], { 'nth-letter': WORDS }),
  task('length of a word', [69, 76, 98], { 'word-length': WORDS }),
  task('spell a word', [89, 96, 88], { 'spell-word': WORDS }),
  task('calculate', [99, 99, 99], { addition: [1, 4], subtraction: [1, 4], multiplication: [1, 3] }, 'calculate'),
  {
    name: 'seed: get_weather',
    from: [{ family: registered(weatherCall) }],
    sameAs: 'function-call',
    published: [91, 97, 95],
  },
  task('python', [99, 99, 98], { addition: [1, 4], 'sort-list': LIST, minimum: LIST, 'word-length': WORDS }, 'python'),
  task('two or three turns', [70, 95, 100], { 'later-turn': [1, 2] }),
  task('tools declared, none needed', [85, 95, 97], { 'no-function-needed': null }),
  task('greetings, identity, abilities', [100, 100, 100], { 'small-talk': null }),
  task('out of scope', [100, 100, 100], { 'too-small-to-know': null }),
  task('Japanese', [60, 100, 100], { 'japanese-sums': [1, 2], 'small-talk': null }),
];
