// Owns: processes that read pages. A page that would hang its parser, fill the memory or break it ends one of them and is
// told as a page that cannot be read; the program goes on. Processes are started when they are needed and kept for the next
// page. Refuses: to read plain text elsewhere; there is nothing to parse. Next: page-reader.child.node.ts.

import { type ChildProcess, fork } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { FetchError } from './addresses.ts';
import type { Page, PageSource } from './page.ts';
import type { ReadAnswer, ReadJob } from './page-reader.child.node.ts';
import type { PageReader } from './page-reader.ts';
import { pageOf } from './page-text.ts';
import type { PdfText } from './pdf.ts';

export interface ApartOptions {
  /** Of one page; default 20. */
  readonly seconds?: number;
  /** Of one process, all of it; default 768. */
  readonly memoryMiB?: number;
}

const PROCESSES = 2; // one slow page does not keep the next one waiting
const STARTUP_MS = 60_000;

export class PagesApart implements PageReader {
  readonly #options: ApartOptions;
  readonly #idle: Reader[] = [];
  readonly #all = new Set<Reader>();
  readonly #waiting: (() => void)[] = [];

  constructor(options: ApartOptions = {}) {
    this.#options = options;
  }

  page(source: PageSource, options: { readonly viewSource?: boolean; readonly seconds?: number } = {}): Promise<Page> {
    const { viewSource = false, seconds } = options;
    if (viewSource || source.format === 'text') return Promise.resolve(pageOf(source, { viewSource }));
    return this.#read({ kind: 'page', source, viewSource }, seconds) as Promise<Page>;
  }

  pdf(bytes: Uint8Array, options: { readonly seconds?: number } = {}): Promise<PdfText> {
    return this.#read({ kind: 'pdf', bytes }, options.seconds) as Promise<PdfText>;
  }

  close(): void {
    for (const reader of this.#all) reader.end('it was closed');
  }

  async #read(job: ReadJob, seconds = this.#options.seconds ?? 20): Promise<unknown> {
    while (this.#idle.length === 0 && this.#all.size >= PROCESSES) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    let reader = this.#idle.pop() ?? this.#start();
    while (!reader.isAlive) {
      this.#all.delete(reader); // it died in its sleep
      reader = this.#idle.pop() ?? this.#start();
    }
    try {
      return await reader.read(job, seconds);
    } finally {
      if (reader.isAlive) this.#idle.push(reader);
      else this.#all.delete(reader);
      this.#waiting.shift()?.();
    }
  }

  #start(): Reader {
    const reader = new Reader(this.#options.memoryMiB ?? 768);
    this.#all.add(reader);
    return reader;
  }
}

/** One process. */
class Reader {
  readonly #process: ChildProcess;
  readonly #ready: Promise<unknown>;
  #settle: ((answer: ReadAnswer) => void) | null = null;
  #why: string | null = null; // it is gone

  constructor(memoryMiB: number) {
    // Beside this file, compiled or not.
    const ending = import.meta.url.slice(import.meta.url.lastIndexOf('.'));
    const file = fileURLToPath(new URL(`./page-reader.child.node${ending}`, import.meta.url));
    const loader = ending === '.ts' ? ['--import', pathToFileURL(createRequire(file).resolve('tsx')).href] : [];
    this.#process = fork(file, [String(memoryMiB)], {
      execArgv: [...loader, `--max-old-space-size=${memoryMiB}`],
      ...{ env: {}, serialization: 'advanced', stdio: ['ignore', 'ignore', 'ignore', 'ipc'] },
    });
    this.#process.on('message', (answer: ReadAnswer) => this.#settle?.(answer));
    this.#process.on('error', (error) => this.end(error.message));
    this.#process.on('exit', () => this.end('it takes too much memory to read, or breaks the reader'));
    this.#ready = this.#answer(STARTUP_MS, 'the reader did not start');
    this.#ready.catch(() => undefined);
  }

  get isAlive(): boolean {
    return this.#why === null;
  }

  async read(job: ReadJob, seconds: number): Promise<unknown> {
    await this.#ready;
    const answer = this.#answer(seconds * 1000, `it takes longer than ${seconds} s to read`);
    this.#process.send(job);
    return answer;
  }

  end(why: string): void {
    if (this.#why !== null) return;
    this.#why = why;
    this.#process.kill('SIGKILL');
    this.#settle?.({ ok: false, why });
  }

  /** What it says next. While that is awaited, the program stays; otherwise this process keeps nobody from ending. */
  #answer(ms: number, late: string): Promise<unknown> {
    const { channel } = this.#process;
    this.#process.ref();
    channel?.ref();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.end(late), ms);
      this.#settle = (answer) => {
        this.#settle = null;
        clearTimeout(timer);
        this.#process.unref();
        channel?.unref();
        if (answer.ok) resolve(answer.value);
        else reject(new FetchError(answer.why));
      };
      if (this.#why !== null) this.#settle({ ok: false, why: this.#why });
    });
  }
}
