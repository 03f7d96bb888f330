// Owns: one row of tokens on its way through the engine, whatever is done with it (generation.ts, scoring.ts): its tokens,
// its place in line, its pages. Refuses: any decision; the scheduler reads and changes it. Next: scheduler.ts.

import { GptOssError } from '../errors.ts';
import type { PageTable } from './page-table.ts';

/** What becomes of a sequence's logits. Called between steps, never while a program runs. */
export interface Task {
  /** First position whose logits are still wanted, given the tokens there are now; all later ones are, too. */
  scoredFrom(length: number): number;
  /** The sequence was given pages, `reused` tokens of it being there already. Called again after a preemption. */
  admitted(reused: number): void;
  /** Logits of the token at `position`, in ascending order. Sets `isDone`, or appends a token to go on. */
  take(position: number, logits: Float32Array): void;
  fail(error: unknown): void;
  readonly isDone: boolean;
  /** Tokens after the last one whose rows may be run on a guess; 0 when it will take no more than one. */
  readonly mostDrafted: number;
}

export class Sequence {
  readonly id: number; // in order of arrival
  readonly client: string;
  readonly task: Task;
  /** Positions where others may branch off; see PageTable.mark. */
  readonly marks: readonly number[];
  readonly promptLength: number;
  table: PageTable | null = null; // null: waiting
  /** Rows of it are in a step that runs or is paused: its pages must stay. */
  isInFlight = false;
  wasPreempted = false;
  /** Called once when it leaves the engine, for whatever reason. */
  onLeave: (() => void) | null = null;
  #tokens: Int32Array<ArrayBuffer>;
  #length: number;

  constructor(init: {
    id: number;
    client: string;
    task: Task;
    tokens: Int32Array;
    marks: readonly number[];
  }) {
    this.id = init.id;
    this.client = init.client;
    this.task = init.task;
    this.marks = init.marks;
    this.#length = init.tokens.length;
    this.promptLength = init.tokens.length;
    this.#tokens = Int32Array.from(init.tokens);
  }

  get length(): number {
    return this.#length;
  }

  /** All tokens; a view that is valid until the next append. */
  get tokens(): Int32Array {
    return this.#tokens.subarray(0, this.#length);
  }

  /** Tokens whose keys and values are not computed yet: 1 while decoding. */
  get pending(): number {
    return this.#length - (this.table?.length ?? 0);
  }

  /** First position whose logits are wanted: tokens before it may come from the cache. */
  get scoredFrom(): number {
    return this.task.scoredFrom(this.#length);
  }

  append(token: number): void {
    if (this.#length === this.#tokens.length) {
      const larger = new Int32Array(Math.max(64, this.#tokens.length * 2));
      larger.set(this.#tokens);
      this.#tokens = larger;
    }
    this.#tokens[this.#length++] = token;
  }
}

/** Copies token ids, refusing what is not one. */
export function checkTokens(tokens: ArrayLike<number>, vocab: number): Int32Array {
  if (tokens.length === 0) {
    throw new GptOssError('invalid-request', 'there are no tokens; expected at least one; render a prompt first');
  }
  const ids = new Int32Array(tokens.length);
  for (let i = 0; i < tokens.length; i++) {
    const id = tokens[i];
    if (!(Number.isInteger(id) && id >= 0 && id < vocab)) {
      throw new GptOssError(
        'invalid-request',
        `token ${i} is ${String(id)}; expected an id from 0 to ${vocab - 1}; is this the right tokenizer?`,
        { details: { index: i } },
      );
    }
    ids[i] = id;
  }
  return ids;
}
