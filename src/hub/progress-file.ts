// What is already on disk of a file that is being fetched in parallel: one counter for each segment, in a small file
// beside it. Two counters, because two things can happen: after kill −9 everything written is still in the page cache
// (`written` holds), after a power cut only what was flushed (`flushed` holds; told apart by the boot time).
// Layout, little-endian: 256-byte JSON header, then float64 written[n], then float64 flushed[n].

import { closeSync, fdatasyncSync, fstatSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { uptime } from 'node:os';

const HEADER_BYTES = 256;
/** What one request asks for. */
export const SEGMENT_BYTES = 16 << 20;

export class ProgressFile {
  readonly segments: number;
  readonly written: Float64Array; // bytes done of each segment, from its start
  private readonly flushed: Float64Array;
  private readonly fd: number;
  private readonly path: string;

  private constructor(path: string, fd: number, written: Float64Array, flushed: Float64Array) {
    this.path = path;
    this.fd = fd;
    this.segments = written.length;
    this.written = written;
    this.flushed = flushed;
  }

  /** Takes up an earlier attempt at the same content, or starts from nothing. `dataBytes`: length of the data file. */
  static open(
    path: string,
    identity: { blob: string; size: number },
    dataBytes: number,
    segmentBytes: number,
  ): ProgressFile {
    const segments = Math.ceil(identity.size / segmentBytes);
    const boot = Math.round(Date.now() / 1000 - uptime());
    const header = JSON.stringify({
      version: 1,
      blob: identity.blob,
      size: identity.size,
      segment: segmentBytes,
      boot,
    }).padEnd(HEADER_BYTES);
    let fd: number;
    try {
      fd = openSync(path, 'r+');
    } catch {
      fd = openSync(path, 'w+');
    }
    const stored = readAll(fd, HEADER_BYTES + segments * 16);
    const old = stored === null ? null : parseHeader(stored);
    const same =
      old !== null && old.blob === identity.blob && old.size === identity.size && old.segment === segmentBytes;
    let written = new Float64Array(segments);
    let flushed = new Float64Array(segments);
    if (same && stored !== null) {
      const numbers = new Float64Array(
        stored.buffer.slice(stored.byteOffset + HEADER_BYTES, stored.byteOffset + HEADER_BYTES + segments * 16),
      );
      flushed = numbers.slice(segments);
      // Clocks drift a little; a reboot moves the boot time by more than a minute.
      written = Math.abs(Number(old.boot) - boot) < 60 ? numbers.slice(0, segments) : flushed.slice();
      for (let i = 0; i < segments; i++) {
        const length = Math.min(segmentBytes, identity.size - i * segmentBytes);
        const onDisk = Math.max(0, Math.min(length, dataBytes - i * segmentBytes));
        if (!(written[i] >= 0 && written[i] <= onDisk)) written[i] = 0;
        if (!(flushed[i] >= 0 && flushed[i] <= written[i])) flushed[i] = 0;
      }
    }
    const file = new ProgressFile(path, fd, written, flushed);
    writeSync(fd, header, 0);
    file.writeArray(written, 0);
    file.writeArray(flushed, 1);
    return file;
  }

  /** Records that `bytes` of segment i are in the page cache. Call after the data write has returned. */
  advance(i: number, bytes: number): void {
    this.written[i] = bytes;
    writeSync(this.fd, new Uint8Array(Float64Array.of(bytes).buffer), 0, 8, HEADER_BYTES + i * 8);
  }

  /** Records that everything written before `snapshot` was taken has reached the disk. */
  markFlushed(snapshot: Float64Array): void {
    this.flushed.set(snapshot);
    this.writeArray(this.flushed, 1);
    fdatasyncSync(this.fd);
  }

  reset(): void {
    this.written.fill(0);
    this.flushed.fill(0);
    this.writeArray(this.written, 0);
    this.writeArray(this.flushed, 1);
  }

  close(): void {
    closeSync(this.fd);
  }

  remove(): void {
    rmSync(this.path, { force: true });
  }

  private writeArray(values: Float64Array, index: number): void {
    if (values.length === 0) return;
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    writeSync(this.fd, bytes, 0, bytes.length, HEADER_BYTES + index * this.segments * 8);
  }
}

function readAll(fd: number, length: number): Uint8Array | null {
  if (fstatSync(fd).size < length) return null;
  const bytes = new Uint8Array(length);
  return readSync(fd, bytes, 0, length, 0) === length ? bytes : null;
}

function parseHeader(bytes: Uint8Array): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes.subarray(0, HEADER_BYTES)));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}
