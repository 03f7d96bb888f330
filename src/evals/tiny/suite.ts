// The suite `tiny`: fifteen families (rows.ts), at three levels, without and with a tool; problems that training never draws
// (split by content), in trained wordings (`plain`), in wordings, names and nouns that only tests use (`template`), and one
// size harder (`harder`). A part of `plain` is asked again at temperature 1, to count malformed harmony and to compare with
// greedy answers. `repair` goes on from reasoning with a slip in it; `seed` are the tasks that the seed model was
// measured on, asked where it is compared with. A new family of the trainer appears by itself.
// Next: checks.ts (what the results have to show), contamination.ts, ../../train/tasks/registry.ts (the families).

import { type Message, reasoningEfforts } from '../../text/harmony/messages.ts';
import { calculate } from '../../train/rl/calculate.ts';
import type { Environment } from '../../train/rl/environment.ts';
import { sameValue } from '../../train/rl/task-environment.ts';
import { DATA_VERSION } from '../../train/tasks/families.ts';
import type { GeneralTool } from '../../train/tasks/item.ts';
import { type Task, type TaskFamily, taskFamilies } from '../../train/tasks/registry.ts';
import { hash32 } from '../../train/tasks/split.ts';
import { titleOf } from '../suites.ts';
import { grouped } from '../summary.ts';
import { type Asked, type CalledTool, type Cell, cellName, type Sample, type Suite } from '../task.ts';
import { promptFingerprint } from './contamination.ts';
import { rowOf, type SeedTask, seedTasks } from './rows.ts';

export const tinySets = ['plain', 'template', 'harder', 'repair', 'seed'] as const;
export type TinySet = (typeof tinySets)[number];

export interface TinyOptions {
  /** Items of each of the fifteen families, and of each task of the seed. */
  readonly items: number;
  /** Items of each family in held-out wordings, one size harder, and with a slip. */
  readonly others: number;
  /** Ask the seed's tasks. */
  readonly seedTasks: boolean;
  readonly seed: number;
  /** Answers at temperature 1, all families and levels together. */
  readonly sampled: number;
  /** Only cells whose name contains one of these; empty: all. */
  readonly only: readonly string[];
  /** False where only functions can be declared (a URL). */
  readonly hasPython: boolean;
}

const MOST_TOKENS = 640; // of an answer with all its steps; the longest solutions of harder items fit

export function tinySuite(options: TinyOptions): Suite {
  const { items, others, only } = options;
  const wanted = (cell: Cell): boolean => only.length === 0 || only.some((word) => cellName(cell).includes(word));
  const samples: Sample[] = [];
  for (const [, row] of grouped(taskFamilies, ({ name }) => rowOf(name))) {
    for (const set of tinySets) {
      const asked = row.flatMap((family) => {
        const cells = cellsOf(family, set, options).filter(wanted);
        return cells.length === 0 ? [] : [{ family, cells }];
      });
      const wantedItems = Math.min(items, set === 'plain' ? items : others);
      for (const [i, { family, cells }] of asked.entries()) {
        const share = Math.floor(wantedItems / asked.length) + (i < wantedItems % asked.length ? 1 : 0);
        // One problem after another, each at all its settings: it is drawn only once.
        for (let index = 0; index < share; index++) {
          for (const cell of cells) {
            if (cell.sampling === 'sampled' && index >= sampledPerCell(options.sampled)) continue;
            samples.push(sampleOf(family, index, cell, options));
          }
        }
      }
    }
  }
  if (options.seedTasks) {
    for (const task of seedTasks) {
      const cells = reasoningEfforts
        .map(
          (level): Cell => ({ ...{ group: task.name, set: 'seed', level, sampling: 'greedy' }, tools: toolsOf(task) }),
        )
        .filter(wanted);
      for (let index = 0; index < items; index++) {
        for (const cell of cells) samples.push(seedSampleOf(task, index, cell, options));
      }
    }
  }
  return {
    name: 'tiny',
    title: titleOf('tiny'),
    samples,
    needsJudge: false,
    identity: { data_version: DATA_VERSION, families: taskFamilies.map(({ name }) => name).join(' '), ...options },
    notes: options.hasPython
      ? []
      : ['without python, which cannot be declared at a URL: the tool is the calculator, where it helps'],
  };
}

const toolsOf = ({ tool, from }: SeedTask): Cell['tools'] =>
  tool !== undefined || from[0]!.family.declaresFunctions ? 'on' : 'off';

export function setsOf(family: TaskFamily): readonly TinySet[] {
  const repair = canSlip(family) ? (['repair'] as const) : [];
  return [...(['plain', 'template'] as const), ...(family.hasHarder ? (['harder'] as const) : []), ...repair];
}

/** Whether its reasoning has checks that can find something. */
function canSlip(family: TaskFamily): boolean {
  const known = slips.get(family.name);
  if (known !== undefined) return known;
  const task = (index: number) => family.generate(1, index, { level: 'high', split: 'test', slipped: true });
  const can = [0, 1, 2].some((index) => typeof task(index)?.begun === 'string');
  slips.set(family.name, can);
  return can;
}

const slips = new Map<string, boolean>();

function cellsOf(family: TaskFamily, set: TinySet, { sampled, hasPython }: TinyOptions): Cell[] {
  if (!setsOf(family).includes(set)) return [];
  if (set === 'repair') {
    return hasPython ? [{ group: family.name, set, level: 'high', tools: 'off', sampling: 'greedy' }] : [];
  }
  const cells: Cell[] = [];
  for (const level of family.levels) {
    const cell = { group: family.name, set, level } as const;
    cells.push({ ...cell, tools: 'off', sampling: 'greedy' });
    if (set !== 'plain') continue;
    if (offeredTools(family, hasPython).length > 0) cells.push({ ...cell, tools: 'on', sampling: 'greedy' });
    if (sampled > 0) cells.push({ ...cell, tools: 'off', sampling: 'sampled' });
  }
  return cells;
}

function sampledPerCell(sampled: number): number {
  return Math.ceil(sampled / taskFamilies.reduce((sum, { levels }) => sum + levels.length, 0));
}

/** Tools that solve a family's problems; where none does, each is offered to be left alone. */
function offeredTools({ tools }: TaskFamily, hasPython: boolean): readonly GeneralTool[] {
  const useful = tools.filter((tool) => tool !== 'none');
  const all = useful.length > 0 ? useful : (['calculate', 'python'] as const);
  return hasPython ? all : all.filter((tool) => tool !== 'python');
}

/** Of a fixed list of questions nothing but wordings can be left to tests: `plain` asks what was trained. */
function splitAsked({ isFixed }: TaskFamily, set: TinySet | 'seed'): 'train' | 'test' {
  return isFixed && set !== 'template' ? 'train' : 'test';
}

/** A problem of a set, at one setting; null where the family has no more of them. */
export function taskOf(
  family: TaskFamily,
  set: TinySet,
  index: number,
  seed: number,
  level: Cell['level'],
  tool: GeneralTool,
): Task | null {
  return family.generate(seed, index, {
    ...{ level, tool, split: splitAsked(family, set) },
    ...{ heldOutTemplates: set === 'template', harder: set === 'harder', slipped: set === 'repair' },
  });
}

function sampleOf(family: TaskFamily, index: number, cell: Cell, { seed, hasPython }: TinyOptions): Sample {
  const key = `${cellName(cell)}/${index}`;
  return {
    ...{ key, cell, repeat: 0 },
    prepare() {
      const offered = offeredTools(family, hasPython);
      const tool = cell.tools === 'on' ? offered[index % offered.length]! : 'none';
      const task = taskOf(family, cell.set as TinySet, index, seed, cell.level, tool);
      if (task === null || (cell.set === 'repair' && task.begun === null)) return null;
      const sampling = { temperature: cell.sampling === 'sampled' ? 1 : 0, seed: hash32(`${seed} ${key}`) };
      return askedOf(task, `${family.name}/${cell.set}/${task.key}`, sampling, cell.set === 'repair');
    },
  };
}

function seedSampleOf(task: SeedTask, index: number, cell: Cell, { seed }: TinyOptions): Sample {
  const key = `${cellName(cell)}/${index}`;
  const { family, sizes } = task.from[index % task.from.length]!;
  return {
    ...{ key, cell, repeat: 0 },
    prepare() {
      const drawn = family.generate(seed, Math.floor(index / task.from.length), {
        ...{ level: cell.level, tool: task.tool ?? 'none', split: splitAsked(family, 'seed') },
        ...(sizes === undefined ? {} : { sizes }),
      });
      if (drawn === null) return null;
      return askedOf(drawn, `${task.sameAs ?? family.name}/seed/${drawn.key}`, {
        temperature: 0,
        seed: hash32(`${seed} ${key}`),
      });
    },
  };
}

function askedOf(task: Task, item: string, sampling: { temperature: number; seed: number }, isBegun = false): Asked {
  const environment = task.environment();
  const called: CalledTool[] = [];
  const messages: readonly Message[] = environment.prompt;
  return {
    item,
    question: {
      ...{ messages, level: environment.level, tools: environment.tools },
      ...{ maxCalls: environment.maxCalls, maxTokens: MOST_TOKENS, callHeader: 'channel-first', loopGuard: false },
      ...sampling,
      ...(isBegun ? { begun: task.begun! } : {}),
      call(call) {
        called.push(call);
        return printed(call, environment) ?? environment.call(call);
      },
    },
    grade({ text, finish, isFinal }) {
      const { isCorrect, undeclared } = environment.judge({
        text,
        finish: finish === 'tool_calls' ? 'call' : finish,
        fallback: isFinal || finish !== 'stop' ? null : 'empty',
      });
      const callExact = isExactCall(task, called);
      const namesDeclared = hasDeclaredNames(messages, called);
      return {
        score: isCorrect ? 1 : 0,
        extracted: text,
        extra: {
          size: task.size,
          undeclared,
          prompt: promptFingerprint(messages),
          ...(callExact === null ? {} : { callExact }),
          ...(namesDeclared === null ? {} : { namesDeclared }),
          ...(isRepeated(task) ? { repeated: true } : {}),
        },
      };
    },
  };
}

/** Whether the first call is the one that is right; null where calls do not matter. */
function isExactCall({ expectedCall }: Task, called: readonly CalledTool[]): boolean | null {
  if (expectedCall === undefined) return null;
  if (expectedCall === null) return called.length === 0;
  const first = called[0];
  return first !== undefined && first.name === expectedCall.name && sameValue(first.arguments, expectedCall.arguments);
}

/** Whether the arguments of the first call have the names that its declaration gives them; null where there is none. */
function hasDeclaredNames(messages: readonly Message[], [first]: readonly CalledTool[]): boolean | null {
  if (first === undefined || !first.name.startsWith('functions.')) return null;
  const parts = messages.flatMap(({ content }) => (typeof content === 'string' ? [] : content));
  const declared = parts.flatMap((part) => (part.type === 'developer' ? (part.functions ?? []) : []));
  const found = declared.find(({ name }) => first.name === `functions.${name}`);
  const properties = (found?.parameters as { properties?: object } | undefined)?.properties;
  const given = first.arguments;
  return (
    properties !== undefined &&
    typeof given === 'object' &&
    given !== null &&
    Object.keys(given).every((name) => Object.hasOwn(properties, name))
  );
}

/** A letter to count that is there more than once. */
function isRepeated({ family, messages }: Task): boolean {
  const final = messages.at(-1)?.content;
  return family === 'count-letter' && typeof final === 'string' && /appears ([2-9]|\d\d) times/.test(final);
}

/** Python that prints one expression is calculated, whether or not it is the one that the solution has. */
function printed({ name, text }: CalledTool, { tools }: Environment): string | null {
  if (name !== 'python' || !tools.builtins.includes('python')) return null;
  const expression = /^\s*print\(([-+*/%().\d\s]+)\)\s*$/.exec(text)?.[1];
  if (expression === undefined) return null;
  const result = calculate(expression);
  return 'value' in result ? result.value : null;
}
