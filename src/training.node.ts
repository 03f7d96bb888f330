// Puts a trainer together under Node: from a checkpoint or from a fresh model at random, on native code or, where there
// is none, in plain TypeScript. Files of a run: train/checkpoint.node.ts. Next: train/trainer.ts.

import type { Learner } from './backend/learner.ts';
import { ReferenceTrainer } from './backend/reference/trainer.ts';
import type { ModelTensors } from './formats/checkpoint.ts';
import type { ModelConfig } from './formats/config.ts';
import { ProgramLearner } from './train/program-learner.ts';
import { initialTensors } from './train/tensors.ts';
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

function createLearner(source: { config: ModelConfig; tensors: ModelTensors }, options: TrainerOptions): Learner {
  const passRows = Math.min(options.passRows ?? 512, 512);
  return new ProgramLearner(
    source,
    new ReferenceTrainer({ maxRows: passRows + Math.min(source.config.maxContext, 2048) }),
    { passRows },
  );
}
