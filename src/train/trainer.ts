// One model that learns: steps over batches, log-probabilities of batches, its state for checkpoints and its tensors for
// export. Stages (pre-training, fine-tuning, preferences, reinforcement) differ only in the batches and weights that they
// hand in. It owns the step count and refuses to go on when a loss or gradient is no number: the update is not made, so
// what was learned so far is intact. Schedules are in schedule.ts, files in run/checkpoint.node.ts, who makes a Learner:
// src/training.node.ts.

import type { Learner, PassResult, TrainBatch } from '../backend/learner.ts';
import type { RouterLossWeights } from '../backend/train-backend.ts';
import { GptOssError } from '../errors.ts';
import type { ModelTensors } from '../formats/checkpoint.ts';
import type { ModelConfig } from '../formats/config.ts';
import { learnerTensors } from './tensors.ts';

/** Settings of one step; what is left out has the default of training.md §1.6. */
export interface StepSettings {
  readonly learningRate: number;
  readonly beta1?: number; // 0.9
  readonly beta2?: number; // 0.95
  readonly eps?: number; // 1e-8
  readonly weightDecay?: number; // 0.1, on matrices only
  /** Largest norm of all gradients; beyond it they are scaled down. null: no limit. Default 1. */
  readonly clip?: number | null;
  /** Auxiliary losses of the routers. Default null: none (reinforcement; pre-training wants 0.01 and 0.001). */
  readonly router?: RouterLossWeights | null;
  /** Experts rounded to MXFP4 in forward and backward. Default false. */
  readonly fakeQuantised?: boolean;
  /** Products of bf16 factors where those are faster (backend/learner.ts). Default false. */
  readonly roundedProducts?: boolean;
}

export interface StepResult extends PassResult {
  readonly step: number; // 1 for the first
  readonly rows: number;
  /** Rows with a weight: those that were learned from. */
  readonly trainedRows: number;
  /** Mean -log p(target) over them, in nats. */
  readonly meanLoss: number;
  readonly meanEntropy: number;
  readonly gradientNorm: number; // before clipping
  /** Share of choices that fell on each expert, over its fair share: 1 = balanced. [layers][experts] */
  readonly expertLoad: readonly Float64Array[];
}

/** What a checkpoint of a run holds beside the config. */
export interface TrainerState {
  readonly step: number;
  readonly rows: number; // all rows trained on so far
}

export class Trainer {
  readonly config: ModelConfig;
  readonly learner: Learner;
  #step: number;
  #rows: number;

  constructor(config: ModelConfig, learner: Learner, state: TrainerState = { step: 0, rows: 0 }) {
    this.config = config;
    this.learner = learner;
    this.#step = state.step;
    this.#rows = state.rows;
  }

  /** Updates made so far. */
  get state(): TrainerState {
    return { step: this.#step, rows: this.#rows };
  }

  /** Forward, backward, update. Throws `diverged` when loss or gradient is no number: nothing was updated then. */
  async step(batch: TrainBatch, settings: StepSettings): Promise<StepResult> {
    const step = this.#step + 1;
    this.learner.clearGradients();
    const pass = await this.learner.run(batch, {
      gradients: true,
      router: settings.router ?? null,
      fakeQuantised: settings.fakeQuantised ?? false,
      roundedProducts: settings.roundedProducts ?? false,
    });
    if (!Number.isFinite(pass.loss)) throw diverged(step, 'loss', pass.loss, batch);
    const gradientNorm = await this.learner.update({
      step,
      learningRate: settings.learningRate,
      beta1: settings.beta1 ?? 0.9,
      beta2: settings.beta2 ?? 0.95,
      eps: settings.eps ?? 1e-8,
      weightDecay: settings.weightDecay ?? 0.1,
      clip: settings.clip === undefined ? 1 : settings.clip,
    });
    if (!Number.isFinite(gradientNorm)) throw diverged(step, 'norm of the gradient', gradientNorm, batch);
    this.#step = step;
    this.#rows += batch.ids.length;
    return { ...pass, ...this.#summary(batch, pass), step, gradientNorm };
  }

  /** Log-probabilities and entropies of a batch's targets, without learning from it. Weights say only which rows. */
  score(batch: TrainBatch, options: { readonly fakeQuantised?: boolean } = {}): Promise<PassResult> {
    const { fakeQuantised = false } = options;
    return this.learner.run(batch, { gradients: false, router: null, fakeQuantised });
  }

  #summary(
    batch: TrainBatch,
    pass: PassResult,
  ): Pick<StepResult, 'rows' | 'trainedRows' | 'meanLoss' | 'meanEntropy' | 'expertLoad'> {
    const { layers, experts, expertsPerToken: k } = this.config;
    const rows = batch.ids.length;
    let [trained, loss, entropy] = [0, 0, 0];
    for (let row = 0; row < rows; row++) {
      if (batch.weights[row] === 0) continue;
      trained++;
      loss -= pass.logprobs[row];
      entropy += pass.entropies[row];
    }
    const expertLoad = Array.from({ length: layers }, (_, l) => {
      const load = new Float64Array(experts);
      for (let i = l * rows * k; i < (l + 1) * rows * k; i++) load[pass.expertIds[i]] += experts / (rows * k);
      return load;
    });
    const each = 1 / Math.max(1, trained);
    return { rows, trainedRows: trained, meanLoss: loss * each, meanEntropy: entropy * each, expertLoad };
  }

  /** The model as it is now, for an engine or an exporter. `quantised`: experts as a fake-quantised pass sees them. */
  tensors(options: { readonly quantised?: boolean } = {}): ModelTensors {
    return learnerTensors(this.config, this.learner, options.quantised);
  }

  async close(): Promise<void> {
    await this.learner.close();
  }
}

function diverged(step: number, what: string, value: number, batch: TrainBatch): GptOssError {
  const documents = batch.documentStarts.length;
  return new GptOssError(
    'diverged',
    `the ${what} of step ${step} is ${value} (batch of ${batch.ids.length} rows in ${documents} documents); expected a finite number; the model is as it was after step ${step - 1}: go on from there with a lower learning rate, or look at this batch`,
    { details: { step, rows: batch.ids.length, documents } },
  );
}
