#!/usr/bin/env node
// The process: signals, pipes that close early, the exit code. What the program does is in main.ts.
// First Ctrl-C: the command ends in order (exit code 130). Second: at once. A reader that goes away ends it quietly.

import { readFileSync } from 'node:fs';
import { hubSettings } from '../hub/roots.ts';
import { describeError } from './describe-error.ts';
import { readEnvironment } from './environment.ts';
import { main } from './main.ts';
import { processTerminal } from './terminal.ts';

const enough = new AbortController();
let readerLeft = false;
let onInterrupt: (() => void) | null = null;

process.on('SIGINT', () => {
  if (onInterrupt !== null) return onInterrupt();
  if (enough.signal.aborted) process.exit(130);
  enough.abort();
});
for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
  process.on(event, (error: unknown) => {
    process.stderr.write(`${describeError(error, process.argv.includes('--verbose'))}\n`);
    process.exit(1);
  });
}

const environment = readEnvironment();
const terminal = processTerminal(environment, () => {
  readerLeft = true;
  enough.abort();
});
const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

const code = await main(process.argv.slice(2), {
  terminal,
  stdin: process.stdin,
  environment,
  stores: hubSettings(),
  version,
  signal: enough.signal,
  takeInterrupts: (handler) => {
    onInterrupt = handler;
  },
});
// Nothing may keep the process alive now; what is still in the pipe goes out first.
process.stdout.write('', () => process.exit(readerLeft ? 0 : code));
