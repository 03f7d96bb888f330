// What the engine needs of a model: room for keys and values, and steps that leave logits behind. Owns no code.
// model/load.ts makes the real one, model.testing.ts a scripted one that checks every page it is given.
// A lane is one set of activations: while a long prompt's step is paused between two segments on one lane, decodes run on
// another. Next: scheduler.ts, which fills steps with rows.

import type { Batch, KvCache, KvType, RunOptions } from '../backend/backend.ts';

export interface StepModel {
  readonly vocab: number;
  readonly maxContext: number; // positions the model was made for
  readonly slidingWindow: number; // keys visible, current one included
  readonly slidingLayers: number; // how many layers have it
  /** Most rows of one step, and most scored rows. */
  readonly maxRows: number;
  cache(spec: { pageTokens: number; fullPages: number; slidingPages: number; type: KvType }): KvCache;
  /** Its own activations for steps of at most `rows` rows, of which at most `scored` leave logits. */
  lane(spec: { rows: number; scored: number }, cache: KvCache): Lane;
  close(): Promise<void>;
}

export interface Lane {
  /** One step. Rejects with `aborted` when the signal fires; what it wrote to the cache is then undefined. */
  run(batch: Batch, options?: RunOptions): Promise<void>;
  /** Logits of a scored row of the last step: [vocab], the caller's to change, valid until the next step or call. */
  logits(scoredRow: number): Float32Array;
}
