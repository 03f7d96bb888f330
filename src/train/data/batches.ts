// Examples to the batches of one update: whole conversations and documents, never cut, as many as fit the budget of rows
// (best fit). There is no padding: a batch is as long as what is in it, and attention and positions are each document's
// own (backend/learner.ts). A batch is a pure function of what is offered, in order. Next: mixture.ts, ../trainer.ts.

import type { TrainBatch } from '../../backend/learner.ts';
import type { Example } from './examples.ts';

export interface Packed {
  readonly batch: TrainBatch;
  /** Which of the offered examples are in it, in the order of its documents. */
  readonly chosen: readonly number[];
  /** Rows used, over the budget. */
  readonly fill: number;
  /** Rows that are learned from. */
  readonly trainedRows: number;
}

/** Rows an example takes: its last token is only ever a target. */
export function rowsOf({ ids }: Example): number {
  return ids.length - 1;
}

/**
 * Takes examples in order while they fit; the first that does not fit is followed by a search for the longest ones that
 * still do. Weights are 1 / learned rows, so the loss is their mean.
 */
export function packBatch(examples: readonly Example[], budget: number): Packed {
  const chosen: number[] = [];
  const left: number[] = [];
  let rows = 0;
  for (const [i, example] of examples.entries()) {
    const length = rowsOf(example);
    if (length < 1) continue;
    if (left.length === 0 && rows + length <= budget) {
      chosen.push(i);
      rows += length;
    } else left.push(i);
  }
  left.sort((a, b) => rowsOf(examples[b]!) - rowsOf(examples[a]!) || a - b);
  for (const i of left) {
    const length = rowsOf(examples[i]!);
    if (rows + length > budget) continue;
    chosen.push(i);
    rows += length;
  }
  chosen.sort((a, b) => a - b);
  const batch = batchOf(chosen.map((i) => examples[i]!));
  let trainedRows = 0;
  for (const weight of batch.weights) if (weight !== 0) trainedRows++;
  return { batch, chosen, fill: rows / budget, trainedRows };
}

/** One batch of these examples, each learned row of equal weight; or of given weights for each example's learned rows. */
export function batchOf(examples: readonly Example[], weights?: readonly number[]): TrainBatch {
  const rows = examples.reduce((sum, example) => sum + rowsOf(example), 0);
  const batch = {
    ids: new Int32Array(rows),
    targets: new Int32Array(rows),
    weights: new Float32Array(rows),
    documentStarts: new Int32Array(examples.length),
  };
  let learned = 0;
  if (weights === undefined) for (const { mask } of examples) for (let t = 1; t < mask.length; t++) learned += mask[t]!;
  let at = 0;
  for (const [document, { ids, mask }] of examples.entries()) {
    batch.documentStarts[document] = at;
    const weight = weights === undefined ? 1 / Math.max(1, learned) : weights[document]!;
    for (let t = 0; t + 1 < ids.length; t++, at++) {
      batch.ids[at] = ids[t]!;
      batch.targets[at] = ids[t + 1]!;
      batch.weights[at] = mask[t + 1]! * weight;
    }
  }
  return batch;
}
