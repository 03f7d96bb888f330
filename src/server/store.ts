// Owns: what a store of responses is, and the one in memory. A stored response holds its body as clients get it, its own
// input, and the turn with the ids it was generated with, so that a later request can go on from it token for token.
// Refuses: to grow without bound; the oldest go first. The store on disk: store.node.ts. Next: responses.ts.

import type { Message } from '../text/harmony/messages.ts';
import type { Said } from './dialogue.ts';
import type { TurnCall } from './turn-memory.ts';

/** Part of a body that the store itself looks at. */
export interface ResponseBody extends Readonly<Record<string, unknown>> {
  readonly id: string;
  readonly status: 'queued' | 'in_progress' | 'completed' | 'incomplete' | 'failed' | 'cancelled';
  readonly output: readonly OutputItem[];
}

export interface OutputItem extends Readonly<Record<string, unknown>> {
  readonly id: string;
  readonly type: string;
}

export interface StoredResponse {
  readonly id: string;
  /** Whose it is; nobody else finds it. */
  readonly owner: string;
  readonly createdAt: number; // seconds
  /** The response it goes on from. */
  readonly previousId: string | null;
  readonly body: ResponseBody;
  /** Its own input, as items. */
  readonly input: readonly OutputItem[];
  /** The same as it is replayed. */
  readonly said: readonly Said[];
  readonly history: readonly Message[];
  readonly calls: readonly TurnCall[];
}

/** All calls are quick and local, so none is a promise. They may throw `io`, e.g. when the disk is full. */
export interface ResponseStore {
  put(response: StoredResponse): void;
  get(id: string): StoredResponse | null;
  /** False: there was none. */
  delete(id: string): boolean;
  close(): void;
}

export const MAX_STORED = 10_000;

export class MemoryStore implements ResponseStore {
  readonly #responses = new Map<string, StoredResponse>();
  readonly #most: number;

  constructor(most = 1_000) {
    this.#most = most;
  }

  put(response: StoredResponse): void {
    this.#responses.delete(response.id);
    this.#responses.set(response.id, response);
    while (this.#responses.size > this.#most) this.#responses.delete(this.#responses.keys().next().value!);
  }

  get(id: string): StoredResponse | null {
    return this.#responses.get(id) ?? null;
  }

  delete(id: string): boolean {
    return this.#responses.delete(id);
  }

  close(): void {
    this.#responses.clear();
  }
}
