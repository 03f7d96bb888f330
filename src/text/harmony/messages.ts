// What is said: roles, channels, content and tools of a harmony conversation. Types only, in the words of the format.
// A message's content is text, or parts of which two are structured: the system message (identity, effort, channels)
// and the developer message (instructions, functions, response formats), turned into text by prompt-text.ts.
// Next: render.ts.

export type Role = 'system' | 'developer' | 'user' | 'assistant' | 'tool';

export const roles: readonly Role[] = ['system', 'developer', 'user', 'assistant', 'tool'];

/** analysis: reasoning; commentary: function calls and preambles shown to the user; final: the answer. */
export const standardChannels: readonly string[] = ['analysis', 'commentary', 'final'];

export type ReasoningEffort = 'low' | 'medium' | 'high';

export const reasoningEfforts: readonly ReasoningEffort[] = ['low', 'medium', 'high'];

/** A JSON Schema: an object, or true/false. Kept as unknown because it comes from outside. */
export type JsonSchema = unknown;

export interface FunctionDefinition {
  readonly name: string;
  readonly description?: string;
  /** Absent or null: a function without arguments. */
  readonly parameters?: JsonSchema;
}

/** One `## name` section under `# Tools`. */
export interface ToolNamespace {
  readonly name: string;
  readonly description?: string;
  readonly functions?: readonly FunctionDefinition[];
  /** The whole section, heading included, as it must stand in the prompt; description and functions are unused then. */
  readonly text?: string;
}

export interface SystemContent {
  readonly type: 'system';
  /** First line. Default: the line gpt-oss was trained with; null leaves it out. Personas belong to the developer message. */
  readonly identity?: string | null;
  /** Default 2024-06; null leaves the line out. */
  readonly knowledgeCutoff?: string | null;
  /** YYYY-MM-DD; absent or null leaves the line out. */
  readonly currentDate?: string | null;
  /** Default medium; null leaves the line out. */
  readonly effort?: ReasoningEffort | null;
  /** Built-in tools. */
  readonly tools?: readonly ToolNamespace[];
  /** Default: the three standard channels; an empty list leaves the section out. */
  readonly channels?: readonly string[];
  /** Default true. */
  readonly channelRequired?: boolean;
}

/** A schema that the final answer should follow (structured output). */
export interface ResponseFormat {
  readonly name: string;
  readonly description?: string;
  readonly schema: JsonSchema;
}

export interface DeveloperContent {
  readonly type: 'developer';
  readonly instructions?: string | null;
  /** The `functions` namespace. */
  readonly functions?: readonly FunctionDefinition[];
  /** Further namespaces. */
  readonly tools?: readonly ToolNamespace[];
  readonly responseFormats?: readonly ResponseFormat[];
}

export interface TextContent {
  readonly type: 'text';
  readonly text: string;
}

export type ContentPart = TextContent | SystemContent | DeveloperContent;

export interface Message {
  readonly role: Role;
  /** For role tool the name of the tool, e.g. `functions.get_weather`, and mandatory; else an optional speaker. */
  readonly name?: string;
  /** Tool that is called, or `assistant` in a tool's result. */
  readonly recipient?: string;
  readonly channel?: string;
  /** E.g. `<|constrain|>json`, `json`, `code`. */
  readonly contentType?: string;
  readonly content: string | readonly ContentPart[];
  /** Token ids as they were generated, from `<|start|>` to the terminator. When present they are replayed as they are, so
   *  that a stored conversation gives the same prefix bit for bit; the fields above then only describe them. */
  readonly ids?: readonly number[];
}

export interface Conversation {
  readonly messages: readonly Message[];
}
