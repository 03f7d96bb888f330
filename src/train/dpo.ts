// Direct preference optimisation (Rafailov et al., arXiv 2305.18290): of two endings of one prompt the chosen one becomes
// likelier than the rejected one, relative to the model that the stage began with. Loss of a pair = -log σ(β · margin),
// margin = (log p - log p₀)(chosen) - (log p - log p₀)(rejected). Its gradient is that of a weighted sum of
// log-probabilities, so one pass finds the margins and the next one learns. Reference log-probabilities are computed once.

import { batchOf } from './data/batches.ts';
import type { Example } from './data/examples.ts';
import type { StepResult, StepSettings, Trainer } from './trainer.ts';

export interface Pair {
  readonly chosen: Example;
  readonly rejected: Example;
}

/** Log-probabilities of both endings under the model at the beginning. */
export interface ReferencedPair extends Pair {
  readonly reference: { readonly chosen: number; readonly rejected: number };
}

export interface PairStatistics {
  readonly loss: number; // mean -log σ(β margin)
  readonly margin: number; // mean, in nats
  /** Share of the pairs whose chosen ending gained on the rejected one. */
  readonly accuracy: number;
}

/** Scores pairs with the model as it is now: call before the first step, with experts as the steps will see them. */
export async function withReference(
  trainer: Trainer,
  pairs: readonly Pair[],
  fakeQuantised = false,
): Promise<ReferencedPair[]> {
  const scored: ReferencedPair[] = [];
  for (let from = 0; from < pairs.length; from += 32) {
    const part = pairs.slice(from, from + 32);
    const sums = await endings(trainer, part, fakeQuantised);
    scored.push(...part.map((pair, i) => ({ ...pair, reference: sums[i]! })));
  }
  return scored;
}

export async function pairStatistics(
  trainer: Trainer,
  pairs: readonly ReferencedPair[],
  beta: number,
  fakeQuantised = false,
): Promise<PairStatistics> {
  return statistics(marginsOf(await endings(trainer, pairs, fakeQuantised), pairs), beta);
}

export async function dpoStep(
  trainer: Trainer,
  pairs: readonly ReferencedPair[],
  beta: number,
  settings: StepSettings,
): Promise<{ update: StepResult; before: PairStatistics }> {
  const margins = marginsOf(await endings(trainer, pairs, settings.fakeQuantised ?? false), pairs);
  // d loss / d log p(chosen) = -β σ(-β margin) / pairs; a weight w adds -w log p to the loss.
  const weights = margins.flatMap((margin) => {
    const weight = (beta * sigmoid(-beta * margin)) / pairs.length;
    return [weight, -weight];
  });
  const batch = batchOf(interleaved(pairs), weights);
  const update = await trainer.step(batch, settings);
  return { update, before: statistics(margins, beta) };
}

const interleaved = (pairs: readonly Pair[]): Example[] => pairs.flatMap(({ chosen, rejected }) => [chosen, rejected]);

async function endings(
  trainer: Trainer,
  pairs: readonly Pair[],
  fakeQuantised: boolean,
): Promise<{ chosen: number; rejected: number }[]> {
  const examples = interleaved(pairs);
  const { logprobs } = await trainer.score(
    batchOf(
      examples,
      examples.map(() => 1),
    ),
    { fakeQuantised },
  );
  let at = 0;
  const sums = examples.map(({ ids }) => {
    let sum = 0;
    for (let row = 0; row + 1 < ids.length; row++, at++) sum += logprobs[at]!; // 0 where nothing is learned
    return sum;
  });
  return pairs.map((_, i) => ({ chosen: sums[2 * i]!, rejected: sums[2 * i + 1]! }));
}

function marginsOf(now: readonly { chosen: number; rejected: number }[], pairs: readonly ReferencedPair[]): number[] {
  return now.map(({ chosen, rejected }, i) => {
    const { reference } = pairs[i]!;
    return chosen - reference.chosen - (rejected - reference.rejected);
  });
}

function statistics(margins: readonly number[], beta: number): PairStatistics {
  const n = margins.length;
  return {
    loss: margins.reduce((sum, margin) => sum + Math.log1p(Math.exp(-beta * margin)), 0) / n,
    margin: margins.reduce((a, b) => a + b, 0) / n,
    accuracy: margins.filter((margin) => margin > 0).length / n,
  };
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
