// Owns: an opened model as users of the library see it: chat, complete, score, and the tokens behind them. Puts engine,
// tokenizer and harmony together and chooses the system message that the model was trained with.
// Refuses: files, native code and the environment (open.node.ts has the first two). Runs in a browser.

import { type AgentEvent, type AgentOptions, type AgentResult, runAgent } from './agent/agent.ts';
import { type ContinueEvent, type ContinueOptions, type ContinueResult, continueTokens } from './agent/continuation.ts';
import { responseFormats, type SteeredFunction, Steerer, type ToolChoice } from './agent/steering.ts';
import { Toolbox, type ToolSource } from './agent/tool.ts';
import type { Backend, PopulateOptions } from './backend/backend.ts';
import { Engine } from './engine/engine.ts';
import type { EngineOptions } from './engine/engine-options.ts';
import type { ScoreOptions, ScoreResult } from './engine/scoring.ts';
import { GptOssError } from './errors.ts';
import type { Checkpoint } from './formats/checkpoint.ts';
import type { ModelConfig } from './formats/config.ts';
import type { Model } from './model/load.ts';
import { type BuiltinTool, builtinTool } from './text/harmony/builtin-tools.ts';
import { modelIdentity } from './text/harmony/chat-template.ts';
import { HarmonyEncoding } from './text/harmony/encoding.ts';
import type {
  Conversation,
  DeveloperContent,
  Message,
  ReasoningEffort,
  SystemContent,
  ToolNamespace,
} from './text/harmony/messages.ts';
import type { OutputFormat } from './text/schema/output-format.ts';
import type { Tokenizer } from './text/tokenizer.ts';

export interface ConversationOptions {
  /** How long the model thinks. Default medium. */
  readonly reasoning?: ReasoningEffort;
  /** First line of the system message. Default: the one the model was trained with; null: none. */
  readonly identity?: string | null;
  /** YYYY-MM-DD. Default: today, for models that were trained with a date; null: none. */
  readonly date?: string | null;
  /** Functions that the model may call and you run: it then ends its turn with `tool_calls`. Arguments are JSON objects,
   *  those of `strict` functions follow their schema. */
  readonly functions?: readonly SteeredFunction[];
  /** Built-in tools to declare as the model was trained to see them. */
  readonly builtins?: readonly BuiltinTool[];
  /** What the answer is held to while it is sampled: a JSON Schema, any JSON object, a regular expression, choices. */
  readonly format?: OutputFormat;
}

export interface ChatOptions extends ConversationOptions, Omit<AgentOptions, 'toolbox' | 'functions'> {
  /** Tools that are run here, as often as the model calls them, until it has an answer. */
  readonly tools?: readonly ToolSource[];
  /** Whether it may, must or must not call, and which of the functions; where tools run here, `required` speaks of the first
   *  step. Default: it may call any. */
  readonly toolChoice?: ToolChoice;
}

/** What may stand in a conversation: harmony's messages, of which a `system` or `developer` message whose content is a
 *  plain string means instructions, as in other chat interfaces. */
export type ChatMessage = Message;

export interface OpenedParts {
  readonly checkpoint: Checkpoint;
  readonly tokenizer: Tokenizer;
  readonly model: Model;
  readonly engine?: EngineOptions;
  /** Things the user should know about how the model was opened, e.g. why no native code runs. */
  readonly notices?: readonly string[];
  readonly loadMs?: number;
}

export class OpenedModel {
  readonly name: string;
  readonly config: ModelConfig;
  readonly tokenizer: Tokenizer;
  readonly encoding: HarmonyEncoding;
  readonly engine: Engine;
  readonly checkpoint: Checkpoint;
  /** Backend, ISA variant, threads. */
  readonly description: string;
  readonly notices: readonly string[];
  readonly loadMs: number;
  readonly #backend: Backend;
  #steerer: Steerer | null = null;

  constructor(parts: OpenedParts) {
    const { checkpoint, tokenizer, model } = parts;
    if (tokenizer.vocabSize > model.vocab) {
      throw new GptOssError(
        'bad-tokenizer',
        `the tokenizer has ${tokenizer.vocabSize} tokens, the model ${model.vocab}; expected no more; use the model's own tokenizer`,
      );
    }
    this.checkpoint = checkpoint;
    this.#backend = model.backend;
    this.name = checkpoint.name;
    this.config = model.config;
    this.tokenizer = tokenizer;
    this.encoding = new HarmonyEncoding(tokenizer);
    this.engine = new Engine(model, { stopIds: checkpoint.stopIds, ...parts.engine });
    this.description = `${model.backend.name}: ${model.backend.description}`;
    this.notices = parts.notices ?? [];
    this.loadMs = parts.loadMs ?? 0;
  }

  /**
   * Answers a conversation: events as they come, `done` with the whole at the end.
   *
   *     for await (const event of model.chat([{ role: 'user', content: 'What is 412 + 509?' }])) {
   *       if (event.type === 'text') process.stdout.write(event.text);
   *     }
   */
  async *chat(messages: readonly ChatMessage[], options: ChatOptions = {}): AsyncGenerator<AgentEvent, AgentResult> {
    const { tools = [], functions, builtins = [], ...rest } = options;
    const toolbox = new Toolbox(tools);
    const conversation = this.conversation(messages, {
      ...options,
      functions: [...(functions ?? []), ...toolbox.functions],
      builtins: [...builtins, ...toolbox.builtins],
    });
    const names = functions === undefined ? {} : { functions: functions.map(({ name }) => name) };
    const steering = await this.#steering(options, toolbox);
    const turn = { ...steering, ...rest, ...names, toolbox };
    return yield* runAgent(this.engine, this.encoding, conversation, turn);
  }

  /** The conversation as it is rendered: with the system message of this model, and instructions in their place. */
  conversation(messages: readonly ChatMessage[], options: ConversationOptions = {}): Conversation {
    const instructions: string[] = [];
    const rest: Message[] = [];
    let hasSystem = false;
    for (const message of messages) {
      const isPlain = typeof message.content === 'string' && message.ids === undefined;
      if (isPlain && (message.role === 'system' || message.role === 'developer'))
        instructions.push(message.content as string);
      else rest.push(message);
      hasSystem ||= !isPlain && message.role === 'system';
    }
    const { functions = [] } = options;
    const formats = responseFormats(options.format);
    const developer: DeveloperContent = {
      type: 'developer',
      instructions: instructions.length > 0 ? instructions.join('\n\n') : null,
      functions,
      ...(formats.length > 0 ? { responseFormats: formats } : {}),
    };
    const hasDeveloper = instructions.length > 0 || functions.length > 0 || formats.length > 0;
    return {
      messages: [
        ...(hasSystem ? [] : [{ role: 'system', content: [this.#systemContent(options)] } as const]),
        ...(hasDeveloper ? [{ role: 'developer', content: [developer] } as const] : []),
        ...rest,
      ],
    };
  }

  /** Goes on from text (special tokens by name) or ids, as they are. */
  complete(
    prompt: string | ArrayLike<number>,
    options: ContinueOptions = {},
  ): AsyncGenerator<ContinueEvent, ContinueResult> {
    const tokens = typeof prompt === 'string' ? this.tokenizer.encodeWithSpecials(prompt) : prompt;
    return continueTokens(this.engine, this.tokenizer, tokens, options);
  }

  /** How likely the model finds these tokens, or this text. */
  score(text: string | ArrayLike<number>, options: ScoreOptions = {}): Promise<ScoreResult> {
    return this.engine.score(typeof text === 'string' ? this.tokenizer.encode(text) : text, options);
  }

  /** Bytes of model files that are used where they lie, page by page as they are needed; 0 where weights were copied. */
  get mappedBytes(): number {
    return this.#backend.mappedBytes ?? 0;
  }

  /** Brings these files into memory now, faster than steps would that wait for single pages. Of use where they fit. */
  async populate(options: PopulateOptions = {}): Promise<void> {
    await this.#backend.populate?.(options);
  }

  /** Aborts what runs, then frees everything. */
  async close(): Promise<void> {
    await this.engine.close();
    this.checkpoint.close();
  }

  /** Nothing where nothing is asked for, or the caller has a grammar of its own. */
  async #steering(
    { functions, toolChoice, format, grammar, signal }: ChatOptions,
    toolbox: Toolbox,
  ): Promise<Pick<AgentOptions, 'grammar' | 'laterGrammar' | 'content'>> {
    const isAsked = functions !== undefined || toolChoice !== undefined || format !== undefined;
    if (!isAsked || grammar !== undefined) return {};
    this.#steerer ??= new Steerer(this.encoding, this.tokenizer.vocabulary, this.engine.model.vocab);
    const wish = {
      functions: [...(functions ?? []), ...toolbox.functions],
      recipients: toolbox.offered().builtins ?? [],
      ...{ format, signal },
    };
    const first = await this.#steerer.steer({ ...wish, toolChoice });
    if (toolbox.isEmpty || toolChoice?.mode !== 'required') return first;
    const { grammar: laterGrammar, content } = await this.#steerer.steer(wish);
    return { ...first, laterGrammar, content };
  }

  #systemContent(options: ConversationOptions): SystemContent {
    const { chatTemplate, chatNotes } = this.checkpoint;
    const { builtins = [] } = options;
    const trained = chatTemplate === null ? null : modelIdentity(chatTemplate);
    const usesDate = trained === null || trained.usesDate;
    return {
      type: 'system',
      ...(trained === null ? {} : { identity: trained.identity, knowledgeCutoff: trained.knowledgeCutoff }),
      ...(options.identity === undefined ? {} : { identity: options.identity }),
      currentDate: options.date !== undefined ? options.date : usesDate ? new Date().toISOString().slice(0, 10) : null,
      effort: options.reasoning ?? 'medium',
      ...(builtins.length === 0 ? {} : { tools: builtins.map((name) => this.#builtin(name, chatTemplate, chatNotes)) }),
    };
  }

  #builtin(name: BuiltinTool, template: string | null, notes: string | null): ToolNamespace {
    return builtinTool(name, { template, notes }).namespace;
  }
}
