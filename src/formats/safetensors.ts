// Reads the table of a safetensors file. Layout: u64 header length, a JSON header, then the tensors' bytes without gaps.
// Everything in the header is checked before it is used: its length against the file and a cap, each type and shape
// against the bytes it claims, and the byte ranges against each other (in order, no gap, no overlap, to the end of the
// file), which also catches duplicate names. Writing: safetensors-write.ts. Meaning of the names: layouts/.

import { GptOssError } from '../errors.ts';
import { decodeRun } from './decode.ts';
import { safetensorsBits, safetensorsTypes } from './dtypes.ts';
import { damaged, parseJsonObject, shown } from './messages.ts';
import type { ByteSource, TensorEntry } from './tensor.ts';

/** The Hub refuses larger headers; the one of gpt-oss-120b is under 100 KB. */
export const MAX_HEADER_BYTES = 25_000_000;
const MAX_DIMENSIONS = 8;

export interface SafetensorsFile {
  readonly entries: readonly TensorEntry[]; // by offset
  readonly metadata: ReadonlyMap<string, string>;
}

/** Whether the first bytes look like a safetensors file: a plausible header length, then JSON. */
export function looksLikeSafetensors(source: ByteSource): boolean {
  if (source.size < 10) return false;
  const head = source.read(0, 9);
  return head[8] === 0x7b && headerLength(head) <= source.size - 8;
}

function headerLength(head: Uint8Array): number {
  const view = new DataView(head.buffer, head.byteOffset, 8);
  return view.getUint32(0, true) + view.getUint32(4, true) * 2 ** 32;
}

export function readSafetensors(source: ByteSource): SafetensorsFile {
  const { name } = source;
  if (source.size === 0) throw damaged(name, 'the file is empty; expected a safetensors file');
  if (source.size < 8) throw damaged(name, `the file has only ${source.size} bytes; expected a safetensors header`);
  const length = headerLength(source.read(0, 8));
  if (length > source.size - 8)
    throw damaged(name, `its header claims ${length} bytes; expected at most the ${source.size - 8} that follow`);
  if (length > MAX_HEADER_BYTES)
    throw damaged(name, `its header claims ${length} bytes; expected at most ${MAX_HEADER_BYTES}`);
  const header = parseJsonObject(name, source.read(8, length));

  const dataStart = 8 + length;
  const entries: TensorEntry[] = [];
  let metadata = new Map<string, string>();
  for (const [key, value] of Object.entries(header)) {
    if (key === '__metadata__') metadata = readMetadata(name, value);
    else entries.push(readEntry(source, dataStart, key, value));
  }
  entries.sort((a, b) => a.offset - b.offset || a.length - b.length);
  let end = dataStart;
  for (const entry of entries) {
    if (entry.offset !== end)
      throw damaged(
        name,
        `tensor ${shown(entry.name)} begins at byte ${entry.offset}; expected ${end}, where the one before ends`,
      );
    end += entry.length;
  }
  if (end !== source.size)
    throw damaged(name, `its tensors end at byte ${end}; expected ${source.size}, the end of the file`);
  return { entries, metadata };
}

function readMetadata(name: string, value: unknown): Map<string, string> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw damaged(name, '__metadata__ is not an object');
  const map = new Map<string, string>();
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== 'string') throw damaged(name, `__metadata__ ${shown(key)} is not a string`);
    map.set(key, text);
  }
  return map;
}

function readEntry(source: ByteSource, dataStart: number, key: string, value: unknown): TensorEntry {
  const bad = (what: string): GptOssError => damaged(source.name, `tensor ${shown(key)} ${what}`);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw bad('is not described by an object');
  const { dtype, shape, data_offsets: range } = value as Record<string, unknown>;
  const bits = typeof dtype === 'string' ? safetensorsBits.get(dtype) : undefined;
  if (typeof dtype !== 'string' || bits === undefined)
    throw bad(`has type ${shown(String(dtype))}, which safetensors does not define`);
  if (!Array.isArray(shape) || shape.length > MAX_DIMENSIONS) throw bad('has no valid shape');
  let values = 1;
  for (const n of shape) {
    if (!Number.isSafeInteger(n) || n < 0) throw bad('has a dimension that is not a whole number');
    values *= n;
  }
  if (!Array.isArray(range) || range.length !== 2 || !range.every((n) => Number.isSafeInteger(n) && n >= 0))
    throw bad('has no valid data_offsets');
  const [begin, end] = range as [number, number];
  const bytes = (values * bits) / 8;
  if (end < begin || end - begin !== bytes) throw bad(`claims ${end - begin} bytes; its type and shape need ${bytes}`);
  if (dataStart + end > source.size)
    throw bad(`ends at byte ${dataStart + end}, outside the file of ${source.size} bytes`);
  return {
    name: key,
    dtype,
    element: safetensorsTypes.get(dtype) ?? null,
    shape: shape as number[],
    source,
    offset: dataStart + begin,
    length: bytes,
  };
}

/** All values of one float entry as float32, or of an I32 entry as integers: for small tensors and tests. */
export function entryValues(entry: TensorEntry): Float32Array {
  if (entry.element === null)
    throw new GptOssError('unsupported-type', `${entry.name} has type ${entry.dtype}; expected F32, F16 or BF16`);
  const count = entry.shape.reduce((a, b) => a * b, 1);
  const out = new Float32Array(count);
  decodeRun(entry.element, entry.source.read(entry.offset, entry.length), 0, count, out);
  return out;
}

export function entryIntegers(entry: TensorEntry): Int32Array {
  if (entry.dtype !== 'I32')
    throw new GptOssError('unsupported-type', `${entry.name} has type ${entry.dtype}; expected I32`);
  const bytes = entry.source.read(entry.offset, entry.length);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Int32Array.from({ length: bytes.length / 4 }, (_, i) => view.getInt32(4 * i, true));
}
