// What a run will take, said before it begins: answers, tokens by a rule of thumb, and hours at the speed that this model
// shows here in a short trial. At a URL the speed shows only when answers come. Next: eval.ts.

import type { Sample } from '../../evals/task.ts';
import type { OpenedModel } from '../../opened-model.ts';
import type { ReasoningEffort } from '../../text/harmony/messages.ts';
import { duration } from '../hub/progress.ts';

const TRIAL_TOKENS = 24;
const TRIAL_SEQUENCES = 8;

export interface RunEstimate {
  readonly answers: number;
  readonly tokens: number;
  /** Of all sequences that run together; null: not tried. */
  readonly tokensPerSecond: number | null;
}

export function estimateOf(
  samples: readonly Sample[],
  tokens: Readonly<Record<ReasoningEffort, number>>,
  maxTokens: number | undefined,
  tokensPerSecond: number | null,
): RunEstimate {
  const most = maxTokens ?? Number.POSITIVE_INFINITY;
  const total = samples.reduce((sum, { cell }) => sum + Math.min(most, tokens[cell.level]), 0);
  return { answers: samples.length, tokens: total, tokensPerSecond };
}

/** Tokens generated in a second by so many sequences together, after a warm-up. */
export async function trySpeed(model: OpenedModel, concurrency: number, signal: AbortSignal): Promise<number> {
  const { engine, encoding } = model;
  const count = Math.min(concurrency, TRIAL_SEQUENCES);
  const generate = async (index: number, maxTokens: number): Promise<number> => {
    const ids = Array.from(
      encoding.tokenizer.encode(`${index}. What is the sum of the first ${index + 10} odd numbers?`),
    );
    const { tokens } = await engine.generate(ids, { temperature: 1, seed: index, maxTokens, stopIds: [], signal })
      .result;
    return tokens.length;
  };
  await generate(0, 2);
  const start = performance.now();
  const counts = await Promise.all(Array.from({ length: count }, (_, i) => generate(i + 1, TRIAL_TOKENS)));
  const seconds = (performance.now() - start) / 1000;
  return counts.reduce((sum, tokens) => sum + tokens, 0) / Math.max(seconds, 1e-6);
}

export function describeEstimate(name: string, { answers, tokens, tokensPerSecond }: RunEstimate): string {
  const total = tokens >= 1e6 ? `${(tokens / 1e6).toFixed(1)} million` : tokens.toLocaleString('en');
  const time =
    tokensPerSecond === null
      ? 'how long that takes shows when answers come'
      : `about ${duration(tokens / tokensPerSecond)} at ${tokensPerSecond.toFixed(1)} tokens/s, as tried here just now`;
  return `${name}: ${answers.toLocaleString('en')} answers, roughly ${total} tokens (by a rule of thumb); ${time}`;
}
