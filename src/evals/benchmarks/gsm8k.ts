// GSM8K: word problems of primary school, 1,319 for testing. Files end the worked solution with `#### 18`; the answer asked
// for is that number.

import { lastNumber } from '../extract.ts';
import { type Benchmark, type BenchmarkItem, user } from './benchmark.ts';
import { textColumn, wrongRow } from './columns.ts';

export const gsm8k: Benchmark = {
  name: 'gsm8k',
  datasets: ['openai/gsm8k', 'gsm8k'],
  files: /(^|\/)(test|main\/test|gsm8k)[^/]*\.(jsonl|json|csv|parquet)$/,
  repeats: 1,
  needsJudge: false,
  tokens: { low: 150, medium: 400, high: 1_000 },
  items: (rows) => ({
    notes: [],
    items: rows.map((row, i): BenchmarkItem => {
      const question = textColumn(row, i, ['question']).trim();
      const solution = textColumn(row, i, ['answer']);
      const answer = lastNumber(solution.slice(solution.lastIndexOf('####')));
      if (answer === null) throw wrongRow(row, i, 'an answer that ends with #### and a number');
      return {
        id: question,
        group: '',
        ask: () => ({
          messages: [user(`${question}\nThink step by step, and put the number that is asked for within \\boxed{}.`)],
          grade({ text }) {
            const found = lastNumber(text);
            const isRight = found !== null && Math.abs(found - answer) <= 1e-6 * Math.max(1, Math.abs(answer));
            return { score: isRight ? 1 : 0, extracted: found === null ? null : String(found) };
          },
        }),
      };
    }),
  }),
};
