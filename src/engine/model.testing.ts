// A scripted model for tests of the engine. Its "keys and values" are a running hash of the tokens before a position,
// so it can tell whether every position a step relies on was really written to the pages it is given, for these very
// tokens, in both groups; a paging bug becomes an error at once. Logits are a function of that hash and nothing else,
// so equal tokens give equal logits however they were batched, chunked, shared or restored.
// Sliding slots also say for how many layers their keys are right: a layer's keys are right when those of the layer
// below were right over a whole window. Tokens that run again only to fill sliding layers (SequenceRows.fullFrom) may rest
// on wrong ones; all others must not.

import type { Batch, KvCache, RunOptions, SequenceRows } from '../backend/backend.ts';
import { GptOssError } from '../errors.ts';
import type { Lane, StepModel } from './step-model.ts';

const EMPTY = -1; // hashes are 0 … 2^32-1
const START = 0x9e3779b9;

/** The hash after one more token. */
export function nextHash(hash: number, token: number): number {
  let h = Math.imul(hash ^ (token + 0x7f4a7c15), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** What the fake model says after these tokens: logits between -4 and 4. */
export function fakeLogits(tokens: ArrayLike<number>, vocab: number): Float32Array {
  let hash = START;
  for (let i = 0; i < tokens.length; i++) hash = nextHash(hash, tokens[i]);
  return logitsOf(hash, vocab);
}

function logitsOf(hash: number, vocab: number): Float32Array {
  const row = new Float32Array(vocab);
  let h = hash;
  for (let v = 0; v < vocab; v++) {
    h = nextHash(h, v);
    row[v] = (h / 2 ** 32) * 8 - 4;
  }
  return row;
}

type Group = 'full' | 'sliding';
const SLOT = 3; // hash before its token, hash after it, sliding layers whose keys are right

export class FakeCache implements KvCache {
  readonly spec: KvCache['spec'];
  readonly #slots: Record<Group, Float64Array>; // [pages][pageTokens][SLOT]
  copies = 0;
  isClosed = false;

  constructor(spec: KvCache['spec']) {
    this.spec = spec;
    this.#slots = {
      full: new Float64Array(spec.fullPages * spec.pageTokens * SLOT).fill(EMPTY),
      sliding: new Float64Array(spec.slidingPages * spec.pageTokens * SLOT).fill(EMPTY),
    };
  }

  #page(group: Group, page: number): Float64Array {
    const size = this.spec.pageTokens * SLOT;
    const slots = this.#slots[group];
    if (!(page >= 0 && page * size < slots.length)) throw new GptOssError('internal', `no ${group} page ${page}`);
    return slots.subarray(page * size, (page + 1) * size);
  }

  pageBytes(): number {
    return this.spec.pageTokens * SLOT * 8;
  }

  copyPage(group: Group, from: number, to: number): void {
    this.copies++;
    this.#page(group, to).set(this.#page(group, from));
  }

  readPage(group: Group, page: number): Uint8Array {
    return new Uint8Array(this.#page(group, page).slice().buffer);
  }

  writePage(group: Group, page: number, bytes: Uint8Array): void {
    this.#page(group, page).set(new Float64Array(bytes.slice().buffer));
  }

  close(): void {
    this.isClosed = true;
  }

  #slot(group: Group, pages: Int32Array, position: number): Float64Array {
    const size = this.spec.pageTokens;
    const page = this.#page(group, pages[Math.floor(position / size)]);
    return page.subarray((position % size) * SLOT, (position % size) * SLOT + SLOT);
  }

  write(group: Group, pages: Int32Array, position: number, before: number, after: number, right: number): void {
    this.#slot(group, pages, position).set([before, after, right]);
  }

  /** Runs the rows of one sequence; returns the hash after each, and throws when a row rests on what is not there. */
  step(rows: Omit<SequenceRows, 'firstRow'>, tokens: Int32Array, window: number, layers: number): number[] {
    const { rowCount, position, fullPages, slidingPages, fullFrom = 0 } = rows;
    const hashes = [START]; // before each position
    const follow = (p: number): void => {
      const [before, after] = this.#slot('full', fullPages, p);
      if (before !== hashes[p]) throw new GptOssError('internal', `full position ${p} holds something else`);
      hashes.push(after);
    };
    for (let p = 0; p < position; p++) follow(p);
    for (let p = position; p < position + rowCount; p++) {
      const after = nextHash(hashes[p], tokens[p - position]);
      if (p < fullFrom) {
        follow(p);
        if (hashes[p + 1] !== after) throw new GptOssError('internal', `full position ${p} is of another token`);
      } else {
        this.write('full', fullPages, p, hashes[p], after, layers);
        hashes.push(after);
      }
      let right = layers; // layers whose keys are right at every position the window reaches before this one
      for (let q = Math.max(0, p - window + 1); q < p; q++) {
        const [before, then, depth] = this.#slot('sliding', slidingPages, q);
        right = Math.min(right, before === hashes[q] && then === hashes[q + 1] ? depth : 0);
      }
      if (p >= fullFrom && right < layers) {
        throw new GptOssError('internal', `position ${p} rests on sliding keys that are right in ${right} layers only`);
      }
      this.write('sliding', slidingPages, p, hashes[p], after, Math.min(layers, right + 1));
    }
    return hashes.slice(position + 1);
  }

  /** What an aborted step leaves behind. */
  poison({ rowCount, position, fullPages, slidingPages, fullFrom = 0 }: Omit<SequenceRows, 'firstRow'>): void {
    for (let p = position; p < position + rowCount; p++) {
      if (p >= fullFrom) this.write('full', fullPages, p, EMPTY, EMPTY, 0);
      this.write('sliding', slidingPages, p, EMPTY, EMPTY, 0);
    }
  }
}

/** What a row left behind: the hash of all tokens up to it, and how many they are. */
interface Row {
  readonly hash: number;
  readonly length: number;
}

export interface FakeStep {
  readonly rows: number;
  readonly sequences: number;
  readonly scored: number;
}

export interface FakeOptions {
  readonly vocab?: number;
  readonly maxContext?: number;
  readonly slidingWindow?: number;
  readonly slidingLayers?: number;
  readonly maxRows?: number;
  /** Segments of a step: places where it may pause or be aborted. */
  readonly segments?: number;
  /** Called before each segment with its number; may throw or wait. */
  readonly beforeSegment?: (segment: number, batch: Batch) => void | Promise<void>;
  /** The token to say after `length` tokens; undefined: what the hash says. */
  readonly script?: (length: number) => number | undefined;
}

export class FakeModel implements StepModel {
  readonly vocab: number;
  readonly maxContext: number;
  readonly slidingWindow: number;
  readonly slidingLayers: number;
  readonly maxRows: number;
  readonly steps: FakeStep[] = [];
  cacheMade: FakeCache | null = null;
  isClosed = false;
  running = 0; // programs on the device now; more than one is an error unless the others are paused
  readonly options: FakeOptions;

  constructor(options: FakeOptions = {}) {
    this.options = options;
    this.vocab = options.vocab ?? 50;
    this.maxContext = options.maxContext ?? 4096;
    this.slidingWindow = options.slidingWindow ?? 6;
    this.slidingLayers = options.slidingLayers ?? 2;
    this.maxRows = options.maxRows ?? 64;
  }

  /** Prompt and decode rows run so far. */
  get rows(): number {
    return this.steps.reduce((sum, step) => sum + step.rows, 0);
  }

  cache(spec: Parameters<StepModel['cache']>[0]): FakeCache {
    this.cacheMade = new FakeCache({
      ...spec,
      layers: [{ sliding: true }, { sliding: false }],
      kvHeads: 1,
      headDim: 2,
    });
    return this.cacheMade;
  }

  lane(spec: { rows: number; scored: number }, cache: KvCache): Lane {
    let rows: readonly Row[] = [];
    const owned = cache as FakeCache;
    return {
      run: async (batch, options = {}) => {
        if (batch.tokens.length > spec.rows || batch.scored.length > spec.scored) {
          throw new GptOssError('internal', `a step of ${batch.tokens.length} rows on a lane for ${spec.rows}`);
        }
        this.steps.push({
          rows: batch.tokens.length,
          sequences: batch.sequences.length,
          scored: batch.scored.length,
        });
        rows = await this.#run(batch, owned, options);
      },
      logits: (row) => {
        const logits = logitsOf(rows[row].hash, this.vocab);
        const said = this.options.script?.(rows[row].length);
        if (said !== undefined) logits[said] = 1000;
        return logits;
      },
    };
  }

  async #run(batch: Batch, cache: FakeCache, options: RunOptions): Promise<readonly Row[]> {
    if (this.running > 0) throw new GptOssError('internal', 'two programs at once');
    const after = this.#forward(batch, cache);
    const segments = this.options.segments ?? 1;
    for (let segment = 0; segment < segments; segment++) {
      this.running++;
      try {
        await this.options.beforeSegment?.(segment, batch);
      } finally {
        this.running--;
      }
      if (options.signal?.aborted) {
        for (const rows of batch.sequences) cache.poison(rows);
        throw new GptOssError('aborted', 'the step was aborted; expected it to run on; nothing to do');
      }
      if (segment + 1 < segments) await options.pause?.(segment + 1, segments);
    }
    return Array.from(batch.scored, (row) => after[row]);
  }

  #forward(batch: Batch, cache: FakeCache): Row[] {
    const after: Row[] = [];
    const written = new Set<number>();
    const size = cache.spec.pageTokens;
    for (const rows of batch.sequences) {
      const { firstRow, rowCount, position, fullPages, fullFrom = 0 } = rows;
      const tokens = batch.tokens.subarray(firstRow, firstRow + rowCount);
      const hashes = cache.step(rows, tokens, this.slidingWindow, this.slidingLayers);
      for (const [i, hash] of hashes.entries()) after.push({ hash, length: position + i + 1 });
      for (let i = Math.floor(Math.max(position, fullFrom) / size); i * size < position + rowCount; i++) {
        if (written.has(fullPages[i])) throw new GptOssError('internal', 'two sequences write one page');
        written.add(fullPages[i]);
      }
    }
    return after;
  }

  async close(): Promise<void> {
    this.isClosed = true;
  }
}
