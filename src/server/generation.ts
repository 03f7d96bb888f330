// Owns: the one way from a request of any dialect to an answer of the model. A dialect fills in an `AnswerRequest`; what
// is rendered, masked, sampled and remembered is decided here and nowhere else, so the same request gives the same tokens
// whichever door it came through.
// Refuses: to answer freely where a form was demanded: without an engine for schemas, such requests are turned away.
// Next: dialogue.ts (conversation to harmony), answer.ts (turn to answer).

import { startTurn, type TurnOptions } from '../agent/turn.ts';
import type { Constraint } from '../engine/constraint.ts';
import type { SamplingOptions } from '../engine/sampling.ts';
import { GptOssError } from '../errors.ts';
import { HeaderGrammar } from '../text/harmony/mask.ts';
import type { Conversation, FunctionDefinition, JsonSchema, ReasoningEffort } from '../text/harmony/messages.ts';
import { renderPrompt } from '../text/harmony/render.ts';
import { type OfferedTools, type ToolNames, toolNames } from '../text/harmony/tool-calls.ts';
import { type Answer, type AnswerEvent, tellAnswer } from './answer.ts';
import { harmonyMessages, type Said } from './dialogue.ts';
import { checkLength } from './length-check.ts';
import type { ServedModel } from './served-model.ts';
import { TurnMemory } from './turn-memory.ts';
import { invalid } from './wire.ts';

export interface OfferedFunction extends FunctionDefinition {
  /** Arguments have to follow the schema. */
  readonly strict: boolean;
}

export type AnswerFormat =
  | { readonly type: 'text' }
  | { readonly type: 'json' }
  | { readonly type: 'schema'; readonly name: string; readonly description?: string; readonly schema: JsonSchema };

/** `only`: of the functions offered, the client's names of those that may be called. */
export interface ToolChoice {
  readonly mode: 'none' | 'auto' | 'required';
  readonly only?: readonly string[];
}

export interface AnswerRequest {
  readonly said: readonly Said[];
  readonly functions: readonly OfferedFunction[];
  readonly toolChoice: ToolChoice;
  readonly effort?: ReasoningEffort;
  readonly format: AnswerFormat;
  readonly sampling: SamplingOptions;
  readonly stop: readonly string[];
  readonly maxTokens?: number;
  /** Most tokens of reasoning; then the model has to answer. */
  readonly reasoningBudget?: number;
  /** Which of several answers to one request. */
  readonly sample?: number;
  /** Of the HTTP request, for the log. */
  readonly id: string;
  /** Who asks: for turns in the queue, and for what is remembered. */
  readonly owner: string;
  readonly signal: AbortSignal;
}

export interface StartedAnswer {
  readonly promptTokens: number;
  readonly events: AsyncGenerator<AnswerEvent, Answer>;
}

/** What an answer has to follow, for the engine that will hold it to that. */
export interface Demand {
  readonly format: AnswerFormat;
  /** Functions whose arguments have to follow their schema, by their names in the prompt. */
  readonly functions: readonly FunctionDefinition[];
}

/** Compiles a demand into constraints for one generation; throws `invalid-request` for a schema it cannot enforce. */
export type Enforcer = (demand: Demand) => readonly Constraint[];

export interface AnswererOptions {
  /** What a request that says nothing gets. */
  readonly defaults?: { readonly temperature?: number; readonly effort?: ReasoningEffort };
  readonly enforce?: Enforcer;
  /** Told about every answer that ended. */
  readonly onAnswer?: (answer: Answer, request: AnswerRequest) => void;
}

const MAX_FUNCTIONS = 512;
const MAX_GRAMMARS = 64; // remembered

interface Prepared {
  readonly conversation: Conversation;
  readonly names: ToolNames;
  readonly tools: OfferedTools;
  readonly functions: readonly OfferedFunction[]; // as they are called in the prompt
}

export class Answerer {
  readonly model: ServedModel;
  readonly #options: AnswererOptions;
  readonly #memory = new TurnMemory();
  readonly #grammars = new Map<string, HeaderGrammar>();

  constructor(model: ServedModel, options: AnswererOptions = {}) {
    this.model = model;
    this.#options = options;
  }

  /** Puts the request in line; throws for what cannot run. The events must be read, or the signal be fired. */
  start(request: AnswerRequest): StartedAnswer {
    const { engine, encoding } = this.model;
    const prepared = this.#prepare(request);
    const constraints = this.#enforced(request, prepared);
    const grammar = this.#grammar(request, prepared);
    const { defaults = {} } = this.#options;
    const options: TurnOptions = {
      ...request.sampling,
      temperature: request.sampling.temperature ?? defaults.temperature ?? 1,
      stop: request.stop,
      ...(request.maxTokens === undefined ? {} : { maxTokens: request.maxTokens }),
      ...(request.reasoningBudget === undefined ? {} : { reasoningBudget: request.reasoningBudget }),
      sample: request.sample ?? 0,
      client: request.owner,
      signal: request.signal,
      tools: prepared.tools,
      grammar,
      constraints,
    };
    const turn = startTurn(engine, encoding, prepared.conversation, options);
    const events = tellAnswer(turn.events, prepared.names, prepared.tools);
    return { promptTokens: turn.promptTokens, events: this.#remembering(events, request) };
  }

  /** The prompt that a request would be answered from. */
  prompt(request: Pick<AnswerRequest, 'said' | 'functions' | 'effort' | 'format' | 'owner'>): number[] {
    const { conversation } = this.#prepare(request);
    return renderPrompt(this.model.encoding, conversation, { dropAnalysis: 'turns' });
  }

  async *#remembering(
    events: AsyncGenerator<AnswerEvent, Answer>,
    request: AnswerRequest,
  ): AsyncGenerator<AnswerEvent, Answer> {
    for await (const event of events) {
      if (event.type === 'done') {
        this.#memory.remember(request.owner, event.answer, event.answer.history);
        this.#options.onAnswer?.(event.answer, request);
        yield event;
        return event.answer;
      }
      yield event;
    }
    throw new GptOssError('internal', 'an answer ended without its result');
  }

  #prepare(request: Pick<AnswerRequest, 'said' | 'functions' | 'effort' | 'format' | 'owner'>): Prepared {
    const { said, functions, format, owner } = request;
    checkFunctions(functions);
    const names = toolNames(functions.map(({ name }) => name));
    const renamed = functions.map((each) => ({ ...each, name: names.toModel(each.name) }));
    const formats =
      format.type === 'schema'
        ? [{ name: format.name, description: format.description, schema: format.schema }]
        : format.type === 'json'
          ? [{ name: 'json', schema: { type: 'object' } }]
          : [];
    const messages = harmonyMessages({ said, functions: renamed, names, formats, owner }, this.#memory);
    checkLength(messages, this.model.tokenizer, this.model.engine.context);
    const effort = request.effort ?? this.#options.defaults?.effort;
    const conversation = this.model.conversation(messages, effort === undefined ? {} : { reasoning: effort });
    return { conversation, names, functions: renamed, tools: { functions: renamed.map(({ name }) => name) } };
  }

  #enforced({ format }: AnswerRequest, { functions }: Prepared): readonly Constraint[] {
    const strict = functions.filter((each) => each.strict);
    if (format.type === 'text' && strict.length === 0) return [];
    const { enforce } = this.#options;
    if (enforce !== undefined) return enforce({ format, functions: strict });
    const what = format.type === 'text' ? `the function ${strict[0]!.name} is strict` : 'the answer has to be JSON';
    throw invalid(
      `${what}, which this server cannot enforce; expected free text and functions without strict; ask for the form in words`,
      format.type === 'text' ? 'tools' : 'response_format',
      'unsupported_value',
    );
  }

  #grammar({ toolChoice, format }: AnswerRequest, { names, functions }: Prepared): HeaderGrammar {
    const { mode, only } = toolChoice;
    for (const name of only ?? []) {
      if (functions.some((each) => each.name === names.toModel(name))) continue;
      const found = `tool_choice names ${JSON.stringify(name.slice(0, 80))}, which is no function of the request`;
      throw invalid(`${found}; expected one of the tools; offer it or choose another`, 'tool_choice');
    }
    if (mode === 'required' && functions.length === 0) {
      throw invalid('tool_choice demands a call and there are no functions; expected at least one; offer it', 'tools');
    }
    const allowed = only === undefined ? functions.map(({ name }) => name) : only.map((name) => names.toModel(name));
    const recipients = mode === 'none' ? [] : allowed.map((name) => `functions.${name}`).sort();
    const options = { recipients, mustCall: mode === 'required', jsonFinal: format.type !== 'text' };
    const key = JSON.stringify(options);
    let grammar = this.#grammars.get(key);
    if (grammar === undefined) {
      grammar = new HeaderGrammar(this.model.encoding, this.model.engine.model.vocab, options);
      if (this.#grammars.size >= MAX_GRAMMARS) this.#grammars.delete(this.#grammars.keys().next().value!);
    } else this.#grammars.delete(key);
    this.#grammars.set(key, grammar);
    return grammar;
  }
}

function checkFunctions(functions: readonly OfferedFunction[]): void {
  if (functions.length > MAX_FUNCTIONS) {
    throw invalid(`there are ${functions.length} tools; expected at most ${MAX_FUNCTIONS}; offer fewer`, 'tools');
  }
  const seen = new Set<string>();
  for (const [i, { name }] of functions.entries()) {
    if (name.length === 0 || name.length > 128) {
      throw invalid(`a tool's name has ${name.length} characters; expected 1 to 128; rename it`, `tools[${i}].name`);
    }
    if (seen.has(name))
      throw invalid(`two tools are called ${name}; expected one each; rename one`, `tools[${i}].name`);
    seen.add(name);
  }
}
