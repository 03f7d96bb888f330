// MMLU: 14,042 questions of 57 subjects, four choices. Reported as the mean of all questions, and beside it as the mean of
// the four categories of subjects.

import { chosenLetter } from '../extract.ts';
import { FILE } from '../rows.ts';
import { estimate, meanOf } from '../statistics.ts';
import { grouped } from '../summary.ts';
import { type Benchmark, type BenchmarkItem, user } from './benchmark.ts';
import { columnOf, textColumn, wrongRow } from './columns.ts';

const LETTERS = 'ABCD';

/** Subjects by category; what is not named here is `other`. */
const CATEGORIES: Readonly<Record<string, string>> = {
  STEM: `abstract_algebra anatomy astronomy college_biology college_chemistry college_computer_science college_mathematics
    college_physics computer_security conceptual_physics electrical_engineering elementary_mathematics high_school_biology
    high_school_chemistry high_school_computer_science high_school_mathematics high_school_physics high_school_statistics
    machine_learning`,
  humanities: `formal_logic high_school_european_history high_school_us_history high_school_world_history international_law
    jurisprudence logical_fallacies moral_disputes moral_scenarios philosophy prehistory professional_law world_religions`,
  'social sciences': `econometrics high_school_geography high_school_government_and_politics high_school_macroeconomics
    high_school_microeconomics high_school_psychology human_sexuality professional_psychology public_relations
    security_studies sociology us_foreign_policy`,
};

export function categoryOf(subject: string): string {
  const found = Object.entries(CATEGORIES).find(([, subjects]) => subjects.split(/\s+/).includes(subject));
  return found?.[0] ?? 'other';
}

export const mmlu: Benchmark = {
  name: 'mmlu',
  datasets: ['cais/mmlu'],
  files: /(^|\/)(all\/)?test[^/]*\.(parquet|csv)$|_test\.csv$|mmlu\.csv$/,
  headless: ['question', 'a', 'b', 'c', 'd', 'answer'],
  repeats: 1,
  needsJudge: false,
  tokens: { low: 300, medium: 600, high: 2_000 },
  items: (rows) => ({
    notes: [],
    items: rows.map((row, i): BenchmarkItem => {
      const question = textColumn(row, i, ['question']).trim();
      const choices = choicesOf(row, i);
      const letter = letterOf(columnOf(row, ['answer']));
      if (letter === null) throw wrongRow(row, i, 'answer, a letter from A to D or a number from 0 to 3');
      const subject = subjectOf(row);
      const category = subject === '' ? '' : categoryOf(subject);
      const list = choices.map((choice, c) => `${LETTERS[c]}) ${choice.trim()}`).join('\n');
      const asked = `${question}\n\n${list}\n\nThink step by step if it helps. The last line of your response must be "Answer: X", where X is one of A, B, C, D.`;
      return {
        id: `${subject} ${question} ${choices.join(' ')}`,
        group: category,
        ask: () => ({
          messages: [user(asked)],
          grade({ text }) {
            const found = chosenLetter(text, LETTERS);
            return { score: found === letter ? 1 : 0, extracted: found, extra: { subject } };
          },
        }),
      };
    }),
  }),
  measures(records) {
    return [...grouped(records, ({ cell }) => cell.level)].flatMap(([level, members]) => {
      const categories = grouped(members, ({ cell }) => cell.group);
      if (categories.size < 2) return [];
      const means = [...categories].map(
        ([name, group]) => [name, estimate(group.map(({ score }) => [score ?? 0])).mean] as const,
      );
      const mean = meanOf(means.map(([, value]) => value));
      return [
        {
          name: `mean of the categories, ${level}`,
          found: `${(100 * mean).toFixed(1)} % (${means.map(([name, value]) => `${name} ${(100 * value).toFixed(1)} %, n ${categories.get(name)!.length}`).join('; ')})`,
          figures: { mean, ...Object.fromEntries(means) },
        },
      ];
    });
  },
};

function choicesOf(row: Parameters<Benchmark['items']>[0][number], index: number): string[] {
  const list = columnOf(row, ['choices', 'options']);
  if (Array.isArray(list) && list.length === 4) return list.map(String);
  return [...LETTERS].map((letter) => textColumn(row, index, [letter.toLowerCase()]));
}

function letterOf(value: unknown): string | null {
  if (typeof value === 'number') return LETTERS[value] ?? null;
  if (typeof value !== 'string') return null;
  const text = value.trim().toUpperCase();
  return /^[A-D]$/.test(text) ? text : /^[0-3]$/.test(text) ? LETTERS[Number(text)]! : null;
}

/** Of the column, else of the file's name: `abstract_algebra_test.csv`. */
function subjectOf(row: Parameters<Benchmark['items']>[0][number]): string {
  const column = columnOf(row, ['subject']);
  if (typeof column === 'string' && column !== '') return column;
  return /^(.*)_test\.csv(\.gz)?$/.exec(String(row[FILE] ?? ''))?.[1] ?? '';
}
