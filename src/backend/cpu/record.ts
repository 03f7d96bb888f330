// Recording for the cpu backend: every op becomes a few integers in a table (operand order: native/record.cc), and a
// note for profiles. Buffers, weights and programs of other backends are refused here. Next: cpu.ts.

import { GptOssError } from '../../errors.ts';
import type { Buffer, BufferSpec, KvCache, Ops, Program, Weight } from '../backend.ts';
import { checkedOps, type ProgramFacts } from '../op-shapes.ts';
import { type Addon, type Handle, type NativeSession, native, OPS } from './addon.ts';
import { floatBits, OpTable } from './batch-code.ts';
import { CpuCache } from './cache.ts';

/** What an op is, for profiles: enough to turn its time into bytes and multiply-adds per second. */
export interface OpNote {
  readonly op: (typeof OPS)[number];
  readonly name: string; // of its weight, or its destination
  readonly weightBytes: number; // of one expert, or the matrix
  readonly macsPerRow: number; // of matrices, one expert
}

export class CpuBuffer implements Buffer {
  readonly name: string;
  readonly width: number;
  readonly type: 'f32' | 'i32';
  readonly rows: 'step' | 'scored';
  readonly maxRows: number;
  readonly owner: object;
  readonly handle: Handle;

  constructor(owner: object, spec: BufferSpec, maxRows: number, handle: Handle) {
    this.name = spec.name;
    this.width = spec.width;
    this.type = spec.type ?? 'f32';
    this.rows = spec.rows ?? 'step';
    this.maxRows = maxRows;
    this.owner = owner;
    this.handle = handle;
  }
}

export class CpuWeight implements Weight {
  readonly name: string;
  readonly experts: number;
  readonly rows: number;
  readonly cols: number;
  readonly bitsPerValue: number;
  readonly owner: object;
  readonly handle: Handle;

  constructor(owner: object, name: string, shape: [number, number, number], bitsPerValue: number, handle: Handle) {
    this.name = name;
    [this.experts, this.rows, this.cols] = shape;
    this.bitsPerValue = bitsPerValue;
    this.owner = owner;
    this.handle = handle;
  }
}

export class CpuProgram implements Program {
  readonly segments: number;
  readonly facts: ProgramFacts;
  readonly notes: readonly OpNote[];
  readonly owner: object;
  readonly handle: Handle;

  constructor(owner: object, handle: Handle, segments: number, facts: ProgramFacts, notes: readonly OpNote[]) {
    this.owner = owner;
    this.handle = handle;
    this.segments = segments;
    this.facts = facts;
    this.notes = notes;
  }
}

function sizeOf(matrices: readonly Weight[]): { weightBytes: number; macsPerRow: number } {
  let weightBytes = 0;
  let macsPerRow = 0;
  for (const w of matrices) {
    macsPerRow += w.rows * w.cols;
    weightBytes += (w.rows * w.cols * (w as CpuWeight).bitsPerValue) / 8;
  }
  return { weightBytes, macsPerRow };
}

export function recordProgram(
  owner: object,
  addon: Addon,
  session: NativeSession,
  partMacs: number,
  fn: (ops: Ops) => void,
): CpuProgram {
  const table = new OpTable();
  const notes: OpNote[] = [];
  const extra: Handle[] = []; // vectors made for this program
  let segments = 0;
  let open = false; // ops since the last segment

  const own = <T extends { readonly owner: object }>(
    thing: unknown,
    kind: new (...a: never[]) => T,
    what: string,
  ): T => {
    if (thing instanceof kind && thing.owner === owner) return thing;
    throw new GptOssError('internal', `a ${what} of another backend was given to cpu; make it on this one`);
  };
  const buffer = (b: Buffer): Handle => own(b, CpuBuffer, 'buffer').handle;
  const weight = (w: Weight): Handle => own(w, CpuWeight, 'weight').handle;
  const cacheHandle = (c: KvCache): Handle => own(c, CpuCache, 'cache').handle;
  const push = (operands: readonly number[], note: OpNote): void => {
    table.push(OPS.indexOf(note.op), ...operands);
    notes.push(note);
    open = true;
  };
  const add = (op: OpNote['op'], name: string, matrices: readonly Weight[], ...operands: number[]): void =>
    push(operands, { op, name, ...sizeOf(matrices) });
  /** An op over experts, with a possible pause after every `partMacs` of it: see Experts in native/kernels.h. */
  const addParts = (op: OpNote['op'], matrices: readonly Weight[], ids: Buffer, ...operands: number[]): void => {
    const [{ name, experts }] = matrices;
    const { weightBytes, macsPerRow } = sizeOf(matrices);
    const macs = macsPerRow * ids.width * (ids as CpuBuffer).maxRows;
    const parts = Math.min(experts, Math.max(1, Math.round(macs / partMacs)));
    const ends = Array.from({ length: parts + 1 }, (_, i) => Math.floor((experts * i) / parts));
    for (let i = 0; i < parts; i++) {
      if (i > 0) endSegment();
      const note = { op, name, weightBytes: weightBytes / parts, macsPerRow: macsPerRow / parts };
      push([...operands, ends[i], ends[i + 1]], note);
    }
  };
  const endSegment = (): void => {
    table.push(OPS.indexOf('segment'));
    segments++;
    open = false;
  };

  const { ops, facts } = checkedOps({
    segment: endSegment,
    embed: (y, t) => add('embed', t.name, [], buffer(y), weight(t)),
    rmsNorm: (y, x, gain, eps) => add('rmsNorm', gain.name, [], buffer(y), buffer(x), weight(gain), floatBits(eps)),
    linear: (y, x, w, bias, options) =>
      add(
        'linear',
        w.name,
        [w],
        ...[buffer(y), buffer(x), weight(w)],
        ...(bias === null ? [0] : [1, weight(bias)]),
        options?.add ? 1 : 0,
      ),
    ropeCache: (q, k, v, rope, cache, layer) => {
      const inverse = native(() => addon.vector(session, rope.inverse));
      extra.push(inverse);
      const operands = [buffer(q), buffer(k), buffer(v), inverse, floatBits(rope.scale), cacheHandle(cache), layer];
      add('ropeCache', `layer ${layer}`, [], ...operands);
    },
    attention: (y, q, cache, layer, sinks, window) =>
      add(
        'attention',
        `layer ${layer}${window === null ? '' : ' sliding'}`,
        [],
        ...[buffer(y), buffer(q), cacheHandle(cache), layer, weight(sinks), window ?? 0],
      ),
    route: (ids, gates, logits, layer) =>
      add('route', `layer ${layer}`, [], buffer(ids), buffer(gates), buffer(logits), layer),
    moeUp: (h, x, ids, { gate, up, gateBias, upBias }, alpha, limit) =>
      addParts(
        'moeUp',
        [gate, up],
        ids,
        ...[buffer(h), buffer(x), buffer(ids), weight(gate), weight(up), weight(gateBias), weight(upBias)],
        ...[floatBits(alpha), floatBits(limit)],
      ),
    moeDown: (y, h, ids, gates, down, downBias) =>
      addParts(
        'moeDown',
        [down],
        ids,
        ...[buffer(y), buffer(h), buffer(ids), buffer(gates), weight(down), weight(downBias)],
      ),
    gatherRows: (y, x) => add('gatherRows', y.name, [], buffer(y), buffer(x)),
  });
  try {
    fn(ops);
    if (open) endSegment();
    const handle = native(() => addon.program(session, table.take()));
    return new CpuProgram(owner, handle, segments, facts, notes);
  } finally {
    // The program has its own copy of the frequencies.
    for (const inverse of extra) addon.release(session, inverse);
  }
}
