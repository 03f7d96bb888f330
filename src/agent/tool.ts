// What a tool is: one recipient a model may call, what it would do outside of its own walls, and how it runs. Tools that
// share state (the pages of a browser, the variables of an interpreter) come as a toolset, which belongs to one
// conversation and is closed with it. Types, and the toolbox that puts the tools of one conversation together.
// What a tool returns is data: the loop renders it as ordinary text, whatever it spells.
// Next: agent.ts (the loop), function-tool.ts (a tool from a function of yours).

import { GptOssError } from '../errors.ts';
import type { BuiltinTool } from '../text/harmony/builtin-tools.ts';
import { builtinRecipients } from '../text/harmony/builtin-tools.ts';
import type { FunctionDefinition } from '../text/harmony/messages.ts';
import type { OfferedTools, ToolCall } from '../text/harmony/tool-calls.ts';

/** network: something leaves this machine. write: something outside the tool's own walls is changed. */
export type Effect = 'network' | 'write';

export interface ToolInput {
  /** As the model wrote it: code, or (mostly) JSON. */
  readonly text: string;
  /** The arguments as they could be read; undefined when they are no JSON, and always for code. */
  readonly value: unknown;
}

/** What a call would do, for whoever has to allow it. */
export interface Need {
  readonly effects: readonly Effect[];
  /** One line: what would happen, e.g. `fetch https://example.org/a`. */
  readonly summary: string;
  /** What is remembered when it is allowed for the session, e.g. `example.org`; default: all of the tool. */
  readonly scope?: string;
}

export interface ToolContext {
  /** Fires when the turn is stopped or the call has had its time. The loop then waits no longer. */
  readonly signal: AbortSignal;
  /** Of this call; unique in its conversation. */
  readonly id: string;
  /** Shows people what comes out while the tool runs. The model reads the result only. */
  show(text: string): void;
}

/** Something to look at or to keep. Never reaches the model. */
export interface ToolFile {
  readonly name: string;
  readonly mediaType: string;
  readonly bytes: Uint8Array;
}

export interface ToolOutput {
  /** What the model reads. */
  readonly text: string;
  readonly isError?: boolean;
  readonly images?: readonly ToolFile[];
  readonly files?: readonly ToolFile[];
  /** For programs that show more than text (search results, places in a page); JSON. */
  readonly details?: unknown;
}

export interface Tool {
  /** What a call names: `functions.get_weather`, `python`, `browser.search`. */
  readonly recipient: string;
  /** How a function is declared to the model. Built-in tools are declared as the model was trained to see them. */
  readonly definition?: FunctionDefinition;
  /** What a call would do outside; null or absent: nothing, and it runs without asking. */
  needs?(input: ToolInput): Need | null;
  /** Seconds that one call may take; default 120. */
  readonly seconds?: number;
  /** Runs a call. What it throws goes to the model as a tool error (its message only). */
  run(input: ToolInput, context: ToolContext): ToolOutput | Promise<ToolOutput>;
}

/** What a citation in an answer points to. */
export interface Source {
  readonly url: string;
  readonly title: string;
}

export interface Toolset {
  /** As in `--tools`. */
  readonly name: string;
  readonly tools: readonly Tool[];
  /** Where `【cursor†lines】` in an answer points to; null: nowhere, the mark is left out. */
  cite?(cursor: number, lines: string): Source | null;
  /** Called when the conversation is over. */
  close?(): Promise<void>;
}

export type ToolSource = Tool | Toolset;

/** The tools of one conversation. */
export class Toolbox {
  readonly tools: readonly Tool[];
  readonly sets: readonly Toolset[];
  readonly #byRecipient = new Map<string, Tool>();

  /** Throws `invalid-request` when two tools answer to one name, or a built-in tool lacks recipients. */
  constructor(sources: readonly ToolSource[] = []) {
    this.sets = sources.filter((source) => 'tools' in source);
    this.tools = sources.flatMap((source) => ('tools' in source ? source.tools : [source]));
    for (const tool of this.tools) {
      const { recipient } = tool;
      if (this.#byRecipient.has(recipient)) {
        throw new GptOssError(
          'invalid-request',
          `two tools are called ${recipient}; expected one of each name; rename one`,
        );
      }
      if (tool.definition === undefined && !isBuiltin(recipient)) {
        throw new GptOssError(
          'invalid-request',
          `the tool ${recipient} has no definition; expected one for all but python and browser; add it`,
        );
      }
      this.#byRecipient.set(recipient, tool);
    }
  }

  get isEmpty(): boolean {
    return this.tools.length === 0;
  }

  /** Definitions for the developer message. */
  get functions(): readonly FunctionDefinition[] {
    return this.tools.flatMap(({ definition }) => (definition === undefined ? [] : [definition]));
  }

  /** Built-in tools to declare in the system message. */
  get builtins(): readonly BuiltinTool[] {
    const names = Object.keys(builtinRecipients) as BuiltinTool[];
    return names.filter((name) => builtinRecipients[name].some((recipient) => this.#byRecipient.has(recipient)));
  }

  /** What a recipient may mean; `more`: names of functions that somebody else runs. */
  offered(more: readonly string[] = []): OfferedTools {
    return {
      functions: [...this.functions.map(({ name }) => name), ...more],
      builtins: this.tools.map(({ recipient }) => recipient).filter(isBuiltin),
    };
  }

  find(call: Pick<ToolCall, 'kind' | 'name'>): Tool | null {
    if (call.kind === 'unknown') return null;
    return this.#byRecipient.get(call.kind === 'function' ? `functions.${call.name}` : call.name) ?? null;
  }

  cite(cursor: number, lines: string): Source | null {
    for (const set of this.sets) {
      const source = set.cite?.(cursor, lines) ?? null;
      if (source !== null) return source;
    }
    return null;
  }

  async close(): Promise<void> {
    await Promise.all(this.sets.map((set) => set.close?.()));
  }
}

function isBuiltin(recipient: string): boolean {
  return Object.values(builtinRecipients).some((recipients) => recipients.includes(recipient));
}

/** A result that tells the model what went wrong, so that it can do better or do without. */
export function toolError(text: string): ToolOutput {
  return { text: `Error: ${text}`, isError: true };
}
