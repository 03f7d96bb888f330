// What every command is given besides its options: where to write, where to read, what the environment says, and the
// signal that fires when the user or the reader of our output has had enough. Nothing below reads `process` for these.

import type { HubSettings } from '../hub/roots.ts';
import type { Environment } from './environment.ts';
import type { Terminal } from './terminal.ts';

export interface Context {
  readonly terminal: Terminal;
  readonly stdin: NodeJS.ReadStream;
  readonly environment: Environment;
  readonly stores: HubSettings;
  readonly version: string;
  /** Fires when the command should end: Ctrl-C, or nobody reads our output any more. */
  readonly signal: AbortSignal;
  /** From now on Ctrl-C calls this instead (chat stops an answer with it, not the program). */
  takeInterrupts(handler: () => void): void;
}

/** Wrong usage found only after parsing: exit code 2. */
export class UsageError extends Error {}

/** Lines on stderr beside the answer. Commands say them once something has worked, so that a failure is one line. */
export function sayNotices(notices: readonly string[], { terminal }: Context, quiet: boolean): void {
  if (!quiet) for (const notice of notices) terminal.err.write(`gptoss: ${notice}\n`);
}
