// Reads whatever a model writes: never throws, never loses text. Every text token's bytes end up exactly once and in
// order in some message, as `headerText` or as `content`; other tokens have no text. The rules (model-spec §4.8):
//   between messages   `<|start|>` opens a header; other text opens one too (a missing `<|start|>`); terminators and
//                      other markers are dropped
//   in a header        readHeader (header.ts) takes what means something; prose before `<|message|>`, a terminator, the
//                      end of the stream, another `<|channel|>`, or beyond `firstLook` characters is a message's content
//   in content         a terminator or `<|endoftext|>` ends the message, `<|start|>` and `<|channel|>` begin the next one;
//                      `<|message|>`, `<|constrain|>`, reserved tokens and ids outside the vocabulary are dropped
// Each departure from the format is reported as a problem. Next: turn.ts.

import type { HarmonyEncoding, Marker } from './encoding.ts';
import type {
  HarmonyEvent,
  HarmonyParser,
  MessageHeader,
  ParsedMessage,
  ParserOptions,
  ProblemCode,
  Terminator,
} from './events.ts';
import { type HeaderEnd, type HeaderMark, type HeaderReading, type HeaderVocabulary, readHeader } from './header.ts';
import { type Role, standardChannels } from './messages.ts';

/** A header without `<|message|>` is looked at from this length on (then at every doubling), so that an answer without
 *  any header still streams. No real header is longer, but for names of tools. */
const firstLook = 160;
/** A header that long is over, whatever is in it. */
const longestHeader = 4096;
/** Further markers in one header are dropped: they hold no text, and the header is read anew at each. */
const mostMarks = 64;

/** What readHeader can report. */
const headerProblems: Partial<Record<ProblemCode, string>> = {
  'extra-channel': 'a header has more than one channel; the last one counts',
  'empty-channel': 'a header has <|channel|> and no channel after it',
  'odd-channel': 'a channel is unknown or misspelt',
  'odd-header': 'a header has words without a meaning',
};

const nothing: readonly HarmonyEvent[] = [];

export class TolerantParser implements HarmonyParser {
  readonly messages: ParsedMessage[] = [];
  state: 'outside' | 'header' | 'content' = 'outside';
  readonly #encoding: HarmonyEncoding;
  readonly #vocabulary: HeaderVocabulary;
  #at = 0; // tokens pushed
  // The header being collected.
  #given: Role | null = null;
  #text = '';
  #marks: HeaderMark[] = [];
  #nextLook = firstLook;
  #start = 0;
  // The message being read.
  #header: MessageHeader = { role: 'assistant' };
  #headerText = '';
  #content = '';
  #isMarked = false;
  // ignoreBOM keeps U+FEFF, which is text here.
  #utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

  constructor(encoding: HarmonyEncoding, options: ParserOptions) {
    this.#encoding = encoding;
    this.#vocabulary = {
      channels: options.channels ?? standardChannels,
      recipients: new Set(options.recipients ?? []),
    };
    const role = options.role === undefined ? 'assistant' : options.role;
    if (role !== null) this.#openHeader(role, 0);
  }

  get current(): { header: MessageHeader; content: string } | null {
    return this.state === 'content' ? { header: this.#header, content: this.#content } : null;
  }

  push(id: number): readonly HarmonyEvent[] {
    const at = this.#at++;
    const marker = this.#encoding.marker(id);
    if (marker !== undefined) return this.#marker(marker, at);
    if (id === this.#encoding.endOfText) return this.#terminate('eos', at);
    const bytes = this.#encoding.textBytes(id);
    if (bytes !== null) return this.#bytes(bytes, at);
    const name = this.#encoding.specialName(id);
    return name === undefined
      ? [problem('unknown-token', at, `token ${id} is not in the vocabulary and was dropped`)]
      : [problem('reserved-token', at, `${name} has no meaning here and was dropped`)];
  }

  finish(): readonly HarmonyEvent[] {
    const events: HarmonyEvent[] = [];
    if (this.state === 'content') this.#close(null, this.#at, events);
    else if (this.state === 'header') this.#cutHeader(null, this.#at, events);
    return events;
  }

  #bytes(bytes: Uint8Array, at: number): readonly HarmonyEvent[] {
    const text = this.#utf8.decode(bytes, { stream: true });
    if (this.state === 'content') {
      if (text === '') return nothing;
      this.#content += text;
      return [{ type: 'delta', index: this.messages.length, text }];
    }
    const events: HarmonyEvent[] = [];
    if (this.state === 'outside') {
      this.#openHeader(null, at);
      events.push(problem('missing-start', at, 'text came where <|start|> was expected'));
    }
    this.#text += text;
    if (this.#text.length >= this.#nextLook) {
      this.#nextLook *= 2;
      const reading = this.#read('cut');
      // The decoder is not flushed: a code point may go on in the next token.
      if (reading.split < this.#text.length || this.#text.length > longestHeader) {
        events.push(problem('missing-message', at, 'the text of a message began without <|message|>'));
        this.#begin(reading, false, at, events);
      }
    }
    return events;
  }

  #marker(marker: Marker, at: number): readonly HarmonyEvent[] {
    const events: HarmonyEvent[] = [];
    switch (marker) {
      case 'end':
      case 'return':
      case 'call':
        return this.#terminate(marker, at);
      case 'start':
        if (this.state === 'content') {
          events.push(problem('missing-end', at, 'a message began before the one before it had ended'));
          this.#close(null, at, events);
        } else if (this.state === 'header') {
          this.#flushHeader();
          if (this.#read('cut').split < this.#text.length) this.#cutHeader(null, at, events);
          else {
            if (this.#text.trim() !== '' || this.#marks.length > 0) {
              events.push(problem('double-start', at, '<|start|> came inside a header'));
            }
            this.#mark('start', at, events);
            return events;
          }
        }
        this.#openHeader(null, at);
        this.#mark('start', at, events);
        return events;
      case 'channel':
        if (this.state === 'content') {
          events.push(problem('missing-end', at, 'a channel began before the message before it had ended'));
          const role = this.#header.role;
          this.#close(null, at, events);
          this.#openHeader(role, at);
        } else if (this.state === 'outside') {
          events.push(problem('missing-start', at, '<|channel|> came where <|start|> was expected'));
          this.#openHeader('assistant', at);
        } else {
          this.#flushHeader();
          const reading = this.#read('channel');
          if (reading.split < this.#text.length) {
            this.#cutHeader(null, at, events);
            this.#openHeader(reading.header.role, at);
          }
        }
        this.#mark('channel', at, events);
        return events;
      case 'message':
        if (this.state === 'content') break;
        if (this.state === 'outside') {
          events.push(problem('missing-start', at, '<|message|> came where <|start|> was expected'));
          this.#openHeader(null, at);
        }
        this.#flushHeader();
        this.#begin(this.#read('message'), true, at, events);
        return events;
      case 'constrain':
        if (this.state !== 'header') break;
        this.#flushHeader();
        this.#mark('constrain', at, events);
        return events;
    }
    return [problem('stray-marker', at, `<|${marker}|> has no meaning here and was dropped`)];
  }

  #terminate(terminator: Terminator, at: number): readonly HarmonyEvent[] {
    const events: HarmonyEvent[] = [];
    if (this.state === 'content') this.#close(terminator, at + 1, events);
    else if (this.state === 'header') this.#cutHeader(terminator, at + 1, events);
    else events.push(problem('stray-marker', at, 'a terminator came after the message had ended'));
    return events;
  }

  #openHeader(given: Role | null, at: number): void {
    this.state = 'header';
    this.#given = given;
    this.#text = '';
    this.#marks = [];
    this.#nextLook = firstLook;
    this.#start = at;
  }

  #mark(kind: HeaderMark['kind'], at: number, events: HarmonyEvent[]): void {
    if (this.#marks.length < mostMarks) this.#marks.push({ kind, at: this.#text.length });
    else events.push(problem('stray-marker', at, 'a header has too many markers; this one was dropped'));
  }

  #flushHeader(): void {
    this.#text += this.#utf8.decode();
  }

  #read(end: HeaderEnd): HeaderReading {
    return readHeader(this.#text, this.#marks, this.#given, end, this.#vocabulary);
  }

  /** The header is complete: `reading` says which part of its text already is content. */
  #begin(reading: HeaderReading, isMarked: boolean, at: number, events: HarmonyEvent[]): void {
    const index = this.messages.length;
    for (const code of reading.problems) events.push(problem(code, at, headerProblems[code]!));
    this.state = 'content';
    this.#header = reading.header;
    this.#headerText = this.#text.slice(0, reading.split);
    this.#content = this.#text.slice(reading.split);
    this.#isMarked = isMarked;
    events.push({ type: 'start', index, header: reading.header, isMarked });
    if (this.#content !== '') events.push({ type: 'delta', index, text: this.#content });
  }

  /** A header that was not completed by `<|message|>` becomes a message of its own if it holds any text. */
  #cutHeader(terminator: Terminator | null, end: number, events: HarmonyEvent[]): void {
    this.#flushHeader();
    if (this.#text !== '' || this.#marks.length > 0 || terminator !== null) {
      events.push(problem('missing-message', end - 1, 'a header ended without <|message|>'));
    }
    if (this.#text === '') {
      this.state = 'outside';
      return;
    }
    this.#begin(this.#read('cut'), false, end - 1, events);
    this.#close(terminator, end, events);
  }

  /** Ends the message being read; `end` is one past its last token, so a terminator belongs to it. */
  #close(terminator: Terminator | null, end: number, events: HarmonyEvent[]): void {
    const index = this.messages.length;
    const tail = this.#utf8.decode();
    if (tail !== '') {
      this.#content += tail;
      events.push({ type: 'delta', index, text: tail });
    }
    const { role, recipient, channel } = this.#header;
    if (role === 'assistant' && terminator !== null && terminator !== 'eos') {
      const isCall = recipient !== undefined;
      const isFinal = channel === 'final' || channel === undefined;
      if (isCall !== (terminator === 'call') || (terminator === 'return' && !isFinal)) {
        const message = `<|${terminator}|> does not fit a message ${isCall ? `to ${recipient}` : 'to nobody'}`;
        events.push(problem('odd-terminator', end - 1, message));
      }
    }
    const message: ParsedMessage = {
      ...this.#header,
      content: this.#content,
      headerText: this.#headerText,
      isMarked: this.#isMarked,
      terminator,
      span: { start: this.#start, end },
    };
    this.messages.push(message);
    events.push({ type: 'end', index, message });
    this.state = 'outside';
    this.#content = '';
  }
}

function problem(code: ProblemCode, at: number, message: string): HarmonyEvent {
  return { type: 'problem', code, at, message };
}
