// The contract between training and whatever computes it: a model's parameters, one pass over a batch (forward, loss,
// gradients), and the optimiser's update. Coarser than backend.ts on purpose: a pass is one call, so that a native
// implementation may lay out memory, shards and threads as it likes. Sums that depend on an order are fixed by
// passes.ts: the same batch gives the same bits on any number of threads (of one implementation and ISA variant).
// Implementations: train/program-learner.ts (any TrainBackend; the oracle), cpu/learner.ts (native).
// Next: train/trainer.ts, which is what stages use.

import type { AdamW, RouterLossWeights } from './train-backend.ts';

/**
 * Rows of whole documents, one after another. A document begins at position 0 and sees nothing of the others. There is
 * no padding and no fixed number of rows: a batch holds as many documents as one update is to learn from.
 */
export interface TrainBatch {
  readonly ids: Int32Array; // [rows], each in [0, vocab)
  /** First row of each document, ascending; the first is 0. */
  readonly documentStarts: Int32Array;
  /** The token that each row is to predict; not looked at where the weight is 0. */
  readonly targets: Int32Array; // [rows]
  /**
   * Loss = Σ weight · -log p(target), as given: 1/n for a mean over n rows, an advantage for policy gradients (any
   * sign). A row of weight 0 costs no logits.
   */
  readonly weights: Float32Array; // [rows]
  /** Forces routing: expert ids as a rollout recorded them, any order within a row. */
  readonly expertIds?: Int32Array; // [layers, rows, expertsPerToken]
}

/** One trainable tensor; its index in `Learner.tensors` names it. */
export interface TrainTensor {
  readonly name: string; // as in ModelTensors: embedding, output, finalNorm, layers.0.q, layers.0.gateBias, …
  readonly experts: number; // 1 for dense ones
  readonly rows: number; // 1 for vectors
  readonly cols: number;
  /** Weight decay applies (matrices). */
  readonly decays: boolean;
}

export type TensorPart = 'values' | 'gradient' | 'first' | 'second';

export interface PassOptions {
  /** Adds to the gradients; without, only the forward pass runs. */
  readonly gradients: boolean;
  /** Auxiliary losses of the routers; null: none. */
  readonly router: RouterLossWeights | null;
  /** Expert matrices as they would be stored: rounded to MXFP4; gradients go to the unrounded values as they are. */
  readonly fakeQuantised: boolean;
  /** Matrix products may round their factors to bf16 where the processor multiplies those faster; sums stay float32. Default
   *  false: gradients as exact as float32 gives them. */
  readonly roundedProducts?: boolean;
}

export interface PassResult {
  /** Σ weight · -log p(target), without auxiliary losses. */
  readonly loss: number;
  /** log p(target) of each row in nats; 0 where the weight is 0. */
  readonly logprobs: Float32Array; // [rows]
  /** Entropy of each row's distribution in nats; 0 where the weight is 0. */
  readonly entropies: Float32Array; // [rows]
  /** Experts that were used, highest logit first (or as given). */
  readonly expertIds: Int32Array; // [layers, rows, expertsPerToken]
  /** Auxiliary losses, unweighted, mean over layers; 0 when they are off. */
  readonly balanceLoss: number;
  readonly zLoss: number;
}

export interface Learner {
  /** Human words: what computes. */
  readonly description: string;
  /** Names the arithmetic: only equal ones give equal bits. */
  readonly variant: string;
  readonly tensors: readonly TrainTensor[];
  /** Throws `invalid-request` for a malformed batch, before anything runs. One call at a time. */
  run(batch: TrainBatch, options: PassOptions): Promise<PassResult>;
  clearGradients(): void;
  /**
   * One AdamW update; resolves to the norm of all gradients before clipping. A norm that is no number: nothing is
   * updated, the caller finds it in the result.
   */
  update(settings: AdamW): Promise<number>;
  read(tensor: number, part: TensorPart): Float32Array; // [experts, rows, cols]
  write(tensor: number, part: TensorPart, values: Float32Array): void;
  /** What a fake-quantised pass sees of a tensor (its values where it is no expert matrix). */
  readQuantised(tensor: number): Float32Array;
  close(): Promise<void>;
}
