// Owns: asking the samples of a suite, so many at once, writing each down as soon as it is graded, and going on where an
// earlier run was ended. What fails for a moment is tried again; what keeps failing is reported and asked again by the next
// run, never counted as wrong. Refuses: files (journal.node.ts), what answers (an Answerer), counting (summary.ts).

import { GptOssError, isGptOssError } from '../errors.ts';
import { type Judge, JudgeError } from './judge.ts';
import { type Journal, recordOf, type SampleRecord } from './record.ts';
import type { Answer, Answerer, Asked, Grade, Sample, Suite } from './task.ts';

/** An answerer could not answer. `retry`: it may later. */
export class AnswerError extends Error {
  readonly retry: boolean;
  /** How long the server asked to wait. */
  readonly afterMs: number | null;

  constructor(message: string, retry: boolean, afterMs: number | null = null) {
    super(message);
    this.retry = retry;
    this.afterMs = afterMs;
  }
}

export interface RunOptions {
  readonly concurrency: number;
  readonly journal: Journal;
  readonly judge: Judge | null;
  readonly signal: AbortSignal;
  /** After each sample, with the one that was done; null: what an earlier run did, told once. */
  readonly onProgress?: (done: number, of: number, record: SampleRecord | null) => void;
  /** Waits before another try. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>;
}

export interface Outcome {
  /** In the order of the suite; those without a score included. */
  readonly records: readonly SampleRecord[];
  /** Samples that got no answer. */
  readonly unanswered: readonly { readonly key: string; readonly error: string }[];
  /** Samples for which there is no problem. */
  readonly missing: number;
}

const TRIES = 5;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 60_000;
/** So many samples without an answer in a row, and nobody is there any more. */
const IN_A_ROW = 8;

export async function runSuite(suite: Suite, answerer: Answerer, options: RunOptions): Promise<Outcome> {
  const { journal, signal, onProgress } = options;
  const { samples } = suite;
  const records = new Map<string, SampleRecord>();
  const pending: Sample[] = [];
  for (const sample of samples) {
    const record = journal.done.get(sample.key);
    if (record !== undefined && record.score !== null) records.set(sample.key, record);
    else pending.push(sample);
  }
  onProgress?.(records.size, samples.length, null);
  const unanswered: { key: string; error: string }[] = [];
  let missing = 0;
  let inARow = 0;
  let next = 0;
  let failure: unknown = null;
  const work = async (): Promise<void> => {
    while (failure === null && next < pending.length && !signal.aborted) {
      const sample = pending[next++]!;
      try {
        const record = await ask(sample, answerer, options);
        if (record === null) {
          missing++;
          continue;
        }
        journal.append(record);
        records.set(sample.key, record);
        inARow = 0;
        onProgress?.(records.size, samples.length - missing, record);
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof AnswerError)) {
          failure ??= error;
          return;
        }
        unanswered.push({ key: sample.key, error: error.message });
        if (++inARow >= IN_A_ROW) {
          failure ??= new GptOssError(
            'io',
            `${inARow} questions in a row got no answer (${error.message}); expected ${answerer.description} to answer; the same command goes on from here`,
          );
        }
      }
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, Math.min(options.concurrency, pending.length)) }, work));
  if (failure !== null) throw failure;
  signal.throwIfAborted();
  return { records: samples.flatMap(({ key }) => records.get(key) ?? []), unanswered, missing };
}

async function ask(sample: Sample, answerer: Answerer, options: RunOptions): Promise<SampleRecord | null> {
  const before = options.journal.done.get(sample.key);
  for (let attempt = 1; ; attempt++) {
    const asked = sample.prepare(); // afresh: an environment remembers its calls
    if (asked === null) return null;
    if (before !== undefined) return recordOf(sample, asked, answerOf(before), await grade(asked, before, options));
    try {
      const answer = await answerer.answer(asked.question, options.signal);
      return recordOf(sample, asked, answer, await grade(asked, answer, options));
    } catch (error) {
      if (isGptOssError(error, 'context-overflow')) throw new AnswerError(error.message, false);
      if (!(error instanceof AnswerError) || !error.retry || attempt === TRIES || options.signal.aborted) throw error;
      const pause = error.afterMs ?? FIRST_WAIT_MS * 4 ** (attempt - 1);
      await options.wait(Math.min(pause, LONGEST_WAIT_MS), options.signal);
    }
  }
}

async function grade(asked: Asked, answer: Answer, { judge, signal }: RunOptions): Promise<Grade> {
  try {
    return await asked.grade(answer, judge);
  } catch (error) {
    if (!(error instanceof JudgeError) || signal.aborted) throw error;
    return { score: null, error: error.message };
  }
}

function answerOf({ text, reasoning, finish, isFinal, isMalformed, calls, usage, ms }: SampleRecord): Answer {
  return { text, reasoning, finish, isFinal, isMalformed, calls, usage, ms };
}
