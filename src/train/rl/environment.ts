// What a model acts in during reinforcement: a prompt, tools that answer calls, and a verdict at the end. Verdicts come
// from verifiers alone: the right answer, the right call, the right state. How they become a reward: rewards.ts.
// Next: task-environment.ts, rollouts.ts.

import type { Message, ReasoningEffort } from '../../text/harmony/messages.ts';
import type { Turn } from '../../text/harmony/turn.ts';

export interface Called {
  readonly name: string; // as in the recipient: functions.NAME, python
  readonly arguments: unknown; // parsed JSON, or the code; undefined where it is no JSON
  readonly text: string;
}

/** What a verdict needs to know of the last turn. */
export type LastTurn = Pick<Turn, 'finish' | 'fallback' | 'text'>;

export interface Verdict {
  /** Solved as the verifier wants it. */
  readonly isCorrect: boolean;
  /** Calls of tools that were not declared. */
  readonly undeclared: number;
  /** Calls whose arguments could not be used. */
  readonly malformed: number;
  readonly calls: number;
}

export interface Environment {
  readonly name: string; // of the family, for logs
  readonly level: ReasoningEffort;
  readonly prompt: readonly Message[];
  /** Lucky guesses count half. */
  readonly isGuessable: boolean;
  /** Most calls before the rollout is ended. */
  readonly maxCalls: number;
  /** Declared functions, by bare name, and whether python is there: how the turn is read. */
  readonly tools: { readonly functions: readonly string[]; readonly builtins: readonly string[] };
  /** Answers a call. Deterministic, without side effects outside. */
  call(called: Called): string;
  /** After the last turn. */
  judge(last: LastTurn): Verdict;
}
