// What a command asks for, worked out before a model is opened: the suite with its samples, what the model has to be opened
// with, what the results are checked against. Next: eval.ts.

import type { PublishedScore } from '../../evals/published.ts';
import type { SampleRecord } from '../../evals/record.ts';
import type { Suite } from '../../evals/task.ts';
import { type Check, tinyChecks } from '../../evals/tiny/checks.ts';
import { tinySuite } from '../../evals/tiny/suite.ts';
import type { Context } from '../context.ts';
import type { EvalCommand } from './arguments.ts';
import type { Wanted } from './open-answerer.ts';

export interface Plan {
  readonly suite: Suite;
  readonly wanted: Wanted;
  /** Beside the suite's own. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly checks: (records: readonly SampleRecord[]) => Check[];
  readonly published: readonly PublishedScore[];
}

const TINY_CONTEXT = 1024;

export function planOf(command: EvalCommand, _context: Context): Plan {
  const { items = 100, seed, sampled, only, url } = command;
  const suite = tinySuite({ items, seed, sampled, only, hasPython: url === undefined });
  return {
    suite,
    wanted: { precision: 'exact', context: TINY_CONTEXT },
    settings: {},
    checks: (records) => tinyChecks(records, null),
    published: [],
  };
}
