// ByteSource and ByteSink over memory: browsers, tests, files fetched whole. The file versions are in file.node.ts.

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

/** A place to write bytes in order. The bytes may be reused by the caller after `write` returns. */
export interface ByteSink {
  write(bytes: Uint8Array): void;
  /** Makes the file appear under its name. */
  finish(): void;
  /** Removes what was written. */
  discard(): void;
}

export interface MemorySink extends ByteSink {
  bytes(): Uint8Array;
}

export function memorySink(): MemorySink {
  let buffer = new Uint8Array(1024);
  let used = 0;
  return {
    write(bytes) {
      if (used + bytes.length > buffer.length) {
        const larger = new Uint8Array(Math.max(2 * buffer.length, used + bytes.length));
        larger.set(buffer);
        buffer = larger;
      }
      buffer.set(bytes, used);
      used += bytes.length;
    },
    finish() {},
    discard() {
      used = 0;
    },
    bytes: () => buffer.slice(0, used),
  };
}
