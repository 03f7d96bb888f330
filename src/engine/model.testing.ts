// A scripted model for tests of the engine. Its "keys and values" are a running hash of the tokens before a position,
// so it can tell whether every position a step relies on was really written to the pages it is given, for these very
// tokens, in both groups; a paging bug becomes an error at once. Logits are a function of that hash and nothing else,
// so equal tokens give equal logits however they were batched, chunked, shared or restored.

import type { Batch, KvCache, RunOptions } from '../backend/backend.ts';
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

/** Each slot holds the hash before and after its token. */
export class FakeCache implements KvCache {
  readonly spec: KvCache['spec'];
  readonly #slots: Record<'full' | 'sliding', Float64Array>; // [pages][pageTokens][before, after]
  copies = 0;
  isClosed = false;

  constructor(spec: KvCache['spec']) {
    this.spec = spec;
    this.#slots = {
      full: new Float64Array(spec.fullPages * spec.pageTokens * 2).fill(EMPTY),
      sliding: new Float64Array(spec.slidingPages * spec.pageTokens * 2).fill(EMPTY),
    };
  }

  #page(group: 'full' | 'sliding', page: number): Float64Array {
    const size = this.spec.pageTokens * 2;
    const slots = this.#slots[group];
    if (!(page >= 0 && page * size < slots.length)) throw new GptOssError('internal', `no ${group} page ${page}`);
    return slots.subarray(page * size, (page + 1) * size);
  }

  pageBytes(): number {
    return this.spec.pageTokens * 16;
  }

  copyPage(group: 'full' | 'sliding', from: number, to: number): void {
    this.copies++;
    this.#page(group, to).set(this.#page(group, from));
  }

  readPage(group: 'full' | 'sliding', page: number): Uint8Array {
    return new Uint8Array(this.#page(group, page).slice().buffer);
  }

  writePage(group: 'full' | 'sliding', page: number, bytes: Uint8Array): void {
    this.#page(group, page).set(new Float64Array(bytes.slice().buffer));
  }

  close(): void {
    this.isClosed = true;
  }

  write(group: 'full' | 'sliding', pages: Int32Array, position: number, before: number, after: number): void {
    const size = this.spec.pageTokens;
    const page = this.#page(group, pages[Math.floor(position / size)]);
    page[(position % size) * 2] = before;
    page[(position % size) * 2 + 1] = after;
  }

  /** The hash after `position`, checked to follow `before`. */
  follow(group: 'full' | 'sliding', pages: Int32Array, position: number, before: number | null): number {
    const size = this.spec.pageTokens;
    const page = this.#page(group, pages[Math.floor(position / size)]);
    const [left, right] = [page[(position % size) * 2], page[(position % size) * 2 + 1]];
    if (right === EMPTY || (before !== null && left !== before)) {
      throw new GptOssError('internal', `${group} position ${position} does not hold what the sequence computed there`);
    }
    return right;
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
    const written = new Set<number>();
    const after = this.#forward(batch, cache, written);
    const segments = this.options.segments ?? 1;
    for (let segment = 0; segment < segments; segment++) {
      this.running++;
      try {
        await this.options.beforeSegment?.(segment, batch);
      } finally {
        this.running--;
      }
      if (options.signal?.aborted) {
        this.#poison(batch, cache);
        throw new GptOssError('aborted', 'the step was aborted; expected it to run on; nothing to do');
      }
      if (segment + 1 < segments) await options.pause?.(segment + 1, segments);
    }
    return Array.from(batch.scored, (row) => after[row]);
  }

  #forward(batch: Batch, cache: FakeCache, written: Set<number>): Row[] {
    const after: Row[] = [];
    const size = cache.spec.pageTokens;
    for (const { firstRow, rowCount, position, fullPages, slidingPages } of batch.sequences) {
      let hash = START;
      for (let p = 0; p < position; p++) hash = cache.follow('full', fullPages, p, hash);
      let sliding: number | null = null;
      const first = Math.max(0, position - this.slidingWindow + 1);
      for (let p = first; p < position; p++) sliding = cache.follow('sliding', slidingPages, p, sliding);
      if (sliding !== null && sliding !== hash) throw new GptOssError('internal', 'the two groups disagree');
      for (let i = 0; i < rowCount; i++) {
        const token = batch.tokens[firstRow + i];
        const next = nextHash(hash, token);
        cache.write('full', fullPages, position + i, hash, next);
        cache.write('sliding', slidingPages, position + i, hash, next);
        hash = next;
        after.push({ hash, length: position + i + 1 });
      }
      for (let i = Math.floor(position / size); i * size < position + rowCount; i++) {
        if (written.has(fullPages[i])) throw new GptOssError('internal', 'two sequences write one page');
        written.add(fullPages[i]);
      }
    }
    return after;
  }

  #poison(batch: Batch, cache: FakeCache): void {
    for (const { rowCount, position, fullPages, slidingPages } of batch.sequences) {
      for (let i = 0; i < rowCount; i++) {
        cache.write('full', fullPages, position + i, EMPTY, EMPTY);
        cache.write('sliding', slidingPages, position + i, EMPTY, EMPTY);
      }
    }
  }

  async close(): Promise<void> {
    this.isClosed = true;
  }
}
