// Agent programs as people install them, each for one headless task against the server on loopback: the model says to run a
// tool, the program really runs it and sends the result back, the model reads the file by another tool, then answers. Every
// program gets a home and a working folder of its own, no way to its maker's services, a time limit, and is ended with all
// that it started.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { call, final, type Script } from '../../src/server/scripted.testing.ts';
import { temporaryFolder } from '../server-process.ts';
import { type ScriptedServer, startScripted } from './scripted-server.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());

const LIMIT_MS = 120_000;
const task = 'Write a note into note.txt, read it again, and tell me what it says.';
const note = 'Tokyo is sunny today'; // in no prompt of the programs' own
const answer = `The note says: ${note}.`;

interface Tool {
  readonly name: string;
  readonly given: object;
}

/** Writes the note by one tool, reads it by another, answers. What has no tools is asked for a title. */
function script(write: Tool, read: Tool): Script {
  return (prompt) => {
    const said = (name: string): boolean => prompt.includes(`<|start|>functions.${name} to=assistant`);
    if (!prompt.includes(`type ${write.name} = `)) return final('A note');
    if (said(read.name) && (read.name !== write.name || prompt.split(` to=functions.${read.name}`).length > 2)) {
      return final(answer, 'It is as I wrote it.');
    }
    const next = said(write.name) ? read : write;
    return call(next.name, JSON.stringify(next.given), `Next comes ${next.name}.`);
  };
}

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs a program to its end or the time limit, and leaves no process of it behind. */
async function run(command: readonly string[], cwd: string, env: Readonly<Record<string, string>>): Promise<Ended> {
  const child: ChildProcess = spawn(command[0], command.slice(1), {
    cwd,
    env: { PATH: process.env['PATH'], LANG: 'C.UTF-8', NO_PROXY: '127.0.0.1', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true, // a process group of its own
  });
  let out = '';
  let err = '';
  child.stdout!.on('data', (chunk: Buffer) => void (out += chunk.toString()));
  child.stderr!.on('data', (chunk: Buffer) => void (err += chunk.toString()));
  const endGroup = (): void => {
    try {
      process.kill(-child.pid!, 'SIGKILL');
    } catch {
      // nobody is left
    }
  };
  const timer = setTimeout(endGroup, LIMIT_MS);
  try {
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, out, err };
  } finally {
    clearTimeout(timer);
    endGroup();
  }
}

/** A file of an installed package, or null. */
function packaged(name: string, path: string): string | null {
  try {
    const file = join(dirname(createRequire(import.meta.url).resolve(`${name}/package.json`)), path);
    return existsSync(file) ? file : null;
  } catch {
    return null;
  }
}

function places(name: string): { home: string; work: string; note: string } {
  const home = join(folder.path, name, 'home');
  const work = join(folder.path, name, 'work');
  mkdirSync(home, { recursive: true });
  mkdirSync(work, { recursive: true });
  return { home, work, note: join(work, 'note.txt') };
}

/** What holds for every program once it has ended. */
function check(server: ScriptedServer, ended: Ended, file: string): void {
  const told = `${ended.out}\n${ended.err}\n${server.lines.map((line) => JSON.stringify(line)).join('\n')}`;
  expect(ended.code, told).toBe(0);
  expect(readFileSync(file, 'utf8').trim(), told).toBe(note);
  expect(ended.out, told).toContain(answer);
  // The tool's output came back as a tool's, and is what the model saw last.
  const turns = server.prompts.filter((prompt) => prompt.includes('namespace functions'));
  expect(turns).toHaveLength(3);
  expect(turns[2].split('<|start|>functions.').at(-1)).toContain(note);
  const requests = server.lines.filter(({ message }) => message === 'request');
  expect(requests.filter(({ fields }) => fields['status'] !== 200)).toEqual([]);
  expect(server.lines.filter(({ level }) => level === 'error')).toEqual([]);
  expect(server.running()).toBe(0);
  // Each step of the loop reads only what is new: the rest of its prompt was in the cache.
  const answers = server.lines.filter(({ message }) => message === 'answer').map(({ fields }) => fields);
  const loop = answers.filter(({ promptTokens }) => (promptTokens as number) > 2000) as Record<string, number>[];
  expect(loop).toHaveLength(3);
  for (const [i, step] of loop.entries()) {
    if (i === 0) continue;
    const before = loop[i - 1];
    expect(step['cachedTokens']).toBeGreaterThanOrEqual(before['promptTokens'] + before['completionTokens'] - 1);
  }
}

const arch = `${process.platform}-${process.arch}`;

describe('agent programs', () => {
  it('codex runs tools through Responses', async ({ skip }) => {
    const bin = packaged('@openai/codex', 'bin/codex.js');
    if (bin === null || packaged(`@openai/codex-${arch}`, 'package.json') === null) {
      return skip(`@openai/codex has no program for ${arch} here`);
    }
    const { home, work, note: file } = places('codex');
    const tool = (cmd: string): Tool => ({ name: 'exec_command', given: { cmd } });
    const server = await startScripted(script(tool(`printf '%s' '${note}' > note.txt`), tool('cat note.txt')));
    try {
      writeFileSync(
        join(home, 'config.toml'),
        [
          'model = "gpt-oss-20b"',
          'model_provider = "gptoss"',
          'check_for_update_on_startup = false',
          '[analytics]',
          'enabled = false',
          '[model_providers.gptoss]',
          'name = "gptoss"',
          `base_url = "${server.url}/v1"`,
          'wire_api = "responses"',
          'env_key = "GPTOSS_KEY"',
        ].join('\n'),
      );
      const options = ['--skip-git-repo-check', '--dangerously-bypass-approvals-and-sandbox', '--json'];
      const env = { HOME: home, CODEX_HOME: home, GPTOSS_KEY: server.apiKey };
      check(server, await run([process.execPath, bin, 'exec', ...options, task], work, env), file);
    } finally {
      await server.stop();
    }
  });

  it('claude-code runs tools through Messages', async ({ skip }) => {
    const bin = packaged('@anthropic-ai/claude-code', 'cli-wrapper.cjs');
    if (bin === null || packaged(`@anthropic-ai/claude-code-${arch}`, 'package.json') === null) {
      return skip(`@anthropic-ai/claude-code has no program for ${arch} here`);
    }
    const { home, work, note: file } = places('claude');
    const write = { name: 'Write', given: { file_path: file, content: note } };
    const server = await startScripted(script(write, { name: 'Read', given: { file_path: file } }));
    try {
      const options = ['--output-format', 'json', '--permission-mode', 'acceptEdits'];
      const env = {
        HOME: home,
        ANTHROPIC_BASE_URL: server.url,
        ANTHROPIC_AUTH_TOKEN: server.apiKey,
        ANTHROPIC_MODEL: 'gpt-oss-20b',
        ANTHROPIC_SMALL_FAST_MODEL: 'gpt-oss-20b',
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
        DISABLE_AUTOUPDATER: '1',
        DISABLE_ERROR_REPORTING: '1',
        DISABLE_TELEMETRY: '1',
      };
      check(server, await run([process.execPath, bin, '-p', task, ...options], work, env), file);
      expect(server.prompts[0]).toContain('Reasoning: high'); // output_config.effort, as it sends it
    } finally {
      await server.stop();
    }
  });

  it('opencode runs tools through Chat Completions', async ({ skip }) => {
    const bin = packaged(`opencode-${arch}`, 'bin/opencode');
    if (bin === null) return skip(`opencode-ai has no program for ${arch} here`);
    const { home, work, note: file } = places('opencode');
    const write = { name: 'write', given: { filePath: file, content: note } };
    const server = await startScripted(script(write, { name: 'read', given: { filePath: file } }));
    try {
      const model = { tool_call: true, reasoning: true, limit: { context: 131_072, output: 8192 } };
      writeFileSync(
        join(work, 'opencode.json'),
        JSON.stringify({
          autoupdate: false,
          share: 'disabled',
          model: 'gptoss/gpt-oss-20b',
          small_model: 'gptoss/gpt-oss-20b',
          provider: {
            gptoss: {
              npm: '@ai-sdk/openai-compatible', // comes with the program
              options: { baseURL: `${server.url}/v1`, apiKey: server.apiKey },
              models: { 'gpt-oss-20b': model },
            },
          },
        }),
      );
      const switches = ['AUTOUPDATE', 'MODELS_FETCH', 'LSP_DOWNLOAD'].map((what) => [`OPENCODE_DISABLE_${what}`, '1']);
      const env = { HOME: home, ...Object.fromEntries(switches) };
      check(server, await run([bin, 'run', '--format', 'json', task], work, env), file);
    } finally {
      await server.stop();
    }
  });
});
