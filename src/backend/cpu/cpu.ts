// The cpu backend: records ops into a flat table, hands it to the native addon once, then one native call per run (per
// segment when the caller wants to pause between them). Weights stay where they lie: files are mapped, only sources
// without a path are copied. Everything here is bookkeeping; shapes are checked by op-shapes.ts, batches by batch.ts,
// arithmetic is in native/. Next: addon.ts, record.ts, native/program.h.

import { GptOssError } from '../../errors.ts';
import { dtypeFacts } from '../../formats/dtypes.ts';
import { printable } from '../../formats/messages.ts';
import { canRound, roundedBytes } from '../../formats/rounded.ts';
import type { ByteSource, Matrix, Vector } from '../../formats/tensor.ts';
import type {
  Backend,
  Batch,
  Buffer,
  BufferSpec,
  CacheSpec,
  KvCache,
  MatrixUse,
  Ops,
  PopulateOptions,
  Precision,
  Program,
  RunOptions,
  Weight,
  WeightKind,
} from '../backend.ts';
import { checkBatch } from '../batch.ts';
import {
  type Addon,
  chooseVariant,
  DTYPES,
  defaultThreads,
  type Handle,
  loadAddon,
  type NativeSession,
  native,
  PROBES,
  type ProbeKind,
} from './addon.ts';
import { encodeBatch } from './batch-code.ts';
import { CpuCache } from './cache.ts';
import { fitsMemory, freeMemory } from './free-memory.ts';
import { CpuBuffer, CpuProgram, CpuWeight, type OpNote, recordProgram } from './record.ts';

export interface CpuOptions {
  readonly precision?: Precision; // default fast
  readonly maxRows?: number; // default 512
  /** Default: one for each physical core. */
  readonly threads?: number;
  /** scalar, avx2, avx512, neon (the best variant of that family), or a variant's full name. */
  readonly isa?: string;
  /** Exactly this variant, of those `cpuVariants()` lists. */
  readonly variant?: string;
  /** `q8`: matrices that every token reads and that lie in the file as plain numbers are rounded to Q8_0. Default `stored`. */
  readonly weights?: WeightKind;
  /** Memory for experts, where not all of the model fits: default what is free, less what the rest needs; 0: none. */
  readonly expertBytes?: number;
  /** Multiply-adds of an op over experts after which a step may pause: tests. Default: 10 ms of two good cores. */
  readonly partMacs?: number;
  /** The addon's file, when it is not where addon.ts looks. */
  readonly addonPath?: string;
}

/** Variants that this machine can run, best first. */
export function cpuVariants(addonPath?: string): readonly string[] {
  return loadAddon(addonPath).machine().isas;
}

const COPY_PIECE = 64 << 20; // bytes
const POPULATE_PIECE = 256 << 20;
const OWN_BYTES = 160 << 20; // this process beside weights and cache: measured 105 to 214 MB with the cache
const PART_MACS = 6e9;
const USABLE_OF_LIMIT = 0.95;
const USABLE_OF_FREE = 0.8; // others may want some of it later

export class CpuBackend implements Backend {
  readonly name = 'cpu';
  readonly precision: Precision;
  readonly description: string;
  readonly maxRows: number;
  readonly threads: number;
  readonly variant: string;
  /** Bytes of weights that were rounded: memory beside the file's pages. */
  roundedBytes = 0;
  /** Bytes of memory in which experts come and go, since the model is larger than memory; 0: all lie in the mapped files. */
  heldBytes = 0;
  #isExpertMemoryChosen = false;
  #cacheBytes = 0;
  readonly #expertBytes: number | undefined;
  readonly #partMacs: number;
  readonly #weights: WeightKind;
  readonly #addon: Addon;
  readonly #session: NativeSession;
  readonly #files = new Map<string, { handle: Handle; size: number }>();
  readonly #copies = new Map<ByteSource, Handle>();
  readonly #running = new Map<Promise<unknown>, number>(); // with their tickets
  #ticket = 0;
  #closed = false;

  constructor(options: CpuOptions = {}) {
    this.#addon = loadAddon(options.addonPath);
    const machine = this.#addon.machine();
    this.precision = options.precision ?? 'fast';
    this.maxRows = options.maxRows ?? 512;
    this.threads = options.threads ?? defaultThreads(machine);
    if (!(Number.isInteger(this.threads) && this.threads >= 1 && this.threads <= 1024)) {
      throw new GptOssError(
        'invalid-request',
        `${this.threads} threads were asked for; expected 1 to 1024; leave the option out for one per core`,
      );
    }
    this.variant = chooseVariant(machine, options.isa, options.variant);
    this.#weights = options.weights ?? 'stored';
    this.#expertBytes = options.expertBytes;
    this.#partMacs = options.partMacs ?? PART_MACS;
    const rounded = this.#weights === 'q8' ? ', 8-bit weights' : '';
    this.description = `${this.variant}, ${this.threads} thread${this.threads === 1 ? '' : 's'}${rounded}`;
    this.#session = native(() =>
      this.#addon.open(this.variant, this.threads, this.maxRows, this.precision === 'exact'),
    );
  }

  matrix(matrix: Matrix, { mayRound = false }: MatrixUse = {}): Weight {
    const { name, dtype, experts, rows, cols, scales } = matrix;
    const fields = Float64Array.of(
      DTYPES.indexOf(dtype),
      ...[experts, rows, cols, this.#bytesOf(matrix.source)],
      ...[matrix.offset, matrix.rowStride, matrix.expertStride, matrix.colStride ?? 0],
      ...(scales === null
        ? [-1, 0, 0, 0]
        : [this.#bytesOf(scales.source), scales.offset, scales.rowStride, scales.expertStride]),
    );
    const isRounded = this.#weights === 'q8' && mayRound && canRound(matrix);
    const { groupBytes, groupValues } = dtypeFacts[isRounded ? 'q8_0' : dtype];
    const bits = (8 * (groupBytes + (dtype === 'mxfp4-split' ? 1 : 0))) / groupValues;
    if (isRounded) this.roundedBytes += roundedBytes(matrix);
    const ticket = isRounded ? ++this.#ticket : 0;
    return new CpuWeight(
      this,
      name,
      [experts, rows, cols],
      bits,
      native(() => this.#addon.matrix(this.#session, fields, ticket)),
    );
  }

  /** The native bytes of a source: its file, mapped, or a copy of what is only in memory. */
  #bytesOf(source: ByteSource): Handle {
    if (source.path !== null) return this.#fileOf(source, source.path);
    let handle = this.#copies.get(source);
    if (handle !== undefined) return handle;
    handle = native(() => this.#addon.bytes(this.#session, source.size));
    for (let offset = 0; offset < source.size; offset += COPY_PIECE) {
      const piece = source.read(offset, Math.min(COPY_PIECE, source.size - offset));
      native(() => this.#addon.fill(this.#session, handle!, offset, piece));
    }
    this.#copies.set(source, handle);
    return handle;
  }

  #fileOf(source: ByteSource, path: string): Handle {
    let file = this.#files.get(path);
    if (file === undefined) {
      const handle = native(() => this.#addon.file(this.#session, path));
      file = { handle, size: native(() => this.#addon.size(this.#session, handle)) };
      this.#files.set(path, file);
    }
    if (file.size !== source.size) {
      throw new GptOssError(
        'bad-checkpoint',
        `${source.name} has ${file.size} bytes now; expected ${source.size} as when it was opened; do not change a model in use`,
      );
    }
    return file.handle;
  }

  vector(vector: Vector): Weight {
    const { name, shape } = vector;
    const cols = shape[shape.length - 1];
    const experts = shape.length > 1 ? shape[0] : 1;
    const values = vector.load();
    if (values.length !== experts * cols) {
      throw new GptOssError(
        'bad-checkpoint',
        `${name} holds ${values.length} values; its shape needs ${experts * cols}; use an intact file`,
      );
    }
    return new CpuWeight(
      this,
      name,
      [experts, 1, cols],
      32,
      native(() => this.#addon.vector(this.#session, values)),
    );
  }

  buffer(spec: BufferSpec): Buffer {
    const rows = Math.min(this.maxRows, spec.maxRows ?? this.maxRows);
    const integers = spec.type === 'i32';
    const scored = spec.rows === 'scored';
    const handle = native(() => this.#addon.buffer(this.#session, spec.width, integers, scored, rows));
    return new CpuBuffer(this, spec, rows, handle);
  }

  cache(spec: CacheSpec): KvCache {
    const cache = new CpuCache(this, this.#addon, this.#session, spec);
    this.#cacheBytes += spec.fullPages * cache.pageBytes('full') + spec.slidingPages * cache.pageBytes('sliding');
    return cache;
  }

  record(fn: (ops: Ops) => void): Program {
    const program = recordProgram(this, this.#addon, this.#session, this.#partMacs, fn);
    if (!this.#isExpertMemoryChosen && program.notes.some(({ op }) => op === 'moeDown')) {
      this.#isExpertMemoryChosen = true;
      const bytes = this.#expertBytes ?? this.#memoryForExperts(program.notes);
      if (bytes > 0) this.heldBytes = native(() => this.#addon.holdExperts(this.#session, program.handle, bytes));
    }
    return program;
  }

  /** 0 where the whole model fits. What every token reads stays in the page cache and needs its room there. */
  #memoryForExperts(notes: readonly OpNote[]): number {
    const { bytes, limit } = freeMemory();
    if (fitsMemory(this.mappedBytes, bytes)) return 0;
    const dense = notes.reduce((sum, { op, weightBytes }) => sum + (op === 'linear' ? weightBytes : 0), 0);
    const usable = bytes === limit ? USABLE_OF_LIMIT : USABLE_OF_FREE;
    return Math.max(0, Math.floor(usable * bytes - dense - this.#cacheBytes - OWN_BYTES));
  }

  async run(program: Program, batch: Batch, options: RunOptions = {}): Promise<void> {
    if (!(program instanceof CpuProgram) || program.owner !== this) {
      throw new GptOssError('internal', 'a program of another backend was run; record it on this one');
    }
    this.#expectOpen();
    checkBatch(batch, program.facts, this.maxRows);
    const { signal, pause } = options;
    const code = encodeBatch(batch);
    const { segments } = program;
    const stride = pause === undefined ? Math.max(1, segments) : 1;
    for (let from = 0; from < segments; from += stride) {
      if (signal?.aborted) throw aborted(signal);
      const to = Math.min(segments, from + stride);
      const finished = await this.#team(
        (ticket) => this.#addon.run(this.#session, program.handle, from, to, code, ticket),
        signal,
      );
      if (!finished) throw aborted(signal);
      if (pause !== undefined && to < segments) await pause(to, segments);
    }
  }

  /** Starts work on the native threads and waits for it; the signal cancels it. */
  async #team<T>(start: (ticket: number) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const ticket = ++this.#ticket;
    const cancel = (): void => this.#addon.cancel(this.#session, ticket);
    const work = native(() => start(ticket));
    this.#running.set(work, ticket);
    signal?.addEventListener('abort', cancel, { once: true });
    try {
      const result = await work;
      this.#expectWholeFiles();
      return result;
    } finally {
      signal?.removeEventListener('abort', cancel);
      this.#running.delete(work);
    }
  }

  read(buffer: Buffer, firstRow: number, rowCount: number): Float32Array | Int32Array {
    const { handle } = this.#rowsOf(buffer, firstRow, rowCount);
    return native(() => this.#addon.read(this.#session, handle, firstRow, rowCount));
  }

  write(buffer: Buffer, firstRow: number, data: Float32Array | Int32Array): void {
    const { handle } = this.#rowsOf(buffer, firstRow, data.length / buffer.width);
    native(() => this.#addon.write(this.#session, handle, firstRow, data));
  }

  #rowsOf(buffer: Buffer, firstRow: number, rowCount: number): CpuBuffer {
    this.#expectOpen();
    if (!(buffer instanceof CpuBuffer) || buffer.owner !== this) {
      throw new GptOssError('internal', `${buffer.name} is a buffer of another backend; make it on this one`);
    }
    const whole = Number.isInteger(firstRow) && Number.isInteger(rowCount);
    if (!whole || firstRow < 0 || rowCount < 0 || firstRow + rowCount > buffer.maxRows) {
      throw new GptOssError(
        'internal',
        `rows ${firstRow} to ${firstRow + rowCount} of ${buffer.name} were asked for; it has ${buffer.maxRows} whole rows`,
      );
    }
    return buffer;
  }

  /** Bytes of weights that are mapped from files. */
  get mappedBytes(): number {
    let bytes = 0;
    for (const { size } of this.#files.values()) bytes += size;
    return bytes;
  }

  /** Brings all mapped files into memory with all threads, so that the first step does not wait for single pages. */
  async populate(options: PopulateOptions = {}): Promise<void> {
    await this.#walkFiles(0, options);
  }

  /** Loads every byte of the mapped files, as weights are: bytes per second of this very memory. On virtual machines it differs
   *  from one part to the next, and from what `probe('read')` measures in memory of its own. */
  async readSpeed(signal?: AbortSignal): Promise<number> {
    const start = performance.now();
    await this.#walkFiles(1, { signal });
    return (this.mappedBytes * 1000) / (performance.now() - start);
  }

  async #walkFiles(reads: 0 | 1, options: PopulateOptions): Promise<void> {
    this.#expectOpen();
    const total = this.mappedBytes;
    let done = 0;
    for (const { handle, size } of this.#files.values()) {
      for (let offset = 0; offset < size; offset += POPULATE_PIECE) {
        if (options.signal?.aborted) throw aborted(options.signal);
        const length = Math.min(POPULATE_PIECE, size - offset);
        await this.#team(
          (ticket) => this.#addon.populate(this.#session, handle, offset, length, ticket, reads),
          options.signal,
        );
        done += length;
        options.progress?.(done, total);
      }
    }
  }

  /** What the machine can do at best, per second: bytes read, multiply-adds, or barriers. 0: not with this variant. */
  async probe(kind: ProbeKind, threads = this.threads): Promise<number> {
    this.#expectOpen();
    return this.#team(() => this.#addon.probe(this.#session, PROBES.indexOf(kind), threads));
  }

  /** Milliseconds spent in each op of a program, over all its runs. */
  profile(program: Program): readonly (OpNote & { readonly ms: number })[] {
    if (!(program instanceof CpuProgram) || program.owner !== this) return [];
    const times = native(() => this.#addon.times(this.#session, program.handle));
    return program.notes.map((note, i) => ({ ...note, ms: times[i] }));
  }

  #expectOpen(): void {
    if (this.#closed) throw new GptOssError('internal', 'the cpu backend is closed; make a new one');
  }

  /** Files may change under a mapping; then results are worth nothing (native/file_guard.h). */
  #expectWholeFiles(): void {
    const lost = this.#addon.lost(this.#session);
    if (lost < 0) return;
    const path = [...this.#files].find(([, { handle }]) => handle === lost)?.[0] ?? 'a model file';
    throw new GptOssError(
      'bad-checkpoint',
      `${printable(path)} lost pages while it was in use (cut short by another program, or its disk fails); expected it to stay as it was; check the file, then open the model again`,
    );
  }

  async close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true;
      for (const ticket of this.#running.values()) this.#addon.cancel(this.#session, ticket);
    }
    await Promise.allSettled(this.#running.keys());
    this.#addon.close(this.#session);
  }
}

function aborted(signal: AbortSignal | undefined): GptOssError {
  return new GptOssError('aborted', 'the step was stopped before its end by the caller', { cause: signal?.reason });
}
