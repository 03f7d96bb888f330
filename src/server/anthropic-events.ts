// Owns: an answer in Anthropic's dialect, as events and as the message they add up to. Reasoning becomes thinking parts,
// with a signature because clients demand one; it proves nothing. Next: anthropic.ts.

import type { Answer, AnswerEvent, AnsweredCall, PartKind } from './answer.ts';
import { newId } from './ids.ts';

interface WireEvent extends Readonly<Record<string, unknown>> {
  readonly type: string;
}

export interface AnthropicTellerOptions {
  readonly model: string;
  readonly promptTokens: number;
  readonly context: number;
  readonly showsThinking: boolean;
}

export class AnthropicTeller {
  readonly #options: AnthropicTellerOptions;
  readonly #id = newId('msg');
  readonly #content: unknown[] = [];
  #index = -1; // of the open part
  #ending: { stop_reason: string | null; stop_sequence: string | null } = { stop_reason: null, stop_sequence: null };
  #usage: Readonly<Record<string, unknown>>;
  #notice: { readonly notice?: string } = {};

  constructor(options: AnthropicTellerOptions) {
    this.#options = options;
    this.#usage = usageOf(options.promptTokens, 0, 0, 0);
  }

  message(): unknown {
    return {
      id: this.#id,
      type: 'message',
      role: 'assistant',
      model: this.#options.model,
      content: this.#content,
      ...this.#ending,
      usage: this.#usage,
      ...this.#notice,
    };
  }

  *begin(): Generator<WireEvent> {
    yield { type: 'message_start', message: this.message() };
    yield { type: 'ping' };
  }

  *tell(event: AnswerEvent): Generator<WireEvent> {
    if (event.type === 'done') {
      yield* this.#done(event.answer);
      return;
    }
    if (event.type === 'token' || event.type === 'run' || event.type === 'citation') return;
    if (event.kind === 'reasoning' && !this.#options.showsThinking) return;
    if (event.type === 'begin') {
      this.#index++;
      yield { type: 'content_block_start', index: this.#index, content_block: part(event.kind, '', event.call, null) };
    } else if (event.type === 'delta') {
      yield this.#delta(delta(event.kind, event.text));
    } else {
      const signature = event.kind === 'reasoning' ? newId('sig') : null;
      if (signature !== null) yield this.#delta({ type: 'signature_delta', signature });
      this.#content.push(part(event.kind, event.text, event.call, signature));
      yield { type: 'content_block_stop', index: this.#index };
    }
  }

  #delta(of: unknown): WireEvent {
    return { type: 'content_block_delta', index: this.#index, delta: of };
  }

  *#done(answer: Answer): Generator<WireEvent> {
    const { promptTokens, cachedTokens, completionTokens, reasoningTokens } = answer.usage;
    this.#usage = usageOf(promptTokens, cachedTokens, completionTokens, reasoningTokens);
    const isFull = promptTokens + completionTokens >= this.#options.context;
    this.#ending = { stop_reason: stopReason(answer, isFull), stop_sequence: answer.stopString };
    this.#notice = answer.notice === null ? {} : { notice: answer.notice };
    yield { type: 'message_delta', delta: this.#ending, usage: this.#usage, ...this.#notice };
    yield { type: 'message_stop' };
  }
}

function stopReason({ finish, stopString }: Answer, isFull: boolean): string {
  if (finish === 'tool_calls') return 'tool_use';
  if (finish === 'length') return isFull ? 'model_context_window_exceeded' : 'max_tokens';
  return stopString === null ? 'end_turn' : 'stop_sequence';
}

function part(
  kind: PartKind,
  text: string,
  call: { id: string; name: string } | AnsweredCall | null,
  signature: string | null,
): unknown {
  if (call !== null) return { type: 'tool_use', id: call.id, name: call.name, input: inputOf(text) };
  if (kind === 'reasoning') return { type: 'thinking', thinking: text, signature: signature ?? '' };
  return { type: 'text', text };
}

function delta(kind: PartKind, text: string): unknown {
  if (kind === 'call') return { type: 'input_json_delta', partial_json: text };
  return kind === 'reasoning' ? { type: 'thinking_delta', thinking: text } : { type: 'text_delta', text };
}

/** Input is an object here, so arguments that are none stand under a name of their own. */
function inputOf(given: string): unknown {
  if (given === '') return {};
  try {
    const value: unknown = JSON.parse(given);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  } catch {
    // not JSON
  }
  return { arguments: given };
}

function usageOf(prompt: number, cached: number, output: number, reasoning: number): Readonly<Record<string, unknown>> {
  return {
    input_tokens: prompt - cached,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: cached,
    output_tokens: output,
    output_tokens_details: { thinking_tokens: reasoning },
    service_tier: 'standard',
  };
}
