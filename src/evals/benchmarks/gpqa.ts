// GPQA diamond: 198 questions that experts of the field answer and others cannot look up; four choices, in an order that is
// drawn anew each time, so that no position helps. Asked eight times.

import { Random } from '../../train/tasks/random.ts';
import { chosenLetter } from '../extract.ts';
import { type Benchmark, type BenchmarkItem, user } from './benchmark.ts';
import { columnOf, textColumn } from './columns.ts';

const LETTERS = 'ABCD';

export const gpqa: Benchmark = {
  name: 'gpqa',
  datasets: ['Idavidrein/gpqa'],
  files: /diamond[^/]*\.(csv|jsonl|json|parquet)$/,
  repeats: 8,
  needsJudge: false,
  tokens: { low: 1_000, medium: 3_000, high: 10_000 },
  items: (rows) => ({
    notes: [],
    items: rows.map((row, i): BenchmarkItem => {
      const question = textColumn(row, i, ['question']).trim();
      const right = textColumn(row, i, ['correct answer']).trim();
      const wrong = [1, 2, 3].map((n) => textColumn(row, i, [`incorrect answer ${n}`]).trim());
      const group = columnOf(row, ['high-level domain']);
      return {
        id: question,
        group: typeof group === 'string' ? group : '',
        ask(repeat, seed) {
          const order = new Random(seed, `gpqa ${question}`, repeat).shuffle([right, ...wrong]);
          const letter = LETTERS[order.indexOf(right)]!;
          const choices = order.map((choice, c) => `(${LETTERS[c]}) ${choice}`).join('\n');
          const asked = `${question}\n\n${choices}\n\nEnd with a line of the form "Answer: X", where X is the letter of the right choice.`;
          return {
            messages: [user(asked)],
            grade({ text }) {
              const found = chosenLetter(text, LETTERS);
              // By its text: a majority over several orders is one of choices, not of letters.
              const choice = found === null ? null : order[LETTERS.indexOf(found)]!;
              return { score: found === letter ? 1 : 0, extracted: choice, extra: { letter, found } };
            },
          };
        },
      };
    }),
  }),
};
