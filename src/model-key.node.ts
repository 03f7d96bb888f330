// A name for "the same keys and values": two openings have it in common when a cached prefix of one is right for the
// other. Made of the tensors' table and a sample of their bytes (never the whole file, which may be 60 GB), and of
// everything that decides how keys and values are computed and stored.

import { createHash } from 'node:crypto';
import type { Backend, KvType, WeightKind } from './backend/backend.ts';
import type { Checkpoint } from './formats/checkpoint.ts';

const SAMPLES = 64; // tensors looked into
const SAMPLE_BYTES = 4096;

export function modelKey(checkpoint: Checkpoint, backend: Backend, kv: KvType, weights: WeightKind = 'stored'): string {
  const hash = createHash('sha256');
  const { config, entries } = checkpoint;
  hash.update(JSON.stringify(config));
  for (const { name, dtype, shape, length } of entries) hash.update(JSON.stringify([name, dtype, shape, length]));
  for (let i = 0; i < Math.min(SAMPLES, entries.length); i++) {
    const { source, offset, length } = entries[Math.floor((i * entries.length) / Math.min(SAMPLES, entries.length))];
    const size = Math.min(SAMPLE_BYTES, length);
    hash.update(source.read(offset + Math.floor((length - size) / 2), size));
  }
  const kinds = [backend.precision, kv, ...(weights === 'stored' ? [] : [weights])];
  return [hash.digest('hex'), backend.name, backend.description.split(',')[0], ...kinds].join(' ');
}
