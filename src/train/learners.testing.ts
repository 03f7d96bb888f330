// Native learners over wild random parameters, for tests that hold them against an oracle or against differences.
import { addonPath } from '../backend/cpu/addon.testing.ts';
import { cpuVariants } from '../backend/cpu/cpu.ts';
import { CpuLearner, type CpuLearnerOptions } from '../backend/cpu/learner.ts';
import type { ModelTensors } from '../formats/checkpoint.ts';
import type { ModelConfig } from '../formats/config.ts';
import { yarnRope } from '../model/rope.ts';
import { CounterRandom } from './random.ts';
import { memoryTensors, tensorsByName, tensorValues } from './tensors.ts';

/** One variant for each set of training kernels that this machine runs. */
export const trainVariants = (): string[] =>
  cpuVariants(addonPath).filter((name) => /^(scalar|avx2|avx512|avx512-amx|neon)$/.test(name));

/**
 * Large enough that every nonlinearity is at work: gates beyond the limit, uneven experts, sinks of both signs and -∞.
 * `size` makes all but the norms smaller.
 */
export function wildTensors(config: ModelConfig, seed: number, size = 1): ModelTensors {
  return memoryTensors(config, (index, { name, experts, rows, cols }) => {
    const random = new CounterRandom(seed, index, 5);
    const scale = /Norm$/.test(name) ? 0.2 : /(gate|up)$/.test(name) ? 0.9 : /Bias$/.test(name) ? 0.5 : 0.3;
    const values = Float32Array.from({ length: experts * rows * cols }, () => scale * size * random.gaussian());
    if (/Norm$/.test(name)) for (let i = 0; i < values.length; i++) values[i] += 1;
    if (/sinks$/.test(name)) values[0] = Number.NEGATIVE_INFINITY;
    return values;
  });
}

export function nativeLearner(config: ModelConfig, tensors: ModelTensors, options: CpuLearnerOptions): CpuLearner {
  const learner = new CpuLearner(config, yarnRope(config), tensorsByName(config), { addonPath, ...options });
  let index = 0;
  for (const [, values] of tensorValues(config, tensors)) learner.write(index++, 'values', values);
  return learner;
}
