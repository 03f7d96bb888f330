// Reads the metadata and tensor table of one GGUF file (versions 2 and 3, little-endian). Hostile files are expected:
// each count is bounded by the bytes that remain before anything is allocated for it, strings and keys have caps, and
// every tensor must lie inside the file, aligned and apart from the others. Arrays stay where they lie until asked for:
// a real file has 201,088 token strings and 446,189 merges. Split sets: layouts/gguf.ts. Writing: gguf-write.ts.

import { GptOssError } from '../errors.ts';
import { dtypeFacts, ggmlTypes, otherGgmlTypes } from './dtypes.ts';
import { damaged, shown } from './messages.ts';
import type { ByteSource, DType, TensorEntry } from './tensor.ts';

/** ids of value types in the file */
export const valueTypes = {
  u8: 0,
  i8: 1,
  u16: 2,
  i16: 3,
  u32: 4,
  i32: 5,
  f32: 6,
  bool: 7,
  string: 8,
  array: 9,
  u64: 10,
  i64: 11,
  f64: 12,
} as const;
export type ValueTypeName = keyof typeof valueTypes;
const typeNames = Object.keys(valueTypes) as ValueTypeName[];
const scalarBytes: readonly number[] = [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8];

// Caps, each far above any real file.
const MAX_KEY_BYTES = 65_535; // the format's own limit
const MAX_STRING_BYTES = 16 << 20; // a chat template is some 20 KB
const MAX_ARRAY_COUNT = 1 << 26;
const MAX_ARRAY_READ_BYTES = 256 << 20; // one array brought into memory
const MAX_ALIGNMENT = 1 << 20;
const MAX_NAME_BYTES = 63; // ggml's own limit
const WINDOW_BYTES = 1 << 20;

/** An array value, still in the file. */
export interface GgufArray {
  readonly type: ValueTypeName;
  readonly count: number;
  /** Numbers and booleans (as 0 and 1). Throws for strings. */
  numbers(): Float64Array;
  /** Strings as raw UTF-8: string i is bytes[starts[i] … ends[i]). Throws for other types. */
  stringBytes(): { bytes: Uint8Array; starts: Uint32Array; ends: Uint32Array };
  strings(): string[];
  /** The elements as the file holds them, to be copied by gguf-write.ts. */
  raw(): Uint8Array;
}

/** 64-bit integers beyond 2^53 are bigint. */
export type GgufValue = number | bigint | boolean | string | GgufArray;

export interface GgufField {
  readonly type: ValueTypeName;
  readonly value: GgufValue;
}

export interface GgufFile {
  readonly version: number;
  readonly fields: ReadonlyMap<string, GgufField>; // in file order
  readonly entries: readonly TensorEntry[]; // in file order
  readonly alignment: number;
  readonly dataStart: number;
}

export function looksLikeGguf(source: ByteSource): boolean {
  if (source.size < 4) return false;
  const [a, b, c, d] = source.read(0, 4);
  return a === 0x47 && b === 0x47 && c === 0x55 && d === 0x46; // "GGUF"
}

/** Walks the file from front to back through a small window. */
class Cursor {
  readonly source: ByteSource;
  position = 0;
  private window: DataView;
  private windowStart = 0;

  constructor(source: ByteSource) {
    this.source = source;
    this.window = new DataView(new ArrayBuffer(0));
  }

  remaining(): number {
    return this.source.size - this.position;
  }

  /** Makes `length` bytes readable and returns their place in the window. `length` is small. */
  private need(length: number, what: string): number {
    if (length > this.remaining())
      throw damaged(this.source.name, `it ends inside ${what} at byte ${this.source.size}`);
    const at = this.position - this.windowStart;
    if (at < 0 || at + length > this.window.byteLength) {
      const bytes = this.source.read(this.position, Math.min(Math.max(length, WINDOW_BYTES), this.remaining()));
      this.window = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      this.windowStart = this.position;
      this.position += length;
      return 0;
    }
    this.position += length;
    return at;
  }

  u32(what: string): number {
    const at = this.need(4, what);
    return this.window.getUint32(at, true);
  }

  /** A count or length: values of 2^53 and more are never honest. */
  size(what: string): number {
    const at = this.need(8, what);
    const high = this.window.getUint32(at + 4, true);
    if (high >= 1 << 21) throw damaged(this.source.name, `${what} is 2^53 or more`);
    return this.window.getUint32(at, true) + high * 2 ** 32;
  }

  skip(length: number, what: string): void {
    if (length > this.remaining())
      throw damaged(this.source.name, `it ends inside ${what} at byte ${this.source.size}`);
    this.position += length;
  }

  text(limit: number, what: string, strict: boolean): string {
    const length = this.size(`the length of ${what}`);
    if (length > this.remaining())
      throw damaged(this.source.name, `${what} claims ${length} bytes; only ${this.remaining()} follow`);
    if (length > limit) throw damaged(this.source.name, `${what} claims ${length} bytes; expected at most ${limit}`);
    const at = this.need(length, what);
    const bytes = new Uint8Array(this.window.buffer, this.window.byteOffset + at, length);
    try {
      return new TextDecoder('utf-8', { fatal: strict, ignoreBOM: true }).decode(bytes);
    } catch (cause) {
      throw new GptOssError(
        'bad-checkpoint',
        `${this.source.name}: ${what} is not valid UTF-8; the file is damaged, get it again`,
        { cause },
      );
    }
  }

  scalar(type: ValueTypeName, what: string): number | bigint | boolean {
    const at = this.need(scalarBytes[valueTypes[type]], what);
    return readScalar(this.window, at, type);
  }
}

function readScalar(view: DataView, at: number, type: ValueTypeName): number | bigint | boolean {
  switch (type) {
    case 'u8':
      return view.getUint8(at);
    case 'i8':
      return view.getInt8(at);
    case 'u16':
      return view.getUint16(at, true);
    case 'i16':
      return view.getInt16(at, true);
    case 'u32':
      return view.getUint32(at, true);
    case 'i32':
      return view.getInt32(at, true);
    case 'f32':
      return view.getFloat32(at, true);
    case 'f64':
      return view.getFloat64(at, true);
    case 'bool':
      return view.getUint8(at) !== 0;
    default: {
      const value = type === 'u64' ? view.getBigUint64(at, true) : view.getBigInt64(at, true);
      const number = Number(value);
      return Number.isSafeInteger(number) ? number : value;
    }
  }
}

export function readGguf(source: ByteSource): GgufFile {
  const { name } = source;
  if (source.size === 0) throw damaged(name, 'the file is empty; expected a GGUF file');
  if (!looksLikeGguf(source)) throw damaged(name, 'it does not begin with "GGUF"');
  const cursor = new Cursor(source);
  cursor.position = 4;
  const version = cursor.u32('the version');
  if (version === 0x02000000 || version === 0x03000000) {
    throw new GptOssError(
      'bad-checkpoint',
      `${name} is a big-endian GGUF file; expected little-endian; convert it or get the usual one`,
    );
  }
  if (version !== 2 && version !== 3) {
    throw new GptOssError(
      'bad-checkpoint',
      `${name} has GGUF version ${version}; expected 2 or 3; get a file of a current converter`,
    );
  }
  const tensorCount = cursor.size('the number of tensors');
  const fieldCount = cursor.size('the number of metadata fields');
  // Smallest field: 8 (key length) + 1 (key) + 4 (type) + 1 (value); smallest tensor: 8 + 1 + 4 + 8 + 4 + 8.
  if (fieldCount > source.size / 14)
    throw damaged(name, `it claims ${fieldCount} metadata fields, more than fit in ${source.size} bytes`);
  if (tensorCount > source.size / 33)
    throw damaged(name, `it claims ${tensorCount} tensors, more than fit in ${source.size} bytes`);

  const fields = new Map<string, GgufField>();
  for (let i = 0; i < fieldCount; i++) {
    const key = cursor.text(MAX_KEY_BYTES, 'a metadata key', true);
    if (key === '') throw damaged(name, 'a metadata key is empty');
    if (fields.has(key)) throw damaged(name, `metadata key ${shown(key)} occurs twice`);
    const type = readType(cursor, key);
    fields.set(key, { type, value: readValue(cursor, type, key) });
  }
  const alignment = readAlignment(name, fields);
  const arch = fields.get('general.architecture')?.value;
  const tensors = readTensorTable(cursor, tensorCount, arch === 'gptoss' || arch === 'gpt-oss');
  const dataStart = Math.ceil(cursor.position / alignment) * alignment;
  const entries = tensors.map((t) => placeTensor(source, t, dataStart, alignment));
  checkApart(name, entries);
  return { version, fields, entries, alignment, dataStart };
}

function readType(cursor: Cursor, key: string): ValueTypeName {
  const id = cursor.u32(`the type of ${shown(key)}`);
  const type = typeNames[id];
  if (type === undefined) throw damaged(cursor.source.name, `metadata ${shown(key)} has unknown value type ${id}`);
  return type;
}

function readValue(cursor: Cursor, type: ValueTypeName, key: string): GgufValue {
  const what = `metadata ${shown(key)}`;
  if (type === 'string') return cursor.text(MAX_STRING_BYTES, what, false);
  if (type !== 'array') return cursor.scalar(type, what);
  const element = readType(cursor, key);
  if (element === 'array')
    throw damaged(cursor.source.name, `${what} is an array of arrays, which no gpt-oss file uses`);
  const count = cursor.size(`the length of ${what}`);
  const smallest = element === 'string' ? 8 : scalarBytes[valueTypes[element]];
  if (count > cursor.remaining() / smallest || count > MAX_ARRAY_COUNT)
    throw damaged(cursor.source.name, `${what} claims ${count} elements; only ${cursor.remaining()} bytes follow`);
  const start = cursor.position;
  if (element === 'string') {
    for (let i = 0; i < count; i++) {
      const length = cursor.size(`a string of ${what}`);
      cursor.skip(length, what);
    }
  } else cursor.skip(count * smallest, what);
  return lazyArray(cursor.source, key, element, count, start, cursor.position);
}

function lazyArray(
  source: ByteSource,
  key: string,
  type: ValueTypeName,
  count: number,
  start: number,
  end: number,
): GgufArray {
  const load = (wanted: boolean): Uint8Array => {
    if (!wanted)
      throw damaged(source.name, `metadata ${shown(key)} is an array of ${type}, which is not the expected kind`);
    if (end - start > MAX_ARRAY_READ_BYTES)
      throw damaged(
        source.name,
        `metadata ${shown(key)} has ${end - start} bytes; expected at most ${MAX_ARRAY_READ_BYTES}`,
      );
    return source.read(start, end - start);
  };
  const stringBytes: GgufArray['stringBytes'] = () => {
    const bytes = load(type === 'string');
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const starts = new Uint32Array(count);
    const ends = new Uint32Array(count);
    let at = 0;
    for (let i = 0; i < count; i++) {
      starts[i] = at + 8;
      // The lengths were checked when the file was opened; this guards against a file that changed since.
      at = at + 8 <= bytes.length ? at + 8 + view.getUint32(at, true) : Infinity;
      if (at > bytes.length) throw damaged(source.name, `metadata ${shown(key)} changed while it was read`);
      ends[i] = at;
    }
    return { bytes, starts, ends };
  };
  return {
    type,
    count,
    numbers() {
      const bytes = load(type !== 'string');
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      const size = scalarBytes[valueTypes[type]];
      return Float64Array.from({ length: count }, (_, i) => Number(readScalar(view, i * size, type)));
    },
    stringBytes,
    raw: () => load(true),
    strings() {
      const { bytes, starts, ends } = stringBytes();
      const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
      return Array.from({ length: count }, (_, i) => decoder.decode(bytes.subarray(starts[i], ends[i])));
    },
  };
}

function readAlignment(name: string, fields: ReadonlyMap<string, GgufField>): number {
  const field = fields.get('general.alignment');
  if (field === undefined) return 32;
  const n = field.value;
  if (field.type !== 'u32' || typeof n !== 'number' || n < 1 || n > MAX_ALIGNMENT || (n & (n - 1)) !== 0)
    throw damaged(
      name,
      `general.alignment is ${String(n)} (${field.type}); expected a u32 power of two up to ${MAX_ALIGNMENT}`,
    );
  return n;
}

interface StoredTensor {
  readonly name: string;
  readonly shape: number[];
  readonly dtype: DType;
  readonly offset: number; // from the start of the data
  readonly length: number;
}

function readTensorTable(cursor: Cursor, count: number, isGptOss: boolean): StoredTensor[] {
  const file = cursor.source.name;
  const seen = new Set<string>();
  const tensors: StoredTensor[] = [];
  for (let i = 0; i < count; i++) {
    const name = cursor.text(MAX_NAME_BYTES, 'a tensor name', true);
    const bad = (what: string): GptOssError => damaged(file, `tensor ${shown(name)} ${what}`);
    if (name === '') throw damaged(file, 'a tensor has an empty name');
    if (seen.has(name)) throw bad('occurs twice');
    seen.add(name);
    const dimensions = cursor.u32('a tensor entry');
    if (dimensions < 1 || dimensions > 4) throw bad(`has ${dimensions} dimensions; expected 1 to 4`);
    const shape: number[] = [];
    let values = 1;
    for (let d = 0; d < dimensions; d++) {
      const n = cursor.size(`a dimension of ${shown(name)}`);
      if (n === 0) throw bad('has a dimension of 0');
      values *= n;
      shape.unshift(n);
    }
    if (!Number.isSafeInteger(values)) throw bad('has more values than any file can hold');
    const id = cursor.u32('a tensor entry');
    const dtype = id === 4 && isGptOss ? 'mxfp4-pairs' : ggmlTypes.get(id);
    if (dtype === undefined) {
      const known = otherGgmlTypes.get(id);
      throw new GptOssError(
        known === undefined ? 'bad-checkpoint' : 'unsupported-type',
        `${file}: tensor ${shown(name)} has type ${known ?? `id ${id}`}; expected one of ${[...ggmlTypes.values()].map((t) => dtypeFacts[t].label).join(' ')}; get the file in one of these types`,
      );
    }
    const { groupValues, groupBytes, label } = dtypeFacts[dtype];
    const cols = shape[shape.length - 1];
    if (cols % groupValues !== 0) throw bad(`has rows of ${cols} values; ${label} needs a multiple of ${groupValues}`);
    tensors.push({
      name,
      shape,
      dtype,
      offset: cursor.size(`the offset of ${shown(name)}`),
      length: (values / groupValues) * groupBytes,
    });
  }
  return tensors;
}

function placeTensor(source: ByteSource, t: StoredTensor, dataStart: number, alignment: number): TensorEntry {
  if (t.offset % alignment !== 0)
    throw damaged(
      source.name,
      `tensor ${shown(t.name)} lies at offset ${t.offset}, which is not a multiple of ${alignment}`,
    );
  const offset = dataStart + t.offset;
  if (!(offset + t.length <= source.size))
    throw damaged(
      source.name,
      `tensor ${shown(t.name)} ends at byte ${offset + t.length}, outside the file of ${source.size} bytes`,
    );
  const label = dtypeFacts[t.dtype].label;
  return { name: t.name, dtype: label, element: t.dtype, shape: t.shape, source, offset, length: t.length };
}

function checkApart(name: string, entries: readonly TensorEntry[]): void {
  const sorted = [...entries].sort((a, b) => a.offset - b.offset);
  for (let i = 1; i < sorted.length; i++) {
    if (sorted[i - 1].offset + sorted[i - 1].length > sorted[i].offset)
      throw damaged(name, `tensors ${shown(sorted[i - 1].name)} and ${shown(sorted[i].name)} overlap`);
  }
}
