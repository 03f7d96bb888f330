// The packed form of a vocabulary in which ranks follow ids (assets/o200k.bin): header, one length byte per token, then
// all bytes in order of id. Bytes stay where they are; loading makes only offsets and the table.
// Layout, little-endian: "BYTEBPE1", u32 count, u32 total bytes, u8 length[count], u8 bytes[total].
// It refuses anything whose lengths do not add up to the size of the file. Next: o200k-harmony.ts.

import { GptOssError } from '../errors.ts';
import { Vocabulary } from './vocabulary.ts';

const magic = 'BYTEBPE1';
const headerBytes = 16;

export function packVocabulary(vocabulary: Vocabulary): Uint8Array<ArrayBuffer> {
  const { size, bytes, starts, longest } = vocabulary;
  if (longest > 255) {
    throw new GptOssError(
      'bad-tokenizer',
      `a token has ${longest} bytes; the packed form holds at most 255; keep the file as it is`,
    );
  }
  const packed = new Uint8Array(headerBytes + size + bytes.length);
  packed.set(new TextEncoder().encode(magic));
  const view = new DataView(packed.buffer);
  view.setUint32(8, size, true);
  view.setUint32(12, bytes.length, true);
  for (let id = 0; id < size; id++) packed[headerBytes + id] = starts[id + 1] - starts[id];
  packed.set(bytes, headerBytes + size);
  return packed;
}

/** The vocabulary keeps a view into `packed`. */
export function unpackVocabulary(packed: Uint8Array): Vocabulary {
  if (packed.length < headerBytes || String.fromCharCode(...packed.subarray(0, 8)) !== magic) {
    throw damaged(`begins with other bytes than ${magic}`);
  }
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  const size = view.getUint32(8, true);
  const total = view.getUint32(12, true);
  if (headerBytes + size + total !== packed.length) {
    throw damaged(`has ${packed.length} bytes where its header says ${headerBytes + size + total}`);
  }
  const starts = new Uint32Array(size + 1);
  for (let id = 0; id < size; id++) starts[id + 1] = starts[id] + packed[headerBytes + id];
  if (starts[size] !== total) throw damaged(`has lengths that add up to ${starts[size]} and not ${total}`);
  // A plain view: `packed` may be a Node Buffer, whose methods differ.
  return new Vocabulary(new Uint8Array(packed.buffer, packed.byteOffset + headerBytes + size, total), starts);
}

function damaged(what: string): GptOssError {
  return new GptOssError(
    'bad-tokenizer',
    `the packed vocabulary ${what}; expected the file as published; reinstall the package`,
  );
}
