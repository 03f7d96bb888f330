// The public API under Node. Everything else in this package is internal by definition. `gptoss/harmony` is the other
// entry: the conversation format alone, without a model.

export type {
  AgentEvent,
  AgentLimits,
  AgentResult,
  AgentStep,
  LimitName,
  ToolAnswer,
} from './agent/agent.ts';
export type { Audit, AuditEntry } from './agent/audit.ts';
export type { Citation } from './agent/citations.ts';
export type { ContinueEvent, ContinueOptions, ContinueResult } from './agent/continuation.ts';
export { type StandardSchema, type ToolDefinition, tool } from './agent/function-tool.ts';
export { type AllowList, type Ask, type PermissionRequest, Permissions } from './agent/permission.ts';
export type { SteeredFunction, ToolChoice } from './agent/steering.ts';
export type {
  Effect,
  Need,
  Source,
  Tool,
  ToolContext,
  ToolFile,
  ToolInput,
  ToolOutput,
  ToolSource,
  Toolset,
} from './agent/tool.ts';
export type { TurnEvent, TurnFinish, TurnOptions, TurnResult } from './agent/turn.ts';
export type { Constraint, StopMatcher, TokenMask } from './engine/constraint.ts';
export type { Engine, EngineStats } from './engine/engine.ts';
export type { EngineOptions } from './engine/engine-options.ts';
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
export type { ChatMessage, ChatOptions, ConversationOptions, OpenedModel } from './opened-model.ts';
export type { OutputFormat } from './text/schema/output-format.ts';
export type { Tokenizer } from './text/tokenizer.ts';
