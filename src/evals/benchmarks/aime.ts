// AIME 2024 and 2025: thirty questions each whose answers are whole numbers from 0 to 999, asked eight times.

import { wholeNumber } from '../extract.ts';
import { type Benchmark, type BenchmarkItem, user } from './benchmark.ts';
import { textColumn, wrongRow } from './columns.ts';

function aime(year: '2024' | '2025', datasets: readonly string[]): Benchmark {
  return {
    name: `aime${year.slice(2)}`,
    datasets,
    files: /\.(jsonl|json|csv|parquet)$/,
    repeats: 8,
    needsJudge: false,
    tokens: { low: 2_000, medium: 7_000, high: 20_000 },
    items: (rows) => ({
      notes: [],
      items: rows.map((row, i): BenchmarkItem => {
        const question = textColumn(row, i, ['question', 'problem']);
        const stated = textColumn(row, i, ['answer', 'expected_answer']);
        // Some files write 070, some repeat the unit ("336^\circ").
        const answer = Number(/^\s*\$?\s*(\d{1,3})(?![\d.])/.exec(stated)?.[1] ?? Number.NaN);
        if (!Number.isInteger(answer)) throw wrongRow(row, i, 'an answer from 0 to 999');
        return {
          id: question.trim(),
          group: '',
          ask: () => ({
            messages: [
              user(`${question.trim()}\nPlease reason step by step, and put your final answer within \\boxed{}.`),
            ],
            grade({ text }) {
              const found = wholeNumber(text);
              return { score: found === answer ? 1 : 0, extracted: found === null ? null : String(found) };
            },
          }),
        };
      }),
    }),
  };
}

export const aime24 = aime('2024', ['HuggingFaceH4/aime_2024', 'Maxwell-Jia/AIME_2024', 'math-ai/aime24']);
export const aime25 = aime('2025', ['opencompass/AIME2025', 'math-ai/aime25', 'yentinglin/aime_2025']);
