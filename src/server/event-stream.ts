// Owns: one streamed answer on its way out: what was written and not yet read, heartbeats while nothing happens, and the
// end of patience with a reader that does not read. Writers are told when the reader has left and wait when it is slow.
// Refuses: to know what is written (server-sent events or lines of JSON). Next: chat-completions.ts, which writes.

export interface EventStreamOptions {
  /** Sent after every so many milliseconds of silence; null: nothing (a dialect without comments). */
  readonly heartbeat?: string | null;
  readonly heartbeatMs?: number; // default 15,000
  /** How long the reader may leave what was written unread before it is given up. Default 120,000. */
  readonly stallMs?: number;
}

/** Characters that may wait for a slow reader before the writer has to wait, too. */
const MAX_WAITING = 256 * 1024;
const utf8 = new TextEncoder();

export class EventStream {
  readonly body: ReadableStream<Uint8Array>;
  /** Resolves when the reader has taken all of it, has left, or was given up: not before, however early it was written. */
  readonly over: Promise<void>;
  readonly #left = new AbortController();
  #waiting: string[] = [];
  #waitingSize = 0;
  #isEnded = false;
  #wakeReader: (() => void) | null = null;
  #wakeWriters: (() => void)[] = [];
  #controller!: ReadableStreamDefaultController<Uint8Array>;
  #timer: ReturnType<typeof setInterval> | undefined;
  #ticksUnread = 0;
  #wasWritten = false;
  #settle!: () => void;

  constructor(options: EventStreamOptions = {}) {
    const { heartbeat = ': keep-alive\n\n', heartbeatMs = 15_000, stallMs = 120_000 } = options;
    this.over = new Promise((resolve) => {
      this.#settle = resolve;
    });
    this.body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: () => this.#pull(),
        cancel: () => this.#leave(),
      },
      { highWaterMark: 0 }, // nothing is taken before the reader wants it, so that a slow reader is noticed
    );
    this.#timer = setInterval(() => {
      if (this.#waitingSize === 0) this.#ticksUnread = 0;
      else if (++this.#ticksUnread * heartbeatMs > stallMs) this.fail();
      if (!this.#wasWritten && heartbeat !== null && this.#waitingSize === 0) void this.write(heartbeat);
      this.#wasWritten = false;
    }, heartbeatMs);
    (this.#timer as { unref?: () => void }).unref?.();
  }

  /** Fires when nobody reads any more. */
  get left(): AbortSignal {
    return this.#left.signal;
  }

  /** Resolves at once, or when a slow reader has caught up, or has left. */
  async write(text: string): Promise<void> {
    if (this.#isEnded || this.#left.signal.aborted) return;
    this.#waiting.push(text);
    this.#waitingSize += text.length;
    this.#wasWritten = true;
    this.#wakeReader?.();
    if (this.#waitingSize > MAX_WAITING) await new Promise<void>((resolve) => this.#wakeWriters.push(resolve));
  }

  end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#closeIfRead();
  }

  /** Breaks the connection: the reader sees that the answer is incomplete. */
  fail(): void {
    if (this.#left.signal.aborted) return;
    this.#controller.error(new Error('the stream was given up'));
    this.#leave();
  }

  async #pull(): Promise<void> {
    if (this.#waitingSize === 0 && !this.#isEnded) {
      await new Promise<void>((resolve) => {
        this.#wakeReader = resolve;
      });
      this.#wakeReader = null;
    }
    if (this.#left.signal.aborted || this.#waitingSize === 0) return;
    this.#ticksUnread = 0;
    this.#controller.enqueue(utf8.encode(this.#waiting.join('')));
    this.#waiting = [];
    this.#waitingSize = 0;
    for (const wake of this.#wakeWriters.splice(0)) wake();
    this.#closeIfRead();
  }

  #closeIfRead(): void {
    if (!this.#isEnded || this.#waitingSize > 0 || this.#left.signal.aborted) return;
    clearInterval(this.#timer);
    this.#controller.close();
    this.#wakeReader?.();
    this.#settle();
  }

  #leave(): void {
    clearInterval(this.#timer);
    this.#left.abort();
    this.#waiting = [];
    this.#waitingSize = 0;
    this.#wakeReader?.();
    for (const wake of this.#wakeWriters.splice(0)) wake();
    this.#settle();
  }
}
