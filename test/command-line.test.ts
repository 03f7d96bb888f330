// The built command line as its users run it: npm start, pipes that close early, Ctrl-C, a real terminal. What can be
// tested without a process is in src/cli/main.test.ts.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { repoPath } from './shared.ts';

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
    expect(done).toMatchObject({ code: 0, out: ANSWER });
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
    const forced = gptoss(['--quiet', 'What is 412 + 509?'], { env: { ...env, GPTOSS_ISA: 'scalar' } });
    expect(await outcome(forced)).toEqual({ code: 0, out: ANSWER, err: '' });
  });
});

describe('a pipe', () => {
  /** Hundreds of tokens: nothing here ends by itself before the test acts. */
  const endless = (): string[] => {
    const path = join(folder, 'ids.json');
    writeFileSync(path, JSON.stringify([1019, 316, 1021, ...Array.from({ length: 200 }, (_, i) => 15 + (i % 10))]));
    return ['run', '--quiet', '--raw', '--backend', 'reference', '--tokens', path];
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

describe.skipIf(!hasScript)('a terminal (needs util-linux script)', () => {
  it('greets, answers, survives Ctrl-C, leaves after two on an empty line', async () => {
    const command = `'${process.execPath}' '${START}'`;
    const child = spawn('script', ['-qfec', command, '/dev/null'], {
      cwd: folder,
      env: { ...env, TERM: 'xterm', CI: '1' },
    });
    let screen = '';
    const shown = (text: string | RegExp): Promise<void> =>
      new Promise((resolve) => {
        const look = (): void => {
          const at = screen.search(text);
          if (at < 0) return;
          screen = screen.slice(at + 1);
          child.stdout.off('data', look);
          resolve();
        };
        child.stdout.on('data', look);
        look();
      });
    child.stdout.on('data', (chunk) => {
      screen += chunk;
    });
    const done = outcome(child);
    await shown(/日本語/);
    await shown(/> /);
    child.stdin.write('What is 412 + 509?\r');
    await shown(/412 \+ 509 = 921\./);
    await shown(/tokens\/s/);
    await shown(/> /);
    child.stdin.write('half a line\x03');
    await shown(/\^C/);
    await shown(/> /);
    child.stdin.write('\x03');
    await shown(/Ctrl-C again/);
    await shown(/> /);
    child.stdin.write('\x03');
    expect((await done).code).toBe(0);
  });
});
