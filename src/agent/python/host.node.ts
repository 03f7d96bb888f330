// Owns: interpreters for conversations. Finds the strongest wall that holds (each process tries to get out before any
// code runs in it), keeps one process warm so that the first call need not wait, and ends those that do not stop.
// Refuses: to run anything behind a wall that was not proven, unless its user said so.
// Next: walls.node.ts, child.node.ts; python-tool.ts makes a tool of it.

import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { GptOssError } from '../../errors.ts';
import type { ToolFile } from '../tool.ts';
import { PythonChild } from './child.node.ts';
import type { PythonResult, PythonRunner } from './python-tool.ts';
import { type WallCommand, type WallName, walls } from './walls.node.ts';

export interface PythonHostOptions {
  /** Memory of the interpreter; default 1024. */
  readonly memoryMiB?: number;
  /** Seconds of one call; default 120. */
  readonly seconds?: number;
  /** Runs even where no wall holds: the code may then reach the network. */
  readonly unconfined?: boolean;
  /** Only this wall; for tests. */
  readonly wall?: WallName;
  /** Path of Deno, where it may serve as a wall. */
  readonly deno?: string | null;
}

/** What the process could reach when it tried. */
export interface WallProof {
  readonly wall: WallName;
  readonly holds: boolean;
  /** One line for each thing that was not stopped. */
  readonly holes: readonly string[];
}

interface Warm {
  readonly child: PythonChild;
  readonly proof: WallProof;
}

const STARTUP_MS = 60_000;
const GRACE_MS = 1500; // from the interrupt to the kill

const asset = (name: string): string =>
  realpathSync(fileURLToPath(new URL(`../../../assets/python/${name}`, import.meta.url)));

export class PythonHost {
  readonly #options: PythonHostOptions;
  readonly #commands: ReadonlyMap<WallName, WallCommand>;
  readonly #empty: string;
  readonly #children = new Set<PythonChild>();
  #wall: WallName | null = null; // that held the last time
  #spare: Promise<Warm> | null = null;

  /** Throws `not-found` when Pyodide is not installed. Call `warm` to hide the time it takes to start. */
  constructor(options: PythonHostOptions = {}) {
    this.#options = options;
    const folder = pyodideFolder();
    this.#empty = realpathSync(mkdtempSync(join(tmpdir(), 'gptoss-python-')));
    const all = walls({
      memoryMiB: options.memoryMiB ?? 1024,
      folder,
      ...{ runner: asset('runner.mjs'), session: asset('session.py'), empty: this.#empty, packages: null },
      deno: options.deno ?? null,
    });
    const { wall } = options;
    this.#commands = wall === undefined ? all : new Map([...all].filter(([name]) => name === wall));
  }

  /** Begins to start a process, if none is ready. */
  warm(): void {
    this.#spare ??= this.#start();
    this.#spare.catch(() => undefined); // told to whoever needs it
  }

  /** What stands around the interpreter; throws `unsupported-device` when nothing that holds does. */
  async prove(): Promise<WallProof> {
    this.warm();
    return (await this.#spare!).proof;
  }

  /** An interpreter for one conversation. */
  open(): PythonRunner & { put(name: string, bytes: Uint8Array): Promise<void> } {
    let current: Promise<Warm> | null = null;
    let seen: PythonChild | null = null;
    const child = async (): Promise<PythonChild> => {
      if (current !== null && !(await current).child.isAlive) current = null;
      current ??= this.#take();
      return (await current).child;
    };
    return {
      seconds: this.#seconds,
      run: async (code, { signal, show, seconds = this.#seconds }) => {
        const own = await child();
        const isNew = seen !== null && seen !== own;
        seen = own;
        const result = await this.#run(own, { code, seconds: Math.min(seconds, this.#seconds) }, signal, show);
        return isNew ? { ...result, wasRestarted: true } : result;
      },
      put: async (name, bytes) => {
        seen = await child();
        await seen.request({ type: 'put', name: safeName(name) }, ({ message }) => message['type'] === 'end', bytes);
      },
      close: async () => {
        const warm = await current?.catch(() => null);
        warm?.child.kill();
        await warm?.child.gone;
      },
    };
  }

  get #seconds(): number {
    return this.#options.seconds ?? 120;
  }

  async close(): Promise<void> {
    this.#spare = null;
    const gone = [...this.#children].map((child) => {
      child.kill();
      return child.gone;
    });
    await Promise.all(gone);
    rmSync(this.#empty, { recursive: true, force: true });
  }

  async #take(): Promise<Warm> {
    this.warm();
    const spare = this.#spare!;
    this.#spare = null;
    const warm = await spare;
    return warm.child.isAlive ? warm : this.#take();
  }

  /** A process behind the strongest wall that holds, with Python loaded. */
  async #start(): Promise<Warm> {
    const problems: string[] = [];
    const names = this.#wall === null ? [...this.#commands.keys()] : [this.#wall];
    for (const name of names) {
      const isLast = name === names.at(-1);
      try {
        const warm = await this.#startBehind(name);
        if (warm.proof.holds || (isLast && this.#options.unconfined === true)) {
          this.#wall = name;
          await ready(warm.child);
          return warm;
        }
        warm.child.kill();
        problems.push(`${name} leaves ${warm.proof.holes.join(', ')}`);
      } catch (error) {
        problems.push(`${name} failed (${error instanceof Error ? error.message.slice(0, 300) : String(error)})`);
      }
    }
    throw new GptOssError(
      'unsupported-device',
      `no wall around python holds on this machine: ${problems.join('; ')}; expected bubblewrap, unshare (Linux namespaces) or deno; ` +
        'install one (Debian: apt install bubblewrap), or accept the risk with --python-unconfined',
    );
  }

  async #startBehind(name: WallName): Promise<Warm> {
    const child = new PythonChild(this.#commands.get(name)!);
    this.#children.add(child);
    void child.gone.then(() => this.#children.delete(child));
    const timer = setTimeout(() => child.kill('it did not start in time'), STARTUP_MS);
    timer.unref();
    try {
      return { child, proof: await tryWall(name, child) };
    } catch (error) {
      child.kill();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  async #run(
    child: PythonChild,
    { code, seconds }: { code: string; seconds: number },
    signal: AbortSignal,
    show: (text: string) => void,
  ): Promise<PythonResult> {
    const decoder = new TextDecoder();
    let text = '';
    const images: ToolFile[] = [];
    const files: ToolFile[] = [];
    const large: string[] = [];
    let end: Readonly<Record<string, unknown>> = {};
    let kill: ReturnType<typeof setTimeout> | null = null;
    const stop = (): void => {
      child.interrupt();
      kill ??= setTimeout(() => child.kill('it did not stop'), GRACE_MS);
    };
    // The interpreter watches its deadline itself; this is for code that does not let it.
    const late = setTimeout(() => child.kill('it did not stop'), seconds * 1000 + GRACE_MS);
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    try {
      await child.request({ type: 'run', code, seconds }, ({ message, bytes }) => {
        const name = typeof message['name'] === 'string' ? safeName(message['name']) : '';
        switch (message['type']) {
          case 'output': {
            const piece = decoder.decode(bytes, { stream: true });
            text += piece;
            show(piece);
            return false;
          }
          case 'image':
            images.push({ name: `figure-${images.length + 1}.png`, mediaType: 'image/png', bytes });
            return false;
          case 'file':
            files.push({ name, mediaType: mediaTypeOf(name), bytes });
            return false;
          case 'large-file':
            large.push(`${name} (${Number(message['size'])} bytes)`);
            return false;
          case 'end':
            end = message;
            return true;
          default:
            child.kill('it wrote what is no frame');
            return false;
        }
      });
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      const status = signal.aborted || why.startsWith('it did not stop') ? 'killed' : 'crashed';
      return { text, status, why, dropped: 0, images, files, large, wasRestarted: false };
    } finally {
      clearTimeout(late);
      if (kill !== null) clearTimeout(kill);
      signal.removeEventListener('abort', stop);
    }
    const dropped = Number(end['dropped']) || 0;
    const status = (['ok', 'error', 'interrupted', 'exit', 'crashed'] as const).find((each) => each === end['status']);
    if (status === 'crashed' || status === undefined) child.kill();
    const why = String(end['message'] ?? '').slice(0, 500);
    return { text, status: status ?? 'crashed', why, dropped, images, files, large, wasRestarted: false };
  }
}

async function ready(child: PythonChild): Promise<void> {
  const timer = setTimeout(() => child.kill('Python did not load in time'), STARTUP_MS);
  timer.unref();
  try {
    await child.request({ type: 'load' }, ({ message }) => {
      if (message['type'] === 'failed') child.kill(`Python did not load: ${String(message['message']).slice(0, 300)}`);
      return message['type'] === 'ready';
    });
  } finally {
    clearTimeout(timer);
  }
}

/** Lets the process try to get out: to a socket, a file, a program and a process of ours. What it says counts only where
 *  nobody else can see it; the socket, the file and their absence are seen from here. */
async function tryWall(wall: WallName, child: PythonChild): Promise<WallProof> {
  const folder = mkdtempSync(join(tmpdir(), 'gptoss-wall-'));
  const secret = join(folder, 'secret');
  const target = join(folder, 'target');
  const word = randomBytes(16).toString('hex');
  writeFileSync(secret, word);
  let visitors = 0;
  const server = await listening(() => visitors++);
  try {
    const { port } = server.address() as { port: number };
    let found: Readonly<Record<string, unknown>> = {};
    await child.request({ type: 'probe', port, secret, target, parent: process.pid }, ({ message }) => {
      found = (message['found'] ?? {}) as Readonly<Record<string, unknown>>;
      return message['type'] === 'probe';
    });
    const blocked = (name: string): boolean => String(found[name]).startsWith('blocked');
    const holes = [
      ...(visitors > 0 || !blocked('network') ? ['the network'] : []),
      ...(!blocked('read') ? ['reading files'] : []),
      ...(existsSync(target) || !blocked('write') ? ['writing files'] : []),
      ...(!blocked('run') ? ['running programs'] : []),
      ...(!blocked('signal') ? ['signals to other processes'] : []),
      ...(!blocked('environment') ? ['the environment'] : []),
    ];
    return { wall, holds: holes.length === 0, holes };
  } finally {
    server.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

function listening(onVisit: () => void): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      onVisit();
      socket.destroy();
    });
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => resolve(server));
  });
}

function pyodideFolder(): string {
  try {
    return dirname(realpathSync(createRequire(import.meta.url).resolve('pyodide/package.json')));
  } catch (cause) {
    throw new GptOssError(
      'not-found',
      'the package pyodide, which brings Python, is not installed; expected it beside gptoss; run `npm install pyodide` there',
      { cause },
    );
  }
}

/** A plain relative path, whatever was given. */
function safeName(name: string): string {
  const parts = name
    .split(/[\\/]/)
    .map((part) => part.replace(/[\p{C}<>:"|?*]/gu, '_').slice(0, 100))
    .filter((part) => part !== '' && part !== '.' && part !== '..');
  return parts.slice(-5).join('/') || 'file';
}

const mediaTypes: Readonly<Record<string, string>> = {
  ...{ csv: 'text/csv', json: 'application/json', md: 'text/markdown', png: 'image/png', svg: 'image/svg+xml' },
  ...{ jpg: 'image/jpeg', pdf: 'application/pdf', txt: 'text/plain', py: 'text/x-python', zip: 'application/zip' },
};

function mediaTypeOf(name: string): string {
  const ending = /\.(\w+)$/.exec(name)?.[1]?.toLowerCase() ?? '';
  return Object.hasOwn(mediaTypes, ending) ? mediaTypes[ending]! : 'application/octet-stream';
}
