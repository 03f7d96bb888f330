// Results as one HTML file that needs nothing else: accuracy by level with its interval, accuracy against the tokens it took,
// the tables, published scores beside ours. Drawn by uPlot, whose code is put into the file, as in the training report.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Results } from '../../evals/results.ts';
import { grouped, type LevelResult, type Tally } from '../../evals/summary.ts';
import { reasoningEfforts } from '../../text/harmony/messages.ts';
import { interval, percent } from './print.ts';

interface Chart {
  readonly title: string;
  readonly x: 'level' | 'tokens';
  readonly series: readonly { readonly label: string; readonly dashed: boolean }[];
  /** x, then for each series mean, low, high. */
  readonly data: readonly (readonly (number | null)[])[];
}

export function reportHtml(results: Results): string {
  const require = createRequire(import.meta.url);
  const uplot = readFileSync(require.resolve('uplot/dist/uPlot.iife.min.js'), 'utf8');
  const style = readFileSync(require.resolve('uplot/dist/uPlot.min.css'), 'utf8');
  const { suite, title, answerer, judge, levels, checks, measures, notes, settings, totals } = results;
  const charts = JSON.stringify([levelChart(results), tokenChart(results)]).replaceAll('<', '\\u003c');
  const said = [
    answerer,
    ...(judge === null ? [] : [`judged by ${judge}`]),
    `${totals.asked.toLocaleString('en')} answers, ${totals.completionTokens.toLocaleString('en')} tokens`,
  ];
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>${escaped(suite)}: gptoss evaluation</title>
<meta name="viewport" content="width=device-width">
<style>${style}
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2rem auto; padding: 0 1rem; color: #222; background: #fff }
table { border-collapse: collapse; margin: 1rem 0; font-size: 14px } th, td { padding: .2rem .7rem; text-align: right; vertical-align: top; white-space: nowrap }
th:first-child, td:first-child, td.text, th.text { text-align: left } td.text { white-space: normal } tr:nth-child(even) { background: #f4f4f4 }
.charts { display: flex; flex-wrap: wrap; gap: 1rem } .no { color: #b00020; font-weight: 600 } small { color: #666 } summary { cursor: pointer }
</style>
<h1>${escaped(title)}</h1>
<p>${said.map(escaped).join('<br>')}</p>
<div class="charts" id="charts"></div>
<h2>By level</h2>
${tallyTable(levels.map((level) => [settingName(level), level.cell.level, level] as const))}
${checksTable(checks)}
${
  measures.length === 0
    ? ''
    : `<h2>Reported beside it</h2>${htmlTable(
        ['', ''],
        measures.map(({ name, found }) => [name, found]),
      )}`
}
${comparisonTables(results)}
${publishedTable(results)}
${groupTables(results)}
<h2>How it was asked</h2>
<p>${notes.map(escaped).join('<br>')}</p>
<details><summary>Settings</summary><pre>${escaped(JSON.stringify(settings, null, 2))}</pre></details>
<p><small>Intervals are 95 %: Wilson’s for shares, the bootstrap over questions otherwise; p-values are exact and paired. Tokens are those generated.</small></p>
<script>${uplot}</script>
<script>
const colours = ['#1769aa', '#c0392b', '#2e8b57', '#8e5ea2', '#b8860b', '#444444'];
for (const { title, x, series, data } of ${charts}) {
  const lines = series.flatMap(({ label, dashed }, i) => [
    { label, stroke: colours[i % 6], width: 2, dash: dashed ? [6, 4] : undefined, points: { show: !dashed, size: 8 }, value: (u, v) => v == null ? '' : v.toFixed(1) + ' %' },
    { label: label + ' low', stroke: colours[i % 6] + '55', width: 0.5, points: { show: false } },
    { label: label + ' high', stroke: colours[i % 6] + '55', width: 0.5, points: { show: false } },
  ]);
  new uPlot({ title, width: 520, height: 320, legend: { live: false }, cursor: { show: false },
    scales: { x: { time: false, range: x === 'level' ? [-0.3, 2.3] : undefined, distr: 1 }, y: { range: [0, 100] } },
    series: [{ label: x }, ...lines.map((line) => ({ ...line, spanGaps: true }))],
    bands: series.map((_, i) => ({ series: [i * 3 + 3, i * 3 + 2], fill: colours[i % 6] + '22' })),
    axes: [x === 'level' ? { splits: [0, 1, 2], values: () => ['low', 'medium', 'high'] } : { label: 'tokens of an answer' }, { label: '% right', size: 60 }],
    hooks: { init: [(u) => { u.root.querySelectorAll('.u-series').forEach((row, i) => { if (i % 3 !== 0) row.style.display = 'none'; }); }] },
  }, data, document.getElementById('charts'));
}
</script>
</html>
`;
}

function settingName({ cell }: Pick<LevelResult, 'cell'>): string {
  return [cell.set, `tools ${cell.tools}`, cell.sampling].filter((part) => part !== '').join(', ');
}

const points = (share: number): number | null => (Number.isFinite(share) ? Number((100 * share).toFixed(2)) : null);

/** A curve for each setting; published scores as dashed ones. */
function levelChart({ levels, published }: Results): Chart {
  const settings = [...grouped(levels, settingName)];
  const tools = new Set(levels.map(({ cell }) => cell.tools === 'on'));
  const models = [
    ...grouped(
      published.filter((score) => score.level !== null && tools.has(score.tools)),
      ({ model }) => model,
    ),
  ];
  const at = (members: readonly LevelResult[], of: (level: LevelResult) => number): (number | null)[] =>
    reasoningEfforts.map((effort) => {
      const found = members.find(({ cell }) => cell.level === effort);
      return found === undefined ? null : points(of(found));
    });
  return {
    title: 'Accuracy by level',
    x: 'level',
    series: [
      ...settings.map(([label]) => ({ label, dashed: false })),
      ...models.map(([label]) => ({ label: `${label}, published`, dashed: true })),
    ],
    data: [
      [0, 1, 2],
      ...settings.flatMap(([, members]) => [
        at(members, ({ score }) => score.mean),
        at(members, ({ score }) => score.low),
        at(members, ({ score }) => score.high),
      ]),
      ...models.flatMap(([, scores]) => {
        const line = reasoningEfforts.map((effort) => scores.find(({ level }) => level === effort)?.percent ?? null);
        return [line, line, line];
      }),
    ],
  };
}

function tokenChart({ levels }: Results): Chart {
  const settings = [...grouped(levels, settingName)];
  const places = [...new Set(levels.map(({ tokens }) => Math.round(tokens.mean)))].sort((a, b) => a - b);
  const at = (members: readonly LevelResult[], of: (level: LevelResult) => number): (number | null)[] =>
    places.map((place) => {
      const found = members.find(({ tokens }) => Math.round(tokens.mean) === place);
      return found === undefined ? null : points(of(found));
    });
  return {
    title: 'Accuracy for its tokens',
    x: 'tokens',
    series: settings.map(([label]) => ({ label, dashed: false })),
    data: [
      places,
      ...settings.flatMap(([, members]) => [
        at(members, ({ score }) => score.mean),
        at(members, ({ score }) => score.low),
        at(members, ({ score }) => score.high),
      ]),
    ],
  };
}

function tallyTable(rows: readonly (readonly [setting: string, level: string, tally: Tally])[]): string {
  return htmlTable(
    [
      'setting',
      'level',
      'mean',
      '95 %',
      'standard error',
      'questions',
      'answers',
      'tokens',
      'reasoning',
      'cut off',
      'malformed',
      'pass@k',
      'pass^k',
      'maj@k',
    ],
    rows.map(([setting, level, tally]) => [
      ...[setting, level, percent(tally.score.mean), interval(tally.score)],
      tally.score.se === null ? '–' : percent(tally.score.se),
      ...[tally.items, tally.samples, Math.round(tally.tokens.mean)].map((n) => n.toLocaleString('en')),
      tally.reasoningTokens === null ? '–' : Math.round(tally.reasoningTokens).toLocaleString('en'),
      ...[percent(tally.truncated), tally.malformed === null ? '–' : String(tally.malformed)],
      ...[severalOf(tally.passAtK), severalOf(tally.passHatK), severalOf(tally.majorityAtK)],
    ]),
  );
}

function severalOf(shares: Readonly<Record<string, number>> | undefined): string {
  return Object.entries(shares ?? {})
    .map(([k, share]) => `${k}: ${percent(share)}`)
    .join(', ');
}

function checksTable(checks: Results['checks']): string {
  if (checks.length === 0) return '';
  const rows = checks.map(({ name, passed, found, demanded }) => {
    const cells = [name, found, demanded].map((text) => `<td class="text">${escaped(text)}</td>`).join('');
    return `<tr><td${passed ? '>yes' : ' class="no">no'}</td>${cells}</tr>`;
  });
  return `<h2>What it has to show</h2><table><tr><th></th><th class="text">check</th><th class="text">found</th><th class="text">demanded</th></tr>${rows.join('')}</table>`;
}

const inPoints = (share: number): string => (100 * share).toFixed(1);

function comparisonTables({ comparisons, beside, against }: Results): string {
  const rows = (list: Results['comparisons']): string =>
    htmlTable(
      ['setting', 'difference', 'points', '95 %', 'pairs', 'better', 'worse', 'p'],
      list.map(({ what, cell, mean, low, high, n, better, worse, p }) => [
        [cell.set, `tools ${cell.tools}`, cell.sampling].join(', '),
        what,
        inPoints(mean),
        `${inPoints(low)} to ${inPoints(high)}`,
        ...[n, better, worse].map(String),
        p < 1e-4 ? '< 0.0001' : p.toFixed(4),
      ]),
    );
  return [
    comparisons.length === 0 ? '' : `<h2>Levels compared on the same questions</h2>${rows(comparisons)}`,
    ...beside.map(besideTable),
    against === null ? '' : `<h2>Against ${escaped(against.run)}</h2>${rows(against.comparisons)}`,
  ].join('\n');
}

function besideTable({ what, answerer, cells }: Results['beside'][number]): string {
  const rows = cells.map(({ cell, ours, theirs, mean, low, high, n }) => [
    [cell.group, cell.level].join(', '),
    ...[percent(ours.mean), interval(ours), percent(theirs.mean), interval(theirs)],
    ...[inPoints(mean), `${inPoints(low)} to ${inPoints(high)}`, String(n)],
  ]);
  return `<h2>Beside ${escaped(answerer)} (${what})</h2>${htmlTable(['cell', 'this', '95 %', 'other', '95 %', 'points', '95 %', 'pairs'], rows)}`;
}

function publishedTable({ published, levels }: Results): string {
  if (published.length === 0) return '';
  const ours = levels.map(({ cell, score }) => [
    'this run',
    cell.level,
    cell.tools === 'on' ? 'yes' : 'no',
    `${percent(score.mean)} (${interval(score)})`,
    'measured here',
  ]);
  const theirs = published.map(({ model, level, tools, percent: score, source, isQuoted }) => [
    `${model}${isQuoted ? ' (quoted)' : ''}`,
    level ?? '–',
    tools ? 'yes' : 'no',
    `${score.toFixed(1)} %`,
    source,
  ]);
  return `<h2>Published scores beside it</h2>
<p>None of them was reproduced here; prompts, sampling and graders differ.</p>
${htmlTable(['model', 'level', 'tools', 'score', 'source'], [...ours, ...theirs])}`;
}

function groupTables({ cells, families }: Results): string {
  return tablesOf('By family', families) + tablesOf('By group', cells);
}

function tablesOf(title: string, cells: Results['cells']): string {
  if (new Set(cells.map(({ cell }) => cell.group)).size < 2) return '';
  const settings = [...grouped(cells, settingName)];
  return `<h2>${title}</h2>${settings
    .map(([setting, members]) => {
      const groups = [...grouped(members, ({ cell }) => cell.group)].map(([group, levels]) => [
        group,
        ...reasoningEfforts.map((effort) => {
          const found = levels.find(({ cell }) => cell.level === effort);
          if (found === undefined) return '–';
          return `${percent(found.score.mean)} (${interval(found.score)}) n ${found.items}, ${Math.round(found.tokens.mean)} tokens`;
        }),
      ]);
      return `<details open><summary>${escaped(setting)}</summary>${htmlTable(['group', 'low', 'medium', 'high'], groups)}</details>`;
    })
    .join('\n')}`;
}

function htmlTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (tag: 'th' | 'td', cells: readonly string[]): string =>
    `<tr>${cells.map((cell) => `<${tag}>${escaped(cell)}</${tag}>`).join('')}</tr>`;
  return `<table>${line('th', header)}${rows.map((row) => line('td', row)).join('')}</table>`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
