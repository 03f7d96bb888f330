// Owns: a loaded model, its page pool, and the loop that runs one step after another for everybody who asks. Callers hand
// over whole token lists and get tokens or log-probabilities back; what can be reused is the engine's business.
// Refuses: text in any form (agent/turn.ts turns tokens into words), files and threads (those below and above have them).
//
// The loop: admit, plan, run, hand out logits. Prompts run on one lane in chunks, decodes on another; while both are
// wanted, the prompt's step pauses between segments and lets decodes run until each side had its share of the time.
// Next: scheduler.ts (who runs), time-shares.ts (when), pages.ts (where keys and values lie), generation.ts (what becomes of logits).

import type { KvCache } from '../backend/backend.ts';
import { GptOssError, isGptOssError } from '../errors.ts';
import { type EngineOptions, engineSizes } from './engine-options.ts';
import { abortedError, type GenerateOptions, type Generation, GenerationTask, Stopwatch } from './generation.ts';
import { nextTask } from './next-task.ts';
import { PagePool } from './pages.ts';
import { PrefixKeeper } from './prefix-store.ts';
import { SamplerBuffers, samplingParams } from './sampling.ts';
import { Scheduler, type StepPlan } from './scheduler.ts';
import { type ScoreOptions, type ScoreResult, ScoringTask } from './scoring.ts';
import { checkTokens, Sequence, type Task } from './sequence.ts';
import { Session } from './session.ts';
import { Speculator } from './speculation.ts';
import type { Lane, StepModel } from './step-model.ts';
import { TimeShares } from './time-shares.ts';

export interface EngineStats {
  readonly running: number;
  readonly waiting: number;
  readonly steps: number;
  readonly preemptions: number;
  /** Since the start, of everything that was admitted. */
  readonly promptTokens: number;
  readonly cachedTokens: number;
  readonly generatedTokens: number;
  /** Tokens that were run on a guess, and those of them that stood. */
  readonly draftedTokens: number;
  readonly acceptedTokens: number;
  readonly pages: { readonly full: PageUse; readonly sliding: PageUse };
}

export interface PageUse {
  readonly total: number;
  readonly held: number; // by running sequences
  readonly cached: number; // kept for reuse, given away when needed
}

/** A step on a lane: what to abort when nobody wants it any more. */
interface Flight {
  readonly plan: StepPlan;
  readonly controller: AbortController;
}

const NEAR = 16; // tokens: borders of one place, with and without the header that follows
const MAX_RECENT = 8; // ends of prompts and of answers that are saved when the engine is closed
const BUSY_MS = 2; // the event loop gets its turn after so long

export class Engine {
  readonly context: number;
  readonly model: StepModel;
  readonly #cache: KvCache;
  readonly #pool: PagePool;
  readonly #scheduler: Scheduler;
  readonly #promptLane: Lane;
  readonly #decodeLane: Lane;
  readonly #buffers: SamplerBuffers;
  readonly #stopIds: ReadonlySet<number>;
  readonly #shares: TimeShares;
  readonly #now: () => number;
  readonly #flights = new Set<Flight>();
  readonly #speculator: Speculator | null;
  readonly #keeper: PrefixKeeper | null;
  readonly #restoring = new Set<Sequence>(); // wait for their beginning to come from the store
  readonly #recent: Int32Array[] = []; // the last prompts and answers, to be saved at the end
  #loop: Promise<void> | null = null;
  #isClosed = false;
  #nextId = 0;
  #lastYield = 0;
  #hadTurn = false; // the event loop, while the last step was computed elsewhere
  readonly #counts = { steps: 0, prompt: 0, cached: 0, generated: 0, drafted: 0, accepted: 0 };

  constructor(model: StepModel, options: EngineOptions = {}) {
    this.model = model;
    const sizes = engineSizes(model, options);
    const { maxSequences, chunkRows, chunkScored, mixRows, draftRows, pages } = sizes;
    this.context = sizes.context;
    this.#now = options.now ?? (() => performance.now());
    this.#shares = new TimeShares(sizes.promptShare, this.#now);
    this.#stopIds = new Set(options.stopIds ?? []);
    this.#cache = model.cache({ ...pages, type: options.kv ?? 'f16' });
    const { slidingWindow: window, slidingLayers } = model;
    const spec = { ...pages, window, slidingLayers };
    this.#pool = new PagePool(spec, (group, from, to) => this.#cache.copyPage(group, from, to));
    this.#scheduler = new Scheduler(this.#pool, {
      maxSequences,
      maxQueue: options.maxQueue ?? 256,
      maxQueuedTokens: 4_000_000,
      chunkRows,
      chunkScored,
      mixRows,
    });
    this.#speculator = draftRows > 0 ? new Speculator(draftRows, maxSequences) : null;
    this.#promptLane = model.lane({ rows: chunkRows, scored: chunkScored }, this.#cache);
    this.#decodeLane = model.lane(
      { rows: maxSequences + Math.max(mixRows, draftRows), scored: maxSequences + draftRows },
      this.#cache,
    );
    this.#buffers = new SamplerBuffers(model.vocab);
    const { prefixStore } = options;
    this.#keeper = prefixStore === undefined ? null : new PrefixKeeper(prefixStore, this.#pool, this.#cache);
  }

  /** Bytes of all pages: what the cache takes when it is full. */
  get cacheBytes(): number {
    const { fullPages, slidingPages } = this.#pool.spec;
    return fullPages * this.#cache.pageBytes('full') + slidingPages * this.#cache.pageBytes('sliding');
  }

  /** Goes on from `tokens`. Throws before any work for what cannot run; later errors come through the stream. */
  generate(tokens: ArrayLike<number>, options: GenerateOptions = {}): Generation {
    const prompt = this.#check(tokens);
    const params = samplingParams(options, this.model.vocab);
    const maxTokens = options.maxTokens ?? 0;
    if (!Number.isSafeInteger(maxTokens) || maxTokens < 0) {
      throw new GptOssError(
        'invalid-request',
        `max tokens is ${maxTokens}; expected an integer >= 0; change or omit it`,
      );
    }
    const task = new GenerationTask({
      params,
      options,
      prompt,
      context: this.context,
      stopIds: options.stopIds === undefined ? this.#stopIds : new Set(options.stopIds),
      buffers: this.#buffers,
      now: this.#now,
      onLeave: () => this.#abort(task.sequence),
    });
    const marks = [...(options.keep ?? []).filter((mark) => mark >= 0 && mark < prompt.length), prompt.length];
    task.sequence = this.#sequence(prompt, task, marks, options.client);
    if (task.isFull) task.finish('length');
    else this.#start(task.sequence, options.signal);
    return task.generation;
  }

  /** Log-probabilities of given tokens. Rejects with the same errors that `generate` throws. */
  async score(tokens: ArrayLike<number>, options: ScoreOptions = {}): Promise<ScoreResult> {
    const ids = this.#check(tokens);
    const from = Math.max(1, options.from ?? 1);
    if (!Number.isInteger(from)) {
      throw new GptOssError('invalid-request', `score from ${from}; expected the index of a token; change or omit it`);
    }
    const { topLogprobs } = samplingParams({ topLogprobs: options.topLogprobs }, this.model.vocab);
    const task = new ScoringTask(ids, from, topLogprobs, new Stopwatch(this.#now));
    if (from >= ids.length) task.finish();
    else this.#start(this.#sequence(ids.subarray(0, -1), task, [], options.client), options.signal);
    return task.result;
  }

  /** One conversation's line of tokens: generates, and remembers what was said. */
  session(): Session {
    return new Session(this);
  }

  stats(): EngineStats {
    const held = { full: new Set<number>(), sliding: new Set<number>() };
    for (const { table } of this.#scheduler.running) {
      for (const page of table!.fullPages.subarray(0, table!.nodes.length)) held.full.add(page);
      for (const page of table!.slidingPages.subarray(table!.firstSliding, table!.nodes.length)) held.sliding.add(page);
    }
    const use = (group: 'full' | 'sliding', total: number): PageUse => ({
      total,
      held: held[group].size,
      cached: this.#pool.occupied(group) - held[group].size,
    });
    return {
      running: this.#scheduler.running.length,
      waiting: this.#scheduler.waiting.length,
      steps: this.#counts.steps,
      preemptions: this.#scheduler.preemptions,
      promptTokens: this.#counts.prompt,
      cachedTokens: this.#counts.cached,
      generatedTokens: this.#counts.generated,
      draftedTokens: this.#counts.drafted,
      acceptedTokens: this.#counts.accepted,
      pages: {
        full: use('full', this.#pool.spec.fullPages),
        sliding: use('sliding', this.#pool.spec.slidingPages),
      },
    };
  }

  /** Forgets all remembered prefixes that no running sequence holds. */
  forget(): void {
    this.#pool.clear();
  }

  /** Checks the bookkeeping of pages; for tests. */
  audit(): void {
    this.#pool.audit();
  }

  /** Aborts what runs and waits, then frees cache and model. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const { running, waiting } = this.#scheduler;
    for (const sequence of [...running, ...waiting, ...this.#restoring]) this.#abort(sequence);
    await this.#loop;
    await this.#keeper?.close(this.#recent);
    this.#cache.close();
    await this.model.close();
  }

  // ---- requests ---------------------------------------------------------------------------------------------------

  #check(tokens: ArrayLike<number>): Int32Array {
    if (this.#isClosed) {
      throw new GptOssError('invalid-request', 'the engine is closed; expected an open one; open the model again');
    }
    if (tokens.length > this.context) {
      throw new GptOssError(
        'context-overflow',
        `${tokens.length} tokens do not fit a context of ${this.context}; expected fewer; shorten the input or open the model with a larger context`,
        { details: { tokens: tokens.length, context: this.context } },
      );
    }
    return checkTokens(tokens, this.model.vocab);
  }

  #sequence(tokens: Int32Array, task: Task, marks: readonly number[], client = ''): Sequence {
    return new Sequence({ id: this.#nextId++, client, task, tokens, marks });
  }

  #start(sequence: Sequence, signal: AbortSignal | undefined): void {
    if (signal?.aborted) {
      sequence.task.fail(abortedError());
      return;
    }
    const isRestored = this.#keeper?.canRestore(sequence.tokens) === true;
    if (!isRestored) this.#scheduler.enqueue(sequence);
    if (signal !== undefined) {
      const onAbort = (): void => this.#abort(sequence);
      signal.addEventListener('abort', onAbort, { once: true });
      sequence.onLeave = () => signal.removeEventListener('abort', onAbort);
    }
    if (isRestored) void this.#startRestored(sequence);
    else this.#loop ??= this.#run();
  }

  async #startRestored(sequence: Sequence): Promise<void> {
    this.#restoring.add(sequence);
    await this.#keeper?.restore(sequence.tokens);
    this.#restoring.delete(sequence);
    if (sequence.task.isDone) return; // aborted meanwhile
    try {
      this.#scheduler.enqueue(sequence);
      this.#loop ??= this.#run();
    } catch (error) {
      sequence.task.fail(error);
      this.#leave(sequence);
    }
  }

  /** A prompt was read: its first border is where other conversations begin alike, its end where this one goes on when
   *  the answer's reasoning is dropped. */
  #remember({ tokens, marks, promptLength }: Sequence): void {
    if (this.#keeper === null) return;
    const first = Math.min(...marks);
    const border = Math.max(...marks.filter((mark) => mark < first + NEAR && mark < promptLength), 0);
    if (border > 0) this.#keeper.save(tokens.slice(0, border));
    this.#rememberEnd(tokens.slice(0, promptLength));
  }

  #rememberEnd(tokens: Int32Array): void {
    this.#recent.push(tokens);
    if (this.#recent.length > MAX_RECENT) this.#recent.shift();
  }

  /** The reader is told at once; the pages follow at once, or when the step they are in has ended. */
  #abort(sequence: Sequence): void {
    if (!sequence.task.isDone) sequence.task.fail(abortedError());
    if (!sequence.isInFlight) {
      this.#leave(sequence);
      return;
    }
    for (const { plan, controller } of this.#flights) {
      if (plan.parts.every((part) => part.sequence.task.isDone)) controller.abort();
    }
  }

  #leave(sequence: Sequence): void {
    sequence.onLeave?.();
    sequence.onLeave = null;
    // A tool's result goes on from the last token whose keys were computed.
    const { table, promptLength, tokens } = sequence;
    const computed = table?.length ?? 0;
    if (this.#keeper !== null && computed > promptLength) this.#rememberEnd(tokens.slice(0, computed));
    this.#scheduler.remove(sequence);
  }

  // ---- the loop ---------------------------------------------------------------------------------------------------

  async #run(): Promise<void> {
    try {
      let idleRounds = 0;
      this.#hadTurn = false; // whoever asks in the same moment is in the first step, too
      do {
        if (!this.#hadTurn) await this.#yield();
        this.#hadTurn = false;
        this.#betweenSteps();
        idleRounds = (await this.#step()) ? 0 : idleRounds + 1;
        // A round without a step is one in which the last sequence was put back; a second one would be a bug.
        if (idleRounds > 2 && !this.#scheduler.isIdle) throw new GptOssError('internal', 'no sequence could go on');
      } while (!this.#scheduler.isIdle);
    } catch (error) {
      for (const sequence of [...this.#scheduler.running, ...this.#scheduler.waiting]) {
        if (!sequence.task.isDone) sequence.task.fail(error);
        this.#leave(sequence);
      }
    } finally {
      this.#loop = null;
    }
  }

  #betweenSteps(): void {
    for (const sequence of this.#scheduler.admit()) {
      if (sequence.wasPreempted) continue; // counted when it first came
      this.#counts.prompt += sequence.length;
      this.#counts.cached += sequence.table!.length;
    }
  }

  /** Runs one step; false when there was none to run. */
  async #step(): Promise<boolean> {
    const scheduler = this.#scheduler;
    const { decoding, reading } = scheduler;
    if (reading === 0 || (decoding > 0 && scheduler.canMix)) {
      this.#shares.reset();
      return this.#runDecode();
    }
    if (decoding > 0 && this.#shares.areDecodesOwed && (await this.#runDecode(false))) return true;
    const shares = this.#shares;
    const plan = scheduler.planPrompt(decoding > 0 ? shares.promptRows : undefined);
    if (plan === null) return false;
    shares.segmentStarts();
    await this.#runOn(this.#promptLane, plan, async () => {
      shares.segmentEnded();
      if (this.#now() - this.#lastYield > BUSY_MS) await this.#yield();
      this.#betweenSteps();
      while (shares.areDecodesOwed && (await this.#runDecode(false))) this.#betweenSteps();
      shares.segmentStarts();
    });
    shares.segmentEnded();
    shares.promptEnded(plan.batch.tokens.length);
    return true;
  }

  /** `guesses`: tokens may be tried. Beside a prompt they are not: such steps are longer, and every reader would wait. */
  async #runDecode(guesses = true): Promise<boolean> {
    const speculator = guesses ? this.#speculator : null;
    const plan = this.#scheduler.planDecode(
      speculator === null ? undefined : (sequences) => speculator.propose(sequences),
    );
    if (plan === null) {
      this.#shares.reset(); // nobody is owed anything
      return false;
    }
    const start = this.#now();
    await this.#runOn(this.#decodeLane, plan);
    this.#shares.decodeRan(start);
    return true;
  }

  async #runOn(lane: Lane, plan: StepPlan, pause?: () => Promise<void>): Promise<void> {
    const flight: Flight = { plan, controller: new AbortController() };
    const { signal } = flight.controller;
    this.#flights.add(flight);
    for (const { sequence } of plan.parts) sequence.isInFlight = true;
    try {
      const start = this.#now();
      // A step that is computed by other threads leaves the event loop free: no turn of its own is needed between steps, and
      // what readers do with their tokens happens while the next step runs.
      let hadTurn = false;
      void nextTask().then(() => {
        hadTurn = true;
      });
      await lane.run(plan.batch, pause === undefined ? { signal } : { signal, pause });
      if (hadTurn) {
        this.#hadTurn = true;
        this.#lastYield = this.#now();
      }
      if (lane === this.#decodeLane && plan.batch.scored.length === plan.batch.tokens.length) {
        this.#speculator?.costs.note(plan.batch.tokens.length, this.#since(start));
      }
      this.#counts.steps++;
      this.#scheduler.commit(plan);
      await this.#handOut(lane, plan);
    } catch (error) {
      // Whether the device failed or everybody left: the rows of this step do not exist.
      const isOurs = signal.aborted && isGptOssError(error, 'aborted');
      for (const { sequence } of plan.parts)
        if (!sequence.task.isDone) sequence.task.fail(isOurs ? abortedError() : error);
    } finally {
      this.#flights.delete(flight);
      for (const { sequence } of plan.parts) {
        sequence.isInFlight = false;
        if (sequence.task.isDone) this.#leave(sequence);
      }
    }
  }

  async #handOut(lane: Lane, plan: StepPlan): Promise<void> {
    let firstRow = 0;
    for (const part of plan.parts) {
      const { sequence, scoredFrom, scored, draft } = part;
      for (let i = 0; i < scored + draft.length; i++) {
        if (this.#now() - this.#lastYield > BUSY_MS) await this.#yield();
        if (sequence.task.isDone) break; // aborted meanwhile, or this was its last token
        this.#take(sequence, scoredFrom + i, lane.logits(firstRow + i));
        const guess = i - scored + 1; // the guessed token that the row after this one was run for
        if (guess < 0 || guess >= draft.length) continue;
        if (sequence.task.isDone || sequence.tokens[sequence.length - 1] !== draft[guess]) break;
        this.#scheduler.commitDrafted(part);
        this.#counts.accepted++;
      }
      this.#counts.drafted += draft.length;
      this.#scheduler.dropDraft(part);
      firstRow += scored + draft.length;
    }
  }

  #take(sequence: Sequence, position: number, logits: Float32Array): void {
    const before = sequence.length;
    try {
      sequence.task.take(position, logits);
    } catch (error) {
      sequence.task.fail(error); // a constraint of this request threw, or its logits are no numbers
    }
    this.#counts.generated += sequence.length - before;
    if (before === sequence.promptLength && sequence.length > before) this.#remember(sequence);
  }

  /** Milliseconds since then; never nothing, so that a coarse clock cannot give one side all the time. */
  #since(start: number): number {
    return Math.max(0.001, this.#now() - start);
  }

  async #yield(): Promise<void> {
    await nextTask();
    this.#lastYield = this.#now();
  }
}
