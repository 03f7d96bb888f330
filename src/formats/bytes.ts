// A ByteSource over memory: browsers, tests, files fetched whole. The file version is file.node.ts.

import { GptOssError } from '../errors.ts';
import type { ByteSource } from './tensor.ts';

/** Throws unless [offset, offset + length) lies inside `size` bytes. Offsets come from files: anything may arrive. */
export function checkRange(name: string, size: number, offset: number, length: number): void {
  if (
    Number.isSafeInteger(offset) &&
    Number.isSafeInteger(length) &&
    offset >= 0 &&
    length >= 0 &&
    offset + length <= size
  )
    return;
  throw new GptOssError(
    'bad-checkpoint',
    `${name} ends at byte ${size}; expected ${length} bytes at offset ${offset}; the file is truncated or damaged, get it again`,
  );
}

export function memorySource(name: string, bytes: Uint8Array): ByteSource {
  return {
    name,
    path: null,
    size: bytes.length,
    read(offset, length) {
      checkRange(name, bytes.length, offset, length);
      return bytes.subarray(offset, offset + length);
    },
    close() {},
  };
}
