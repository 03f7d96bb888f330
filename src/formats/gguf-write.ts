// Writes a GGUF file (version 3, little-endian) front to back, without holding any tensor whole. Reading: gguf.ts.

import { GptOssError } from '../errors.ts';
import { type ByteSink, memorySink } from './bytes.ts';
import { dtypeFacts, ggmlTypeId, rowBytes } from './dtypes.ts';
import { type GgufField, type ValueTypeName, valueTypes } from './gguf.ts';
import { writeChunks } from './safetensors-write.ts';
import type { DType } from './tensor.ts';

export type NumberType = Exclude<ValueTypeName, 'string' | 'array' | 'bool'>;

export type FieldToWrite =
  | { readonly type: NumberType; readonly value: number | bigint }
  | { readonly type: 'bool'; readonly value: boolean }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'array'; readonly element: 'string'; readonly values: readonly string[] }
  | { readonly type: 'array'; readonly element: NumberType; readonly values: ArrayLike<number> }
  | { readonly type: 'array'; readonly element: ValueTypeName; readonly count: number; readonly raw: Uint8Array };

export interface GgufTensorToWrite {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[]; // outermost first
  /** The bytes in order, in pieces of any size. Called once, when the tensor's turn has come. */
  chunks(): Iterable<Uint8Array>;
}

/** A field as it was read, to be written again. */
export function copyField(field: GgufField): FieldToWrite {
  const { type, value } = field;
  if (typeof value === 'object') return { type: 'array', element: value.type, count: value.count, raw: value.raw() };
  return { type, value } as FieldToWrite;
}

const encoder = new TextEncoder();
const scratch = new Uint8Array(8);
const scratchView = new DataView(scratch.buffer);

function putNumber(sink: ByteSink, type: NumberType, value: number | bigint): void {
  const n = Number(value);
  const v = scratchView;
  let size = 4;
  if (type === 'u8' || type === 'i8') {
    v.setUint8(0, n);
    size = 1;
  } else if (type === 'u16' || type === 'i16') {
    v.setUint16(0, n, true);
    size = 2;
  } else if (type === 'u32' || type === 'i32') v.setUint32(0, n, true);
  else if (type === 'f32') v.setFloat32(0, n, true);
  else {
    if (type === 'f64') v.setFloat64(0, n, true);
    else v.setBigInt64(0, BigInt(value), true);
    size = 8;
  }
  sink.write(scratch.subarray(0, size));
}

function putString(sink: ByteSink, text: string): void {
  const bytes = encoder.encode(text);
  putNumber(sink, 'u64', bytes.length);
  sink.write(bytes);
}

function putField(sink: ByteSink, key: string, field: FieldToWrite): void {
  putString(sink, key);
  putNumber(sink, 'u32', valueTypes[field.type]);
  if (field.type === 'string') putString(sink, field.value);
  else if (field.type === 'bool') putNumber(sink, 'u8', field.value ? 1 : 0);
  else if (field.type !== 'array') putNumber(sink, field.type, field.value);
  else {
    putNumber(sink, 'u32', valueTypes[field.element]);
    if ('raw' in field) {
      putNumber(sink, 'u64', field.count);
      sink.write(field.raw);
      return;
    }
    putNumber(sink, 'u64', field.values.length);
    if (field.element === 'string') for (const text of field.values) putString(sink, text);
    else for (let i = 0; i < field.values.length; i++) putNumber(sink, field.element, field.values[i]);
  }
}

export function ggufTensorBytes(t: { readonly dtype: DType; readonly shape: readonly number[] }): number {
  const rows = t.shape.slice(0, -1).reduce((a, b) => a * b, 1);
  return rows * rowBytes(t.dtype, t.shape[t.shape.length - 1]);
}

const ALIGNMENT = 32;
const padding = (length: number): number => (ALIGNMENT - (length % ALIGNMENT)) % ALIGNMENT;

/** Calls neither `finish` nor `discard`. */
export function writeGguf(
  sink: ByteSink,
  fields: ReadonlyMap<string, FieldToWrite>,
  tensors: readonly GgufTensorToWrite[],
): void {
  const alignment = fields.get('general.alignment');
  if (alignment !== undefined && !('value' in alignment && alignment.value === ALIGNMENT))
    throw new GptOssError('internal', `GGUF files are written with alignment ${ALIGNMENT} only`);
  const head = memorySink();
  head.write(encoder.encode('GGUF'));
  putNumber(head, 'u32', 3);
  putNumber(head, 'u64', tensors.length);
  putNumber(head, 'u64', fields.size);
  for (const [key, field] of fields) putField(head, key, field);
  let offset = 0;
  for (const t of tensors) {
    putString(head, t.name);
    putNumber(head, 'u32', t.shape.length);
    for (const n of [...t.shape].reverse()) putNumber(head, 'u64', n);
    putNumber(head, 'u32', ggmlTypeId(t.dtype));
    putNumber(head, 'u64', offset);
    const length = ggufTensorBytes(t);
    offset += length + padding(length);
  }
  const bytes = head.bytes();
  sink.write(bytes);
  sink.write(new Uint8Array(padding(bytes.length)));
  for (const t of tensors) {
    const length = ggufTensorBytes(t);
    writeChunks(sink, `${t.name} (${dtypeFacts[t.dtype].label})`, length, t.chunks());
    sink.write(new Uint8Array(padding(length)));
  }
}
