// Owns: one answer of the model to a conversation. Render, generate, read, tell: events as they come, and at the end the
// whole, ready to be put into the conversation token for token. Stop strings, the reasoning budget and the loop guard
// work here, inside the engine's loop, so that no token too many is computed.
// Refuses: to run tools (a loop over turns does), to choose a system message (the caller does), to throw for anything that
// a model says. An abort ends the turn with what there is.
// Next: text/harmony/turn.ts, which knows what each message is for.

import type { StopMatcher, TokenMask } from '../engine/constraint.ts';
import type { Engine } from '../engine/engine.ts';
import type { GeneratedToken, GenerateOptions, Generation, GenerationResult, Timings } from '../engine/generation.ts';
import { GptOssError, isGptOssError } from '../errors.ts';
import type { HarmonyEncoding } from '../text/harmony/encoding.ts';
import type { ParsedMessage } from '../text/harmony/events.ts';
import { type Allowed, type ContentConstraints, HarmonyMask, type HeaderGrammar } from '../text/harmony/mask.ts';
import type { Conversation, Message } from '../text/harmony/messages.ts';
import { type RenderOptions, renderPrompt } from '../text/harmony/render.ts';
import type { OfferedTools } from '../text/harmony/tool-calls.ts';
import { type TurnEvent as ReaderEvent, type Turn, TurnReader } from '../text/harmony/turn.ts';
import { LoopGuard, type LoopGuardOptions } from './loop-guard.ts';
import { StopStrings } from './stop-strings.ts';

export interface TurnOptions extends Omit<GenerateOptions, 'stops' | 'keep' | 'stopIds'> {
  /** Strings that end the turn when they occur in the answer's text (not in reasoning or calls). They are left out. */
  readonly stop?: readonly string[];
  /** Tools the model was told about: decides what a call's recipient means. */
  readonly tools?: OfferedTools;
  readonly render?: RenderOptions;
  /** Masks headers and terminators while sampling: only well-formed messages to existing recipients can come out. */
  readonly grammar?: HeaderGrammar;
  /** Holds the content of the answer or of calls to something, e.g. a JSON Schema. Needs the grammar. */
  readonly content?: ContentConstraints;
  /** Most tokens of reasoning. When they are spent, the model is made to open its final message; 0 = no reasoning. */
  readonly reasoningBudget?: number;
  /** False: let it loop. Default: on. */
  readonly loopGuard?: LoopGuardOptions | false;
}

export type MessageKind = NonNullable<TurnReader['reading']>;

export type TurnEvent =
  | ReaderEvent
  | { readonly type: 'message-start'; readonly kind: MessageKind }
  | { readonly type: 'message-end'; readonly kind: MessageKind }
  /** Only with `logprobs`: every generated token, before the events it caused. `kind`: what it is part of; null: markers
   *  and headers. */
  | { readonly type: 'token'; readonly token: GeneratedToken; readonly kind: MessageKind | null }
  | { readonly type: 'done'; readonly result: TurnResult };

/** stop: the model was done, or a stop string came. tool_calls: it waits for results. length: a limit. */
export type TurnFinish = 'stop' | 'tool_calls' | 'length' | 'aborted';

export interface TurnResult extends Omit<Turn, 'finish' | 'messages'> {
  readonly finishReason: TurnFinish;
  /** The same in more detail: the engine's word, or `stop-string`, `loop`, `aborted`. */
  readonly ended: string;
  readonly stopString: string | null;
  /** The reasoning budget was spent, or its loop was broken: the model was led to its final message. */
  readonly wasSteered: boolean;
  /** Generated ids, stop token included. */
  readonly tokens: readonly number[];
  /** What to append to the conversation. Messages that were generated whole carry their ids. */
  readonly history: readonly Message[];
  readonly usage: {
    readonly promptTokens: number;
    readonly cachedTokens: number;
    readonly completionTokens: number;
    readonly reasoningTokens: number;
  };
  readonly timings: Timings;
}

const UNTIMED: Timings = { queueMs: 0, promptMs: 0, firstTokenMs: 0, decodeMs: 0 };

/** Answers a conversation. Throws for requests that cannot run (`invalid-request`, `context-overflow`, `overloaded`) and
 *  when the device fails; everything else is an event. The last event is `done`. */
export async function* runTurn(
  engine: Engine,
  encoding: HarmonyEncoding,
  conversation: Conversation,
  options: TurnOptions = {},
): AsyncGenerator<TurnEvent, TurnResult> {
  return yield* startTurn(engine, encoding, conversation, options).events;
}

export interface StartedTurn {
  /** Tokens of the rendered prompt. */
  readonly promptTokens: number;
  readonly events: AsyncGenerator<TurnEvent, TurnResult>;
}

/** The same, in line at once: requests that cannot run throw here, before any event. The events must be read, or the
 *  turn be aborted by its signal. */
export function startTurn(
  engine: Engine,
  encoding: HarmonyEncoding,
  conversation: Conversation,
  options: TurnOptions = {},
): StartedTurn {
  const prompt = renderPrompt(encoding, conversation, { dropAnalysis: 'turns', ...options.render });
  const monitor = new TurnMonitor(encoding, options);
  const generation = engine.generate(prompt, {
    ...options,
    stopIds: encoding.stopIds(),
    constraints: [...(options.constraints ?? []), { allowed: () => monitor.allowed(), accept: () => undefined }],
    stops: [monitor],
    keep: borders(prompt, encoding, conversation),
  });
  return { promptTokens: prompt.length, events: tellTurn(generation, monitor, encoding, prompt.length) };
}

async function* tellTurn(
  generation: Generation,
  monitor: TurnMonitor,
  encoding: HarmonyEncoding,
  promptTokens: number,
): AsyncGenerator<TurnEvent, TurnResult> {
  const teller = new Teller();
  let result: GenerationResult | null = null;
  try {
    for await (const token of generation) {
      const seen = monitor.seen[token.index];
      if (token.logprob !== null) yield { type: 'token', token, kind: seen.kind };
      for (const event of seen.events) yield* teller.tell(event);
      yield* teller.settle(seen.reading);
    }
    result = await generation.result;
  } catch (error) {
    if (!isGptOssError(error, 'aborted')) throw error;
  }
  // After an abort the engine may have chosen tokens that were never handed out: they count, they are told, too.
  const { events, turn } = monitor.finish(result);
  for (const event of events) yield* teller.tell(event);
  yield* teller.settle(null);
  const tokens = generation.tokens;
  const { usage, timings } = result ?? {
    usage: { promptTokens, cachedTokens: 0, completionTokens: tokens.length },
    timings: UNTIMED,
  };
  const { messages, finish, ...rest } = turn;
  const ended = result === null ? 'aborted' : monitor.stopString === null ? result.finishReason : 'stop-string';
  const done: TurnResult = {
    ...rest,
    finishReason: result === null ? 'aborted' : finish === 'call' ? 'tool_calls' : finish,
    ended,
    stopString: monitor.stopString,
    wasSteered: monitor.wasSteered,
    tokens,
    history: messages.map((message) => withIds(encoding, message, tokens, monitor.textOf(message))),
    usage: { ...usage, reasoningTokens: turn.reasoningTokens },
    timings,
  };
  yield { type: 'done', result: done };
  return done;
}

/** Runs a turn to its end. */
export async function finishTurn(turn: AsyncGenerator<TurnEvent, TurnResult>): Promise<TurnResult> {
  for (;;) {
    const next = await turn.next();
    if (next.done) return next.value;
  }
}

/** What one token did. */
interface Seen {
  readonly events: readonly ReaderEvent[];
  readonly kind: MessageKind | null; // of the message it belongs to
  readonly reading: MessageKind | null; // after it
}

/** Sits in the engine's loop: reads each token as it is chosen, and says when to stop and where to lead. */
class TurnMonitor implements StopMatcher {
  /** By index of the token. */
  readonly seen: Seen[] = [];
  wasSteered = false;
  readonly #encoding: HarmonyEncoding;
  readonly #reader: TurnReader;
  readonly #stops: StopStrings;
  readonly #guard: LoopGuard | null;
  readonly #budget: number;
  readonly #mask: HarmonyMask | null;
  readonly #isHeld: boolean; // the content of messages
  #reasoned = 0;
  #text = '';
  #forced: readonly number[] = []; // tokens still to come, whatever the model wants

  constructor(encoding: HarmonyEncoding, options: TurnOptions) {
    this.#encoding = encoding;
    this.#reader = new TurnReader(encoding, options.tools === undefined ? {} : { tools: options.tools });
    this.#stops = new StopStrings(options.stop ?? []);
    this.#guard = options.loopGuard === false ? null : new LoopGuard(options.loopGuard);
    if (options.content !== undefined && options.grammar === undefined) {
      throw new GptOssError(
        'invalid-request',
        'the content of messages is to be held to a format, but headers are not; expected a grammar beside it; give one',
      );
    }
    this.#mask = options.grammar === undefined ? null : new HarmonyMask(options.grammar, options.content);
    this.#isHeld = options.content !== undefined;
    this.#budget = options.reasoningBudget ?? Number.POSITIVE_INFINITY;
    if (!(this.#budget >= 0)) {
      throw new GptOssError(
        'invalid-request',
        `the reasoning budget is ${this.#budget}; expected a number of tokens >= 0; change or omit it`,
        { details: { parameter: 'reasoning_budget' } },
      );
    }
    if (this.#budget === 0) this.#lead(false);
  }

  get stopString(): string | null {
    return this.#stops.found;
  }

  /** What may come next: what the grammar says; without one everything, but for an opening that is being forced. */
  allowed(): TokenMask | null {
    if (this.#mask !== null) return maskOf(this.#mask.allowed());
    return this.#forced.length > 0 ? { kind: 'only', ids: Int32Array.of(this.#forced[0]) } : null;
  }

  accept(token: number): string | null {
    this.#mask?.push(token);
    if (this.#forced.length > 0) this.#forced = this.#forced.slice(1);
    const before = this.#reader.reading;
    const events = this.#filter(this.#reader.push(token));
    const reading = this.#reader.reading;
    this.seen.push({ events, kind: before === reading ? reading : null, reading });
    if (this.#stops.found !== null) return 'stop';
    const isLoop = this.#guard?.accept(token) ?? false;
    if (before === 'reasoning' && reading === 'reasoning') {
      this.#reasoned++;
      const isSpent = this.#reasoned >= this.#budget || (isLoop && !this.wasSteered);
      const isBeingLed = this.#mask === null ? this.#forced.length > 0 : this.wasSteered;
      if (isSpent && !isBeingLed) {
        this.#lead(true);
        this.#guard?.reset();
        return null;
      }
    }
    return isLoop ? 'loop' : null;
  }

  /** The end of the stream; `result` null: it was aborted. */
  finish(result: GenerationResult | null): { events: ReaderEvent[]; turn: Turn } {
    const byStopString = this.#stops.found !== null;
    // An answer that may be empty by its format is empty.
    const isHeld = this.#isHeld && this.seen.some(({ reading }) => reading === 'text');
    const { events, turn } = this.#reader.finish(byStopString ? true : undefined);
    const isPlain = byStopString || isHeld;
    const told = this.#filter(events.filter((event) => !isPlain || event.type !== 'fallback'));
    const rest = this.#stops.flush();
    if (rest !== '') {
      this.#text += rest;
      told.unshift({ type: 'text', text: rest });
    }
    const isFallback = turn.fallback !== null && !isPlain && result !== null;
    return { events: told, turn: isFallback ? turn : { ...turn, text: this.#text, fallback: null } };
  }

  /** A message's content as it was told: without the stop string and what came after it. */
  textOf(message: ParsedMessage): string {
    const { found } = this.#stops;
    if (found === null || message.terminator !== null) return message.content;
    const at = message.content.indexOf(found);
    return at < 0 ? message.content : message.content.slice(0, at);
  }

  /** Passes text through the stop strings; nothing is told after one was found. */
  #filter(events: readonly ReaderEvent[]): ReaderEvent[] {
    const told: ReaderEvent[] = [];
    for (const event of events) {
      if (this.#stops.found !== null) break;
      if (event.type !== 'text') {
        told.push(event);
        continue;
      }
      const text = this.#stops.push(event.text);
      this.#text += text;
      if (text !== '') told.push({ type: 'text', text });
    }
    return told;
  }

  /** Makes the model open its final message next (or its call, where the grammar demands one). */
  #lead(closesMessage: boolean): void {
    this.wasSteered = true;
    if (this.#mask !== null) {
      this.#mask.steerToAnswer();
      return;
    }
    const { ids, tokenizer } = this.#encoding;
    const opening = closesMessage ? [ids.end, ids.start, ...Array.from(tokenizer.encode('assistant'))] : [];
    this.#forced = [...opening, ids.channel, ...Array.from(tokenizer.encode('final')), ids.message];
  }
}

/** A grammar's word in the engine's terms. */
export function maskOf(allowed: Allowed): TokenMask | null {
  if (allowed.kind === 'ids') return { kind: 'only', ids: Int32Array.from(allowed.ids) };
  if (allowed.kind === 'bits') return allowed;
  return allowed.kind === 'content' ? { kind: 'except', ids: allowed.banned } : null;
}

/** Puts `message-start` and `message-end` around what belongs together. */
class Teller {
  #open: MessageKind | null = null;

  *tell(event: ReaderEvent): Generator<TurnEvent> {
    if (event.type === 'fallback') yield* this.settle(null);
    else yield* this.settle(kindOf(event));
    yield event;
  }

  *settle(kind: MessageKind | null): Generator<TurnEvent> {
    if (kind === this.#open) return;
    if (this.#open !== null) yield { type: 'message-end', kind: this.#open };
    if (kind !== null) yield { type: 'message-start', kind };
    this.#open = kind;
  }
}

function kindOf(event: ReaderEvent): MessageKind {
  switch (event.type) {
    case 'reasoning':
    case 'text':
    case 'preamble':
      return event.type;
    case 'fallback':
      return 'text';
    default:
      return 'call';
  }
}

/** Where other prompts may branch off: after the system and developer messages, and before the last message. */
function borders(prompt: readonly number[], { ids }: HarmonyEncoding, { messages }: Conversation): number[] {
  const starts: number[] = [];
  for (const [at, id] of prompt.entries()) if (id === ids.start) starts.push(at);
  const preface = messages.findIndex(({ role }) => role !== 'system' && role !== 'developer');
  const places = [starts[preface < 0 ? messages.length : preface], starts.at(-2)];
  // Two prompts that differ in a message agree in its header: three tokens more.
  return places.flatMap((at) => (at === undefined ? [] : [at, Math.min(at + 3, prompt.length)]));
}

/** A message for the history, with the ids it was generated from when they are all there. */
function withIds(
  encoding: HarmonyEncoding,
  message: ParsedMessage,
  tokens: readonly number[],
  content: string,
): Message {
  const { role, name, recipient, channel, contentType, terminator, span, isMarked } = message;
  const fields: Message = {
    role,
    ...(name === undefined ? {} : { name }),
    ...(recipient === undefined ? {} : { recipient }),
    ...(channel === undefined ? {} : { channel }),
    ...(contentType === undefined ? {} : { contentType }),
    content,
  };
  const { ids, tokenizer } = encoding;
  // The prompt wrote the opening of the first message.
  const opening = span.start === 0 ? [ids.start, ...Array.from(tokenizer.encode('assistant'))] : [];
  const own = [...opening, ...tokens.slice(span.start, span.end)];
  const isWhole =
    terminator !== null && terminator !== 'eos' && isMarked && role === 'assistant' && own[0] === ids.start;
  return isWhole ? { ...fields, ids: own } : fields;
}
