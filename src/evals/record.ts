// What is kept of each sample: one line of the run's journal, complete enough to be graded again and to be counted without
// the suite. Next: journal.node.ts (the file), summary.ts (the counting).

import type { Answer, Asked, Cell, Grade, Sample } from './task.ts';

export interface SampleRecord extends Answer {
  readonly key: string;
  readonly item: string;
  readonly cell: Cell;
  readonly repeat: number;
  /** The last thing that the user says, for people who read the journal. */
  readonly question: string;
  /** Null: not judged; `error` says why. */
  readonly score: number | null;
  readonly extracted: string | null;
  readonly error?: string;
  readonly extra?: Grade['extra'];
}

export function recordOf({ key, cell, repeat }: Sample, asked: Asked, answer: Answer, grade: Grade): SampleRecord {
  const { score, extracted = null, error, extra } = grade;
  const last = asked.question.messages.findLast(({ role }) => role === 'user')?.content;
  return {
    ...{ key, item: asked.item, cell, repeat, question: typeof last === 'string' ? last : '', score, extracted },
    ...(error === undefined ? {} : { error }),
    ...(extra === undefined ? {} : { extra }),
    ...answer,
  };
}

/** A line of a journal as a record; null where it is none. */
export function parseRecord(line: string): SampleRecord | null {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return null;
  }
  const record = value as Partial<SampleRecord> | null;
  const isRecord =
    typeof record === 'object' &&
    record !== null &&
    typeof record.key === 'string' &&
    typeof record.item === 'string' &&
    typeof record.cell === 'object' &&
    (record.score === null || typeof record.score === 'number') &&
    typeof record.usage === 'object';
  return isRecord ? (record as SampleRecord) : null;
}

/** Where the records of a run go, and those of an earlier start of it. */
export interface Journal {
  readonly done: ReadonlyMap<string, SampleRecord>;
  append(record: SampleRecord): void;
}
