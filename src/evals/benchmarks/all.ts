// All benchmarks, by name. Next: aime.ts, the simplest.

import { aime24, aime25 } from './aime.ts';
import type { Benchmark } from './benchmark.ts';
import { gpqa } from './gpqa.ts';
import { gsm8k } from './gsm8k.ts';
import { healthbench, healthbenchConsensus, healthbenchHard } from './healthbench.ts';
import { hle } from './hle.ts';
import { mmlu } from './mmlu.ts';

export const benchmarks: readonly Benchmark[] = [
  ...[aime24, aime25, gpqa, mmlu, gsm8k, hle],
  ...[healthbench, healthbenchHard, healthbenchConsensus],
];

export function benchmarkNamed(name: string): Benchmark | null {
  return benchmarks.find((benchmark) => benchmark.name === name) ?? null;
}
