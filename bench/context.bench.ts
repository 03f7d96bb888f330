// How time and memory grow with the context, without reading 131,072 tokens first: the time of a step depends on how much
// stands before it, not on what. The cache is filled with pages that a real step wrote, then at each position a chunk of a
// prompt (512 rows) and a decode (one row) are timed. The time of a whole prompt is the sum over its chunks, for which a
// line is fitted through the measured ones; `--check N` reads a prompt of N tokens for real beside it.
//   node scripts/run.mjs bench/context.bench.ts --model PATH [--kv f16,q8] [--positions 1024,4096] [--repeat 3] [--check N]
//     [--json FILE] [--svg FILE]
// A table on stdout; --json adds the rows to a file (points that it holds already are not measured again), --svg draws
// all rows of that file.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import type { KvType } from '../src/backend/backend.ts';
import { ownMemoryBytes } from '../src/cli/machine.ts';
import { cacheBytes } from '../src/formats/describe.ts';
import { open } from '../src/open.node.ts';
import { median, OneSequence, openModel, randomTokens } from './steps.ts';

const PAGE = 64;
const CHUNK = 512;

interface Row {
  readonly model: string;
  readonly kv: KvType;
  readonly position: number; // tokens behind the step's last row
  readonly chunkMs: number;
  readonly decodeMs: number;
  readonly cacheForecast: number; // bytes, as `inspect` computes
  readonly cacheMeasured: number; // RssAnon that filling added
}

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    kv: { type: 'string', default: 'f16,q8' },
    positions: { type: 'string', default: '1024,4096,16384,65536,131072' },
    repeat: { type: 'string', default: '3' },
    check: { type: 'string' },
    json: { type: 'string' },
    svg: { type: 'string' },
  },
});
const say = (line: string): void => void process.stdout.write(`${line}\n`);
const positions = values.positions.split(',').map(Number);
const known: Row[] =
  values.json !== undefined && existsSync(values.json) ? JSON.parse(readFileSync(values.json, 'utf8')) : [];

if (values.model !== undefined) {
  for (const kv of values.kv.split(',') as KvType[]) await measure(values.model, kv);
  if (values.check !== undefined) await check(values.model, Number(values.check));
}
if (values.svg !== undefined) writeFileSync(values.svg, plot(known));

async function measure(path: string, kv: KvType): Promise<void> {
  const name = basename(path);
  const missing = positions.filter(
    (p) => !known.some((row) => row.model === name && row.kv === kv && row.position === p),
  );
  if (missing.length > 0) {
    const { model, backend, close } = openModel(path);
    const pages = Math.ceil(Math.max(...missing) / PAGE) + 1;
    // Sliding layers keep a window and a chunk; pages of the same numbers serve for both groups, so theirs wrap around.
    const slidingPages = Math.ceil((model.slidingWindow + CHUNK) / PAGE) + 2;
    const cache = model.cache({ pageTokens: PAGE, fullPages: pages, slidingPages, type: kv });
    const lane = model.lane({ rows: CHUNK, scored: 1 }, cache);
    const sequence = new OneSequence(lane, pages, slidingPages);
    await backend.populate();
    await sequence.step(randomTokens(CHUNK, model.vocab), 'none', true);
    let filled = 0;
    const page = cache.readPage('full', 0);
    const before = ownMemoryBytes() ?? 0;
    for (const position of missing) {
      for (; filled < Math.ceil(position / PAGE); filled++) cache.writePage('full', filled, page);
      const cacheMeasured =
        (ownMemoryBytes() ?? 0) - before + page.length * (CHUNK / PAGE) + slidingPages * cache.pageBytes('sliding');
      const chunks: number[] = [];
      const decodes: number[] = [];
      for (let round = 0; round <= Number(values.repeat); round++) {
        sequence.length = position - CHUNK;
        const chunk = await sequence.step(randomTokens(CHUNK, model.vocab, round), 'none', true);
        sequence.length = position - 1;
        const decode = await sequence.step(randomTokens(1, model.vocab, round), 'all', true);
        if (round === 0) continue; // warm-up
        chunks.push(chunk);
        decodes.push(decode);
      }
      const row: Row = {
        ...{ model: name, kv, position, chunkMs: median(chunks), decodeMs: median(decodes) },
        ...{ cacheForecast: cacheBytes(model.config, position, kv), cacheMeasured },
      };
      known.push(row);
      if (values.json !== undefined) writeFileSync(values.json, JSON.stringify(known, null, 1));
    }
    await close();
  }
  const rows = known.filter((row) => row.model === name && row.kv === kv);
  const { base, perToken } = lineThrough(rows);
  say(
    `${name}, keys and values ${kv}: a chunk of ${CHUNK} takes ${base.toFixed(0)} ms + ${(perToken * 1000).toFixed(2)} ms for each 1,000 tokens before it (fitted)`,
  );
  say('position   chunk ms  fitted  tokens/s there  whole prompt s  decode tokens/s  cache forecast, measured (MB)');
  for (const { position, chunkMs, decodeMs, cacheForecast, cacheMeasured } of rows) {
    const fitted = base + perToken * (position - CHUNK);
    say(
      [
        String(position).padStart(8),
        chunkMs.toFixed(0).padStart(10),
        fitted.toFixed(0).padStart(7),
        ((CHUNK * 1000) / chunkMs).toFixed(1).padStart(15),
        wholePrompt(rows, position).toFixed(1).padStart(15),
        (1000 / decodeMs).toFixed(2).padStart(16),
        `${(cacheForecast / 1e6).toFixed(0)}, ${(cacheMeasured / 1e6).toFixed(0)}`.padStart(18),
      ].join(' '),
    );
  }
}

/** Least squares of a chunk's time over what stands before it, by relative error so that short ones count. */
function lineThrough(rows: readonly Row[]): { base: number; perToken: number } {
  let [w, wx, wy, wxx, wxy] = [0, 0, 0, 0, 0];
  for (const { position, chunkMs } of rows) {
    const x = position - CHUNK;
    const weight = 1 / chunkMs ** 2;
    w += weight;
    wx += weight * x;
    wy += weight * chunkMs;
    wxx += weight * x * x;
    wxy += weight * x * chunkMs;
  }
  const perToken = rows.length < 2 ? 0 : (w * wxy - wx * wy) / (w * wxx - wx * wx);
  return { base: (wy - perToken * wx) / w, perToken };
}

/** Seconds: the sum of its chunks by the fitted line. */
function wholePrompt(rows: readonly Row[], tokens: number): number {
  const { base, perToken } = lineThrough(rows);
  let ms = 0;
  for (let before = 0; before < tokens; before += CHUNK) ms += base + perToken * before;
  return ms / 1000;
}

async function check(path: string, tokens: number): Promise<void> {
  const model = await open(path, { context: tokens + 1, maxSequences: 1, speculation: false });
  const { timings } = await model.engine.generate(randomTokens(tokens, model.config.vocab), { maxTokens: 1 }).result;
  const rows = known.filter((row) => row.model === basename(path) && row.kv === 'f16');
  say(
    `check: a prompt of ${tokens} tokens read for real took ${(timings.promptMs / 1000).toFixed(1)} s; the fit says ` +
      `${wholePrompt(rows, tokens).toFixed(1)} s`,
  );
  await model.close();
}

/** Time of a chunk over the position, both logarithmic, with the fitted lines. */
function plot(rows: readonly Row[]): string {
  const [width, height, left, bottom] = [760, 420, 70, 50];
  const names = [...new Set(rows.map(({ model, kv }) => `${model}, ${kv}`))];
  const groups = names.map((name) => [name, rows.filter(({ model, kv }) => `${model}, ${kv}` === name)] as const);
  const xs = rows.map((row) => Math.log2(row.position));
  const ys = rows.flatMap((row) => Math.log10(row.chunkMs));
  const [x0, x1] = [Math.min(...xs), Math.max(...xs)];
  const [y0, y1] = [Math.floor(Math.min(...ys) * 2) / 2, Math.ceil(Math.max(...ys) * 2) / 2];
  const x = (position: number): number => left + ((Math.log2(position) - x0) / (x1 - x0)) * (width - left - 20);
  const y = (ms: number): number => height - bottom - ((Math.log10(ms) - y0) / (y1 - y0)) * (height - bottom - 20);
  const colours = ['#1f6feb', '#d1242f', '#1a7f37', '#9a6700'];
  const parts = groups.map(([name, points], i) => {
    const { base, perToken } = lineThrough(points);
    const colour = colours[i % colours.length];
    const last = Math.log2(Math.max(...points.map(({ position }) => position)));
    const line = Array.from({ length: 60 }, (_, n) => 2 ** (x0 + ((last - x0) * n) / 59))
      .map((p) => `${x(p).toFixed(1)},${y(base + perToken * Math.max(0, p - CHUNK)).toFixed(1)}`)
      .join(' ');
    const dots = points.map(
      (p) => `<circle cx="${x(p.position).toFixed(1)}" cy="${y(p.chunkMs).toFixed(1)}" r="4" fill="${colour}"/>`,
    );
    const label = `<text x="${left + 12}" y="${34 + 18 * i}" fill="${colour}">${name}: ${base.toFixed(0)} ms + ${(perToken * 1000).toFixed(2)} ms per 1,000</text>`;
    return `<polyline points="${line}" fill="none" stroke="${colour}"/>${dots.join('')}${label}`;
  });
  const ticks = [...new Set(rows.map((row) => row.position))].map(
    (p) => `<text x="${x(p).toFixed(1)}" y="${height - bottom + 20}" text-anchor="middle">${p}</text>`,
  );
  for (let v = Math.ceil(y0); v <= y1; v++)
    ticks.push(`<text x="${left - 8}" y="${y(10 ** v).toFixed(1)}" text-anchor="end">${10 ** v} ms</text>`);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width + 10} ${height}" font-family="sans-serif" font-size="12"><title>Time of a prompt chunk over the context</title><rect width="${width + 10}" height="${height}" fill="white"/><path d="M${left} 20V${height - bottom}H${width - 20}" fill="none" stroke="#888"/>${parts.join('')}${ticks.join('')}<text x="${width / 2}" y="${height - 10}" text-anchor="middle">tokens in the context; time of a prompt chunk of ${CHUNK}, measured (dots) and fitted (lines)</text></svg>\n`;
}
