// Rollouts by the serving engine: a group of answers to one prompt, sampled from the model as it is (temperature 1, no
// cuts, no masks). The engine shares the prompt's pages within the group; each call of a tool goes to the environment and
// its result is appended, so a continuation reads only what is new. Each rollout keeps what training needs: ids, which of
// them the model chose, their log-probabilities, and the experts of every token.

import type { Engine } from '../../engine/engine.ts';
import type { HarmonyEncoding } from '../../text/harmony/encoding.ts';
import { readTurn, type Turn } from '../../text/harmony/turn.ts';
import { promptIds } from '../data/examples.ts';
import type { Environment } from './environment.ts';
import type { RecordedModel } from './recorded-model.ts';
import { type LengthBudget, type RewardParts, rewardOf } from './rewards.ts';
import { toolAnswer } from './tool-answer.ts';

export interface Rollout {
  readonly environment: string;
  readonly level: Environment['level'];
  readonly ids: Int32Array;
  readonly chosen: Uint8Array; // [ids] 1: sampled by the model
  readonly logprobs: Float32Array; // [ids] of sampled ones
  readonly expertIds: Int32Array; // [layers, ids - 1, expertsPerToken]
  readonly reasoningTokens: number;
  readonly calls: number;
  readonly isCorrect: boolean;
  readonly isCut: boolean;
  readonly parts: RewardParts;
  readonly text: string;
}

export interface RolloutOptions {
  readonly seed: number;
  /** Which of a group: gives it its own draws. */
  readonly sample: number;
  readonly budgets: Readonly<Record<Environment['level'], LengthBudget>>;
  /** Most sampled tokens: this many times the level's budget, and `room` more for headers and the answer. */
  readonly capFactor?: number; // default 2
  readonly room?: number; // default 64
  readonly signal?: AbortSignal;
}

export async function rollOut(
  engine: Engine,
  model: RecordedModel,
  encoding: HarmonyEncoding,
  environment: Environment,
  options: RolloutOptions,
): Promise<Rollout> {
  const ids = promptIds(encoding, environment.prompt);
  const chosen: number[] = ids.map(() => 0);
  const logprobs: number[] = ids.map(() => 0);
  const cap = options.budgets[environment.level].tokens * (options.capFactor ?? 2) + (options.room ?? 64);
  let left = Math.min(cap, engine.context - ids.length);
  let [reasoningTokens, calls, isMalformed] = [0, 0, false];
  let turn: Turn | null = null;
  let isCut = false;
  while (left > 0) {
    const generation = engine.generate(ids, {
      ...{ temperature: 1, topP: 1, topK: 0, minP: 0, logprobs: true },
      ...{ maxTokens: left, seed: options.seed, sample: options.sample * 16 + calls, signal: options.signal },
      stopIds: encoding.stopIds(),
    });
    const generated: number[] = [];
    for await (const { id, logprob } of generation) {
      generated.push(id);
      ids.push(id);
      chosen.push(1);
      logprobs.push(logprob!);
    }
    left -= generated.length;
    turn = readTurn(encoding, generated, { tools: environment.tools });
    reasoningTokens += turn.reasoningTokens;
    isMalformed ||= isMalformedTurn(turn);
    const more = toolAnswer(encoding, environment, turn, calls);
    if (more === null) break;
    calls++;
    if (ids.length + more.length + 1 > engine.context) break;
    for (const id of more) {
      ids.push(id);
      chosen.push(0);
      logprobs.push(0);
    }
    left = Math.min(left, engine.context - ids.length);
  }
  if (turn === null || turn.finish !== 'stop') isCut = true;
  const verdict = turn === null ? { isCorrect: false, undeclared: 0, malformed: 0, calls } : environment.judge(turn);
  const parts = rewardOf(
    {
      verdict,
      level: environment.level,
      isGuessable: environment.isGuessable,
      reasoningTokens,
      isMalformed: isMalformed || isCut,
    },
    options.budgets,
  );
  return {
    ...{ environment: environment.name, level: environment.level, reasoningTokens, calls, isCut, parts },
    ids: Int32Array.from(ids),
    chosen: Uint8Array.from(chosen),
    logprobs: Float32Array.from(logprobs),
    expertIds: model.expertsOf(ids, ids.length - 1),
    isCorrect: verdict.isCorrect,
    text: turn?.text ?? '',
  };
}

/** What the parser had to repair, messages in another's name (a tool result that the model made up), or no answer. */
function isMalformedTurn(turn: Turn): boolean {
  return (
    turn.problems.length > 0 ||
    turn.fallback !== null ||
    turn.finish === 'length' ||
    turn.messages.some(({ role }) => role !== 'assistant')
  );
}
