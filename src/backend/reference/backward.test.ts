// Every derivative against central differences of its own op, in float64: inputs and parameters, relative error 1e-6.
import { describe, expect, it } from 'vitest';
import type { Batch, Buffer, Ops } from '../backend.ts';
import { Random, randomMatrix } from '../random-matrix.testing.ts';
import { PageTables, plainBatch, testCacheSpec } from '../scenario.testing.ts';
import type { Parameter, TrainOps } from '../train-backend.ts';
import { bufferOf } from './reference.ts';
import type { Floats } from './storage.ts';
import { parameterOf, ReferenceTrainer } from './trainer.ts';

const EPSILON = 1e-5;

interface Check {
  readonly trainer: ReferenceTrainer;
  readonly batch: Batch;
  /** Buffers the op reads: filled before each run (ops may work in place). */
  readonly inputs: readonly (readonly [Buffer, Float64Array])[];
  readonly forward: (ops: Ops) => void;
  readonly output: Buffer;
  /** The derivative of Σ output · dy; dy is filled by the check. */
  readonly dy: Buffer;
  readonly backward: (ops: TrainOps) => void;
  /** Gradients to check: of inputs (index into `inputs`) and of parameters. */
  readonly gradients: readonly (readonly [input: number, gradient: Buffer])[];
  readonly parameters?: readonly Parameter[];
}

function fill(buffer: Buffer, values: Float64Array): void {
  bufferOf(buffer).floats.set(values);
}

function random64(random: Random, count: number, deviation = 1): Float64Array {
  return Float64Array.from(random.floats(count, deviation));
}

async function expectDerivatives(check: Check): Promise<void> {
  const { trainer, batch, inputs, output, dy } = check;
  const rows = output.rows === 'scored' ? batch.scored.length : batch.tokens.length;
  const weights = random64(new Random(77), rows * output.width);
  const forward = trainer.record(check.forward);
  const loss = async (): Promise<number> => {
    for (const [buffer, values] of inputs) fill(buffer, values);
    await trainer.run(forward, batch);
    const values = bufferOf(output).floats;
    let sum = 0;
    for (let i = 0; i < weights.length; i++) sum += weights[i] * values[i];
    return sum;
  };
  // Forward then backward in one program, from fresh inputs; `dy` is a buffer of its own.
  await loss();
  fill(dy, weights);
  trainer.clearGradients();
  const backward = trainer.record(check.backward);
  await trainer.run(backward, batch);

  const targets: [label: string, values: Floats, gradient: Floats][] = check.gradients.map(([input, gradient]) => {
    const [buffer, values] = inputs[input];
    return [buffer.name, values, bufferOf(gradient).floats.slice(0, values.length)];
  });
  for (const parameter of check.parameters ?? []) {
    const { name, values, gradient } = parameterOf(parameter);
    targets.push([name, values, gradient.slice()]);
  }
  for (const [label, values, gradient] of targets) {
    const largest = Math.max(...Array.from(gradient, Math.abs));
    expect(largest, `${label} has a gradient`).toBeGreaterThan(0);
    const stride = Math.max(1, Math.floor(values.length / 60)); // about sixty entries of each
    for (let i = 0; i < values.length; i += stride) {
      const kept = values[i];
      values[i] = kept + EPSILON;
      const above = await loss();
      values[i] = kept - EPSILON;
      const below = await loss();
      values[i] = kept;
      const numeric = (above - below) / (2 * EPSILON);
      expect(
        Math.abs(numeric - gradient[i]) / largest,
        `${label}[${i}]: ${numeric} against ${gradient[i]}`,
      ).toBeLessThan(1e-6);
    }
  }
}

function setup(seed: number, maxRows = 16) {
  const trainer = new ReferenceTrainer({ floats: Float64Array, maxRows });
  const random = new Random(seed);
  const step = (name: string, width: number): Buffer => trainer.buffer({ name, width });
  const parameter = (name: string, rows: number, cols: number, experts = 1): Parameter =>
    trainer.parameter({
      name,
      rows,
      cols,
      experts,
      decays: true,
      values: random.floats(experts * rows * cols, rows === 1 ? 0.5 : 1 / Math.sqrt(cols)),
    });
  return { trainer, random, step, parameter };
}

describe('derivatives of the reference', () => {
  it('embed', async () => {
    const { trainer, step, parameter } = setup(1);
    const table = parameter('table', 7, 5);
    const [y, dy] = [step('y', 5), step('dy', 5)];
    await expectDerivatives({
      trainer,
      batch: plainBatch(4, { tokens: Int32Array.of(3, 0, 3, 6) }),
      inputs: [],
      forward: (ops) => ops.embed(y, table),
      output: y,
      dy,
      backward: (ops) => ops.embedBackward(dy, table),
      gradients: [],
      parameters: [table],
    });
  });

  it('rmsNorm', async () => {
    const { trainer, random, step, parameter } = setup(2);
    const gain = parameter('gain', 1, 9);
    const [x, y, dx, dy] = [step('x', 9), step('y', 9), step('dx', 9), step('dy', 9)];
    await expectDerivatives({
      trainer,
      batch: plainBatch(3),
      inputs: [[x, random64(random, 27)]],
      forward: (ops) => ops.rmsNorm(y, x, gain, 1e-2),
      output: y,
      dy,
      backward: (ops) => ops.rmsNormBackward(dx, dy, x, gain, 1e-2),
      gradients: [[0, dx]],
      parameters: [gain],
    });
  });

  it('linear, and adding to a gradient that is there', async () => {
    const { trainer, random, step, parameter } = setup(3);
    const [w, v, bias] = [parameter('w', 6, 9), parameter('v', 6, 9), parameter('bias', 1, 6)];
    const [x, y, dx, dy] = [step('x', 9), step('y', 6), step('dx', 9), step('dy', 6)];
    await expectDerivatives({
      trainer,
      batch: plainBatch(5),
      inputs: [[x, random64(random, 45)]],
      forward: (ops) => {
        ops.linear(y, x, w, bias);
        ops.linear(y, x, v, null, { add: true });
      },
      output: y,
      dy,
      backward: (ops) => {
        ops.linearBackward(dx, dy, x, w, bias);
        ops.linearBackward(dx, dy, x, v, null, { add: true });
      },
      gradients: [[0, dx]],
      parameters: [w, v, bias],
    });
  });

  it('linear through a frozen weight', async () => {
    const { trainer, random, step } = setup(4);
    const w = trainer.matrix(randomMatrix(random, { dtype: 'mxfp4', rows: 6, cols: 32 }));
    const [x, y, dx, dy] = [step('x', 32), step('y', 6), step('dx', 32), step('dy', 6)];
    await expectDerivatives({
      trainer,
      batch: plainBatch(3),
      inputs: [[x, random64(random, 96)]],
      forward: (ops) => ops.linear(y, x, w, null),
      output: y,
      dy,
      backward: (ops) => ops.linearBackward(dx, dy, x, w, null),
      gradients: [[0, dx]],
    });
  });

  for (const window of [null, 1, 3]) {
    it(`rope and attention, window ${window ?? 'none'}: several sequences, one of a single token`, async () => {
      const { trainer, random, step } = setup(5);
      const [headDim, kvHeads, heads] = [4, 2, 6];
      const layers = [{ sliding: window !== null }];
      const spec = testCacheSpec({ layers, headDim, kvHeads, pageTokens: 2 });
      const cache = trainer.cache(spec);
      const rope = { inverse: Float32Array.of(1, 0.1), scale: 1.3 };
      const sinks = trainer.parameter({
        name: 'sinks',
        rows: 1,
        cols: heads,
        decays: false,
        values: Float32Array.of(-2, 0.5, 1, 3, -0.3, 0),
      });
      const buffers = {
        q: step('q', heads * headDim),
        k: step('k', kvHeads * headDim),
        v: step('v', kvHeads * headDim),
      };
      const d = { q: step('dq', heads * headDim), k: step('dk', kvHeads * headDim), v: step('dv', kvHeads * headDim) };
      const [y, dy] = [step('y', heads * headDim), step('dy', heads * headDim)];
      const sequences = new PageTables(spec, random).step(
        [
          [0, 0, 6],
          [1, 0, 1],
          [2, 0, 4],
        ],
        window,
      );
      await expectDerivatives({
        trainer,
        batch: plainBatch(11, { sequences }),
        inputs: [
          [buffers.q, random64(random, 11 * heads * headDim)],
          [buffers.k, random64(random, 11 * kvHeads * headDim)],
          [buffers.v, random64(random, 11 * kvHeads * headDim)],
        ],
        forward: (ops) => {
          ops.ropeCache(buffers.q, buffers.k, buffers.v, rope, cache, 0);
          ops.attention(y, buffers.q, cache, 0, sinks, window);
        },
        output: y,
        dy,
        backward: (ops) => {
          ops.attentionBackward(d, dy, buffers.q, cache, 0, sinks, window);
          ops.ropeBackward(d.q, d.k, rope);
        },
        // With a window of one, q and k matter only against the sink.
        gradients: [
          [0, d.q],
          [1, d.k],
          [2, d.v],
        ],
        parameters: [sinks],
      });
    });
  }

  it('a sink of minus infinity takes and gives nothing', async () => {
    const { trainer, random, step } = setup(6);
    const spec = testCacheSpec({ layers: [{ sliding: false }], headDim: 4, kvHeads: 1, pageTokens: 4 });
    const cache = trainer.cache(spec);
    const sinks = trainer.parameter({
      name: 'sinks',
      rows: 1,
      cols: 1,
      decays: false,
      values: Float32Array.of(Number.NEGATIVE_INFINITY),
    });
    const [q, k, v, y, dy] = ['q', 'k', 'v', 'y', 'dy'].map((name) => step(name, 4));
    const d = { q: step('dq', 4), k: step('dk', 4), v: step('dv', 4) };
    const batch = plainBatch(3, { sequences: new PageTables(spec, random).step([[0, 0, 3]], null) });
    for (const buffer of [q, k, v, dy]) fill(buffer, random64(random, 12));
    const rope = { inverse: Float32Array.of(1, 0.1), scale: 1 };
    await trainer.run(
      trainer.record((ops) => {
        ops.ropeCache(q, k, v, rope, cache, 0);
        ops.attention(y, q, cache, 0, sinks, null);
        ops.attentionBackward(d, dy, q, cache, 0, sinks, null);
      }),
      batch,
    );
    expect(trainer.readGradient(sinks)[0]).toBeCloseTo(0, 12);
    expect(trainer.read(d.k, 0, 3).every(Number.isFinite)).toBe(true);
  });

  it('route, with the choice held fixed', async () => {
    const { trainer, random, step } = setup(7);
    const [experts, k, rows] = [6, 3, 4];
    const ids = trainer.buffer({ name: 'ids', width: k, type: 'i32' });
    const [logits, gates] = [step('logits', experts), step('gates', k)];
    const [dLogits, dGates] = [step('dLogits', experts), step('dGates', k)];
    await expectDerivatives({
      trainer,
      batch: plainBatch(rows, { expertIds: Int32Array.of(0, 1, 2, 5, 0, 3, 4, 3, 2, 1, 5, 0) }),
      inputs: [[logits, random64(random, rows * experts)]],
      forward: (ops) => ops.route(ids, gates, logits, 0),
      output: gates,
      dy: dGates,
      backward: (ops) => ops.routeBackward(dLogits, dGates, ids, gates),
      gradients: [[0, dLogits]],
    });
  });

  it('the auxiliary losses of a router', async () => {
    const { trainer, random, step } = setup(8);
    const [experts, rows] = [5, 4];
    const ids = trainer.buffer({ name: 'ids', width: 2, type: 'i32' });
    const [logits, losses, dLogits] = [step('logits', experts), step('losses', 2), step('dLogits', experts)];
    trainer.write(ids, 0, Int32Array.of(0, 1, 0, 2, 0, 1, 4, 0));
    const values = random64(random, rows * experts);
    const weights = { balance: 0.7, z: 0.3 };
    const program = trainer.record((ops) => ops.routerLosses(losses, dLogits, logits, ids, weights));
    const loss = async (): Promise<number> => {
      fill(logits, values);
      bufferOf(dLogits).floats.fill(0);
      await trainer.run(program, plainBatch(rows));
      const [balance, z] = bufferOf(losses).floats;
      return weights.balance * balance + weights.z * z;
    };
    await loss();
    const gradient = bufferOf(dLogits).floats.slice();
    for (let i = 0; i < values.length; i++) {
      const kept = values[i];
      values[i] = kept + EPSILON;
      const above = await loss();
      values[i] = kept - EPSILON;
      const below = await loss();
      values[i] = kept;
      expect((above - below) / (2 * EPSILON)).toBeCloseTo(gradient[i], 7);
    }
    // Perfect balance: every expert chosen equally often and equally likely.
    fill(logits, new Float64Array(rows * experts));
    await trainer.run(program, plainBatch(rows));
    expect(bufferOf(losses).floats[0]).toBeCloseTo(1, 12);
  });

  it('moeUp and moeDown, with values beyond the limits and an expert nobody chose', async () => {
    const { trainer, random, step, parameter } = setup(9);
    const [experts, k, hidden, inner, rows] = [4, 2, 6, 5, 4];
    const up = {
      gate: parameter('gate', inner, hidden, experts),
      up: parameter('up', inner, hidden, experts),
      gateBias: parameter('gateBias', 1, inner, experts),
      upBias: parameter('upBias', 1, inner, experts),
    };
    const [down, downBias] = [parameter('down', hidden, inner, experts), parameter('downBias', 1, hidden, experts)];
    const ids = trainer.buffer({ name: 'ids', width: k, type: 'i32' });
    trainer.write(ids, 0, Int32Array.of(0, 2, 2, 0, 1, 0, 2, 1)); // never 3
    const [x, h, y, gates] = [step('x', hidden), step('h', k * inner), step('y', hidden), step('gates', k)];
    const [dx, dh, dy, dGates] = [step('dx', hidden), step('dh', k * inner), step('dy', hidden), step('dGates', k)];
    const limit = 0.8; // low, so that many values lie beyond it
    await expectDerivatives({
      trainer,
      batch: plainBatch(rows),
      inputs: [
        [x, random64(random, rows * hidden, 1.5)],
        [gates, random64(random, rows * k)],
        [y, random64(random, rows * hidden)],
      ],
      forward: (ops) => {
        ops.moeUp(h, x, ids, up, 1.702, limit);
        ops.moeDown(y, h, ids, gates, down, downBias);
      },
      output: y,
      dy,
      backward: (ops) => {
        ops.moeDownBackward({ h: dh, gates: dGates }, dy, h, ids, gates, down, downBias);
        ops.moeUpBackward(dx, dh, x, ids, up, 1.702, limit);
      },
      gradients: [
        [0, dx],
        [1, dGates],
      ],
      parameters: [up.gate, up.up, up.gateBias, up.upBias, down, downBias],
    });
    const beyond = trainer.readGradient(up.gate).subarray(3 * inner * hidden);
    expect(beyond.every((g) => g === 0)).toBe(true);
  });

  it('gatherRows, also of one row twice', async () => {
    const { trainer, random, step } = setup(10);
    const [x, dx] = [step('x', 3), step('dx', 3)];
    const y = trainer.buffer({ name: 'y', width: 3, rows: 'scored' });
    const dy = trainer.buffer({ name: 'dy', width: 3, rows: 'scored' });
    await expectDerivatives({
      trainer,
      batch: plainBatch(5, { scored: Int32Array.of(4, 1, 4) }),
      inputs: [[x, random64(random, 15)]],
      forward: (ops) => ops.gatherRows(y, x),
      output: y,
      dy,
      backward: (ops) => ops.gatherRowsBackward(dx, dy),
      gradients: [[0, dx]],
    });
  });

  it('cross-entropy with weights of any sign, and its entropy', async () => {
    const trainer = new ReferenceTrainer({ floats: Float64Array, maxRows: 4 });
    const [vocab, rows] = [6, 3];
    const scored = (name: string, width: number) => trainer.buffer({ name, width, rows: 'scored' });
    const [losses, logits, dLogits] = [scored('losses', 2), scored('logits', vocab), scored('dLogits', vocab)];
    const values = random64(new Random(11), rows * vocab, 2);
    const targets = { ids: Int32Array.of(5, 0, 2), weights: Float32Array.of(1, -0.5, 0.25) };
    const batch = plainBatch(rows, { scored: Int32Array.of(0, 1, 2), targets });
    const program = trainer.record((ops) => ops.crossEntropy(losses, dLogits, logits));
    const loss = async (): Promise<number> => {
      fill(logits, values);
      await trainer.run(program, batch);
      const out = bufferOf(losses).floats;
      return targets.weights.reduce((sum, weight, r) => sum + weight * out[2 * r], 0);
    };
    await loss();
    const gradient = bufferOf(dLogits).floats.slice();
    for (let i = 0; i < values.length; i++) {
      const kept = values[i];
      values[i] = kept + EPSILON;
      const above = await loss();
      values[i] = kept - EPSILON;
      const below = await loss();
      values[i] = kept;
      expect((above - below) / (2 * EPSILON)).toBeCloseTo(gradient[i], 7);
    }
    fill(logits, new Float64Array(rows * vocab));
    await trainer.run(program, batch);
    expect(bufferOf(losses).floats[0]).toBeCloseTo(Math.log(vocab), 12);
    expect(bufferOf(losses).floats[1]).toBeCloseTo(Math.log(vocab), 12);
  });
});

describe('training steps', () => {
  it('refuses continued sequences and targets that do not fit', async () => {
    const trainer = new ReferenceTrainer({ maxRows: 4 });
    const scored = (name: string, width: number) => trainer.buffer({ name, width, rows: 'scored' });
    const [losses, logits] = [scored('losses', 2), scored('logits', 5)];
    const program = trainer.record((ops) => ops.crossEntropy(losses, logits, logits));
    const targets = { ids: Int32Array.of(4), weights: Float32Array.of(1) };
    const good = plainBatch(2, { scored: Int32Array.of(1), targets });
    await trainer.run(program, good);
    const [rows] = good.sequences;
    const bad: Batch[] = [
      { ...good, targets: undefined },
      { ...good, targets: { ...targets, ids: Int32Array.of(5) } },
      { ...good, targets: { ...targets, weights: Float32Array.of(Number.NaN) } },
      { ...good, targets: { ...targets, weights: new Float32Array(2) } },
      { ...good, sequences: [{ ...rows, position: 1 }] },
    ];
    for (const batch of bad)
      await expect(trainer.run(program, batch)).rejects.toMatchObject({ code: 'invalid-request' });
  });

  it('fake-quantised parameters compute with what MXFP4 would store and learn unrounded', async () => {
    const random = new Random(12);
    const matrix = randomMatrix(random, { dtype: 'mxfp4', rows: 4, cols: 64 });
    const trainer = new ReferenceTrainer({ maxRows: 2 });
    const stored = trainer.matrix(matrix);
    // Values of the stored matrix moved by less than a third of the smallest step round back to it.
    const values = new Float32Array(4 * 64);
    const [x, y, z, dx, dy] = [64, 4, 4, 64, 4].map((width, i) => trainer.buffer({ name: `b${i}`, width }));
    for (let c = 0; c < 64; c++) {
      trainer.write(
        x,
        0,
        Float32Array.from({ length: 64 }, (_, i) => (i === c ? 1 : 0)),
      );
      await trainer.run(
        trainer.record((ops) => ops.linear(y, x, stored, null)),
        plainBatch(1),
      );
      for (const [r, value] of trainer.read(y, 0, 1).entries()) values[r * 64 + c] = value;
    }
    const nudged = values.map((value, i) => value * (i % 2 === 0 ? 1.02 : 1 / 1.02));
    const spec = { name: 'w', rows: 4, cols: 64, decays: true, values: nudged };
    const parameter = trainer.parameter({ ...spec, fakeQuantised: true });
    trainer.write(x, 0, random.floats(128));
    trainer.write(dy, 0, random.floats(8));
    await trainer.run(
      trainer.record((ops) => {
        ops.linear(y, x, stored, null);
        ops.linear(z, x, parameter, null);
        ops.linearBackward(dx, dy, x, parameter, null);
      }),
      plainBatch(2),
    );
    expect(trainer.read(z, 0, 2)).toEqual(trainer.read(y, 0, 2));
    expect(trainer.readValues(parameter)).toEqual(nudged);
    const settings = { step: 1, learningRate: 0.5, beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0, clip: null };
    trainer.update(settings);
    await trainer.run(
      trainer.record((ops) => ops.linear(z, x, parameter, null)),
      plainBatch(2),
    );
    expect(trainer.read(z, 0, 2)).not.toEqual(trainer.read(y, 0, 2));
  });

  it('restores parameters and moments exactly', () => {
    const trainer = new ReferenceTrainer();
    const random = new Random(13);
    const make = () =>
      trainer.parameter({ name: 'w', rows: 3, cols: 4, decays: true, values: new Random(1).floats(12) });
    const [a, b] = [make(), make()];
    const settings = { learningRate: 0.1, beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0.1, clip: 1 };
    const gradients = [random.floats(12), random.floats(12)];
    for (const [i, gradient] of gradients.entries()) {
      if (i === 1) trainer.writeState(b, { values: trainer.readValues(a), ...trainer.readMoments(a) });
      for (const parameter of [a, b]) parameterOf(parameter).gradient.set(gradient);
      trainer.update({ ...settings, step: i + 1 });
    }
    expect(trainer.readValues(b)).toEqual(trainer.readValues(a));
    expect(trainer.readMoments(b)).toEqual(trainer.readMoments(a));
  });
});
