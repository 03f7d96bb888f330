// Arguments of `conform`. Next: conform.ts, which runs it.

import type { Command as Program } from 'commander';
import type { ModelOptions, Verbosity } from '../arguments.ts';
import type { CommandParts } from '../command-parts.ts';

export interface ConformCommand extends ModelOptions, Verbosity {
  readonly name: 'conform';
  /** Absent: a server of this program with `model`. */
  readonly url?: string;
  readonly apiKey?: string;
  /** The model's name in requests. Default: the first that the server lists. */
  readonly requestModel?: string;
  readonly k: number;
  /** Only cases whose group or name contains one of these. */
  readonly only: readonly string[];
  readonly concurrency: number;
  readonly timeout: number; // seconds, for each request
  readonly json: boolean;
}

export function addConformCommand(
  program: Program,
  found: (command: ConformCommand) => void,
  parts: CommandParts,
): void {
  const { collect, whole } = parts;
  const conform = program.command('conform').description('check a server: shapes, events, tools, effort, schemas');
  conform
    .option('--url <url>', 'any server that speaks as OpenAI does (default: one of our own, with --model)')
    .option('--api-key <key>', 'key to send')
    .option('--request-model <name>', 'model to name in requests (default: the first that the server lists)')
    .option('--k <n>', 'times to ask each case; it has to pass every time', whole(1), 3)
    .option('--only <text>', 'only cases whose group or name contains this (repeatable)', collect, [])
    .option('--concurrency <n>', 'cases asked at once', whole(1), 4)
    .option('--timeout <seconds>', 'for each request', whole(1), 300)
    .option('--json', 'print one JSON object', false);
  parts.addModelOptions(conform);
  parts.addVerbosity(conform);
  conform.action((options) => found({ name: 'conform', ...options }));
}
