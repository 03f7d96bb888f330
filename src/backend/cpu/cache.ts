// Paged keys and values in native memory, reserved at once and committed page by page as it is used. Pages are copied,
// read and written here; rows get in through ropeCache. Who owns which page is the engine's business.

import { GptOssError } from '../../errors.ts';
import type { CacheSpec, KvCache } from '../backend.ts';
import { type Addon, type Handle, KV_TYPES, type NativeSession, native } from './addon.ts';

type Group = 'full' | 'sliding';

export class CpuCache implements KvCache {
  readonly spec: CacheSpec;
  readonly owner: object;
  readonly #addon: Addon;
  readonly #session: NativeSession;
  readonly #handle: Handle;
  #closed = false;

  constructor(owner: object, addon: Addon, session: NativeSession, spec: CacheSpec) {
    this.owner = owner;
    this.spec = spec;
    this.#addon = addon;
    this.#session = session;
    const fields = Int32Array.of(
      KV_TYPES.indexOf(spec.type),
      ...[spec.kvHeads, spec.headDim, spec.pageTokens, spec.fullPages, spec.slidingPages],
      ...spec.layers.map(({ sliding }) => (sliding ? 1 : 0)),
    );
    this.#handle = native(() => addon.cache(session, fields));
  }

  get handle(): Handle {
    if (this.#closed) throw new GptOssError('internal', 'the cache is closed; make a new one');
    return this.#handle;
  }

  pageBytes(group: Group): number {
    const { layers, kvHeads, headDim, pageTokens, type } = this.spec;
    const count = layers.filter(({ sliding }) => sliding === (group === 'sliding')).length;
    const tokenBytes = type === 'f32' ? headDim * 4 : type === 'f16' ? headDim * 2 : headDim + headDim / 16;
    return count * 2 * kvHeads * pageTokens * tokenBytes;
  }

  copyPage(group: Group, from: number, to: number): void {
    this.#check(group, from);
    this.#check(group, to);
    native(() => this.#addon.copyPage(this.#session, this.handle, group === 'sliding', from, to));
  }

  readPage(group: Group, page: number): Uint8Array {
    this.#check(group, page);
    return native(() => this.#addon.readPage(this.#session, this.handle, group === 'sliding', page));
  }

  writePage(group: Group, page: number, bytes: Uint8Array): void {
    this.#check(group, page);
    if (bytes.length !== this.pageBytes(group)) {
      throw new GptOssError(
        'internal',
        `a ${group} page of ${bytes.length} bytes was given; expected ${this.pageBytes(group)}; it is from another cache`,
      );
    }
    native(() => this.#addon.writePage(this.#session, this.handle, group === 'sliding', page, bytes));
  }

  #check(group: Group, page: number): void {
    const pages = group === 'full' ? this.spec.fullPages : this.spec.slidingPages;
    if (!(Number.isInteger(page) && page >= 0 && page < pages)) {
      throw new GptOssError('internal', `${group} page ${page} was asked for; the cache has 0 to ${pages - 1}`);
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#addon.release(this.#session, this.#handle);
  }
}
