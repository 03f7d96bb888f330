// Owns: the connection to one MCP server, and what is believed of it: nothing. Starting, calling and stopping have their
// time; messages, lists, schemas and results their size; a server that dies is started again a few times and then never
// more. Its tools are those it had when it was first asked: what it renames later does not exist.
// Next: hub.node.ts (its tools as tools of a model).

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import type { McpServerConfig } from './config.ts';

export interface RemoteTool {
  readonly name: string;
  readonly description: string;
  readonly schema: Record<string, unknown>;
}

/** What a server answered: parts that were checked to have a type. */
export interface RemoteResult {
  readonly content: readonly Record<string, unknown>[];
  readonly structured: unknown;
  readonly isError: boolean;
}

const MOST_TOOLS = 128;
const MOST_PAGES = 16;
const MOST_SCHEMA = 32 * 1024; // characters
const MOST_DESCRIPTION = 4096;
const MOST_BYTES = 10 * 2 ** 20; // of one message or answer
const MOST_MESSAGES = 10_000; // between two of ours
const MOST_STARTS = 4;

export class McpConnection {
  readonly config: McpServerConfig;
  readonly #version: string;
  #client: Client | null = null;
  #starting: Promise<Client> | null = null;
  #starts = 0;
  #messages = 0;
  #said = ''; // the end of what it wrote to stderr
  #isClosed = false;

  constructor(config: McpServerConfig, version: string) {
    this.config = config;
    this.#version = version;
  }

  /** Throws Error with a reason for people. */
  async tools(): Promise<RemoteTool[]> {
    const client = await this.#connected();
    const found: RemoteTool[] = [];
    const names = new Set<string>();
    let cursor: string | undefined;
    for (let page = 0; page < MOST_PAGES && found.length < MOST_TOOLS; page++) {
      const options = { timeout: this.#startMs, maxTotalTimeout: this.#startMs };
      const list = await client.listTools(cursor === undefined ? {} : { cursor }, options);
      for (const { name, description, inputSchema } of list.tools) {
        if (found.length >= MOST_TOOLS || names.has(name) || name.length > 256) continue;
        if (JSON.stringify(inputSchema).length > MOST_SCHEMA) continue; // it would fill the prompt
        names.add(name);
        found.push({ name, description: (description ?? '').slice(0, MOST_DESCRIPTION), schema: { ...inputSchema } });
      }
      cursor = list.nextCursor;
      if (cursor === undefined) break;
    }
    return found;
  }

  async call(name: string, given: Record<string, unknown>, signal: AbortSignal): Promise<RemoteResult> {
    const client = await this.#connected();
    this.#messages = 0;
    const timeout = (this.config.callSeconds ?? 60) * 1000;
    try {
      const result = await client.callTool({ name, arguments: given }, undefined, {
        signal,
        timeout,
        maxTotalTimeout: timeout,
      });
      const { content, structuredContent, isError } = result;
      return {
        content: Array.isArray(content) ? (content as Record<string, unknown>[]) : [],
        structured: structuredContent,
        isError: isError === true,
      };
    } catch (error) {
      if (this.#client !== client && !signal.aborted) throw new Error(this.#why('the server went away'));
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const client = this.#client ?? (await this.#starting?.catch(() => null)) ?? null;
    this.#client = null;
    await client?.close().catch(() => undefined);
  }

  get #startMs(): number {
    return (this.config.startSeconds ?? 30) * 1000;
  }

  #connected(): Promise<Client> {
    if (this.#isClosed) return Promise.reject(new Error('the server is closed'));
    if (this.#client !== null) return Promise.resolve(this.#client);
    if (this.#starts >= MOST_STARTS && this.#starting === null) {
      return Promise.reject(new Error(this.#why(`the server went away ${MOST_STARTS} times and is not started again`)));
    }
    this.#starting ??= this.#start().finally(() => {
      this.#starting = null;
    });
    return this.#starting;
  }

  async #start(): Promise<Client> {
    this.#starts++;
    this.#messages = 0;
    this.#said = '';
    const client = new Client({ name: 'gptoss', version: this.#version }, { capabilities: {} });
    const transport = this.#transport();
    try {
      client.onclose = () => {
        if (this.#client === client) this.#client = null;
      };
      client.onerror = (error) => {
        if (/exceeded maximum size/.test(error.message)) end(transport);
      };
      await client.connect(transport, { timeout: this.#startMs, maxTotalTimeout: this.#startMs });
    } catch (error) {
      await client.close().catch(() => undefined);
      throw new Error(this.#why(`it cannot be started: ${error instanceof Error ? error.message : String(error)}`));
    }
    this.#count(transport);
    this.#client = client;
    return client;
  }

  #transport(): Transport {
    const { config } = this;
    if (config.kind === 'http') {
      return new StreamableHTTPClientTransport(new URL(config.url), {
        requestInit: { headers: { ...config.headers } },
        fetch: boundedFetch,
        reconnectionOptions: {
          maxRetries: 2,
          initialReconnectionDelay: 500,
          maxReconnectionDelay: 2000,
          reconnectionDelayGrowFactor: 2,
        },
      }) as Transport;
    }
    const { command, args, env, cwd } = config;
    // Of our environment only the harmless part goes along; what a server needs stands in its entry.
    const transport = new StdioClientTransport({
      command,
      args: [...args],
      env: { ...env },
      ...(cwd === undefined ? {} : { cwd }),
      stderr: 'pipe',
      maxBufferSize: MOST_BYTES,
    });
    transport.stderr?.on('data', (chunk: Uint8Array) => {
      this.#said = (this.#said + new TextDecoder().decode(chunk)).slice(-500);
    });
    return transport;
  }

  /** A server that talks without end is left. */
  #count(transport: Transport): void {
    const deliver = transport.onmessage;
    transport.onmessage = (message, extra) => {
      if (++this.#messages > MOST_MESSAGES) end(transport);
      else deliver?.(message, extra);
    };
  }

  #why(what: string): string {
    const last = this.#said.trim().split('\n').at(-1)?.slice(0, 200) ?? '';
    return `${this.config.name}: ${what}${last === '' ? '' : ` (it said: ${last})`}`;
  }
}

/** At once: a server that floods is not asked to leave. */
function end(transport: Transport): void {
  const pid = transport instanceof StdioClientTransport ? transport.pid : null;
  try {
    if (pid !== null) process.kill(pid, 'SIGKILL');
  } catch {
    // it is gone already
  }
  transport.close().catch(() => undefined);
}

/** Answers of at most so many bytes, from the server that was named and no other. */
async function boundedFetch(url: string | URL, init?: RequestInit): Promise<Response> {
  const response = await fetch(url, { ...init, redirect: 'error' });
  if (response.body === null) return response;
  let left = MOST_BYTES;
  const bounded = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      left -= chunk.length;
      if (left < 0) controller.error(new Error(`the server sent more than ${MOST_BYTES} bytes`));
      else controller.enqueue(chunk);
    },
  });
  const { status, statusText, headers } = response;
  return new Response(response.body.pipeThrough(bounded), { status, statusText, headers });
}
