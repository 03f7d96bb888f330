// A real `gptoss serve` in a process of its own, on a free port of loopback, with a home of its own. Not shipped.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { repoPath, seedModel } from './shared.ts';

export interface ServerProcess {
  readonly url: string;
  readonly child: ChildProcess;
  /** What it wrote to stderr so far. */
  log(): string;
  /** Resolves to the exit code, or the signal. */
  stop(signal?: NodeJS.Signals): Promise<number | string>;
}

/** `within`: a program that runs the rest of its command line, and its arguments. */
export async function startServer(
  home: string,
  args: readonly string[] = [],
  within: readonly string[] = [],
): Promise<ServerProcess> {
  const serve = ['--import', 'tsx', repoPath('src/cli/bin.ts'), 'serve', '--model', seedModel, '--port', '0', ...args];
  const [program, ...argv] = [...within, process.execPath, ...serve];
  const child = spawn(program!, argv, {
    cwd: repoPath('.'),
    env: { PATH: process.env['PATH'], HOME: home, GPTOSS_HOME: home },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  child.stderr.on('data', (chunk: Buffer) => {
    log += chunk.toString();
  });
  const exited = once(child, 'exit').then(([code, signal]) => (code ?? signal) as number | string);
  const url = await new Promise<string>((resolve, reject) => {
    let out = '';
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString();
      const end = out.indexOf('\n');
      if (end >= 0) resolve(out.slice(0, end));
    });
    exited.then((code) => reject(new Error(`the server ended (${code}): ${log}`)), reject);
  });
  return {
    url,
    child,
    log: () => log,
    stop: (signal = 'SIGTERM') => {
      child.kill(signal);
      return exited;
    },
  };
}

/** A folder that is gone afterwards. */
export function temporaryFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'gptoss-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}
