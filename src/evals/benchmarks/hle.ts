// Humanity's Last Exam: 2,500 questions at the edge of what is known, free answers, graded by a model that sees the right one.
// Models also say how sure they are, and the error of that is reported. Questions with an image are left out: gpt-oss reads
// text. The judge's instructions are ours; it gets what the benchmark's own gets, and gives the same fields.

import type { Judge } from '../judge.ts';
import { grouped } from '../summary.ts';
import { type Benchmark, type BenchmarkItem, user } from './benchmark.ts';
import { columnOf, textColumn } from './columns.ts';

const FORM = [
  'Your response should have this form:',
  'Explanation: {why your answer is right}',
  'Answer: {your answer, short and exact}',
  'Confidence: {how sure you are, from 0% to 100%}',
].join('\n');

const BIN = 100; // answers of one bin of the calibration

export const hle: Benchmark = {
  name: 'hle',
  datasets: ['cais/hle'],
  files: /(^|\/)test[^/]*\.(parquet|jsonl|json)$/,
  columns: ['id', 'question', 'answer', 'answer_type', 'category', 'image'],
  repeats: 1,
  needsJudge: true,
  tokens: { low: 1_500, medium: 6_000, high: 25_000 },
  items(rows) {
    const isText = (row: (typeof rows)[number]): boolean => {
      const image = columnOf(row, ['image']);
      return image === undefined || image === '';
    };
    const left = rows.filter(isText);
    return {
      notes: left.length < rows.length ? [`${rows.length - left.length} questions with an image were left out`] : [],
      items: left.map((row, i): BenchmarkItem => {
        const question = textColumn(row, i, ['question']);
        const right = textColumn(row, i, ['answer']);
        const category = columnOf(row, ['category']);
        return {
          id: question,
          group: typeof category === 'string' ? category : '',
          ask: () => ({
            messages: [{ role: 'developer', content: FORM }, user(question)],
            async grade({ text }, judge) {
              // Nothing to judge: an answer that was cut off before it began is wrong, whoever looks at it.
              if (text.trim() === '') return { score: 0, extracted: null, extra: { confidence: null } };
              return judgedAnswer(judge!, question, right, text);
            },
          }),
        };
      }),
    };
  },
  measures(records) {
    return [...grouped(records, ({ cell }) => cell.level)].flatMap(([level, members]) => {
      const pairs = members.flatMap(({ score, extra }) => {
        const confidence = extra?.['confidence'];
        return score !== null && typeof confidence === 'number' ? [[confidence / 100, score] as const] : [];
      });
      if (pairs.length === 0) return [];
      const error = calibrationError(pairs);
      return [
        {
          name: `calibration error, ${level}`,
          found: `${(100 * error).toFixed(1)} points (root mean square over bins of ${BIN}, n ${pairs.length})`,
          figures: { error, n: pairs.length },
        },
      ];
    });
  },
};

async function judgedAnswer(judge: Judge, question: string, right: string, response: string) {
  const prompt = [
    'You compare a response to a question with the known correct answer. Do not solve the question yourself, and do not',
    'argue for another answer: only say whether the final answer of the response is the correct one. Small differences in',
    'wording, form or rounding of numbers do not matter; an answer that is ambiguous or missing is not correct.',
    '',
    `[question]: ${question}`,
    '',
    `[response]: ${response}`,
    '',
    `[correct answer]: ${right}`,
    '',
    'Reply with one JSON object: {"extracted_final_answer": the final answer of the response or "None", "reasoning": one or',
    'two sentences on how the two compare, "correct": "yes" or "no", "confidence": the confidence that the response states,',
    'a number from 0 to 100, or 100 if it states none}.',
  ].join('\n');
  return judge.ask(prompt, (object) => {
    const correct = typeof object['correct'] === 'boolean' ? (object['correct'] ? 'yes' : 'no') : object['correct'];
    if (correct !== 'yes' && correct !== 'no') return null;
    const stated = Number(String(object['confidence'] ?? 100).replace('%', ''));
    const confidence = stated >= 0 && stated <= 100 ? stated : 100;
    const found = object['extracted_final_answer'];
    return {
      score: correct === 'yes' ? 1 : 0,
      extracted: typeof found === 'string' ? found : null,
      extra: { confidence },
    };
  });
}

/** Root mean square of (how sure - how often right) over bins of neighbours in confidence. */
export function calibrationError(pairs: readonly (readonly [confidence: number, right: number])[], bin = BIN): number {
  const sorted = [...pairs].sort(([a], [b]) => a - b);
  let sum = 0;
  for (let at = 0; at < sorted.length; ) {
    // A rest that is too small for a bin belongs to the last one.
    const end = sorted.length - at < 2 * bin ? sorted.length : at + bin;
    const members = sorted.slice(at, end);
    const mean = (index: 0 | 1): number => members.reduce((total, pair) => total + pair[index], 0) / members.length;
    sum += members.length * (mean(0) - mean(1)) ** 2;
    at = end;
  }
  return Math.sqrt(sum / sorted.length);
}
