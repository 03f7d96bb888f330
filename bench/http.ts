// What `gptoss serve` passes on of what the engine gives: tokens per second of streamed chat answers over loopback, beside
// the same prompts, settings and masks in an engine of its own. Both take turns in one run, so the machine's moods hit both.
// Usage: node --import tsx bench/http.ts [MODEL] [STREAMS] [TOKENS] [ROUNDS]. Prints one JSON object; the machine has to be idle.

import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Agent, fetch } from 'undici';
import { passedOn } from './passed-on.ts';

const [path = 'tiny', streams = '8', tokens = '200', rounds = '5'] = process.argv.slice(2);
const home = mkdtempSync(join(tmpdir(), 'gptoss-'));
const bin = fileURLToPath(new URL('../src/cli/bin.ts', import.meta.url));
const argv = [bin, 'serve', '--model', path, '--port', '0', '--store', 'memory', '--max-concurrency', '64', '--quiet'];
const server = spawn(process.execPath, [...process.execArgv, ...argv], {
  env: { PATH: process.env['PATH'], HOME: home, GPTOSS_HOME: home },
  stdio: ['ignore', 'pipe', 'inherit'],
});
try {
  const url = await new Promise<string>((resolve, reject) => {
    server.stdout.on('data', (chunk: Buffer) => resolve(chunk.toString().split('\n')[0]));
    server.on('exit', (code) => reject(new Error(`the server ended (${code})`)));
  });
  const dispatcher = new Agent({ connections: 256 });
  const post = (body: string) =>
    fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
      dispatcher,
    });
  const figures = await passedOn({
    path: path === 'tiny' ? undefined : path,
    streams: Number(streams),
    tokens: Number(tokens),
    rounds: Number(rounds),
    ask: async (body) => (await post(body)).text(),
    ...(process.platform === 'linux' ? { serverTime: () => processorTime(server.pid!) } : {}),
  });
  process.stdout.write(`${JSON.stringify(figures)}\n`);
  await dispatcher.close();
} finally {
  server.kill();
  rmSync(home, { recursive: true, force: true });
}

/** Milliseconds, in ticks of 10. */
function processorTime(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}
