// Owns: responses that run: of those in the background what they have told so far, for readers that come and go, and the way
// to cancel them; of others that they are there, so that they can be looked at and deleted. Refuses: to keep what is over; a finished response is in the store, its events are gone after a while.
// Next: responses.ts.

import type { ResponseEvent, ResponseTeller } from './responses-events.ts';
import type { Visit } from './serving.ts';

const MAX_FINISHED = 64; // whose events can still be read

export class RunningResponse {
  readonly id: string;
  readonly visit: Visit;
  readonly teller: ResponseTeller;
  /** Set when it was deleted while it ran: nothing of it is stored then. */
  isDeleted = false;
  isOver = false;
  readonly #events: ResponseEvent[] = [];
  #readers: (() => void)[] = [];

  constructor(id: string, visit: Visit, teller: ResponseTeller) {
    this.id = id;
    this.visit = visit;
    this.teller = teller;
  }

  tell(event: ResponseEvent): void {
    this.#events.push(event);
    this.#wake();
  }

  end(): void {
    this.isOver = true;
    this.#wake();
  }

  /** Events with a greater sequence number, those that are still to come included. */
  async *read(after: number, signal: AbortSignal): AsyncGenerator<ResponseEvent> {
    const onAbort = (): void => this.#wake();
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      for (let next = after + 1; !signal.aborted; ) {
        if (next < this.#events.length) yield this.#events[next++]!;
        else if (this.isOver) return;
        else await new Promise<void>((resolve) => this.#readers.push(resolve));
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  #wake(): void {
    for (const wake of this.#readers.splice(0)) wake();
  }
}

/** One whose client waits for it. Deleted, it goes on for that client, and nothing of it is stored. */
export interface AwaitedResponse {
  readonly owner: string;
  readonly teller: ResponseTeller;
  isDeleted: boolean;
}

export class RunningResponses {
  readonly #byId = new Map<string, RunningResponse>();
  readonly #awaited = new Map<string, AwaitedResponse>();

  await(id: string, owner: string, teller: ResponseTeller): AwaitedResponse {
    const awaited = { owner, teller, isDeleted: false };
    this.#awaited.set(id, awaited);
    return awaited;
  }

  awaitedOf(id: string, owner: string): AwaitedResponse | null {
    const awaited = this.#awaited.get(id);
    return awaited === undefined || awaited.isDeleted || awaited.owner !== owner ? null : awaited;
  }

  /** It is in the store now, or nowhere. */
  ended(id: string): void {
    this.#awaited.delete(id);
  }

  add(running: RunningResponse): void {
    this.#byId.set(running.id, running);
    const over = [...this.#byId.values()].filter(({ isOver }) => isOver);
    for (const { id } of over.slice(0, Math.max(0, over.length - MAX_FINISHED))) this.#byId.delete(id);
  }

  get(id: string, owner: string): RunningResponse | null {
    const running = this.#byId.get(id);
    return running === undefined || running.isDeleted || running.visit.owner !== owner ? null : running;
  }
}
