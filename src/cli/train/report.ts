// A run's log as one HTML file that needs nothing else: curves (drawn by uPlot, whose code is put into the file), the load
// of each expert, accuracy and length by family and level.

import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileError } from '../../formats/file.node.ts';
import type { LogLine, StepRecord, TaskRecord } from '../../train/run/log.ts';

const MOST_POINTS = 1_000; // of a curve

/** Writes `report.html` into the folder; returns its path. */
export function writeReport(folder: string, log: readonly LogLine[]): string {
  const path = join(folder, 'report.html');
  const require = createRequire(import.meta.url);
  const uplot = require.resolve('uplot/dist/uPlot.iife.min.js');
  const style = require.resolve('uplot/dist/uPlot.min.css');
  try {
    writeFileSync(path, reportHtml(log, readFileSync(uplot, 'utf8'), readFileSync(style, 'utf8')));
  } catch (cause) {
    throw fileError(path, cause);
  }
  return path;
}

export function reportHtml(log: readonly LogLine[], uplot: string, style: string): string {
  const steps = log.filter((line) => line.type === 'step');
  const tasks = log.filter((line) => line.type === 'task');
  const stages = [...new Set(steps.map(({ stage }) => stage))];
  const charts = stages.flatMap((stage) =>
    chartsOf(
      stage,
      steps.filter((step) => step.stage === stage),
    ),
  );
  const json = JSON.stringify(charts).replaceAll('<', '\\u003c');
  return `<!doctype html>
<meta charset="utf-8">
<title>gptoss training report</title>
<meta name="viewport" content="width=device-width">
<style>${style}
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1000px; margin: 2rem auto; padding: 0 1rem; color: #222; background: #fff }
table { border-collapse: collapse; margin: 1rem 0 } th, td { padding: .2rem .7rem; text-align: right } th:first-child, td:first-child { text-align: left }
tr:nth-child(even) { background: #f4f4f4 } .load { display: inline-block; width: 1.4rem; height: 1.1rem; margin: 1px }
.charts { display: flex; flex-wrap: wrap; gap: 1rem }
</style>
<h1>Training report</h1>
${summaryTable(stages, steps)}
<div class="charts" id="charts"></div>
${tasks.length > 0 ? taskTable(tasks) : ''}
${steps.length > 0 ? loadTable(steps[steps.length - 1]!) : ''}
<script>${uplot}</script>
<script>
for (const { title, unit, series, data } of ${json}) {
  new uPlot({ title, width: 470, height: 260, scales: { x: { time: false } },
    series: [{ label: 'step' }, ...series.map((label, i) => ({ label, stroke: ['#1769aa', '#c0392b', '#2e8b57'][i % 3], width: 1.5, spanGaps: true }))],
    axes: [{}, { label: unit, size: 60 }] }, data, document.getElementById('charts'));
}
</script>
`;
}

interface Chart {
  readonly title: string;
  readonly unit: string;
  readonly series: readonly string[];
  readonly data: readonly (readonly (number | null)[])[];
}

function chartsOf(stage: string, steps: readonly StepRecord[]): Chart[] {
  const stride = Math.ceil(steps.length / MOST_POINTS);
  const shown = steps.filter((_, i) => i % stride === 0 || i === steps.length - 1);
  const x = shown.map(({ step }) => step);
  const chart = (
    title: string,
    unit: string,
    curves: Readonly<Record<string, (record: StepRecord) => number | null | undefined>>,
  ): Chart[] => {
    const data = Object.values(curves).map((value) => shown.map((record) => value(record) ?? null));
    if (data.every((curve) => curve.every((value) => value === null))) return [];
    return [{ title: `${stage}: ${title}`, unit, series: Object.keys(curves), data: [x, ...data] }];
  };
  return [
    ...chart('loss', 'nats', { loss: (record) => record.loss }),
    ...chart('reward', '', {
      reward: (record) => record.reward,
      accuracy: (record) => (record.reward === undefined ? null : record.accuracy),
    }),
    ...chart('preference margin', 'nats', { margin: (record) => record.margin }),
    ...chart('reasoning', 'tokens', {
      low: (record) => record.lengths?.low,
      medium: (record) => record.lengths?.medium,
      high: (record) => record.lengths?.high,
    }),
    ...chart('busiest expert', '× fair share', { load: (record) => record.busiestExpert }),
    ...chart('entropy', 'nats', { entropy: (record) => record.entropy }),
    ...chart('gradient norm', '', { norm: (record) => record.gradientNorm }),
    ...chart('speed', 'tokens/s', { speed: (record) => record.tokensPerSecond }),
  ];
}

function summaryTable(stages: readonly string[], steps: readonly StepRecord[]): string {
  const rows = stages.map((stage) => {
    const of = steps.filter((step) => step.stage === stage);
    const last = of[of.length - 1]!;
    const seconds = of.reduce((sum, step) => sum + step.seconds, 0);
    const tokens = of.reduce((sum, step) => sum + step.rows, 0);
    const cells = [
      stage,
      `${last.step} of ${last.of}`,
      tokens.toLocaleString('en'),
      (seconds / 60).toFixed(1),
      Math.round(tokens / seconds).toLocaleString('en'),
      last.loss.toFixed(3),
    ];
    return `<tr>${cells.map((cell) => `<td>${escaped(String(cell))}</td>`).join('')}</tr>`;
  });
  return `<table><tr><th>stage</th><th>steps</th><th>tokens</th><th>minutes</th><th>tokens/s</th><th>last loss</th></tr>${rows.join('')}</table>`;
}

function taskTable(tasks: readonly TaskRecord[]): string {
  const last = tasks[tasks.length - 1]!.stage;
  const shown = tasks.filter(({ stage }) => stage === last);
  const names = [...new Set(shown.map(({ family }) => family))];
  const cell = (family: string, level: string): string => {
    const record = shown.findLast((task) => task.family === family && task.level === level);
    if (record === undefined) return '<td>–</td>';
    return `<td>${record.right}/${record.of} · ${Math.round(record.tokens)} tokens</td>`;
  };
  const rows = names.map(
    (name) =>
      `<tr><td>${escaped(name)}</td>${['low', 'medium', 'high'].map((level) => cell(name, level)).join('')}</tr>`,
  );
  return `<h2>Right answers after ${escaped(last)} (greedy, unseen problems)</h2>
<table><tr><th>family</th><th>low</th><th>medium</th><th>high</th></tr>${rows.join('')}</table>`;
}

function loadTable({ stage, step, expertLoad }: StepRecord): string {
  const rows = expertLoad.map((layer, l) => {
    const cells = layer.map(
      (load) =>
        `<span class="load" title="${load} × fair share" style="background:rgba(23,105,170,${Math.min(1, load / 3).toFixed(2)})"></span>`,
    );
    return `<div>layer ${l} ${cells.join('')}</div>`;
  });
  return `<h2>Load of each expert, ${escaped(stage)} step ${step} (full colour: 3 × its fair share)</h2>${rows.join('')}`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
