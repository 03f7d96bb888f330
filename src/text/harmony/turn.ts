// One answer of the model, token by token: reasoning, text, preambles and calls as they come, and the whole at the end.
// What each message is for:
//   with a recipient          a call
//   final, or no channel      the text
//   commentary                a preamble, shown to the user beside the text
//   anything else             reasoning; also text that was generated without any header
// A turn that the model ended always has something to show. If it has neither text nor a call, the text falls back to
// the first of: text without a header (refusals mostly look like that), the preambles, the last reasoning message, what
// was said in another role, a fixed notice. `fallback` says which. The reasoning keeps what it has.
// Next: agent/, which runs the calls.

import type { HarmonyEncoding } from './encoding.ts';
import type { HarmonyEvent, HarmonyParser, MessageHeader, ParsedMessage, ParserOptions } from './events.ts';
import { harmonyParser } from './parse.ts';
import { type OfferedTools, type ToolCall, toolCall } from './tool-calls.ts';

export type Fallback = 'unmarked' | 'preamble' | 'reasoning' | 'other-role' | 'empty';

/** Text of a turn in which the model said nothing at all. */
export const emptyTurnNotice = '(The model ended its turn without an answer.)';

export type TurnEvent =
  | { readonly type: 'reasoning'; readonly text: string }
  | { readonly type: 'text'; readonly text: string }
  /** At the end of a turn that had nothing else to show; the text as a whole. */
  | { readonly type: 'fallback'; readonly text: string; readonly from: Fallback }
  /** `index`: which preamble. */
  | { readonly type: 'preamble'; readonly text: string; readonly index: number }
  | { readonly type: 'call-start'; readonly header: MessageHeader; readonly index: number }
  | { readonly type: 'call-delta'; readonly text: string; readonly index: number }
  | { readonly type: 'call'; readonly call: ToolCall; readonly index: number };

export interface Turn {
  readonly reasoning: string;
  readonly text: string;
  /** Null when the text is the model's own final text. */
  readonly fallback: Fallback | null;
  readonly preambles: readonly string[];
  readonly calls: readonly ToolCall[];
  /** A call that the end of the stream cut off: to show, not to run. */
  readonly unfinishedCall: ToolCall | null;
  /** call: the model waits for results; stop: it is done; length: the stream was cut. */
  readonly finish: 'stop' | 'call' | 'length';
  /** Tokens of reasoning messages, headers and terminators included. */
  readonly reasoningTokens: number;
  /** Every message as read, for the history. */
  readonly messages: readonly ParsedMessage[];
  readonly problems: readonly Extract<HarmonyEvent, { type: 'problem' }>[];
}

export interface TurnOptions extends Omit<ParserOptions, 'mode'> {
  readonly tools?: OfferedTools;
}

type Kind = 'call' | 'text' | 'preamble' | 'reasoning' | 'other';

/** Between two messages of the same kind. */
const separator = '\n\n';

export class TurnReader {
  readonly #parser: HarmonyParser;
  readonly #stopIds: readonly number[];
  readonly #tools: OfferedTools;
  readonly #kinds: Kind[] = []; // of each message
  readonly #calls: ToolCall[] = [];
  readonly #preambles: string[] = [];
  readonly #problems: Extract<HarmonyEvent, { type: 'problem' }>[] = [];
  #reasoning = '';
  #text = '';
  #callsBegun = 0;
  #isNew = false; // no text of the current message yet
  #unfinishedCall: ToolCall | null = null;
  #lastId: number | undefined;
  #turn: Turn | null = null;

  constructor(encoding: HarmonyEncoding, options: TurnOptions = {}) {
    this.#tools = options.tools ?? {};
    this.#stopIds = encoding.stopIds();
    const functions = (this.#tools.functions ?? []).map((name) => `functions.${name}`);
    const recipients = [...(options.recipients ?? []), ...(this.#tools.builtins ?? []), ...functions];
    this.#parser = harmonyParser(encoding, { ...options, mode: 'tolerant', recipients });
  }

  push(id: number): readonly TurnEvent[] {
    this.#lastId = id;
    return this.#take(this.#parser.push(id), false);
  }

  /** What is being said at the moment; null in headers and between messages. */
  get reading(): Kind | null {
    return this.#parser.state === 'content' ? this.#kinds.at(-1)! : null;
  }

  /** The stream is over. `hasStopped`: the model itself ended the turn; by default, whether the last token was a stop
   *  token (an engine that keeps stop tokens to itself says it here). */
  finish(hasStopped?: boolean): { readonly events: readonly TurnEvent[]; readonly turn: Turn } {
    if (this.#turn !== null) return { events: [], turn: this.#turn };
    const stopped = hasStopped ?? (this.#lastId !== undefined && this.#stopIds.includes(this.#lastId));
    const events = this.#take(this.#parser.finish(), !stopped);
    let fallback: Fallback | null = null;
    if (stopped && this.#calls.length === 0 && this.#text.trim() === '') {
      const shown = this.#fallBack();
      fallback = shown.from;
      this.#text = shown.text;
      events.push({ type: 'fallback', ...shown });
    }
    const messages = this.#parser.messages;
    this.#turn = {
      reasoning: this.#reasoning,
      text: this.#text,
      fallback,
      preambles: this.#preambles,
      calls: this.#calls,
      unfinishedCall: this.#unfinishedCall,
      finish: !stopped ? 'length' : this.#calls.length > 0 ? 'call' : 'stop',
      reasoningTokens: messages
        .filter((_, i) => this.#kinds[i] === 'reasoning')
        .reduce((sum, { span }) => sum + span.end - span.start, 0),
      messages,
      problems: this.#problems,
    };
    return { events, turn: this.#turn };
  }

  /** `isCut`: a message that ends now is incomplete. */
  #take(batch: readonly HarmonyEvent[], isCut: boolean): TurnEvent[] {
    const events: TurnEvent[] = [];
    for (const event of batch) {
      switch (event.type) {
        case 'problem':
          this.#problems.push(event);
          break;
        case 'start':
          this.#isNew = true;
          this.#kinds.push(kindOf(event.header, event.isMarked));
          if (this.#kinds.at(-1) === 'call') {
            events.push({ type: 'call-start', header: event.header, index: this.#callsBegun++ });
          }
          break;
        case 'delta':
          this.#delta(this.#kinds.at(-1)!, event.text, events);
          break;
        case 'end':
          if (this.#kinds.at(-1) === 'call') this.#endCall(event.message, isCut, events);
          break;
      }
    }
    return events;
  }

  #delta(kind: Kind, text: string, events: TurnEvent[]): void {
    const isNew = this.#isNew;
    this.#isNew = false;
    switch (kind) {
      case 'call':
        events.push({ type: 'call-delta', text, index: this.#callsBegun - 1 });
        return;
      case 'preamble':
        if (isNew) this.#preambles.push('');
        this.#preambles[this.#preambles.length - 1] += text;
        events.push({ type: 'preamble', text, index: this.#preambles.length - 1 });
        return;
      case 'text': {
        const more = isNew && this.#text !== '' ? separator + text : text;
        this.#text += more;
        events.push({ type: 'text', text: more });
        return;
      }
      case 'reasoning': {
        const more = isNew && this.#reasoning !== '' ? separator + text : text;
        this.#reasoning += more;
        events.push({ type: 'reasoning', text: more });
      }
    }
  }

  #endCall(message: ParsedMessage, isCut: boolean, events: TurnEvent[]): void {
    const call = toolCall(message, this.#tools);
    if (isCut) {
      this.#unfinishedCall = call;
      return;
    }
    this.#calls.push(call);
    events.push({ type: 'call', call, index: this.#callsBegun - 1 });
  }

  #fallBack(): { from: Fallback; text: string } {
    const said = this.#parser.messages.map((message, i) => ({ message, kind: this.#kinds[i]!, text: message.content }));
    const spoken = said.filter(({ text }) => text.trim() !== '');
    const unmarked = spoken.findLast(({ message, kind }) => kind === 'reasoning' && !message.isMarked);
    if (unmarked !== undefined) return { from: 'unmarked', text: unmarked.text };
    const preambles = spoken.filter(({ kind }) => kind === 'preamble');
    if (preambles.length > 0) return { from: 'preamble', text: preambles.map(({ text }) => text).join(separator) };
    const reasoning = spoken.findLast(({ kind }) => kind === 'reasoning');
    if (reasoning !== undefined) return { from: 'reasoning', text: reasoning.text };
    const other = spoken.at(-1);
    if (other !== undefined) return { from: 'other-role', text: other.text };
    return { from: 'empty', text: emptyTurnNotice };
  }
}

function kindOf(header: MessageHeader, isMarked: boolean): Kind {
  if (header.role !== 'assistant') return 'other';
  if (header.recipient !== undefined) return 'call';
  if (header.channel === 'final' || (header.channel === undefined && isMarked)) return 'text';
  return header.channel === 'commentary' ? 'preamble' : 'reasoning';
}

/** A whole answer at once. */
export function readTurn(encoding: HarmonyEncoding, ids: ArrayLike<number>, options: TurnOptions = {}): Turn {
  const reader = new TurnReader(encoding, options);
  for (let i = 0; i < ids.length; i++) reader.push(ids[i]!);
  return reader.finish().turn;
}
