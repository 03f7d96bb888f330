// `bench --vs llama.cpp`: the same GGUF, the same threads, the same prompts, side by side. The two run in turn, each in a
// process of its own and never both at once; before each the file is read again, so that it lies in the page cache.
// Prints medians, ratios (ours ÷ theirs), the spread, and the physical limit. Next: plan.ts, bench/peers/llama-cpp.

import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { cpus } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { defaultThreads, loadAddon } from '../../backend/cpu/addon.ts';
import { GptOssError } from '../../errors.ts';
import { openCheckpoint } from '../../formats/checkpoint.node.ts';
import { parameterCounts } from '../../formats/describe.ts';
import type { BenchCommand } from '../arguments.ts';
import { chooseModel } from '../choose-model.ts';
import type { Context } from '../context.ts';
import { describeMachine } from '../machine.ts';
import { safeJson } from '../screen/controls.ts';
import { bytes, table } from '../screen/table.ts';
import { warmPages } from './file-pages.ts';
import { idleShare } from './idle.ts';
import { KEYS, KeptSamples, type Key, keyOf, type Samples } from './kept-samples.ts';
import { type Figure, figure } from './measure.ts';
import { preparePeer } from './peer.ts';
import type { PlanItem, PlanRow, PlanSpec } from './plan.ts';

const packageRoot = fileURLToPath(new URL('../../../', import.meta.url));
/** The built command line, without the wrapper that keeps dist/ current. */
const program = fileURLToPath(new URL('../bin.js', import.meta.url));

export async function versus(command: BenchCommand, context: Context): Promise<void> {
  const { terminal, stores, signal } = context;
  if (command.vs !== 'llama.cpp') {
    throw new GptOssError('invalid-request', `no peer "${command.vs}"; expected llama.cpp`);
  }
  const say = (text: string): void => {
    if (!command.quiet) terminal.err.write(`gptoss: ${text}\n`);
  };
  const model =
    command.model === undefined
      ? await standIn(join(stores.home, 'bench', 'gpt-oss-20b.gguf'), say)
      : chooseModel(command.model, stores).path;
  if (!model.endsWith('.gguf'))
    throw new GptOssError(
      'invalid-request',
      `${model} is no GGUF file; expected one, since llama.cpp reads only these; give --model FILE.gguf`,
    );
  const cacheDir = join(stores.home, 'bench');
  mkdirSync(cacheDir, { recursive: true });
  const peer = command.llamaBench === undefined ? await preparePeer(context.environment.isa, cacheDir, say) : '';
  const threads = command.threads ?? defaultThreads(loadAddon().machine());
  const rounds = command.long ? 1 : command.repeat;
  const plan = planOf(command.long, cacheDir, model);
  const contextTokens = command.long ? 33_792 : 4096;
  const kept = new KeptSamples(join(cacheDir, command.long ? 'long.json' : 'last.json'), model, {
    ...{ threads, peer, isa: context.environment.isa, precision: command.precision, kv: command.kv },
  });
  if (command.long && kept.read()) say('going on from what an earlier run measured');
  const { samples, facts } = kept;
  loadAddon().dropCached(model); // comes back in large pages
  let leastResident: number | null = null;
  let leastIdle = 1;
  let timerMs = 0;

  for (let round = 0; round <= rounds; round++) {
    const isWarmUp = round === 0;
    // Long rows take theirs an hour and ours minutes: ours are safe first.
    for (const side of command.long ? (['ours', 'theirs'] as const) : (['theirs', 'ours'] as const)) {
      // What an interrupted run already has is not measured again.
      const left = isWarmUp ? [] : command.long ? plan.filter((item) => !kept.has(side, item)) : [...plan];
      if (isWarmUp ? facts[`${side}-load`] !== undefined : left.length === 0) continue;
      const idle = await idleShare(2_000, signal);
      leastIdle = Math.min(leastIdle, idle);
      if (idle < 0.9)
        say(`something else uses ${((1 - idle) * 100).toFixed(0)} % of the processors: figures will be low and uneven`);
      const resident = await warmPages(model, threads, signal);
      if (resident !== null) leastResident = Math.min(leastResident ?? 1, resident);
      if (resident !== null && resident < 0.99)
        say(
          `only ${(resident * 100).toFixed(0)} % of the file is in memory: too little of it is free, figures will be low`,
        );
      const items: PlanItem[] = isWarmUp ? [{ kind: 'start' }] : [...left];
      // What the machine allows is measured in every round, beside the decoding that it is compared with.
      const decoding = items.findIndex(({ kind }) => kind === 'decode');
      if (side === 'ours' && decoding >= 0) items.splice(decoding, 0, { kind: 'ceilings' });
      const spec: PlanSpec = { model, threads, context: contextTokens, plan: items };
      for await (const row of side === 'ours'
        ? runOurs(spec, command, signal)
        : runTheirs(spec, peer, command, signal)) {
        if (row.kind === 'load') facts[`${side}-load`] = row;
        if (row.kind === 'ceilings' && Number(row['read']) > Number(facts['ours-ceilings']?.['read'] ?? 0))
          facts['ours-ceilings'] = row;
        const key = keyOf(row);
        if (isWarmUp) continue;
        if (typeof row['timer_p99_ms'] === 'number') timerMs = Math.max(timerMs, row['timer_p99_ms']);
        if (key !== null) (samples[side][key] ??= []).push(row.kind === 'start' ? row.ms! : row.tokens_per_second!);
        // Memory after the short rows, at a context of 4096.
        if (row.kind === 'start' && row.memory_bytes !== undefined)
          (samples[side].memory ??= []).push(row.memory_bytes);
        else if (row.memory_bytes !== undefined && samples[side].memory !== undefined) {
          const list = samples[side].memory!;
          list[list.length - 1] = Math.max(list[list.length - 1]!, row.memory_bytes);
        }
        kept.write();
        if (key !== null)
          say(
            `round ${round} of ${rounds}, ${side === 'ours' ? 'gptoss' : 'llama.cpp'}: ${key} ${row.kind === 'start' ? `${(row.ms! / 1000).toFixed(1)} s` : `${row.tokens_per_second!.toFixed(2)} tokens/s`}`,
          );
      }
    }
  }
  const result = compare(samples);
  const limits = limitsOf(model, facts['ours-ceilings']);
  const machine = {
    ...describeMachine(),
    model,
    threads,
    ours: facts['ours-load']?.['variant'],
    theirs: facts['theirs-load']?.['variant'],
    theirSystem: facts['theirs-load']?.['system'],
    limits,
    /** Least share of the file in the page cache before a run; null where nothing tells. */
    residentShare: leastResident,
    /** Least share of the processors' time that nothing else used before a run. */
    idleShare: leastIdle,
    /** Of 100 ticks of a 1 ms timer of ours, the 99th's interval, in the worst measurement. */
    timerP99Ms: timerMs,
  };
  if (command.json) terminal.out.write(`${safeJson({ machine, rows: result.rows, ratios: result.ratios })}\n`);
  else terminal.out.write(`${report(result.rows, limits, machine)}\n`);
  if (command.long) kept.retire();
}

function planOf(long: boolean, cacheDir: string, model: string): PlanItem[] {
  if (long) {
    const { size, mtimeMs } = statSync(model);
    const state = join(cacheDir, `llama-cpp-${basename(model)}-${size}-${Math.floor(mtimeMs)}-`);
    return [
      { kind: 'prefill', tokens: 8192, state },
      { kind: 'decode', after: 8192, tokens: 128, state },
      { kind: 'decode', after: 32_768, tokens: 128, state },
    ];
  }
  return [
    { kind: 'start' },
    { kind: 'prefill', tokens: 512 }, // touches every expert, so what follows finds its pages mapped on both sides
    { kind: 'decode', after: 16, tokens: 48 },
    { kind: 'batch', sequences: 8, tokens: 16 },
    { kind: 'prefill', tokens: 2048 },
  ];
}

async function* linesOf(
  executable: string,
  args: readonly string[],
  cwd: string,
  signal: AbortSignal,
): AsyncGenerator<PlanRow> {
  const child = spawn(executable, args, { cwd, signal, stdio: ['ignore', 'pipe', 'pipe'] });
  let complaint = '';
  child.stderr.on('data', (data: Buffer) => {
    complaint = (complaint + String(data)).slice(-2000);
  });
  const ended = new Promise<number | null>((resolve) =>
    child.once('close', resolve).once('error', () => resolve(null)),
  );
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith('{')) yield JSON.parse(line) as PlanRow;
  }
  const code = await ended;
  if (signal.aborted) throw new GptOssError('aborted', 'the comparison was stopped');
  if (code !== 0)
    throw new GptOssError(
      'internal',
      `a measurement ended with ${code}: ${complaint.trim().split('\n').at(-1)}; expected 0; run it alone with --verbose`,
    );
}

function runOurs(spec: PlanSpec, command: BenchCommand, signal: AbortSignal): AsyncGenerator<PlanRow> {
  const options = [
    ...(command.precision ? ['--precision', command.precision] : []),
    ...(command.kv ? ['--kv', command.kv] : []),
  ];
  return linesOf(process.execPath, [program, 'bench', '--plan', JSON.stringify(spec), ...options], packageRoot, signal);
}

function runTheirs(spec: PlanSpec, peer: string, command: BenchCommand, signal: AbortSignal): AsyncGenerator<PlanRow> {
  if (command.llamaBench !== undefined) return runLlamaBench(command.llamaBench, spec);
  return linesOf(process.execPath, ['peer.mjs', JSON.stringify(spec)], peer, signal);
}

/** An own build of llama.cpp: its llama-bench knows prompts and decode only. */
async function* runLlamaBench(llamaBench: string, { model, threads, plan }: PlanSpec): AsyncGenerator<PlanRow> {
  const run = promisify(execFile);
  yield { kind: 'load', variant: llamaBench };
  for (const item of plan) {
    const isPrompt = item.kind === 'prefill';
    if (!isPrompt && !(item.kind === 'decode' && item.after === 16)) continue;
    const test = isPrompt ? ['-p', String(item.tokens), '-n', '0'] : ['-p', '0', '-n', String(item.tokens)];
    const { stdout } = await run(
      llamaBench,
      ['-m', model, '-t', String(threads), '-fa', '1', '-r', '1', '-o', 'json', ...test],
      { maxBuffer: 1 << 24 },
    );
    const [{ avg_ts: speed }] = JSON.parse(stdout) as [{ avg_ts: number }];
    yield { ...item, tokens_per_second: speed };
  }
}

/** The 20b stand-in: made once, outside the repository. */
async function standIn(path: string, say: (text: string) => void): Promise<string> {
  if (existsSync(path)) return path;
  say(`writing a 20b stand-in (12 GB, random weights) to ${path} …`);
  mkdirSync(dirname(path), { recursive: true });
  await promisify(execFile)(
    'npm',
    ['run', '--silent', 'synth', '--', 'gpt-oss-20b', '--format', 'gguf', '--out', path],
    { cwd: packageRoot },
  );
  return path;
}

interface VersusRow {
  readonly test: Key;
  readonly unit: string;
  readonly ours: Figure | null;
  readonly theirs: Figure | null;
  readonly ratio: number | null;
}

function compare(samples: Samples): { rows: VersusRow[]; ratios: Partial<Record<Key, number>> } {
  const ratios: Partial<Record<Key, number>> = {};
  const rows: VersusRow[] = [];
  for (const key of KEYS) {
    const ours = samples.ours[key] === undefined ? null : figure(samples.ours[key]);
    const theirs = samples.theirs[key] === undefined ? null : figure(samples.theirs[key]);
    if (ours === null && theirs === null) continue;
    const ratio = ours !== null && theirs !== null ? ours.median / theirs.median : null;
    if (ratio !== null) ratios[key] = ratio;
    rows.push({
      test: key,
      unit: key === 'start' ? 'ms' : key === 'memory' ? 'bytes' : 'tokens/s',
      ours,
      theirs,
      ratio,
    });
  }
  return { rows, ratios };
}

interface Limits {
  readonly readBytesPerSecond: number;
  readonly readElsewhere: number;
  readonly int8PerSecond: number;
  /** tokens/s that memory bandwidth or dot products allow at best */
  readonly decode: number;
  readonly batch8: number;
  readonly prefill: number;
}

function limitsOf(model: string, row: PlanRow | undefined): Limits | null {
  if (row === undefined) return null;
  const checkpoint = openCheckpoint(model);
  const { config } = checkpoint;
  checkpoint.close();
  const read = Number(row['read']);
  const int8 = Number(row['int8']);
  const perToken = Number(row['weights_per_token']);
  const share = config.expertsPerToken / config.experts;
  const all = Number(row['weights']);
  // Experts of one token are `share` of all experts: (all - embedding - dense) · share + dense = perToken.
  const dense = (perToken - all * share) / (1 - share);
  const touched = 1 - (1 - share) ** 8;
  const macs = parameterCounts(config).active - config.vocab * config.hidden;
  return {
    readBytesPerSecond: read,
    readElsewhere: Number(row['read_elsewhere']),
    int8PerSecond: int8,
    decode: read / perToken,
    batch8: (8 * read) / (dense + (all - dense) * touched),
    prefill: int8 / macs,
  };
}

function report(
  rows: readonly VersusRow[],
  limits: Limits | null,
  machine: { threads: number; ours: unknown; theirs: unknown; timerP99Ms: number },
): string {
  const show = (value: Figure | null, unit: string): string => {
    if (value === null) return '-';
    const one = (x: number): string =>
      unit === 'bytes' ? bytes(x) : unit === 'ms' ? `${(x / 1000).toFixed(2)} s` : x.toFixed(2);
    return value.runs.length > 1 ? `${one(value.median)} (${one(value.low)} … ${one(value.high)})` : one(value.median);
  };
  const best = (key: Key): number | null =>
    limits === null
      ? null
      : key === 'decode'
        ? limits.decode
        : key === 'batch8'
          ? limits.batch8
          : key.startsWith('prefill')
            ? limits.prefill
            : null;
  const lines = rows.map(({ test, unit, ours, theirs, ratio }) => {
    const limit = best(test);
    return [
      test,
      show(ours, unit),
      show(theirs, unit),
      ratio === null ? '-' : `${ratio.toFixed(ratio < 0.1 ? 3 : 2)}×`,
      limit === null ? '' : limit.toFixed(1),
      limit === null || ours === null ? '' : `${((ours.median / limit) * 100).toFixed(0)} %`,
    ];
  });
  const heads = ['', 'gptoss', 'llama.cpp', 'ratio', 'limit', 'reached'];
  const foot =
    limits === null
      ? ''
      : `\n\nlimit: ${(limits.readBytesPerSecond / 1e9).toFixed(1)} GB/s read from the file's own memory (${(limits.readElsewhere / 1e9).toFixed(1)} elsewhere), ${(limits.int8PerSecond / 1e9).toFixed(0)} billion 8-bit multiply-adds/s, measured now`;
  const who = `${cpus()[0]?.model.trim()}, ${machine.threads} threads · gptoss: ${String(machine.ours)} · llama.cpp: ${String(machine.theirs)}`;
  const timer = `gptoss's event loop: 99 of 100 intervals of a 1 ms timer within ${machine.timerP99Ms.toFixed(1)} ms`;
  return `${table(lines, heads)}${foot}\n${timer}\n${who}`;
}
