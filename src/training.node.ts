// Puts a trainer together under Node: from a checkpoint or from a fresh model at random, on native code or, where there
// is none, in plain TypeScript. Files of a run: train/run/checkpoint.node.ts. Next: train/trainer.ts.

import { CpuLearner } from './backend/cpu/learner.ts';
import type { Learner } from './backend/learner.ts';
import { ReferenceTrainer } from './backend/reference/trainer.ts';
import { isGptOssError } from './errors.ts';
import type { ModelTensors } from './formats/checkpoint.ts';
import type { ModelConfig } from './formats/config.ts';
import { yarnRope } from './model/rope.ts';
import { ProgramLearner } from './train/program-learner.ts';
import { initialTensors, tensorsByName, tensorValues } from './train/tensors.ts';
import { Trainer, type TrainerState } from './train/trainer.ts';

export interface TrainerOptions {
  /** Default: cpu where native code is there, else reference. */
  readonly backend?: 'cpu' | 'reference';
  readonly threads?: number; // default: physical cores
  /** Forces an ISA variant of native code. */
  readonly isa?: string;
  /** Independent sums of gradients, computed side by side. Part of what results are a function of. Default 2. */
  readonly shards?: number;
  /** Rows of one pass, about. Part of what results are a function of. Default 2048. */
  readonly passRows?: number;
}

/** A trainer that goes on from these tensors: any opened checkpoint, or a fresh model (`freshModel`). */
export function openTrainer(
  source: { readonly config: ModelConfig; readonly tensors: ModelTensors },
  options: TrainerOptions = {},
  state?: TrainerState,
): Trainer {
  return new Trainer(source.config, createLearner(source, options), state);
}

/** A model with random weights, for `openTrainer`. */
export function freshModel(config: ModelConfig, seed: number): { config: ModelConfig; tensors: ModelTensors } {
  return { config, tensors: initialTensors(config, seed) };
}

/** Native where it can be; plain TypeScript when that is asked for, or when nothing was asked for and there is no addon. */
function createLearner(source: { config: ModelConfig; tensors: ModelTensors }, options: TrainerOptions): Learner {
  const { config, tensors } = source;
  if (options.backend !== 'reference') {
    try {
      const learner = new CpuLearner(config, yarnRope(config), tensorsByName(config), options);
      let index = 0;
      for (const [, values] of tensorValues(config, tensors)) learner.write(index++, 'values', values);
      return learner;
    } catch (error) {
      const isAsked = options.backend === 'cpu' || options.isa !== undefined;
      if (isAsked || !isGptOssError(error, 'unsupported-device')) throw error;
    }
  }
  const passRows = Math.min(options.passRows ?? 512, 512);
  const maxRows = passRows + Math.min(config.maxContext, 2048);
  return new ProgramLearner(source, new ReferenceTrainer({ maxRows }), { passRows });
}
