// Owns: one answer as every dialect tells it: parts that begin, grow and end (reasoning, preamble, text, call), in the
// client's names for tools, and the whole at the end. Dialects only translate these events.
// Refuses: to lose anything: a turn without text shows what it has, a call that was cut off is told as incomplete.
// Next: responses.ts and chat-completions.ts, two of the translators.

import type { AgentEvent, AgentResult } from '../agent/agent.ts';
import type { Citation } from '../agent/citations.ts';
import type { ToolFile } from '../agent/tool.ts';
import type { TurnFinish, TurnResult } from '../agent/turn.ts';
import type { GeneratedToken } from '../engine/generation.ts';
import type { Message } from '../text/harmony/messages.ts';
import { type OfferedTools, resolveRecipient, type ToolNames } from '../text/harmony/tool-calls.ts';
import { ArgumentText } from './argument-text.ts';
import { newId } from './ids.ts';
import type { KeptFile, ToolLease } from './tool-sessions.ts';
import type { TurnCall } from './turn-memory.ts';

export type PartKind = 'reasoning' | 'preamble' | 'text' | 'call';

export interface AnsweredCall extends TurnCall {
  /** False: the end of the stream cut it off; it is to show, not to run. */
  readonly isWhole: boolean;
}

export type AnswerEvent =
  | { readonly type: 'begin'; readonly kind: PartKind; readonly call: { id: string; name: string } | null }
  | { readonly type: 'delta'; readonly kind: PartKind; readonly text: string }
  /** `text`: the part as a whole; of a call its arguments. */
  | { readonly type: 'end'; readonly kind: PartKind; readonly text: string; readonly call: AnsweredCall | null }
  /** A tool that runs here was called: its input as it is written, that it runs, what came out. */
  | { readonly type: 'run'; readonly phase: 'begin' | 'started'; readonly tool: string }
  | { readonly type: 'run'; readonly phase: 'input'; readonly tool: string; readonly text: string }
  | ({ readonly type: 'run'; readonly phase: 'end' } & ToolRun)
  /** A link in the text that is being told, with its place in this part. */
  | { readonly type: 'citation'; readonly citation: Cited }
  /** Only with log-probabilities: a token of the text, before the text it causes. */
  | { readonly type: 'token'; readonly token: GeneratedToken }
  | { readonly type: 'done'; readonly answer: Answer };

/** A link in an answer. Places are counted in code points, as the API counts them. */
export interface Cited {
  readonly url: string;
  readonly title: string;
  readonly start: number;
  readonly end: number;
}

export interface ToolRun {
  readonly tool: string;
  readonly input: string;
  /** Arguments, where it takes any. */
  readonly value: unknown;
  readonly output: string;
  readonly isError: boolean;
  readonly images: readonly ToolFile[];
  /** To be fetched for as long as its tools' state is kept. */
  readonly files: readonly KeptFile[];
  /** For programs that show more than text. */
  readonly details: unknown;
}

export interface Answer {
  readonly reasoning: string;
  /** What the user is shown: preambles and text. */
  readonly text: string;
  readonly calls: readonly AnsweredCall[];
  readonly citations: readonly Cited[];
  /** What its reader should know and the text does not say, as a limit that was reached. */
  readonly notice: string | null;
  readonly finish: TurnFinish;
  /** Why in detail: the engine's word, or `stop-string`, `loop`, `aborted`. */
  readonly ended: string;
  readonly stopString: string | null;
  readonly usage: TurnResult['usage'];
  readonly timings: TurnResult['timings'];
  /** Messages with the ids they were generated with. */
  readonly history: readonly Message[];
  readonly tokens: readonly number[];
  /** Tokens of the text with their log-probabilities, if they were asked for. */
  readonly logprobs: readonly GeneratedToken[];
}

/** Told beside an answer that the loop guard ended; dialects have no word of their own for it. */
const loopNotice = 'The answer was ended because it repeated itself.';

/** Between two parts of one kind, where a dialect knows only one. */
export const separator = '\n\n';

export async function* tellAnswer(
  events: AsyncGenerator<AgentEvent, AgentResult>,
  names: ToolNames,
  tools: OfferedTools,
  { toolbox, keep }: Pick<ToolLease, 'toolbox' | 'keep'>,
  hasForm: boolean,
): AsyncGenerator<AnswerEvent, Answer> {
  const parts = new Parts();
  const logprobs: GeneratedToken[] = [];
  let written = new ArgumentText();
  let own: string | null = null; // the tool of ours that is being called
  let told = 0; // of the turn's text, in UTF-16 units
  let isFallback = false; // its part stays open for its citations
  for await (const event of events) {
    if (isFallback && event.type !== 'citation' && event.type !== 'text') {
      isFallback = false;
      yield* parts.end(true);
    }
    switch (event.type) {
      case 'token':
        if (event.kind === 'text') {
          logprobs.push(event.token);
          yield { type: 'token', token: event.token };
        }
        break;
      case 'message-start':
        if (event.kind === 'reasoning' || event.kind === 'preamble' || event.kind === 'text') parts.expect(event.kind);
        break;
      case 'message-end':
        yield* parts.end(false); // a call that is whole has ended already
        break;
      case 'reasoning':
      case 'text':
      case 'preamble':
        if (event.type === 'text') told += event.text.length;
        yield* parts.delta(event.text);
        break;
      case 'citation':
        yield* parts.cite(event.citation, told);
        break;
      case 'fallback':
        told += event.text.length;
        if (event.from === 'preamble') break; // told already
        parts.expect('text');
        yield* parts.delta(event.text);
        isFallback = true;
        break;
      case 'call-start': {
        const { name, kind } = resolveRecipient(event.header.recipient ?? '', tools);
        own = toolbox.find({ name, kind }) === null ? null : name;
        if (own !== null) {
          yield { type: 'run', phase: 'begin', tool: own };
          break;
        }
        written = new ArgumentText();
        yield* parts.begin('call', { id: newId('call'), name: names.toClient(name) });
        break;
      }
      case 'call-delta':
        if (own !== null) yield { type: 'run', phase: 'input', tool: own, text: event.text };
        else yield* parts.delta(written.push(event.text));
        break;
      case 'tool-start':
        if (own !== null) yield { type: 'run', phase: 'started', tool: own };
        break;
      case 'tool-end': {
        const { call, output } = event;
        const { text, isError = false, images = [], files = [], details = null } = output;
        const given = { tool: call.name, input: call.message.content, value: call.arguments.value };
        yield {
          ...{ type: 'run', phase: 'end', ...given, output: text, isError, images },
          ...{ files: keep(files), details },
        };
        own = null;
        break;
      }
      case 'call':
        if (own !== null) break;
        yield* parts.delta(written.finish(event.call.arguments.text));
        yield* parts.end(true);
        break;
      case 'done': {
        const { reasoning, finishReason, ended, stopString, usage, timings, history, tokens, notice } = event.result;
        const { text, calls, citations } = parts;
        const answer: Answer = {
          ...{ reasoning, text, calls, citations, ended, stopString, usage, timings, history, tokens },
          ...{ logprobs, finish: finishReason, notice: ended === 'loop' ? loopNotice : hasForm ? notice : null },
        };
        yield { type: 'done', answer };
        return answer;
      }
    }
  }
  throw new Error('a turn ended without its result');
}

/** The part that is being told, and what was told before it. A part without any text is never told. */
class Parts {
  readonly calls: AnsweredCall[] = [];
  /** With places in all of the text. */
  readonly citations: Cited[] = [];
  /** Preambles and text so far. */
  text = '';
  #open: { kind: PartKind; text: string; call: { id: string; name: string } | null } | null = null;
  #expected: PartKind | null = null;
  readonly #told = new Set<PartKind>();

  expect(kind: PartKind): void {
    this.#expected = kind;
  }

  *begin(kind: PartKind, call: { id: string; name: string } | null = null): Generator<AnswerEvent> {
    this.#expected = null;
    this.#open = { kind, text: '', call };
    if (this.text !== '' && isShown(kind)) this.text += separator;
    yield { type: 'begin', kind, call };
  }

  *delta(more: string): Generator<AnswerEvent> {
    let text = more;
    if (this.#expected !== null) {
      const kind = this.#expected;
      // The turn's own text has the separator already; here parts are told one by one.
      if (this.#told.has(kind) && text.startsWith(separator)) text = text.slice(separator.length);
      if (text === '') return;
      yield* this.begin(kind);
    }
    if (this.#open === null || text === '') return;
    this.#open.text += text;
    if (isShown(this.#open.kind)) this.text += text;
    yield { type: 'delta', kind: this.#open.kind, text };
  }

  /** `told`: how much of the turn's text was told when the link was, in the units of its places. */
  *cite({ url, title, start, end }: Citation, told: number): Generator<AnswerEvent> {
    if (this.#open === null || this.#open.kind !== 'text') return; // in a preamble, which has no links
    const placed = (text: string): Cited => {
      const from = text.length - (told - start);
      const before = pointsOf(text.slice(0, Math.max(0, from)));
      return { url, title, start: before, end: before + pointsOf(text.slice(Math.max(0, from), from + end - start)) };
    };
    this.citations.push(placed(this.text));
    yield { type: 'citation', citation: placed(this.#open.text) };
  }

  *end(isWhole: boolean): Generator<AnswerEvent> {
    this.#expected = null;
    if (this.#open === null) return;
    const { kind, text, call } = this.#open;
    this.#told.add(kind);
    this.#open = null;
    const answered = call === null ? null : { ...call, arguments: text, isWhole };
    if (answered !== null) this.calls.push(answered);
    yield { type: 'end', kind, text, call: answered };
  }
}

const pointsOf = (text: string): number => Array.from(text).length;
const isShown = (kind: PartKind): boolean => kind === 'text' || kind === 'preamble';
