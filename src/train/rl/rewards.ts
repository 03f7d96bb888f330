// A verdict and what it cost, as one number. Being right pays, less so when the reasoning is longer than the level allows;
// everything else can only lose. Nothing is paid for calling a tool or for how reasoning reads: both would be learned for
// their own sake. A wrong answer earns nothing, however short it is.

import type { ReasoningEffort } from '../../text/harmony/messages.ts';
import type { Verdict } from './environment.ts';

export interface LengthBudget {
  readonly tokens: number; // of analysis that are free
  /** How much of the reward each budget's worth of tokens beyond it costs. */
  readonly slope: number;
}

export const defaultBudgets: Readonly<Record<ReasoningEffort, LengthBudget>> = {
  low: { tokens: 24, slope: 1 },
  medium: { tokens: 160, slope: 0.5 },
  high: { tokens: 384, slope: 0.1 },
};

export interface Outcome {
  readonly verdict: Verdict;
  readonly level: ReasoningEffort;
  readonly isGuessable: boolean;
  readonly reasoningTokens: number;
  /** Not the format: no final message, a message in another's role, a header that had to be guessed, cut off. */
  readonly isMalformed: boolean;
}

export interface RewardParts {
  readonly correct: number;
  readonly lengthFactor: number;
  readonly penalty: number;
  readonly reward: number;
}

export function rewardOf(
  outcome: Outcome,
  budgets: Readonly<Record<ReasoningEffort, LengthBudget>> = defaultBudgets,
): RewardParts {
  const { verdict, level, isGuessable, reasoningTokens, isMalformed } = outcome;
  const { tokens, slope } = budgets[level];
  const beyond = Math.max(0, reasoningTokens - tokens) / tokens;
  const lengthFactor = Math.min(1, Math.max(0.2, 1 - slope * beyond));
  const correct = verdict.isCorrect && !isMalformed ? (isGuessable ? 0.5 : 1) : 0;
  const penalty =
    (isMalformed ? 0.25 : 0) +
    0.05 * verdict.malformed +
    0.3 * verdict.undeclared +
    (level === 'low' ? 0.02 * Math.max(0, verdict.calls - 1) : 0);
  const reward = Math.min(1, Math.max(-0.5, correct * lengthFactor - penalty));
  return { correct, lengthFactor, penalty, reward };
}

/** Advantages of a group: rewards less their mean. No division by the deviation: it would weigh easy and hard groups
 *  more than others (Dr.GRPO, arXiv 2503.20783). */
export function advantages(rewards: readonly number[]): number[] {
  const mean = rewards.reduce((a, b) => a + b, 0) / rewards.length;
  return rewards.map((reward) => reward - mean);
}

export function hasVariance(rewards: readonly number[]): boolean {
  return rewards.some((reward) => Math.abs(reward - rewards[0]!) > 1e-9);
}
