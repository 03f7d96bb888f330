// What happens on a machine that has something else to do: a prompt and a decode alone, then while another process spins
// without end on one core, in turn; and the processor time of a loaded engine that nobody asks anything. With as many
// threads as cores, whoever waits for the slowest thread at each of some 200 barriers a token pays for every one of them.
//   node scripts/run.mjs bench/busy.bench.ts --model PATH [--threads N] [--prompt 512] [--decode 32] [--rounds 3] [--idle 20]
// A table on stdout, then one line of JSON. The machine has to be otherwise idle.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { figure, PromptSource, timeAnswer } from '../src/cli/bench/measure.ts';
import { open } from '../src/open.node.ts';

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    threads: { type: 'string' },
    prompt: { type: 'string', default: '512' },
    decode: { type: 'string', default: '32' },
    rounds: { type: 'string', default: '3' },
    idle: { type: 'string', default: '20' },
  },
});
const [promptTokens, decodeTokens, rounds, idleSeconds] = [
  values.prompt,
  values.decode,
  values.rounds,
  values.idle,
].map(Number);

/** A process that never waits. Runs until it is killed, or its parent is gone. */
async function spinner(): Promise<ChildProcess> {
  const source = `const parent = process.ppid; process.stdout.write('spinning'); const turn = () => {
    for (const end = Date.now() + 1000; Date.now() < end; ); if (process.ppid === parent) setImmediate(turn); }; turn();`;
  const child = spawn(process.execPath, ['-e', source], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout!, 'data');
  return child;
}

const model = await open(values.model, {
  context: promptTokens + decodeTokens + 64,
  maxSequences: 1,
  speculation: false,
  ...(values.threads !== undefined && { threads: Number(values.threads) }),
});
const { engine } = model;
const prompts = new PromptSource(Math.floor(engine.model.vocab / 2));
const never = new AbortController().signal;
await model.populate();
await timeAnswer(engine, prompts.take(promptTokens), 4, never);

const idleBefore = process.cpuUsage();
const idleStart = performance.now();
await sleep(idleSeconds * 1000);
const { user, system } = process.cpuUsage(idleBefore);
const idleShare = (user + system) / 1000 / (performance.now() - idleStart);

const speeds = {
  alone: { prompt: [] as number[], decode: [] as number[] },
  busy: { prompt: [] as number[], decode: [] as number[] },
};
for (let round = 0; round < rounds; round++) {
  for (const side of ['alone', 'busy'] as const) {
    const other = side === 'busy' ? await spinner() : null;
    try {
      const { promptPerSecond, decodePerSecond } = await timeAnswer(
        engine,
        prompts.take(promptTokens),
        decodeTokens + 1,
        never,
      );
      speeds[side].prompt.push(promptPerSecond);
      speeds[side].decode.push(decodePerSecond);
    } finally {
      if (other !== null) {
        other.kill('SIGKILL');
        await once(other, 'close');
      }
    }
  }
}
await model.close();

const say = (line: string): void => void process.stdout.write(`${line}\n`);
say(`${values.model ?? 'the embedded model'}, ${model.description}; median (lowest … highest) of ${rounds}, tokens/s`);
const times: Record<string, number> = {};
for (const what of ['prompt', 'decode'] as const) {
  const [alone, busy] = [figure(speeds.alone[what]), figure(speeds.busy[what])];
  const show = ({ median, low, high }: typeof alone): string =>
    `${median.toFixed(2)} (${low.toFixed(2)} … ${high.toFixed(2)})`;
  times[what] = alone.median / busy.median;
  say(`${what.padEnd(7)} alone ${show(alone)}   one core busy ${show(busy)}   ${times[what].toFixed(2)}× slower`);
}
say(`loaded and asked nothing for ${idleSeconds} s: ${(100 * idleShare).toFixed(2)} % of one core`);
say(JSON.stringify({ slower: times, idle_share: idleShare, speeds }));
