// Which suites there are. A benchmark is a row here and a file in benchmarks/.

export interface SuiteEntry {
  readonly name: string;
  readonly title: string;
  /** Needs `--data` or a data set in the hub's cache. */
  readonly needsData: boolean;
  readonly needsJudge: boolean;
}

export const suites: readonly SuiteEntry[] = [
  {
    name: 'tiny',
    title: 'the tiny model’s own tasks: unseen problems, held-out wordings, one size harder',
    needsData: false,
    needsJudge: false,
  },
];
