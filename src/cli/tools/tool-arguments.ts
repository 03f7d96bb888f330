// Options of every command that runs tools. Next: open-tools.ts, which makes tools of them.

import { InvalidArgumentError, type Command as Program } from 'commander';

export interface ToolOptions {
  /** Names of tools, in the order given; a name is what `toolKinds` of open-tools.ts knows. */
  readonly tools: readonly string[];
  /** `TOOL` or `TOOL=SCOPE`: allowed without asking. */
  readonly allow: readonly string[];
  /** Everything is allowed without asking. */
  readonly yes: boolean;
  readonly pythonUnconfined: boolean;
  /** Folder that the browser searches and opens. */
  readonly pages?: string;
  /** `brave`, `exa` or the address of a SearXNG. */
  readonly search?: string;
  /** Folder that apply_patch edits; absent: the current one. */
  readonly workFolder?: string;
  /** File that names MCP servers. */
  readonly mcpConfig?: string;
  /** Where each call is written down; absent: in the folder of gptoss. */
  readonly toolLog?: string;
}

export function addToolOptions(command: Program): void {
  command
    .option('--tools <list>', 'let the model use these tools, e.g. python,browser,apply_patch,mcp', names, [])
    .option(
      '--allow <tool>',
      'TOOL or TOOL=SCOPE may leave this machine or write without asking (repeatable)',
      each,
      [],
    )
    .option('--yes', 'allow the tools everything without asking', false)
    .option('--pages <folder>', 'pages the browser searches and opens without any network')
    .option('--search <engine>', 'web search of the browser: brave, exa, or the address of a SearXNG')
    .option('--work-folder <folder>', 'folder that apply_patch edits (default: the current one)')
    .option('--mcp-config <file>', 'MCP servers whose tools may be used, as {"mcpServers": {…}}')
    .option('--python-unconfined', 'run python even if no wall around it holds on this machine', false)
    .option(
      '--tool-log <file>',
      'write each call of a tool there, as lines of JSON (default: in the folder of gptoss)',
    );
}

function names(value: string, before: readonly string[]): string[] {
  const found = value
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  if (found.length === 0) throw new InvalidArgumentError('expected names of tools, with commas between them.');
  return [...new Set([...before, ...found])];
}

function each(value: string, before: readonly string[]): string[] {
  if (value === '' || value.startsWith('=')) throw new InvalidArgumentError('expected TOOL or TOOL=SCOPE.');
  return [...before, value];
}
