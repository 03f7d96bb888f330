import { describe, expect, it } from 'vitest';
import type { SampleRecord } from '../record.ts';
import type { Beside } from '../results.ts';
import { grouped } from '../summary.ts';
import { tinyChecks } from './checks.ts';
import { rowOf, seedTasks } from './rows.ts';
import { type TinyOptions, tinySuite } from './suite.ts';

const options: TinyOptions = {
  ...{ items: 8, others: 2, seed: 3, sampled: 0, only: [], hasPython: true, seedTasks: true },
};
const suite = tinySuite(options);

describe('the tiny suite', () => {
  it('asks as many questions of each of fifteen families, at each level, without and with a tool', () => {
    const plain = suite.samples.filter(({ cell }) => cell.set === 'plain');
    const cells = grouped(plain, ({ cell }) => `${rowOf(cell.group)} ${cell.level} ${cell.tools}`);
    expect(cells.size).toBe(15 * 3 * 2);
    expect(new Set([...cells.values()].map(({ length }) => length))).toEqual(new Set([8]));
    const template = suite.samples.filter(({ cell }) => cell.set === 'template' && cell.level === 'low');
    for (const members of grouped(template, ({ cell }) => rowOf(cell.group)).values()) expect(members).toHaveLength(2);
    expect(new Set(suite.samples.map(({ key }) => key)).size).toBe(suite.samples.length);
  });

  it('puts the same problem at every level', () => {
    const same = suite.samples.filter(({ key }) => /^division\/plain\/tools-off\/\w+\/greedy\/0$/.test(key));
    expect(same).toHaveLength(3);
    expect(new Set(same.map((sample) => sample.prepare()!.item)).size).toBe(1);
  });

  it('has the tasks of the seed in their sizes, weather as the seed knows it', () => {
    const asked = suite.samples.filter(({ cell }) => cell.set === 'seed');
    expect(asked).toHaveLength(seedTasks.length * 3 * 8);
    const items = asked.flatMap((sample) => sample.prepare() ?? []);
    expect(items.length).toBeGreaterThan(asked.length * 0.8);
    const weather = asked.filter(({ cell }) => cell.group === 'seed: get_weather').flatMap((s) => s.prepare() ?? []);
    for (const { item, question } of weather) {
      expect(item).toMatch(/^function-call\/seed\//);
      expect(JSON.stringify(question.messages)).toMatch(/get_weather|Gets the current weather/);
    }
    const sums = asked.filter(({ cell }) => cell.group.startsWith('seed: addition')).flatMap((s) => s.prepare() ?? []);
    for (const { item } of sums) expect(item).toMatch(/^addition\/seed\/\d{1,4}\+\d{1,4}$/);
  });

  it('begins repairs in the middle of the reasoning, right after a slip', () => {
    const asked = suite.samples.filter(({ cell }) => cell.set === 'repair');
    const begun = asked.flatMap((sample) => sample.prepare()?.question.begun ?? []);
    expect(begun.length).toBeGreaterThan(10);
    for (const text of begun) expect(text).not.toMatch(/wrong/);
  });
});

describe('the floor', () => {
  const beside = (low: number, high: number): Beside => ({
    ...{ what: 'baseline', answerer: 'the other' },
    cells: [
      {
        cell: { group: 'seed: minimum', set: 'seed', tools: 'off', level: 'low', sampling: 'greedy' },
        ours: { mean: 0.9, se: 0.01, low: 0.88, high: 0.92 },
        theirs: { mean: 0.9, se: 0.01, low: 0.88, high: 0.92 },
        ...{ mean: (low + high) / 2, se: 0.01, low, high, n: 500, better: 5, worse: 5, p: 1 },
      },
    ],
  });
  const check = (low: number, high: number) =>
    tinyChecks([], null, [beside(low, high)]).find(({ name }) => name === 'no cell below the baseline')!;

  it('holds only where the whole interval does', () => {
    expect(check(-0.015, 0.02)).toMatchObject({ passed: true, figures: { worse: 0, undecided: 0 } });
    expect(check(-0.03, 0.02)).toMatchObject({ passed: false, figures: { worse: 0, undecided: 1 } });
    expect(check(-0.09, -0.03)).toMatchObject({ passed: false, figures: { worse: 1, undecided: 0 } });
  });

  it('is also the table of the seed, in percent', () => {
    const record = (score: number, i: number): SampleRecord => ({
      ...{ key: `${i}`, item: `i${i}`, repeat: 0, question: '', score, extracted: null, text: '', reasoning: '' },
      ...{ finish: 'stop', isFinal: true, isMalformed: false, calls: 0, ms: 0 },
      usage: { promptTokens: 1, completionTokens: 1, reasoningTokens: 0 },
      cell: { group: 'seed: minimum', set: 'seed', tools: 'off', level: 'low', sampling: 'greedy' },
    });
    const table = (right: number) =>
      tinyChecks(
        Array.from({ length: 100 }, (_, i) => record(i < right ? 1 : 0, i)),
        null,
      ).find(({ name }) => name === 'the table of the seed')!;
    expect(table(85).passed).toBe(true); // the interval reaches 91 - 2
    expect(table(70).passed).toBe(false);
  });
});
