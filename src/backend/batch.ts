// Checks of one step's Batch, shared by all backends and made before anything runs: ids inside the vocabulary, rows in
// order, page tables that cover what will be written and read. Everything refused here is `invalid-request`.
// It knows nothing of devices. What to check against comes from op-shapes.ts (ProgramFacts).

import { GptOssError } from '../errors.ts';
import type { Batch, CacheSpec, SequenceRows } from './backend.ts';
import type { ProgramFacts } from './op-shapes.ts';

function refuse(what: string, expected: string): never {
  throw new GptOssError('invalid-request', `${what}; expected ${expected}; nothing of this step was run`);
}

/** Throws `invalid-request` unless the program may run this batch. */
export function checkBatch(batch: Batch, facts: ProgramFacts, maxRows: number): void {
  const rows = batch.tokens.length;
  const most = Math.min(maxRows, facts.limits.step);
  if (rows < 1 || rows > most) refuse(`the batch has ${rows} rows`, `1 to ${most}`);
  if (facts.vocab !== null) {
    for (let row = 0; row < rows; row++) {
      const id = batch.tokens[row];
      if (id < 0 || id >= facts.vocab) {
        refuse(`token id ${id} in row ${row} is outside the vocabulary`, `0 to ${facts.vocab - 1}`);
      }
    }
  }
  checkSequences(batch.sequences, rows);
  for (const [cache, { window }] of facts.caches) checkPages(batch.sequences, cache.spec, window);
  const mostScored = Math.min(maxRows, facts.limits.scored);
  if (batch.scored.length > mostScored) {
    refuse(`${batch.scored.length} rows are to be scored`, `at most ${mostScored}`);
  }
  for (const row of batch.scored) {
    if (row < 0 || row >= rows) refuse(`row ${row} is to be scored`, `rows 0 to ${rows - 1}`);
  }
  if (facts.targets !== null) checkTargets(batch, facts.targets);
  if (batch.expertIds !== undefined) checkExperts(batch.expertIds, facts, rows);
}

function checkSequences(sequences: readonly SequenceRows[], rows: number): void {
  let next = 0;
  for (const [index, sequence] of sequences.entries()) {
    const { firstRow, rowCount, position, fullFrom = 0 } = sequence;
    if (firstRow !== next) refuse(`sequence ${index} starts at row ${firstRow}`, `row ${next}`);
    if (!(Number.isInteger(rowCount) && rowCount >= 1)) refuse(`sequence ${index} has ${rowCount} rows`, 'at least 1');
    if (!(Number.isInteger(position) && position >= 0 && position + rowCount <= 0x7fffffff)) {
      refuse(`sequence ${index} starts at position ${position}`, 'an integer >= 0');
    }
    if (!(Number.isInteger(fullFrom) && fullFrom >= 0 && fullFrom <= 0x7fffffff)) {
      refuse(`sequence ${index} keeps full pages before position ${fullFrom}`, 'an integer >= 0');
    }
    next += rowCount;
  }
  if (next !== rows) refuse(`sequences cover ${next} rows of ${rows}`, 'all rows, in order');
}

function checkPages(sequences: readonly SequenceRows[], spec: CacheSpec, window: number | null): void {
  const hasFull = spec.layers.some((layer) => !layer.sliding);
  const hasSliding = spec.layers.some((layer) => layer.sliding);
  const fullWritten = new Set<number>();
  const slidingWritten = new Set<number>();
  for (const [index, sequence] of sequences.entries()) {
    const { position, rowCount, fullFrom = 0 } = sequence;
    const end = Math.ceil((position + rowCount) / spec.pageTokens); // pages needed
    const firstWritten = Math.floor(position / spec.pageTokens);
    if (hasFull) {
      checkTable(index, 'full', sequence.fullPages, 0, end, spec.fullPages);
      const firstFull = Math.floor(Math.max(position, fullFrom) / spec.pageTokens);
      checkWritten(index, 'full', sequence.fullPages, firstFull, end, fullWritten);
    }
    if (hasSliding) {
      // The first row's window reaches back furthest; what this step writes is needed in any case.
      const oldest = window === null ? position : Math.max(0, position - window + 1);
      const first = Math.floor(oldest / spec.pageTokens);
      checkTable(index, 'sliding', sequence.slidingPages, first, end, spec.slidingPages);
      checkWritten(index, 'sliding', sequence.slidingPages, firstWritten, end, slidingWritten);
    }
  }
}

function checkTable(index: number, group: string, table: Int32Array, first: number, end: number, pool: number): void {
  if (table.length < end) refuse(`sequence ${index} has ${table.length} ${group} pages`, `at least ${end}`);
  for (let i = first; i < end; i++) {
    if (table[i] < 0 || table[i] >= pool) {
      refuse(`sequence ${index} has ${group} page ${table[i]} at index ${i}`, `a page from 0 to ${pool - 1}`);
    }
  }
}

/** Two sequences writing one page would corrupt each other. */
function checkWritten(
  index: number,
  group: string,
  table: Int32Array,
  first: number,
  end: number,
  seen: Set<number>,
): void {
  for (let i = first; i < end; i++) {
    if (seen.has(table[i])) refuse(`sequence ${index} writes ${group} page ${table[i]} of another`, 'its own page');
    seen.add(table[i]);
  }
}

function checkTargets({ targets, scored, sequences }: Batch, vocab: number): void {
  for (const [index, { position }] of sequences.entries()) {
    if (position !== 0) refuse(`sequence ${index} of a training step starts at position ${position}`, 'position 0');
  }
  if (targets?.ids.length !== scored.length || targets.weights.length !== scored.length) {
    refuse(
      `${targets?.ids.length ?? 0} targets came with ${scored.length} scored rows`,
      'a target and weight for each',
    );
  }
  for (const id of targets.ids) {
    if (id < 0 || id >= vocab) refuse(`target ${id} is outside the vocabulary`, `0 to ${vocab - 1}`);
  }
  if (!targets.weights.every(Number.isFinite)) refuse('the weight of a target is not a number', 'finite weights');
}

function checkExperts(ids: Int32Array, facts: ProgramFacts, rows: number): void {
  const { layers, experts, expertsPerToken } = facts.routing;
  const expected = layers * rows * expertsPerToken;
  if (ids.length < expected || ids.length % (rows * Math.max(1, expertsPerToken)) !== 0) {
    refuse(`${ids.length} expert ids were forced`, `${expected}: ${layers} layers × ${rows} rows × ${expertsPerToken}`);
  }
  for (let i = 0; i < expected; i++) {
    if (ids[i] < 0 || ids[i] >= experts) refuse(`expert id ${ids[i]} was forced`, `0 to ${experts - 1}`);
  }
}
