// What the commands need of a model: an answer to a conversation, told piece by piece, and the raw view of tokens. The
// narrow waist between the command line and the library, so that commands can be tested with a scripted speaker.
// Next: open-speaker.ts (the real one).

import type { Citation } from '../agent/citations.ts';
import type { ToolFile } from '../agent/tool.ts';
import type { CitedDocument } from '../server/hosted-tools.ts';
import type { Message } from '../text/harmony/messages.ts';
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
  readonly finishReason: 'stop' | 'length' | 'tool_calls' | 'aborted';
  /** The loop guard ended it. */
  readonly isLoop: boolean;
  /** Calls that were run, in order. */
  readonly toolRuns: readonly Extract<ToolEvent, { type: 'end' }>[];
  /** Links of the text, in order. */
  readonly citations: readonly Citation[];
  /** What the next turn sends back, token for token. */
  readonly history: readonly Message[];
  readonly usage: {
    readonly promptTokens: number;
    readonly cachedTokens: number;
    readonly completionTokens: number;
    readonly reasoningTokens: number;
  };
  readonly timings: { readonly promptMs: number; readonly firstTokenMs: number; readonly decodeMs: number };
}

/** A call of a tool that runs here. */
export type ToolEvent =
  | { readonly type: 'start'; readonly name: string; readonly input: string }
  | {
      readonly type: 'end';
      readonly name: string;
      readonly input: string;
      readonly output: string;
      readonly isError: boolean;
      readonly ms: number;
      /** Images among them. */
      readonly files: readonly ToolFile[];
    };

export interface Listener {
  reasoning(piece: string): void;
  text(piece: string): void;
  tool?(event: ToolEvent): void;
}

export type Sampling = Pick<AnswerOptions, 'temperature' | 'topP' | 'topK' | 'minP' | 'seed' | 'stop' | 'maxTokens'>;

/** What `chat` needs. */
export interface Speaker {
  readonly name: string;
  /** When the signal fires, the reply is what there is, `aborted`. Rejects for requests that cannot run. */
  reply(conversation: Conversation, sampling: Sampling, listener: Listener, signal: AbortSignal): Promise<Reply>;
  /** Names of the tools the model may call, each with a line that says what stands behind it. Null: none. */
  tools?(): Promise<readonly string[] | null>;
  /** A page that a citation leads to and no browser opens; null: it is not here. */
  document?(url: string): Promise<CitedDocument | null>;
  /** The conversation is over: tools forget it. */
  forget?(): Promise<void>;
}

/** An opened model. */
export interface OpenedSpeaker extends Speaker {
  /** One line: backend, ISA variant, threads. */
  readonly description: string;
  readonly isEmbedded: boolean;
  /** What its user should know: why this model (where it was not asked for), why it is slow. */
  readonly notices: readonly string[];
  readonly loadMs: number;
  /** Goes on from these ids: no template, no stop but `sampling.stop`. */
  continue(ids: readonly number[], sampling: Sampling, listener: Listener, signal: AbortSignal): Promise<Reply>;
  encode(text: string): number[];
  decode(ids: readonly number[]): string;
  /** Null first. */
  score(ids: readonly number[], signal: AbortSignal): Promise<readonly (number | null)[]>;
  close(): Promise<void>;
}
