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
}

const task = (
  name: string,
  families: Readonly<Record<string, readonly [number, number] | null>>,
  tool?: GeneralTool,
): SeedTask => ({
  name: `seed: ${name}`,
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
  task('addition, 1-4 digits', { addition: [1, 4] }),
  task('subtraction, 1-4 digits', { subtraction: [1, 4] }),
  task('2-digit × 1-digit', { multiplication: [2, 2] }),
  task('compare two numbers', { comparison: [1, 4] }),
  task('sort 3-5 numbers', { 'sort-list': LIST }),
  task('minimum', { minimum: LIST }),
  task('maximum', { maximum: LIST }),
  task('count a letter', { 'count-letter': WORDS }),
  task('reverse a word', { 'reverse-word': WORDS }),
  task('n-th letter', { 'nth-letter': WORDS }),
  task('length of a word', { 'word-length': WORDS }),
  task('spell a word', { 'spell-word': WORDS }),
  task('calculate', { addition: [1, 4], subtraction: [1, 4], multiplication: [1, 3] }, 'calculate'),
  { name: 'seed: get_weather', from: [{ family: registered(weatherCall) }] },
  task('python', { addition: [1, 4], 'sort-list': LIST, minimum: LIST, 'word-length': WORDS }, 'python'),
  task('two or three turns', { 'later-turn': null }),
  task('tools declared, none needed', { 'no-function-needed': null }),
  task('greetings, identity, abilities', { 'small-talk': null }),
  task('out of scope', { 'too-small-to-know': null }),
  task('Japanese', { 'japanese-sums': [1, 2], 'small-talk': null }),
];
