// What the reference backend keeps numbers in: activations, decoded weights, and the pool that bounds them.
// Matrices are decoded in tiles of whole rows on first use. A tiny model stays decoded for good; of a large one only
// the latest tiles do. No arithmetic here. Next: linear.ts.

import { GptOssError } from '../../errors.ts';
import { decodeRows } from '../../formats/decode.ts';
import type { DType, Matrix, Vector } from '../../formats/tensor.ts';
import type { Buffer, BufferSpec, Weight } from '../backend.ts';

/** float32 in use; float64 for checks of the float32 arithmetic and of gradients. */
export type Floats = Float32Array | Float64Array;
export type FloatsConstructor = Float32ArrayConstructor | Float64ArrayConstructor;

export class ReferenceBuffer implements Buffer {
  readonly name: string;
  readonly width: number;
  readonly type: 'f32' | 'i32';
  readonly rows: 'step' | 'scored';
  readonly maxRows: number;
  readonly floats: Floats; // [maxRows, width], empty for i32
  readonly ints: Int32Array; // [maxRows, width], empty for f32

  constructor(spec: BufferSpec, maxRows: number, floats: FloatsConstructor) {
    this.name = spec.name;
    this.width = spec.width;
    this.type = spec.type ?? 'f32';
    this.rows = spec.rows ?? 'step';
    this.maxRows = Math.min(maxRows, spec.maxRows ?? maxRows);
    this.floats = new floats(this.type === 'f32' ? this.maxRows * spec.width : 0);
    this.ints = new Int32Array(this.type === 'i32' ? this.maxRows * spec.width : 0);
  }
}

export class ReferenceVector implements Weight {
  readonly name: string;
  readonly experts: number;
  readonly rows = 1;
  readonly cols: number;
  readonly values: Float32Array; // [experts, cols]

  constructor(vector: Vector) {
    this.name = vector.name;
    this.cols = vector.shape[vector.shape.length - 1];
    this.experts = vector.shape.length > 1 ? vector.shape[0] : 1;
    this.values = vector.load();
    if (this.values.length !== this.experts * this.cols) {
      throw new GptOssError(
        'bad-checkpoint',
        `${vector.name} holds ${this.values.length} values; its shape needs ${this.experts * this.cols}; use an intact file`,
      );
    }
  }
}

/** Bounds the memory of decoded tiles: the oldest go first. */
export class TilePool {
  readonly #limit: number; // bytes
  #bytes = 0;
  readonly #queue: { matrix: ReferenceMatrix; tile: number; bytes: number }[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  admit(matrix: ReferenceMatrix, tile: number, bytes: number): void {
    while (this.#bytes + bytes > this.#limit) {
      const oldest = this.#queue.shift();
      if (oldest === undefined) break;
      oldest.matrix.drop(oldest.tile);
      this.#bytes -= oldest.bytes;
    }
    this.#queue.push({ matrix, tile, bytes });
    this.#bytes += bytes;
  }

  clear(): void {
    for (const { matrix, tile } of this.#queue) matrix.drop(tile);
    this.#queue.length = 0;
    this.#bytes = 0;
  }
}

/** A matrix as the loops see it: float rows, a tile at a time. */
export interface MatrixTiles extends Weight {
  readonly dtype: DType; // as stored: decides how `fast` rounds activations
  readonly tileRows: number;
  readonly tilesPerExpert: number;
  /** Rows [tile * tileRows, …) of one expert: [count, cols]. Valid until the next call on any matrix of the pool. */
  tile(expert: number, tile: number): Floats;
  /** One row of a dense matrix, for this call only (an embedding is used a row at a time). */
  row(row: number): Floats;
}

const TILE_VALUES = 1 << 18; // 1 MiB of float32: large enough to amortise a decode, small beside any pool

export class ReferenceMatrix implements MatrixTiles {
  readonly name: string;
  readonly experts: number;
  readonly rows: number;
  readonly cols: number;
  readonly dtype: DType;
  readonly tileRows: number;
  readonly tilesPerExpert: number;
  readonly #source: Matrix;
  readonly #row: Float32Array;
  readonly #tiles: (Float32Array | null)[];
  readonly #pool: TilePool;

  constructor(matrix: Matrix, pool: TilePool) {
    this.name = matrix.name;
    this.experts = matrix.experts;
    this.rows = matrix.rows;
    this.cols = matrix.cols;
    this.dtype = matrix.dtype;
    this.#source = matrix;
    this.#row = new Float32Array(matrix.cols);
    this.tileRows = Math.min(matrix.rows, Math.max(1, Math.floor(TILE_VALUES / matrix.cols)));
    this.tilesPerExpert = Math.ceil(matrix.rows / this.tileRows);
    this.#tiles = new Array(matrix.experts * this.tilesPerExpert).fill(null);
    this.#pool = pool;
  }

  tile(expert: number, tile: number): Float32Array {
    const index = expert * this.tilesPerExpert + tile;
    const known = this.#tiles[index];
    if (known !== null) return known;
    const first = tile * this.tileRows;
    const count = Math.min(this.tileRows, this.rows - first);
    const values = decodeRows(this.#source, expert, first, count);
    this.#pool.admit(this, index, values.byteLength);
    this.#tiles[index] = values;
    return values;
  }

  row(row: number): Float32Array {
    return decodeRows(this.#source, 0, row, 1, this.#row);
  }

  drop(tile: number): void {
    this.#tiles[tile] = null;
  }
}
