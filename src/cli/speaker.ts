// What `run` and `chat` need of a model: an answer to a conversation, told piece by piece. The narrow waist between the
// command line and the library, so that both commands can be tested with a scripted speaker. Next: open-speaker.ts.

import type { AnswerOptions } from './arguments.ts';
import type { Conversation } from './chat/conversation.ts';

export interface ToolCall {
  readonly name: string;
  readonly arguments: string;
}

export interface Reply {
  readonly text: string;
  readonly reasoning: string;
  readonly toolCalls: readonly ToolCall[];
  /** Generated ids, stop token included. */
  readonly tokens: readonly number[];
  readonly finishReason: string; // stop, length, tool_calls
  readonly usage: {
    readonly promptTokens: number;
    readonly cachedTokens: number;
    readonly completionTokens: number;
    readonly reasoningTokens: number;
  };
  readonly timings: { readonly promptMs: number; readonly firstTokenMs: number; readonly decodeMs: number };
}

export interface Listener {
  reasoning(piece: string): void;
  text(piece: string): void;
}

export type Sampling = Pick<AnswerOptions, 'temperature' | 'topP' | 'topK' | 'minP' | 'seed' | 'stop' | 'maxTokens'>;

export interface Speaker {
  readonly name: string;
  /** Rejects with `aborted` when the signal fires; what was told until then has been told. */
  reply(conversation: Conversation, sampling: Sampling, listener: Listener, signal: AbortSignal): Promise<Reply>;
}
