// Hash of a file that is still being written: a worker follows the watermark (bytes that are on disk without a gap) and
// reads what it hashes back from the file, so a resumed download needs no saved hash state.

import { Worker } from 'node:worker_threads';

// Plain JavaScript in a string, so that it starts the same from source, from dist and in tests. control[0] = bytes that
// may be read (as float64), control[1] = 1: stop.
const source = `
const { workerData, parentPort } = require('node:worker_threads');
const { createHash } = require('node:crypto');
const fs = require('node:fs');
const { path, size, hash, control, wake } = workerData;
const numbers = new Float64Array(control);
const flag = new Int32Array(wake);
const digest = createHash(hash === 'sha256' ? 'sha256' : 'sha1');
if (hash === 'git-sha1') digest.update('blob ' + size + '\\0');
const buffer = Buffer.allocUnsafe(1 << 20);
let fd = -1;
let at = 0;
try {
  while (at < size && numbers[1] === 0) {
    const ready = numbers[0];
    if (ready <= at) { Atomics.wait(flag, 0, 0, 20); continue; }
    if (fd < 0) fd = fs.openSync(path, 'r');
    const n = fs.readSync(fd, buffer, 0, Math.min(buffer.length, ready - at), at);
    if (n === 0) { Atomics.wait(flag, 0, 0, 5); continue; }
    digest.update(buffer.subarray(0, n));
    at += n;
  }
  parentPort.postMessage(numbers[1] !== 0 ? { stopped: true } : { digest: digest.digest('hex') });
} catch (error) {
  parentPort.postMessage({ error: String(error && error.message) });
} finally {
  if (fd >= 0) fs.closeSync(fd);
}
`;

export interface FollowingHash {
  /** The file holds at least `bytes` from its start. */
  ready(bytes: number): void;
  /** Hex digest once `size` bytes are ready. Rejects when the file cannot be read; null after stop(). */
  readonly digest: Promise<string | null>;
  stop(): void;
}

export function hashWhileWritten(path: string, size: number, hash: 'sha256' | 'git-sha1'): FollowingHash {
  const control = new SharedArrayBuffer(16);
  const wake = new SharedArrayBuffer(4);
  const numbers = new Float64Array(control);
  const worker = new Worker(source, { eval: true, workerData: { path, size, hash, control, wake } });
  const digest = new Promise<string | null>((resolve, reject) => {
    worker.once('message', (message: { digest?: string; error?: string }) => {
      if (message.error !== undefined) reject(new Error(message.error));
      else resolve(message.digest ?? null);
    });
    worker.once('error', reject);
  });
  digest.catch(() => {}); // awaited by the caller, perhaps later
  return {
    ready(bytes) {
      numbers[0] = bytes;
    },
    digest,
    stop() {
      numbers[1] = 1;
    },
  };
}
