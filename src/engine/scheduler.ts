// Owns: who runs next. A queue that is fair between clients, admission when slots and pages suffice, steps made of rows
// of many sequences (chunks of prompts in turn, one row for each sequence that decodes), preemption of the youngest when
// pages run out. Refuses: to run anything or to look at logits; engine.ts does, and tells it what was computed.
//
// A preempted sequence loses its pages, not its tokens: it goes back to the head of the queue and is read again, as far as
// the cache has forgotten it. Two sequences with one long prefix are not read twice: the second waits for the first.

import type { Batch, SequenceRows } from '../backend/backend.ts';
import { GptOssError } from '../errors.ts';
import type { PagePool } from './pages.ts';
import type { Sequence } from './sequence.ts';

export interface SchedulerOptions {
  readonly maxSequences: number; // running at once
  readonly maxQueue: number; // waiting
  readonly maxQueuedTokens: number; // of all waiting together: bounds their memory
  readonly chunkRows: number; // prompt rows of one step
  readonly chunkScored: number; // rows of a prompt step that leave logits
  readonly mixRows: number; // prompt rows that may ride along with decodes
}

/** Rows of one sequence in a step. */
export interface StepPart {
  readonly sequence: Sequence;
  readonly rows: number;
  /** Position of the first row that leaves logits, and how many do. */
  readonly scoredFrom: number;
  readonly scored: number;
  /** Guessed tokens after its own, each a row that leaves logits (speculation.ts); they do not count in `rows`. */
  readonly draft: Int32Array;
}

export interface StepPlan {
  readonly parts: readonly StepPart[];
  readonly batch: Batch;
}

// Candidates looked at in one admission round; a bound for queues of thousands.
const MAX_CANDIDATES = 32;
const MAX_CLIENTS = 10_000; // remembered names of clients
const NO_DRAFT = new Int32Array(0);

export class Scheduler {
  readonly options: SchedulerOptions;
  readonly #pool: PagePool;
  readonly #waiting: Sequence[] = []; // in order of arrival, preempted ones first
  readonly #running: Sequence[] = []; // in order of admission
  #turn = 0; // counts turns of any kind
  readonly #served = new Map<string, number>(); // client -> turn of its last admission
  readonly #lastTurn = new WeakMap<Sequence, number>();
  preemptions = 0;

  constructor(pool: PagePool, options: SchedulerOptions) {
    this.#pool = pool;
    this.options = options;
  }

  get waiting(): readonly Sequence[] {
    return this.#waiting;
  }

  get running(): readonly Sequence[] {
    return this.#running;
  }

  get isIdle(): boolean {
    return this.#waiting.length === 0 && this.#running.length === 0;
  }

  /** Throws `overloaded` when the queue is full. */
  enqueue(sequence: Sequence): void {
    const { maxQueue, maxQueuedTokens } = this.options;
    const queued = this.#waiting.reduce((sum, other) => sum + other.length, 0);
    if (this.#waiting.length >= maxQueue || (this.#waiting.length > 0 && queued + sequence.length > maxQueuedTokens)) {
      throw new GptOssError(
        'overloaded',
        `${this.#waiting.length} requests with ${queued} tokens wait already; expected at most ${maxQueue} with ${maxQueuedTokens}; try again later`,
        { details: { waiting: this.#waiting.length, running: this.#running.length } },
      );
    }
    this.#waiting.push(sequence);
  }

  /** Takes a sequence out, wherever it is. Its pages stay in the cache until others need them. */
  remove(sequence: Sequence): void {
    for (const list of [this.#waiting, this.#running]) {
      const at = list.indexOf(sequence);
      if (at >= 0) list.splice(at, 1);
    }
    sequence.table?.close();
    sequence.table = null;
  }

  /** Gives slots and pages to waiting sequences; returns them. */
  admit(): readonly Sequence[] {
    const admitted: Sequence[] = [];
    while (this.#running.length < this.options.maxSequences && this.#waiting.length > 0) {
      const next = this.#inOrder().find((sequence) => this.#fits(sequence) && !this.#shouldWait(sequence));
      if (next === undefined) break;
      this.#waiting.splice(this.#waiting.indexOf(next), 1);
      next.table = this.#pool.open(next.tokens, next.scoredFrom, next.marks);
      this.#running.push(next);
      next.task.admitted(next.table.length);
      if (this.#served.size > MAX_CLIENTS) this.#served.clear();
      this.#served.set(next.client, this.#turn++);
      admitted.push(next);
    }
    return admitted;
  }

  /** Sequences that can take part in a step now. */
  #ready(): Sequence[] {
    return this.#running.filter((sequence) => !sequence.isInFlight);
  }

  get decoding(): number {
    return this.#ready().filter((sequence) => sequence.pending === 1).length;
  }

  /** Sequences with prompts still to be read, in no step. */
  get reading(): number {
    return this.#ready().filter((sequence) => sequence.pending > 1).length;
  }

  /** Whether all that is left of prompts can ride along with one step of decodes. */
  get canMix(): boolean {
    let rows = this.options.mixRows;
    let scored = this.options.maxSequences;
    for (const sequence of this.#ready()) {
      const { pending } = sequence;
      if (pending > 1) rows -= pending;
      scored -= this.#part(sequence, pending).scored;
    }
    return rows >= 0 && scored >= 0;
  }

  /** One row for each sequence that decodes, and the ends of prompts up to `mixRows` rows. Null: nothing to do.
   *  `propose` may guess tokens for a step in which all decode. */
  planDecode(propose?: (sequences: readonly Sequence[]) => readonly Int32Array[]): StepPlan | null {
    const parts: StepPart[] = [];
    let mixed = this.options.mixRows;
    let scored = this.options.maxSequences;
    for (const sequence of this.#ready()) {
      if (sequence.table === null || sequence.isInFlight) continue; // preempted for one before it
      const rows = sequence.pending;
      const extra = rows === 1 ? 0 : rows;
      const part = this.#part(sequence, rows);
      if (extra > mixed || part.scored > scored) continue;
      if (!this.#reserve(sequence, rows)) continue;
      mixed -= extra;
      scored -= part.scored;
      parts.push(part);
    }
    const held = parts.filter(({ sequence }) => sequence.table !== null);
    const areDecoding = propose !== undefined && held.every(({ rows, scored }) => rows === 1 && scored === 1);
    return plan(areDecoding && held.length > 0 ? this.#withDrafts(held, propose) : held);
  }

  /** Guesses take pages that are free or only remembered, never those of another sequence. */
  #withDrafts(
    parts: readonly StepPart[],
    propose: (sequences: readonly Sequence[]) => readonly Int32Array[],
  ): StepPart[] {
    const drafts = propose(parts.map(({ sequence }) => sequence));
    return parts.map((part, i) => {
      const table = part.sequence.table!;
      const hasRoom = drafts[i].length === 0 || table.reserve(1 + drafts[i].length);
      return { ...part, draft: hasRoom ? drafts[i] : drafts[i].subarray(0, Math.max(0, table.roomWith(0, 0) - 1)) };
    });
  }

  /** The next chunk of prompts, which take turns. Null: none is waiting to be read. */
  planPrompt(maxRows = this.options.chunkRows): StepPlan | null {
    const parts: StepPart[] = [];
    let rows = Math.min(maxRows, this.options.chunkRows);
    let scored = this.options.chunkScored;
    const turnOf = (sequence: Sequence): number => this.#lastTurn.get(sequence) ?? -1;
    const inTurn = this.#ready()
      .filter((sequence) => sequence.pending > 1)
      .sort((a, b) => turnOf(a) - turnOf(b) || a.id - b.id);
    for (const sequence of inTurn) {
      if (sequence.table === null) continue;
      const { length } = sequence.table;
      const untilScored = Math.max(0, sequence.scoredFrom - length); // rows that leave no logits
      let count = Math.min(rows, sequence.pending, untilScored + scored);
      // A chunk that does not fit is cut to the pages there are before anybody is preempted for it.
      const room = this.#rowsInReach(sequence);
      count = Math.min(count, room > 0 ? room : this.#pool.spec.pageTokens);
      if (count <= 0 || !this.#reserve(sequence, count)) continue;
      const part = this.#part(sequence, count);
      rows -= count;
      scored -= part.scored;
      parts.push(part);
      this.#lastTurn.set(sequence, this.#turn++);
      if (rows === 0) break;
    }
    return plan(parts.filter(({ sequence }) => sequence.table !== null));
  }

  /** The step ran: its rows are computed now. Guessed ones are when they turn out right: `commitDrafted`. */
  commit({ parts }: StepPlan): void {
    for (const { sequence, rows } of parts) sequence.table?.commit(sequence.tokens, rows);
  }

  /** The next guessed row stands: the token that was chosen is the one it was run for. */
  commitDrafted({ sequence }: StepPart): void {
    sequence.table?.commit(sequence.tokens, 1);
  }

  /** Gives back pages that only wrong guesses reached. */
  dropDraft({ sequence, draft }: StepPart): void {
    if (draft.length > 0) sequence.table?.trim();
  }

  // ---- inside ---------------------------------------------------------------------------------------------------

  #part(sequence: Sequence, rows: number): StepPart {
    const first = sequence.length - sequence.pending;
    const scoredFrom = Math.max(first, sequence.scoredFrom);
    return { sequence, rows, scoredFrom, scored: Math.max(0, first + rows - scoredFrom), draft: NO_DRAFT };
  }

  /** Waiting sequences: preempted ones, then those of clients with little running, of clients not served for long. */
  #inOrder(): Sequence[] {
    const busy = new Map<string, number>();
    for (const { client } of this.#running) busy.set(client, (busy.get(client) ?? 0) + 1);
    const load = ({ wasPreempted, client }: Sequence): number => (wasPreempted ? -1 : (busy.get(client) ?? 0));
    const served = ({ wasPreempted, client }: Sequence): number =>
      wasPreempted ? -1 : (this.#served.get(client) ?? -1);
    return this.#waiting
      .map((sequence) => ({ sequence, load: load(sequence), served: served(sequence) }))
      .sort((a, b) => a.load - b.load || a.served - b.served || a.sequence.id - b.sequence.id)
      .slice(0, MAX_CANDIDATES)
      .map(({ sequence }) => sequence);
  }

  /** Whether there are pages for all its tokens, beside those that running ones still need for theirs. */
  #fits(sequence: Sequence): boolean {
    if (this.#running.length === 0) return true;
    const promised = this.#running.reduce((sum, other) => sum + other.table!.missing(other.pending), 0);
    const { chain } = this.#pool.match(sequence.tokens, sequence.scoredFrom);
    const shared = chain.filter((node) => node.fullRefs > 0).length;
    return this.#pool.pagesFor(sequence.length + 1) - shared + promised <= this.#pool.available('full');
  }

  /** Whether a running sequence is just reading a prefix that this one could then share. */
  #shouldWait(sequence: Sequence): boolean {
    let known = -1;
    for (const other of this.#running) {
      if (other.pending <= 1) continue;
      const limit = Math.min(sequence.scoredFrom, other.length);
      const [a, b] = [sequence.tokens, other.tokens];
      let common = 0;
      while (common < limit && a[common] === b[common]) common++;
      if (common < this.#pool.spec.pageTokens || common <= other.table!.length) continue;
      if (known < 0) known = this.#pool.match(a, sequence.scoredFrom).length;
      if (common > known) return true;
    }
    return false;
  }

  /** Rows that fit into pages it has or could have without preempting anybody. */
  #rowsInReach({ table }: Sequence): number {
    return table!.roomWith(this.#pool.available('full'), this.#pool.available('sliding'));
  }

  /** Pages for `rows` more tokens, by preempting the youngest until they suffice; false when that was itself. Sequences
   *  that are in the plan already may be preempted, too: their table is null then, and the caller drops them. */
  #reserve(sequence: Sequence, rows: number): boolean {
    while (!sequence.table!.reserve(rows)) {
      const victim = this.#ready().reduce((youngest, other) => (other.id > youngest.id ? other : youngest), sequence);
      if (victim === sequence && this.#running.length === 1) {
        throw new GptOssError('internal', `the page pool cannot hold one sequence of ${sequence.length} tokens`);
      }
      this.#preempt(victim);
      if (victim === sequence) return false;
    }
    return true;
  }

  #preempt(sequence: Sequence): void {
    this.remove(sequence);
    sequence.wasPreempted = true;
    this.#waiting.unshift(sequence);
    this.preemptions++;
  }
}

/** Rows of all parts, one after another. */
function plan(parts: readonly StepPart[]): StepPlan | null {
  if (parts.length === 0) return null;
  const rows = parts.reduce((sum, part) => sum + part.rows + part.draft.length, 0);
  const tokens = new Int32Array(rows);
  const scored: number[] = [];
  const sequences: SequenceRows[] = [];
  let firstRow = 0;
  for (const { sequence, rows: ownRows, scoredFrom, scored: scoredCount, draft } of parts) {
    const table = sequence.table!;
    const position = table.length;
    const rowCount = ownRows + draft.length;
    tokens.set(sequence.tokens.subarray(position, position + ownRows), firstRow);
    tokens.set(draft, firstRow + ownRows);
    for (let i = 0; i < scoredCount + draft.length; i++) scored.push(firstRow + scoredFrom - position + i);
    sequences.push({ firstRow, ...table.rows(rowCount) });
    firstRow += rowCount;
  }
  return { parts, batch: { tokens, sequences, scored: Int32Array.from(scored) } };
}
