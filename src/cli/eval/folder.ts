// The folder of a run: results and page written into it, other runs read beside it. The journal is its own matter
// (../../evals/journal.node.ts). Next: report.ts (the page).

import { mkdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { readJournal } from '../../evals/journal.node.ts';
import type { SampleRecord } from '../../evals/record.ts';
import { type Results, snakeKeys } from '../../evals/results.ts';
import { compareRuns } from '../../evals/summary.ts';
import { fileError } from '../../formats/file.node.ts';
import type { Context } from '../context.ts';
import { safeJson } from '../screen/controls.ts';
import type { EvalCommand } from './arguments.ts';
import { judgementOf } from './plan.ts';
import { printResults } from './print.ts';
import { reportHtml } from './report.ts';

/** Results as files, and on stdout. */
export function giveResults(folder: string, results: Results, { json }: EvalCommand, { terminal }: Context): void {
  const files = {
    'results.json': `${JSON.stringify(snakeKeys(results), null, 2)}\n`,
    'report.html': reportHtml(results),
  };
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, name);
    try {
      mkdirSync(folder, { recursive: true });
      writeFileSync(path, content);
    } catch (cause) {
      throw fileError(path, cause);
    }
  }
  if (json) terminal.out.write(`${safeJson(snakeKeys(results))}\n`);
  else printResults(results, terminal.out);
}

/** An earlier run beside this one; null: none was named. */
export function againstRun(
  folder: string | undefined,
  records: readonly SampleRecord[],
  suite: string,
): Results['against'] {
  if (folder === undefined) return null;
  const { heading, records: earlier } = readJournal(folder);
  const { weighting } = judgementOf(suite, [], null);
  return { run: `${folder} (${String(heading['answerer'])})`, comparisons: compareRuns(earlier, records, weighting) };
}

/** Where a run lies that was given no folder. */
export function usualFolder(suite: string, model: string): string {
  const name = basename(model)
    .replace(/[^\w.-]+/g, '-')
    .slice(0, 80);
  return join('gptoss-eval', `${suite}-${name || 'model'}`);
}
