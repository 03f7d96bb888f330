// Tokens a second of the trainer on the 9-million-parameter configuration, and how near its matrix products come to what
// float32 multiply-adds reach in registers (the addon's probe, in the same process, right before).
//   node scripts/run.mjs bench/train/speed.ts [--threads N] [--steps N] [--isa NAME] [--rows N] [--length N]
// Documents of random tokens, 60 to 512 long (or all of --length); every row is learned from. One warm-up step.
// The same in PyTorch: pytorch.py.
import { parseArgs } from 'node:util';
import { CpuBackend } from '../../src/backend/cpu/cpu.ts';
import { CpuLearner } from '../../src/backend/cpu/learner.ts';
import type { TrainBatch } from '../../src/backend/learner.ts';
import type { ModelConfig } from '../../src/formats/config.ts';
import { yarnRope } from '../../src/model/rope.ts';
import { CounterRandom } from '../../src/train/random.ts';
import { initialTensors, parameterCount, tensorsByName, tensorValues } from '../../src/train/tensors.ts';
import { Trainer } from '../../src/train/trainer.ts';

const { values: given } = parseArgs({
  options: {
    threads: { type: 'string', default: '2' },
    steps: { type: 'string', default: '3' },
    isa: { type: 'string' },
    rows: { type: 'string', default: '16384' },
    passRows: { type: 'string', default: '2048' },
    length: { type: 'string' },
  },
});

const config: ModelConfig = {
  ...{ layers: 6, hidden: 256, heads: 8, kvHeads: 2, headDim: 32, experts: 16, expertsPerToken: 4, intermediate: 96 },
  ...{ vocab: 2048, slidingWindow: 128, sliding: Array.from({ length: 6 }, (_, l) => l % 2 === 0), ropeTheta: 150000 },
  rope: { factor: 4, originalContext: 512, betaFast: 32, betaSlow: 1 },
  ...{ maxContext: 2048, rmsEps: 1e-5, swigluAlpha: 1.702, swigluLimit: 7 },
};

function batchOf(rows: number, seed: number): TrainBatch {
  const random = new CounterRandom(seed);
  const starts: number[] = [];
  const length = (): number => (given.length === undefined ? 60 + random.below(453) : Number(given.length));
  for (let at = 0; at < rows; at += length()) starts.push(at);
  return {
    ids: Int32Array.from({ length: rows }, () => random.below(config.vocab)),
    targets: Int32Array.from({ length: rows }, () => random.below(config.vocab)),
    weights: new Float32Array(rows).fill(1 / rows),
    documentStarts: Int32Array.from(starts),
  };
}

const [threads, rows] = [Number(given.threads), Number(given.rows)];
const backend = new CpuBackend({ threads, isa: given.isa });
const peak = (await backend.probe('f32')) * 2; // operations a second, of all threads together
await backend.close();
const learner = new CpuLearner(config, yarnRope(config), tensorsByName(config), {
  ...{ threads, isa: given.isa, passRows: Number(given.passRows) },
});
let index = 0;
for (const [, values] of tensorValues(config, initialTensors(config, 1))) learner.write(index++, 'values', values);
const trainer = new Trainer(config, learner);
const settings = { learningRate: 1e-3, router: { balance: 0.01, z: 0.001 } };
console.log(`${parameterCount(config)} parameters, ${learner.description}, ${rows} rows a step`);
console.log(`float32 peak of these threads: ${(peak / 1e9).toFixed(0)} GFLOP/s`);
await trainer.step(batchOf(rows, 0), settings);
for (let step = 1; step <= Number(given.steps); step++) {
  const batch = batchOf(rows, step);
  const before = learner.products();
  const start = performance.now();
  const used = process.cpuUsage();
  const { meanLoss } = await trainer.step(batch, settings);
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(used);
  const computed = (user + system) / 1e6; // seconds of all threads: less than they had when other programs run
  const { operations, seconds: busy } = learner.products();
  const rate = (operations - before.operations) / (busy - before.seconds);
  console.log(
    `step ${step}: ${(rows / seconds).toFixed(0)} tokens/s (${((rows * threads) / computed).toFixed(0)} for each second of ${threads} whole threads), loss ${meanLoss.toFixed(3)}, products ${(rate / 1e9).toFixed(0)} GFLOP/s a thread (${((100 * rate) / (peak / threads)).toFixed(0)} % of the peak), ${((100 * (busy - before.seconds)) / computed).toFixed(0)} % of the time`,
  );
}
await trainer.close();
