// What the server needs of an opened model; `OpenedModel` is one, and tests bring a scripted one. Types only.
// Next: generation.ts.

import type { Engine } from '../engine/engine.ts';
import type { BuiltinTool } from '../text/harmony/builtin-tools.ts';
import type { HarmonyEncoding } from '../text/harmony/encoding.ts';
import type { Conversation, Message, ReasoningEffort } from '../text/harmony/messages.ts';
import type { Tokenizer } from '../text/tokenizer.ts';

export interface ServedModel {
  readonly name: string;
  readonly engine: Engine;
  readonly encoding: HarmonyEncoding;
  readonly tokenizer: Tokenizer;
  /** Puts the system message that this model was trained with before the messages. */
  conversation(
    messages: readonly Message[],
    options: { readonly reasoning?: ReasoningEffort; readonly builtins?: readonly BuiltinTool[] },
  ): Conversation;
}

/** Facts for clients that list models; all of them optional because a model may be anything. */
export interface ModelFacts {
  readonly parameters?: number;
  readonly sizeBytes?: number;
  /** Short name of the type that most weights have, e.g. `MXFP4`. */
  readonly quantization?: string;
  readonly layers?: number;
  readonly hidden?: number;
  readonly heads?: number;
  readonly kvHeads?: number;
  readonly experts?: number;
  readonly expertsPerToken?: number;
  /** Longest context that the checkpoint allows; the engine may have been opened with less. */
  readonly maxContext?: number;
  readonly modifiedAt?: Date;
  readonly chatTemplate?: string | null;
}
