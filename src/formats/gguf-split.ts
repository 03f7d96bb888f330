// Split GGUF sets: NAME-00001-of-00003.gguf and so on. The first part carries the metadata; each part has its own
// tensors and says which part it is. All parts must be there, once each, and together hold the stated tensors.

import { GptOssError } from '../errors.ts';
import { type GgufFile, readGguf } from './gguf.ts';
import { damaged, shown } from './messages.ts';
import type { ByteSource, TensorEntry } from './tensor.ts';

const MAX_PARTS = 1000;
const PART = /^(.*)-(\d{5})-of-(\d{5})(\.[A-Za-z]+)?$/;

function partName(name: string, index: number): string | null {
  const match = PART.exec(name);
  return match === null ? null : `${match[1]}-${String(index + 1).padStart(5, '0')}-of-${match[3]}${match[4] ?? ''}`;
}

/** When all of `names` are parts of one set: the name of its first part. */
export function findSplitSet(names: readonly string[]): string | null {
  const first = partName(names[0], 0);
  if (first === null || !names.every((name) => partName(name, 0) === first)) return null;
  return names.includes(first) ? first : names[0];
}

function wholeNumber(gguf: GgufFile, key: string): number | null {
  const value = gguf.fields.get(key)?.value;
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : null;
}

/** The whole set that `source` is part of; just itself when it is not split. `open` opens a file of the same folder. */
export function joinSplitSet(
  source: ByteSource,
  given: GgufFile,
  open: (name: string) => ByteSource,
): { gguf: GgufFile; entries: readonly TensorEntry[] } {
  const count = wholeNumber(given, 'split.count') ?? 1;
  if (count <= 1) return { gguf: given, entries: given.entries };
  if (count > MAX_PARTS)
    throw damaged(source.name, `it claims to be one of ${count} parts; expected at most ${MAX_PARTS}`);
  const givenIndex = wholeNumber(given, 'split.no');
  if (givenIndex === null || givenIndex >= count)
    throw damaged(source.name, `it claims to be part ${givenIndex} of ${count}`);
  if (partName(source.name, givenIndex) !== source.name) {
    throw new GptOssError(
      'bad-checkpoint',
      `${source.name} is part ${givenIndex + 1} of ${count} by its content; expected a name that ends in -${String(givenIndex + 1).padStart(5, '0')}-of-${String(count).padStart(5, '0')}.gguf; give the parts their names back`,
    );
  }
  const entries: TensorEntry[] = [];
  let gguf = given;
  for (let index = 0; index < count; index++) {
    let part = given;
    if (index !== givenIndex) {
      const name = partName(source.name, index)!;
      part = readGguf(openPart(open, name, source.name, count));
      if (wholeNumber(part, 'split.no') !== index || wholeNumber(part, 'split.count') !== count)
        throw damaged(name, `it is not part ${index + 1} of ${count}, though ${shown(source.name)} needs that part`);
    }
    if (index === 0) gguf = part;
    entries.push(...part.entries);
  }
  const stated = wholeNumber(gguf, 'split.tensors.count');
  if (stated !== null && stated !== entries.length)
    throw damaged(source.name, `its ${count} parts hold ${entries.length} tensors; expected ${stated}`);
  return { gguf, entries };
}

function openPart(open: (name: string) => ByteSource, name: string, asked: string, count: number): ByteSource {
  try {
    return open(name);
  } catch (cause) {
    throw new GptOssError(
      'not-found',
      `${name} is missing; ${asked} is one of ${count} parts; put all parts into one folder`,
      { cause },
    );
  }
}
