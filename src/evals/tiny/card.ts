// The model card of a small model, written from what was measured and from what its training noted (training.json beside the
// weights): what it is, how well it does at what, what it had to show and whether it did, how it was made, what it cannot.
// Next: plot.ts (its picture), ../../cli/eval/card.ts (the files).

import { reasoningEfforts } from '../../text/harmony/messages.ts';
import type { Results } from '../results.ts';
import type { Estimate } from '../statistics.ts';
import { type CellResult, grouped } from '../summary.ts';

export interface CardFacts {
  readonly name: string;
  /** Rows of the first table: what the checkpoint is. */
  readonly model: readonly (readonly [string, string])[];
  /** As training noted it; null: it noted nothing. */
  readonly training: Readonly<Record<string, unknown>> | null;
  readonly command: string;
}

export function modelCard(results: Results, { name, model, training, command }: CardFacts): string {
  const failed = results.checks.filter(({ passed }) => !passed);
  return `# ${name}

A very small language model with the **gpt-oss architecture**, trained from nothing on generated problems: arithmetic, letters,
lists, dates, logic, tables, calls of declared functions, and a little talk in English and Japanese. It knows nothing about the
world and says so. It ships with gptoss so that the first answer needs no download, and so that there is something to measure.

${table(['', ''], model)}

![Accuracy against tokens](plot.svg)

## What it had to show

${failed.length === 0 ? 'All checks passed.' : `${results.checks.length - failed.length} of ${results.checks.length} checks passed.`}

${table(
  ['', 'check', 'found', 'demanded'],
  results.checks.map(({ passed, name: check, found, demanded }) => [passed ? 'yes' : '**no**', check, found, demanded]),
)}

## By level

${table(
  ['setting', 'level', 'mean', '95 %', 'questions', 'tokens', 'reasoning tokens', 'cut off'],
  [...grouped(results.levels, ({ cell }) => [cell.set, cell.tools, cell.sampling].join(' ')).values()]
    .flat()
    .map(({ cell, score, items, tokens, reasoningTokens, truncated }) => [
      [cell.set, `tools ${cell.tools}`, cell.sampling].join(', '),
      ...[cell.level, percent(score.mean), interval(score), String(items), tokens.mean.toFixed(0)],
      ...[reasoningTokens === null ? '–' : reasoningTokens.toFixed(0), percent(truncated)],
    ]),
)}

Means are over the families, each counting alike; answers are greedy where nothing else is said. Problems are unseen: a hash of
their content decides what training may draw. Only small talk, a fixed list, is asked as it was trained.

## By family

${familyTables(results.families)}

${besideTables(results)}## How it was trained

${
  training === null
    ? 'Its training noted nothing beside the weights.'
    : table(
        ['', ''],
        Object.entries(training).map(([key, value]) => [
          key.replaceAll('_', ' '),
          typeof value === 'string' ? value : JSON.stringify(value),
        ]),
      )
}

## Limits

- Nothing but the tasks above, in sizes and wordings close to those of training. Other questions are declined or answered wrongly,
  sometimes with confidence.
- A check at high effort finds many mistakes, not all; see “slips that are repaired”.
${failed.map(({ name: check, found, demanded }) => `- Not reached: ${check}: ${found}; demanded: ${demanded}.`).join('\n')}

## Measured with

\`\`\`
${command}
\`\`\`

Every figure of this page is in [results.json](results.json), which that command writes.
`;
}

function familyTables(families: readonly CellResult[]): string {
  const settings = grouped(families, ({ cell }) => [cell.set, `tools ${cell.tools}`, cell.sampling].join(', '));
  return [...settings]
    .filter(([setting]) => !setting.startsWith('seed') && !setting.endsWith('sampled'))
    .map(([setting, members]) => {
      const rows = [...grouped(members, ({ cell }) => cell.group)].map(([group, levels]) => [
        group,
        ...reasoningEfforts.map((effort) => {
          const found = levels.find(({ cell }) => cell.level === effort);
          return found === undefined
            ? '–'
            : `${percent(found.score.mean)} (${interval(found.score)}, n ${found.items})`;
        }),
      ]);
      return `### ${setting}\n\n${table(['family', ...reasoningEfforts], rows)}`;
    })
    .join('\n\n');
}

function besideTables({ beside }: Results): string {
  return beside
    .filter(({ what }) => what === 'baseline')
    .map(({ answerer, cells }) => {
      const rows = cells.map(({ cell, ours, theirs, mean, low, high, n }) => [
        ...[cell.group.replace('seed: ', ''), cell.level],
        ...[`${percent(ours.mean)} (${interval(ours)})`, `${percent(theirs.mean)} (${interval(theirs)})`],
        ...[`${points(mean)} (${points(low)} to ${points(high)})`, String(n)],
      ]);
      return `## Beside the model before it\n\nThe same items, in the sizes of its own table; ${answerer}.\n\n${table(['task', 'level', 'this', 'before', 'difference, points', 'n'], rows)}\n\n`;
    })
    .join('');
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(header), `|${header.map(() => '---').join('|')}|`, ...rows.map(line)].join('\n');
}

const percent = (share: number): string => (Number.isFinite(share) ? `${(100 * share).toFixed(1)} %` : '–');
const interval = ({ low, high }: Estimate): string => `${(100 * low).toFixed(1)}–${(100 * high).toFixed(1)} %`;
const points = (share: number): string => `${share < 0 ? '−' : '+'}${Math.abs(100 * share).toFixed(1)}`;
