// The harmony library's StreamableParser (model-spec §4.7) state by state, errors as values instead of exceptions:
// between messages only `<|start|>` is accepted; a header runs to `<|message|>`; content to any of `<|end|>`,
// `<|return|>`, `<|call|>`, everything else in it being text. With `isStrict` false a terminator inside a header closes
// the message and what is no channel becomes content. For comparison and for callers that must agree with the library;
// what a model writes is read by tolerant-parser.ts.

import type { HarmonyEncoding } from './encoding.ts';
import { markerText } from './encoding.ts';
import type { HarmonyEvent, HarmonyParser, MessageHeader, ParsedMessage, ReferenceErrorCode } from './events.ts';
import { type Role, roles } from './messages.ts';

/** Unicode White_Space, as Rust has it. */
const whiteSpace = '[\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]';
const channelEnd = new RegExp(`${whiteSpace}|<`);
const outerSpace = new RegExp(`^${whiteSpace}+|${whiteSpace}+$`, 'g');

class HeaderError extends Error {
  readonly code: ReferenceErrorCode;
  constructor(code: ReferenceErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

export class ReferenceParser implements HarmonyParser {
  readonly messages: ParsedMessage[] = [];
  state: 'outside' | 'header' | 'content';
  readonly #encoding: HarmonyEncoding;
  readonly #isStrict: boolean;
  #role: Role | null; // given for the next header; kept, as in the library, when that header fails
  #at = 0;
  #start = 0;
  #headerIds: number[] = [];
  #headerText = '';
  #header: MessageHeader = { role: 'assistant' };
  #content = '';
  #utf8 = newDecoder();

  constructor(encoding: HarmonyEncoding, isStrict: boolean, role: Role | null) {
    this.#encoding = encoding;
    this.#isStrict = isStrict;
    this.#role = role;
    this.state = role === null ? 'outside' : 'header';
  }

  get current(): { header: MessageHeader; content: string } | null {
    return this.state === 'content' ? { header: this.#header, content: this.#content } : null;
  }

  push(id: number): readonly HarmonyEvent[] {
    const { ids } = this.#encoding;
    const isStop = id === ids.end || id === ids.return || id === ids.call;
    const at = this.#at++;
    switch (this.state) {
      case 'outside':
        if (id !== ids.start) {
          return [error('expected-start', at, `token ${id} came where <|start|> (${ids.start}) was expected`)];
        }
        this.state = 'header';
        this.#start = at;
        this.#headerIds = [];
        return [];
      case 'header':
        if (id === ids.message) return this.#endHeader(at);
        if (!this.#isStrict && isStop) return this.#endWithoutMessage(id, at);
        this.#headerIds.push(id);
        return [];
      case 'content':
        return isStop ? this.#endContent(id) : this.#addContent(id, at);
    }
  }

  finish(): readonly HarmonyEvent[] {
    if (this.state === 'outside') return [];
    if (this.state === 'content') return this.#endContent(null);
    return [error('unexpected-eos', this.#at, 'the stream ended where the rest of a message header was expected')];
  }

  #endHeader(at: number): HarmonyEvent[] {
    this.state = 'outside';
    try {
      const { header, rest } = this.#parseHeader(this.#role, true);
      if (rest !== null) {
        throw new HeaderError('leftover-header', `the header has words without a meaning: ${JSON.stringify(rest)}`);
      }
      this.#header = header;
    } catch (cause) {
      return [headerError(cause, at)];
    }
    this.#role = null;
    this.state = 'content';
    this.#content = '';
    this.#utf8 = newDecoder();
    return [{ type: 'start', index: this.messages.length, header: this.#header, isMarked: true }];
  }

  /** `strict=false`: the terminator closes a message that has only a header. Without a given role, or without header
   *  tokens, the library keeps nothing of it. */
  #endWithoutMessage(id: number, at: number): HarmonyEvent[] {
    const events: HarmonyEvent[] = [];
    if (this.#role !== null && this.#headerIds.length > 0) {
      try {
        const { header, rest } = this.#parseHeader(this.#role, false);
        const index = this.messages.length;
        const content = rest ?? '';
        events.push({ type: 'start', index, header, isMarked: false });
        if (content !== '') events.push({ type: 'delta', index, text: content });
        const span = { start: this.#start, end: at + 1 };
        const message = { ...header, content, headerText: this.#headerText, isMarked: false, span };
        this.messages.push({ ...message, terminator: this.#terminator(id) });
        events.push({ type: 'end', index, message: this.messages[index]! });
      } catch (cause) {
        return [headerError(cause, at)];
      }
    }
    this.state = 'outside';
    this.#role = null;
    return events;
  }

  #addContent(id: number, at: number): HarmonyEvent[] {
    const bytes = this.#encoding.textBytes(id);
    let text: string;
    if (bytes !== null) {
      text = this.#utf8.decode(bytes, { stream: true });
    } else {
      const name = this.#encoding.specialName(id);
      if (name === undefined) return [error('unknown-token', at, `token ${id} is not in the vocabulary`)];
      text = this.#utf8.decode(new TextEncoder().encode(name), { stream: true });
    }
    if (text === '') return [];
    this.#content += text;
    return [{ type: 'delta', index: this.messages.length, text }];
  }

  #endContent(id: number | null): HarmonyEvent[] {
    const events: HarmonyEvent[] = [];
    const index = this.messages.length;
    const tail = this.#utf8.decode();
    if (tail !== '') events.push({ type: 'delta', index, text: tail });
    this.messages.push({
      ...this.#header,
      content: this.#content + tail,
      headerText: this.#headerText,
      isMarked: true,
      terminator: id === null ? null : this.#terminator(id),
      span: { start: this.#start, end: this.#at },
    });
    events.push({ type: 'end', index, message: this.messages[index]! });
    this.state = 'outside';
    this.#content = '';
    return events;
  }

  #terminator(id: number): 'end' | 'return' | 'call' {
    const { ids } = this.#encoding;
    return id === ids.end ? 'end' : id === ids.return ? 'return' : 'call';
  }

  /** Reads the collected header. `isComplete` false: everything but role and channel is handed back as the rest. */
  #parseHeader(given: Role | null, isComplete: boolean): { header: MessageHeader; rest: string | null } {
    let text = this.#decodeHeader();
    let channel: string | undefined;
    const mark = text.indexOf(markerText.channel);
    if (mark >= 0) {
      const after = text.slice(mark + markerText.channel.length);
      const end = after.search(channelEnd);
      channel = end < 0 ? after : after.slice(0, end);
      if (channel === '') throw new HeaderError('empty-channel', 'the header has <|channel|> and no channel after it');
      text = text.slice(0, mark) + after.slice(channel.length);
    }
    text = text.replace(outerSpace, '').replaceAll(markerText.constrain, ` ${markerText.constrain}`);
    const parts = text.split(/[ \t\n\f\r]+/).filter((part) => part !== '');
    let role = given;
    let name: string | undefined;
    if (role === null) {
      const first = parts[0];
      if (first === undefined) throw new HeaderError('missing-role', 'the header has no role');
      role = roles.find((known) => known === first) ?? null;
      if (role === null) {
        if (parts.length === 1 && !first.startsWith('to=')) {
          throw new HeaderError('unknown-role', `the header has the unknown role ${JSON.stringify(first)}`);
        }
        parts.shift();
        role = 'tool';
      }
      if (role === 'tool') name = first;
    }
    if (parts[0] === role) parts.shift();
    let recipient: string | undefined;
    let contentType: string | undefined;
    if (isComplete && parts.length > 0) {
      const last = parts.pop()!;
      // A single word is a recipient even without `to=`; of two, the first is.
      if (last.startsWith('to=') || parts.length === 0) recipient = withoutTo(last);
      else {
        contentType = last;
        recipient = withoutTo(parts.pop()!);
      }
    }
    const header: MessageHeader = {
      role,
      ...(name === undefined ? {} : { name }),
      ...(recipient === undefined ? {} : { recipient }),
      ...(channel === undefined ? {} : { channel }),
      ...(contentType === undefined ? {} : { contentType }),
    };
    return { header, rest: parts.length > 0 ? parts.join(' ') : null };
  }

  /** The header as the library sees it, names of markers included. */
  #decodeHeader(): string {
    const utf8 = new TextDecoder('utf-8', { ignoreBOM: true, fatal: true });
    const encoder = new TextEncoder();
    let text = '';
    this.#headerText = '';
    try {
      for (const id of this.#headerIds) {
        const name = this.#encoding.specialName(id);
        const bytes = name === undefined ? this.#encoding.textBytes(id) : encoder.encode(name);
        if (bytes === null) throw new HeaderError('undecodable-header', `token ${id} is not in the vocabulary`);
        const piece = utf8.decode(bytes, { stream: true });
        text += piece;
        if (name === undefined) this.#headerText += piece;
      }
      return text + utf8.decode();
    } catch (cause) {
      if (cause instanceof HeaderError) throw cause;
      throw new HeaderError('undecodable-header', 'the header is not valid UTF-8');
    }
  }
}

function newDecoder(): TextDecoder {
  return new TextDecoder('utf-8', { ignoreBOM: true });
}

function withoutTo(word: string): string {
  return word.startsWith('to=') ? word.slice(3) : word;
}

function error(code: ReferenceErrorCode, at: number, message: string): HarmonyEvent {
  return { type: 'error', code, at, message };
}

function headerError(cause: unknown, at: number): HarmonyEvent {
  if (cause instanceof HeaderError) return error(cause.code, at, cause.message);
  throw cause;
}
