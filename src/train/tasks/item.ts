// One problem of a task family: what is asked, how each reasoning level solves it, how a tool would, and what counts as
// right. Families are pure: they draw from a Random and nothing else. What an item becomes in training: conversation.ts.
// The list of families: families.ts.

import type { FunctionDefinition, Message, ReasoningEffort } from '../../text/harmony/messages.ts';
import type { Random } from './random.ts';
import { type Split, splitOf } from './split.ts';

/** A stretch of reasoning. `isSlip`: a mistake put there so that the check that follows has something to find; it is
 *  read in training but not learned. */
export interface Piece {
  readonly text: string;
  readonly isSlip?: boolean;
}

export type Step =
  | { readonly kind: 'analysis'; readonly pieces: readonly Piece[] }
  | {
      readonly kind: 'call';
      readonly to: string; // `functions.NAME` or `python`
      readonly content: string; // JSON arguments, or code
      readonly result: string;
    };

/** Steps before the final message. A call without an answer after it (`final` null) ends the example there. */
export interface Solution {
  readonly steps: readonly Step[];
  readonly final: string;
}

/** How a general tool gets the answer: an expression for the calculator, code for python, and what they print. */
export interface ToolPlan {
  readonly expression?: string;
  readonly code: string;
  readonly result: string;
}

export interface ExpectedCall {
  readonly name: string;
  readonly arguments: Readonly<Record<string, unknown>>;
}

/** Something that calls change, for problems that are solved by what is so in the end. */
export interface World {
  /** What the call answers; null when it is not possible, and then nothing has changed. */
  call(name: string, given: unknown): string | null;
  isDone(): boolean;
}

export interface Item {
  /** Canonical content: equal keys are the same problem. Decides the split. */
  readonly key: string;
  /** Another family's problem with the same content, which then decides the split. */
  readonly sameAs?: { readonly family: string; readonly key: string };
  /** Wordings of the question, all usable in training … */
  readonly prompts: readonly string[];
  /** … and wordings that only tests use. */
  readonly heldOutPrompts: readonly string[];
  /** Wordings that make sense only after a question of the same family. */
  readonly followUps?: readonly string[];
  /** What the developer message says, if anything. */
  readonly instructions?: string;
  /** Functions that are declared with the question (family 14); `tool` declares its own. */
  readonly functions?: readonly FunctionDefinition[];
  /** Turns before the question. */
  readonly history?: readonly Message[];
  readonly solutions: Readonly<Record<ReasoningEffort, Solution>>;
  readonly tool?: ToolPlan;
  /** The call that is right; null: calling anything is wrong; absent: not a question of calls. */
  readonly expectedCall?: ExpectedCall | null;
  /** Declared functions that act on a state; a new one for each attempt. */
  readonly world?: () => World;
  /** Whether a final message is right. Sees nothing but that message. */
  verify(final: string): boolean;
}

export interface Draw {
  readonly random: Random;
  /** 1 … family.sizes are trained; sizes + 1 is the set that is one size harder. */
  readonly size: number;
  /** Draw names, nouns and places that only tests use. */
  readonly heldOut: boolean;
  /** Share of solutions whose first attempt has a slip, where a check follows. */
  readonly slips: number;
}

/** A general tool beside the declared functions: a calculator function, or the built-in python. */
export type GeneralTool = 'none' | 'calculate' | 'python';

export interface Family {
  readonly name: string;
  /** Row of the suite, 1–15 (training.md). */
  readonly suite: number;
  readonly sizes: number;
  /** Answers that can be guessed (yes/no) count less as a reward. */
  readonly isGuessable?: boolean;
  /** A fixed list of questions: those marked as held out are the test split, the others are trained. */
  readonly isFixed?: boolean;
  /** General tools that solve its problems. */
  readonly tools?: readonly GeneralTool[];
  draw(draw: Draw): Item;
}

export interface DrawnItem extends Item {
  readonly family: string;
  readonly size: number;
}

export function splitOfItem(family: Family, { key, sameAs }: Item): Split {
  return sameAs === undefined ? splitOf(family.name, key) : splitOf(sameAs.family, sameAs.key);
}

export function isTrained(family: Family, item: Item): boolean {
  return splitOfItem(family, item) === 'train';
}

const MOST_TRIES = 5_000;

/** An item of the wanted split: draws again until the content falls into it. Null when the family (at this size) has
 *  too few different items to offer one. */
export function drawItem(family: Family, draw: Draw, split: Split): DrawnItem | null {
  if (family.isFixed === true) {
    const item = family.draw({ ...draw, heldOut: split !== 'train' });
    return { ...item, family: family.name, size: draw.size };
  }
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    const item = family.draw(draw);
    if (splitOfItem(family, item) === split) return { ...item, family: family.name, size: draw.size };
  }
  return null;
}

// ---- small makers that the families share --------------------------------------------------------------------------

export function analysis(...parts: readonly (string | Piece | null)[]): Step {
  const pieces = parts.filter((part) => part !== null && part !== '');
  return { kind: 'analysis', pieces: pieces.map((part) => (typeof part === 'string' ? { text: part } : part!)) };
}

/** Low answers at once; medium and high think first. */
export function threeLevels(
  final: string,
  medium: readonly (string | Piece)[],
  high: readonly (string | Piece)[],
  low: readonly (string | Piece)[] = [],
): Item['solutions'] {
  const solution = (parts: readonly (string | Piece)[]): Solution => ({
    steps: parts.length === 0 ? [] : [analysis(...parts)],
    final,
  });
  return { low: solution(low), medium: solution(medium), high: solution(high) };
}

/** The last of every ten wordings (and of any shorter list of four or more) is kept for tests. */
export function wordings(list: readonly string[]): Pick<Item, 'prompts' | 'heldOutPrompts'> {
  const isHeld = (i: number): boolean => (list.length >= 4 && i === list.length - 1) || i % 10 === 9;
  return { prompts: list.filter((_, i) => !isHeld(i)), heldOutPrompts: list.filter((_, i) => isHeld(i)) };
}
