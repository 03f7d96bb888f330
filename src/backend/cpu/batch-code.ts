// The flat encodings that cross into native code: a step's Batch, and the op table a recorder fills. Layouts are read by
// Session::read_batch (native/program.cc) and by Recorder (native/record.cc). Values were checked before (batch.ts,
// op-shapes.ts) and are checked again over there. Next: cpu.ts.

import type { Batch } from '../backend.ts';

/** rows, scored, sequences, expert ids; tokens; scored rows; six numbers per sequence; page tables; expert ids */
export function encodeBatch(batch: Batch): Int32Array {
  const { tokens, sequences, scored, expertIds } = batch;
  let length = 4 + tokens.length + scored.length + 6 * sequences.length + (expertIds?.length ?? 0);
  for (const { fullPages, slidingPages } of sequences) length += fullPages.length + slidingPages.length;
  const data = new Int32Array(length);
  let at = 0;
  const put = (values: ArrayLike<number>): void => {
    data.set(values, at);
    at += values.length;
  };
  put([tokens.length, scored.length, sequences.length, expertIds?.length ?? 0]);
  put(tokens);
  put(scored);
  for (const { firstRow, rowCount, position, fullPages, slidingPages, fullFrom = 0 } of sequences) {
    put([firstRow, rowCount, position, fullPages.length, slidingPages.length, fullFrom]);
  }
  for (const { fullPages, slidingPages } of sequences) {
    put(fullPages);
    put(slidingPages);
  }
  if (expertIds !== undefined) put(expertIds);
  return data;
}

/** Op codes and their operands; floats go as their bits. */
export class OpTable {
  readonly #code: number[] = [];

  push(...operands: number[]): void {
    this.#code.push(...operands);
  }

  take(): Int32Array {
    return Int32Array.from(this.#code);
  }
}

const single = new Float32Array(1);
const bits = new Int32Array(single.buffer);

export function floatBits(value: number): number {
  single[0] = value;
  return bits[0];
}
