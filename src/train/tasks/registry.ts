// The families as evaluation and reinforcement see them: one list, one interface. A task is a prompt, a world that answers
// calls, and a verdict; the same index gives the same problem at every level and with every tool, so results pair.
// How problems are drawn and solved: item.ts; how they become conversations: conversation.ts; how often a stage draws
// which family: ../data/mixture.ts. Add a family to families.ts, not here.

import { GptOssError } from '../../errors.ts';
import type { Message, ReasoningEffort } from '../../text/harmony/messages.ts';
import { reasoningEfforts } from '../../text/harmony/messages.ts';
import type { Turn } from '../../text/harmony/turn.ts';
import type { Called, Environment, Verdict } from '../rl/environment.ts';
import { TaskEnvironment } from '../rl/task-environment.ts';
import { conversationOf, type TaskConversation } from './conversation.ts';
import { families } from './families.ts';
import {
  type DrawnItem,
  drawItem,
  type ExpectedCall,
  type Family,
  type GeneralTool,
  type Solution,
  splitOfItem,
} from './item.ts';
import { Random } from './random.ts';
import type { Split } from './split.ts';

export interface TaskOptions {
  readonly level: ReasoningEffort;
  /** Default test. Train and val are for looking at data and for watching a run. */
  readonly split?: Split;
  /** A general tool that is declared with the question, useful or not. Default none. */
  readonly tool?: GeneralTool;
  /** Wordings, names and places that training never uses. Default false. */
  readonly heldOutTemplates?: boolean;
  /** One size harder than anything trained. Default false. */
  readonly harder?: boolean;
  /** Sizes to draw, first and last. Default: all that are trained. */
  readonly sizes?: readonly [low: number, high: number];
  /** Have a slip in the reasoning that a perfect student would notice (`begun`). Default false. */
  readonly slipped?: boolean;
}

export interface Task {
  /** Names seed, index and options; equal ids are the same task. */
  readonly id: string;
  readonly family: string;
  /** The content: equal keys are the same problem. Decides the split. */
  readonly key: string;
  /** Of the content, whatever was asked for. */
  readonly split: Split;
  readonly size: number;
  readonly level: ReasoningEffort;
  readonly tool: GeneralTool;
  /** System, developer, earlier turns, question. */
  readonly prompt: readonly Message[];
  /** The prompt and what a perfect student of this level writes. */
  readonly messages: readonly Message[];
  /** The call that is right; null: calling anything is wrong; absent: calls do not matter. */
  readonly expectedCall?: ExpectedCall | null;
  /** Reasoning up to and with its first slip; null where there is none. */
  readonly begun: string | null;
  /** Answers calls and judges; a new one for each attempt. */
  environment(): Environment;
}

export interface TaskFamily {
  readonly name: string;
  /** Row of the suite, 1–15 (docs/training.md). */
  readonly suite: number;
  readonly levels: readonly ReasoningEffort[];
  /** General tools that solve its problems. */
  readonly tools: readonly GeneralTool[];
  /** Its problems declare functions of their own. */
  readonly declaresFunctions: boolean;
  /** Answers that can be guessed. */
  readonly isGuessable: boolean;
  /** A fixed list of questions: test tasks repeat before long. */
  readonly isFixed: boolean;
  readonly sizes: number;
  readonly hasHarder: boolean;
  /** Pure in its arguments. Null where the family has no (more) problems of this kind. */
  generate(seed: number, index: number, options: TaskOptions): Task | null;
  /** Whether a final message is right, after these calls (each with the recipient's name and its text). */
  grade(task: Task, final: string, calls?: readonly CallMade[]): Verdict;
}

export interface CallMade {
  readonly to: string; // functions.NAME, python
  readonly content: string;
}

/** A call as environments take it. */
export function calledWith({ to, content }: CallMade): Called {
  let given: unknown;
  try {
    given = JSON.parse(content);
  } catch {
    given = undefined;
  }
  return { name: to, arguments: given, text: content };
}

export function registered(family: Family): TaskFamily {
  return {
    ...{ name: family.name, suite: family.suite, levels: reasoningEfforts, sizes: family.sizes },
    tools: family.tools ?? [],
    declaresFunctions: family.suite === 14,
    isGuessable: family.isGuessable === true,
    isFixed: family.isFixed === true,
    hasHarder: family.sizes > 1,
    generate: (seed, index, options) => generate(family, seed, index, options),
    grade: gradeTask,
  };
}

function generate(family: Family, seed: number, index: number, options: TaskOptions): Task | null {
  const { level, split = 'test', tool = 'none', heldOutTemplates = false, harder = false } = options;
  if (harder && family.sizes < 2) return null;
  const { sizes = [1, family.sizes], slipped = false } = options;
  const kind = `${split}${heldOutTemplates ? ' held-out' : ''}${harder ? ' harder' : ''}${options.sizes === undefined ? '' : ` ${sizes.join('-')}`}${slipped ? ' slipped' : ''}`;
  const item = problem(family, seed, index, kind, { split, heldOutTemplates, harder, sizes, slipped });
  if (item === null) return null;
  const setting = { level, tool, heldOut: heldOutTemplates };
  const conversation = conversationOf(item, setting, new Random(seed, `task setting ${family.name} ${kind}`, index));
  const { messages, promptLength } = conversation;
  return {
    id: `${family.name}/${kind.replaceAll(' ', '-')}/${seed}/${index}/${tool}/${level}`,
    ...{ family: family.name, key: item.key, size: item.size, level, tool, messages },
    split: family.isFixed === true ? split : splitOfItem(family, item),
    prompt: messages.slice(0, promptLength),
    ...(item.expectedCall === undefined ? {} : { expectedCall: item.expectedCall }),
    begun: begunOf(conversation),
    environment: () => new TaskEnvironment(conversation, family),
  };
}

function problem(
  family: Family,
  seed: number,
  index: number,
  kind: string,
  {
    split,
    heldOutTemplates,
    harder,
    sizes,
    slipped,
  }: Required<Pick<TaskOptions, 'split' | 'heldOutTemplates' | 'harder' | 'sizes' | 'slipped'>>,
): DrawnItem | null {
  const name = `${family.name} ${seed} ${index} ${kind}`;
  const known = recent.get(name);
  if (known !== undefined) return known;
  const random = new Random(seed, `task ${family.name} ${kind}`, index);
  const size = harder ? family.sizes + 1 : random.int(...sizes);
  const item = drawItem(family, { random, size, heldOut: heldOutTemplates, slips: slipped ? 1 : 0 }, split);
  if (recent.size >= MOST_RECENT) recent.delete(recent.keys().next().value!);
  recent.set(name, item);
  return item;
}

function begunOf({ messages, unlearned }: TaskConversation): string | null {
  const first = unlearned[0];
  const content = first === undefined ? null : messages[first.message]!.content;
  return typeof content === 'string' ? content.slice(0, first!.end) : null;
}

/** The same problem is asked for at every level and with every tool, one after another, and drawing it may take long. */
const recent = new Map<string, DrawnItem | null>();
const MOST_RECENT = 256;

function gradeTask(task: Task, final: string, calls: readonly CallMade[] = []): Verdict {
  const environment = task.environment();
  for (const call of calls) environment.call(calledWith(call));
  return environment.judge(endedTurn(final));
}

function endedTurn(text: string): Turn {
  return {
    ...{ reasoning: '', text, fallback: null, preambles: [], calls: [], unfinishedCall: null },
    ...{ finish: 'stop', reasoningTokens: 0, messages: [], problems: [] },
  };
}

/** The calls of a solution, in order. */
export function callsOf({ steps }: Solution): CallMade[] {
  return steps.flatMap((step) => (step.kind === 'call' ? [{ to: step.to, content: step.content }] : []));
}

export const taskFamilies: readonly TaskFamily[] = families.map(({ family }) => registered(family));

export function taskFamilyNamed(name: string): TaskFamily {
  const found = taskFamilies.find((family) => family.name === name);
  if (found !== undefined) return found;
  throw new GptOssError(
    'invalid-request',
    `there is no task family ${name}; expected one of ${taskFamilies.map((family) => family.name).join(', ')}; see docs/training.md`,
  );
}
