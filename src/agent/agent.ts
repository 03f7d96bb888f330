// Owns: a turn with tools. Render, generate, read, run the calls, append their results, again, until the model is final
// or a limit is reached. Each step's prompt is the last one's, its answer and the results, token for token, so only what
// is new is read. Reasoning stays within the loop; the next turn leaves it out (render.ts, `turns`).
// Every way it can end is an answer: at a limit the model is asked for one without tools, and a notice is added.
// Refuses: to throw for anything a model or a tool does. Calls of functions that somebody else runs end the turn.
// Next: tool-run.ts (one call), turn.ts (one step).

import type { Engine } from '../engine/engine.ts';
import { isGptOssError } from '../errors.ts';
import type { HarmonyEncoding } from '../text/harmony/encoding.ts';
import type { HeaderGrammar } from '../text/harmony/mask.ts';
import type { Conversation, Message } from '../text/harmony/messages.ts';
import { keptMessages } from '../text/harmony/render.ts';
import type { ToolCall } from '../text/harmony/tool-calls.ts';
import type { Audit } from './audit.ts';
import { type Citation, CitationText } from './citations.ts';
import { Permissions } from './permission.ts';
import { Toolbox, type ToolOutput, toolError } from './tool.ts';
import { fitted, resultMessage } from './tool-message.ts';
import { runTool } from './tool-run.ts';
import { type StartedTurn, startTurn, type TurnEvent, type TurnOptions, type TurnResult } from './turn.ts';

export interface AgentLimits {
  /** Calls of tools in one turn; default 32. */
  readonly calls?: number;
  /** Tokens generated in all steps together; default: as many as fit. */
  readonly tokens?: number;
  /** Seconds for the whole turn; default: no limit. */
  readonly seconds?: number;
  /** Tokens of one result; longer ones lose their middle. Default: half of the context. */
  readonly resultTokens?: number;
}

export type LimitName = 'calls' | 'tokens' | 'seconds' | 'context';

export interface AgentOptions extends Omit<TurnOptions, 'tools'> {
  readonly toolbox?: Toolbox;
  /** Names of declared functions that somebody else runs: a call of one ends the turn. */
  readonly functions?: readonly string[];
  /** Of all steps but the first, where they differ (a first step may have to call). */
  readonly laterGrammar?: HeaderGrammar;
  readonly limits?: AgentLimits;
  /** The answer follows a form: a limit is told by `notice` of the result and not in the text. */
  readonly hasForm?: boolean;
  /** Default: nothing outside a tool's walls is allowed. */
  readonly permissions?: Permissions;
  readonly audit?: Audit;
}

/** What a tool said to a call. */
export interface ToolAnswer {
  readonly id: string;
  readonly call: ToolCall;
  readonly output: ToolOutput;
  readonly ms: number;
}

export interface AgentStep {
  readonly usage: TurnResult['usage'];
  readonly finishReason: TurnResult['finishReason'];
  readonly answers: readonly ToolAnswer[];
}

/** A turn's result over all steps: texts, tokens, usage and times are added up; `calls` are those left to somebody else. */
export interface AgentResult extends TurnResult {
  readonly steps: readonly AgentStep[];
  /** The limit that ended the turn; null: none. */
  readonly limit: LimitName | null;
  /** The same in words, for people. Part of the text unless the answer follows a form. */
  readonly notice: string | null;
  readonly citations: readonly Citation[];
}

export type AgentEvent =
  | Exclude<TurnEvent, { type: 'done' }>
  /** A call is about to run (or to be refused). Its text came in `call-…` events before. */
  | { readonly type: 'tool-start'; readonly id: string; readonly call: ToolCall }
  /** What a running tool shows to people. */
  | { readonly type: 'tool-output'; readonly id: string; readonly text: string }
  | ({ readonly type: 'tool-end' } & ToolAnswer)
  /** A link in the text that was just told. */
  | { readonly type: 'citation'; readonly citation: Citation }
  | { readonly type: 'done'; readonly result: AgentResult };

export interface StartedAgent {
  readonly promptTokens: number;
  readonly events: AsyncGenerator<AgentEvent, AgentResult>;
}

const CALLS = 32;
/** Tokens for an answer once a limit is reached, and kept free for it in the context. */
const LAST_WORDS = 512;
const separator = '\n\n';

/** Answers a conversation with tools. Throws as `runTurn` does, for the first step only. */
export async function* runAgent(
  engine: Engine,
  encoding: HarmonyEncoding,
  conversation: Conversation,
  options: AgentOptions = {},
): AsyncGenerator<AgentEvent, AgentResult> {
  return yield* startAgent(engine, encoding, conversation, options).events;
}

/** The same, in line at once: requests that cannot run throw here. */
export function startAgent(
  engine: Engine,
  encoding: HarmonyEncoding,
  conversation: Conversation,
  options: AgentOptions = {},
): StartedAgent {
  const loop = new AgentLoop(engine, encoding, conversation, options);
  const { promptTokens } = loop.first;
  return { promptTokens, events: loop.run() };
}

class AgentLoop {
  readonly first: StartedTurn;
  readonly #engine: Engine;
  readonly #encoding: HarmonyEncoding;
  readonly #options: AgentOptions;
  readonly #toolbox: Toolbox;
  readonly #permissions: Permissions;
  /** As it was kept when the turn began: within the turn nothing may fall out. */
  readonly #before: readonly Message[];
  readonly #history: Message[] = [];
  readonly #results: TurnResult[] = [];
  readonly #steps: AgentStep[] = [];
  readonly #citations: Citation[] = [];
  readonly #cited: CitationText | null;
  readonly #clock = new AbortController();
  #timer: ReturnType<typeof setTimeout> | null = null;
  #text = '';
  #calls = 0;

  constructor(engine: Engine, encoding: HarmonyEncoding, conversation: Conversation, options: AgentOptions) {
    this.#engine = engine;
    this.#encoding = encoding;
    this.#options = options;
    this.#toolbox = options.toolbox ?? new Toolbox();
    this.#permissions = options.permissions ?? new Permissions();
    this.#before = keptMessages(conversation.messages, options.render?.dropAnalysis ?? 'turns', false);
    const canCite = this.#toolbox.sets.some((set) => set.cite !== undefined);
    this.#cited = canCite ? new CitationText((cursor, lines) => this.#toolbox.cite(cursor, lines)) : null;
    this.first = this.#step();
    const { seconds } = options.limits ?? {};
    if (seconds !== undefined) this.#timer = setTimeout(() => this.#clock.abort(), seconds * 1000);
  }

  async *run(): AsyncGenerator<AgentEvent, AgentResult> {
    try {
      const { limit, result } = yield* this.#loop();
      if (limit !== null && this.#options.hasForm !== true) {
        yield* this.#say(limitNotice(limit, this.#options.limits ?? {}));
      }
      const whole = this.#whole(limit, result);
      yield { type: 'done', result: whole };
      return whole;
    } finally {
      if (this.#timer !== null) clearTimeout(this.#timer);
    }
  }

  async *#loop(): AsyncGenerator<AgentEvent, { limit: LimitName | null; result: TurnResult }> {
    for (let turn = this.first; ; ) {
      const result = yield* this.#tell(turn);
      const limit = this.#limitOf(result);
      if (limit !== null) return { limit, result: yield* this.#lastWords(result, limit, []) };
      const own = result.finishReason === 'tool_calls' ? result.calls.filter((call) => this.#isOwn(call)) : [];
      if (own.length === 0) return { limit: null, result };
      if (this.#calls + own.length > (this.#options.limits?.calls ?? CALLS)) {
        return { limit: 'calls', result: yield* this.#lastWords(result, 'calls', own) };
      }
      yield* this.#answer(own, result);
      if (this.#isStopped) return { limit: null, result: { ...result, finishReason: 'aborted', ended: 'aborted' } };
      if (this.#clock.signal.aborted)
        return { limit: 'seconds', result: yield* this.#lastWords(result, 'seconds', []) };
      if (own.length < result.calls.length) return { limit: null, result }; // the others are somebody else's
      if (this.#left < 1)
        return { limit: null, result: { ...result, calls: [], finishReason: 'length', ended: 'length' } };
      try {
        turn = this.#step();
      } catch (error) {
        if (!isGptOssError(error, 'context-overflow')) throw error;
        const ended = { calls: [], finishReason: 'length', ended: 'limit-context' } as const;
        return { limit: 'context', result: { ...result, ...ended } };
      }
    }
  }

  /** The next step, in line. */
  #step(changes: Partial<TurnOptions> = {}): StartedTurn {
    const {
      toolbox: _,
      functions,
      limits,
      permissions: __,
      audit: ___,
      hasForm: ____,
      laterGrammar,
      ...options
    } = this.#options;
    const { tokens } = limits ?? {};
    const most = Math.min(
      this.#left,
      tokens === undefined ? Number.POSITIVE_INFINITY : Math.max(1, tokens - lastWords(tokens) - this.#spent),
    );
    const signals = [this.#clock.signal, ...(options.signal === undefined ? [] : [options.signal])];
    const isLooping = !this.#toolbox.isEmpty || functions !== undefined;
    return startTurn(
      this.#engine,
      this.#encoding,
      { messages: [...this.#before, ...this.#history] },
      {
        ...options,
        ...(Number.isFinite(most) ? { maxTokens: most } : {}),
        ...(this.#results.length > 0 && laterGrammar !== undefined ? { grammar: laterGrammar } : {}),
        ...(isLooping ? { tools: this.#toolbox.offered(functions) } : {}),
        render: { ...options.render, dropAnalysis: 'never' },
        signal: AbortSignal.any(signals),
        ...changes,
      },
    );
  }

  /** Tells a step's events; its result goes into the history. */
  async *#tell(turn: StartedTurn): AsyncGenerator<AgentEvent, TurnResult> {
    const isLater = this.#text !== '';
    let isFirst = true;
    let done: TurnResult | null = null;
    for await (const event of turn.events) {
      if (event.type === 'done') done = event.result;
      else if (event.type === 'text' || event.type === 'fallback') {
        const text = isFirst && isLater ? separator + event.text : event.text;
        isFirst = false;
        yield* this.#textEvent({ ...event, text });
        if (event.type === 'fallback') yield* this.#flushCitations();
      } else {
        if (event.type === 'message-end') yield* this.#flushCitations();
        yield event;
      }
    }
    const result = done!;
    this.#results.push(result);
    this.#history.push(...result.history);
    this.#steps.push({ usage: result.usage, finishReason: result.finishReason, answers: [] });
    return result;
  }

  *#textEvent(event: Extract<AgentEvent, { type: 'text' | 'fallback' }>): Generator<AgentEvent> {
    const { text, citations } = this.#cited?.push(event.text) ?? { text: event.text, citations: [] };
    this.#text += text;
    if (text !== '' || event.type === 'fallback') yield { ...event, text };
    for (const citation of citations) {
      this.#citations.push(citation);
      yield { type: 'citation', citation };
    }
  }

  *#flushCitations(): Generator<AgentEvent> {
    const text = this.#cited?.flush() ?? '';
    if (text === '') return;
    this.#text += text;
    yield { type: 'text', text };
  }

  #isOwn(call: ToolCall): boolean {
    if (this.#toolbox.isEmpty) return false;
    return !(call.kind === 'function' && this.#options.functions?.includes(call.name) === true);
  }

  /** Tokens generated so far. */
  get #spent(): number {
    return this.#results.reduce((sum, { tokens }) => sum + tokens.length, 0);
  }

  /** Tokens that may still be generated. */
  get #left(): number {
    return (this.#options.maxTokens ?? Number.POSITIVE_INFINITY) - this.#spent;
  }

  get #isStopped(): boolean {
    return this.#options.signal?.aborted === true;
  }

  /** Runs calls one after another; their results go into the history. */
  async *#answer(calls: readonly ToolCall[], { usage }: TurnResult): AsyncGenerator<AgentEvent> {
    const answers: ToolAnswer[] = [];
    const size = usage.promptTokens + usage.completionTokens;
    let room = this.#engine.context - size - Math.min(LAST_WORDS, this.#engine.context >> 2);
    const most = this.#options.limits?.resultTokens ?? this.#engine.context >> 1;
    for (const call of calls) {
      const id = `call-${++this.#calls}`;
      yield { type: 'tool-start', id, call };
      let answer: ToolAnswer;
      if (this.#toolbox.find(call) === null) {
        answer = { id, call, output: toolError(this.#noSuchTool(call)), ms: 0 };
        this.#refused(answer, call);
      } else answer = yield* this.#runCall(id, call);
      answers.push(answer);
      yield { type: 'tool-end', ...answer };
      const message = this.#resultOf(answer, Math.max(16, Math.min(most, room - 24)));
      this.#history.push(message);
      room -= this.#encoding.tokenizer.encode(message.content as string).length + 24;
      this.#steps[this.#steps.length - 1] = { ...this.#steps.at(-1)!, answers };
      if (this.#isStopped) return;
    }
  }

  async *#runCall(id: string, call: ToolCall): AsyncGenerator<AgentEvent, ToolAnswer> {
    const signals = [this.#clock.signal, ...(this.#options.signal === undefined ? [] : [this.#options.signal])];
    const running = runTool(this.#toolbox.find(call)!, {
      id,
      recipient: call.recipient,
      input: { text: call.message.content, value: call.arguments.value },
      permissions: this.#permissions,
      signal: AbortSignal.any(signals),
      audit: this.#options.audit,
    });
    for await (const event of running) {
      if (event.type === 'output') yield { type: 'tool-output', id, text: event.text };
      else return { id, call, output: event.output, ms: event.ms };
    }
    throw new Error('a tool ended without a result');
  }

  #noSuchTool({ recipient }: ToolCall): string {
    const known = this.#toolbox.tools.map((tool) => tool.recipient);
    return `there is no tool ${JSON.stringify(recipient.slice(0, 100))}. Tools: ${known.slice(0, 50).join(', ')}.`;
  }

  #resultOf({ call, output }: ToolAnswer, mostTokens: number): Message {
    const text = fitted(this.#encoding.tokenizer, output.text.replace(/\p{Surrogate}/gu, '\ufffd'), mostTokens);
    return resultMessage(call, this.#toolbox.find(call), text);
  }

  #refused({ id, output }: ToolAnswer, call: ToolCall): void {
    this.#options.audit?.({
      time: new Date().toISOString(),
      call: id,
      tool: call.recipient.slice(0, 200),
      input: call.message.content.slice(0, 2000),
      ...{ effects: [], decision: 'refused', outcome: 'not-run', ms: 0, outputCharacters: output.text.length },
    });
  }

  /** The limit that cut this step off. */
  #limitOf(result: TurnResult): LimitName | null {
    if (result.finishReason === 'aborted') return this.#isStopped ? null : 'seconds';
    const { limits, maxTokens } = this.#options;
    if (result.finishReason !== 'length') return null;
    const { promptTokens, completionTokens } = result.usage;
    if (this.#results.length > 1 && promptTokens + completionTokens >= this.#engine.context) return 'context';
    if (limits?.tokens === undefined) return null;
    const most = limits.tokens - lastWords(limits.tokens);
    return (maxTokens === undefined || most < maxTokens) && this.#spent >= most ? 'tokens' : null;
  }

  /** Lets the model answer with what it has: calls that wait are told why they do not run, and no further ones are. */
  async *#lastWords(
    result: TurnResult,
    limit: LimitName,
    waiting: readonly ToolCall[],
  ): AsyncGenerator<AgentEvent, TurnResult> {
    for (const call of waiting) {
      const output = toolError('not run: the limit of tool calls is reached. Answer now with what you know.');
      const answer = { id: `call-${++this.#calls}`, call, output, ms: 0 };
      this.#refused(answer, call);
      this.#history.push(this.#resultOf(answer, 64));
    }
    const hasBegunAnswer = result.finishReason !== 'tool_calls' && result.text.trim() !== '';
    // What a form was begun with and not ended is no answer in that form.
    const isCut = this.#options.hasForm === true;
    const ended = { calls: [], finishReason: isCut ? 'length' : 'stop', ended: `limit-${limit}` } as const;
    if (hasBegunAnswer || this.#left < 1) return { ...result, ...ended };
    const { limits = {}, signal } = this.#options;
    const late = new AbortController();
    const grace = limits.seconds === undefined ? null : Math.max(5, limits.seconds / 4);
    const timer = grace === null ? null : setTimeout(() => late.abort(), grace * 1000);
    try {
      const maxTokens = Math.min(this.#left, limits.tokens === undefined ? LAST_WORDS : lastWords(limits.tokens));
      const signals = [late.signal, ...(signal === undefined ? [] : [signal])];
      const last = yield* this.#tell(
        this.#step({ reasoningBudget: 0, maxTokens, signal: AbortSignal.any(signals), tools: {} }),
      );
      const finishReason = this.#isStopped ? 'aborted' : isCut && last.finishReason === 'length' ? 'length' : 'stop';
      return { ...last, ...ended, finishReason };
    } catch (error) {
      if (!isGptOssError(error, 'context-overflow')) throw error;
      return { ...result, ...ended };
    } finally {
      if (timer !== null) clearTimeout(timer);
    }
  }

  *#say(notice: string): Generator<AgentEvent> {
    const text = this.#text === '' ? notice : separator + notice;
    this.#text += text;
    yield { type: 'message-start', kind: 'text' };
    yield { type: 'text', text };
    yield { type: 'message-end', kind: 'text' };
  }

  #whole(limit: LimitName | null, last: TurnResult): AgentResult {
    const results = this.#results;
    const sum = (pick: (result: TurnResult) => number): number => results.reduce((all, each) => all + pick(each), 0);
    const { finishReason, ended } = last;
    const foreign = finishReason === 'tool_calls' ? last.calls.filter((call) => !this.#isOwn(call)) : [];
    // A turn that says nothing on `final` would lose its reasoning to no answer; the notice is its answer then.
    if (limit !== null && !this.#history.some(({ channel }) => channel === 'final')) {
      this.#history.push({
        role: 'assistant',
        channel: 'final',
        content: limitNotice(limit, this.#options.limits ?? {}),
      });
    }
    return {
      ...last,
      reasoning: results
        .map(({ reasoning }) => reasoning)
        .filter(Boolean)
        .join(separator),
      text: this.#text,
      preambles: results.flatMap(({ preambles }) => preambles),
      calls: foreign,
      reasoningTokens: sum(({ reasoningTokens }) => reasoningTokens),
      problems: results.flatMap(({ problems }) => problems),
      finishReason: limit === null || finishReason === 'aborted' || this.#options.hasForm ? finishReason : 'stop',
      ended: limit === null ? ended : `limit-${limit}`,
      wasSteered: results.some(({ wasSteered }) => wasSteered),
      tokens: results.flatMap(({ tokens }) => tokens),
      history: this.#history,
      usage: {
        promptTokens: sum(({ usage }) => usage.promptTokens),
        cachedTokens: sum(({ usage }) => usage.cachedTokens),
        completionTokens: sum(({ usage }) => usage.completionTokens),
        reasoningTokens: sum(({ usage }) => usage.reasoningTokens),
      },
      timings: {
        queueMs: results[0]!.timings.queueMs,
        promptMs: sum(({ timings }) => timings.promptMs),
        firstTokenMs: results[0]!.timings.firstTokenMs,
        decodeMs: sum(({ timings }) => timings.decodeMs),
      },
      steps: this.#steps,
      limit,
      notice: limit === null ? null : limitNotice(limit, this.#options.limits ?? {}),
      citations: this.#citations,
    };
  }
}

/** Of a limit of tokens, how many are kept for the last answer. */
function lastWords(tokens: number): number {
  return Math.max(1, Math.min(LAST_WORDS, tokens >> 2));
}

function limitNotice(limit: LimitName, limits: AgentLimits): string {
  switch (limit) {
    case 'calls':
      return `(Stopped: the limit of ${limits.calls ?? CALLS} tool calls was reached.)`;
    case 'tokens':
      return `(Stopped: the limit of ${limits.tokens} tokens was reached.)`;
    case 'seconds':
      return `(Stopped: the limit of ${limits.seconds} seconds was reached.)`;
    case 'context':
      return '(Stopped: the conversation fills the context.)';
  }
}
