// From a table of entries to the two kinds of weights that the model knows. A layout asks for a tensor by its possible
// names and the shape it must have; what it gets are views of the bytes where they lie, never copies. A missing tensor,
// a wrong shape or a type that cannot serve is refused here, with the tensor named.

import { GptOssError } from '../../errors.ts';
import { decodeRun } from '../decode.ts';
import { dtypeFacts, rowBytes } from '../dtypes.ts';
import { damaged, shown } from '../messages.ts';
import type { DType, Matrix, TensorEntry, Vector } from '../tensor.ts';

/** Which rows of the stored matrix are meant: `rows` of them from `first`, every `step`-th. */
export interface RowSlice {
  readonly first: number;
  readonly step: number;
  readonly stored: number; // rows of the stored matrix
}

export class EntryTable {
  readonly file: string; // for messages
  private readonly byName = new Map<string, TensorEntry>();

  constructor(file: string, entries: readonly TensorEntry[]) {
    this.file = file;
    for (const entry of entries) {
      if (this.byName.has(entry.name)) throw damaged(file, `tensor ${shown(entry.name)} occurs in two of its parts`);
      this.byName.set(entry.name, entry);
    }
  }

  has(name: string): boolean {
    return this.byName.has(name);
  }

  /** The first of `names` that exists; throws when none does. */
  find(names: readonly string[]): TensorEntry {
    for (const name of names) {
      const entry = this.byName.get(name);
      if (entry !== undefined) return entry;
    }
    throw new GptOssError(
      'bad-checkpoint',
      `${this.file}: tensor ${names[0]} is missing; expected a whole gpt-oss checkpoint; get the missing part`,
    );
  }

  checkShape(entry: TensorEntry, shape: readonly number[]): void {
    if (entry.shape.length === shape.length && entry.shape.every((n, i) => n === shape[i])) return;
    throw new GptOssError(
      'bad-checkpoint',
      `${this.file}: tensor ${shown(entry.name)} has shape [${entry.shape.join(', ')}]; expected [${shape.join(', ')}]; the weights do not fit their configuration`,
    );
  }

  element(entry: TensorEntry): DType {
    if (entry.element !== null) return entry.element;
    throw new GptOssError(
      'unsupported-type',
      `${this.file}: tensor ${shown(entry.name)} has type ${entry.dtype}, which cannot be a weight here; use a BF16, F16, F32 or MXFP4 checkpoint`,
    );
  }

  /** [rows, cols] */
  dense(
    names: readonly string[],
    rows: number,
    cols: number,
    slice: RowSlice = { first: 0, step: 1, stored: rows },
  ): Matrix {
    const entry = this.find(names);
    this.checkShape(entry, [slice.stored, cols]);
    return rowMatrix(entry, this.element(entry), 1, rows, cols, slice);
  }

  /** [experts, rows, cols] */
  experts(
    names: readonly string[],
    experts: number,
    rows: number,
    cols: number,
    slice: RowSlice = { first: 0, step: 1, stored: rows },
  ): Matrix {
    const entry = this.find(names);
    this.checkShape(entry, [experts, slice.stored, cols]);
    return rowMatrix(entry, this.element(entry), experts, rows, cols, slice);
  }

  /** A slice takes `count` values of the last axis. */
  vector(
    names: readonly string[],
    shape: readonly number[],
    slice: RowSlice = { first: 0, step: 1, stored: shape[shape.length - 1] },
  ): Vector {
    const entry = this.find(names);
    this.checkShape(entry, [...shape.slice(0, -1), slice.stored]);
    const dtype = this.element(entry);
    if (dtypeFacts[dtype].groupValues !== 1)
      throw damaged(this.file, `tensor ${shown(entry.name)} is quantised; a vector must be F32, F16 or BF16`);
    const { file } = this;
    return { name: entry.name, shape, load: () => loadVector(file, entry, dtype, shape, slice) };
  }
}

function rowMatrix(
  entry: TensorEntry,
  dtype: DType,
  experts: number,
  rows: number,
  cols: number,
  slice: RowSlice,
): Matrix {
  const row = rowBytes(dtype, cols);
  return {
    name: entry.name,
    dtype,
    experts,
    rows,
    cols,
    source: entry.source,
    offset: entry.offset + slice.first * row,
    rowStride: slice.step * row,
    expertStride: slice.stored * row,
    scales: null,
    colStride: null,
  };
}

function loadVector(
  file: string,
  entry: TensorEntry,
  dtype: DType,
  shape: readonly number[],
  slice: RowSlice,
): Float32Array {
  const width = shape[shape.length - 1];
  const lines = shape.slice(0, -1).reduce((a, b) => a * b, 1);
  const all = new Float32Array(lines * slice.stored);
  decodeRun(dtype, entry.source.read(entry.offset, entry.length), 0, all.length, all);
  let out = all;
  if (slice.stored !== width) {
    out = new Float32Array(lines * width);
    for (let l = 0; l < lines; l++) {
      for (let i = 0; i < width; i++) out[l * width + i] = all[l * slice.stored + slice.first + i * slice.step];
    }
  }
  if (!out.every(Number.isFinite)) throw damaged(file, `tensor ${shown(entry.name)} holds NaN or infinity`);
  return out;
}
