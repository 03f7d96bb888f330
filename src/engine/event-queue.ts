// A queue with one writer and one reader, read as an async iterator. The writer never waits: what is written is bounded
// by the length of a generation. When the reader leaves early (break, return), the writer is told once.

export class EventQueue<T> implements AsyncIterableIterator<T> {
  readonly #events: T[] = [];
  readonly #onLeave: () => void;
  #next = 0; // events before this were read
  #waiting: { resolve: (result: IteratorResult<T>) => void; reject: (error: unknown) => void } | null = null;
  #ending: { error: unknown } | 'end' | null = null;

  constructor(onLeave: () => void) {
    this.#onLeave = onLeave;
  }

  push(event: T): void {
    if (this.#ending !== null) return;
    const waiting = this.#waiting;
    if (waiting === null) this.#events.push(event);
    else {
      this.#waiting = null;
      waiting.resolve({ value: event, done: false });
    }
  }

  end(): void {
    this.#finish('end');
  }

  fail(error: unknown): void {
    this.#finish({ error });
  }

  next(): Promise<IteratorResult<T>> {
    if (this.#next < this.#events.length) {
      const value = this.#events[this.#next++];
      if (this.#next === this.#events.length) {
        this.#events.length = 0;
        this.#next = 0;
      }
      return Promise.resolve({ value, done: false });
    }
    if (this.#ending === 'end') return Promise.resolve({ value: undefined, done: true });
    if (this.#ending !== null) {
      const { error } = this.#ending;
      this.#ending = 'end';
      return Promise.reject(error);
    }
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }

  return(): Promise<IteratorResult<T>> {
    const isEarly = this.#ending === null;
    this.#finish('end');
    this.#events.length = 0;
    this.#next = 0;
    if (isEarly) this.#onLeave();
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #finish(ending: { error: unknown } | 'end'): void {
    if (this.#ending !== null) return;
    this.#ending = ending;
    const waiting = this.#waiting;
    this.#waiting = null;
    if (waiting === null) return;
    if (ending === 'end') waiting.resolve({ value: undefined, done: true });
    else {
      this.#ending = 'end';
      waiting.reject(ending.error);
    }
  }
}
