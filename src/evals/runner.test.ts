// Asking: what fails for a moment is tried again, what keeps failing is reported and asked again later, and nothing of it is
// ever counted as wrong. No test waits: the pauses are handed in and written down.
import { describe, expect, it } from 'vitest';
import { type Judge, JudgeError } from './judge.ts';
import type { Journal, SampleRecord } from './record.ts';
import { AnswerError, type RunOptions, runSuite } from './runner.ts';
import { summarise } from './summary.ts';
import type { Answer, Answerer, Grade, Sample, Suite } from './task.ts';

const cell = { group: 'g', set: 's', tools: 'off', level: 'low', sampling: 'greedy' } as const;

function answer(text: string): Answer {
  const usage = { promptTokens: 5, completionTokens: text.length, reasoningTokens: 0 };
  return { text, reasoning: '', finish: 'stop', isFinal: true, isMalformed: false, calls: 0, usage, ms: 1 };
}

function suiteOf(count: number, grade: (answer: Answer, judge: Judge | null) => Grade | Promise<Grade>): Suite {
  const samples = Array.from({ length: count }, (_, n): Sample => {
    const question = {
      messages: [{ role: 'user', content: `${n}` } as const],
      level: 'low' as const,
      temperature: 0,
      seed: 1,
    };
    return { key: `${n}`, cell, repeat: 0, prepare: () => ({ item: `${n}`, question, grade }) };
  });
  return { name: 's', title: 's', samples, identity: {}, needsJudge: false, notes: [] };
}

function memoryJournal(): Journal & { readonly done: Map<string, SampleRecord> } {
  const done = new Map<string, SampleRecord>();
  return { done, append: (record) => void done.set(record.key, record) };
}

function answererOf(say: (n: number, attempt: number) => string): Answerer {
  const attempts = new Map<number, number>();
  return {
    description: 'script',
    async answer({ messages }) {
      const n = Number(messages[0]!.content);
      attempts.set(n, (attempts.get(n) ?? 0) + 1);
      return answer(say(n, attempts.get(n)!));
    },
    close: async () => {},
  };
}

function options(more: Partial<RunOptions> = {}): RunOptions & { readonly waits: number[] } {
  const waits: number[] = [];
  const wait = async (ms: number): Promise<void> => void waits.push(ms);
  return {
    concurrency: 2,
    journal: memoryJournal(),
    judge: null,
    signal: new AbortController().signal,
    wait,
    waits,
    ...more,
  };
}

const isEven = ({ text }: Answer): Grade => ({ score: Number(text) % 2 === 0 ? 1 : 0 });

describe('a run', () => {
  it('tries again what may pass, waiting longer each time, or as long as the server says', async () => {
    const asked = options({ concurrency: 1 });
    const answerer = answererOf((n, attempt) => {
      if (n === 1 && attempt < 4) throw new AnswerError('busy', true);
      if (n === 2 && attempt === 1) throw new AnswerError('later', true, 1_234);
      return `${n}`;
    });
    const { records, unanswered } = await runSuite(suiteOf(4, isEven), answerer, asked);
    expect(records.map(({ key, score }) => [key, score])).toEqual([
      ['0', 1],
      ['1', 0],
      ['2', 1],
      ['3', 0],
    ]);
    expect(unanswered).toEqual([]);
    expect(asked.waits).toEqual([500, 2_000, 8_000, 1_234]);
  });

  it('reports what keeps failing, and asks only that again', async () => {
    const journal = memoryJournal();
    let isDown = true;
    const answerer = answererOf((n) => {
      if (n === 1 && isDown) throw new AnswerError('down', true);
      return `${n}`;
    });
    const first = await runSuite(suiteOf(3, isEven), answerer, options({ journal }));
    expect(first.unanswered).toEqual([{ key: '1', error: 'down' }]);
    expect(first.records.map(({ key }) => key)).toEqual(['0', '2']);
    expect(summarise(first.records, 'items').levels[0]!.score.mean).toBe(1); // the one without an answer is no zero
    isDown = false;
    const told: (string | null)[] = [];
    const second = await runSuite(
      suiteOf(3, isEven),
      answerer,
      options({ journal, onProgress: (_, __, record) => void told.push(record?.key ?? null) }),
    );
    expect(told).toEqual([null, '1']);
    expect(second.records.map(({ score }) => score)).toEqual([1, 0, 1]);
  });

  it('gives up when nobody answers any more', async () => {
    const answerer = answererOf(() => {
      throw new AnswerError('gone', false);
    });
    await expect(runSuite(suiteOf(100, isEven), answerer, options())).rejects.toThrow(
      /8 questions in a row got no answer \(gone\)/,
    );
  });

  it('keeps the answer of what could not be judged, and only judges it again', async () => {
    const journal = memoryJournal();
    let asked = 0;
    const answerer = answererOf((n) => `${asked++}`.replace(/.*/, `${n}`));
    const judge: Judge = { name: 'judge', ask: async () => Promise.reject(new JudgeError('the judge is away')) };
    let isAway = true;
    const suite = suiteOf(2, async ({ text }, given) => {
      if (isAway && text === '1') await given!.ask('', () => null);
      return { score: 1 };
    });
    const first = await runSuite(suite, answerer, options({ journal, judge }));
    expect(first.records.map(({ score, error }) => [score, error])).toEqual([
      [1, undefined],
      [null, 'the judge is away'],
    ]);
    const [level] = summarise(first.records, 'items').levels;
    expect([level!.score.mean, level!.items, level!.unjudged]).toEqual([1, 1, 1]); // never a zero
    expect(asked).toBe(2);
    isAway = false;
    const second = await runSuite(suite, answerer, options({ journal, judge }));
    expect(second.records.map(({ score }) => score)).toEqual([1, 1]);
    expect(asked).toBe(2);
  });

  it('stops at a failure that is no answerer’s, and when it is told to', async () => {
    const broken = answererOf(() => {
      throw new Error('device lost');
    });
    await expect(runSuite(suiteOf(3, isEven), broken, options())).rejects.toThrow('device lost');
    const controller = new AbortController();
    const journal = memoryJournal();
    const answerer = answererOf((n) => {
      if (n === 1) controller.abort();
      return `${n}`;
    });
    const run = runSuite(
      suiteOf(50, isEven),
      answerer,
      options({ concurrency: 1, journal, signal: controller.signal }),
    );
    await expect(run).rejects.toThrow(/abort/i);
    expect([...journal.done.keys()]).toEqual(['0', '1']);
  });
});
