// A model that is larger than the memory it may use: first token and decode in a memory control group (version 1 or 2;
// needs the right to make one), the file evicted first. What bounds it is the disk, so its speed is measured beside: bytes
// read in large pieces, and what a token then costs at best.
//   node scripts/run.mjs bench/memory-limit.bench.ts --model FILE --limit 4GiB [--prompt 16] [--decode 16] [--seconds 150] [--page-cache]
// --page-cache leaves the experts in the mapped file, to compare.
// Lines on stdout as they come, then one line of JSON.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, promises, rmdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { loadAddon } from '../src/backend/cpu/addon.ts';
import { ownMemoryBytes } from '../src/cli/machine.ts';
import { open } from '../src/open.node.ts';
import { randomTokens } from './steps.ts';

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    limit: { type: 'string', default: '4GiB' },
    prompt: { type: 'string', default: '16' },
    decode: { type: 'string', default: '16' },
    seconds: { type: 'string', default: '150' },
    'page-cache': { type: 'boolean', default: false },
    child: { type: 'boolean', default: false },
  },
});
const path = values.model ?? '';
const limitBytes = Math.floor(Number.parseFloat(values.limit) * 2 ** 18) * 4096;
const say = (line: string): void => void process.stdout.write(`${line}\n`);

if (values.child) await answer();
else await limited();

/** In the group: one prompt, one answer; a line of JSON for each token. */
async function answer(): Promise<void> {
  const started = performance.now();
  if (values['page-cache']) loadAddon().holdExperts = () => 0;
  const model = await open(path, { context: 4096, maxSequences: 1, speculation: false });
  const { engine } = model;
  // Sampled: greedy answers of random weights soon repeat themselves, and with them their experts.
  const request = { temperature: 1, seed: 4, stopIds: [], maxTokens: Number(values.decode) + 1 };
  const prompt = randomTokens(Number(values.prompt), engine.model.vocab);
  for await (const _ of engine.generate(prompt, request)) {
    const { fsRead, majorPageFault } = process.resourceUsage();
    const own = ownMemoryBytes();
    say(JSON.stringify({ ms: performance.now() - started, read: fsRead * 512, faults: majorPageFault, own }));
  }
  await model.close();
}

interface Point {
  readonly ms: number;
  readonly read: number; // bytes from the disk so far
  readonly faults: number;
  readonly own: number; // memory beside pages of files
}

async function limited(): Promise<void> {
  const group = makeGroup(limitBytes);
  const addon = loadAddon();
  addon.dropCached(path);
  const disk = await diskSpeed(path);
  addon.dropCached(path);
  const size = statSync(path).size;
  say(
    `${path}: ${(size / 1e9).toFixed(1)} GB under ${(limitBytes / 1e9).toFixed(2)} GB; the disk gives ${(disk / 1e9).toFixed(2)} GB/s`,
  );
  const args = [
    fileURLToPath(new URL('../scripts/run.mjs', import.meta.url)),
    fileURLToPath(import.meta.url),
    ...process.argv.slice(2),
    '--child',
  ];
  const child = spawn('sh', ['-c', `echo $$ > ${group.entry} && exec "$0" "$@"`, process.execPath, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), Number(values.seconds) * 1000);
  const ended = new Promise<string>((resolve) =>
    child.once('close', (code, signal) => resolve(String(signal ?? code))),
  );
  const points: Point[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    const point = JSON.parse(line) as Point;
    const { ms, read, faults } = points.at(-1) ?? { ms: 0, read: 0, faults: 0 };
    points.push(point);
    say(
      `token ${String(points.length).padStart(2)}: ${((point.ms - ms) / 1000).toFixed(2)} s, ${((point.read - read) / 1e9).toFixed(2)} GB read ` +
        `(${((point.read - read) / (point.ms - ms) / 1e6).toFixed(2)} GB/s), ${point.faults - faults} faults that waited for the disk`,
    );
  }
  const ending = await ended;
  clearTimeout(timer);
  group.remove();
  const [first, last] = [points[0], points.at(-1)];
  if (first === undefined || last === undefined)
    return say(`no token within ${values.seconds} s; ended with ${ending}`);
  const tokens = points.length - 1;
  const perSecond = (tokens * 1000) / (last.ms - first.ms);
  const perToken = (last.read - first.read) / tokens;
  say(
    `first token after ${(first.ms / 1000).toFixed(1)} s; decode ${perSecond.toFixed(2)} tokens/s, ${(perToken / 1e9).toFixed(2)} GB from the disk ` +
      `for each, ${((100 * perSecond * perToken) / disk).toFixed(0)} % of what it gives; memory beside the file ${(last.own / 1e6).toFixed(0)} MB; ended with ${ending}`,
  );
  say(
    JSON.stringify({
      size,
      limit: limitBytes,
      disk,
      first_ms: first.ms,
      decode: perSecond,
      read_per_token: perToken,
      ending,
    }),
  );
}

/** Bytes per second in pieces of 4 MB, four at a time, of a part that nobody has read. */
async function diskSpeed(file: string): Promise<number> {
  const [piece, most] = [4 << 20, Math.min(1 << 30, statSync(file).size)];
  const handle = await promises.open(file);
  let next = 0;
  const start = performance.now();
  await Promise.all(
    Array.from({ length: 4 }, async () => {
      const buffer = Buffer.alloc(piece);
      while (next < most) {
        const at = next;
        next += piece;
        await handle.read(buffer, 0, piece, at);
      }
    }),
  );
  const ms = performance.now() - start;
  await handle.close();
  return (most * 1000) / ms;
}

/** A control group of this memory and no swap. */
function makeGroup(bytes: number): { entry: string; remove: () => void } {
  const isV1 = existsSync('/sys/fs/cgroup/memory/memory.limit_in_bytes');
  const folder = join(isV1 ? '/sys/fs/cgroup/memory' : '/sys/fs/cgroup', `gptoss-bench-${process.pid}`);
  mkdirSync(folder);
  writeFileSync(join(folder, isV1 ? 'memory.limit_in_bytes' : 'memory.max'), String(bytes));
  return { entry: join(folder, 'cgroup.procs'), remove: () => rmdirSync(folder) };
}
