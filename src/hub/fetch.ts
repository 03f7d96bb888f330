// One file from the hub onto the disk: parallel ranged requests, resumed after anything, verified before it gets its name.
// Owns retries, redirects to signed addresses that expire, and servers that do not do as they should. Knows no cache
// layout (pull.ts) and no repositories (plan.ts).
//
// Segments of 16 MiB are taken in order by a few connections; each writes at its place. The hash follows the watermark.

import { closeSync, constants, fdatasync, fstatSync, ftruncateSync, openSync, renameSync, writeSync } from 'node:fs';
import { basename } from 'node:path';
import { promisify } from 'node:util';
import { GptOssError, isGptOssError } from '../errors.ts';
import { fileError } from '../formats/file.node.ts';
import { type FollowingHash, hashWhileWritten } from './hash-file.ts';
import type { HttpAnswer, HttpClient } from './http.ts';
import type { RemoteFile } from './plan.ts';
import { ProgressFile, SEGMENT_BYTES } from './progress-file.ts';

const flush = promisify(fdatasync);

export interface FetchOptions {
  readonly http: HttpClient;
  readonly token: string | null;
  readonly connections?: number;
  readonly segmentBytes?: number;
  /** Tries without any progress before giving up. */
  readonly retries?: number;
  /** First pause after a failure; doubles up to 30 s. */
  readonly backoffMs?: number;
  readonly signal?: AbortSignal;
  /** Bytes of this file on disk so far (goes back to 0 when it has to start over). */
  readonly onProgress?: (bytes: number) => void;
}

/** Fetches `url` into `target` (its directory exists). Returns bytes that travelled over the network. */
export async function fetchFile(url: string, file: RemoteFile, target: string, options: FetchOptions): Promise<number> {
  let transferred = 0;
  for (let attempt = 0; ; attempt++) {
    const download = new Download(url, file, target, options);
    try {
      await download.run();
      return transferred + download.transferred;
    } catch (error) {
      transferred += download.transferred;
      // A wrong hash may come from a torn earlier attempt: once more from nothing, then it is the server's fault.
      if (!(error instanceof WrongHash) || attempt > 0)
        throw error instanceof WrongHash ? error.publicError(file) : error;
    } finally {
      download.close();
    }
  }
}

class WrongHash extends Error {
  readonly found: string;
  constructor(found: string) {
    super('wrong hash');
    this.found = found;
  }
  publicError(file: RemoteFile): GptOssError {
    return new GptOssError(
      'io',
      `${file.path} arrived with ${file.hash} ${this.found.slice(0, 12)}…; expected ${file.blob.slice(0, 12)}…; the server's copy or the way to it is damaged, try another HF_ENDPOINT or later`,
    );
  }
}

/** Statuses worth another try, and silence. */
class Retry extends Error {
  readonly afterMs: number | null;
  readonly resolveAgain: boolean;
  constructor(message: string, options: { afterMs?: number | null; resolveAgain?: boolean; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.afterMs = options.afterMs ?? null;
    this.resolveAgain = options.resolveAgain ?? false;
  }
}

class Download {
  transferred = 0;
  private readonly url: string;
  private readonly file: RemoteFile;
  private readonly target: string;
  private readonly options: FetchOptions;
  private readonly partial: string;
  private readonly segmentBytes: number;
  private readonly fd: number;
  private readonly progress: ProgressFile;
  private readonly hash: FollowingHash;
  private readonly stop = new AbortController();
  private address: Promise<string> | null = null; // where the bytes are, signed and expiring
  private failures = 0; // since the last progress
  private wholeOnly = false; // the server ignores ranges
  private whole: Promise<void> | null = null;
  private next = 0; // first segment nobody has taken
  private closed = false;

  constructor(url: string, file: RemoteFile, target: string, options: FetchOptions) {
    this.url = url;
    this.file = file;
    this.target = target;
    this.options = options;
    this.segmentBytes = options.segmentBytes ?? SEGMENT_BYTES;
    this.partial = `${target}.gptoss.incomplete`;
    try {
      this.fd = openSync(this.partial, constants.O_RDWR | constants.O_CREAT, 0o644);
      this.progress = ProgressFile.open(`${target}.gptoss.progress`, file, fstatSync(this.fd).size, this.segmentBytes);
    } catch (cause) {
      throw fileError(basename(this.partial), cause);
    }
    this.hash = hashWhileWritten(this.partial, file.size, file.hash);
    this.report();
  }

  async run(): Promise<void> {
    const { signal } = this.options;
    const onAbort = (): void => this.stop.abort(signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    if (signal?.aborted) onAbort();
    const flusher = setInterval(() => void this.flushNow().catch(() => {}), 5_000);
    try {
      const lanes = Math.max(1, Math.min(this.options.connections ?? 4, this.progress.segments));
      const results = await Promise.allSettled(Array.from({ length: lanes }, () => this.lane()));
      const failed = results.find(
        (r): r is PromiseRejectedResult => r.status === 'rejected' && !isGptOssError(r.reason, 'aborted'),
      );
      const aborted = results.find((r): r is PromiseRejectedResult => r.status === 'rejected');
      if (failed ?? aborted) throw (failed ?? aborted)!.reason;
      await this.flushNow();
      const digest = await this.hash.digest;
      if (digest !== this.file.blob) {
        this.progress.reset();
        ftruncateSync(this.fd, 0);
        throw new WrongHash(digest ?? 'nothing');
      }
      renameSync(this.partial, this.target);
      this.progress.remove();
    } finally {
      clearInterval(flusher);
      signal?.removeEventListener('abort', onAbort);
    }
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.hash.stop();
    closeSync(this.fd);
    this.progress.close();
  }

  /** One connection: takes segments until none is left. */
  private async lane(): Promise<void> {
    for (;;) {
      const segment = this.next++;
      if (segment >= this.progress.segments) return;
      while (this.progress.written[segment] < this.length(segment)) {
        if (this.stop.signal.aborted) throw aborted(this.file);
        try {
          await this.readSegment(segment);
        } catch (error) {
          await this.afterFailure(error);
        }
      }
    }
  }

  private length(segment: number): number {
    return Math.min(this.segmentBytes, this.file.size - segment * this.segmentBytes);
  }

  private async readSegment(segment: number): Promise<void> {
    if (this.wholeOnly) {
      this.whole ??= this.readWhole().finally(() => {
        this.whole = null;
      });
      return this.whole; // one lane's read serves all
    }
    const start = segment * this.segmentBytes;
    const from = start + this.progress.written[segment];
    const end = start + this.length(segment);
    const address = await this.resolve();
    const answer = await this.request(address, { from, end });
    if (answer.status === 200 && !(from === 0 && end === this.file.size)) {
      await discard(answer);
      this.wholeOnly = true; // this server can only send everything from the start
      return;
    }
    await this.drain(answer, from, end);
  }

  private async readWhole(): Promise<void> {
    const answer = await this.request(await this.resolve(), null);
    await this.drain(answer, 0, this.file.size);
  }

  /** Writes a body at `at`, never past `end`, and records each piece. */
  private async drain(answer: HttpAnswer, at: number, end: number): Promise<void> {
    const { body } = answer;
    let position = at;
    try {
      for await (const piece of body as AsyncIterable<Uint8Array>) {
        let offset = 0;
        if (position + piece.length > end) throw new Retry('the server sent more than was asked for');
        this.transferred += piece.length;
        while (offset < piece.length) {
          const segment = Math.floor(position / this.segmentBytes);
          const inSegment = position - segment * this.segmentBytes;
          const n = Math.min(piece.length - offset, this.segmentBytes - inSegment);
          this.writePiece(piece, offset, n, position);
          offset += n;
          position += n;
          if (inSegment + n > this.progress.written[segment]) {
            this.progress.advance(segment, inSegment + n);
            this.failures = 0; // only new bytes count: a server that never gets further than last time has failed
          }
        }
        this.report();
      }
    } catch (cause) {
      if (cause instanceof Retry || cause instanceof GptOssError) throw cause;
      if (this.stop.signal.aborted) throw aborted(this.file);
      throw new Retry(`the connection broke (${(cause as Error).message})`, { cause });
    }
    if (position < end) throw new Retry(`the server closed after ${position - at} of ${end - at} bytes`);
  }

  private writePiece(piece: Uint8Array, offset: number, length: number, position: number): void {
    try {
      for (let done = 0; done < length; )
        done += writeSync(this.fd, piece, offset + done, length - done, position + done);
    } catch (cause) {
      this.stop.abort();
      throw fileError(basename(this.partial), cause);
    }
  }

  private report(): void {
    let total = 0;
    let watermark = 0;
    let gap = false;
    const { written, segments } = this.progress;
    for (let i = 0; i < segments; i++) {
      total += written[i];
      if (gap) continue;
      watermark += written[i];
      gap = written[i] < this.length(i);
    }
    this.hash.ready(watermark);
    this.options.onProgress?.(total);
  }

  private async flushNow(): Promise<void> {
    if (this.closed) return;
    const snapshot = this.progress.written.slice();
    await flush(this.fd);
    if (!this.closed) this.progress.markFlushed(snapshot);
  }

  /** The address that serves the bytes: asked of the hub, kept until it expires. */
  private resolve(): Promise<string> {
    this.address ??= this.askHub();
    return this.address;
  }

  private async askHub(): Promise<string> {
    const answer = await this.attempt(() =>
      this.options.http.get(this.url, {
        method: 'HEAD',
        token: this.options.token,
        relativeOnly: true,
        signal: this.stop.signal,
      }),
    );
    await discard(answer);
    const { headers, status } = answer;
    if (status >= 400) throw statusError(status, headers, this.file, true);
    const tag = (headers['x-linked-etag'] ?? headers['etag'] ?? '').replace(/^W\//, '').replace(/^"|"$/g, '');
    const size = headers['x-linked-size'] ?? (status === 200 ? headers['content-length'] : undefined);
    if (
      (/^[0-9a-f]{40}$|^[0-9a-f]{64}$/.test(tag) && tag !== this.file.blob) ||
      (size !== undefined && Number(size) !== this.file.size)
    ) {
      throw new GptOssError(
        'io',
        `${this.file.path} changed on the server while it was fetched; expected ${this.file.blob.slice(0, 12)}…; start the download again`,
      );
    }
    return headers['location'] === undefined ? answer.url : new URL(headers['location'], answer.url).href;
  }

  private async request(address: string, range: { from: number; end: number } | null): Promise<HttpAnswer> {
    const sameHost = new URL(address).host === new URL(this.url).host;
    const answer = await this.attempt(() =>
      this.options.http.get(address, {
        headers: range === null ? {} : { range: `bytes=${range.from}-${range.end - 1}` },
        token: sameHost ? this.options.token : null,
        signal: this.stop.signal,
      }),
    );
    const { status, headers } = answer;
    const encoding = headers['content-encoding'] ?? 'identity';
    if (status !== 200 && status !== 206) {
      await discard(answer);
      throw statusError(status, headers, this.file, false);
    }
    if (encoding !== 'identity') {
      await discard(answer);
      throw new Retry(`the server answered in ${encoding}, which nobody asked for`, { resolveAgain: true });
    }
    if (status === 206 && range !== null) {
      const match = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(headers['content-range'] ?? '');
      const fits =
        match !== null &&
        Number(match[1]) === range.from &&
        Number(match[2]) < range.end &&
        (match[3] === '*' || Number(match[3]) === this.file.size);
      if (!fits) {
        await discard(answer);
        throw new Retry(`the server sent the range "${headers['content-range'] ?? ''}"`, { resolveAgain: true });
      }
    }
    return answer;
  }

  /** Network errors become Retry; our own errors and aborts stay what they are. */
  private async attempt(fn: () => Promise<HttpAnswer>): Promise<HttpAnswer> {
    try {
      return await fn();
    } catch (cause) {
      if (cause instanceof GptOssError) throw cause;
      if (this.stop.signal.aborted) throw aborted(this.file);
      throw new Retry(`no answer (${(cause as Error).message})`, { cause });
    }
  }

  private async afterFailure(error: unknown): Promise<void> {
    if (!(error instanceof Retry)) {
      this.stop.abort(); // the other lanes have nothing left to do
      throw error;
    }
    this.failures++;
    if (error.resolveAgain || this.failures % 2 === 0) this.address = null;
    if (this.address !== null) await this.address.catch(() => (this.address = null));
    if (this.failures > (this.options.retries ?? 8)) {
      this.stop.abort();
      throw new GptOssError(
        'io',
        `${this.file.path} could not be fetched: ${error.message}, ${this.failures} times in a row; expected bytes; run the same command again later, it goes on where it stopped`,
        { cause: error },
      );
    }
    const pause =
      error.afterMs ?? Math.min(30_000, (this.options.backoffMs ?? 1_000) * 2 ** Math.min(this.failures - 1, 10));
    await new Promise<void>((resolve) => {
      const timer = setTimeout(done, pause);
      const { signal } = this.stop;
      function done(): void {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve();
      }
      signal.addEventListener('abort', done);
    });
  }
}

function statusError(
  status: number,
  headers: Readonly<Record<string, string>>,
  file: RemoteFile,
  fromHub: boolean,
): Error {
  if (status === 408 || status === 429 || status >= 500) {
    const seconds = Number(headers['retry-after']);
    return new Retry(`the server answered ${status}`, { afterMs: seconds > 0 ? Math.min(seconds, 300) * 1000 : null });
  }
  // An expired signature (401, 403), or a range of a file that is not this one any more (416): ask the hub again.
  if (
    !fromHub &&
    (status === 400 || status === 401 || status === 403 || status === 404 || status === 410 || status === 416)
  ) {
    return new Retry(`the server answered ${status}`, { resolveAgain: true });
  }
  if (status === 404)
    return new GptOssError(
      'not-found',
      `${file.path} is not on the server (404); expected a published file; check the name`,
    );
  return new GptOssError(
    'io',
    `the server refuses ${file.path} (${status}); expected access; check HF_TOKEN and HF_ENDPOINT`,
  );
}

async function discard(answer: HttpAnswer): Promise<void> {
  try {
    await answer.body.dump({ limit: 1 << 16 });
  } catch {
    // nobody wanted these bytes
  }
}

function aborted(file: RemoteFile): GptOssError {
  return new GptOssError(
    'aborted',
    `the download of ${file.path} was stopped; run the same command again, it goes on where it stopped`,
  );
}
