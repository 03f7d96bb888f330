// Token ids back to messages, one at a time: the choice between the three modes of reading.
//   tolerant    (default) no stream whatever throws or loses text; oddities are reported as problems (tolerant-parser.ts)
//   strict      the harmony library's StreamableParser, its errors as values                      (reference-parser.ts)
//   non-strict  the same with `strict=false`: a message without `<|message|>` is kept              (reference-parser.ts)
// A parser keeps its messages and nothing shared; make one per generation. Next: turn.ts, which folds the events of one
// answer into reasoning, text and calls.

import type { HarmonyEncoding } from './encoding.ts';
import type { HarmonyEvent, HarmonyParser, ParsedMessage, ParserOptions } from './events.ts';
import { ReferenceParser } from './reference-parser.ts';
import { TolerantParser } from './tolerant-parser.ts';

export function harmonyParser(encoding: HarmonyEncoding, options: ParserOptions = {}): HarmonyParser {
  const mode = options.mode ?? 'tolerant';
  return mode === 'tolerant'
    ? new TolerantParser(encoding, options)
    : new ReferenceParser(encoding, mode === 'strict', options.role === undefined ? 'assistant' : options.role);
}

export interface ParseResult {
  readonly messages: readonly ParsedMessage[];
  readonly events: readonly HarmonyEvent[];
}

/** A whole stream at once. The reference modes stop at the first error, as the library does. */
export function parseTokens(
  encoding: HarmonyEncoding,
  ids: ArrayLike<number>,
  options: ParserOptions = {},
): ParseResult {
  const parser = harmonyParser(encoding, options);
  const events: HarmonyEvent[] = [];
  let isBroken = false;
  const take = (batch: readonly HarmonyEvent[]): void => {
    for (const event of batch) {
      events.push(event);
      if (event.type === 'error') isBroken = true;
    }
  };
  for (let i = 0; i < ids.length && !isBroken; i++) take(parser.push(ids[i]!));
  if (!isBroken) take(parser.finish());
  return { messages: parser.messages, events };
}
