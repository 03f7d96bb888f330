// For tests: seeded mutations of valid files. Whatever comes out, opening the checkpoint and touching everything in it
// must give a result or a GptOssError: never another exception, never a hang, never memory far beyond the input.

import { GptOssError } from '../errors.ts';
import type { Checkpoint } from './checkpoint.ts';
import { decodeRows } from './decode.ts';
import { ggufBytes, tinyFolder } from './hostile.testing.ts';
import { memoryFolder } from './memory-folder.ts';
import { openCheckpointIn } from './open.ts';

/** 32-bit generator (mulberry32). */
export function seeded(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
}

const numbers = [
  '0',
  '-1',
  '1',
  '255',
  '1e999',
  '-0',
  '4294967296',
  '9007199254740993',
  '18446744073709551615',
  '1.5',
  'null',
  '"x"',
  '[]',
  '{}',
  'true',
];
const words64 = [
  0n,
  1n,
  0xffn,
  0xffffffffn,
  0x7fffffffffffffffn,
  0x8000000000000000n,
  0xffffffffffffffffn,
  0x7fffffffffffffc0n,
  1n << 40n,
];

/** One of about ten kinds of damage, mostly in the first `hot` bytes, where tables are. */
export function mutate(source: Uint8Array, hot: number, random: () => number): Uint8Array {
  const below = (n: number): number => random() % Math.max(1, n);
  const place = (): number => below(random() % 8 === 0 ? source.length : Math.min(hot, source.length));
  let bytes: Uint8Array = source.slice();
  const splice = (at: number, remove: number, insert: Uint8Array): void => {
    const next = new Uint8Array(Math.max(0, bytes.length - remove) + insert.length);
    next.set(bytes.subarray(0, at));
    next.set(insert, at);
    next.set(bytes.subarray(Math.min(bytes.length, at + remove)), at + insert.length);
    bytes = next;
  };
  for (let n = 1 + below(4); n > 0; n--) {
    const at = Math.min(place(), Math.max(0, bytes.length - 9));
    const room = bytes.length - at;
    if (room < 9) return bytes;
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    switch (below(10)) {
      case 0:
        bytes[at] ^= 1 << below(8);
        break;
      case 1:
        bytes[at] = below(256);
        break;
      case 2:
        view.setBigUint64(at, words64[below(words64.length)], true);
        break;
      case 3:
        view.setUint32(at, below(2) === 0 ? below(64) : Number(words64[below(4)]), true);
        break;
      case 4:
        bytes = bytes.slice(0, at);
        break;
      case 5: {
        const length = Math.min(1 + below(32), room);
        splice(at, length, new Uint8Array(0));
        break;
      }
      case 6: {
        const from = place();
        splice(at, 0, bytes.slice(from, from + 1 + below(64)));
        break;
      }
      case 7: {
        const from = place();
        bytes.copyWithin(at, from, Math.min(from + 8, bytes.length));
        break;
      }
      case 8: {
        // The next number in text becomes another value.
        let digit = at;
        while (digit < Math.min(bytes.length, at + 200) && !(bytes[digit] >= 0x30 && bytes[digit] <= 0x39)) digit++;
        let end = digit;
        while (end < bytes.length && bytes[end] >= 0x30 && bytes[end] <= 0x39) end++;
        if (end > digit) splice(digit, end - digit, new TextEncoder().encode(numbers[below(numbers.length)]));
        break;
      }
      default:
        // Swap two neighbouring bytes: damages keys, braces and lengths alike.
        [bytes[at], bytes[at + 1]] = [bytes[at + 1], bytes[at]];
    }
  }
  return bytes;
}

/** Reads a bit of everything that opening left for later. */
export function touch(c: Checkpoint): void {
  const { tokens, special } = c.tokenizer ?? { tokens: [], special: new Map<string, number>() };
  if (tokens.length > c.config.vocab) throw new Error('more tokens than vocabulary');
  for (const id of special.values())
    if (!(id >= 0 && id < c.config.vocab)) throw new Error('special token outside the vocabulary');
  for (const id of c.stopIds) if (!(id >= 0 && id < c.config.vocab)) throw new Error('stop id outside the vocabulary');
  void c.tokenizer?.merges;
  void c.chatTemplate?.length;
  const { layers, embedding, output, finalNorm } = c.tensors;
  for (const m of [embedding, output]) decodeRows(m, 0, m.rows - 1, 1);
  attempt(() => finalNorm.load());
  for (const layer of layers) {
    for (const w of Object.values(layer)) {
      if ('load' in w) attempt(() => w.load());
      else decodeRows(w, w.experts - 1, w.rows - 1, 1);
    }
  }
}

/** Runs `f`; a GptOssError is an answer, anything else a failure of ours. Returns whether it succeeded. */
export function attempt(f: () => void): boolean {
  try {
    f();
    return true;
  } catch (error) {
    if (!(error instanceof GptOssError) || error.code === 'internal') throw error;
    return false;
  }
}

export interface FuzzResult {
  readonly cases: number;
  readonly opened: number;
  readonly slowestMs: number;
}

const sources = {
  gguf: ggufBytes(),
  folder: tinyFolder(),
  index: new TextEncoder().encode(JSON.stringify({ weight_map: { 'model.norm.weight': 'model.safetensors' } })),
};

/** A small checkpoint with one of its files damaged: GGUF, config.json, tokenizer.json, safetensors, or the index. */
export function damagedCheckpoint(seed: number): Checkpoint {
  const random = seeded(seed);
  const kind = random() % 5;
  if (kind === 0) {
    const bytes = mutate(sources.gguf, 8000, random);
    return openCheckpointIn(memoryFolder('f', new Map([['m.gguf', bytes]])), 'm.gguf');
  }
  const files = new Map(sources.folder);
  if (kind === 4) files.set('model.safetensors.index.json', mutate(sources.index, sources.index.length, random));
  else {
    const name = [...files.keys()][kind - 1];
    const whole = files.get(name)!;
    files.set(name, mutate(whole, name === 'model.safetensors' ? 3000 : whole.length, random));
  }
  return openCheckpointIn(memoryFolder('f', files));
}

/** Opens `cases` damaged checkpoints. A failure names its seed, which alone repeats it. */
export function fuzz(firstSeed: number, cases: number): FuzzResult {
  let opened = 0;
  let slowestMs = 0;
  for (let seed = firstSeed; seed < firstSeed + cases; seed++) {
    const started = performance.now();
    try {
      if (attempt(() => touch(damagedCheckpoint(seed)))) opened++;
    } catch (cause) {
      throw new Error(`seed ${seed} was not handled`, { cause });
    }
    slowestMs = Math.max(slowestMs, performance.now() - started);
  }
  return { cases, opened, slowestMs };
}
