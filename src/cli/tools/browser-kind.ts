// Owns: what `--tools browser`, `apply_patch` and `mcp` mean on the command line: which folder, which search engine, which
// servers. Refuses: a browser of nothing (a folder or a search engine has to be named). Next: open-tools.ts.

import { readFileSync } from 'node:fs';
import { FetchError } from '../../agent/browser/addresses.ts';
import type { PageBackend, SearchBackend } from '../../agent/browser/backend.ts';
import type { LocalIndex } from '../../agent/browser/local-index.node.ts';
import type { PageReader } from '../../agent/browser/page-reader.ts';
import type { Toolset } from '../../agent/tool.ts';
import type { CitedDocument } from '../../server/hosted-tools.ts';
import { type Context, UsageError } from '../context.ts';
import type { ToolKind } from './open-tools.ts';
import type { ToolOptions } from './tool-arguments.ts';

/** Libraries are loaded only when the tool is wanted. */
export async function browserKind(options: ToolOptions, { environment }: Context): Promise<ToolKind> {
  const { pages: folder, search: engine } = options;
  if (folder === undefined && engine === undefined) {
    throw new UsageError(
      '--tools browser needs --pages FOLDER (no network), or --search brave, exa or the address of a SearXNG',
    );
  }
  const { browserTool } = await import('../../agent/browser/browser-tool.ts');
  const { PagesApart } = await import('../../agent/browser/page-reader.node.ts');
  const { WebPages, webSearch } = await import('../../agent/browser/web.node.ts');
  // Pages are hostile to their parsers: a process of its own may be ended.
  const reader = new PagesApart();
  const backends: PageBackend[] = [];
  const closers: (() => unknown)[] = [() => reader.close()];
  let local: LocalIndex | null = null;
  const says: string[] = [];
  let search: SearchBackend | null = null;
  if (engine !== undefined) {
    const isService = engine === 'brave' || engine === 'exa';
    const key = engine === 'brave' ? environment.braveKey : environment.exaKey;
    if (isService && key === undefined) {
      throw new UsageError(`--search ${engine} needs a key in ${engine === 'brave' ? 'BRAVE_API_KEY' : 'EXA_API_KEY'}`);
    }
    const web = webSearch(isService ? { kind: engine, key: key! } : { kind: 'searxng', url: engine });
    closers.push(() => web.close());
    says.push(`the web through ${web.host}`);
    search = web;
  }
  if (folder !== undefined) {
    const { openLocalIndex } = await import('../../agent/browser/local-index.node.ts');
    const index = await openLocalIndex(folder, { reader }).catch((error: unknown) => {
      reader.close();
      throw error;
    });
    local = index;
    closers.push(() => index.close());
    says.push(`${index.size} pages of ${folder}`);
    search ??= index;
    backends.push(index);
  }
  if (engine !== undefined) {
    const web = new WebPages({ reader });
    closers.push(() => web.close());
    backends.push(web);
  }
  return {
    describe: async () => `browser over ${says.join(' and ')}`,
    open: (tokensOf) => browserTool({ search: search!, pages: backends, reader, tokensOf }),
    document: async (url) => (local === null ? null : cited(local, reader, url)),
    close: async () => {
      for (const close of closers) await close();
    },
  };
}

/** A page of the folder as the model reads it; null: it is not there (any more). */
async function cited(index: LocalIndex, reader: PageReader, url: string): Promise<CitedDocument | null> {
  if (index.hostOf(url) === null) return null;
  try {
    const { title, lines } = await reader.page(await index.open(url));
    return { url, title, lines };
  } catch (error) {
    if (error instanceof FetchError) return null;
    throw error;
  }
}

export async function patchKind({ workFolder = '.' }: ToolOptions): Promise<ToolKind> {
  const { openPatchFolder } = await import('../../agent/patch/folder.node.ts');
  const { applyPatchTool } = await import('../../agent/patch/patch-tool.ts');
  const folder = await openPatchFolder(workFolder);
  const set: Toolset = { name: 'apply_patch', tools: [applyPatchTool(folder)] };
  return { describe: async () => `apply_patch in ${folder.name}`, open: () => set, close: async () => undefined };
}

export async function mcpKind({ mcpConfig }: ToolOptions, { version }: Context): Promise<ToolKind> {
  if (mcpConfig === undefined) throw new UsageError('--tools mcp needs --mcp-config FILE with {"mcpServers": {…}}');
  let text: string;
  try {
    text = readFileSync(mcpConfig, 'utf8');
  } catch {
    throw new UsageError(`--mcp-config ${mcpConfig}: no file that can be read`);
  }
  const { mcpServersIn } = await import('../../agent/mcp/config.ts');
  const { McpHub } = await import('../../agent/mcp/hub.node.ts');
  const hub = await McpHub.open(mcpServersIn(text, mcpConfig), version);
  const broken = hub.problems.length === 0 ? '' : `; without ${hub.problems.join('; ')}`;
  return {
    describe: async () => `mcp: ${hub.tools.length} tools${broken}`,
    open: () => hub.toolset(),
    close: () => hub.close(),
  };
}
