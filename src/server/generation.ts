// Owns: the one way from a request of any dialect to an answer of the model. A dialect fills in an `AnswerRequest`; what
// is rendered, masked, sampled and remembered is decided here and nowhere else, so the same request gives the same tokens
// whichever door it came through.
// Refuses: to answer freely where a form was demanded: one that cannot be kept is turned away before anything runs.
// Next: dialogue.ts (conversation to harmony), agent/steering.ts (what it is held to), answer.ts (turn to answer).

import { type AgentOptions, startAgent } from '../agent/agent.ts';
import { Permissions } from '../agent/permission.ts';
import { responseFormats, type SteeredFunction, Steerer, type Steering, type ToolChoice } from '../agent/steering.ts';
import type { SamplingOptions } from '../engine/sampling.ts';
import { GptOssError, isGptOssError } from '../errors.ts';
import type { Conversation, ReasoningEffort } from '../text/harmony/messages.ts';
import { renderPrompt } from '../text/harmony/render.ts';
import { type OfferedTools, type ToolNames, toolNames } from '../text/harmony/tool-calls.ts';
import { type Answer, type AnswerEvent, tellAnswer } from './answer.ts';
import type { AnswerFormat } from './answer-formats.ts';
import { harmonyMessages, type Said } from './dialogue.ts';
import type { HostedTools } from './hosted-tools.ts';
import { checkLength } from './length-check.ts';
import type { ServedModel } from './served-model.ts';
import { type ToolLease, type ToolSessionNames, type ToolSessionOptions, ToolSessions } from './tool-sessions.ts';
import { TurnMemory } from './turn-memory.ts';
import { invalid } from './wire.ts';

export type OfferedFunction = SteeredFunction;

export interface AnswerRequest {
  readonly said: readonly Said[];
  readonly functions: readonly OfferedFunction[];
  /** By the client's names. */
  readonly toolChoice: ToolChoice;
  readonly effort?: ReasoningEffort;
  /** Null: text. */
  readonly format: AnswerFormat | null;
  readonly sampling: SamplingOptions;
  readonly stop: readonly string[];
  readonly maxTokens?: number;
  /** Most tokens of reasoning; then the model has to answer. */
  readonly reasoningBudget?: number;
  /** Names of tools that the server is to run while it answers, as in `--tools`; others are left out. */
  readonly hosted?: readonly string[];
  /** Whose state those tools go on with. Default: nobody's, and they forget. */
  readonly session?: ToolSessionNames;
  /** Of the HTTP request, for the log. */
  readonly id: string;
  /** Who asks: for turns in the queue, and for what is remembered. */
  readonly owner: string;
  readonly signal: AbortSignal;
}

export interface StartedAnswer {
  readonly promptTokens: number;
  /** Of the tools that run here. */
  readonly containerId: string;
  readonly events: AsyncGenerator<AnswerEvent, Answer>;
}

/** A request whose forms are compiled. */
export interface ReadyAnswer {
  /** Puts it in line; throws for what cannot run. The events must be read, or the signal be fired. `sample`: which of
   *  several answers to one request. */
  start(sample?: number, signal?: AbortSignal): StartedAnswer;
}

export interface AnswererOptions {
  /** What a request that says nothing gets. */
  readonly defaults?: { readonly temperature?: number; readonly effort?: ReasoningEffort };
  /** Tools that run here. */
  readonly hosted?: HostedTools | null;
  readonly sessions?: ToolSessionOptions;
  /** Told about every answer that ended. */
  readonly onAnswer?: (answer: Answer, request: AnswerRequest) => void;
}

type ToolWish = Pick<AnswerRequest, 'owner'> & Partial<Pick<AnswerRequest, 'hosted' | 'toolChoice' | 'session'>>;

const MAX_FUNCTIONS = 512;

interface Prepared {
  readonly conversation: Conversation;
  readonly names: ToolNames;
  readonly tools: OfferedTools;
  /** Of tools that run here. */
  readonly recipients: readonly string[];
  readonly functions: readonly OfferedFunction[]; // as they are called in the prompt
}

export class Answerer {
  readonly model: ServedModel;
  readonly #options: AnswererOptions;
  readonly #memory = new TurnMemory();
  /** Of conversations that come back. */
  readonly sessions: ToolSessions;
  /** Holds answers to what was asked; its `prepare` may run before the first request. */
  readonly steerer: Steerer;

  constructor(model: ServedModel, options: AnswererOptions = {}) {
    this.model = model;
    this.#options = options;
    const hosted = options.hosted ?? { names: [], permissions: new Permissions(), audit: () => {}, open: () => [] };
    const { tokenizer } = model;
    this.sessions = new ToolSessions(hosted, (text) => tokenizer.encode(text).length, options.sessions);
    this.steerer = new Steerer(model.encoding, model.tokenizer.vocabulary, model.engine.model.vocab);
  }

  /** Reads the request and compiles its forms; throws for what is wrong with them. */
  async ready(request: AnswerRequest): Promise<ReadyAnswer> {
    const prepared = this.#prepare(request);
    const steering = await this.#steering(request, prepared);
    return { start: (sample = 0, signal = request.signal) => this.#start(request, prepared, steering, sample, signal) };
  }

  #start(
    request: AnswerRequest,
    prepared: Prepared,
    steering: Steering,
    sample: number,
    signal: AbortSignal,
  ): StartedAnswer {
    const { engine, encoding } = this.model;
    const { defaults = {} } = this.#options;
    const { hosted } = this.#options;
    const lease = this.#lease(request);
    const { toolbox, containerId } = lease;
    const hasForm = request.format !== null;
    const options: AgentOptions = {
      ...request.sampling,
      temperature: request.sampling.temperature ?? defaults.temperature ?? 1,
      stop: request.stop,
      ...(request.maxTokens === undefined ? {} : { maxTokens: request.maxTokens }),
      ...(request.reasoningBudget === undefined ? {} : { reasoningBudget: request.reasoningBudget }),
      sample,
      client: request.owner,
      signal,
      functions: prepared.functions.map(({ name }) => name),
      ...{ toolbox, hasForm },
      ...(hosted == null ? {} : { permissions: hosted.permissions, audit: hosted.audit }),
      ...steering,
    };
    try {
      const turn = startAgent(engine, encoding, prepared.conversation, options);
      const events = tellAnswer(turn.events, prepared.names, prepared.tools, lease, hasForm);
      return { promptTokens: turn.promptTokens, containerId, events: this.#remembering(events, request, lease) };
    } catch (error) {
      void lease.release();
      throw error;
    }
  }

  /** The prompt that a request would be answered from. */
  prompt(
    request: Pick<AnswerRequest, 'said' | 'functions' | 'effort' | 'format' | 'owner'> &
      Partial<Pick<AnswerRequest, 'hosted' | 'toolChoice'>>,
  ): number[] {
    const { conversation } = this.#prepare(request);
    return renderPrompt(this.model.encoding, conversation, { dropAnalysis: 'turns' });
  }

  async *#remembering(
    events: AsyncGenerator<AnswerEvent, Answer>,
    request: AnswerRequest,
    lease: ToolLease,
  ): AsyncGenerator<AnswerEvent, Answer> {
    try {
      for await (const event of events) {
        if (event.type === 'done') {
          this.#memory.remember(request.owner, event.answer, event.answer.history);
          this.#options.onAnswer?.(event.answer, request);
          yield event;
          return event.answer;
        }
        yield event;
      }
    } finally {
      await lease.release();
    }
    throw new GptOssError('internal', 'an answer ended without its result');
  }

  /** Tools that run here for one answer. Nothing is started before a call. */
  #lease({ hosted = [], toolChoice, session, owner }: ToolWish): ToolLease {
    const names = toolChoice?.mode === 'none' || toolChoice?.only !== undefined ? [] : hosted;
    return this.sessions.lease(owner, names, session ?? { after: [], as: [] });
  }

  #prepare(
    request: Pick<AnswerRequest, 'said' | 'functions' | 'effort' | 'format' | 'owner'> &
      Partial<Pick<AnswerRequest, 'hosted' | 'toolChoice'>>,
  ): Prepared {
    const { said, functions, format, owner } = request;
    const lease = this.#lease({ ...request, session: undefined });
    const own = lease.toolbox;
    checkFunctions(functions);
    const names = toolNames(functions.map(({ name }) => name));
    const renamed = functions.map((each) => ({ ...each, name: names.toModel(each.name) }));
    const formats = responseFormats(format?.format, format ?? {});
    const messages = harmonyMessages(
      { said, functions: [...renamed, ...own.functions], names, formats, owner },
      this.#memory,
    );
    checkLength(messages, this.model.tokenizer, this.model.engine.context);
    const effort = request.effort ?? this.#options.defaults?.effort;
    const conversation = this.model.conversation(messages, {
      ...(effort === undefined ? {} : { reasoning: effort }),
      ...(own.builtins.length === 0 ? {} : { builtins: own.builtins }),
    });
    const recipients = own.tools.map(({ recipient }) => recipient);
    const tools = own.offered(renamed.map(({ name }) => name));
    void lease.release();
    return { conversation, names, functions: renamed, tools, recipients };
  }

  async #steering(request: AnswerRequest, { names, functions, recipients }: Prepared): Promise<Steering> {
    const { format, signal } = request;
    const { mode, only } = request.toolChoice;
    for (const name of only ?? []) {
      if (functions.some((each) => each.name === names.toModel(name))) continue;
      const found = `tool_choice names ${JSON.stringify(name.slice(0, 80))}, which is no function of the request`;
      throw invalid(`${found}; expected one of the tools; offer it or choose another`, 'tool_choice');
    }
    if (mode === 'required' && (only ?? functions).length === 0) {
      throw invalid('tool_choice demands a call and there are no functions; expected at least one; offer it', 'tools');
    }
    const toolChoice = { mode, ...(only === undefined ? {} : { only: only.map((name) => names.toModel(name)) }) };
    try {
      return await this.steerer.steer({ functions, recipients, toolChoice, format: format?.format ?? null, signal });
    } catch (error) {
      const name = isGptOssError(error, 'invalid-request') ? error.details?.['function'] : undefined;
      if (!isGptOssError(error, 'invalid-request') || name === undefined) throw error;
      const place = functions.findIndex((each) => each.name === name);
      const parameter = place < 0 ? (format?.field ?? null) : `tools[${place}]`;
      throw new GptOssError('invalid-request', error.message, {
        cause: error,
        details: { parameter, code: place < 0 ? 'invalid_json_schema' : 'invalid_function_parameters' },
      });
    }
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
