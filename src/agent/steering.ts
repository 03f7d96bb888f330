// Owns: what one turn is held to: the grammar of its headers (which recipients exist, whether a call must come), the format
// of its answer and of the arguments of its calls. Arguments of a strict function follow its schema; those of any other
// function are a JSON object, so that whatever is called can be read. Reasoning and preambles stay free.
// What takes long (compiling a schema) is cut into slices, so that others have their turn in between.
// Refuses, as `invalid-request`, what cannot be kept exactly. Next: text/harmony/mask.ts, text/schema/output-format.ts.

import type { Constraint } from '../engine/constraint.ts';
import { abortedError } from '../engine/generation.ts';
import { nextTask } from '../engine/next-task.ts';
import { GptOssError, isGptOssError } from '../errors.ts';
import type { HarmonyEncoding } from '../text/harmony/encoding.ts';
import { type ContentConstraints, HeaderGrammar } from '../text/harmony/mask.ts';
import type { FunctionDefinition, ResponseFormat } from '../text/harmony/messages.ts';
import {
  type CompiledFormat,
  contentConstraints,
  FormatCache,
  type OutputFormat,
} from '../text/schema/output-format.ts';
import type { Vocabulary } from '../text/vocabulary.ts';

export interface SteeredFunction extends FunctionDefinition {
  /** Arguments have to follow the schema. Default: any JSON object. */
  readonly strict?: boolean;
}

/** `only`: of the functions offered, those that may be called. */
export interface ToolChoice {
  readonly mode: 'none' | 'auto' | 'required';
  readonly only?: readonly string[];
}

export interface SteeringWish {
  /** By their names in the prompt. */
  readonly functions?: readonly SteeredFunction[];
  /** Recipients besides functions: `python`, `browser.search`. */
  readonly recipients?: readonly string[];
  readonly toolChoice?: ToolChoice;
  /** Of the answer; null: free text. */
  readonly format?: OutputFormat | null;
  readonly signal?: AbortSignal;
}

/** As `TurnOptions` takes it. */
export interface Steering {
  readonly grammar: HeaderGrammar;
  readonly content?: ContentConstraints;
}

const MAX_GRAMMARS = 64; // remembered
const MAX_STRICT = 128; // functions of one request
const SLICE_MS = 10;

export class Steerer {
  readonly #encoding: HarmonyEncoding;
  readonly #rows: number;
  readonly #formats: FormatCache;
  readonly #grammars = new Map<string, HeaderGrammar>(); // last used last
  #prepared: Promise<void> | null = null;

  /** `rows`: ids that the model can sample. */
  constructor(encoding: HarmonyEncoding, vocabulary: Vocabulary, rows: number) {
    this.#encoding = encoding;
    this.#rows = rows;
    this.#formats = new FormatCache(vocabulary);
  }

  /** Builds what all formats share, so that no request waits for it. */
  prepare(): Promise<void> {
    this.#prepared ??= inSlices(this.#formats.preparing(), undefined);
    return this.#prepared;
  }

  /** Holds a whole generation to a format, without harmony around it. `end`: the token that ends it. */
  async text(format: OutputFormat, end: number, signal?: AbortSignal): Promise<() => Constraint> {
    await this.prepare();
    const compiled = await this.#compiled(format, null, signal);
    return () => {
      const constraint = compiled.constraint(end);
      return {
        allowed: () => {
          const tokens = constraint.allowed();
          return tokens.kind === 'bits' ? tokens : { kind: 'only', ids: Int32Array.from(tokens.ids) };
        },
        accept: (id) => void constraint.push(id),
      };
    };
  }

  /** Throws `invalid-request`; of a format or a schema, `details` has keyword and path, and `function` or null. */
  async steer(wish: SteeringWish): Promise<Steering> {
    const { functions = [], recipients = [], toolChoice: { mode, only } = { mode: 'auto' }, format = null } = wish;
    const callable = mode === 'none' ? [] : functions.filter(({ name }) => only === undefined || only.includes(name));
    const others = mode === 'none' || only !== undefined ? [] : recipients;
    const grammar = this.#grammar({
      recipients: [...callable.map(({ name }) => `functions.${name}`), ...others].sort(),
      mustCall: mode === 'required',
      jsonFinal: format?.kind === 'json-schema' || format?.kind === 'json-object',
      // A format is one of the whole answer, and clients show preambles as a part of it.
      ...(format === null ? {} : { preambles: false }),
    });
    if (format === null && functions.length === 0) return { grammar };
    return { grammar, content: await this.#content(functions, callable, format, wish.signal) };
  }

  /** Schemas of functions are compiled even where they may not be called now: a wrong one is said at once. */
  async #content(
    functions: readonly SteeredFunction[],
    callable: readonly SteeredFunction[],
    format: OutputFormat | null,
    signal: AbortSignal | undefined,
  ): Promise<ContentConstraints> {
    const strict = functions.filter((each) => each.strict === true);
    if (strict.length > MAX_STRICT) {
      const found = `${strict.length} functions are strict`;
      throw new GptOssError('invalid-request', `${found}; expected at most ${MAX_STRICT}; offer fewer`, {
        details: { function: strict[MAX_STRICT]!.name },
      });
    }
    await this.prepare();
    const final = format === null ? null : await this.#compiled(format, null, signal);
    const byName = new Map<string, CompiledFormat>();
    for (const { name, parameters } of strict) {
      // Nothing said means no arguments.
      const schema = parameters ?? { type: 'object', properties: {}, additionalProperties: false };
      byName.set(name, await this.#compiled({ kind: 'json-schema', schema }, name, signal));
    }
    const calls = new Map<string, CompiledFormat>();
    if (callable.length > 0) {
      const anyObject = await this.#compiled({ kind: 'json-object' }, null, signal);
      for (const { name } of callable) calls.set(`functions.${name}`, byName.get(name) ?? anyObject);
    }
    return contentConstraints(final, calls);
  }

  async #compiled(format: OutputFormat, name: string | null, signal: AbortSignal | undefined): Promise<CompiledFormat> {
    try {
      return await inSlices(this.#formats.getting(format), signal);
    } catch (error) {
      if (!isGptOssError(error, 'invalid-request')) throw error;
      const where = name === null ? '' : `in the parameters of ${name}, `;
      throw new GptOssError('invalid-request', `${where}${error.message}`, {
        cause: error,
        details: { ...error.details, function: name },
      });
    }
  }

  #grammar(options: {
    readonly recipients: readonly string[];
    readonly mustCall: boolean;
    readonly jsonFinal: boolean;
    readonly preambles?: boolean;
  }): HeaderGrammar {
    const key = JSON.stringify(options);
    let grammar = this.#grammars.get(key);
    if (grammar === undefined) {
      grammar = new HeaderGrammar(this.#encoding, this.#rows, options);
      if (this.#grammars.size >= MAX_GRAMMARS) this.#grammars.delete(this.#grammars.keys().next().value!);
    } else this.#grammars.delete(key);
    this.#grammars.set(key, grammar);
    return grammar;
  }
}

/** What the prompt says of a format; nothing of those that the model was not trained with. */
export function responseFormats(
  format: OutputFormat | null | undefined,
  { name = 'answer', description }: { readonly name?: string; readonly description?: string } = {},
): readonly ResponseFormat[] {
  if (format?.kind === 'json-object') return [{ name: 'json', schema: { type: 'object' } }];
  if (format?.kind !== 'json-schema') return [];
  return [{ name, ...(description === undefined ? {} : { description }), schema: format.schema }];
}

/** Runs steps to their end; others have their turn whenever some milliseconds have passed. */
async function inSlices<T>(steps: Generator<void, T>, signal: AbortSignal | undefined): Promise<T> {
  let began = performance.now();
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    if (performance.now() - began < SLICE_MS) continue;
    await nextTask();
    if (signal?.aborted === true) throw abortedError();
    began = performance.now();
  }
}
