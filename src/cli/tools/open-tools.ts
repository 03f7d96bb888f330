// Owns: the tools a command was told to use. One kind for each name of `--tools`: what it costs once for the program (a
// warm interpreter, an index) and what each conversation gets of it. Also who allows what, and where calls are written
// down. A new tool is a row in `toolKinds`. Next: agent/tool.ts (what a tool is).

import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Audit } from '../../agent/audit.ts';
import { auditFile } from '../../agent/audit-file.node.ts';
import { type AllowList, type Ask, allowAll, Permissions } from '../../agent/permission.ts';
import { PythonHost } from '../../agent/python/host.node.ts';
import { pythonTool } from '../../agent/python/python-tool.ts';
import type { Toolset } from '../../agent/tool.ts';
import type { CitedDocument, HostedTools } from '../../server/hosted-tools.ts';
import { type Context, UsageError } from '../context.ts';
import { browserKind, mcpKind, patchKind } from './browser-kind.ts';
import type { ToolOptions } from './tool-arguments.ts';

/** One kind of tools, opened for the program. */
export interface ToolKind {
  /** One line: what stands behind it. May wait until it is known. */
  describe(): Promise<string>;
  /** For one conversation; closed with it. `tokensOf`: by the tokenizer of the model that reads its results. */
  open(tokensOf?: (text: string) => number): Toolset;
  /** What a citation of its leads to, where no browser could open it. */
  document?(url: string): Promise<CitedDocument | null>;
  close(): Promise<void>;
}

type OpenKind = (options: ToolOptions, context: Context) => Promise<ToolKind>;

const toolKinds: Readonly<Record<string, OpenKind>> = {
  browser: browserKind,
  apply_patch: patchKind,
  mcp: mcpKind,
  python: async (options, context) => {
    const host = new PythonHost({
      unconfined: options.pythonUnconfined,
      deno: onPath('deno', context.environment.path),
    });
    host.warm();
    return {
      describe: async () => {
        const { wall, holds, holes } = await host.prove();
        return holds
          ? `python behind ${wall}`
          : `python without a wall that holds: it may reach ${holes.join(', ')} (--python-unconfined)`;
      },
      open: () => pythonTool(host.open()),
      close: () => host.close(),
    };
  },
};

/** The tools of a program. */
export class OpenTools implements HostedTools {
  readonly names: readonly string[];
  readonly permissions: Permissions;
  readonly audit: Audit;
  readonly #kinds: readonly ToolKind[];

  constructor(names: readonly string[], kinds: readonly ToolKind[], permissions: Permissions, audit: Audit) {
    this.names = names;
    this.#kinds = kinds;
    this.permissions = permissions;
    this.audit = audit;
  }

  describe(): Promise<string[]> {
    return Promise.all(this.#kinds.map((kind) => kind.describe()));
  }

  /** Fresh tools for a new conversation, all or those of some names; whoever opens them closes them. */
  open(names: readonly string[] = this.names, tokensOf?: (text: string) => number): Toolset[] {
    return names.map((name) => this.#kinds[this.names.indexOf(name)]!.open(tokensOf));
  }

  async document(url: string): Promise<CitedDocument | null> {
    for (const kind of this.#kinds) {
      const document = (await kind.document?.(url)) ?? null;
      if (document !== null) return document;
    }
    return null;
  }

  async close(): Promise<void> {
    await Promise.all(this.#kinds.map((kind) => kind.close()));
  }
}

/** Null when no tools were asked for. `ask`: who decides what no list allows; null: it is denied. */
export async function openTools(options: ToolOptions, context: Context, ask: Ask | null): Promise<OpenTools | null> {
  const { tools, allow, yes, toolLog } = options;
  if (tools.length === 0) return null;
  for (const name of tools) {
    if (Object.hasOwn(toolKinds, name)) continue;
    throw new UsageError(`--tools ${name}: no such tool; expected ${Object.keys(toolKinds).join(', ')}`);
  }
  const permissions = new Permissions({ allow: allowList(allow), ask: yes ? allowAll : ask });
  const audit = auditFile(toolLog ?? join(context.stores.home, 'tools.jsonl'));
  const kinds: ToolKind[] = [];
  try {
    for (const name of tools) kinds.push(await toolKinds[name]!(options, context));
  } catch (error) {
    await Promise.all(kinds.map((kind) => kind.close()));
    throw error;
  }
  return new OpenTools(tools, kinds, permissions, audit);
}

function allowList(entries: readonly string[]): AllowList {
  const list: Record<string, true | string[]> = {};
  for (const entry of entries) {
    const at = entry.indexOf('=');
    const [tool, scope] = at < 0 ? [entry, null] : [entry.slice(0, at), entry.slice(at + 1)];
    const before = Object.hasOwn(list, tool) ? list[tool]! : [];
    list[tool] = scope === null || before === true ? true : [...before, scope];
  }
  return list;
}

function onPath(name: string, path: string): string | null {
  const folders = path.split(delimiter).filter((folder) => folder.startsWith('/'));
  return folders.map((folder) => join(folder, name)).find((file) => existsSync(file)) ?? null;
}
