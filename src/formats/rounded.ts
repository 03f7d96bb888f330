// Which matrices `--weights q8` rounds, and what that comes to: those that every token reads whole (attention and output;
// experts and the embedding are read in small parts, the router decides) and that are stored as plain numbers. Rounding
// itself is native/rounded.cc. Pure arithmetic over a checkpoint's tables. Next: describe.ts.

import { rowBytes } from './dtypes.ts';
import type { Matrix } from './tensor.ts';

/** Of plain numbers, in rows that are whole groups. */
export function canRound({ dtype, experts, cols, colStride }: Matrix): boolean {
  return (
    (dtype === 'f32' || dtype === 'f16' || dtype === 'bf16') && experts === 1 && colStride === null && cols % 32 === 0
  );
}

/** Bytes of the rounded copy. */
export function roundedBytes({ rows, cols }: Matrix): number {
  return rows * rowBytes('q8_0', cols);
}

export interface Rounding {
  /** The copies: memory that is not pages of the file. */
  readonly copied: number;
  /** Stored bytes that are then not read any more. */
  readonly replaced: number;
}

/** What rounding comes to for a checkpoint's tensors. */
export function roundingOf(tensors: {
  readonly output: Matrix;
  readonly layers: readonly { readonly q: Matrix; readonly k: Matrix; readonly v: Matrix; readonly o: Matrix }[];
}): Rounding {
  let [copied, replaced] = [0, 0];
  for (const matrix of [tensors.output, ...tensors.layers.flatMap(({ q, k, v, o }) => [q, k, v, o])]) {
    if (!canRound(matrix)) continue;
    copied += roundedBytes(matrix);
    replaced += matrix.rows * rowBytes(matrix.dtype, matrix.cols);
  }
  return { copied, replaced };
}
