// Owns: which MCP servers there are, from a file in the usual form: `{"mcpServers": {"name": {"command": …} | {"url": …}}}`.
// Refuses: what it cannot read, by the name of the entry. Next: connection.node.ts.

import { GptOssError } from '../../errors.ts';

export type McpServerConfig = {
  readonly name: string;
  /** Seconds that starting may take, and each call; default 30 and 60. */
  readonly startSeconds?: number;
  readonly callSeconds?: number;
} & (
  | {
      readonly kind: 'stdio';
      readonly command: string;
      readonly args: readonly string[];
      readonly env: Readonly<Record<string, string>>;
      readonly cwd?: string;
    }
  | { readonly kind: 'http'; readonly url: string; readonly headers: Readonly<Record<string, string>> }
);

const MOST_SERVERS = 32;

/** Servers of a configuration; those with `"disabled": true` are left out. Throws `invalid-request`. */
export function mcpServersIn(text: string, from: string): McpServerConfig[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new GptOssError('invalid-request', `${from} is no JSON; expected {"mcpServers": {…}}; correct it`, { cause });
  }
  const servers = isRecord(value) ? value['mcpServers'] : undefined;
  if (!isRecord(servers)) {
    throw new GptOssError('invalid-request', `${from} names no servers; expected {"mcpServers": {…}}; correct it`);
  }
  const entries = Object.entries(servers).filter(([, entry]) => !(isRecord(entry) && entry['disabled'] === true));
  if (entries.length > MOST_SERVERS) {
    throw new GptOssError(
      'invalid-request',
      `${from} names ${entries.length} servers; expected at most ${MOST_SERVERS}`,
    );
  }
  return entries.map(([name, entry]) => serverIn(name, entry, from));
}

function serverIn(name: string, entry: unknown, from: string): McpServerConfig {
  const wrong = (what: string): GptOssError =>
    new GptOssError('invalid-request', `server ${JSON.stringify(name)} in ${from}: ${what}; correct the entry`);
  if (!isRecord(entry)) throw wrong('it is no object; expected {"command": …} or {"url": …}');
  const { command, args = [], env = {}, cwd, url, headers = {} } = entry;
  const seconds = {
    ...(positive(entry['startSeconds']) ? { startSeconds: entry['startSeconds'] as number } : {}),
    ...(positive(entry['callSeconds']) ? { callSeconds: entry['callSeconds'] as number } : {}),
  };
  if ((command === undefined) === (url === undefined)) throw wrong('expected one of "command" and "url"');
  if (url !== undefined) {
    if (typeof url !== 'string' || !URL.canParse(url) || !/^https?:/i.test(url))
      throw wrong('"url" is no http address');
    if (!isTexts(headers)) throw wrong('"headers" holds something that is no text');
    return { name, kind: 'http', url, headers, ...seconds };
  }
  if (typeof command !== 'string' || command === '') throw wrong('"command" is no text');
  if (!Array.isArray(args) || !args.every((each) => typeof each === 'string'))
    throw wrong('"args" is no list of texts');
  if (!isTexts(env)) throw wrong('"env" holds something that is no text');
  if (cwd !== undefined && typeof cwd !== 'string') throw wrong('"cwd" is no text');
  return { name, kind: 'stdio', command, args, env, ...(cwd === undefined ? {} : { cwd }), ...seconds };
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isTexts = (value: unknown): value is Record<string, string> =>
  isRecord(value) && Object.values(value).every((each) => typeof each === 'string');
const positive = (value: unknown): boolean => typeof value === 'number' && value > 0 && value <= 3600;

/** `server_tool` as a name that a prompt can hold and no other tool has. */
export function safeName(server: string, tool: string, taken: ReadonlySet<string>): string {
  const clean = (text: string): string => text.replace(/\W+/g, '_').replace(/^_+|_+$/g, '');
  const base = `${clean(server) || 'mcp'}_${clean(tool) || 'tool'}`.replace(/^(?=\d)/, '_').slice(0, 60);
  for (let n = 1; ; n++) {
    const name = n === 1 ? base : `${base}_${n}`;
    if (!taken.has(name)) return name;
  }
}
