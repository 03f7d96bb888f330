// What a parser reports: messages as read, the events of a stream, and the names of everything that can be odd in one.
// Types only. Problems are what the tolerant parser put up with; errors are those of the harmony library.
// Next: parse.ts.

import type { Message, Role } from './messages.ts';

/** What ended a message; `eos` is `<|endoftext|>`. */
export type Terminator = 'end' | 'return' | 'call' | 'eos';

export interface MessageHeader {
  readonly role: Role;
  readonly name?: string;
  readonly recipient?: string;
  readonly channel?: string;
  readonly contentType?: string;
}

/** A message as read. It can be put into a conversation as it is. */
export interface ParsedMessage extends MessageHeader, Message {
  readonly content: string;
  /** All text that stood in the header, as generated. With `content` it holds every text token's bytes exactly once. */
  readonly headerText: string;
  /** False for text that was generated without `<|message|>` before it. */
  readonly isMarked: boolean;
  /** Null when the stream, or the next message, came before a terminator. */
  readonly terminator: Terminator | null;
  /** Which of the pushed tokens it was: [start, end), header and terminator included. */
  readonly span: { readonly start: number; readonly end: number };
}

/** What the tolerant parser had to put up with. */
export type ProblemCode =
  | 'double-start' // `<|start|>` inside a header
  | 'missing-start' // a header began without `<|start|>`
  | 'missing-message' // a message without `<|message|>`: its text became content
  | 'missing-end' // a message was cut off by the next one
  | 'stray-marker' // a marker with no meaning where it stood; dropped
  | 'reserved-token' // a special token that is no marker; dropped, it has no text
  | 'unknown-token' // an id outside the vocabulary; dropped
  | 'extra-channel' // more than one channel in a header; the last counts
  | 'empty-channel' // a channel marker without a channel
  | 'odd-channel' // an unknown channel, or a known one that was misspelt
  | 'odd-header' // words in a header that mean nothing; they stay in `headerText`
  | 'odd-terminator'; // terminator and recipient or channel do not fit together

/** The errors of the harmony library. */
export type ReferenceErrorCode =
  | 'expected-start'
  | 'unexpected-eos'
  | 'undecodable-header'
  | 'empty-channel'
  | 'missing-role'
  | 'unknown-role'
  | 'leftover-header'
  | 'unknown-token'; // an id without bytes in content; the library would turn the rest of the message into U+FFFD

export type HarmonyEvent =
  /** A message begins; its header is complete. */
  | { readonly type: 'start'; readonly index: number; readonly header: MessageHeader; readonly isMarked: boolean }
  /** More of its content, never a part of a code point. */
  | { readonly type: 'delta'; readonly index: number; readonly text: string }
  | { readonly type: 'end'; readonly index: number; readonly message: ParsedMessage }
  | { readonly type: 'problem'; readonly code: ProblemCode; readonly at: number; readonly message: string }
  | { readonly type: 'error'; readonly code: ReferenceErrorCode; readonly at: number; readonly message: string };

export interface HarmonyParser {
  /** Takes the next token of the stream. */
  push(id: number): readonly HarmonyEvent[];
  /** The stream is over, for whatever reason. */
  finish(): readonly HarmonyEvent[];
  /** Completed messages. */
  readonly messages: readonly ParsedMessage[];
  /** Where the next token will be read: between messages, in a header, or in content. */
  readonly state: 'outside' | 'header' | 'content';
  /** Header and content so far of the message being read. */
  readonly current: { readonly header: MessageHeader; readonly content: string } | null;
}

export interface ParserOptions {
  readonly mode?: 'tolerant' | 'strict' | 'non-strict';
  /** Role that the prompt already wrote after `<|start|>` (default assistant); null when the stream begins before
   *  `<|start|>`. */
  readonly role?: Role | null;
  /** Tolerant: names of channels; default the three standard ones. */
  readonly channels?: readonly string[];
  /** Tolerant: recipients that exist, recognised even without `to=`. */
  readonly recipients?: readonly string[];
}
