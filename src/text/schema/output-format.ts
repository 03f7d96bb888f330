// What an answer may be held to (a JSON Schema, any JSON object, a regular expression, one of some texts), compiled for a
// vocabulary, and the state of one answer under it. This is what servers and agents use of this folder.
// A format is compiled once and shared; a constraint belongs to one stretch of one sequence. Refuses, as `invalid-request`
// naming keyword and place, whatever cannot be kept exactly. How it meets the harmony format: ../harmony/mask.ts.

import { GptOssError } from '../../errors.ts';
import type { ContentConstraint, ContentConstraints } from '../harmony/mask.ts';
import { tokenTrie } from '../token-trie.ts';
import type { Vocabulary } from '../vocabulary.ts';
import { DfaTexts } from './char-automata.ts';
import { freeTexts } from './free-texts.ts';
import { Grammar, type Place } from './grammar.ts';
import { LiteralMachine } from './literal-machine.ts';
import type { ScalarMachine } from './machine.ts';
import { type AllowedTokens, TokenMasks } from './masks.ts';
import { PatternProblem } from './pattern.ts';
import { patternDfa } from './pattern-dfa.ts';
import { compilingSchema, type SchemaOptions } from './schema-compiler.ts';
import { TextMachine } from './text-machine.ts';
import { finish, TooComplex, WorkLimit } from './work-limit.ts';

export type OutputFormat =
  | ({ readonly kind: 'json-schema'; readonly schema: unknown } & SchemaOptions)
  | { readonly kind: 'json-object' }
  /** The whole text matches. */
  | { readonly kind: 'regex'; readonly pattern: string }
  | { readonly kind: 'choice'; readonly choices: readonly string[] };

const mostChoiceBytes = 1 << 20;
const longestKey = 1 << 18; // larger formats take much memory and are not kept

/** Compiles a format; throws `invalid-request` for one that cannot be kept exactly. */
export function compileFormat(format: OutputFormat, vocabulary: Vocabulary): CompiledFormat {
  return finish(compilingFormat(format, vocabulary));
}

/** The same in steps: between two of them others may have their turn. */
export function* compilingFormat(format: OutputFormat, vocabulary: Vocabulary): Generator<void, CompiledFormat> {
  const grammar = yield* compilingGrammar(format);
  yield;
  const compiled = new CompiledFormat(grammar, vocabulary);
  yield* compiled.masks.preparing();
  return compiled;
}

export function grammarOf(format: OutputFormat): Grammar {
  return finish(compilingGrammar(format));
}

function* compilingGrammar(format: OutputFormat): Generator<void, Grammar> {
  switch (format.kind) {
    case 'json-schema':
      return yield* compilingSchema(format.schema, format);
    case 'json-object':
      return yield* compilingSchema({ type: 'object' });
    case 'regex':
      return yield* ofMachine(yield* regexMachine(format.pattern));
    case 'choice':
      return yield* ofMachine(yield* choiceMachine(format.choices));
  }
}

function ofMachine(machine: ScalarMachine): Generator<void, Grammar> {
  return Grammar.making([machine], [[0]], 0, [0]);
}

function* regexMachine(pattern: string): Generator<void, ScalarMachine> {
  const refuse = (what: string): GptOssError =>
    new GptOssError(
      'invalid-request',
      `the regular expression ${what}; expected ECMA-262 with flag u, without lookaround and back references; see docs/structured-output.md`,
      { details: { keyword: 'pattern', path: '' } },
    );
  try {
    const dfa = yield* patternDfa(pattern, true, new WorkLimit());
    if (dfa === null) throw refuse('matches no text at all');
    return new TextMachine(new DfaTexts(dfa), 'plain');
  } catch (error) {
    if (error instanceof PatternProblem || error instanceof TooComplex) throw refuse(error.message);
    throw error;
  }
}

function* choiceMachine(choices: readonly string[]): Generator<void, ScalarMachine> {
  const refuse = (what: string): GptOssError =>
    new GptOssError('invalid-request', `the list of choices ${what}; expected texts; change the list`, {
      details: { keyword: 'choice', path: '' },
    });
  if (choices.length === 0) throw refuse('is empty');
  const utf8 = new TextEncoder();
  let length = 0;
  const literals: Uint8Array[] = [];
  for (const choice of choices) {
    if (literals.length % 1_000 === 999) yield;
    if (/\p{Surrogate}/u.test(choice)) throw refuse('has half a surrogate pair');
    const literal = utf8.encode(choice);
    length += literal.length;
    if (length > mostChoiceBytes) throw refuse(`comes to more than ${mostChoiceBytes} bytes`);
    literals.push(literal);
  }
  return yield* LiteralMachine.making(literals);
}

export class CompiledFormat {
  readonly grammar: Grammar;
  readonly masks: TokenMasks;
  readonly #vocabulary: Vocabulary;

  constructor(grammar: Grammar, vocabulary: Vocabulary) {
    this.grammar = grammar;
    this.masks = new TokenMasks(grammar, vocabulary);
    this.#vocabulary = vocabulary;
  }

  /** A constraint for one text. `end`: the token that may come where the text is complete, or -1 for none. */
  constraint(end: number): FormatConstraint {
    return new FormatConstraint(this, this.#vocabulary, end);
  }

  /** Whether a whole text is allowed. */
  accepts(text: string): boolean {
    let place: Place | null = this.grammar.start;
    for (const byte of new TextEncoder().encode(text)) {
      place = place === null ? null : this.grammar.step(place, byte);
    }
    return place?.mayEnd ?? false;
  }
}

/** The state of one text. */
export class FormatConstraint implements ContentConstraint {
  readonly #format: CompiledFormat;
  readonly #vocabulary: Vocabulary;
  readonly #end: number;
  #place: Place;

  constructor(format: CompiledFormat, vocabulary: Vocabulary, end: number) {
    this.#format = format;
    this.#vocabulary = vocabulary;
    this.#end = end;
    this.#place = format.grammar.start;
  }

  /** Whether the text may end here. */
  get mayEnd(): boolean {
    return this.#place.mayEnd;
  }

  allowed(): AllowedTokens {
    return this.#format.masks.allowed(this.#place, this.#end);
  }

  push(id: number): boolean {
    const { grammar } = this.#format;
    const { bytes, starts, size } = this.#vocabulary;
    if (!(id >= 0 && id < size) || starts[id] === starts[id + 1]) return false;
    let place = this.#place;
    for (let at = starts[id]; at < starts[id + 1]; at++) {
      const next = grammar.step(place, bytes[at]);
      if (next === null) return false;
      place = next;
    }
    this.#place = place;
    grammar.tidy();
    return true;
  }
}

/** Formats for the final message and for calls by recipient (`functions.NAME`), as a harmony mask takes them. */
export function contentConstraints(
  final: CompiledFormat | null,
  calls: ReadonlyMap<string, CompiledFormat> = new Map(),
): ContentConstraints {
  return ({ kind, recipient }, end) => {
    const format = kind === 'final' ? final : calls.get(recipient ?? '');
    return format?.constraint(end) ?? null;
  };
}

/** Compiled formats by their text, so that requests that repeat a schema share its masks. The least used are dropped when
 *  there are too many of them, or their masks take too much memory. */
export class FormatCache {
  readonly #vocabulary: Vocabulary;
  readonly #most: number;
  readonly #mostBytes: number;
  readonly #formats = new Map<string, CompiledFormat>(); // last used last

  constructor(vocabulary: Vocabulary, most = 64, mostBytes = 128 << 20) {
    this.#vocabulary = vocabulary;
    this.#most = most;
    this.#mostBytes = mostBytes;
  }

  /** Builds what all formats share, in steps, so that the first request does not wait for it. */
  *preparing(): Generator<void, void> {
    tokenTrie(this.#vocabulary);
    yield;
    freeTexts(this.#vocabulary);
  }

  get(format: OutputFormat): CompiledFormat {
    return finish(this.getting(format));
  }

  /** The same in steps. */
  *getting(format: OutputFormat): Generator<void, CompiledFormat> {
    const key = keyOf(format);
    yield;
    const compiled = this.#formats.get(key) ?? (yield* compilingFormat(format, this.#vocabulary));
    if (key.length > longestKey) return compiled;
    this.#formats.delete(key);
    this.#formats.set(key, compiled);
    let bytes = 0;
    for (const { masks } of this.#formats.values()) bytes += masks.bytes;
    for (const [oldest, { masks }] of this.#formats) {
      const isFull = this.#formats.size > this.#most || bytes > this.#mostBytes;
      if (!isFull || oldest === key) break;
      this.#formats.delete(oldest);
      bytes -= masks.bytes;
    }
    return compiled;
  }
}

function keyOf(format: OutputFormat): string {
  try {
    return JSON.stringify(format);
  } catch (error) {
    throw new GptOssError(
      'invalid-request',
      'the format of the answer is no JSON, or nests too deep to be read; expected plain values; simplify it',
      { cause: error, details: { keyword: 'schema', path: '' } },
    );
  }
}
