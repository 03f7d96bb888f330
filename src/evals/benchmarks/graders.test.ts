// Each benchmark's grader against answers whose grade was decided by hand: the forms in which models answer, and those that
// look right and are not. Graders that ask a model get its replies from a script.
import { describe, expect, it } from 'vitest';
import { repoPath } from '../../../test/shared.ts';
import { boxed, chosenLetter } from '../extract.ts';
import { JudgeError, judgeOf, lastObject } from '../judge.ts';
import { readRows } from '../rows.node.ts';
import type { Answer, Answerer, Grade, Question } from '../task.ts';
import { aime24, aime25 } from './aime.ts';
import { benchmarks } from './all.ts';
import type { Benchmark, BenchmarkItem } from './benchmark.ts';
import { gpqa } from './gpqa.ts';
import { gsm8k } from './gsm8k.ts';
import { healthbench, rubricScore } from './healthbench.ts';
import { calibrationError, hle } from './hle.ts';
import { categoryOf, mmlu } from './mmlu.ts';

const fixture = (name: string): string => repoPath('test/fixtures/evals', name);

async function itemsOf(benchmark: Benchmark, file: string): Promise<readonly BenchmarkItem[]> {
  return benchmark.items((await readRows(fixture(file), benchmark)).rows).items;
}

function said(text: string): Answer {
  const usage = { promptTokens: 1, completionTokens: 1, reasoningTokens: 0 };
  return { text, reasoning: '', finish: 'stop', isFinal: true, isMalformed: false, calls: 0, usage, ms: 0 };
}

/** A judge that replies with these texts, one after another. */
function scriptedJudge(...replies: string[]) {
  const asked: string[] = [];
  const answerer: Answerer = {
    description: 'script',
    answer: async ({ messages }: Question) => {
      asked.push(String(messages.at(-1)!.content));
      return said(replies[asked.length - 1] ?? 'no more replies');
    },
    close: async () => {},
  };
  return { judge: judgeOf(answerer, 1, new AbortController().signal), asked };
}

describe('AIME', () => {
  // The answer to this question is 97.
  it.each<[text: string, score: number, extracted: string | null]>([
    ['The answer is \\boxed{97}.', 1, '97'],
    ['\\boxed{097}', 1, '97'],
    ['First \\boxed{31}, but m + n gives \\boxed{97}', 1, '97'],
    ['$\\boxed{\\text{97}}$', 1, '97'],
    ['\\boxed{m=31, n=66, 97}', 1, '97'],
    ['\\boxed{\\dfrac{31}{66}}', 0, '66'],
    ['So m + n = 31 + 66 = 97.', 1, '97'],
    ['The answer is 97, not 98', 0, '98'],
    ['\\boxed{97.5}', 0, null],
    ['I cannot solve this.', 0, null],
    ['', 0, null],
    ['\\framebox{97}', 1, '97'],
    ['97 … and \\boxed{96}', 0, '96'],
    ['\\boxed{-97}', 0, '-97'],
  ])('%j scores %d', async (text, score, extracted) => {
    const item = (await itemsOf(aime25, 'aime.jsonl'))[2]!;
    expect(await item.ask(0, 1).grade(said(text), null)).toEqual({ score, extracted });
  });

  it('reads answers as files write them', async () => {
    const items = await itemsOf(aime24, 'aime.jsonl');
    expect(items.length).toBe(10);
    expect(((await items[3]!.ask(0, 1).grade(said('\\boxed{1}'), null)) as Grade).score).toBe(1); // "001"
    const grade = aime24.items([{ Problem: 'x', Answer: '336^\\circ' }]).items[0]!.ask(0, 1).grade;
    expect(((await grade(said('336'), null)) as Grade).score).toBe(1);
    expect(() => aime24.items([{ question: 'x', answer: '3.5' }])).toThrow(/expected an answer from 0 to 999/);
    expect(() => aime24.items([{ a: 1 }])).toThrow(/question 1 has the columns a; expected question or problem/);
  });

  it('takes boxes with braces in them', () => {
    expect(boxed('\\boxed{\\frac{1}{2}}')).toBe('\\frac{1}{2}');
    expect(boxed('\\boxed{never closed')).toBeNull();
    expect(boxed('\\boxed{'.repeat(100_000))).toBeNull();
    // A hostile answer keeps no expression busy.
    expect(chosenLetter(`the answer is ${' *'.repeat(200_000)}`, 'ABCD')).toBeNull();
    expect(chosenLetter(`answer: ${' '.repeat(300_000)}`, 'ABCD')).toBeNull();
  });
});

describe('GPQA', () => {
  it('puts the choices in an order of its own each time, and knows where the right one is', async () => {
    const item = (await itemsOf(gpqa, 'gpqa_diamond.csv'))[3]!; // the right one is "3"
    const letters = new Set<string>();
    for (let repeat = 0; repeat < 12; repeat++) {
      const { messages, grade } = item.ask(repeat, 7);
      const asked = String(messages[0]!.content);
      const letter = /^\(([A-D])\) 3$/m.exec(asked)![1]!;
      letters.add(letter);
      expect(((await grade(said(`Answer: ${letter}`), null)) as Grade).score).toBe(1);
      expect(item.ask(repeat, 7).messages).toEqual(messages);
    }
    expect(letters.size).toBeGreaterThan(2);
  });

  // The right choice is in place B.
  const right = (text: string): [string, number] => [text, 1];
  const wrong = (text: string): [string, number] => [text, 0];
  it.each([
    right('Answer: B'),
    right('**Answer:** B'),
    right('**Answer: (B)**'),
    right('The pH is the negative logarithm.\n\nAnswer: $\\boxed{B}$'),
    right('answer: b'),
    right('\\boxed{\\text{B}}'),
    right('The correct answer is (B).'),
    right('I considered A and C.\n\nB'),
    right('B) 3, because of the logarithm.'),
    right('Option B is the one.'),
    right('It cannot be (A), so (B)'),
    wrong('Answer: A'),
    wrong('Answer: B is tempting.\nAnswer: C'),
    wrong('Answer: Bromine'),
    wrong('Because of this, nothing fits.'),
    wrong(''),
  ])('%j scores %d', async (text, score) => {
    const item = (await itemsOf(gpqa, 'gpqa_diamond.csv'))[3]!;
    const repeat = Array.from({ length: 40 }, (_, n) => n).find((n) =>
      /^\(B\) 3$/m.test(String(item.ask(n, 7).messages[0]!.content)),
    )!;
    expect(((await item.ask(repeat, 7).grade(said(text), null)) as Grade).score).toBe(score);
  });
});

describe('GSM8K', () => {
  it('reads the number after the last ####', async () => {
    const items = await itemsOf(gsm8k, 'gsm8k.jsonl');
    const right = ['27', '0', '2360', '2.5', '-25', '6', '60', '80', '7', '150'];
    for (const [i, text] of right.entries()) {
      expect(((await items[i]!.ask(0, 1).grade(said(text), null)) as Grade).score, text).toBe(1);
    }
    expect(() => gsm8k.items([{ question: 'q', answer: 'no number' }])).toThrow(/####/);
  });

  // The answer to this question is 2360.
  it.each<[text: string, score: number, extracted: string | null]>([
    ['\\boxed{2360}', 1, '2360'],
    ['\\boxed{2,360}', 1, '2360'],
    ['\\boxed{\\$2{,}360}', 1, '2360'],
    ['She has $2,360 left.', 1, '2360'],
    ['3000 - 640 = 2360.00', 1, '2360'],
    ['3,000 − 640 = 2,360', 1, '2360'],
    ['\\boxed{2360} dollars, that is 197 a month', 1, '2360'],
    ['She has 2360 dollars, 640 less than 3000.', 0, '3000'],
    ['\\boxed{236}', 0, '236'],
    ['\\boxed{-2360}', 0, '-2360'],
    ['2.360', 0, '2.36'],
    ['\\boxed{x} = 2360', 1, '2360'],
    ['I do not know.', 0, null],
    ['', 0, null],
  ])('%j scores %d', async (text, score, extracted) => {
    const item = (await itemsOf(gsm8k, 'gsm8k.jsonl'))[2]!;
    expect(await item.ask(0, 1).grade(said(text), null)).toEqual({ score, extracted });
  });
});

describe('MMLU', () => {
  it('reads files without a header, subjects from their names, and the columns of the hub', async () => {
    const items = await itemsOf(mmlu, 'mmlu');
    expect(items.length).toBe(10);
    expect(items.map(({ group }) => group)).toEqual([
      ...['STEM', 'STEM', 'STEM', 'other', 'other'],
      ...['humanities', 'humanities', 'humanities', 'social sciences', 'social sciences'],
    ]);
    expect(categoryOf('clinical_knowledge')).toBe('other');
    const hub = { question: 'q', subject: 'astronomy', choices: ['a', 'b', 'c', 'd'], answer: 2 };
    const [item] = mmlu.items([hub]).items;
    expect(item!.group).toBe('STEM');
    expect(((await item!.ask(0, 1).grade(said('Answer: C'), null)) as Grade).score).toBe(1);
    expect(() => mmlu.items([{ ...hub, answer: 'E' }])).toThrow(/a letter from A to D/);
  });

  // The answer to the first question is B.
  it.each<[text: string, score: number]>([
    ['Answer: B', 1],
    ['Six elements.\nAnswer: B.', 1],
    ['ANSWER: (B)', 1],
    ['Answer: $B$', 1],
    ['**Answer**: B', 1],
    ['The final answer is: B', 1],
    ['Answer: A', 0],
    ['Answer: B or C? I would say\nAnswer: C', 0],
    ['Answer: 6', 0],
    ['Answer: Both', 0],
    ['B', 1],
    ['I do not know', 0],
  ])('%j scores %d', async (text, score) => {
    const item = (await itemsOf(mmlu, 'mmlu'))[0]!;
    expect(((await item.ask(0, 1).grade(said(text), null)) as Grade).score).toBe(score);
  });
});

describe('Humanity’s Last Exam', () => {
  it('leaves questions with an image out, and says so', async () => {
    const { items, notes } = hle.items((await readRows(fixture('hle.jsonl'), hle)).rows);
    expect(items.length).toBe(9);
    expect(notes).toEqual(['1 questions with an image were left out']);
  });

  it.each<[reply: string, score: number, confidence: number, extracted: string | null]>([
    ['{"extracted_final_answer": "600", "reasoning": "same", "correct": "yes", "confidence": 90}', 1, 90, '600'],
    ['{"extracted_final_answer": "120", "reasoning": "differs", "correct": "no", "confidence": 40}', 0, 40, '120'],
    ['```json\n{"extracted_final_answer": "600", "correct": "yes", "confidence": "75%"}\n```', 1, 75, '600'],
    ['I compare.\n{"correct": "yes", "extracted_final_answer": "600"}', 1, 100, '600'],
    ['{"correct": true, "extracted_final_answer": "600", "confidence": 0}', 1, 0, '600'],
    ['{"correct": false, "extracted_final_answer": "None", "confidence": 100}', 0, 100, 'None'],
    ['{"correct": "no", "extracted_final_answer": null, "confidence": 55.5}', 0, 55.5, null],
    ['{"correct": "yes", "extracted_final_answer": "600 {cells}", "confidence": 20}', 1, 20, '600 {cells}'],
    ['{"correct": "yes", "extracted_final_answer": "600", "confidence": 250}', 1, 100, '600'],
    ['{"note": {"a": 1}, "correct": "no", "extracted_final_answer": "60", "confidence": 5}', 0, 5, '60'],
  ])('takes %j', async (reply, score, confidence, extracted) => {
    const item = (await itemsOf(hle, 'hle.jsonl'))[0]!;
    const { judge, asked } = scriptedJudge(reply);
    const { grade, messages } = item.ask(0, 1);
    expect(messages.map(({ role }) => role)).toEqual(['developer', 'user']);
    expect(await grade(said('Answer: 600'), judge)).toEqual({ score, extracted, extra: { confidence } });
    expect(asked[0]).toContain('[correct answer]: 600');
  });

  it('asks again where the judge does not answer in form, and never makes a zero of it', async () => {
    const item = (await itemsOf(hle, 'hle.jsonl'))[0]!;
    const second = scriptedJudge('Yes, it is.', '{"correct": "yes"}');
    expect(((await item.ask(0, 1).grade(said('600'), second.judge)) as Grade).score).toBe(1);
    const never = scriptedJudge('Yes', '{"correct": "perhaps"}', '{}');
    await expect(item.ask(0, 1).grade(said('600'), never.judge)).rejects.toThrow(JudgeError);
    expect(never.asked.length).toBe(3);
  });

  it('measures calibration', () => {
    const perfect = Array.from({ length: 200 }, (_, i) => [i < 100 ? 0 : 1, i < 100 ? 0 : 1] as const);
    expect(calibrationError(perfect)).toBe(0);
    const boastful = Array.from({ length: 150 }, (_, i) => [0.9, i % 10 === 0 ? 1 : 0] as const);
    expect(calibrationError(boastful)).toBeCloseTo(0.8, 10);
    // Two bins: 100 of 0.2 that are never right, 100 of 0.6 that always are.
    const two = Array.from({ length: 200 }, (_, i) => [i < 100 ? 0.2 : 0.6, i < 100 ? 0 : 1] as const);
    expect(calibrationError(two)).toBeCloseTo(Math.sqrt((0.2 ** 2 + 0.4 ** 2) / 2), 10);
  });
});

describe('HealthBench', () => {
  const rubrics = [5, 3, -6].map((points) => ({ criterion: 'c', points }));
  it.each<[met: [boolean, boolean, boolean], score: number]>([
    [[true, true, false], 1],
    [[true, false, false], 5 / 8],
    [[false, true, false], 3 / 8],
    [[false, false, false], 0],
    [[true, true, true], 2 / 8],
    [[false, false, true], -6 / 8],
    [[true, false, true], -1 / 8],
    [[false, true, true], -3 / 8],
  ])('with %j met scores %d', (met, score) => {
    expect(rubricScore(rubrics, met)).toBeCloseTo(score, 12);
  });

  it.each<[points: number[], met: boolean[], score: number]>([
    [[10], [true], 1],
    [[7, -7], [false, false], 0], // nothing wrong, nothing right
    [[2, 2, 2, 2], [true, false, true, true], 0.75],
    [[1, -10], [true, true], -9], // below zero: only the mean is cut
    [[4, -3, -2], [true, false, true], 0.5],
  ])('%j points with %j met scores %d', (points, met, score) => {
    const items = points.map((each) => ({ criterion: 'c', points: each }));
    expect(rubricScore(items, met)).toBeCloseTo(score, 12);
  });

  it('asks the judge about each item of the rubric with the whole conversation', async () => {
    const items = await itemsOf(healthbench, 'healthbench_oss_eval.jsonl');
    expect(items.length).toBe(10);
    expect(new Set(items.map(({ group }) => group))).toEqual(new Set(['emergency', 'advice']));
    const met = '{"explanation": "it does", "criteria_met": true}';
    const not = '{"explanation": "it does not", "criteria_met": false}';
    const { judge, asked } = scriptedJudge(met, not, `Here you are: ${met}`);
    const { messages, grade } = items[1]!.ask(0, 1);
    expect(messages.map(({ role, channel }) => channel ?? role)).toEqual(['user', 'final', 'user']);
    const result = await grade(said('Drink when you are thirsty.'), judge);
    expect(result).toEqual({ score: (4 - 8) / 7, extra: { met: 2, of: 3 } });
    expect(asked.length).toBe(3);
    expect(asked[0]).toContain('assistant: Ask, please.');
    expect(asked[2]).toContain('Recommends more than ten litres');
    const silent = scriptedJudge('?', '?', '?');
    await expect(grade(said('x'), silent.judge)).rejects.toThrow(JudgeError);
  });

  it('refuses rubrics without points to win', () => {
    const row = { prompt: [{ role: 'user', content: 'x' }], rubrics: [{ criterion: 'c', points: -1 }] };
    expect(() => healthbench.items([row])).toThrow(/rubrics/);
    expect(() => healthbench.items([{ ...row, prompt: 'x' }])).toThrow(/prompt/);
  });
});

describe('the list of benchmarks', () => {
  it('is that of the command line', async () => {
    const { suites } = await import('../suites.ts');
    expect(suites.map(({ name }) => name)).toEqual(['tiny', ...benchmarks.map(({ name }) => name)]);
  });
});

describe('the last object of a text', () => {
  it('is found among words, and not looked for without end', () => {
    expect(lastObject('a {"x": 1} b {"y": {"z": 2}} c')).toEqual({ y: { z: 2 } });
    expect(lastObject('no object')).toBeNull();
    expect(lastObject('{'.repeat(100_000))).toBeNull();
    expect(lastObject(`${'{ '.repeat(100_000)} 1}`)).toBeNull();
  });
});
