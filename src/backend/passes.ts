// How a batch is cut into passes and shards, and the checks it has to stand first. Both are pure functions of the batch
// and two numbers, never of threads: pass p is computed by shard p mod shards, each shard adds up its passes in order in
// gradients of its own, and the shards are added up in order. So results are the same bits for any thread count.
// Next: learner.ts.

import { GptOssError } from '../errors.ts';
import type { TrainBatch } from './learner.ts';

/** Some consecutive documents of a batch. */
export interface Pass {
  readonly firstRow: number;
  readonly rowCount: number;
  /** First rows of its documents, counted from firstRow. */
  readonly starts: Int32Array;
}

/**
 * Passes of about `passRows` rows, as many as shards or a multiple, near equal in size, so that two threads end
 * together. A pass is longer only where one document is.
 */
export function cutPasses(batch: TrainBatch, passRows: number, shards: number): Pass[] {
  const { documentStarts: starts } = batch;
  const rows = batch.ids.length;
  const count = Math.min(starts.length, shards * Math.ceil(rows / (shards * passRows)));
  const passes: Pass[] = [];
  let first = 0; // document
  for (let p = 0; p < count && first < starts.length; p++) {
    const from = starts[first];
    // The border nearest to this pass's even share of all rows.
    const wanted = ((p + 1) * rows) / count;
    let end = first + 1;
    while (end < starts.length && (p === count - 1 || starts[end] + documentEnd(starts, end, rows) <= 2 * wanted))
      end++;
    const to = end < starts.length ? starts[end] : rows;
    passes.push({ firstRow: from, rowCount: to - from, starts: starts.slice(first, end).map((start) => start - from) });
    first = end;
  }
  return passes;
}

function documentEnd(starts: Int32Array, document: number, rows: number): number {
  return document + 1 < starts.length ? starts[document + 1] : rows;
}

function refuse(what: string, expected: string): never {
  throw new GptOssError('invalid-request', `${what}; expected ${expected}; nothing of this batch was run`);
}

export interface BatchLimits {
  readonly vocab: number;
  readonly layers: number;
  readonly experts: number;
  readonly expertsPerToken: number;
  /** Longest document: the context the model was made for. */
  readonly maxContext: number;
}

/** Throws `invalid-request` unless every index and number of the batch can be used as it is. */
export function checkTrainBatch(batch: TrainBatch, limits: BatchLimits): void {
  const { ids, documentStarts, targets, weights, expertIds } = batch;
  const rows = ids.length;
  if (rows < 1 || rows > 1 << 24) refuse(`the batch has ${rows} rows`, `1 to ${1 << 24}`);
  if (targets.length !== rows || weights.length !== rows) {
    refuse(
      `${targets.length} targets and ${weights.length} weights came with ${rows} rows`,
      'one of each for each row',
    );
  }
  for (let row = 0; row < rows; row++) {
    if (!(ids[row] >= 0 && ids[row] < limits.vocab)) {
      refuse(`token id ${ids[row]} in row ${row} is outside the vocabulary`, `0 to ${limits.vocab - 1}`);
    }
    if (!Number.isFinite(weights[row])) refuse(`the weight of row ${row} is ${weights[row]}`, 'a finite number');
    if (weights[row] !== 0 && !(targets[row] >= 0 && targets[row] < limits.vocab)) {
      refuse(`the target ${targets[row]} of row ${row} is outside the vocabulary`, `0 to ${limits.vocab - 1}`);
    }
  }
  if (documentStarts.length < 1 || documentStarts[0] !== 0) {
    refuse(`the first document starts at row ${documentStarts[0]}`, 'row 0');
  }
  for (let d = 0; d < documentStarts.length; d++) {
    const length = documentEnd(documentStarts, d, rows) - documentStarts[d];
    if (length < 1) refuse(`document ${d} has ${length} rows`, 'ascending starts inside the batch');
    if (length > limits.maxContext) {
      refuse(`document ${d} has ${length} rows`, `at most ${limits.maxContext}, the model's context`);
    }
  }
  if (expertIds !== undefined) checkExpertIds(expertIds, rows, limits);
}

function checkExpertIds(ids: Int32Array, rows: number, { layers, experts, expertsPerToken: k }: BatchLimits): void {
  if (ids.length !== layers * rows * k) {
    refuse(`${ids.length} expert ids were given`, `${layers * rows * k}: layers x rows x experts per token`);
  }
  for (let at = 0; at < ids.length; at += k) {
    for (let i = 0; i < k; i++) {
      const id = ids[at + i];
      if (!(id >= 0 && id < experts)) refuse(`expert id ${id} does not exist`, `0 to ${experts - 1}`);
      for (let j = 0; j < i; j++) if (ids[at + j] === id) refuse(`expert ${id} was given twice for a row`, 'others');
    }
  }
}
