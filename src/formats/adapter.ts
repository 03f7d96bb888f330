// LoRA adapters as PEFT writes them (adapter_config.json and adapter_model.safetensors), laid over a checkpoint's tensors:
// W + scale · B A, computed row by row when it is read, so that nothing grows but what is looked at. Read: attention projections,
// and expert parameters (`target_parameters`), whose A is [experts · rank, in] and B [out, rank · experts], experts slowest in
// A and fastest in B; rank and alpha patterns, rslora. Refused, by name: whatever else an adapter may change.
// Next: adapter-read.ts, adapter.node.ts, hub/convert (writes merged models).

import { checkRange } from './bytes.ts';
import type { Checkpoint, LayerTensors, ModelTensors } from './checkpoint.ts';
import { decodeRows } from './decode.ts';
import type { ByteSource, Matrix } from './tensor.ts';

export type AdaptedName = 'q' | 'k' | 'v' | 'o' | 'gate' | 'up' | 'down';

/** What is added to a matrix: scale · Σ_r b[e, row, r] · a[e, r, col]. */
export interface LowRank {
  readonly rank: number;
  readonly scale: number;
  readonly a: Float32Array; // [experts, rank, cols]
  readonly b: Float32Array; // [experts, rows, rank]
}

export interface Adapter {
  /** Folder it came from, for messages. */
  readonly name: string;
  readonly layers: ReadonlyMap<number, ReadonlyMap<AdaptedName, LowRank>>;
  /** Whether expert matrices change: they then no longer fit MXFP4 without loss. */
  readonly touchesExperts: boolean;
}

/** The checkpoint as the adapter changes it; closing it closes the checkpoint. Its `entries` stay those of the file. */
export function adaptedCheckpoint(checkpoint: Checkpoint, adapter: Adapter): Checkpoint {
  // Not a spread: tokenizer and stop ids are read when they are asked for.
  return Object.create(checkpoint, {
    tensors: { value: adaptedTensors(checkpoint.tensors, adapter), enumerable: true },
  }) as Checkpoint;
}

export function adaptedTensors(tensors: ModelTensors, adapter: Adapter): ModelTensors {
  return {
    ...tensors,
    layers: tensors.layers.map((layer, l) => {
      const changes = [...(adapter.layers.get(l) ?? [])];
      const changed = changes.map(([name, delta]) => [name, adaptedMatrix(layer[name], delta)]);
      return { ...layer, ...(Object.fromEntries(changed) as Partial<LayerTensors>) };
    }),
  };
}

/** float32 rows, made when they are read. */
function adaptedMatrix(base: Matrix, delta: LowRank): Matrix {
  const { experts, rows, cols } = base;
  const width = cols * 4;
  const size = experts * rows * width;
  const source: ByteSource = {
    name: base.source.name,
    path: null,
    size,
    read(offset, length) {
      checkRange(base.name, size, offset, length);
      const [first, end] = [Math.floor(offset / width), Math.ceil((offset + length) / width)];
      const values = new Float32Array((end - first) * cols);
      for (let row = first; row < end; ) {
        const [expert, within] = [Math.floor(row / rows), row % rows];
        const count = Math.min(end - row, rows - within);
        decodeRows(base, expert, within, count, values, (row - first) * cols);
        for (let r = 0; r < count; r++) addRow(delta, expert, within + r, base, values, (row - first + r) * cols);
        row += count;
      }
      return new Uint8Array(values.buffer, offset - first * width, length);
    },
    close: () => base.source.close(),
  };
  return {
    ...{ name: base.name, dtype: 'f32', experts, rows, cols, source, offset: 0 },
    ...{ rowStride: width, expertStride: rows * width, scales: null, colStride: null },
  };
}

function addRow(delta: LowRank, expert: number, row: number, { rows, cols }: Matrix, out: Float32Array, at: number) {
  const { rank, scale, a, b } = delta;
  const sums = new Float64Array(cols);
  for (let r = 0; r < rank; r++) {
    const factor = b[(expert * rows + row) * rank + r];
    const from = (expert * rank + r) * cols;
    for (let c = 0; c < cols; c++) sums[c] += factor * a[from + c];
  }
  for (let c = 0; c < cols; c++) out[at + c] += scale * sums[c];
}
