// `gptoss serve` as a process under load, with the embedded model: 64 streams for minutes (GPTOSS_LOAD_SECONDS, default
// 120), a thousand clients that leave at random moments, and what HTTP costs beside the bare engine. Figures are printed.
// All traffic stays on loopback, bounded in time and count.
import { readFileSync } from 'node:fs';
import { Agent, fetch } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { passedOn } from '../bench/passed-on.ts';
import { type ServerProcess, startServer, temporaryFolder } from './server-process.ts';
import { seedModel } from './shared.ts';

const SECONDS = Number(process.env['GPTOSS_LOAD_SECONDS'] ?? 120);
const STREAMS = 64;
const WARM = 2500; // answers until heaps, caches and compiled code have what the load needs, however fast the machine is
const LEAST = 5000; // answers in all, if the time does not bring them
const folder = temporaryFolder();
const agent = new Agent({ connections: 256 });
let server: ServerProcess;

beforeAll(async () => {
  server = await startServer(folder.path, ['--store', 'memory', '--max-concurrency', '16', '--quiet']);
}, 120_000);
afterAll(async () => {
  expect(await server.stop()).toBe(0);
  const lines = server.log().split('\n');
  expect(lines.filter((line) => line.includes('"level":50'))).toEqual([]);
  await agent.close();
  folder.remove();
}, 60_000);

/** Never ends by itself; every client asks something of its own. */
const body = (client: number, maxTokens: number): string =>
  JSON.stringify({
    model: 'tiny',
    messages: [{ role: 'user', content: `What is ${client} + ${(client * 7) % 900}?` }],
    stream: true,
    max_tokens: maxTokens,
    logit_bias: { 1016: -100 },
  });

const ask = (client: number, maxTokens: number, signal?: AbortSignal) =>
  fetch(`${server.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: body(client, maxTokens),
    dispatcher: agent,
    signal,
  });

async function metric(name: string): Promise<number> {
  const text = await (await fetch(`${server.url}/metrics`, { dispatcher: agent })).text();
  return Number(new RegExp(`^gptoss:${name} (\\S+)$`, 'm').exec(text)![1]);
}

/** Resident memory of the server that is not mapped from files, MB. */
function residentMB(): number {
  return Number(/RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${server.child.pid}/status`, 'utf8'))![1]) / 1024;
}

const hasProc = process.platform === 'linux';
const say = (figures: object): void => void process.stdout.write(`${JSON.stringify(figures)}\n`);

describe.skipIf(!hasProc)('under load (memory is read from /proc)', () => {
  it(
    `serves ${STREAMS} streams for ${SECONDS} s: no error, flat memory, nobody more than twice as fast`,
    async () => {
      const end = performance.now() + SECONDS * 1000;
      const done = new Array<number>(STREAMS).fill(0);
      const memory: number[] = [];
      let errors = 0;
      let total = 0;
      const client = async (i: number): Promise<void> => {
        while (performance.now() < end || total < LEAST) {
          const response = await ask(i, 64);
          const text = await response.text();
          if (response.status !== 200 || !text.trimEnd().endsWith('data: [DONE]') || text.includes('"error"')) errors++;
          else done[i]++;
          total++;
        }
      };
      const watch = setInterval(() => {
        if (total > WARM) memory.push(residentMB());
      }, 1000);
      await Promise.all(Array.from({ length: STREAMS }, (_, i) => client(i)));
      clearInterval(watch);
      // Counted once heaps have grown to what the load needs. A leak raises what is left after collections; where their
      // sawteeth happen to be cut says nothing, so low points are compared.
      const low = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 3];
      const half = memory.length >> 1;
      const [before, after] = [low(memory.slice(0, half)), low(memory.slice(half))];
      const fairness = Math.max(...done) / Math.min(...done);
      say({ answers: done.reduce((a, b) => a + b), errors, fairness, memoryMB: [before, after].map(Math.round) });
      expect(errors).toBe(0);
      expect(Math.min(...done)).toBeGreaterThan(0);
      // Whole answers are counted, so one more or less is no unfairness.
      expect(Math.max(...done) - 1).toBeLessThanOrEqual(2 * (Math.min(...done) + 1));
      expect(after / before).toBeLessThan(1.05);
      expect(await metric('num_requests_running')).toBe(0);
    },
    (SECONDS + 1200) * 1000,
  );

  it('frees everything when a thousand clients leave at random moments', async () => {
    let state = 7;
    const random = (): number => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state / 2 ** 32;
    };
    const leave = async (i: number): Promise<void> => {
      const controller = new AbortController();
      const pieces = Math.floor(random() * 5); // read before it leaves; 0: at once
      try {
        const asked = ask(i, 200, controller.signal);
        if (pieces === 0) setImmediate(() => controller.abort());
        const reader = (await asked).body!.getReader();
        for (let n = 0; n < pieces; n++) await reader.read();
        controller.abort();
      } catch {
        // that is what leaving looks like
      }
    };
    for (let i = 0; i < 1000; i += 100) await Promise.all(Array.from({ length: 100 }, (_, n) => leave(i + n)));
    for (const name of [
      'num_requests_running',
      'num_requests_waiting',
      'http_requests_running',
      'kv_cache_usage_perc',
    ]) {
      // The request for the metrics is being answered while they are made.
      await expect.poll(() => metric(name), { timeout: 20_000 }).toBe(name === 'http_requests_running' ? 1 : 0);
    }
    const text = await (await ask(5, 32)).text();
    expect(text.trimEnd().endsWith('data: [DONE]')).toBe(true);
  }, 300_000);

  it('prints what it passes on of what the engine gives', async () => {
    const post = async (body: string): Promise<string> => {
      const headers = { 'content-type': 'application/json' };
      const response = await fetch(`${server.url}/v1/chat/completions`, {
        ...{ method: 'POST', headers, body, dispatcher: agent },
      });
      return response.text();
    };
    // No bound: a test never depends on timing. Every answer has all of its tokens.
    say(await passedOn({ path: seedModel, streams: 8, tokens: 400, rounds: 5, ask: post }));
  }, 1_200_000);
});
