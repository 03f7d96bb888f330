// What a benchmark is: where its questions are found, how one is put and graded, how often it is asked, and what is usually
// reported beside the mean. Prompts are worded here, in the form that the graders of the benchmark expect; scores differ a
// little with the wording, so published ones stand beside ours and are not compared by a test.
// Next: aime.ts (the simplest), suite.ts (samples of one), ../extract.ts (answers out of text).

import type { Message, ReasoningEffort } from '../../text/harmony/messages.ts';
import type { Judge } from '../judge.ts';
import type { SampleRecord } from '../record.ts';
import type { Row, RowsOf } from '../rows.ts';
import type { Answer, Grade } from '../task.ts';

export interface BenchmarkItem {
  /** Equal in every file of the same question. */
  readonly id: string;
  /** Subject or category; empty: none. */
  readonly group: string;
  /** The question as put the n-th time (choices may be in another order). */
  ask(repeat: number, seed: number): BenchmarkQuestion;
}

export interface BenchmarkQuestion {
  readonly messages: readonly Message[];
  grade(answer: Answer, judge: Judge | null): Grade | Promise<Grade>;
}

/** A number that is usually reported beside the mean. */
export interface Measure {
  readonly name: string;
  readonly found: string;
  readonly figures: Readonly<Record<string, number | null>>;
}

export interface Benchmark extends RowsOf {
  readonly name: string;
  /** Data sets of the hub, best first. */
  readonly datasets: readonly string[];
  readonly repeats: number;
  readonly needsJudge: boolean;
  /** Generated tokens of an answer, roughly: for the estimate of what a run takes. Rules of thumb, not measured here. */
  readonly tokens: Readonly<Record<ReasoningEffort, number>>;
  /** Throws `invalid-request` for rows of another benchmark. `notes`: what was left out. */
  items(rows: readonly Row[]): { readonly items: readonly BenchmarkItem[]; readonly notes: readonly string[] };
  measures?(records: readonly SampleRecord[]): Measure[];
}

export function user(content: string): Message {
  return { role: 'user', content };
}
