// What a run says of itself: one record per step, one per evaluation, as JSON lines. Reports are drawn from them.

import type { ReasoningEffort } from '../../text/harmony/messages.ts';

export interface StepRecord {
  readonly stage: string;
  readonly step: number; // of the stage, from 1
  readonly of: number;
  readonly learningRate: number;
  readonly rows: number; // rows passed through, for reinforcement also generated ones
  readonly trainedRows: number;
  readonly loss: number; // nats
  readonly entropy: number; // nats
  readonly gradientNorm: number;
  readonly balanceLoss: number;
  readonly busiestExpert: number; // load over fair share, of all layers
  readonly expertLoad: readonly (readonly number[])[]; // [layers][experts]
  readonly fill?: number; // of the batch
  readonly seconds: number;
  readonly tokensPerSecond: number;
  readonly gflops: number; // per second; 0 where it is not counted
  // Preferences and reinforcement
  readonly margin?: number;
  readonly accuracy?: number;
  readonly reward?: number;
  readonly flat?: number;
  readonly cut?: number;
  readonly logprobGap?: number;
  readonly lengths?: Readonly<Record<ReasoningEffort, number | null>>;
  readonly tasks?: Readonly<Record<string, { readonly right: number; readonly of: number }>>;
}

/** Greedy answers to unseen problems after a stage. */
export interface TaskRecord {
  readonly stage: string;
  readonly family: string;
  readonly level: ReasoningEffort;
  readonly right: number;
  readonly of: number;
  readonly tokens: number; // mean generated per answer
}

export type LogLine = ({ readonly type: 'step' } & StepRecord) | ({ readonly type: 'task' } & TaskRecord);

/** Reads a log, leaving out a last line that was cut off by a kill. */
export function parseLog(text: string): LogLine[] {
  return text.split('\n').flatMap((line) => {
    try {
      return line.trim() === '' ? [] : [JSON.parse(line) as LogLine];
    } catch {
      return [];
    }
  });
}
