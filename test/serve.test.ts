// `gptoss serve` as a process: killed, restarted, stopped, and started in ways it must not be.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import OpenAI from 'openai';
import { afterAll, describe, expect, it } from 'vitest';
import { startServer, temporaryFolder } from './server-process.ts';
import { repoPath, seedModel } from './shared.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());

/** Runs the rest of its arguments with a small file system of its own over a folder, gone when the program is. */
const onSmallDisk = (path: string, bytes: string): string[] => [
  ...['unshare', '--user', '--map-root-user', '--mount', 'sh', '-c'],
  ...[`mount -t tmpfs -o size=${bytes} tmpfs "$0" && exec "$@"`, path],
];
const [program, ...words] = [...onSmallDisk(folder.path, '64k'), 'true'];
const noSmallDisk = spawnSync(program!, words).status === 0 ? null : 'no file system can be mounted here';

const client = (url: string): OpenAI => new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 });

describe('gptoss serve', () => {
  it('keeps stored responses when it is killed while it writes, and goes on from them', async () => {
    const first = await startServer(folder.path);
    const openai = client(first.url);
    const kept = await openai.responses.create({ model: 'tiny', input: 'What is 412 + 509?' });
    // Writes go on until the end comes.
    const stored: string[] = [];
    const write = async (): Promise<void> => {
      for (;;) stored.push((await openai.responses.create({ model: 'tiny', input: 'hello', max_output_tokens: 1 })).id);
    };
    const writers = [write(), write()].map((writer) => writer.catch(() => undefined));
    await expect.poll(() => stored.length, { timeout: 200_000 }).toBeGreaterThan(5);
    // More than can be computed before the end, and none ends by itself.
    const long = { model: 'tiny', input: 'hello', background: true, temperature: 1, logit_bias: { 1016: -100 } };
    const background = await Promise.all(
      Array.from({ length: 24 }, () =>
        openai.responses.create(long as OpenAI.Responses.ResponseCreateParamsNonStreaming),
      ),
    );
    expect(await first.stop('SIGKILL')).toBe('SIGKILL');
    await Promise.all(writers);

    const second = await startServer(folder.path);
    const again = client(second.url);
    expect((await again.responses.retrieve(kept.id)).output_text).toBe('412 + 509 = 921.');
    for (const id of stored) expect((await again.responses.retrieve(id)).id).toBe(id);
    const ends = await Promise.all(background.map(async ({ id }) => (await again.responses.retrieve(id)).status));
    expect(ends).toContain('failed');
    for (const end of ends) expect(['failed', 'incomplete', 'completed']).toContain(end);
    const next = await again.responses.create({ model: 'tiny', input: 'And 17 + 5?', previous_response_id: kept.id });
    expect(next.output_text).toBe('17 + 5 = 22.');
    expect(await second.stop('SIGINT')).toBe(0);
    expect(second.log()).toContain('stopping');
  });

  it('answers when the disk of its store is full, and says so in its log', async ({ skip }) => {
    skip(noSmallDisk !== null, noSmallDisk ?? undefined);
    const disk = join(folder.path, 'disk');
    mkdirSync(disk);
    const server = await startServer(folder.path, ['--store', join(disk, 'store.db')], onSmallDisk(disk, '256k'));
    const openai = client(server.url);
    const ask = (input: string, previous: string | null) =>
      openai.responses.create({ model: 'tiny', input, max_output_tokens: 4, previous_response_id: previous });
    const stored = await ask('hello', null);
    const isStored = (id: string): Promise<boolean> =>
      openai.responses.retrieve(id).then(
        () => true,
        (error: InstanceType<typeof OpenAI.APIError>) => error.status !== 404,
      );
    let last = stored;
    // Each takes 10 KB of the disk.
    for (let i = 0; i < 30 && (await isStored(last.id)); i++)
      last = await ask(`hello ${'and so on '.repeat(160)}`, null);
    expect(last.status).toBe('incomplete'); // as it was asked to be, with its text
    expect(last.output).not.toEqual([]);
    expect(await isStored(last.id)).toBe(false);
    const [line] = server
      .log()
      .split('\n')
      .filter((each) => each.includes('"level":50'));
    expect(line).toMatch(/could not be written \(.*disk is full.*a response could not be stored/);
    expect(await (await fetch(`${server.url}/metrics`)).text()).toMatch(/^gptoss:store_errors_total 1$/m);
    expect(await isStored(stored.id)).toBe(true);
    expect((await ask('And then?', stored.id)).previous_response_id).toBe(stored.id);
    expect(await server.stop()).toBe(0);
  });

  it('goes on after a restart where it had read to, with --cache-dir, and says when a file there is damaged', async () => {
    const cache = join(folder.path, 'prefixes');
    const long = 'You are asked about numbers, and answer in one line. '.repeat(20);
    const system = { role: 'system' as const, content: long };
    const live = async (content: string): Promise<{ prompt: number; cached: number; text: string; log: string }> => {
      const server = await startServer(folder.path, ['--cache-dir', cache, '--store', 'memory']);
      const { usage, choices } = await client(server.url).chat.completions.create({
        model: 'tiny',
        messages: [system, { role: 'user', content }],
      });
      expect(await server.stop()).toBe(0);
      const cached = usage!.prompt_tokens_details!.cached_tokens!;
      return { prompt: usage!.prompt_tokens, cached, text: choices[0].message.content!, log: server.log() };
    };
    const cold = await live('What is 412 + 509?');
    const other = await live('What is 17 + 5?');
    expect([cold.cached, other.text]).toEqual([0, '17 + 5 = 22.']);
    // All but the question: what both prompts begin with is at a border, and was saved as such.
    expect(other.prompt - other.cached).toBeLessThan(30);
    expect(cold.prompt).toBeGreaterThan(300);
    for (const name of readdirSync(cache, { recursive: true, encoding: 'utf8' })) {
      if (name.endsWith('.prefix')) truncateSync(join(cache, name), 1000);
    }
    const damaged = await live('What is 412 + 509?');
    expect([damaged.cached, damaged.text]).toEqual([0, cold.text]);
    expect(damaged.log).toMatch(/"level":40.*was ignored/);
  });

  it('does not listen to the world without a key, unless it is told to', () => {
    const run = (...args: string[]) =>
      spawnSync(
        process.execPath,
        ['--import', 'tsx', repoPath('src/cli/bin.ts'), 'serve', '--model', seedModel, ...args],
        {
          encoding: 'utf8',
          cwd: repoPath('.'),
          env: { PATH: process.env['PATH'], HOME: folder.path, GPTOSS_HOME: folder.path },
          timeout: 60_000,
        },
      );
    const refused = run('--host', '0.0.0.0');
    expect([refused.status, refused.stdout]).toEqual([2, '']);
    expect(refused.stderr).toMatch(/expected --api-key KEY.*--anonymous/);
  });
});
