// One suite for every backend: each op against the float64 reference on random shapes, types and layouts, within the
// tolerances of backend.ts. A backend's own test calls `describeBackend(name, make)`; the cpu backend does so once for
// each instruction set. Properties of whole programs (bit stability, refusals, pauses) are in backend-properties.case.ts.

import { describe, expect, it } from 'vitest';
import type { DType } from '../formats/tensor.ts';
import { type Backend, type Batch, type KvType, type Precision, tolerances } from './backend.ts';
import { describeProperties } from './backend-properties.case.ts';
import {
  ALL_DTYPES,
  PLAIN_DTYPES,
  Random,
  randomMatrix,
  randomStore,
  randomVector,
  vectorOf,
} from './random-matrix.testing.ts';
import {
  expectAgreement,
  type MakeBackend,
  PageTables,
  plainBatch,
  type Scenario,
  type Tolerance,
  testCacheSpec,
  withBackend,
} from './scenario.testing.ts';

export interface BackendSuiteOptions {
  readonly precisions?: readonly Precision[];
  readonly dtypes?: readonly DType[];
  readonly kvTypes?: readonly KvType[];
  /** Cases this backend cannot run, by full name below `describeBackend`, with the reason shown at run time. */
  readonly skip?: readonly { case: string; reason: string }[];
}

/** Columns that fit the type: whole groups. */
function colsFor(dtype: DType, wanted: number): number {
  if (PLAIN_DTYPES.includes(dtype)) return wanted;
  const group = dtype.endsWith('_k') ? 256 : 32;
  return Math.max(group, Math.round(wanted / group) * group);
}

export function describeBackend(name: string, make: MakeBackend, options: BackendSuiteOptions = {}): void {
  const precisions = options.precisions ?? ['exact', 'fast'];
  const dtypes = options.dtypes ?? ALL_DTYPES;
  const kvTypes = options.kvTypes ?? ['f32', 'f16', 'q8'];
  describe(`backend ${name}`, () => {
    for (const precision of precisions) {
      describe(precision, () => {
        const check: Check = (title, fn) => {
          it(title, async (context) => {
            const skipped = options.skip?.find(
              (entry) => `${precision} ${title}` === entry.case || title === entry.case,
            );
            if (skipped) context.skip(skipped.reason);
            await withBackend(make, precision, (backend) => fn(backend, title));
          });
        };
        describeRows(check);
        for (const dtype of dtypes) describeWeights(check, dtype);
        for (const type of kvTypes) describeAttention(check, type);
        describeProperties(check, precision, kvTypes);
      });
    }
  });
}

export type Check = (title: string, fn: (backend: Backend, title: string) => Promise<void>) => void;

function describeRows(check: Check): void {
  for (const width of [1, 3, 63, 65, 96, 2880]) {
    check(`rmsNorm of width ${width}, also in place`, async (backend, title) => {
      await expectAgreement(backend, title, (b) => {
        const random = new Random(width);
        const [x, y] = [b.buffer({ name: 'x', width }), b.buffer({ name: 'y', width })];
        const gain = b.vector(randomVector(random, [width], 0.3, 1));
        return {
          record: (ops) => {
            ops.rmsNorm(y, x, gain, 1e-5);
            ops.rmsNorm(x, x, gain, 1e-5);
          },
          steps: [1, 7, 65].map((rows) => ({ batch: plainBatch(rows), inputs: [[x, random.floats(rows * width, 3)]] })),
          outputs: [x, y],
        };
      });
    });
  }

  check('gatherRows keeps the scored rows in their order', async (backend, title) => {
    await expectAgreement(backend, title, (b) => {
      const random = new Random(5);
      const [x, y] = [b.buffer({ name: 'x', width: 33 }), b.buffer({ name: 'y', width: 33, rows: 'scored' })];
      const inputs = [[x, random.floats(9 * 33)]] as const;
      return {
        record: (ops) => ops.gatherRows(y, x),
        steps: [[8], [0, 4, 7], [3, 1, 3], []].map((scored) => ({
          batch: plainBatch(9, { scored: Int32Array.from(scored) }),
          inputs,
        })),
        outputs: [y],
      };
    });
  });

  for (const [experts, k] of [
    [4, 2],
    [5, 5],
    [32, 4],
    [128, 4],
  ]) {
    check(
      `route takes ${k} of ${experts} experts, highest first, and forced ids when given`,
      async (backend, title) => {
        await expectAgreement(backend, title, (b) => {
          const random = new Random(experts);
          const rows = 17;
          const logits = b.buffer({ name: 'logits', width: experts });
          const ids = b.buffer({ name: 'ids', width: k, type: 'i32' });
          const gates = b.buffer({ name: 'gates', width: k });
          const inputs = [[logits, random.floats(rows * experts, 2)]] as const;
          const forced = () => Array.from({ length: rows }, () => random.permutation(experts).slice(0, k)).flat();
          const expertIds = Int32Array.from([...forced(), ...forced()]); // two layers; the op is layer 1
          return {
            record: (ops) => ops.route(ids, gates, logits, 1),
            steps: [
              { batch: plainBatch(rows), inputs },
              { batch: plainBatch(rows, { expertIds }), inputs },
            ],
            outputs: [ids, gates],
          };
        });
      },
    );
  }

  check('route breaks ties by the lower id', async (backend) => {
    const logits = backend.buffer({ name: 'logits', width: 9 });
    const ids = backend.buffer({ name: 'ids', width: 4, type: 'i32' });
    const gates = backend.buffer({ name: 'gates', width: 4 });
    const program = backend.record((ops) => ops.route(ids, gates, logits, 0));
    backend.write(logits, 0, Float32Array.from([0, 1, -1, 1, 0, 1, 0, -1, 0, ...new Array(9).fill(-2)]));
    await backend.run(program, plainBatch(2));
    expect(Array.from(backend.read(ids, 0, 2))).toEqual([1, 3, 5, 0, 0, 1, 2, 3]);
    const [, , , last, even] = Array.from(backend.read(gates, 0, 2));
    expect(last).toBeCloseTo(1 / (3 * Math.E + 1), 6);
    expect(even).toBeCloseTo(0.25, 6);
  });
}

function describeWeights(check: Check, dtype: DType): void {
  const plain = PLAIN_DTYPES.includes(dtype);

  check(`embed from ${dtype}`, async (backend, title) => {
    for (const cols of [colsFor(dtype, 96), colsFor(dtype, plain ? 65 : 288)]) {
      await expectAgreement(backend, `${title} ${cols}`, (b) => {
        const random = new Random(cols);
        const table = b.matrix(randomMatrix(random, { dtype, rows: 67, cols }));
        const y = b.buffer({ name: 'y', width: cols });
        return {
          record: (ops) => ops.embed(y, table),
          steps: [1, 65].map((rows) => ({
            batch: plainBatch(rows, { tokens: Int32Array.from({ length: rows }, () => random.integer(67)) }),
          })),
          outputs: [y],
        };
      });
    }
  });

  const shapes: [out: number, cols: number][] = [
    [1, 32],
    [3, 64],
    [63, 96],
    [65, 288],
    [66, 2880],
    ...(plain
      ? ([
          [33, 1],
          [31, 3],
          [16, 63],
          [5, 65],
        ] as [number, number][])
      : []),
  ];
  for (const [out, wanted] of shapes) {
    const cols = colsFor(dtype, wanted);
    check(`linear with ${dtype} weights [${out}, ${cols}]`, async (backend, title) => {
      await expectAgreement(backend, title, (b) => {
        const random = new Random(out * 1000 + cols);
        const w = b.matrix(randomMatrix(random, { dtype, rows: out, cols }));
        const bias = b.vector(randomVector(random, [out]));
        const [x, y] = [b.buffer({ name: 'x', width: cols }), b.buffer({ name: 'y', width: out })];
        const z = b.buffer({ name: 'z', width: out });
        return {
          record: (ops) => {
            ops.linear(y, x, w, bias);
            ops.linear(z, x, w, null);
            ops.linear(z, x, w, bias, { add: true });
          },
          steps: (cols > 1000 ? [1, 4, 33] : [1, 2, 3, 5, 8, 17, 65]).map((rows) => ({
            batch: plainBatch(rows),
            inputs: [[x, random.floats(rows * cols)]],
          })),
          outputs: [y, z],
        };
      });
    });
  }

  check(`linear with fused and interleaved ${dtype} rows, over scored rows too`, async (backend, title) => {
    const cols = colsFor(dtype, 64);
    await expectAgreement(backend, title, (b) => {
      const random = new Random(cols + 7);
      const fused = randomStore(random, { dtype, rows: 100, cols });
      const parts = [fused.matrix(0, 1, 37), fused.matrix(37, 1, 63), fused.matrix(0, 2, 50), fused.matrix(1, 2, 50)];
      const [x, g] = [b.buffer({ name: 'x', width: cols }), b.buffer({ name: 'g', width: cols, rows: 'scored' })];
      const ys = parts.map((part, i) => b.buffer({ name: `y${i}`, width: part.rows }));
      const zs = parts.map((part, i) => b.buffer({ name: `z${i}`, width: part.rows, rows: 'scored' }));
      const weights = parts.map((part) => b.matrix(part));
      return {
        record: (ops) => {
          ops.gatherRows(g, x);
          for (const [i, w] of weights.entries()) {
            ops.linear(ys[i], x, w, null);
            ops.linear(zs[i], g, w, null);
          }
        },
        steps: [1, 9].map((rows) => ({
          batch: plainBatch(rows, { scored: Int32Array.from(rows === 1 ? [0] : [8, 2, 5]) }),
          inputs: [[x, random.floats(rows * cols)]],
        })),
        outputs: [...ys, ...zs],
      };
    });
  });

  const layouts = plain ? ['separate', 'interleaved', 'transposed'] : ['separate', 'interleaved'];
  for (const layout of layouts) {
    // The 256-value types have one shape that is small enough.
    for (const [experts, k, hidden, intermediate] of dtype.endsWith('_k')
      ? [[5, 3, 256, 256]]
      : [
          [4, 2, 32, 32],
          [8, 4, 96, 64],
          [5, 3, 288, 96],
        ]) {
      const [wide, inner] = [colsFor(dtype, hidden), colsFor(dtype, intermediate)];
      check(`experts ${k} of ${experts} × [${inner}, ${wide}], ${layout} ${dtype}`, async (backend, title) => {
        await expectAgreement(backend, title, (b) => moeScenario(b, dtype, layout, experts, k, wide, inner));
      });
    }
  }
}

function moeScenario(
  b: Backend,
  dtype: DType,
  layout: string,
  experts: number,
  k: number,
  hidden: number,
  intermediate: number,
): Scenario {
  const random = new Random(experts * 100 + hidden);
  const transposed = layout === 'transposed';
  // Wide enough that some gates and ups pass the limit.
  const store = { dtype, experts, cols: hidden, transposed, deviation: 3 / Math.sqrt(hidden) };
  const both = randomStore(random, { ...store, rows: 2 * intermediate });
  const separate = layout === 'separate';
  const gate = b.matrix(separate ? both.matrix(0, 1, intermediate) : both.matrix(0, 2, intermediate));
  const up = b.matrix(separate ? both.matrix(intermediate, 1, intermediate) : both.matrix(1, 2, intermediate));
  const down = b.matrix(randomMatrix(random, { dtype, experts, rows: hidden, cols: intermediate, transposed }));
  const gateBias = b.vector(randomVector(random, [experts, intermediate]));
  const upBias = b.vector(randomVector(random, [experts, intermediate]));
  const downBias = b.vector(randomVector(random, [experts, hidden]));
  const [x, y] = [b.buffer({ name: 'x', width: hidden }), b.buffer({ name: 'y', width: hidden })];
  const h = b.buffer({ name: 'h', width: k * intermediate });
  const ids = b.buffer({ name: 'ids', width: k, type: 'i32' });
  const gates = b.buffer({ name: 'gates', width: k });
  return {
    record: (ops) => {
      ops.moeUp(h, x, ids, { gate, up, gateBias, upBias }, 1.702, 7);
      ops.moeDown(y, h, ids, gates, down, downBias);
    },
    steps: [1, 2, 9, 33].map((rows) => {
      // The last step sends every row to the same experts: one large group, the others empty.
      const chosen = (row: number) => (rows === 33 ? new Random(1) : new Random(row)).permutation(experts).slice(0, k);
      return {
        batch: plainBatch(rows),
        inputs: [
          [x, random.floats(rows * hidden)],
          [y, random.floats(rows * hidden)],
          [ids, Int32Array.from(Array.from({ length: rows }, (_, row) => chosen(row)).flat())],
          [gates, Float32Array.from({ length: rows * k }, () => random.next())],
        ],
      };
    }),
    outputs: [h, y],
  };
}

interface AttentionShape {
  readonly headDim: number;
  readonly kvHeads: number;
  readonly group: number;
  readonly window: number | null;
  readonly pageTokens: number;
}

const attentionShapes: readonly AttentionShape[] = [
  { headDim: 32, kvHeads: 2, group: 3, window: null, pageTokens: 16 },
  { headDim: 32, kvHeads: 2, group: 3, window: 16, pageTokens: 16 },
  { headDim: 64, kvHeads: 1, group: 8, window: null, pageTokens: 64 },
  { headDim: 64, kvHeads: 2, group: 8, window: 128, pageTokens: 64 },
  { headDim: 64, kvHeads: 3, group: 1, window: 1, pageTokens: 4 },
  { headDim: 128, kvHeads: 1, group: 2, window: 3, pageTokens: 1 },
  { headDim: 32, kvHeads: 1, group: 4, window: 65, pageTokens: 32 },
];

// With rounded storage one last bit of float32 may tip a key or value to the neighbouring step: rare, but not small.
const kvTolerances: Record<KvType, Tolerance> = {
  f32: { worst: tolerances.exact.op },
  f16: { worst: 1e-3, rms: 1e-4 },
  q8: { worst: 2e-2, rms: 2e-3 },
};

function describeAttention(check: Check, type: KvType): void {
  for (const shape of attentionShapes) {
    const { headDim, kvHeads, group, window, pageTokens } = shape;
    const shapeTitle = `${kvHeads * group}/${kvHeads} heads × ${headDim}, window ${window ?? 'none'}, pages of ${pageTokens}`;
    check(`rope, cache and attention over ${type}: ${shapeTitle}`, async (backend, title) => {
      const exact = backend.precision === 'exact' ? kvTolerances[type] : undefined;
      await expectAgreement(backend, title, (b) => attentionScenario(b, shape, type), exact);
    });
  }
}

/** Three sequences: prefilled in one step, continued in company at odd lengths, then decoded a token each. */
function attentionScenario(b: Backend, shape: AttentionShape, type: KvType): Scenario {
  const { headDim, kvHeads, group, window, pageTokens } = shape;
  const random = new Random(headDim + group + (window ?? 0));
  const heads = kvHeads * group;
  // Layer 1 of three, so that a wrong layer shows; the others stay unused.
  const sliding = window !== null;
  const layers = [{ sliding: !sliding }, { sliding }, { sliding }];
  const pages = Math.ceil(160 / pageTokens) + 8;
  const spec = testCacheSpec({ layers, kvHeads, headDim, pageTokens, fullPages: pages, slidingPages: pages, type });
  const cache = b.cache(spec);
  const tables = new PageTables(spec, random);
  const [q, y] = [b.buffer({ name: 'q', width: heads * headDim }), b.buffer({ name: 'y', width: heads * headDim })];
  const [k, v] = [b.buffer({ name: 'k', width: kvHeads * headDim }), b.buffer({ name: 'v', width: kvHeads * headDim })];
  // Sinks of both signs, one far above every score and one far below.
  const sinks = Float32Array.from({ length: heads }, (_, h) =>
    h === 0 ? -30 : h === heads - 1 ? 12 : random.gaussian(),
  );
  const sinkWeights = b.vector(vectorOf('sinks', [heads], sinks));
  const rope = {
    inverse: Float32Array.from({ length: headDim / 2 }, (_, i) => 10000 ** ((-2 * i) / headDim)),
    scale: 1.2,
  };
  const parts: (readonly [number, number, number])[][] = [
    [[0, 0, 63]],
    [
      [1, 0, 1],
      [0, 63, 34],
    ],
    [
      [0, 97, 40],
      [2, 0, 3],
      [1, 1, 17],
    ],
    [
      [2, 3, 1],
      [1, 18, 1],
      [0, 137, 1],
    ],
  ];
  return {
    record: (ops) => {
      ops.ropeCache(q, k, v, rope, cache, 1);
      ops.attention(y, q, cache, 1, sinkWeights, window);
    },
    steps: parts.map((step) => {
      const rows = step.reduce((sum, [, , count]) => sum + count, 0);
      const batch: Batch = {
        tokens: new Int32Array(rows),
        sequences: tables.step(step, window),
        scored: new Int32Array(0),
      };
      return {
        batch,
        inputs: [
          [q, random.floats(rows * heads * headDim, 1.5)],
          [k, random.floats(rows * kvHeads * headDim, 1.5)],
          [v, random.floats(rows * kvHeads * headDim)],
        ],
      };
    }),
    outputs: [q, k, y],
  };
}
