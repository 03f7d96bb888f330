// A Learner over any TrainBackend: the recorded chain of backward.ts, one program for training and one for scoring. With
// the reference backend it is the oracle of the native learner; quick enough for models of some ten thousand parameters.
// Sums of all passes lie in one gradient, added up pass after pass. Next: backward.ts.

import type { Batch, Program, SequenceRows } from '../backend/backend.ts';
import type { Learner, PassOptions, PassResult, TensorPart, TrainBatch, TrainTensor } from '../backend/learner.ts';
import { checkTrainBatch, cutPasses, type Pass } from '../backend/passes.ts';
import type { AdamW, Parameter, RouterLossWeights, TrainBackend } from '../backend/train-backend.ts';
import type { ModelTensors } from '../formats/checkpoint.ts';
import type { ModelConfig } from '../formats/config.ts';
import type { ModelWeights } from '../model/weights.ts';
import { createTrainWorkspace, recordLoss, recordTraining, type TrainWorkspace } from './backward.ts';
import { trainableWeights } from './parameters.ts';
import { tensorsByName } from './tensors.ts';

const PAGE = 8; // tokens

export class ProgramLearner implements Learner {
  readonly description: string;
  readonly variant: string;
  readonly tensors: readonly TrainTensor[];
  readonly #config: ModelConfig;
  readonly #backend: TrainBackend;
  readonly #parameters: readonly Parameter[]; // in the order of `tensors`
  readonly #weights: ModelWeights;
  readonly #workspace: TrainWorkspace;
  readonly #passRows: number;
  readonly #programs = new Map<string, Program>();
  readonly #record: (router: RouterLossWeights | null, gradients: boolean) => Program;
  #fakeQuantised = false;

  constructor(
    source: { config: ModelConfig; tensors: ModelTensors },
    backend: TrainBackend,
    options: { passRows?: number } = {},
  ) {
    const { config } = source;
    this.#config = config;
    this.#backend = backend;
    this.description = `plain TypeScript (${backend.description})`;
    this.variant = backend.name;
    this.#passRows = options.passRows ?? Math.max(1, Math.floor(backend.maxRows / 2));
    const { weights, parameters } = trainableWeights(source, backend);
    this.#weights = weights;
    this.#parameters = parameters;
    this.tensors = tensorsByName(config);
    const { kvHeads, headDim } = config;
    const layers = config.sliding.map((sliding) => ({ sliding }));
    const pages = backend.maxRows; // each document takes at least one
    const cache = backend.cache({
      ...{ layers, kvHeads, headDim, pageTokens: PAGE, fullPages: pages, slidingPages: pages },
      type: 'f32',
    });
    this.#workspace = createTrainWorkspace(backend, config);
    this.#record = (router, gradients) =>
      backend.record((ops) => {
        if (gradients) recordTraining(ops, weights, this.#workspace, config, cache, router);
        else recordLoss(ops, weights, this.#workspace, config, cache);
      });
  }

  async run(batch: TrainBatch, options: PassOptions): Promise<PassResult> {
    const { layers, expertsPerToken: k } = this.#config;
    checkTrainBatch(batch, this.#config);
    this.#fakeQuantise(options.fakeQuantised);
    const rows = batch.ids.length;
    const logprobs = new Float32Array(rows);
    const entropies = new Float32Array(rows);
    const expertIds = new Int32Array(layers * rows * k);
    let [loss, balanceLoss, zLoss] = [0, 0, 0];
    for (const pass of cutPasses(batch, this.#passRows, 1)) {
      const part = passBatch(batch, pass, layers, k);
      const share = pass.rowCount / rows; // of what are means over rows
      const { router } = options;
      const weights = router === null ? null : { balance: router.balance * share, z: router.z * share };
      await this.#backend.run(this.#program(weights, options.gradients), part);
      const losses = this.#backend.read(this.#workspace.losses, 0, part.scored.length);
      for (const [i, row] of part.scored.entries()) {
        logprobs[pass.firstRow + row] = -losses[2 * i];
        entropies[pass.firstRow + row] = losses[2 * i + 1];
        loss += batch.weights[pass.firstRow + row] * losses[2 * i];
      }
      for (let l = 0; l < layers; l++) {
        const ids = this.#backend.read(this.#workspace.expertIds[l], 0, pass.rowCount);
        expertIds.set(ids, (l * rows + pass.firstRow) * k);
        if (router === null || !options.gradients) continue;
        const [balance, z] = this.#backend.read(this.#workspace.routerLosses[l], 0, 1);
        balanceLoss += (balance * share) / layers;
        zLoss += (z * share) / layers;
      }
    }
    return { loss, logprobs, entropies, expertIds, balanceLoss, zLoss };
  }

  /** Settings are part of a recorded program; runs have few different ones. */
  #program(router: RouterLossWeights | null, gradients: boolean): Program {
    const key = gradients ? `${router?.balance} ${router?.z}` : 'forward';
    let program = this.#programs.get(key);
    if (program === undefined) {
      program = this.#record(router, gradients);
      this.#programs.set(key, program);
    }
    return program;
  }

  #fakeQuantise(on: boolean): void {
    if (on === this.#fakeQuantised) return;
    for (const [i, { experts, rows }] of this.tensors.entries()) {
      if (experts > 1 && rows > 1) this.#backend.fakeQuantise(this.#parameters[i], on);
    }
    this.#fakeQuantised = on;
  }

  clearGradients(): void {
    this.#backend.clearGradients();
  }

  async update(settings: AdamW): Promise<number> {
    return this.#backend.update(settings);
  }

  read(tensor: number, part: TensorPart): Float32Array {
    const parameter = this.#parameters[tensor];
    if (part === 'values') return this.#backend.readValues(parameter);
    if (part === 'gradient') return this.#backend.readGradient(parameter);
    return this.#backend.readMoments(parameter)[part];
  }

  write(tensor: number, part: TensorPart, values: Float32Array): void {
    const parameter = this.#parameters[tensor];
    if (part === 'gradient') {
      this.#backend.writeGradient(parameter, values);
      return;
    }
    const state = { values: this.#backend.readValues(parameter), ...this.#backend.readMoments(parameter) };
    this.#backend.writeState(parameter, { ...state, [part]: values });
  }

  readQuantised(tensor: number): Float32Array {
    const before = this.#fakeQuantised;
    this.#fakeQuantise(true);
    const seen = this.#backend.readSeen(this.#parameters[tensor]);
    this.#fakeQuantise(before);
    return seen;
  }

  async close(): Promise<void> {
    await this.#backend.close();
  }
}

/** A pass as a step of a backend: documents are sequences with pages of their own. */
function passBatch(batch: TrainBatch, pass: Pass, layers: number, k: number): Batch {
  const { firstRow, rowCount, starts } = pass;
  let page = 0;
  const sequences: SequenceRows[] = Array.from(starts, (start, d) => {
    const count = (d + 1 < starts.length ? starts[d + 1] : rowCount) - start;
    const table = Int32Array.from({ length: Math.ceil(count / PAGE) }, () => page++);
    return { firstRow: start, rowCount: count, position: 0, fullPages: table, slidingPages: table };
  });
  const weights = batch.weights.subarray(firstRow, firstRow + rowCount);
  const scored = Int32Array.from([...weights.keys()].filter((row) => weights[row] !== 0));
  const rows = batch.ids.length;
  let expertIds: Int32Array | undefined;
  if (batch.expertIds !== undefined) {
    expertIds = new Int32Array(layers * rowCount * k);
    for (let l = 0; l < layers; l++) {
      const from = (l * rows + firstRow) * k;
      expertIds.set(batch.expertIds.subarray(from, from + rowCount * k), l * rowCount * k);
    }
  }
  return {
    tokens: batch.ids.subarray(firstRow, firstRow + rowCount),
    sequences,
    scored,
    expertIds,
    targets: {
      ids: Int32Array.from(scored, (row) => batch.targets[firstRow + row]),
      weights: Float32Array.from(scored, (row) => weights[row]),
    },
  };
}
