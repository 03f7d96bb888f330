// Names and titles of the suites, apart from what they are made of: the command line lists them in its help, and must not
// load them all for that. A new benchmark is a file in benchmarks/, a row in benchmarks/all.ts, and one here.

export interface SuiteEntry {
  readonly name: string;
  readonly title: string;
}

export const suites: readonly SuiteEntry[] = [
  { name: 'tiny', title: 'the tiny model’s own tasks: unseen problems, held-out wordings, one size harder' },
  { name: 'aime24', title: 'AIME 2024: competition mathematics, 30 questions' },
  { name: 'aime25', title: 'AIME 2025: competition mathematics, 30 questions' },
  { name: 'gpqa', title: 'GPQA diamond: science for graduates, four choices, 198 questions' },
  { name: 'mmlu', title: 'MMLU: 57 subjects, four choices, 14,042 questions' },
  { name: 'gsm8k', title: 'GSM8K: word problems of primary school, 1,319 questions' },
  { name: 'hle', title: 'Humanity’s Last Exam: text questions, graded by a model' },
  { name: 'healthbench', title: 'HealthBench: conversations about health, graded by rubrics' },
  { name: 'healthbench-hard', title: 'HealthBench Hard' },
  { name: 'healthbench-consensus', title: 'HealthBench Consensus' },
];

export function titleOf(suite: string): string {
  return suites.find(({ name }) => name === suite)?.title ?? suite;
}
