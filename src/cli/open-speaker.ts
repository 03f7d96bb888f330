// The real speaker: a checkpoint opened through the public API, and what its user should know. What a
// conversation of the chat means in harmony is decided here: `system` is the identity line, `developer` the instructions,
// finished answers go back token for token. Temperature: what the checkpoint asks for (formats/usual-temperature.ts); raw
// continuation, which is for looking at a model, is greedy.

import type { AgentResult, ToolAnswer } from '../agent/agent.ts';
import type { ContinueResult } from '../agent/continuation.ts';
import type { Toolset } from '../agent/tool.ts';
import { usualTemperature } from '../formats/usual-temperature.ts';
import { open, tinyModelPath } from '../open.node.ts';
import type { ChatMessage, OpenedModel } from '../opened-model.ts';
import type { CitedDocument } from '../server/hosted-tools.ts';
import type { ModelOptions } from './arguments.ts';
import type { Conversation } from './chat/conversation.ts';
import { choiceNotice, chooseModel } from './choose-model.ts';
import type { Context } from './context.ts';
import { readAhead } from './read-ahead.ts';
import { stripControls } from './screen/controls.ts';
import type { Listener, OpenedSpeaker, Reply, Sampling, ToolEvent } from './speaker.ts';
import type { OpenTools } from './tools/open-tools.ts';

type SpeakerTools = Pick<OpenTools, 'open' | 'document' | 'describe' | 'permissions' | 'audit' | 'close'>;

/** `tools` are closed with the speaker. */
export async function openSpeaker(
  options: ModelOptions & { readonly quiet?: boolean },
  context: Context,
  tools: OpenTools | null = null,
): Promise<OpenedSpeaker> {
  const choice = chooseModel(options.model, context.stores);
  const { backend, precision, kv, weights, threads, context: tokens, speculation } = options;
  const isa = context.environment.isa ?? undefined;
  const model = await open(choice.path, {
    ...{ backend, precision, kv, weights, threads, isa, context: tokens, speculation },
    maxSequences: 1,
  });
  const notice = choiceNotice(choice);
  const notices = notice === null ? [...model.notices] : [notice, ...model.notices];
  try {
    await readAhead(model, context, { quiet: options.quiet ?? false, say: (text) => notices.push(text) });
  } catch (error) {
    await model.close();
    throw error;
  }
  return new ModelSpeaker(model, choice.path === tinyModelPath, notices, tools);
}

export class ModelSpeaker implements OpenedSpeaker {
  readonly name: string;
  readonly description: string;
  readonly isEmbedded: boolean;
  readonly notices: readonly string[];
  readonly loadMs: number;
  readonly #model: OpenedModel;
  readonly #tools: SpeakerTools | null;
  #toolsets: readonly Toolset[] | null = null; // of the conversation

  constructor(model: OpenedModel, isEmbedded: boolean, notices: readonly string[], tools: SpeakerTools | null) {
    this.#model = model;
    this.#tools = tools;
    this.name = stripControls(model.name);
    this.description = model.description;
    this.isEmbedded = isEmbedded;
    this.notices = notices.map(stripControls);
    this.loadMs = model.loadMs;
  }

  async reply(said: Conversation, sampling: Sampling, listener: Listener, signal: AbortSignal): Promise<Reply> {
    const turn = this.#model.chat(messagesOf(said), {
      ...samplingOptions(sampling, usualTemperature(this.#model.checkpoint.metadata)),
      ...(said.effort === null ? {} : { reasoning: said.effort }),
      ...(said.system === null ? {} : { identity: said.system }),
      ...this.#toolOptions(),
      signal,
    });
    for await (const event of turn) {
      if (event.type === 'reasoning') listener.reasoning(event.text);
      else if (event.type === 'text' || event.type === 'fallback') listener.text(event.text);
      else if (event.type === 'preamble') listener.text(event.text);
      else if (event.type === 'message-end' && event.kind === 'preamble') listener.text('\n\n');
      else if (event.type === 'tool-start') {
        listener.tool?.({ type: 'start', name: event.call.name, input: event.call.message.content });
      } else if (event.type === 'tool-end') listener.tool?.(toolRun(event));
      else if (event.type === 'done') return replyOf(event.result);
    }
    throw new Error('a turn ended without its result');
  }

  async continue(ids: readonly number[], sampling: Sampling, listener: Listener, signal: AbortSignal): Promise<Reply> {
    for await (const event of this.#model.complete(ids, { ...samplingOptions(sampling, 0), signal })) {
      if (event.type === 'text') listener.text(event.text);
      else return continuationOf(event.result);
    }
    throw new Error('a continuation ended without its result');
  }

  encode(text: string): number[] {
    return Array.from(this.#model.tokenizer.encode(text));
  }

  decode(ids: readonly number[]): string {
    return this.#model.tokenizer.decode(ids);
  }

  async score(ids: readonly number[], signal: AbortSignal): Promise<readonly (number | null)[]> {
    return (await this.#model.score(ids, { signal })).logprobs;
  }

  async tools(): Promise<readonly string[] | null> {
    return this.#tools === null ? null : this.#tools.describe();
  }

  async document(url: string): Promise<CitedDocument | null> {
    return this.#tools === null ? null : this.#tools.document(url);
  }

  async forget(): Promise<void> {
    const sets = this.#toolsets ?? [];
    this.#toolsets = null;
    await Promise.all(sets.map((set) => set.close?.()));
  }

  async close(): Promise<void> {
    await this.forget();
    await this.#tools?.close();
    await this.#model.close();
  }

  #toolOptions() {
    if (this.#tools === null) return {};
    const { tokenizer } = this.#model;
    this.#toolsets ??= this.#tools.open(undefined, (text) => tokenizer.encode(text).length);
    const { permissions, audit } = this.#tools;
    return { tools: this.#toolsets, permissions, audit };
  }
}

function toolRun({ call, output, ms }: ToolAnswer): Extract<ToolEvent, { type: 'end' }> {
  const { text, isError = false, images = [], files = [] } = output;
  const input = call.message.content;
  return { type: 'end', name: call.name, input, output: text, isError, ms, files: [...images, ...files] };
}

function messagesOf({ said, developer }: Conversation): ChatMessage[] {
  return [
    ...(developer === null ? [] : [{ role: 'developer', content: developer } as const]),
    ...said.flatMap((message): readonly ChatMessage[] => {
      if (message.role === 'user') return [{ role: 'user', content: message.text }];
      return message.history ?? [{ role: 'assistant', channel: 'final', content: message.text }];
    }),
  ];
}

function samplingOptions({ temperature, topP, topK, minP, seed, stop, maxTokens }: Sampling, usual: number) {
  return { temperature: temperature ?? usual, topP, topK, minP, seed, stop, maxTokens };
}

function replyOf(result: AgentResult): Reply {
  const { text, reasoning, calls, citations, tokens, finishReason, ended, history, usage, timings, steps } = result;
  const toolCalls = calls.map((call) => ({ name: call.name, arguments: call.arguments.text }));
  const toolRuns = steps.flatMap(({ answers }) => answers.map(toolRun));
  return {
    text,
    reasoning,
    toolCalls,
    toolRuns,
    citations,
    tokens,
    finishReason,
    isLoop: ended === 'loop',
    history,
    usage,
    timings,
  };
}

function continuationOf({ text, tokens, finishReason, usage, timings }: ContinueResult): Reply {
  return {
    ...{ text, reasoning: '', toolCalls: [], toolRuns: [], citations: [], tokens, history: [] },
    finishReason: finishReason === 'length' ? 'length' : 'stop',
    isLoop: false,
    usage: { ...usage, reasoningTokens: 0 },
    timings,
  };
}
