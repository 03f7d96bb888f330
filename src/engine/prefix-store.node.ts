// Saved prefixes in a folder: one file each, named by the hash of its tokens, least recently used ones deleted when the
// folder grows over its bound. Files come from outside, so everything in them is checked against the file's size before
// it is used, and the page bytes against a SHA-256 before they count. Nothing is ever written in place: a file appears
// by renaming, whole or not at all.
//
// Layout (little-endian): 8 bytes magic | u32 length of a JSON header | header | i32 tokens | pages | 32 bytes SHA-256 of
// all before it. The header repeats key and shape; a file of another model or another cache layout is not ours to read.

import { createHash } from 'node:crypto';
import { type FileHandle, open as openFile, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { GptOssError } from '../errors.ts';
import { makeFolder } from './make-folder.node.ts';
import type { PrefixShape, PrefixStore } from './prefix-store.ts';

export interface DiskPrefixOptions {
  readonly folder: string;
  /** Names model, backend, precision and everything else that the bytes of a page depend on. */
  readonly key: string;
  readonly maxBytes?: number; // default 4 GiB
  /** Told of what went wrong (a full disk, a damaged file); requests go on. */
  readonly onProblem?: (problem: GptOssError) => void;
}

interface Entry {
  readonly path: string;
  readonly tokens: Int32Array;
  readonly bytes: number;
  readonly shape: string;
  readonly dataOffset: number; // where pages begin
  usedAt: number;
}

const MAGIC = Buffer.from('GPTOSSKV');
const MAX_HEADER = 4096;
const MAX_TOKENS = 1 << 20;
const SUFFIX = '.prefix';

export class DiskPrefixStore implements PrefixStore {
  readonly #folder: string;
  readonly #key: string;
  readonly #maxBytes: number;
  readonly #onProblem: (problem: GptOssError) => void;
  readonly #entries = new Map<string, Entry>(); // by file name
  #otherBytes = 0; // of other models in the same folder
  #serial = 0;

  private constructor(options: DiskPrefixOptions, folder: string) {
    this.#folder = folder;
    this.#key = options.key;
    this.#maxBytes = options.maxBytes ?? 4 * 2 ** 30;
    this.#onProblem = options.onProblem ?? (() => undefined);
  }

  /** Makes the folder if it is not there and looks at what it holds. Throws `io` when it cannot be used at all. */
  static async open(options: DiskPrefixOptions): Promise<DiskPrefixStore> {
    const folder = join(options.folder, sha256(options.key).slice(0, 16));
    const store = new DiskPrefixStore(options, folder);
    try {
      makeFolder(folder);
      for (const name of await readdir(folder)) await store.#admit(name);
      await store.#tidyOthers(options.folder);
    } catch (cause) {
      const message = `the cache folder ${folder} cannot be used; expected a folder that can be written; choose another`;
      throw new GptOssError('io', message, { cause });
    }
    await store.#makeRoom(0);
    return store;
  }

  get bytes(): number {
    let bytes = 0;
    for (const entry of this.#entries.values()) bytes += entry.bytes;
    return bytes;
  }

  get count(): number {
    return this.#entries.size;
  }

  longest(tokens: Int32Array, shape: PrefixShape): number {
    return this.#find(tokens, shapeText(shape))?.tokens.length ?? 0;
  }

  async *load(tokens: Int32Array, shape: PrefixShape): AsyncGenerator<Uint8Array> {
    const entry = this.#entries.get(nameOf(tokens));
    if (entry?.shape !== shapeText(shape)) throw this.#problem(`no prefix of ${tokens.length} tokens is saved`);
    entry.usedAt = Date.now();
    let file: FileHandle | null = null;
    try {
      file = await openFile(entry.path, 'r');
      const hash = createHash('sha256');
      hash.update(await readExactly(file, 0, entry.dataOffset));
      let at = entry.dataOffset;
      for (const size of pageSizes(tokens.length, shape)) {
        const bytes = await readExactly(file, at, size);
        hash.update(bytes);
        at += size;
        yield bytes;
      }
      const expected = await readExactly(file, at, 32);
      if (!hash.digest().equals(expected)) throw this.#problem(`${entry.path} is damaged`);
      const now = new Date();
      await utimes(entry.path, now, now);
    } catch (cause) {
      await this.#drop(nameOf(tokens));
      throw cause instanceof GptOssError ? cause : this.#problem(`${entry.path} cannot be read`, cause);
    } finally {
      await file?.close();
    }
  }

  async save(tokens: Int32Array, shape: PrefixShape, pages: AsyncIterable<Uint8Array>): Promise<void> {
    const name = nameOf(tokens);
    const head = headOf(this.#key, shape, tokens);
    const size = head.length + pageSizes(tokens.length, shape).reduce((sum, bytes) => sum + bytes, 0) + 32;
    if (tokens.length > MAX_TOKENS || size > this.#maxBytes) return;
    await this.#makeRoom(size);
    const draft = join(this.#folder, `${name}.${process.pid}.${this.#serial++}.part`);
    try {
      const file = await openFile(draft, 'wx');
      try {
        const hash = createHash('sha256').update(head);
        await file.write(head);
        for await (const bytes of pages) {
          hash.update(bytes);
          await file.write(bytes);
        }
        await file.write(hash.digest());
      } finally {
        await file.close();
      }
      await rename(draft, join(this.#folder, name));
    } catch (cause) {
      await rm(draft, { force: true }).catch(() => undefined);
      throw this.#problem(`a prefix of ${tokens.length} tokens (${size} bytes) could not be saved`, cause);
    }
    await this.#admit(name);
  }

  // ---- inside -----------------------------------------------------------------------------------------------------

  #find(tokens: Int32Array, shape: string): Entry | undefined {
    let best: Entry | undefined;
    for (const entry of this.#entries.values()) {
      const { length } = entry.tokens;
      if (entry.shape !== shape || length > tokens.length || length <= (best?.tokens.length ?? 0)) continue;
      if (entry.tokens.every((id, i) => id === tokens[i])) best = entry;
    }
    return best;
  }

  /** Takes a file into the index; files that are not whole prefixes of this key are left alone, abandoned drafts go. */
  async #admit(name: string): Promise<void> {
    const path = join(this.#folder, name);
    if (name.endsWith('.part')) {
      const age = Date.now() - (await stat(path).catch(() => ({ mtimeMs: Date.now() }))).mtimeMs;
      if (age > 3_600_000) await rm(path, { force: true });
      return;
    }
    if (!name.endsWith(SUFFIX)) return;
    let file: FileHandle | null = null;
    try {
      file = await openFile(path, 'r');
      const { size, mtimeMs } = await file.stat();
      const start = await readExactly(file, 0, 12);
      const headerLength = start.readUInt32LE(8);
      if (!start.subarray(0, 8).equals(MAGIC) || headerLength > MAX_HEADER) throw new Error('no saved prefix');
      const header = readHeader(await readExactly(file, 12, headerLength));
      const dataOffset = 12 + headerLength + header.tokens * 4;
      const pages = pageSizes(header.tokens, header.shape).reduce((sum, bytes) => sum + bytes, 0);
      if (header.key !== this.#key || size !== dataOffset + pages + 32) throw new Error('of another kind or size');
      const raw = await readExactly(file, 12 + headerLength, header.tokens * 4);
      const tokens = Int32Array.from({ length: header.tokens }, (_, i) => raw.readInt32LE(i * 4));
      if (nameOf(tokens) !== name) throw new Error('its name belongs to other tokens');
      this.#entries.set(name, {
        path,
        tokens,
        bytes: size,
        shape: shapeText(header.shape),
        dataOffset,
        usedAt: mtimeMs,
      });
    } catch (cause) {
      this.#problem(`${path} was ignored`, cause);
    } finally {
      await file?.close();
    }
  }

  /** Prefixes of other models count, too: the oldest go when all together are too many. */
  async #tidyOthers(root: string): Promise<void> {
    const others: { path: string; size: number; mtimeMs: number }[] = [];
    for (const key of await readdir(root)) {
      const folder = join(root, key);
      if (folder === this.#folder) continue;
      for (const name of await readdir(folder).catch(() => [])) {
        const path = join(folder, name);
        const facts = name.endsWith(SUFFIX) ? await stat(path).catch(() => null) : null;
        if (facts !== null) others.push({ path, size: facts.size, mtimeMs: facts.mtimeMs });
      }
    }
    this.#otherBytes = others.reduce((sum, { size }) => sum + size, 0);
    for (const { path, size } of others.sort((a, b) => a.mtimeMs - b.mtimeMs)) {
      if (this.#otherBytes + this.bytes <= this.#maxBytes) return;
      await rm(path, { force: true });
      this.#otherBytes -= size;
    }
  }

  async #makeRoom(bytes: number): Promise<void> {
    const oldest = [...this.#entries].sort(([, a], [, b]) => a.usedAt - b.usedAt);
    for (const [name] of oldest) {
      if (this.#otherBytes + this.bytes + bytes <= this.#maxBytes) return;
      await this.#drop(name);
    }
  }

  async #drop(name: string): Promise<void> {
    const entry = this.#entries.get(name);
    this.#entries.delete(name);
    if (entry !== undefined) await rm(entry.path, { force: true }).catch(() => undefined);
  }

  #problem(what: string, cause?: unknown): GptOssError {
    const problem = new GptOssError('io', `${what}; expected a whole file; the prompt is read again instead`, {
      cause,
    });
    this.#onProblem(problem);
    return problem;
  }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function shapeText({ pageTokens, window, fullBytes, slidingBytes }: PrefixShape): string {
  return [pageTokens, window, fullBytes, slidingBytes].join();
}

function nameOf(tokens: Int32Array): string {
  const bytes = Buffer.alloc(tokens.length * 4);
  for (let i = 0; i < tokens.length; i++) bytes.writeInt32LE(tokens[i], i * 4);
  return createHash('sha256').update(bytes).digest('hex').slice(0, 40) + SUFFIX;
}

function pageSizes(tokens: number, { pageTokens, window, fullBytes, slidingBytes }: PrefixShape): number[] {
  const pages = Math.ceil(tokens / pageTokens);
  const first = Math.floor(Math.max(0, tokens - window + 1) / pageTokens);
  return [...new Array<number>(pages).fill(fullBytes), ...new Array<number>(pages - first).fill(slidingBytes)];
}

function headOf(key: string, shape: PrefixShape, tokens: Int32Array): Buffer {
  const header = Buffer.from(JSON.stringify({ key, shape, tokens: tokens.length }));
  const head = Buffer.alloc(12 + header.length + tokens.length * 4);
  MAGIC.copy(head);
  head.writeUInt32LE(header.length, 8);
  header.copy(head, 12);
  for (let i = 0; i < tokens.length; i++) head.writeInt32LE(tokens[i], 12 + header.length + i * 4);
  return head;
}

function readHeader(bytes: Buffer): { key: string; shape: PrefixShape; tokens: number } {
  const { key, shape, tokens } = JSON.parse(bytes.toString('utf8')) as Record<string, unknown>;
  const count = (value: unknown, max: number): number => {
    if (!Number.isInteger(value) || (value as number) < 1 || (value as number) > max) throw new Error('a bad header');
    return value as number;
  };
  const { pageTokens, window, fullBytes, slidingBytes } = (shape ?? {}) as Record<string, unknown>;
  return {
    key: String(key),
    tokens: count(tokens, MAX_TOKENS),
    shape: {
      pageTokens: count(pageTokens, 1 << 16),
      window: count(window, MAX_TOKENS),
      fullBytes: count(fullBytes, 2 ** 30),
      slidingBytes: count(slidingBytes, 2 ** 30),
    },
  };
}

async function readExactly(file: FileHandle, offset: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await file.read(bytes, done, length - done, offset + done);
    if (bytesRead === 0) throw new Error('the file is too short');
    done += bytesRead;
  }
  return bytes;
}
