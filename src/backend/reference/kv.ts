// Paged keys and values of the reference backend. One array per layer for keys and one for values:
// [pages, pageTokens, kvHeads, headDim]. f16 and q8 are emulated: values are rounded as those types would store them,
// then kept as floats. Who owns which page is the engine's business. Next: attention.ts.

import { GptOssError } from '../../errors.ts';
import type { CacheSpec, KvCache } from '../backend.ts';
import { roundToF16, roundToInt8 } from './quantise.ts';
import type { Floats, FloatsConstructor } from './storage.ts';

const Q8_GROUP = 32;

export class ReferenceCache implements KvCache {
  readonly spec: CacheSpec;
  readonly width: number; // of one token's key in a layer
  readonly keys: readonly Floats[]; // per layer
  readonly values: readonly Floats[];

  constructor(spec: CacheSpec, floats: FloatsConstructor) {
    const { pageTokens } = spec;
    if (!(pageTokens >= 1) || (pageTokens & (pageTokens - 1)) !== 0) {
      throw new GptOssError('internal', `a page of ${pageTokens} tokens was asked for; expected a power of two`);
    }
    if (spec.type === 'q8' && spec.headDim % Q8_GROUP !== 0) {
      throw new GptOssError(
        'invalid-request',
        `the 8-bit cache needs a head size that is a multiple of ${Q8_GROUP}, not ${spec.headDim}; use f16`,
      );
    }
    this.spec = spec;
    this.width = spec.kvHeads * spec.headDim;
    const allocate = (layer: { sliding: boolean }): Floats =>
      new floats((layer.sliding ? spec.slidingPages : spec.fullPages) * pageTokens * this.width);
    this.keys = spec.layers.map(allocate);
    this.values = spec.layers.map(allocate);
  }

  /** Rounds and stores one token's key or value at a slot (page * pageTokens + token in page). */
  store(into: Floats, slot: number, from: Floats, fromOffset: number): void {
    const to = slot * this.width;
    const { type } = this.spec;
    if (type === 'q8') {
      for (let i = 0; i < this.width; i += Q8_GROUP)
        roundToInt8(from, into, fromOffset + i, to + i, Q8_GROUP, roundToF16);
    } else if (type === 'f16') {
      for (let i = 0; i < this.width; i++) into[to + i] = roundToF16(from[fromOffset + i]);
    } else {
      for (let i = 0; i < this.width; i++) into[to + i] = from[fromOffset + i];
    }
  }

  #layersOf(group: 'full' | 'sliding'): Floats[] {
    const arrays: Floats[] = [];
    for (const [layer, { sliding }] of this.spec.layers.entries()) {
      if (sliding === (group === 'sliding')) arrays.push(this.keys[layer], this.values[layer]);
    }
    return arrays;
  }

  #checkPage(group: 'full' | 'sliding', page: number): void {
    const pages = group === 'full' ? this.spec.fullPages : this.spec.slidingPages;
    if (!(Number.isInteger(page) && page >= 0 && page < pages)) {
      throw new GptOssError('internal', `${group} page ${page} was asked for; the cache has 0 to ${pages - 1}`);
    }
  }

  pageBytes(group: 'full' | 'sliding'): number {
    const arrays = this.#layersOf(group);
    return arrays.length === 0 ? 0 : arrays.length * this.spec.pageTokens * this.width * arrays[0].BYTES_PER_ELEMENT;
  }

  copyPage(group: 'full' | 'sliding', from: number, to: number): void {
    this.#checkPage(group, from);
    this.#checkPage(group, to);
    const length = this.spec.pageTokens * this.width;
    for (const array of this.#layersOf(group)) array.copyWithin(to * length, from * length, (from + 1) * length);
  }

  readPage(group: 'full' | 'sliding', page: number): Uint8Array {
    this.#checkPage(group, page);
    const bytes = new Uint8Array(this.pageBytes(group));
    let offset = 0;
    for (const slice of this.#pageSlices(group, page)) {
      bytes.set(slice, offset);
      offset += slice.length;
    }
    return bytes;
  }

  writePage(group: 'full' | 'sliding', page: number, bytes: Uint8Array): void {
    this.#checkPage(group, page);
    if (bytes.length !== this.pageBytes(group)) {
      throw new GptOssError('internal', `a ${group} page of ${bytes.length} bytes; expected ${this.pageBytes(group)}`);
    }
    let offset = 0;
    for (const slice of this.#pageSlices(group, page)) {
      slice.set(bytes.subarray(offset, offset + slice.length));
      offset += slice.length;
    }
  }

  #pageSlices(group: 'full' | 'sliding', page: number): Uint8Array[] {
    const length = this.spec.pageTokens * this.width;
    return this.#layersOf(group).map((array) => {
      const { buffer, byteOffset, BYTES_PER_ELEMENT } = array;
      return new Uint8Array(buffer, byteOffset + page * length * BYTES_PER_ELEMENT, length * BYTES_PER_ELEMENT);
    });
  }

  close(): void {}
}
