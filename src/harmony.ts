// The `gptoss/harmony` entry: conversations to tokens and back, for any program that has a tokenizer. Runs in a browser.

export { HarmonyEncoding, type HarmonyTokenizer, type Marker } from './text/harmony/encoding.ts';
export type {
  HarmonyEvent,
  HarmonyParser,
  MessageHeader,
  ParsedMessage,
  ParserOptions,
  ProblemCode,
} from './text/harmony/events.ts';
export type {
  ContentPart,
  Conversation,
  DeveloperContent,
  FunctionDefinition,
  Message,
  ReasoningEffort,
  ResponseFormat,
  Role,
  SystemContent,
  ToolNamespace,
} from './text/harmony/messages.ts';
export { harmonyParser, parseTokens } from './text/harmony/parse.ts';
export { type RenderOptions, renderConversation, renderPrompt, renderTraining } from './text/harmony/render.ts';
export { type ToolCall, toolCall, toolNames } from './text/harmony/tool-calls.ts';
export { type Turn, TurnReader } from './text/harmony/turn.ts';
