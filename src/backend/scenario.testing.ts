// How one op or one small program is put through two backends and compared: shared by the backend suites.
// A scenario builds itself on a backend from seeded data, so both sides get the same bytes. Also page tables in random
// order, as an engine in full use would hand them out. Next: backend.case.ts.

import { expect } from 'vitest';
import type { Backend, Batch, Buffer, CacheSpec, Ops, Precision, SequenceRows } from './backend.ts';
import { tolerances } from './backend.ts';
import type { Random } from './random-matrix.testing.ts';
import { ReferenceBackend } from './reference/reference.ts';

export interface ScenarioStep {
  readonly batch: Batch;
  /** Written before the step runs. */
  readonly inputs?: readonly (readonly [Buffer, Float32Array | Int32Array])[];
}

export interface Scenario {
  readonly record: (ops: Ops) => void;
  readonly steps: readonly ScenarioStep[];
  /** Compared over all steps. */
  readonly outputs: readonly Buffer[];
}

/** Runs a scenario; for each output the rows of all steps. */
export async function play(backend: Backend, scenario: Scenario): Promise<(Float32Array | Int32Array)[]> {
  const program = backend.record(scenario.record);
  const results: number[][] = scenario.outputs.map(() => []);
  for (const { batch, inputs } of scenario.steps) {
    for (const [buffer, data] of inputs ?? []) backend.write(buffer, 0, data);
    await backend.run(program, batch);
    for (const [i, buffer] of scenario.outputs.entries()) {
      const rows = buffer.rows === 'scored' ? batch.scored.length : batch.tokens.length;
      for (const value of backend.read(buffer, 0, rows)) results[i].push(value);
    }
  }
  return scenario.outputs.map(({ type }, i) => (type === 'i32' ? Int32Array : Float32Array).from(results[i]));
}

/** Largest error relative to the largest output; root mean square of errors relative to that of the outputs. */
export interface Tolerance {
  readonly worst?: number;
  readonly rms?: number;
}

/** Results of the oracle by title: the same for every precision and instruction set that a test file goes through. */
const known = new Map<string, (Float32Array | Int32Array)[]>();

/**
 * The same scenario on the backend and on the oracle, within a tolerance. `build` must be deterministic, and its title
 * unique. The oracle is the reference (float64 sums); the reference itself is held against float64 throughout.
 */
export async function expectAgreement(
  backend: Backend,
  title: string,
  build: (backend: Backend) => Scenario,
  tolerance: Tolerance = backend.precision === 'exact'
    ? { worst: tolerances.exact.op }
    : { rms: tolerances.fast.opRelativeRms },
): Promise<void> {
  const floats = backend.name === 'reference' ? Float64Array : Float32Array;
  const key = `${floats.name} ${backend.maxRows} ${title}`;
  let expected = known.get(key);
  if (expected === undefined) {
    const oracle = new ReferenceBackend({ maxRows: backend.maxRows, floats });
    expected = await play(oracle, build(oracle));
    await oracle.close();
    known.set(key, expected);
  }
  const actual = await play(backend, build(backend));
  for (const output of actual.keys()) {
    expectClose(actual[output], expected[output], tolerance, `output ${output}`);
  }
}

export function expectClose(
  actual: Float32Array | Int32Array,
  expected: Float32Array | Int32Array,
  tolerance: Tolerance,
  label: string,
): void {
  expect(actual.length, label).toBe(expected.length);
  if (actual instanceof Int32Array) {
    expect(Array.from(actual), label).toEqual(Array.from(expected));
    return;
  }
  let largest = 0;
  let worst = 0;
  let squares = 0;
  let errors = 0;
  for (let i = 0; i < actual.length; i++) {
    const error = Math.abs(actual[i] - expected[i]);
    largest = Math.max(largest, Math.abs(expected[i]));
    worst = Number.isNaN(error) ? Number.POSITIVE_INFINITY : Math.max(worst, error);
    squares += expected[i] ** 2;
    errors += error ** 2;
  }
  if (tolerance.worst !== undefined) {
    const allowed = tolerance.worst * largest;
    expect(worst, `${label}: largest error, outputs up to ${largest}`).toBeLessThanOrEqual(allowed);
  }
  if (tolerance.rms !== undefined) {
    const relative = squares === 0 ? errors : Math.sqrt(errors / squares);
    expect(relative, `${label}: relative rms error`).toBeLessThanOrEqual(tolerance.rms);
  }
}

/** A batch whose rows need no cache: one sequence from position 0. */
export function plainBatch(rows: number, options: Partial<Batch> = {}): Batch {
  return {
    tokens: new Int32Array(rows),
    sequences: [
      { firstRow: 0, rowCount: rows, position: 0, fullPages: new Int32Array(0), slidingPages: new Int32Array(0) },
    ],
    scored: new Int32Array(0),
    ...options,
  };
}

/** Hands out the pages of a pool in random order and builds the tables of sequences that grow. */
export class PageTables {
  readonly #spec: CacheSpec;
  readonly #full: number[];
  readonly #sliding: number[];
  readonly #tables = new Map<number, { full: number[]; sliding: number[] }>();

  constructor(spec: CacheSpec, random: Random) {
    this.#spec = spec;
    this.#full = random.permutation(spec.fullPages);
    this.#sliding = random.permutation(spec.slidingPages);
  }

  /** Rows of a sequence (named by a number) with tables that cover them; pages behind the window become -1. */
  rows(sequence: number, firstRow: number, position: number, rowCount: number, window: number | null): SequenceRows {
    const table = this.#tables.get(sequence) ?? { full: [], sliding: [] };
    this.#tables.set(sequence, table);
    const pages = Math.ceil((position + rowCount) / this.#spec.pageTokens);
    while (table.full.length < pages) table.full.push(this.#full.pop() ?? -1);
    while (table.sliding.length < pages) table.sliding.push(this.#sliding.pop() ?? -1);
    if (window !== null) {
      const first = Math.floor(Math.max(0, position - window + 1) / this.#spec.pageTokens);
      for (let i = 0; i < first; i++) table.sliding[i] = -1;
    }
    const [fullPages, slidingPages] = [Int32Array.from(table.full), Int32Array.from(table.sliding)];
    return { firstRow, rowCount, position, fullPages, slidingPages };
  }

  /** Several sequences in one step: [sequence, position, rowCount] each. */
  step(parts: readonly (readonly [number, number, number])[], window: number | null): SequenceRows[] {
    let firstRow = 0;
    return parts.map(([sequence, position, rowCount]) => {
      const rows = this.rows(sequence, firstRow, position, rowCount, window);
      firstRow += rowCount;
      return rows;
    });
  }
}

/** Pages enough for tests in each group. */
export function testCacheSpec(spec: Partial<CacheSpec> & Pick<CacheSpec, 'layers'>): CacheSpec {
  return {
    kvHeads: 2,
    headDim: 32,
    pageTokens: 16,
    fullPages: 64,
    slidingPages: 64,
    type: 'f32',
    ...spec,
  };
}

export type MakeBackend = (options: { precision: Precision; maxRows: number }) => Backend | Promise<Backend>;

export async function withBackend(
  make: MakeBackend,
  precision: Precision,
  fn: (backend: Backend) => Promise<void>,
  maxRows = 128,
): Promise<void> {
  const backend = await make({ precision, maxRows });
  try {
    await fn(backend);
  } finally {
    await backend.close();
  }
}
