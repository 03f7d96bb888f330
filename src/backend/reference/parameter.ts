// A trainable weight of the reference: master values, gradient and the optimiser's two moments, all in the backend's
// float type, and what the forward pass sees of the values (themselves, or rounded to MXFP4). Next: backward.ts.

import { GptOssError } from '../../errors.ts';
import { GROUP_DATA_BYTES, GROUP_VALUES, packNearest, unpackGroup } from '../../formats/mxfp4.ts';
import type { AdamW, Parameter, ParameterSpec } from '../train-backend.ts';
import type { Floats, FloatsConstructor, MatrixTiles } from './storage.ts';

export class ReferenceParameter implements Parameter, MatrixTiles {
  readonly name: string;
  readonly experts: number;
  readonly rows: number;
  readonly cols: number;
  readonly decays: boolean;
  readonly dtype = 'f32';
  readonly tileRows: number;
  readonly tilesPerExpert = 1;
  readonly values: Floats; // [experts, rows, cols]
  readonly gradient: Floats;
  readonly first: Floats; // running mean of gradients
  readonly second: Floats; // running mean of their squares
  readonly #floats: FloatsConstructor;
  #seen!: Floats; // what forward and backward read: values, or their MXFP4 rounding
  #tiles: readonly Floats[] = []; // by expert, views of #seen
  #row: readonly Floats[] = []; // of a dense matrix, views of #seen

  constructor(spec: ParameterSpec, floats: FloatsConstructor) {
    this.name = spec.name;
    this.experts = spec.experts ?? 1;
    this.rows = spec.rows;
    this.cols = spec.cols;
    this.decays = spec.decays;
    this.tileRows = spec.rows;
    const count = this.experts * spec.rows * spec.cols;
    if (spec.values.length !== count) {
      const shape = `[${this.experts}, ${spec.rows}, ${spec.cols}]`;
      throw new GptOssError(
        'internal',
        `${spec.name} came with ${spec.values.length} values; its shape ${shape} needs ${count}`,
      );
    }
    this.values = floats.from(spec.values);
    this.gradient = new floats(count);
    this.first = new floats(count);
    this.second = new floats(count);
    this.#floats = floats;
    this.fakeQuantise(spec.fakeQuantised === true);
  }

  get seen(): Floats {
    return this.#seen;
  }

  fakeQuantise(on: boolean): void {
    const { rows, cols, experts, values } = this;
    if (on && cols % GROUP_VALUES !== 0) {
      throw new GptOssError(
        'invalid-request',
        `${this.name} has rows of ${cols}; MXFP4 needs a multiple of ${GROUP_VALUES}; train it unquantised`,
      );
    }
    if (this.#seen === undefined || on !== (this.#seen !== values)) {
      const seen = on ? new this.#floats(values.length) : values;
      const size = rows * cols;
      this.#seen = seen;
      this.#tiles = Array.from({ length: experts }, (_, e) => seen.subarray(e * size, (e + 1) * size));
      this.#row = Array.from({ length: experts === 1 ? rows : 0 }, (_, r) => seen.subarray(r * cols, (r + 1) * cols));
    }
    this.refresh();
  }

  /** Rounds the values anew; called whenever they have changed. */
  refresh(): void {
    if (this.#seen === this.values) return;
    const group = new Float32Array(GROUP_VALUES);
    const data = new Uint8Array(GROUP_DATA_BYTES);
    for (let i = 0; i < this.values.length; i += GROUP_VALUES) {
      group.set(this.values.subarray(i, i + GROUP_VALUES));
      const scale = packNearest(group, 0, 'pairs', data, 0);
      unpackGroup(data, 0, scale, 'pairs', group, 0);
      this.#seen.set(group, i);
    }
  }

  tile(expert: number): Floats {
    return this.#tiles[expert];
  }

  row(row: number): Floats {
    return this.#row[row];
  }

  /** AdamW with the gradient times `scale` (clipping); see train-backend.ts for the formula. */
  update(settings: AdamW, scale: number): void {
    const { step, learningRate, beta1, beta2, eps, weightDecay } = settings;
    const kept = this.decays ? 1 - learningRate * weightDecay : 1;
    const [correction1, correction2] = [1 - beta1 ** step, 1 - beta2 ** step];
    const { values, gradient, first, second } = this;
    for (let i = 0; i < values.length; i++) {
      const g = gradient[i] * scale;
      first[i] = beta1 * first[i] + (1 - beta1) * g;
      second[i] = beta2 * second[i] + (1 - beta2) * g * g;
      const change = first[i] / correction1 / (Math.sqrt(second[i] / correction2) + eps);
      values[i] = values[i] * kept - learningRate * change;
    }
    this.refresh();
  }
}
