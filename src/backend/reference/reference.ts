// The reference backend: plain TypeScript, the definition of every op that the other backends are tested against, and
// what runs when there is no native code. Storage is float32 (or float64 on request), sums are float64, the order of
// every sum is fixed per row, so results never depend on company, chunks or pages. Works in a browser.
// It is meant for tiny models and single ops; large weights are decoded over and over. Next: rows.ts, linear.ts,
// attention.ts, moe.ts; quantise.ts for what `precision: 'fast'` emulates.

import { GptOssError } from '../../errors.ts';
import type { Matrix, Vector } from '../../formats/tensor.ts';
import type {
  Backend,
  Batch,
  Buffer,
  BufferSpec,
  CacheSpec,
  KvCache,
  Ops,
  Precision,
  Program,
  RunOptions,
  Weight,
} from '../backend.ts';
import { checkBatch } from '../batch.ts';
import { checkedOps, type ProgramFacts } from '../op-shapes.ts';
import { attention } from './attention.ts';
import { ReferenceCache } from './kv.ts';
import { linear } from './linear.ts';
import { moeDown, moeUp } from './moe.ts';
import { ReferenceParameter } from './parameter.ts';
import { quantiseActivations } from './quantise.ts';
import { embed, gatherRows, rmsNorm, ropeCache, route } from './rows.ts';
import {
  type Floats,
  type FloatsConstructor,
  type MatrixTiles,
  ReferenceBuffer,
  ReferenceMatrix,
  ReferenceVector,
  TilePool,
} from './storage.ts';

export interface ReferenceOptions {
  readonly maxRows?: number; // default 512
  /** `fast` rounds activations as the cpu backend's fast path does; arithmetic stays float. */
  readonly precision?: Precision;
  /** Float64Array for checks of gradients and of float32 rounding. */
  readonly floats?: FloatsConstructor;
  /** Bytes that decoded matrices may take; beyond that the oldest are decoded again when needed. */
  readonly decodedBytes?: number;
}

export type Step = (batch: Batch) => void;

class ReferenceProgram implements Program {
  readonly steps: readonly (readonly Step[])[]; // by segment
  readonly facts: ProgramFacts;
  constructor(steps: readonly (readonly Step[])[], facts: ProgramFacts) {
    this.steps = steps;
    this.facts = facts;
  }
  get segments(): number {
    return this.steps.length;
  }
}

const YIELD_MS = 25; // longest stretch that keeps timers and streams of the host waiting

export class ReferenceBackend implements Backend {
  readonly name = 'reference';
  readonly precision: Precision;
  readonly description: string;
  readonly maxRows: number;
  protected readonly floats: FloatsConstructor;
  readonly #tiles: TilePool;
  readonly #running = new Set<Program>();
  /** Rounded activations of `fast`; grows to the largest operand. */
  #rounded: Floats;

  constructor(options: ReferenceOptions = {}) {
    this.maxRows = options.maxRows ?? 512;
    this.precision = options.precision ?? 'exact';
    this.floats = options.floats ?? Float32Array;
    this.#tiles = new TilePool(options.decodedBytes ?? 1 << 30);
    this.#rounded = new this.floats(0);
    const bits = this.floats === Float32Array ? 32 : 64;
    this.description = `plain TypeScript, float${bits}${this.precision === 'fast' ? ', 8/16-bit activations emulated' : ''}`;
  }

  matrix(matrix: Matrix): Weight {
    return new ReferenceMatrix(matrix, this.#tiles);
  }

  vector(vector: Vector): Weight {
    return new ReferenceVector(vector);
  }

  buffer(spec: BufferSpec): Buffer {
    return new ReferenceBuffer(spec, this.maxRows, this.floats);
  }

  cache(spec: CacheSpec): KvCache {
    return new ReferenceCache(spec, this.floats);
  }

  record(fn: (ops: Ops) => void): Program {
    return this.recordWith((ops) => fn(ops));
  }

  /** `push` appends what a further op does: how the trainer adds its own (trainer.ts). */
  protected recordWith(fn: (ops: Ops, push: (step: Step) => void, facts: ProgramFacts) => void): Program {
    const segments: Step[][] = [[]];
    const push = (step: Step): void => {
      segments[segments.length - 1].push(step);
    };
    const { ops, facts } = checkedOps(this.#recorder(segments, push));
    fn(ops, push, facts);
    if (segments[segments.length - 1].length === 0) segments.pop();
    return new ReferenceProgram(segments, facts);
  }

  #recorder(segments: Step[][], push: (step: Step) => void): Ops {
    return {
      segment: () => {
        segments.push([]);
      },
      embed: (y, table) => {
        const [to, from] = [bufferOf(y), matrixOf(table)];
        push((batch) => embed(to, from, batch.tokens));
      },
      rmsNorm: (y, x, gain, eps) => {
        const [to, from, gains] = [bufferOf(y).floats, bufferOf(x).floats, vectorOf(gain)];
        push((batch) => rmsNorm(to, from, gains, rowsOf(batch, y), y.width, eps));
      },
      linear: (y, x, w, bias, options) => {
        const [to, from, weight] = [bufferOf(y).floats, bufferOf(x).floats, matrixOf(w)];
        const biases = bias === null ? null : vectorOf(bias);
        const add = options?.add ?? false;
        push((batch) => {
          const rows = rowsOf(batch, x);
          linear(to, this.#activations(weight, from, x.width, rows), rows, weight, biases, add);
        });
      },
      ropeCache: (q, k, v, rope, cache, layer) => {
        const [qs, ks, vs, kv] = [bufferOf(q), bufferOf(k), bufferOf(v), cacheOf(cache)];
        push((batch) => ropeCache(qs, ks, vs, rope, kv, layer, batch));
      },
      attention: (y, q, cache, layer, sinks, window) => {
        const [to, qs, kv, sinkLogits] = [bufferOf(y), bufferOf(q), cacheOf(cache), vectorOf(sinks)];
        push((batch) => attention(to, qs, kv, layer, sinkLogits, window, batch));
      },
      route: (ids, gates, logits, layer) => {
        const [chosen, weights, from] = [bufferOf(ids).ints, bufferOf(gates).floats, bufferOf(logits).floats];
        const k = ids.width;
        push((batch) => {
          const rows = batch.tokens.length;
          const forced = batch.expertIds?.subarray(layer * rows * k, (layer + 1) * rows * k) ?? null;
          route(chosen, weights, from, rows, logits.width, k, forced);
        });
      },
      moeUp: (h, x, ids, weights, alpha, limit) => {
        const [to, from, chosen] = [bufferOf(h).floats, bufferOf(x).floats, bufferOf(ids).ints];
        const [gate, up] = [matrixOf(weights.gate), matrixOf(weights.up)];
        const all = { gate, up, gateBias: vectorOf(weights.gateBias), upBias: vectorOf(weights.upBias) };
        push((batch) => {
          const rows = batch.tokens.length;
          const rounded = this.#activations(gate, from, x.width, rows);
          moeUp(to, rounded, chosen, rows, ids.width, all, alpha, limit);
        });
      },
      moeDown: (y, h, ids, gates, down, downBias) => {
        const [to, from, chosen, weights] = [
          bufferOf(y).floats,
          bufferOf(h).floats,
          bufferOf(ids).ints,
          bufferOf(gates).floats,
        ];
        const [matrix, biases] = [matrixOf(down), vectorOf(downBias)];
        push((batch) => {
          const rows = batch.tokens.length;
          const rounded = this.#activations(matrix, from, matrix.cols, rows * ids.width);
          moeDown(to, rounded, chosen, weights, rows, ids.width, matrix, biases);
        });
      },
      gatherRows: (y, x) => {
        const [to, from] = [bufferOf(y), bufferOf(x)];
        push((batch) => gatherRows(to, from, batch.scored));
      },
    };
  }

  /** x as the matmul against this weight sees it: itself, or rounded as `fast` would. */
  #activations(weight: MatrixTiles, x: Floats, width: number, count: number): Floats {
    if (this.precision === 'exact') return x;
    if (this.#rounded.length < width * count) this.#rounded = new this.floats(width * count);
    quantiseActivations(weight.dtype, x, this.#rounded, width, count);
    return this.#rounded;
  }

  async run(program: Program, batch: Batch, options: RunOptions = {}): Promise<void> {
    if (!(program instanceof ReferenceProgram)) throw foreign('program');
    checkBatch(batch, program.facts, this.maxRows);
    if (this.#running.has(program)) {
      throw new GptOssError('internal', 'a program was run again before its last step had ended; queue the steps');
    }
    this.#running.add(program);
    try {
      await this.#runSegments(program, batch, options);
    } finally {
      this.#running.delete(program);
    }
  }

  async #runSegments(program: ReferenceProgram, batch: Batch, { signal, pause }: RunOptions): Promise<void> {
    let yielded = performance.now();
    for (const [index, segment] of program.steps.entries()) {
      if (signal?.aborted) {
        throw new GptOssError('aborted', 'the step was stopped before its end by the caller', { cause: signal.reason });
      }
      for (const step of segment) step(batch);
      if (index + 1 === program.segments) break;
      if (pause !== undefined) await pause(index + 1, program.segments);
      else if (performance.now() - yielded > YIELD_MS) {
        await new Promise((resolve) => setTimeout(resolve, 0));
        yielded = performance.now();
      }
    }
  }

  read(buffer: Buffer, firstRow: number, rowCount: number): Float32Array | Int32Array {
    const from = bufferOf(buffer);
    checkRows(from, firstRow, rowCount);
    const [start, end] = [firstRow * from.width, (firstRow + rowCount) * from.width];
    return from.type === 'i32' ? from.ints.slice(start, end) : Float32Array.from(from.floats.subarray(start, end));
  }

  write(buffer: Buffer, firstRow: number, data: Float32Array | Int32Array): void {
    const to = bufferOf(buffer);
    checkRows(to, firstRow, data.length / to.width);
    (to.type === 'i32' ? to.ints : to.floats).set(data, firstRow * to.width);
  }

  async close(): Promise<void> {
    this.#tiles.clear();
  }
}

function checkRows({ name, maxRows }: ReferenceBuffer, firstRow: number, rowCount: number): void {
  const isWhole = Number.isInteger(firstRow) && Number.isInteger(rowCount) && firstRow >= 0 && rowCount >= 0;
  if (!isWhole || firstRow + rowCount > maxRows) {
    const asked = `rows ${firstRow} to ${firstRow + rowCount} of ${name} were asked for`;
    throw new GptOssError('internal', `${asked}; it has ${maxRows} whole rows; ask for those`);
  }
}

export function rowsOf(batch: Batch, buffer: Buffer): number {
  return buffer.rows === 'scored' ? batch.scored.length : batch.tokens.length;
}

export function foreign(what: string): GptOssError {
  return new GptOssError('internal', `a ${what} of another backend was given to the reference; make it there`);
}

export function bufferOf(buffer: Buffer): ReferenceBuffer {
  if (buffer instanceof ReferenceBuffer) return buffer;
  throw foreign('buffer');
}

export function matrixOf(weight: Weight): MatrixTiles {
  if (weight instanceof ReferenceMatrix || weight instanceof ReferenceParameter) return weight;
  throw foreign('matrix');
}

export function vectorOf(weight: Weight): Floats {
  if (weight instanceof ReferenceVector || weight instanceof ReferenceParameter) return weight.values;
  throw foreign('vector');
}

export function cacheOf(cache: KvCache): ReferenceCache {
  if (cache instanceof ReferenceCache) return cache;
  throw foreign('cache');
}
