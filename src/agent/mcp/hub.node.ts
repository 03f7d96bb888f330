// Owns: the tools of all MCP servers as functions a model can call: named `server_tool`, with the schemas their servers
// gave. What a server says about itself (that a tool only reads, say) is not believed, so every call needs permission.
// Results are data: text as it is, pictures for people, everything else named. Next: connection.node.ts.

import { type Tool, type ToolFile, type ToolOutput, type Toolset, toolError } from '../tool.ts';
import { type McpServerConfig, safeName } from './config.ts';
import { McpConnection, type RemoteResult, type RemoteTool } from './connection.node.ts';

const MOST_CHARACTERS = 256 * 1024;
const MOST_IMAGE = 8 * 2 ** 20; // characters of base64
const MOST_TOOLS = 256;

export class McpHub {
  readonly tools: readonly Tool[];
  /** Servers that are not there, with the reason. */
  readonly problems: readonly string[];
  readonly #connections: readonly McpConnection[];

  private constructor(tools: readonly Tool[], problems: readonly string[], connections: readonly McpConnection[]) {
    this.tools = tools;
    this.problems = problems;
    this.#connections = connections;
  }

  /** Starts all servers at once; those that fail are problems, not errors. */
  static async open(servers: readonly McpServerConfig[], version: string): Promise<McpHub> {
    const connections = servers.map((config) => new McpConnection(config, version));
    const found = await Promise.all(
      connections.map(async (connection) => {
        try {
          return { connection, tools: await connection.tools(), problem: null };
        } catch (error) {
          await connection.close();
          return { connection, tools: [], problem: error instanceof Error ? error.message : String(error) };
        }
      }),
    );
    const taken = new Set<string>();
    const tools = found.flatMap(({ connection, tools }) =>
      tools.map((remote) => {
        const name = safeName(connection.config.name, remote.name, taken);
        taken.add(name);
        return toolOf(connection, remote, name);
      }),
    );
    const problems = found.flatMap(({ problem }) => (problem === null ? [] : [problem.slice(0, 500)]));
    if (tools.length > MOST_TOOLS) problems.push(`${tools.length - MOST_TOOLS} tools are left out: there are too many`);
    return new McpHub(tools.slice(0, MOST_TOOLS), problems, connections);
  }

  /** For one conversation; the servers stay. */
  toolset(): Toolset {
    return { name: 'mcp', tools: this.tools };
  }

  async close(): Promise<void> {
    await Promise.all(this.#connections.map((connection) => connection.close()));
  }
}

function toolOf(connection: McpConnection, remote: RemoteTool, name: string): Tool {
  const { config } = connection;
  return {
    recipient: `functions.${name}`,
    definition: { name, description: remote.description, parameters: remote.schema },
    seconds: (config.startSeconds ?? 30) + (config.callSeconds ?? 60) + 5,
    needs: ({ text }) => ({
      effects: ['network', 'write'],
      summary: `${config.name}: ${remote.name}(${text.length > 200 ? `${text.slice(0, 200)}…` : text})`,
      scope: config.name,
    }),
    async run({ value, text }, { signal }): Promise<ToolOutput> {
      const given = value ?? (text.trim() === '' ? {} : undefined);
      if (typeof given !== 'object' || given === null || Array.isArray(given)) {
        return toolError(`the arguments of ${name} are no JSON object; write one`);
      }
      return outputOf(await connection.call(remote.name, given as Record<string, unknown>, signal));
    },
  };
}

function outputOf({ content, structured, isError }: RemoteResult): ToolOutput {
  const parts: string[] = [];
  const images: ToolFile[] = [];
  for (const part of content.slice(0, 1000)) {
    const { type } = part;
    const resource = part['resource'] as Record<string, unknown> | undefined;
    if (type === 'text') parts.push(String(part['text']));
    else if (type === 'resource' && typeof resource?.['text'] === 'string') parts.push(resource['text']);
    else if (type === 'image' && typeof part['data'] === 'string' && part['data'].length <= MOST_IMAGE) {
      const mediaType = /^image\/(png|jpeg|gif|webp)$/.exec(String(part['mimeType']))?.[0];
      if (mediaType === undefined) continue;
      images.push({ name: `image-${images.length + 1}`, mediaType, bytes: Buffer.from(part['data'], 'base64') });
      parts.push('[a picture was shown to the user]');
    } else if (type === 'resource_link') parts.push(`[${String(part['name'])}: ${String(part['uri'])}]`);
    else parts.push(`[${String(type)} was left out]`);
  }
  if (parts.length === 0 && structured !== undefined) parts.push(JSON.stringify(structured));
  const text = parts.join('\n');
  const cut = text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS)}\n[… the rest was left out]` : text;
  return {
    text: isError ? `Error: ${cut}` : cut,
    ...(isError ? { isError } : {}),
    ...(images.length > 0 ? { images } : {}),
  };
}
