// Types of the addon's training functions; the C++ side is native/train/face.cc. Next: learner.ts.

declare const learner: unique symbol;
/** A native learner: threads, parameters, gradients by shard, moments, activations of passes. */
export interface NativeLearner {
  readonly [learner]: true;
}

/** Order of `part` in trainRead; `quantised` is what a fake-quantised pass sees. */
export const TRAIN_PARTS = ['values', 'gradient', 'first', 'second', 'quantised'] as const;
export const TRAIN_RESULTS = ['logprobs', 'entropies', 'expertIds', 'routerLosses'] as const;

export interface TrainAddon {
  /**
   * sizes: layers, hidden, heads, kv heads, head size, experts, experts per token, intermediate, vocabulary, window, then
   * 0 or 1 (sliding) for each layer. numbers: rope's scale, RMS epsilon, SwiGLU alpha and limit, rotary frequencies.
   */
  trainOpen(variant: string, threads: number, shards: number, sizes: Int32Array, numbers: Float64Array): NativeLearner;
  /** Waits for what runs, ends the threads. Again: nothing. */
  trainClose(l: NativeLearner): void;
  /** passes: rows, documents, starts of documents, pass after pass. options: gradients, fakeQuantised, router losses, their
   *  weights, roundedProducts. */
  trainRun(
    l: NativeLearner,
    ids: Int32Array,
    targets: Int32Array,
    weights: Float32Array,
    passes: Int32Array,
    options: Float64Array,
    expertIds: Int32Array,
  ): Promise<boolean>;
  trainResult(l: NativeLearner, what: number): Float32Array | Int32Array | Float64Array;
  /** Operations (2 for a multiply-add) of matrix products outside attention so far, and the seconds of threads they took. */
  trainProducts(l: NativeLearner): Float64Array;
  trainClear(l: NativeLearner): void;
  /** step, learning rate, beta1, beta2, eps, weight decay, clip (0: none); resolves to the gradients' norm. */
  trainUpdate(l: NativeLearner, settings: Float64Array): Promise<number>;
  trainRead(l: NativeLearner, tensor: number, part: number): Float32Array;
  trainWrite(l: NativeLearner, tensor: number, part: number, values: Float32Array): void;
}
