// The public API under Node. Everything else in this package is internal by definition. `gptoss/harmony` is the other
// entry: the conversation format alone, without a model.

export type { ContinueEvent, ContinueOptions, ContinueResult } from './agent/continuation.ts';
export type { TurnEvent, TurnFinish, TurnOptions, TurnResult } from './agent/turn.ts';
export type { Constraint, StopMatcher, TokenMask } from './engine/constraint.ts';
export type { Engine, EngineOptions, EngineStats } from './engine/engine.ts';
export type {
  FinishReason,
  GeneratedToken,
  GenerateOptions,
  Generation,
  GenerationResult,
  Timings,
  Usage,
} from './engine/generation.ts';
export type { SamplingOptions, TokenLogprob } from './engine/sampling.ts';
export type { ScoreOptions, ScoreResult } from './engine/scoring.ts';
export type { Session } from './engine/session.ts';
export { type ErrorCode, GptOssError, isGptOssError } from './errors.ts';
export { type OpenOptions, open, tinyModelPath } from './open.node.ts';
export type { ChatMessage, ChatOptions, OpenedModel } from './opened-model.ts';
export type { Tokenizer } from './text/tokenizer.ts';
