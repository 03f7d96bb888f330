// The built command line as its users run it: npm start, pipes that close early, Ctrl-C, a real terminal. What can be
// tested without a process is in src/cli/main.test.ts.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { repoPath, seedModel } from './shared.ts';

const START = repoPath('scripts', 'start.mjs');
const ANSWER = '412 + 509 = 921.\n';
let folder: string;
/** No models but the embedded one, whatever is on this machine. */
let env: NodeJS.ProcessEnv;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gptoss-e2e-'));
  const { GPTOSS_ISA: _isa, HF_HUB_CACHE: _hf, HF_HOME: _home, LLAMA_CACHE: _llama, ...rest } = process.env;
  env = { ...rest, HOME: folder, XDG_CACHE_HOME: folder, OLLAMA_MODELS: folder, GPTOSS_HOME: folder };
  spawnSync(process.execPath, [repoPath('scripts', 'build.mjs'), '--no-native'], { stdio: 'ignore' });
}, 180_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function outcome(child: ChildProcess): Promise<Outcome> {
  let out = '';
  let err = '';
  child.stdout?.on('data', (chunk) => {
    out += chunk;
  });
  child.stderr?.on('data', (chunk) => {
    err += chunk;
  });
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, out, err })));
}

const gptoss = (argv: string[], options: { cwd?: string; env?: NodeJS.ProcessEnv } = {}): ChildProcess =>
  spawn(process.execPath, [START, ...argv], { cwd: options.cwd ?? folder, env: options.env ?? env });

describe('npm start', () => {
  it('answers on stdout alone, from another folder, with paths relative to where the user is', async () => {
    writeFileSync(join(folder, 'question.txt'), 'What is 412 + 509?');
    const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
    const argv = ['--prefix', repoPath(), 'start', '--silent', '--', 'run', '--file', 'question.txt'];
    const done = await outcome(spawn(npm, argv, { cwd: folder, env, shell: process.platform === 'win32' }));
    expect(done).toMatchObject({ code: 0, out: expect.stringMatching(/^[^\n]*921[^\n]*\n$/) });
  });

  it('passes exit codes on: 2 for wrong usage, 1 for failure with one line', async () => {
    const [usage, failure] = await Promise.all([
      outcome(gptoss(['--nonsense'])),
      outcome(gptoss(['--model', 'does/not/exist', 'x'])),
    ]);
    expect(usage).toMatchObject({ code: 2, out: '' });
    expect(failure).toMatchObject({ code: 1, out: '', err: expect.stringMatching(/^gptoss: not-found: [^\n]*\n$/) });
  });

  it('answers the same with the plainest kernels', async ({ skip }) => {
    const doctor = await outcome(gptoss(['doctor', '--json']));
    const { native } = JSON.parse(doctor.out) as { native: { isas: string[] } };
    skip(native.isas.length === 0, 'the native kernels are not built here');
    const forced = gptoss(['--quiet', '--model', seedModel, 'What is 412 + 509?'], {
      env: { ...env, GPTOSS_ISA: 'scalar' },
    });
    expect(await outcome(forced)).toEqual({ code: 0, out: ANSWER, err: '' });
  });
});

describe('a pipe', () => {
  /** Hundreds of tokens: nothing here ends by itself before the test acts. */
  const endless = (): string[] => {
    const path = join(folder, 'ids.json');
    writeFileSync(path, JSON.stringify([1019, 316, 1021, ...Array.from({ length: 200 }, (_, i) => 15 + (i % 10))]));
    return ['run', '--quiet', '--raw', '--model', seedModel, '--backend', 'reference', '--tokens', path];
  };

  it('that its reader closes ends the program quietly', async () => {
    const child = gptoss(endless());
    const done = outcome(child);
    child.stdout!.once('data', () => child.stdout!.destroy());
    expect(await done).toMatchObject({ code: 0, err: '' });
  });

  it.skipIf(process.platform === 'win32')('is left in order on Ctrl-C, with exit code 130', async () => {
    const child = gptoss(endless());
    const done = outcome(child);
    child.stdout!.once('data', () => child.kill('SIGINT'));
    expect(await done).toMatchObject({ code: 130, err: '' });
  });
});

const hasScript = spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout?.includes('util-linux') === true;

/** The command line on a terminal of its own: what is typed, and what comes on the screen from where it was last looked at. */
function onTerminal(argv: readonly string[]) {
  const command = [process.execPath, START, ...argv].map((word) => `'${word}'`).join(' ');
  const child = spawn('script', ['-qfec', command, '/dev/null'], {
    cwd: folder,
    env: { ...env, TERM: 'xterm', CI: '1' },
  });
  let screen = '';
  child.stdout.on('data', (chunk) => {
    screen += chunk;
  });
  /** Waits for a text; returns what came before it. */
  const shown = (text: RegExp): Promise<string> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const at = screen.search(text);
        if (at < 0) return;
        child.stdout.off('data', look);
        child.off('close', ended);
        const before = screen.slice(0, at);
        screen = screen.slice(at + 1);
        resolve(before);
      };
      const ended = (): void => reject(new Error(`it ended before ${text}: ${screen}`));
      child.stdout.on('data', look);
      child.on('close', ended);
      look();
    });
  return { shown, type: (text: string) => child.stdin.write(text), done: outcome(child) };
}

describe.skipIf(!hasScript)('a terminal (needs util-linux script)', () => {
  it('greets, answers, survives Ctrl-C, leaves after two on an empty line', async () => {
    const { shown, type, done } = onTerminal([]);
    await shown(/日本語/);
    await shown(/> /);
    type('What is 412 + 509?\r');
    await shown(/921/);
    await shown(/tokens\/s/);
    await shown(/> /);
    type('half a line\x03');
    await shown(/\^C/);
    await shown(/> /);
    type('\x03');
    await shown(/Ctrl-C again/);
    await shown(/> /);
    type('\x03');
    expect((await done).code).toBe(0);
  });

  it('asks before a call leaves the machine, and remembers what was allowed for the session', async () => {
    const { config, calls } = weather();
    const { shown, type, done } = onTerminal(['chat', '--model', seedModel, '--tools', 'mcp', '--mcp-config', config]);
    const question = /get_weather wants to[^\n]*\n[^\n]*allow\? y: once/;
    const ask = async (): Promise<void> => {
      await shown(/> /);
      type('What is the weather in Tokyo?\r');
      await shown(/▸ get_weather/);
    };
    await ask();
    await shown(question);
    type('n\r');
    await shown(/not allowed/);
    await shown(/tokens\/s/);
    expect(calls()).toBe(0);
    type('/reset\r');
    await shown(/forgotten/);
    await ask();
    await shown(question);
    type('s\r');
    await shown(/sunny in Tokyo/);
    await shown(/tokens\/s/);
    expect(calls()).toBe(1);
    await ask();
    expect(await shown(/sunny in Tokyo/)).not.toContain('wants to');
    await shown(/tokens\/s/);
    expect(calls()).toBe(2);
    type('/reset\r');
    await shown(/forgotten/);
    await ask();
    await shown(question);
    type('y\r');
    await shown(/sunny in Tokyo/);
    await shown(/tokens\/s/);
    expect(calls()).toBe(3);
    type('/quit\r');
    expect((await done).code).toBe(0);
  });
});

describe('a call that would leave the machine', () => {
  const argv = (config: string, ...more: string[]): string[] => [
    '--model',
    seedModel,
    '--tools',
    'mcp',
    '--mcp-config',
    config,
    ...more,
  ];
  const ask = 'What is the weather in Tokyo?';

  it('is denied where nobody can be asked, unless a list or --yes allows it', async () => {
    const { config, calls } = weather();
    const denied = await outcome(gptoss(['run', ...argv(config), ask]));
    expect(denied.code).toBe(0);
    expect(calls()).toBe(0);
    const piped = gptoss(['chat', '--quiet', ...argv(config)]);
    piped.stdin!.end(`${ask}\ny\n`); // lines of a pipe are messages, not permissions
    expect((await outcome(piped)).err).toContain('not allowed');
    expect(calls()).toBe(0);
    for (const [i, allowed] of [['--yes'], ['--allow', 'get_weather']].entries()) {
      const done = await outcome(gptoss(['run', ...argv(config, ...allowed), ask]));
      expect(done).toMatchObject({ code: 0, out: 'It is 18 degrees and sunny in Tokyo.\n' });
      expect(calls()).toBe(i + 1);
    }
    const log = readFileSync(join(folder, 'tools.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(log.map(({ decision }) => decision).slice(-4)).toEqual(['denied', 'denied', 'allowed', 'listed']);
  });
});

/** A configuration of an MCP server whose tool the seed was trained to call, and how often it was called. */
function weather(): { config: string; calls(): number } {
  const own = mkdtempSync(join(folder, 'weather-'));
  const config = join(own, 'mcp.json');
  const file = join(own, 'calls');
  const args = [repoPath('test', 'fixtures', 'weather-server.mjs'), file];
  writeFileSync(config, JSON.stringify({ mcpServers: { get: { command: process.execPath, args } } }));
  return { config, calls: () => (existsSync(file) ? readFileSync(file, 'utf8').split('\n').length - 1 : 0) };
}
