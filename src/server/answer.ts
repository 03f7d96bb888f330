// Owns: one answer as every dialect tells it: parts that begin, grow and end (reasoning, preamble, text, call), in the
// client's names for tools, and the whole at the end. Dialects only translate these events.
// Refuses: to lose anything: a turn without text shows what it has, a call that was cut off is told as incomplete.
// Next: responses.ts and chat-completions.ts, two of the translators.

import type { TurnEvent, TurnFinish, TurnResult } from '../agent/turn.ts';
import type { GeneratedToken } from '../engine/generation.ts';
import type { Message } from '../text/harmony/messages.ts';
import { type OfferedTools, resolveRecipient, type ToolNames } from '../text/harmony/tool-calls.ts';
import { ArgumentText } from './argument-text.ts';
import { newId } from './ids.ts';
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
  /** Only with log-probabilities: a token of the text, before the text it causes. */
  | { readonly type: 'token'; readonly token: GeneratedToken }
  | { readonly type: 'done'; readonly answer: Answer };

export interface Answer {
  readonly reasoning: string;
  /** What the user is shown: preambles and text. */
  readonly text: string;
  readonly calls: readonly AnsweredCall[];
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

/** Between a preamble and what follows it. */
const separator = '\n\n';

export async function* tellAnswer(
  events: AsyncGenerator<TurnEvent, TurnResult>,
  names: ToolNames,
  tools: OfferedTools,
): AsyncGenerator<AnswerEvent, Answer> {
  const calls: AnsweredCall[] = [];
  const logprobs: GeneratedToken[] = [];
  let text = '';
  let part: { kind: PartKind; text: string; call: { id: string; name: string } | null } | null = null;
  let written = new ArgumentText();

  const begin = (kind: PartKind, call: { id: string; name: string } | null = null): AnswerEvent => {
    part = { kind, text: '', call };
    if (text !== '' && (kind === 'text' || kind === 'preamble')) text += separator;
    return { type: 'begin', kind, call };
  };
  const delta = (more: string): AnswerEvent[] => {
    if (part === null || more === '') return [];
    part.text += more;
    if (part.kind === 'text' || part.kind === 'preamble') text += more;
    return [{ type: 'delta', kind: part.kind, text: more }];
  };
  const end = (isWhole: boolean): AnswerEvent[] => {
    if (part === null) return [];
    const { kind, call } = part;
    const answered = call === null ? null : { ...call, arguments: part.text, isWhole };
    if (answered !== null) calls.push(answered);
    const event: AnswerEvent = { type: 'end', kind, text: part.text, call: answered };
    part = null;
    return [event];
  };

  for await (const event of events) {
    switch (event.type) {
      case 'token':
        if (event.kind === 'text') {
          logprobs.push(event.token);
          yield { type: 'token', token: event.token };
        }
        break;
      case 'message-start':
        if (event.kind === 'reasoning' || event.kind === 'preamble' || event.kind === 'text') yield begin(event.kind);
        break;
      case 'message-end':
        yield* end(false); // a call that is whole has ended already
        break;
      case 'reasoning':
      case 'text':
      case 'preamble':
        yield* delta(event.text);
        break;
      case 'fallback':
        yield begin('text');
        yield* delta(event.text);
        yield* end(true);
        break;
      case 'call-start': {
        const { name } = resolveRecipient(event.header.recipient ?? '', tools);
        written = new ArgumentText();
        yield begin('call', { id: newId('call'), name: names.toClient(name) });
        break;
      }
      case 'call-delta':
        yield* delta(written.push(event.text));
        break;
      case 'call':
        yield* delta(written.finish(event.call.arguments.text));
        yield* end(true);
        break;
      case 'done': {
        const { reasoning, finishReason, ended, stopString, usage, timings, history, tokens } = event.result;
        const answer: Answer = {
          ...{ reasoning, text, calls, ended, stopString, usage, timings, history, tokens, logprobs },
          finish: finishReason,
        };
        yield { type: 'done', answer };
        return answer;
      }
    }
  }
  throw new Error('a turn ended without its result');
}
