// Arguments of `serve`. Next: serve.ts, which runs it.

import { Option, type Command as Program } from 'commander';
import type { Effort, ModelOptions, Verbosity } from './arguments.ts';
import type { CommandParts } from './command-parts.ts';
import { addToolOptions, type ToolOptions } from './tools/tool-arguments.ts';

export interface ServeCommand extends ModelOptions, ToolOptions, Verbosity {
  readonly name: 'serve';
  readonly host: string;
  readonly port: number;
  readonly apiKey: readonly string[];
  /** Listen beyond this machine although no key is set. */
  readonly anonymous: boolean;
  readonly corsOrigin: readonly string[];
  readonly allowedHost: readonly string[];
  readonly maxConcurrency?: number;
  readonly maxQueue?: number;
  readonly prefillShare?: number; // percent
  readonly modelAlias: readonly string[];
  readonly strictModel: boolean;
  readonly reasoning?: Effort;
  /** Path of the file, or `memory`; absent: beside the models. */
  readonly store?: string;
  readonly maxBody?: number; // MiB
  /** Folder where beginnings of prompts outlive the server; absent: nowhere. */
  readonly cacheDir?: string;
  readonly cacheDirSize?: number; // GiB
  readonly grace: number; // seconds
  readonly logLevel?: 'debug' | 'info' | 'warn' | 'error' | 'silent';
}

export function addServeCommand(program: Program, found: (command: ServeCommand) => void, parts: CommandParts): void {
  const { collect, whole, number } = parts;
  const serve = program.command('serve').description('answer OpenAI, Anthropic and Ollama clients over HTTP');
  serve
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .option('--port <n>', 'port to listen on (0: any free one)', whole(0), 8080)
    .option('--api-key <key>', 'clients must send this key (repeatable; also GPTOSS_API_KEY)', collect, [])
    .option('--anonymous', 'listen beyond this machine without any key', false)
    .option('--cors-origin <origin>', 'pages of this origin may call, * for any (repeatable)', collect, [])
    .option('--allowed-host <name>', 'name under which clients reach this machine, * for any (repeatable)', collect, [])
    .option('--max-concurrency <n>', 'answers computed at once (default: 8)', whole(1))
    .option('--max-queue <n>', 'requests that may wait (default: 256)', whole(0))
    .option(
      '--prefill-share <percent>',
      'share of the time for prompts while others decode (default: 60)',
      number(5, 95),
    )
    .option('--model-alias <name>', 'another name of the model (repeatable)', collect, [])
    .option('--strict-model', 'refuse requests that name a model that is not here', false)
    .addOption(new Option('--reasoning <effort>', 'for requests that name none').choices(['low', 'medium', 'high']))
    .option('--store <path>', 'file of stored responses, or memory (default: in the folder of gptoss)')
    .option('--cache-dir <folder>', 'keep what was read of prompts here, so that a restart does not read it again')
    .option(
      '--cache-dir-size <gib>',
      'most that folder may hold, the least recently used going first (default: 4)',
      number(0, 4096),
    )
    .option('--max-body <mib>', 'largest request (default: by context, 4 to 32)', whole(1))
    .option('--grace <seconds>', 'time for running answers when the server stops', whole(0), 30)
    .addOption(
      new Option('--log-level <level>', 'JSON lines on stderr (default: info, on a terminal warn)').choices([
        ...['debug', 'info', 'warn', 'error', 'silent'],
      ]),
    );
  parts.addModelOptions(serve);
  addToolOptions(serve);
  parts.addVerbosity(serve);
  serve.action((options) => {
    if (options.port > 65_535) serve.error('error: --port is above 65535');
    found({ name: 'serve', ...options });
  });
}
