// Golden files for the model suites: expected tensors by name, and a sequence that runs on a lane with pages in random
// order. Only tests import this. Next: model.case.ts.

import { type Batch, type KvCache, type KvType, tolerances } from '../backend/backend.ts';
import { Random } from '../backend/random-matrix.testing.ts';
import { PageTables } from '../backend/scenario.testing.ts';
import { openFile } from '../formats/file.node.ts';
import { entryIntegers, entryValues, readSafetensors } from '../formats/safetensors.ts';
import type { Lane, Model } from './load.ts';

/** float and I32 tensors of a safetensors file of expectations. */
export class Expected {
  readonly #floats = new Map<string, Float32Array>();
  readonly #integers = new Map<string, Int32Array>();

  constructor(path: string) {
    const source = openFile(path);
    for (const entry of readSafetensors(source).entries) {
      if (entry.dtype === 'I32') this.#integers.set(entry.name, entryIntegers(entry));
      else this.#floats.set(entry.name, entryValues(entry));
    }
    source.close();
  }

  floats(name: string): Float32Array {
    const found = this.#floats.get(name);
    if (found === undefined) throw new Error(`no expectation ${name}`);
    return found;
  }

  integers(name: string): Int32Array {
    const found = this.#integers.get(name);
    if (found === undefined) throw new Error(`no expectation ${name}`);
    return found;
  }
}

/** Largest |logit difference| that the contract allows on the mini fixtures. */
export function logitTolerance(backend: string): number {
  return backend === 'reference' ? 1e-4 : tolerances.exact.logits;
}

export function largestDifference(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY;
  let worst = 0;
  for (let i = 0; i < actual.length; i++) {
    const difference = Math.abs(actual[i] - expected[i]);
    worst = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : Math.max(worst, difference);
  }
  return worst;
}

export function argmax(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
}

/** Room for `tokens` tokens in each group. */
export function testCache(model: Model, tokens: number, type: KvType = 'f32', pageTokens = 16): KvCache {
  const pages = Math.ceil(tokens / pageTokens) + 1;
  return model.cache({ pageTokens, fullPages: pages, slidingPages: pages, type });
}

/** Sequences by number over one cache, pages in random order. */
export class TestSequences {
  readonly #model: Model;
  readonly #tables: PageTables;
  readonly #lengths = new Map<number, number>();

  constructor(model: Model, cache: KvCache, seed = 1) {
    this.#model = model;
    this.#tables = new PageTables(cache.spec, new Random(seed));
  }

  /** A step that appends tokens to sequences; `scored`: every row, or the last of each sequence. */
  batch(parts: readonly (readonly [sequence: number, tokens: ArrayLike<number>])[], scored: 'all' | 'last'): Batch {
    const all = parts.flatMap(([, tokens]) => Array.from(tokens));
    const steps = parts.map(([sequence, tokens]) => {
      const position = this.#lengths.get(sequence) ?? 0;
      this.#lengths.set(sequence, position + tokens.length);
      return [sequence, position, tokens.length] as const;
    });
    const sequences = this.#tables.step(steps, this.#model.slidingWindow);
    const last = sequences.map(({ firstRow, rowCount }) => firstRow + rowCount - 1);
    return {
      tokens: Int32Array.from(all),
      sequences,
      scored: Int32Array.from(scored === 'all' ? all.keys() : last),
    };
  }
}

/** Appends tokens to sequence 0; logits of every row, [rows, vocab]. */
export async function score(lane: Lane, sequences: TestSequences, tokens: ArrayLike<number>): Promise<Float32Array> {
  const batch = sequences.batch([[0, tokens]], 'all');
  await lane.run(batch);
  const rows = Array.from(batch.scored, (_, i) => lane.logits(i));
  const all = new Float32Array(rows.length * rows[0].length);
  for (const [i, row] of rows.entries()) all.set(row, i * row.length);
  return all;
}

/** Greedy continuation of sequence 0 after `prompt`. */
export async function greedy(
  lane: Lane,
  sequences: TestSequences,
  prompt: ArrayLike<number>,
  count: number,
  stopIds: readonly number[] = [],
): Promise<number[]> {
  await lane.run(sequences.batch([[0, prompt]], 'last'));
  const ids = [argmax(lane.logits(0))];
  while (ids.length < count && !stopIds.includes(ids[ids.length - 1])) {
    await lane.run(sequences.batch([[0, [ids[ids.length - 1]]]], 'last'));
    ids.push(argmax(lane.logits(0)));
  }
  return ids;
}
