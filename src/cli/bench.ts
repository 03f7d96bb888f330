// `bench`: load time, prompt and decode speed at several lengths, memory beside the file's pages, and single ops beside
// what this machine can do at best. Runs alternate between lengths; each figure is the median after a warm-up round.
// A table for people, `--json` for programs: { machine, rows }.

import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { CpuBackend } from '../backend/cpu/cpu.ts';
import { GptOssError } from '../errors.ts';
import { openCheckpoint } from '../formats/checkpoint.node.ts';
import { Model } from '../model/load.ts';
import { open } from '../open.node.ts';
import type { OpenedModel } from '../opened-model.ts';
import type { BenchCommand } from './arguments.ts';
import { deviceOf, fileReadSpeed } from './bench/device.ts';
import { type Figure, figure, PromptSource, timeAnswer } from './bench/measure.ts';
import { type OpRow, timeOps } from './bench/ops.ts';
import { chooseModel } from './choose-model.ts';
import type { Context } from './context.ts';
import { describeMachine, MemoryWatch, ownMemoryBytes } from './machine.ts';
import { safeJson } from './screen/controls.ts';
import { bytes, table } from './screen/table.ts';

/** `tokens`: length of the prompt, for `decode` what was read before. */
interface Row extends Figure {
  readonly test: 'load' | 'prompt' | 'decode' | 'timer' | 'memory';
  readonly tokens?: number;
  readonly unit: 'ms' | 'tokens/s' | 'bytes';
}

interface Ceilings {
  readonly readGbPerSecond: number;
  readonly gmacPerSecond: Readonly<Record<'f32' | 'bf16' | 'int8', number>>;
}

export async function bench(command: BenchCommand, context: Context): Promise<void> {
  if (command.plan !== undefined) return (await import('./bench/plan.ts')).runPlan(command, context);
  if (command.vs !== undefined) return (await import('./bench/versus.ts')).versus(command, context);
  const { terminal, stores, environment } = context;
  const say = (text: string): void => {
    if (!command.quiet) terminal.err.write(`gptoss: ${text}\n`);
  };
  const { path } = chooseModel(command.model, stores);
  const { lengths, contextTokens } = lengthsFor(command, path);
  const { backend, precision, kv, weights, threads } = command;
  const isa = environment.isa ?? undefined;
  const load = (): Promise<OpenedModel> =>
    open(path, {
      ...{ backend, precision, kv, weights, threads, isa, context: contextTokens },
      maxSequences: 1,
      speculation: false, // random text repeats itself in ways that real text does not
    });

  say(`measuring ${path}`);
  const rows = [await measureLoad(load, command.repeat)];
  const memory = new MemoryWatch();
  const model = await load();
  let ceilings: Ceilings | null = null;
  let ops: OpRow[] = [];
  try {
    say(`computing on ${model.description}`);
    for (const notice of model.notices) say(notice);
    rows.push(...(await measureSpeeds(model, lengths, command, context.signal, say)));
    if (ownMemoryBytes() !== null) rows.push({ test: 'memory', unit: 'bytes', ...figure([memory.stop()]) });
    const device = deviceOf(model);
    if (device !== null) {
      ceilings = await measureCeilings(device);
      if (command.ops) ops = await measureOps(model);
    }
  } finally {
    memory.stop();
    await model.close();
  }

  const machine = { ...describeMachine(), backend: model.description, model: path, ceilings };
  if (command.json) terminal.out.write(`${safeJson({ machine, rows: [...rows, ...ops.map(jsonOp(ceilings))] })}\n`);
  else terminal.out.write(`${report(rows, ops, ceilings, command)}\n`);
}

async function measureLoad(load: () => Promise<OpenedModel>, repeat: number): Promise<Row> {
  const runs: number[] = [];
  for (let i = 0; i <= repeat; i++) {
    const start = performance.now();
    const model = await load();
    if (i > 0) runs.push(performance.now() - start); // the first one is the warm-up
    await model.close();
  }
  return { test: 'load', unit: 'ms', ...figure(runs) };
}

async function measureSpeeds(
  model: OpenedModel,
  lengths: readonly number[],
  { repeat, decode }: BenchCommand,
  signal: AbortSignal,
  say: (text: string) => void,
): Promise<Row[]> {
  const prompts = new PromptSource(model.config.vocab);
  const runs = lengths.map((tokens) => ({ tokens, prompt: [] as number[], decode: [] as number[] }));
  const timer = monitorEventLoopDelay({ resolution: 1 });
  timer.enable();
  for (let round = 0; round <= repeat; round++) {
    for (const run of runs) {
      await model.populate({ signal }); // the file's pages are in memory before each run
      const speeds = await timeAnswer(model.engine, prompts.take(run.tokens), decode, signal);
      if (round === 0) continue; // warm-up
      run.prompt.push(speeds.promptPerSecond);
      run.decode.push(speeds.decodePerSecond);
      const [prompt, decoded] = [speeds.promptPerSecond.toFixed(1), speeds.decodePerSecond.toFixed(2)];
      say(`round ${round} of ${repeat}, ${run.tokens} tokens: prompt ${prompt}, decode ${decoded} tokens/s`);
    }
  }
  timer.disable();
  const unit = 'tokens/s' as const;
  return [
    ...runs.map(({ tokens, prompt }): Row => ({ test: 'prompt', tokens, unit, ...figure(prompt) })),
    ...runs.map(({ tokens, decode }): Row => ({ test: 'decode', tokens, unit, ...figure(decode) })),
    { test: 'timer', unit: 'ms', ...figure([timer.percentile(99) / 1e6]) },
  ];
}

async function measureOps(model: OpenedModel): Promise<OpRow[]> {
  const device = deviceOf(model);
  const inner = model.engine.model;
  if (device === null || !(inner instanceof Model)) return [];
  return [...(await timeOps(inner, device, 1, 16)), ...(await timeOps(inner, device, device.maxRows, 1))];
}

function lengthsFor(command: BenchCommand, path: string): { lengths: number[]; contextTokens: number } {
  const checkpoint = openCheckpoint(path);
  const { maxContext, hidden } = checkpoint.config;
  checkpoint.close();
  const most = Math.min(maxContext, command.context ?? maxContext) - command.decode;
  const lengths =
    command.lengths ?? [16, 128, 512, ...(hidden >= 1024 ? [2048] : [])].filter((length) => length <= most);
  const longest = Math.max(...lengths);
  if (!(longest <= most)) {
    throw new GptOssError(
      'context-overflow',
      `a prompt of ${longest} and ${command.decode} tokens after it do not fit; expected at most ${maxContext} together; use shorter --lengths`,
    );
  }
  return { lengths: [...lengths], contextTokens: longest + command.decode };
}

async function measureCeilings(backend: CpuBackend): Promise<Ceilings> {
  const rate = async (kind: 'read' | 'f32' | 'bf16' | 'int8'): Promise<number> => (await backend.probe(kind)) / 1e9;
  // The weights' own memory where there is enough of it: elsewhere it may be faster or slower.
  const read = backend.mappedBytes > 1e9 ? await fileReadSpeed(backend) : await backend.probe('read');
  return {
    readGbPerSecond: read / 1e9,
    gmacPerSecond: { f32: await rate('f32'), bf16: await rate('bf16'), int8: await rate('int8') },
  };
}

const jsonOp = (ceilings: Ceilings | null) => (op: OpRow) => ({
  test: 'op',
  op: op.op,
  weight: op.weight,
  rows: op.rows,
  ms: op.ms,
  gb_per_s: op.gbPerSecond,
  gmac_per_s: op.gmacPerSecond,
  share_of_read: ceilings !== null && op.gbPerSecond !== null ? op.gbPerSecond / ceilings.readGbPerSecond : null,
});

function report(rows: readonly Row[], ops: readonly OpRow[], ceilings: Ceilings | null, command: BenchCommand): string {
  const shown = (value: number, unit: Row['unit']): string =>
    unit === 'bytes' ? bytes(value) : `${value >= 100 ? value.toFixed(0) : value.toFixed(2)} ${unit}`;
  const names = {
    load: 'load',
    prompt: 'read a prompt of',
    decode: 'decode after',
    timer: '99 of 100 intervals of a 1 ms timer meanwhile, within',
    memory: 'peak memory beside file pages',
  };
  const lines = rows.map(({ test, tokens, unit, median, low, high, runs }) => [
    `${names[test]}${tokens === undefined ? '' : ` ${tokens}`}`,
    shown(median, unit),
    runs.length > 1 ? `${shown(low, unit)} … ${shown(high, unit)}` : '',
  ]);
  const parts = [table(lines, ['', 'median', `spread of ${command.repeat}`])];
  if (ceilings !== null) {
    const { f32, bf16, int8 } = ceilings.gmacPerSecond;
    parts.push(
      `this machine at best: read ${ceilings.readGbPerSecond.toFixed(1)} GB/s; multiply-adds: ` +
        `float32 ${f32.toFixed(0)}, bfloat16 ${bf16.toFixed(0)}, int8 ${int8.toFixed(0)} G/s`,
    );
  }
  for (const count of [...new Set(ops.map((op) => op.rows))]) {
    const of = ops.filter((op) => op.rows === count);
    const whole = of.reduce((sum, op) => sum + op.ms, 0);
    parts.push(
      `one step of ${count} row${count === 1 ? '' : 's'}, ${whole.toFixed(2)} ms in ops`,
      table(
        of.map((op) => [
          op.op,
          op.weight,
          op.ms.toFixed(3),
          `${((op.ms / whole) * 100).toFixed(1)} %`,
          op.gbPerSecond?.toFixed(1) ?? '-',
          op.gmacPerSecond?.toFixed(0) ?? '-',
        ]),
        ['op', 'weight', 'ms', 'share', 'GB/s', 'GMAC/s'],
      ),
    );
  }
  return parts.join('\n\n');
}
