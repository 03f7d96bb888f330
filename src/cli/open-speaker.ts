// The real speaker: a checkpoint opened through the public API, and what its user should know. What a
// conversation of the chat means in harmony is decided here: `system` is the identity line, `developer` the instructions,
// finished answers go back token for token. Temperature: 1, as gpt-oss was made for; the embedded model answers greedily,
// as it was measured, and so does raw continuation, which is for looking at a model.

import type { ContinueResult } from '../agent/continuation.ts';
import type { TurnResult } from '../agent/turn.ts';
import { open, tinyModelPath } from '../open.node.ts';
import type { ChatMessage, OpenedModel } from '../opened-model.ts';
import type { ModelOptions } from './arguments.ts';
import type { Conversation } from './chat/conversation.ts';
import { choiceNotice, chooseModel } from './choose-model.ts';
import type { Context } from './context.ts';
import { stripControls } from './screen/controls.ts';
import type { Listener, OpenedSpeaker, Reply, Sampling } from './speaker.ts';

export async function openSpeaker(options: ModelOptions, context: Context): Promise<OpenedSpeaker> {
  const choice = chooseModel(options.model, context.stores);
  const { backend, precision, kv, weights, threads, context: tokens, speculation } = options;
  const isa = context.environment.isa ?? undefined;
  const model = await open(choice.path, {
    ...{ backend, precision, kv, weights, threads, isa, context: tokens, speculation },
    maxSequences: 1,
  });
  const notice = choiceNotice(choice);
  const notices = notice === null ? model.notices : [notice, ...model.notices];
  return new ModelSpeaker(model, choice.path === tinyModelPath, notices);
}

class ModelSpeaker implements OpenedSpeaker {
  readonly name: string;
  readonly description: string;
  readonly isEmbedded: boolean;
  readonly notices: readonly string[];
  readonly loadMs: number;
  readonly #model: OpenedModel;

  constructor(model: OpenedModel, isEmbedded: boolean, notices: readonly string[]) {
    this.#model = model;
    this.name = stripControls(model.name);
    this.description = model.description;
    this.isEmbedded = isEmbedded;
    this.notices = notices.map(stripControls);
    this.loadMs = model.loadMs;
  }

  async reply(said: Conversation, sampling: Sampling, listener: Listener, signal: AbortSignal): Promise<Reply> {
    const turn = this.#model.chat(messagesOf(said), {
      ...samplingOptions(sampling, this.isEmbedded ? 0 : 1),
      ...(said.effort === null ? {} : { reasoning: said.effort }),
      ...(said.system === null ? {} : { identity: said.system }),
      signal,
    });
    for await (const event of turn) {
      if (event.type === 'reasoning') listener.reasoning(event.text);
      else if (event.type === 'text' || event.type === 'fallback') listener.text(event.text);
      else if (event.type === 'preamble') listener.text(event.text);
      else if (event.type === 'message-end' && event.kind === 'preamble') listener.text('\n\n');
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

  close(): Promise<void> {
    return this.#model.close();
  }
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

function replyOf({ text, reasoning, calls, tokens, finishReason, history, usage, timings }: TurnResult): Reply {
  const toolCalls = calls.map((call) => ({ name: call.name, arguments: call.arguments.text }));
  return { text, reasoning, toolCalls, tokens, finishReason, history, usage, timings };
}

function continuationOf({ text, tokens, finishReason, usage, timings }: ContinueResult): Reply {
  return {
    ...{ text, reasoning: '', toolCalls: [], tokens, history: [] },
    finishReason: finishReason === 'length' ? 'length' : 'stop',
    usage: { ...usage, reasoningTokens: 0 },
    timings,
  };
}
