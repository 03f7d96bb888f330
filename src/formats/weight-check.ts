// Looks through all stored bytes of a tensor for values that no trained weight has: NaN, infinity, the NaN scale of
// MXFP4. Opening a checkpoint cannot afford it (12 GB); `verify` and `inspect` can. Vectors are checked whenever they
// are loaded.

import { dtypeFacts } from './dtypes.ts';
import type { TensorEntry } from './tensor.ts';

const CHUNK_BYTES = 8 << 20;

/** What is wrong with the tensor, or null. Types that hold no floats are fine. */
export function findNonFinite(entry: TensorEntry): string | null {
  if (entry.dtype === 'U8' && /scales$/.test(entry.name))
    return scan(entry, 1, (b, at) => b[at] === 255, 'the scale 255 (NaN)');
  const { element } = entry;
  if (element === null) return null;
  const { groupBytes } = dtypeFacts[element];
  const half = (b: Uint8Array, at: number): boolean => (b[at + 1] & 0x7c) === 0x7c;
  switch (element) {
    case 'f32':
      return scan(entry, 4, (b, at) => (b[at + 3] & 0x7f) === 0x7f && b[at + 2] >= 0x80, 'NaN or infinity');
    case 'bf16':
      return scan(entry, 2, (b, at) => (b[at + 1] & 0x7f) === 0x7f && b[at] >= 0x80, 'NaN or infinity');
    case 'f16':
      return scan(entry, 2, half, 'NaN or infinity');
    case 'mxfp4':
    case 'mxfp4-pairs':
      return scan(entry, groupBytes, (b, at) => b[at] === 255, 'the scale 255 (NaN)');
    default: {
      // Where the half-precision scales of a group lie.
      const scales: readonly number[] = {
        q8_0: [0],
        q4_0: [0],
        q4_1: [0, 2],
        q5_0: [0],
        q5_1: [0, 2],
        iq4_nl: [0],
        q2_k: [80, 82],
        q3_k: [108],
        q4_k: [0, 2],
        q5_k: [0, 2],
        q6_k: [208],
        'mxfp4-split': [],
      }[element];
      return scan(entry, groupBytes, (b, at) => scales.some((o) => half(b, at + o)), 'a scale that is NaN or infinity');
    }
  }
}

function scan(
  entry: TensorEntry,
  unit: number,
  isBad: (bytes: Uint8Array, at: number) => boolean,
  what: string,
): string | null {
  const chunk = Math.floor(CHUNK_BYTES / unit) * unit;
  for (let done = 0; done < entry.length; done += chunk) {
    const length = Math.min(chunk, entry.length - done);
    const bytes = entry.source.read(entry.offset + done, length);
    for (let at = 0; at < length; at += unit) if (isBad(bytes, at)) return `${what} at byte ${done + at}`;
  }
  return null;
}
