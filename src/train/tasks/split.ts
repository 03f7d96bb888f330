// Which split an item belongs to is decided by its content: a hash of family and key. Two draws of the same problem, in
// whatever words and from whatever seed, land in the same split, so nothing that is tested was ever trained.

export type Split = 'train' | 'val' | 'test';

/** Of 100 hash values: 0–89 train, 90–94 val, 95–99 test. */
export function splitOf(family: string, key: string): Split {
  const at = hash32(`${family}\u0000${key}`) % 100;
  return at < 90 ? 'train' : at < 95 ? 'val' : 'test';
}

/** Murmur3's finaliser over a multiplicative hash of UTF-16 units; tells texts apart and guards nothing. */
export function hash32(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    h = Math.imul(h ^ text.charCodeAt(i), 0x5bd1e995);
    h ^= h >>> 15;
  }
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
