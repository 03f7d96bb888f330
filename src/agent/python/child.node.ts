// Owns: one process that runs Python: its frames, one request at a time, and its end. What comes out of it is as hostile
// as the code it runs: every length is bounded, unknown frames end the process, texts are only text.
// Refuses: to choose walls (walls.node.ts), to decide when to start another (host.node.ts).

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import type { WallCommand } from './walls.node.ts';

const FRAME = 1;
const INTERRUPT = Uint8Array.of(3);
const MOST_JSON = 64 * 1024;
const MOST_BYTES = 16 * 1024 * 1024;
const MOST_PER_REQUEST = 64 * 1024 * 1024;

export interface Frame {
  readonly message: Readonly<Record<string, unknown>>;
  readonly bytes: Uint8Array;
}

export class PythonChild {
  readonly #process: ChildProcessWithoutNullStreams;
  #waiting: Buffer[] = [];
  #size = 0;
  #received = 0; // bytes of the current request
  #onFrame: ((frame: Frame) => void) | null = null;
  #onEnd: ((why: string) => void) | null = null;
  #complaint = '';
  #why: string | null = null;
  /** Settles when the process is gone. */
  readonly gone: Promise<void>;

  constructor({ command, args }: WallCommand) {
    // A group of its own, so that all of it can be killed; no environment, no folder of ours.
    this.#process = spawn(command, [...args], {
      ...{ cwd: '/', env: {}, stdio: ['pipe', 'pipe', 'pipe'], detached: process.platform !== 'win32' },
      windowsHide: true,
    });
    const { stdin, stdout, stderr } = this.#process;
    stdin.on('error', () => undefined); // the process is gone; `exit` says so
    stdout.on('data', (chunk: Buffer) => this.#take(chunk));
    stderr.on('data', (chunk: Buffer) => {
      if (this.#complaint.length < 4000) this.#complaint += chunk.toString('utf8').slice(0, 4000);
    });
    this.gone = new Promise((resolve) => {
      const end = (why: string): void => {
        this.#fail(why);
        resolve();
      };
      this.#process.on('error', (error) => end(error.message));
      this.#process.on('close', (code, signal) => end(`it ended with ${signal ?? `code ${code}`}`));
    });
    // It must not keep a program alive that has nothing else to do.
    this.#process.unref();
    for (const stream of [stdin, stdout, stderr]) (stream as unknown as { unref(): void }).unref();
  }

  get isAlive(): boolean {
    return this.#why === null;
  }

  /** Sends a request and hands over frames until `isLast` says so. Rejects when the process ends or misbehaves. */
  request(
    message: Readonly<Record<string, unknown>>,
    onFrame: (frame: Frame) => boolean,
    bytes: Uint8Array = new Uint8Array(0),
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const over = (): void => {
        this.#onFrame = null;
        this.#onEnd = null;
        this.#hold(false);
      };
      if (this.#why !== null) {
        reject(new Error(this.#why));
        return;
      }
      this.#hold(true);
      this.#received = 0;
      this.#onEnd = (why) => {
        over();
        reject(new Error(why));
      };
      this.#onFrame = (frame) => {
        if (!onFrame(frame)) return;
        over();
        resolve();
      };
      const json = new TextEncoder().encode(JSON.stringify(message));
      const head = Buffer.alloc(9);
      head.writeUInt8(FRAME, 0);
      head.writeUInt32LE(json.length, 1);
      head.writeUInt32LE(bytes.length, 5);
      this.#process.stdin.write(Buffer.concat([head, json, bytes]));
    });
  }

  interrupt(): void {
    this.#process.stdin.write(INTERRUPT);
  }

  kill(why = 'it was killed'): void {
    this.#fail(why);
    const { pid } = this.#process;
    try {
      if (process.platform !== 'win32' && pid !== undefined) process.kill(-pid, 'SIGKILL');
    } catch {
      // the group is gone already
    }
    this.#process.kill('SIGKILL');
  }

  /** While a request runs, the program waits for it. */
  #hold(isHeld: boolean): void {
    const { stdout } = this.#process;
    const handle = stdout as unknown as { ref(): void; unref(): void };
    if (isHeld) handle.ref();
    else handle.unref();
  }

  #fail(why: string): void {
    if (this.#why !== null) return;
    const said = this.#complaint.trim();
    this.#why = said === '' ? why : `${why}: ${said.slice(0, 500)}`;
    this.#onEnd?.(this.#why);
  }

  #take(chunk: Buffer): void {
    if (this.#onFrame === null) {
      this.kill('it spoke without being asked');
      return;
    }
    this.#received += chunk.length;
    if (this.#received > MOST_PER_REQUEST) {
      this.kill('it wrote too much');
      return;
    }
    this.#waiting.push(chunk);
    this.#size += chunk.length;
    for (;;) {
      if (this.#size < 9) return;
      const head = this.#head();
      const json = head.readUInt32LE(1);
      const bytes = head.readUInt32LE(5);
      if (head[0] !== FRAME || json > MOST_JSON || bytes > MOST_BYTES) {
        this.kill('it wrote what is no frame');
        return;
      }
      const length = 9 + json + bytes;
      if (this.#size < length) return;
      const all = Buffer.concat(this.#waiting, this.#size);
      this.#waiting = [all.subarray(length)];
      this.#size -= length;
      const message = parsed(all.toString('utf8', 9, 9 + json));
      if (message === null || this.#onFrame === null) {
        this.kill('it wrote what is no frame');
        return;
      }
      this.#onFrame({ message, bytes: new Uint8Array(all.subarray(9 + json, length)) });
    }
  }

  #head(): Buffer {
    if (this.#waiting[0]!.length < 9) this.#waiting = [Buffer.concat(this.#waiting, this.#size)];
    return this.#waiting[0]!;
  }
}

function parsed(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}
