// The suite `tiny`: every family of the trainer's registry, at three levels, without and with a tool; problems that
// training never draws (split by content), in trained wordings (`plain`), in wordings, names and nouns that only tests use
// (`template`), and one size harder (`harder`). A part of `plain` is asked again at temperature 1, to count malformed
// harmony and to compare with greedy answers. A new family appears by itself.
// Next: checks.ts (what the results have to show), contamination.ts.

import { reasoningEfforts } from '../../text/harmony/messages.ts';
import { calculate } from '../../train/rl/calculate.ts';
import { sameValue, TaskEnvironment } from '../../train/rl/task-environment.ts';
import { canUse, conversationOf, type GeneralTool } from '../../train/tasks/conversation.ts';
import { DATA_VERSION, families } from '../../train/tasks/families.ts';
import { type DrawnItem, drawItem, type Family } from '../../train/tasks/item.ts';
import { Random } from '../../train/tasks/random.ts';
import { hash32 } from '../../train/tasks/split.ts';
import { type Asked, type CalledTool, type Cell, cellName, type Sample, type Suite } from '../task.ts';

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
  let short = 0;
  for (const { family } of families) {
    for (const set of setsOf(family)) {
      const cells = cellsOf(family, set, options);
      if (cells.length === 0) continue;
      const items = drawItems(family, set, options);
      if (items.length < options.items) short++;
      for (const cell of cells) {
        const count = cell.sampling === 'sampled' ? sampledPerCell(options.sampled) : items.length;
        for (const [n, item] of items.slice(0, count).entries()) samples.push(sampleOf(family, item, n, cell, options));
      }
    }
  }
  return {
    name: 'tiny',
    title: 'The tiny model’s own tasks: unseen problems of every family',
    samples,
    needsJudge: false,
    identity: { data_version: DATA_VERSION, families: families.map(({ family }) => family.name).join(' '), ...options },
    notes: [
      ...(short > 0 ? [`${short} families and sets have fewer than ${options.items} different unseen problems`] : []),
      ...(options.hasPython ? [] : ['without python, which cannot be declared at a URL: the tool is a calculator']),
    ],
  };
}

/** Families with a fixed list of questions have one set of unseen ones, and no sizes. */
function setsOf(family: Family): readonly TinySet[] {
  if (family.isFixed === true) return ['plain'];
  return family.sizes > 1 ? tinySets : ['plain', 'template'];
}

function cellsOf({ name }: Family, set: TinySet, { only, sampled }: TinyOptions): Cell[] {
  const cells: Cell[] = [];
  for (const level of reasoningEfforts) {
    const cell = { group: name, set, level } as const;
    cells.push({ ...cell, tools: 'off', sampling: 'greedy' });
    if (set === 'plain') {
      cells.push({ ...cell, tools: 'on', sampling: 'greedy' });
      if (sampled > 0) cells.push({ ...cell, tools: 'off', sampling: 'sampled' });
    }
  }
  return cells.filter((cell) => only.length === 0 || only.some((word) => cellName(cell).includes(word)));
}

const sampledPerCell = (sampled: number): number => Math.ceil(sampled / (families.length * reasoningEfforts.length));

/** Different unseen problems; fewer than asked for where the family has no more. */
export function drawItems(
  family: Family,
  set: TinySet,
  { items, seed }: Pick<TinyOptions, 'items' | 'seed'>,
): DrawnItem[] {
  const found = new Map<string, DrawnItem>();
  for (let n = 0; found.size < items && n < items * 3; n++) {
    const random = new Random(seed, `evaluation ${family.name} ${set}`, n);
    const size = set === 'harder' ? family.sizes + 1 : random.int(1, family.sizes);
    const item = drawItem(family, { random, size, heldOut: set === 'template', slips: 0 }, 'test');
    if (item !== null && !found.has(item.key)) found.set(item.key, item);
  }
  return [...found.values()];
}

/** Which wording, system message and tool declaration: the same at each level. */
function settingRandom(item: DrawnItem, set: string, n: number, seed: number): Random {
  return new Random(seed, `evaluation setting ${item.family} ${set}`, n);
}

function toolOf(item: DrawnItem, n: number, hasPython: boolean): GeneralTool {
  const useful = (['calculate', 'python'] as const).filter((tool) => canUse(item, tool));
  const offered = useful.length > 0 ? useful : (['calculate', 'python'] as const);
  return hasPython ? offered[n % offered.length]! : 'calculate';
}

function sampleOf(family: Family, item: DrawnItem, n: number, cell: Cell, { seed, hasPython }: TinyOptions): Sample {
  const { level, set } = cell;
  const id = `${family.name}/${set}/${item.key}`;
  const key = `${cellName(cell)}/${n}`;
  return {
    ...{ key, item: id, cell, repeat: 0 },
    prepare() {
      const tool = cell.tools === 'on' ? toolOf(item, n, hasPython) : 'none';
      const conversation = conversationOf(
        item,
        { level, tool, heldOut: set === 'template' },
        settingRandom(item, set, n, seed),
      );
      return askedOf(item, new TaskEnvironment(conversation, family), {
        temperature: cell.sampling === 'sampled' ? 1 : 0,
        seed: hash32(`${seed} ${key}`),
      });
    },
  };
}

function askedOf(
  item: DrawnItem,
  environment: TaskEnvironment,
  sampling: { temperature: number; seed: number },
): Asked {
  const called: CalledTool[] = [];
  return {
    question: {
      ...{ messages: environment.prompt, level: environment.level, tools: environment.tools },
      ...{ maxCalls: environment.maxCalls, maxTokens: MOST_TOKENS, callHeader: 'channel-first', loopGuard: false },
      ...sampling,
      call(call) {
        called.push(call);
        return printed(call, environment) ?? environment.call(call);
      },
    },
    grade({ text, finish, isFinal }) {
      const last = {
        text,
        finish: finish === 'tool_calls' ? 'call' : finish,
        fallback: isFinal || finish !== 'stop' ? null : 'empty',
      } as const;
      const verdict = environment.judge(last);
      const expected = item.expectedCall;
      const first = called[0];
      const callExact =
        expected === undefined
          ? null
          : expected === null
            ? called.length === 0
            : first !== undefined && first.name === expected.name && sameValue(first.arguments, expected.arguments);
      return {
        score: verdict.isCorrect ? 1 : 0,
        extracted: text,
        extra: { size: item.size, undeclared: verdict.undeclared, ...(callExact === null ? {} : { callExact }) },
      };
    },
  };
}

/** Python that prints one expression is calculated, whether or not it is the one that the solution has. */
function printed({ name, text }: CalledTool, { tools }: TaskEnvironment): string | null {
  if (name !== 'python' || !tools.builtins.includes('python')) return null;
  const expression = /^\s*print\(([-+*/%().\d\s]+)\)\s*$/.exec(text)?.[1];
  if (expression === undefined) return null;
  const result = calculate(expression);
  return 'value' in result ? result.value : null;
}
