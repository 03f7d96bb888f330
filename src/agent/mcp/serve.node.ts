// Owns: the model and its tools offered to other programs as an MCP server: `ask` answers a question, and each tool that
// was switched on can be called by itself, behind the same permissions. One answer at a time is computed; a client that
// takes its request back stops it. Refuses: to write anything but the protocol to its output.
// Next: cli/mcp.ts (the command), tool-run.ts (one call).

import type { Readable, Writable } from 'node:stream';
import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import {
  CallToolRequestSchema,
  ListToolsRequestSchema,
  type Tool as McpTool,
} from '@modelcontextprotocol/sdk/types.js';
import { builtinTool } from '../../text/harmony/builtin-tools.ts';
import type { Audit } from '../audit.ts';
import type { Permissions } from '../permission.ts';
import type { Tool } from '../tool.ts';
import { runTool } from '../tool-run.ts';

export interface AskRequest {
  readonly prompt: string;
  readonly system: string | null;
  readonly reasoning: 'low' | 'medium' | 'high' | null;
  readonly maxTokens: number | null;
}

export interface McpServeOptions {
  readonly version: string;
  /** What stands behind `ask`, for its description. */
  readonly model: string;
  /** `tell` hears the answer as it comes. */
  ask(request: AskRequest, signal: AbortSignal, tell: (text: string) => void): Promise<string>;
  readonly tools: readonly Tool[];
  readonly permissions: Permissions;
  readonly audit?: Audit;
  readonly input: Readable;
  readonly output: Writable;
  readonly signal: AbortSignal;
}

const MOST_PROMPT = 4 * 2 ** 20; // characters

/** Serves until the client goes away or the signal fires. */
export async function serveMcp(options: McpServeOptions): Promise<void> {
  const { version, tools, input, output, signal } = options;
  const server = new Server({ name: 'gptoss', version }, { capabilities: { tools: {} } });
  const byName = new Map(tools.map((tool) => [nameOf(tool), tool]));
  let calls = 0;

  server.setRequestHandler(ListToolsRequestSchema, () => ({
    tools: [askTool(options.model), ...[...byName].map(([name, tool]) => described(name, tool))],
  }));

  server.setRequestHandler(CallToolRequestSchema, async ({ params }, extra) => {
    const given = params.arguments ?? {};
    const stop = AbortSignal.any([extra.signal, signal]);
    if (params.name === 'ask') {
      const request = askRequest(given);
      if (typeof request === 'string') return failed(request);
      let progress = 0;
      const token = params._meta?.progressToken;
      const tell = (text: string): void => {
        if (token === undefined) return;
        const message = {
          method: 'notifications/progress' as const,
          params: { progressToken: token, progress: ++progress, message: text },
        };
        extra.sendNotification(message).catch(() => undefined);
      };
      try {
        return { content: [{ type: 'text', text: await options.ask(request, stop, tell) }] };
      } catch (error) {
        return failed(error instanceof Error ? error.message : String(error));
      }
    }
    const tool = byName.get(params.name);
    if (tool === undefined) return failed(`there is no tool ${JSON.stringify(params.name.slice(0, 100))}`);
    const { code } = given as { code?: unknown };
    const isCode = tool.recipient === 'python';
    const isPatch = tool.recipient === 'functions.apply_patch';
    const text = isCode || isPatch ? String(code ?? (given as { patch?: unknown }).patch ?? '') : JSON.stringify(given);
    const events = runTool(tool, {
      id: `mcp-${++calls}`,
      recipient: tool.recipient,
      input: { text, value: isCode || isPatch ? undefined : given },
      permissions: options.permissions,
      signal: stop,
      audit: options.audit,
    });
    for await (const event of events) {
      if (event.type !== 'end') continue;
      const { text: said, isError = false, images = [] } = event.output;
      const pictures = images.map(({ bytes, mediaType }) => ({
        type: 'image' as const,
        data: Buffer.from(bytes).toString('base64'),
        mimeType: mediaType,
      }));
      return { content: [{ type: 'text' as const, text: said }, ...pictures], isError };
    }
    return failed('the tool ended without a result');
  });

  const transport = new StdioServerTransport(input, output);
  const closed = new Promise<void>((resolve) => {
    server.onclose = resolve;
    input.once('end', resolve);
    input.once('close', resolve);
    output.once('error', () => resolve()); // the client does not read any more
    signal.addEventListener('abort', () => resolve(), { once: true });
    if (signal.aborted) resolve();
  });
  await server.connect(transport);
  await closed;
  await server.close();
}

function askTool(model: string): McpTool {
  const text = (description: string): object => ({ type: 'string', description });
  return {
    name: 'ask',
    description: `Asks ${model}, a language model on this machine, and returns its answer.`,
    inputSchema: {
      type: 'object',
      properties: {
        prompt: text('The question, with everything needed to answer it.'),
        system: text('Instructions for the model.'),
        reasoning: { type: 'string', enum: ['low', 'medium', 'high'], description: 'How long it may think.' },
        max_tokens: { type: 'integer', minimum: 1, description: 'Tokens it may generate, reasoning included.' },
      },
      required: ['prompt'],
    },
    annotations: { readOnlyHint: true, openWorldHint: false },
  };
}

/** A request, or what is wrong with it. */
function askRequest(given: Record<string, unknown>): AskRequest | string {
  const { prompt, system = null, reasoning = null, max_tokens: maxTokens = null } = given;
  if (typeof prompt !== 'string' || prompt.trim() === '') return '`prompt` is missing; expected a text';
  if (prompt.length > MOST_PROMPT) return `\`prompt\` has more than ${MOST_PROMPT} characters`;
  if (system !== null && typeof system !== 'string') return '`system` is no text';
  if (reasoning !== null && reasoning !== 'low' && reasoning !== 'medium' && reasoning !== 'high') {
    return '`reasoning` is none of low, medium, high';
  }
  if (maxTokens !== null && !(Number.isSafeInteger(maxTokens) && (maxTokens as number) > 0)) {
    return '`max_tokens` is no number of tokens';
  }
  return { prompt, system, reasoning, maxTokens: maxTokens as number | null };
}

const nameOf = ({ recipient }: Tool): string => recipient.replace(/^functions\./, '').replace(/\W/g, '_');

/** Tools whose message is one text take it as the argument that says what it is. */
function described(name: string, tool: Tool): McpTool {
  const single = (argument: string, description: string): McpTool => ({
    name,
    description,
    inputSchema: { type: 'object', properties: { [argument]: { type: 'string' } }, required: [argument] },
  });
  if (tool.recipient === 'python') return single('code', builtinTool('python').namespace.description ?? 'Runs Python.');
  if (tool.recipient === 'functions.apply_patch') return single('patch', tool.definition?.description ?? '');
  const { description, parameters } = tool.definition ?? builtinFunction(tool.recipient);
  const schema = typeof parameters === 'object' && parameters !== null ? parameters : {};
  return { name, description: description ?? '', inputSchema: { ...schema, type: 'object' } as McpTool['inputSchema'] };
}

function builtinFunction(recipient: string): { description?: string; parameters?: unknown } {
  const [namespace, name] = recipient.split('.');
  if (namespace !== 'browser') return {};
  return builtinTool('browser').namespace.functions?.find((each) => each.name === name) ?? {};
}

const failed = (text: string): { content: { type: 'text'; text: string }[]; isError: boolean } => ({
  content: [{ type: 'text', text }],
  isError: true,
});
