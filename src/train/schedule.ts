// Learning rates over a run: warm-up, hold, linear decay (training.md §1.6). A pure function of the step, so a run may be
// cut into segments, or extended before its decay begins.

import { GptOssError } from '../errors.ts';

export interface Schedule {
  readonly peak: number;
  readonly steps: number; // of the whole run
  readonly warmup?: number; // steps; default 100, at most a tenth of the run
  /** Share of the run, at its end, in which the rate falls. Default 0.4; 1 for a decay from the start. */
  readonly decayShare?: number;
  /** What is left at the end, as a share of the peak. Default 0.02. */
  readonly floor?: number;
}

/** Rate of `step`, counted from 1. */
export function learningRate(step: number, schedule: Schedule): number {
  const { peak, steps, decayShare = 0.4, floor = 0.02 } = schedule;
  const warmup = schedule.warmup ?? Math.min(100, Math.floor(steps / 10));
  if (!(peak >= 0 && steps >= 1 && warmup >= 0 && decayShare >= 0 && decayShare <= 1 && floor >= 0)) {
    throw new GptOssError(
      'invalid-request',
      `a schedule of ${steps} steps, peak ${peak}, warm-up ${warmup}, decay share ${decayShare}, floor ${floor} is not possible; expected none below 0 and a share up to 1; change it`,
    );
  }
  if (step <= warmup) return (peak * step) / warmup;
  const decaySteps = Math.round(steps * decayShare);
  const held = steps - decaySteps;
  if (step <= held || decaySteps === 0) return peak;
  const progress = Math.min(1, (step - held) / decaySteps);
  return peak * (1 - (1 - floor) * progress);
}
