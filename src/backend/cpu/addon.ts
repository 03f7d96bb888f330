// Finds the native addon and gives it types. Places are tried in order: a given path, the prebuilt package of this
// platform, the local build; why each failed is kept for `doctor`. Nothing here computes. The C++ side of this face is
// native/addon.cc; the tables below have the order of enums in native/. Next: cpu.ts.

import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { type ErrorCode, GptOssError } from '../../errors.ts';
import type { DType } from '../../formats/tensor.ts';
import type { KvType, Ops } from '../backend.ts';
import type { TrainAddon } from './train-addon.ts';

/** Must equal kInterface in native/addon.cc. */
const INTERFACE = 8;

export const DTYPES: readonly DType[] = [
  ...(['f32', 'f16', 'bf16', 'q8_0', 'mxfp4', 'mxfp4-pairs', 'mxfp4-split'] as const),
  ...(['q4_0', 'q4_1', 'q5_0', 'q5_1', 'q2_k', 'q3_k', 'q4_k', 'q5_k', 'q6_k', 'iq4_nl'] as const),
];
export const KV_TYPES: readonly KvType[] = ['f32', 'f16', 'q8'];
export const OPS = [
  ...(['embed', 'rmsNorm', 'linear', 'ropeCache', 'attention', 'route', 'moeUp', 'moeDown', 'gatherRows'] as const),
  'segment',
] as const satisfies readonly (keyof Ops)[];
export const PROBES = ['read', 'f32', 'bf16', 'int8', 'barrier'] as const;
export type ProbeKind = (typeof PROBES)[number];

declare const session: unique symbol;
/** A native session: threads, weights, activations, caches and programs of one backend. */
export interface NativeSession {
  readonly [session]: true;
}
/** Names a resource of a session. */
export type Handle = number;

export interface Machine {
  readonly features: readonly string[];
  /** Variants that this processor and this build can run, best first. */
  readonly isas: readonly string[];
  readonly physicalCores: number; // 0: unknown
}

export interface Addon extends TrainAddon {
  readonly interface: number;
  machine(): Machine;
  open(variant: string, threads: number, maxRows: number, exact: boolean): NativeSession;
  /** Cancels what runs, ends the threads. Again: nothing. */
  close(s: NativeSession): void;
  release(s: NativeSession, handle: Handle): void;
  file(s: NativeSession, path: string): Handle;
  size(s: NativeSession, file: Handle): number;
  /** A mapped file that has lost pages (cut short by another program, a failing disk), or -1; they read as zeros. */
  lost(s: NativeSession): Handle;
  bytes(s: NativeSession, size: number): Handle;
  fill(s: NativeSession, bytes: Handle, offset: number, data: Uint8Array): void;
  /** dtype, experts, rows, cols, bytes, offset, row, expert and column stride, scales, their offset and two strides. With
   *  a ticket other than 0 the values are rounded to Q8_0 by the session's threads before anything queued later. */
  matrix(s: NativeSession, fields: Float64Array, roundTicket: number): Handle;
  vector(s: NativeSession, values: Float32Array): Handle;
  buffer(s: NativeSession, width: number, integers: boolean, scored: boolean, maxRows: number): Handle;
  /** type, kv heads, head size, page tokens, full pages, sliding pages, then 0 or 1 (sliding) for each layer */
  cache(s: NativeSession, fields: Int32Array): Handle;
  program(s: NativeSession, code: Int32Array): Handle;
  read(s: NativeSession, buffer: Handle, firstRow: number, rowCount: number): Float32Array | Int32Array;
  write(s: NativeSession, buffer: Handle, firstRow: number, data: Float32Array | Int32Array): void;
  copyPage(s: NativeSession, cache: Handle, sliding: boolean, from: number, to: number): void;
  readPage(s: NativeSession, cache: Handle, sliding: boolean, page: number): Uint8Array;
  writePage(s: NativeSession, cache: Handle, sliding: boolean, page: number, bytes: Uint8Array): void;
  /** False: cancelled. */
  run(s: NativeSession, program: Handle, from: number, to: number, batch: Int32Array, ticket: number): Promise<boolean>;
  cancel(s: NativeSession, ticket: number): void;
  /** Lets a file's pages leave memory, so that a mapping reads them again, in large pages. False: the system cannot. */
  dropCached(path: string): boolean;
  /** From now on the program's experts come and go in at most so many bytes. What was taken; 0: they stay in the mapping. */
  holdExperts(s: NativeSession, program: Handle, bytes: number): number;
  /** `reads` 1: loads every byte as well, as weights are: the time tells how fast this very memory is. */
  populate(
    s: NativeSession,
    file: Handle,
    offset: number,
    length: number,
    ticket: number,
    reads: 0 | 1,
  ): Promise<boolean>;
  probe(s: NativeSession, kind: number, threads: number): Promise<number>;
  times(s: NativeSession, program: Handle): Float64Array;
}

export interface FoundAddon {
  readonly addon: Addon | null;
  readonly path: string | null;
  /** One line for each place that was tried in vain. */
  readonly problems: readonly string[];
}

const cached = new Map<string, FoundAddon>();

/** Looks for the addon; never throws. */
export function findAddon(path?: string): FoundAddon {
  const key = path ?? '';
  let found = cached.get(key);
  if (found === undefined) {
    found = look(path);
    cached.set(key, found);
  }
  return found;
}

function look(given: string | undefined): FoundAddon {
  const require = createRequire(import.meta.url);
  const platform = `${process.platform}-${process.arch}`;
  const places =
    given !== undefined
      ? [given]
      : [
          `gptoss-native-${platform}`,
          ...(process.platform === 'linux' ? [`gptoss-native-${platform}-musl`] : []),
          fileURLToPath(new URL('../../../build/gptoss.node', import.meta.url)),
        ];
  const problems: string[] = [];
  for (const place of places) {
    try {
      const addon = require(place) as Addon;
      if (addon.interface === INTERFACE) return { addon, path: place, problems };
      problems.push(`${place}: built from other sources; run \`npm run build:native\``);
    } catch (error) {
      const missing = (error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND';
      const reason = missing ? 'not there' : String((error as Error).message ?? error).split('\n')[0];
      problems.push(`${place}: ${reason}`);
    }
  }
  return { addon: null, path: null, problems };
}

/** The addon, or `unsupported-device` with every reason. */
export function loadAddon(path?: string): Addon {
  const { addon, problems } = findAddon(path);
  if (addon !== null) return addon;
  throw new GptOssError(
    'unsupported-device',
    `the native part is missing (${problems.join('; ')}); run \`npm run build:native\` (needs a C++ compiler), or use the reference backend`,
  );
}

/** Families that GPTOSS_ISA and `isa` may name; each stands for its best variant here. */
export const ISA_FAMILIES = ['scalar', 'avx2', 'avx512', 'neon'] as const;

/**
 * The variant to run: the best one; or the best of the asked family; or exactly the asked one, where `avx2-plain` is the
 * variant called avx2 (as a family's name, avx2 stands for its best).
 */
export function chooseVariant(machine: Machine, isa: string | undefined, variant: string | undefined): string {
  const exact = variant ?? (isa?.endsWith('-plain') ? isa.slice(0, -'-plain'.length) : undefined);
  const fits = (name: string): boolean =>
    exact !== undefined ? name === exact : isa === undefined || name === isa || name.startsWith(`${isa}-`);
  const found = machine.isas.find(fits);
  if (found !== undefined) return found;
  throw new GptOssError(
    'unsupported-device',
    `this machine cannot run ${variant ?? isa}; expected one of ${machine.isas.join(', ')}, or a family: ${ISA_FAMILIES.join(', ')}; leave it away for the best`,
  );
}

/** Physical cores this process may use; quotas of containers count. */
export function defaultThreads(machine: Machine): number {
  const most = availableParallelism();
  return Math.max(1, Math.min(machine.physicalCores > 0 ? machine.physicalCores : most, most));
}

/** Calls into the addon; its errors come back as ours. */
export function native<T>(fn: () => T): T {
  try {
    return fn();
  } catch (error) {
    if (error instanceof GptOssError) throw error;
    const { code, message } = error as Error & { code?: string };
    throw new GptOssError((code ?? 'internal') as ErrorCode, message, { cause: error });
  }
}
