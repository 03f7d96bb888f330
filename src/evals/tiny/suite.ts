// The suite `tiny`: every family of the trainer's registry, at three levels, without and with a tool; problems that
// training never draws (split by content), in trained wordings (`plain`), in wordings, names and nouns that only tests use
// (`template`), and one size harder (`harder`). A part of `plain` is asked again at temperature 1, to count malformed
// harmony and to compare with greedy answers. A new family appears by itself.
// Next: checks.ts (what the results have to show), contamination.ts, ../../train/tasks/registry.ts (the families).

import type { Message } from '../../text/harmony/messages.ts';
import { calculate } from '../../train/rl/calculate.ts';
import type { Environment } from '../../train/rl/environment.ts';
import { sameValue } from '../../train/rl/task-environment.ts';
import { DATA_VERSION } from '../../train/tasks/families.ts';
import type { GeneralTool } from '../../train/tasks/item.ts';
import { type Task, type TaskFamily, taskFamilies } from '../../train/tasks/registry.ts';
import { hash32 } from '../../train/tasks/split.ts';
import { titleOf } from '../suites.ts';
import { type Asked, type CalledTool, type Cell, cellName, type Sample, type Suite } from '../task.ts';
import { promptFingerprint } from './contamination.ts';

export const tinySets = ['plain', 'template', 'harder'] as const;
export type TinySet = (typeof tinySets)[number];

export interface TinyOptions {
  /** Items of each family and set. */
  readonly items: number;
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
  const samples: Sample[] = [];
  for (const family of taskFamilies) {
    for (const set of setsOf(family)) {
      const cells = cellsOf(family, set, options);
      // One problem after another, each at all its settings: it is drawn only once.
      for (let index = 0; index < options.items; index++) {
        for (const cell of cells) {
          if (cell.sampling === 'sampled' && index >= sampledPerCell(options.sampled)) continue;
          samples.push(sampleOf(family, index, cell, options));
        }
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

/** Families with a fixed list of questions have one set of unseen ones, and no sizes. */
export function setsOf({ isFixed, hasHarder }: TaskFamily): readonly TinySet[] {
  if (isFixed) return ['plain'];
  return hasHarder ? tinySets : ['plain', 'template'];
}

function cellsOf(family: TaskFamily, set: TinySet, { only, sampled, hasPython }: TinyOptions): Cell[] {
  const cells: Cell[] = [];
  for (const level of family.levels) {
    const cell = { group: family.name, set, level } as const;
    cells.push({ ...cell, tools: 'off', sampling: 'greedy' });
    if (set !== 'plain') continue;
    if (offeredTools(family, hasPython).length > 0) cells.push({ ...cell, tools: 'on', sampling: 'greedy' });
    if (sampled > 0) cells.push({ ...cell, tools: 'off', sampling: 'sampled' });
  }
  return cells.filter((cell) => only.length === 0 || only.some((word) => cellName(cell).includes(word)));
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
    ...{ level, tool, split: 'test' },
    ...{ heldOutTemplates: set === 'template', harder: set === 'harder' },
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
      if (task === null) return null;
      const sampling = { temperature: cell.sampling === 'sampled' ? 1 : 0, seed: hash32(`${seed} ${key}`) };
      return askedOf(task, `${family.name}/${cell.set}/${task.key}`, sampling);
    },
  };
}

function askedOf(task: Task, item: string, sampling: { temperature: number; seed: number }): Asked {
  const environment = task.environment();
  const called: CalledTool[] = [];
  const messages: readonly Message[] = environment.prompt;
  return {
    item,
    question: {
      ...{ messages, level: environment.level, tools: environment.tools },
      ...{ maxCalls: environment.maxCalls, maxTokens: MOST_TOKENS, callHeader: 'channel-first', loopGuard: false },
      ...sampling,
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
      return {
        score: isCorrect ? 1 : 0,
        extracted: text,
        extra: {
          size: task.size,
          undeclared,
          prompt: promptFingerprint(messages),
          ...(callExact === null ? {} : { callExact }),
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

/** Python that prints one expression is calculated, whether or not it is the one that the solution has. */
function printed({ name, text }: CalledTool, { tools }: Environment): string | null {
  if (name !== 'python' || !tools.builtins.includes('python')) return null;
  const expression = /^\s*print\(([-+*/%().\d\s]+)\)\s*$/.exec(text)?.[1];
  if (expression === undefined) return null;
  const result = calculate(expression);
  return 'value' in result ? result.value : null;
}
