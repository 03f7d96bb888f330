// Answers questions with an engine in this process, through harmony itself: no masks, no formats, nothing between the model
// and what is measured. Calls go to the sample's own environment, or to tools that were opened for the whole run.
// Next: http-answerer.ts (any server), agent/turn.ts (one step).

import { runAgent } from '../agent/agent.ts';
import type { Permissions } from '../agent/permission.ts';
import { Toolbox, type Toolset } from '../agent/tool.ts';
import { finishTurn, runTurn, type TurnResult } from '../agent/turn.ts';
import type { Engine } from '../engine/engine.ts';
import { GptOssError } from '../errors.ts';
import type { HarmonyEncoding } from '../text/harmony/encoding.ts';
import type { Conversation, Message } from '../text/harmony/messages.ts';
import { parseTokens } from '../text/harmony/parse.ts';
import { renderPrompt } from '../text/harmony/render.ts';
import type { Answer, Answerer, Question } from './task.ts';

export interface EngineAnswererInit {
  readonly engine: Engine;
  readonly encoding: HarmonyEncoding;
  readonly description: string;
  /** A question's messages with the system message of this model, `toolbox` declared. */
  readonly conversation: (question: Question, toolbox: Toolbox) => Conversation;
  /** Tools of one conversation. */
  readonly tools?: () => readonly Toolset[];
  readonly permissions?: Permissions;
  /** Default: as many as fit. */
  readonly maxTokens?: number;
  readonly close: () => Promise<void>;
}

export class EngineAnswerer implements Answerer {
  readonly description: string;
  readonly #init: EngineAnswererInit;

  constructor(init: EngineAnswererInit) {
    this.#init = init;
    this.description = init.description;
  }

  async answer(question: Question, aborted: AbortSignal): Promise<Answer> {
    const start = performance.now();
    const signal = AbortSignal.any([aborted]); // many answers at once would put many listeners on one signal
    const answer =
      question.begun !== undefined
        ? await this.#begun(question, question.begun, signal)
        : question.call === undefined
          ? await this.#agent(question, signal)
          : await this.#turns(question, signal);
    return { ...answer, ms: Math.round(performance.now() - start) };
  }

  close(): Promise<void> {
    return this.#init.close();
  }

  #options({ temperature, seed, maxTokens, callHeader, loopGuard }: Question, signal: AbortSignal) {
    return {
      ...{ temperature, seed, signal, maxTokens: maxTokens ?? this.#init.maxTokens },
      render: callHeader === undefined ? {} : { callHeader },
      ...(loopGuard === false ? { loopGuard: false as const } : {}),
    };
  }

  async #agent(question: Question, signal: AbortSignal): Promise<Omit<Answer, 'ms'>> {
    const { engine, encoding, tools, permissions } = this.#init;
    const toolbox = new Toolbox(tools?.() ?? []);
    try {
      const conversation = this.#init.conversation(question, toolbox);
      const events = runAgent(engine, encoding, conversation, {
        ...this.#options(question, signal),
        ...(toolbox.isEmpty ? {} : { toolbox, permissions }),
      });
      for (;;) {
        const next = await events.next();
        if (!next.done) continue;
        signal.throwIfAborted();
        const { steps } = next.value;
        const calls = steps.reduce((sum, { answers }) => sum + answers.length, 0);
        return answerOf([next.value], next.value.usage, calls);
      }
    } finally {
      await toolbox.close();
    }
  }

  /** From the middle of the reasoning to the end of the answer, or through a call to what follows it. */
  async #begun(question: Question, begun: string, signal: AbortSignal): Promise<Omit<Answer, 'ms'>> {
    const { engine, encoding } = this.#init;
    const { messages } = this.#init.conversation(question, new Toolbox());
    const { temperature, seed, maxTokens, render } = this.#options(question, signal);
    const opening = [
      ...[encoding.ids.channel, ...Array.from(encoding.tokenizer.encode('analysis')), encoding.ids.message],
      ...Array.from(encoding.tokenizer.encode(begun)),
    ];
    const ids = [...renderPrompt(encoding, { messages }, { dropAnalysis: 'turns', ...render }), ...opening];
    const stopIds = encoding.stopIds();
    const { tokens } = await engine.generate(ids, { temperature, seed, maxTokens, stopIds, signal }).result;
    signal.throwIfAborted();
    const written = parseTokens(encoding, [...opening, ...tokens]).messages;
    const thoughts = written.filter(({ channel, recipient }) => channel === 'analysis' && recipient === undefined);
    const reasoning = thoughts.map(({ content }) => content);
    const last = written.at(-1)!;
    const usage = { promptTokens: ids.length, completionTokens: tokens.length, reasoningTokens: null };
    if (last.terminator === 'call' && last.recipient !== undefined && question.call !== undefined) {
      const left = maxTokens === undefined ? {} : { maxTokens: Math.max(1, maxTokens - tokens.length) };
      const rest = { ...question, ...left };
      const answer = await this.#turns(rest, signal, [...messages, ...written, resultOf(question, last)]);
      return {
        ...answer,
        reasoning: [...reasoning, answer.reasoning].filter((part) => part !== '').join('\n\n'),
        calls: answer.calls + 1,
        usage: { ...usage, completionTokens: tokens.length + (answer.usage.completionTokens ?? 0) },
      };
    }
    const isStopped = stopIds.includes(tokens.at(-1) ?? -1);
    const isFinal = last.channel === 'final';
    return {
      text: isFinal ? last.content : '',
      reasoning: reasoning.join('\n\n'),
      finish: isStopped ? 'stop' : 'length',
      isFinal,
      isMalformed: isStopped && !isFinal,
      calls: 0,
      usage,
    };
  }

  /** Steps whose calls the question answers; `begun`: the conversation so far, where some were taken before. */
  async #turns(question: Question, signal: AbortSignal, begun?: readonly Message[]): Promise<Omit<Answer, 'ms'>> {
    const { engine, encoding } = this.#init;
    const { tools, maxCalls = 8, seed, maxTokens } = question;
    const messages: Message[] = [...(begun ?? this.#init.conversation(question, new Toolbox()).messages)];
    const results: TurnResult[] = [];
    let left = maxTokens ?? Number.POSITIVE_INFINITY;
    for (let calls = 0; ; calls++) {
      const turn = runTurn(
        engine,
        encoding,
        { messages },
        {
          ...this.#options(question, signal),
          ...(tools === undefined ? {} : { tools }),
          ...(Number.isFinite(left) ? { maxTokens: left } : {}),
          seed: seed + calls,
        },
      );
      const result = await finishTurn(turn);
      signal.throwIfAborted();
      results.push(result);
      left -= result.tokens.length;
      const call = result.history.at(-1);
      const isCall = result.finishReason === 'tool_calls' && call?.recipient !== undefined;
      if (!isCall || calls >= maxCalls || left < 1) return answerOf(results, usageOf(results), calls);
      messages.push(...result.history, resultOf(question, call));
    }
  }
}

function resultOf(question: Question, { recipient, channel, content }: Message): Message {
  if (typeof content !== 'string') throw new GptOssError('internal', 'a generated message has parts; expected text');
  const answer = question.call!({ name: recipient!, arguments: parsed(content), text: content });
  return {
    ...{ role: 'tool', name: recipient!, recipient: 'assistant', content: answer },
    channel: channel === 'analysis' ? 'analysis' : 'commentary',
  };
}

function answerOf(results: readonly TurnResult[], usage: TurnResult['usage'], calls: number): Omit<Answer, 'ms'> {
  const last = results.at(-1)!;
  const { text, fallback, finishReason } = last;
  return {
    text,
    reasoning: results
      .map(({ reasoning }) => reasoning)
      .filter((part) => part !== '')
      .join('\n\n'),
    finish: finishReason === 'aborted' ? 'length' : finishReason,
    isFinal: fallback === null && text !== '',
    isMalformed: results.some(isMalformed),
    calls,
    usage: {
      promptTokens: usage.promptTokens,
      completionTokens: usage.completionTokens,
      reasoningTokens: usage.reasoningTokens,
    },
  };
}

/** What the parser had to repair, an ending without an answer, or a message in another's name. Being cut off is neither. */
function isMalformed({ problems, fallback, history, finishReason }: TurnResult): boolean {
  const isCut = finishReason === 'length';
  const found = isCut ? problems.filter(({ code }) => code !== 'missing-end') : problems;
  return found.length > 0 || fallback !== null || history.some(({ role }) => role !== 'assistant');
}

function usageOf(results: readonly TurnResult[]): TurnResult['usage'] {
  const sum = (of: (usage: TurnResult['usage']) => number): number =>
    results.reduce((total, { usage }) => total + of(usage), 0);
  return {
    promptTokens: results[0]!.usage.promptTokens,
    cachedTokens: sum(({ cachedTokens }) => cachedTokens),
    completionTokens: sum(({ completionTokens }) => completionTokens),
    reasoningTokens: sum(({ reasoningTokens }) => reasoningTokens),
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
