// Writes a safetensors file front to back, without holding any tensor whole: tensors hand over their bytes in chunks.
// Reading: safetensors.ts.

import { GptOssError } from '../errors.ts';
import type { ByteSink } from './bytes.ts';
import { safetensorsBits } from './dtypes.ts';

export interface TensorToWrite {
  readonly name: string;
  readonly dtype: string; // safetensors' word: "BF16", "U8", "F32", …
  readonly shape: readonly number[];
  /** The bytes in order, in pieces of any size. Called once, when the tensor's turn has come. */
  chunks(): Iterable<Uint8Array>;
}

export function tensorBytes(tensor: { readonly dtype: string; readonly shape: readonly number[] }): number {
  const bits = safetensorsBits.get(tensor.dtype);
  if (bits === undefined) throw new GptOssError('internal', `safetensors has no type ${tensor.dtype}`);
  return (tensor.shape.reduce((a, b) => a * b, 1) * bits) / 8;
}

/** Calls neither `finish` nor `discard`. */
export function writeSafetensors(
  sink: ByteSink,
  tensors: readonly TensorToWrite[],
  metadata: Readonly<Record<string, string>> = { format: 'pt' },
): void {
  const header: Record<string, unknown> = { __metadata__: metadata };
  let end = 0;
  for (const t of tensors) {
    const begin = end;
    end += tensorBytes(t);
    header[t.name] = { dtype: t.dtype, shape: t.shape, data_offsets: [begin, end] };
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const padded = new Uint8Array(8 + Math.ceil(json.length / 8) * 8).fill(0x20); // data begins at a multiple of 8
  padded.set(json, 8);
  new DataView(padded.buffer).setBigUint64(0, BigInt(padded.length - 8), true);
  sink.write(padded);
  for (const t of tensors) writeChunks(sink, t.name, tensorBytes(t), t.chunks());
}

/** Writes exactly `length` bytes. */
export function writeChunks(sink: ByteSink, name: string, length: number, chunks: Iterable<Uint8Array>): void {
  let written = 0;
  for (const chunk of chunks) {
    written += chunk.length;
    if (written > length) break;
    sink.write(chunk);
  }
  if (written !== length)
    throw new GptOssError('internal', `tensor ${name} gave ${written} bytes; its shape needs ${length}`);
}
