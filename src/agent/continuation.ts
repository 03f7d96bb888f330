// Owns: going on from given tokens as they are: no template, no channels, no stop tokens; text comes out as the tokens
// say, special ones by their names. For raw completion and for looking at a model. Next: turn.ts, for conversations.

import type { StopMatcher } from '../engine/constraint.ts';
import type { Engine } from '../engine/engine.ts';
import type { GeneratedToken, GenerateOptions, Generation, GenerationResult } from '../engine/generation.ts';
import type { StreamDecoder } from '../text/stream-decoder.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import { StopStrings } from './stop-strings.ts';

export interface ContinueOptions extends Omit<GenerateOptions, 'stops'> {
  /** Strings that end the text; they are left out of it. */
  readonly stop?: readonly string[];
}

export interface ContinueResult extends GenerationResult {
  readonly text: string;
  readonly stopString: string | null;
}

export type ContinueEvent =
  /** More text, and the token that made it certain. `text` may be empty. */
  | { readonly type: 'text'; readonly text: string; readonly token: GeneratedToken | null }
  | { readonly type: 'done'; readonly result: ContinueResult };

/** Throws as `Engine.generate` does, also `aborted`. */
export async function* continueTokens(
  engine: Engine,
  tokenizer: Pick<Tokenizer, 'decoder'>,
  tokens: ArrayLike<number>,
  options: ContinueOptions = {},
): AsyncGenerator<ContinueEvent, ContinueResult> {
  return yield* startContinuation(engine, tokenizer, tokens, options);
}

/** The same, in line at once: what cannot run throws here, before any event. The events must be read, or the signal be
 *  fired. */
export function startContinuation(
  engine: Engine,
  tokenizer: Pick<Tokenizer, 'decoder'>,
  tokens: ArrayLike<number>,
  options: ContinueOptions = {},
): AsyncGenerator<ContinueEvent, ContinueResult> {
  const stops = new StopStrings(options.stop ?? []);
  const decoder = tokenizer.decoder();
  const texts: string[] = []; // by index of the token
  const matcher: StopMatcher = {
    accept(token) {
      texts.push(stops.push(decoder.push(token)));
      return stops.found === null ? null : 'stop';
    },
  };
  const generation = engine.generate(tokens, { stopIds: [], ...options, stops: [matcher] });
  return tellContinuation(generation, stops, decoder, texts);
}

async function* tellContinuation(
  generation: Generation,
  stops: StopStrings,
  decoder: StreamDecoder,
  texts: readonly string[],
): AsyncGenerator<ContinueEvent, ContinueResult> {
  for await (const token of generation) yield { type: 'text', text: texts[token.index], token };
  const result = await generation.result;
  const rest = stops.found === null ? stops.push(decoder.flush()) + stops.flush() : '';
  if (rest !== '') yield { type: 'text', text: rest, token: null };
  const done: ContinueResult = { ...result, text: texts.join('') + rest, stopString: stops.found };
  yield { type: 'done', result: done };
  return done;
}
