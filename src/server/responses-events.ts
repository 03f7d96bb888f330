// Owns: an answer in the Responses dialect: events of the answer become items and server-sent events with ascending
// `sequence_number`, in the order the API documents: added, parts, deltas, done. The same teller fills the body of a
// response that is not streamed, so both say the same. Refuses: to know requests and stores; responses.ts does.

import type { GeneratedToken } from '../engine/generation.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import type { Answer, AnswerEvent, AnsweredCall, PartKind } from './answer.ts';
import { type ChatTokenLogprob, chatLogprobs } from './logprobs.ts';
import { seal } from './response-input.ts';
import { ToolRunTeller } from './response-runs.ts';
import { customInput, type ResponseTool } from './response-tools.ts';
import type { OutputItem, ResponseBody } from './store.ts';
import type { KeptFile } from './tool-sessions.ts';

export interface ResponseEvent extends Readonly<Record<string, unknown>> {
  readonly type: string;
  readonly sequence_number: number;
}

export interface TellerOptions {
  /** Random part of the ids of this response and its items. */
  readonly key: string;
  /** The body without status, output and usage. */
  readonly body: Readonly<Record<string, unknown>>;
  readonly tools: ReadonlyMap<string, ResponseTool>;
  readonly tokenizer: Tokenizer;
  readonly hasLogprobs: boolean;
  readonly hasSealedReasoning: boolean;
}

/** `url_citation` or `container_file_citation`. */
type Annotation = Readonly<Record<string, unknown>>;

const prefixes: Readonly<Record<PartKind, string>> = { reasoning: 'rs', preamble: 'msg', text: 'msg', call: 'fc' };

/** The response that an item id belongs to; null for ids that are not ours. */
export function responseIdOfItem(itemId: string): string | null {
  const key = /^(?:rs|msg|fc|ctc|ci|ws|mcp)_([0-9a-f]{32})_\d+$/.exec(itemId)?.[1];
  return key === undefined ? null : `resp_${key}`;
}

export class ResponseTeller {
  readonly #options: TellerOptions;
  readonly #output: OutputItem[] = [];
  #sequence = 0;
  #status: ResponseBody['status'] = 'in_progress';
  #tokens: GeneratedToken[] = []; // of text that was not told yet
  #logprobs: ChatTokenLogprob[] = []; // of the open item
  #final: Readonly<Record<string, unknown>> = {};
  #itemId = '';
  /** Of the tools that run here. */
  containerId = '';
  #run: ToolRunTeller | null = null;
  #annotations: Annotation[] = []; // of the open item
  readonly #files: KeptFile[] = []; // that no text was told of yet

  constructor(options: TellerOptions) {
    this.#options = options;
  }

  /** The response as it is now. */
  body(): ResponseBody {
    return {
      id: `resp_${this.#options.key}`,
      object: 'response',
      status: this.#status,
      ...this.#options.body,
      output: [...this.#output],
      ...this.#final,
    };
  }

  *begin(isQueued: boolean): Generator<ResponseEvent> {
    if (isQueued) this.#status = 'queued';
    yield this.#event('response.created', { response: this.body() });
    if (isQueued) yield this.#event('response.queued', { response: this.body() });
    this.#status = 'in_progress';
    yield this.#event('response.in_progress', { response: this.body() });
  }

  *tell(event: AnswerEvent): Generator<ResponseEvent> {
    switch (event.type) {
      case 'begin':
        yield* this.#begin(event.kind, event.call);
        break;
      case 'delta':
        yield* this.#delta(event.kind, event.text);
        break;
      case 'token':
        if (this.#options.hasLogprobs) this.#tokens.push(event.token);
        break;
      case 'end':
        yield* this.#end(event.kind, event.text, event.call);
        break;
      case 'run':
        yield* this.#runs(event);
        break;
      case 'citation': {
        const { url, title, start, end } = event.citation;
        yield* this.#annotate({ type: 'url_citation', url, title, start_index: start, end_index: end });
        break;
      }
      case 'done':
        yield this.#done(event.answer);
    }
  }

  /** The answer broke off. */
  fail(code: string, message: string): ResponseEvent {
    this.#status = 'failed';
    this.#final = { error: { code, message } };
    return this.#event('response.failed', { response: this.body() });
  }

  cancel(): void {
    this.#status = 'cancelled';
  }

  *#begin(kind: PartKind, call: { id: string; name: string } | null): Generator<ResponseEvent> {
    const isCustom = call !== null && this.#tool(call.name).type === 'custom';
    this.#itemId = `${isCustom ? 'ctc' : prefixes[kind]}_${this.#options.key}_${this.#output.length}`;
    const item = this.#item(kind, '', call === null ? null : { ...call, arguments: '', isWhole: false }, 'in_progress');
    yield this.#event('response.output_item.added', { output_index: this.#output.length, item });
    if (kind !== 'call') yield this.#event('response.content_part.added', { ...this.#place(), part: part(kind, '') });
  }

  *#delta(kind: PartKind, text: string): Generator<ResponseEvent> {
    if (kind === 'call') {
      if (this.#itemId.startsWith('ctc')) return; // its input is inside of JSON: told as a whole
      yield this.#event('response.function_call_arguments.delta', { ...this.#itemPlace(), delta: text });
      return;
    }
    if (kind === 'reasoning') {
      yield this.#event('response.reasoning_text.delta', { ...this.#place(), delta: text });
      return;
    }
    const logprobs = chatLogprobs(this.#tokens.splice(0), this.#options.tokenizer);
    this.#logprobs.push(...logprobs);
    yield this.#event('response.output_text.delta', { ...this.#place(), delta: text, logprobs });
  }

  *#end(kind: PartKind, text: string, call: AnsweredCall | null): Generator<ResponseEvent> {
    const isWhole = call?.isWhole ?? true;
    if (kind === 'text') yield* this.#citeFiles(text);
    const item = this.#item(kind, text, call, isWhole ? 'completed' : 'incomplete');
    if (item.type === 'custom_tool_call') {
      const { input } = item;
      yield this.#event('response.custom_tool_call_input.delta', { ...this.#itemPlace(), delta: input });
      yield this.#event('response.custom_tool_call_input.done', { ...this.#itemPlace(), input });
    } else if (kind === 'call') {
      const { name } = item;
      yield this.#event('response.function_call_arguments.done', { ...this.#itemPlace(), name, arguments: text });
    } else {
      const place = this.#place();
      if (kind === 'reasoning') yield this.#event('response.reasoning_text.done', { ...place, text });
      else yield this.#event('response.output_text.done', { ...place, text, logprobs: this.#logprobs });
      yield this.#event('response.content_part.done', {
        ...place,
        part: part(kind, text, this.#logprobs, this.#annotations),
      });
    }
    yield this.#event('response.output_item.done', { output_index: this.#output.length, item });
    this.#output.push(item);
    this.#logprobs = [];
    this.#annotations = [];
  }

  /** A call of a tool that runs here. */
  *#runs(event: Extract<AnswerEvent, { type: 'run' }>): Generator<ResponseEvent> {
    if (event.phase === 'begin' || this.#run === null) {
      const place = { key: this.#options.key, index: this.#output.length, containerId: this.containerId };
      this.#run = new ToolRunTeller(event.tool, place);
      this.#itemId = this.#run.id;
    }
    const index = this.#output.length;
    for (const { type, fields, item } of this.#run.tell(event)) {
      yield this.#event(type, item === undefined ? { ...this.#itemPlace(), ...fields } : { output_index: index, item });
      if (type === 'response.output_item.done') this.#output.push(item!);
    }
    if (event.phase !== 'end') return;
    this.#run = null;
    this.#files.push(...event.files);
  }

  *#annotate(annotation: Annotation): Generator<ResponseEvent> {
    const place = { ...this.#place(), annotation_index: this.#annotations.length };
    this.#annotations.push(annotation);
    yield this.#event('response.output_text.annotation.added', { ...place, annotation });
  }

  /** Files that tools made since the last text are cited where the text names them, or at its end. */
  *#citeFiles(text: string): Generator<ResponseEvent> {
    for (const { id, name, containerId } of this.#files.splice(0)) {
      const link = `sandbox:/mnt/data/${name}`;
      const at = text.indexOf(link);
      const start = Array.from(at < 0 ? text : text.slice(0, at)).length;
      yield* this.#annotate({
        ...{ type: 'container_file_citation', container_id: containerId, file_id: id, filename: name },
        ...{ start_index: start, end_index: at < 0 ? start : start + Array.from(link).length },
      });
    }
  }

  #done(answer: Answer): ResponseEvent {
    const { finish, usage } = answer;
    const isCut = finish === 'length';
    this.#status = finish === 'aborted' ? 'cancelled' : isCut ? 'incomplete' : 'completed';
    this.#final = {
      completed_at: Math.floor(Date.now() / 1000),
      ...(isCut
        ? { incomplete_details: { reason: answer.ended === 'loop' ? 'repetition' : 'max_output_tokens' } }
        : {}),
      ...(answer.notice === null ? {} : { notice: answer.notice }),
      usage: {
        input_tokens: usage.promptTokens,
        input_tokens_details: { cached_tokens: usage.cachedTokens },
        output_tokens: usage.completionTokens,
        output_tokens_details: { reasoning_tokens: usage.reasoningTokens },
        total_tokens: usage.promptTokens + usage.completionTokens,
      },
    };
    // There is no event for a cancelled response: its stream ends as one that was cut.
    const word = finish === 'stop' || finish === 'tool_calls' ? 'completed' : 'incomplete';
    return this.#event(`response.${word}`, { response: this.body() });
  }

  #item(kind: PartKind, text: string, call: AnsweredCall | null, status: string): OutputItem {
    const id = this.#itemId;
    if (call !== null) {
      const { type, name, namespace } = this.#tool(call.name);
      const where = { call_id: call.id, name, ...(namespace === null ? {} : { namespace }) };
      if (type === 'custom') {
        return { id, type: 'custom_tool_call', status, ...where, input: customInput(call.arguments) };
      }
      return { id, type: 'function_call', status, ...where, arguments: call.arguments };
    }
    const content = status === 'in_progress' ? [] : [part(kind, text, this.#logprobs, this.#annotations)];
    if (kind === 'reasoning') {
      const sealed = this.#options.hasSealedReasoning && text !== '' ? { encrypted_content: seal(text) } : {};
      return { id, type: 'reasoning', status, summary: [], content, ...sealed };
    }
    const phase = kind === 'preamble' ? 'commentary' : 'final_answer';
    return { id, type: 'message', status, role: 'assistant', phase, content };
  }

  #tool(name: string): ResponseTool {
    return this.#options.tools.get(name) ?? { type: 'function', name, namespace: null };
  }

  #itemPlace(): { item_id: string; output_index: number } {
    return { item_id: this.#itemId, output_index: this.#output.length };
  }

  #place(): { item_id: string; output_index: number; content_index: number } {
    return { ...this.#itemPlace(), content_index: 0 };
  }

  #event(type: string, fields: Readonly<Record<string, unknown>>): ResponseEvent {
    return { type, sequence_number: this.#sequence++, ...fields };
  }
}

function part(
  kind: PartKind,
  text: string,
  logprobs: readonly ChatTokenLogprob[] = [],
  annotations: readonly Annotation[] = [],
): unknown {
  if (kind === 'reasoning') return { type: 'reasoning_text', text };
  return { type: 'output_text', text, annotations, logprobs };
}
