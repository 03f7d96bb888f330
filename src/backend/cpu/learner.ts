// The native Learner: float32 parameters, gradients and moments in the addon; one call for a whole batch. Here is only the
// way in and out: checks, passes, sums of results in fixed order. Arithmetic: native/train/.

import { GptOssError } from '../../errors.ts';
import type { ModelConfig } from '../../formats/config.ts';
import type { Rope } from '../backend.ts';
import type { Learner, PassOptions, PassResult, TensorPart, TrainBatch, TrainTensor } from '../learner.ts';
import { checkTrainBatch, cutPasses } from '../passes.ts';
import type { AdamW } from '../train-backend.ts';
import { type Addon, chooseVariant, defaultThreads, loadAddon, native } from './addon.ts';
import { type NativeLearner, TRAIN_PARTS, TRAIN_RESULTS } from './train-addon.ts';

export interface CpuLearnerOptions {
  readonly threads?: number; // default: physical cores, but no more than shards
  readonly isa?: string;
  readonly variant?: string;
  readonly shards?: number; // default 2
  readonly passRows?: number; // default 2048
  readonly addonPath?: string;
}

export class CpuLearner implements Learner {
  readonly description: string;
  readonly variant: string;
  readonly tensors: readonly TrainTensor[];
  readonly threads: number;
  readonly #config: ModelConfig;
  readonly #addon: Addon;
  readonly #learner: NativeLearner;
  readonly #shards: number;
  readonly #passRows: number;
  #pending: Promise<unknown> | null = null;

  /** Parameters are zero until they are written. `tensors` in the order of native/train/learner.cc. */
  constructor(config: ModelConfig, rope: Rope, tensors: readonly TrainTensor[], options: CpuLearnerOptions = {}) {
    this.#addon = loadAddon(options.addonPath);
    this.#config = config;
    this.tensors = tensors;
    this.#shards = count('shards', options.shards ?? 2, 1024);
    this.#passRows = count('rows of a pass', options.passRows ?? 2048, 1 << 20);
    const machine = this.#addon.machine();
    this.threads = count('threads', options.threads ?? Math.min(defaultThreads(machine), this.#shards), 1024);
    const variant = chooseVariant(machine, options.isa, options.variant);
    // Sums depend on what a batch is cut into, so that is part of the variant.
    this.variant = `${variant}, ${this.#shards} shards of ${this.#passRows} rows`;
    this.description = `${variant}, ${this.threads} thread${this.threads === 1 ? '' : 's'}`;
    const { layers, hidden, heads, kvHeads, headDim, experts, expertsPerToken, intermediate, vocab } = config;
    const sizes = Int32Array.of(
      ...[layers, hidden, heads, kvHeads, headDim, experts, expertsPerToken, intermediate, vocab],
      ...[Math.min(config.slidingWindow, 1 << 22), ...config.sliding.map(Number)],
    );
    const numbers = Float64Array.of(
      ...[rope.scale, config.rmsEps, config.swigluAlpha, config.swigluLimit],
      ...rope.inverse,
    );
    this.#learner = native(() => this.#addon.trainOpen(variant, this.threads, this.#shards, sizes, numbers));
  }

  async run(batch: TrainBatch, options: PassOptions): Promise<PassResult> {
    checkTrainBatch(batch, this.#config);
    const { hidden, intermediate, layers } = this.#config;
    if (options.fakeQuantised && (hidden % 32 !== 0 || intermediate % 32 !== 0)) {
      throw new GptOssError(
        'invalid-request',
        `hidden size ${hidden} or intermediate size ${intermediate} is no multiple of 32; expected whole MXFP4 groups; train it unquantised`,
      );
    }
    const passes = cutPasses(batch, this.#passRows, this.#shards);
    const code = passes.flatMap(({ rowCount, starts }) => [rowCount, starts.length, ...starts]);
    const { router } = options;
    const settings = Float64Array.of(
      ...[Number(options.gradients), Number(options.fakeQuantised), Number(router !== null)],
      ...[router?.balance ?? 0, router?.z ?? 0, Number(options.roundedProducts ?? false)],
    );
    const { ids, targets, weights, expertIds = new Int32Array(0) } = batch;
    await this.#track(() =>
      this.#addon.trainRun(this.#learner, ids, targets, weights, Int32Array.from(code), settings, expertIds),
    );
    const [logprobs, entropies, chosen, losses] = TRAIN_RESULTS.map((_, what) =>
      native(() => this.#addon.trainResult(this.#learner, what)),
    ) as [Float32Array, Float32Array, Int32Array, Float64Array];
    let [loss, balanceLoss, zLoss] = [0, 0, 0];
    for (let row = 0; row < ids.length; row++) if (weights[row] !== 0) loss -= weights[row] * logprobs[row];
    for (const [p, { rowCount }] of passes.entries()) {
      for (let l = 0; l < layers; l++) {
        const share = rowCount / (ids.length * layers);
        balanceLoss += losses[2 * (p * layers + l)] * share;
        zLoss += losses[2 * (p * layers + l) + 1] * share;
      }
    }
    return { loss, logprobs, entropies, expertIds: chosen, balanceLoss, zLoss };
  }

  clearGradients(): void {
    this.#idle(() => this.#addon.trainClear(this.#learner));
  }

  update(settings: AdamW): Promise<number> {
    const { step, learningRate, beta1, beta2, eps, weightDecay, clip } = settings;
    const numbers = Float64Array.of(step, learningRate, beta1, beta2, eps, weightDecay, clip ?? 0);
    return this.#track(() => this.#addon.trainUpdate(this.#learner, numbers));
  }

  async #track<T>(start: () => Promise<T>): Promise<T> {
    const work = this.#idle(start);
    this.#pending = work;
    try {
      return await work;
    } finally {
      this.#pending = null;
    }
  }

  #idle<T>(call: () => T): T {
    if (this.#pending === null) return native(call);
    throw new GptOssError(
      'internal',
      'a run of this trainer is under way; expected one call at a time; await it first',
    );
  }

  read(tensor: number, part: TensorPart): Float32Array {
    return this.#idle(() => this.#addon.trainRead(this.#learner, tensor, TRAIN_PARTS.indexOf(part)));
  }

  readQuantised(tensor: number): Float32Array {
    return this.#idle(() => this.#addon.trainRead(this.#learner, tensor, TRAIN_PARTS.indexOf('quantised')));
  }

  write(tensor: number, part: TensorPart, values: Float32Array): void {
    this.#idle(() => this.#addon.trainWrite(this.#learner, tensor, TRAIN_PARTS.indexOf(part), values));
  }

  /** Operations (2 for a multiply-add) of matrix products outside attention so far, and the seconds of threads they took. */
  products(): { operations: number; seconds: number } {
    const [operations, seconds] = this.#idle(() => this.#addon.trainProducts(this.#learner));
    return { operations, seconds };
  }

  async close(): Promise<void> {
    await Promise.allSettled([this.#pending]);
    this.#addon.trainClose(this.#learner);
  }
}

function count(name: string, value: number, most: number): number {
  if (Number.isInteger(value) && value >= 1 && value <= most) return value;
  throw new GptOssError('invalid-request', `${name}: ${value} was asked for; expected 1 to ${most}; change it`);
}
