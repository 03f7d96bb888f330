import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Engine } from './engine.ts';
import type { Generation } from './generation.ts';
import { FakeModel } from './model.testing.ts';
import { DiskPrefixStore } from './prefix-store.node.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gptoss-prefix-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const problems: string[] = [];
const openStore = (maxBytes?: number, key = 'fake model'): Promise<DiskPrefixStore> => {
  problems.length = 0;
  return DiskPrefixStore.open({ folder, key, maxBytes, onProblem: ({ message }) => problems.push(message) });
};

const prompt = (length: number, salt = 0): number[] => Array.from({ length }, (_, i) => (i * 11 + salt * 7) % 50);
const context = 2000;

async function ask(generation: Generation): Promise<{ ids: readonly number[]; cached: number }> {
  for await (const _ of generation);
  const { tokens, usage } = await generation.result;
  return { ids: tokens, cached: usage.cachedTokens };
}

/** One life of an engine over the folder. */
async function live<T>(
  work: (engine: Engine, store: DiskPrefixStore) => Promise<T>,
  maxBytes?: number,
  pageTokens = 16,
): Promise<T> {
  const prefixStore = await openStore(maxBytes);
  const engine = new Engine(new FakeModel(), { context, pageTokens, chunkRows: 64, maxSequences: 2, prefixStore });
  const result = await work(engine, prefixStore);
  engine.audit();
  await engine.close();
  return result;
}

const system = prompt(400);
const first = [...system, 1, 2, 3];
const second = [...system, 4, 5, 6, 7];
const options = { temperature: 0, maxTokens: 5, keep: [397, 400] };
const files = (): string[] =>
  readdirSync(folder).flatMap((key) => readdirSync(join(folder, key)).map((name) => join(folder, key, name)));

describe('prefixes on disk', () => {
  it('survive a restart: instructions shared by all conversations, and the ends of the last ones', async () => {
    const cold = await live((engine) => ask(engine.generate(first, options)));
    const [warm, other, next] = await live(async (engine) => [
      await ask(engine.generate(first, options)),
      await ask(engine.generate(second, options)),
      await ask(engine.generate([...first, 9, 9], options)),
    ]);
    expect(cold.cached).toBe(0);
    expect(warm).toEqual({ ids: cold.ids, cached: 402 }); // the whole prompt but for the row that gives logits
    expect(other.cached).toBe(400);
    expect(next.cached).toBe(403);
    const alone = new Engine(new FakeModel(), { context });
    expect((await ask(alone.generate(second, options))).ids).toEqual(other.ids);
    expect(problems).toEqual([]);
  });

  it('hold the answer, too: after a restart a tool loop reads only what is new', async () => {
    const { ids } = await live((engine) => ask(engine.generate(first, options)));
    const [loop] = await live(async (engine, store) => {
      const asked = await ask(engine.generate([...first, ...ids, 8, 8, 8], options));
      expect(store.count).toBe(3); // instructions, the prompt's end, the answer's end
      return [asked];
    });
    expect(loop.cached).toBe(first.length + ids.length - 1); // the last token was never read
  });

  it('are restored once for several requests that come together, and not for one that was aborted', async () => {
    await live((engine) => ask(engine.generate(first, options)));
    await live(async (engine) => {
      const controller = new AbortController();
      const asked = [first, second, first].map((tokens) => ask(engine.generate(tokens, options)));
      const aborted = ask(engine.generate(second, { ...options, signal: controller.signal }));
      controller.abort();
      await expect(aborted).rejects.toMatchObject({ code: 'aborted' });
      expect((await Promise.all(asked)).map(({ cached }) => cached)).toEqual([402, 400, 402]);
    });
  });

  it('are ignored when they are damaged, cut, foreign or of another page size, and said to be', async () => {
    const { ids } = await live((engine) => ask(engine.generate(first, options)));
    const spoil: ((path: string) => void)[] = [
      (path) => {
        const bytes = readFileSync(path);
        bytes[bytes.length - 100] ^= 1; // in a page
        writeFileSync(path, bytes);
      },
      (path) => truncateSync(path, 500),
      (path) => writeFileSync(path, ''),
      (path) => writeFileSync(path, Buffer.concat([Buffer.from('GPTOSSKV'), Buffer.alloc(8, 0xff)])),
      (path) => {
        const bytes = readFileSync(path);
        bytes.writeInt32LE(7, bytes.readUInt32LE(8) + 12); // another first token
        writeFileSync(path, bytes);
      },
    ];
    for (const change of spoil) {
      for (const path of files()) change(path);
      await live(async (engine) => {
        expect(await ask(engine.generate(first, options))).toEqual({ ids, cached: 0 });
        expect(problems.length).toBeGreaterThan(0);
      });
    }
    await live(
      async (engine) => {
        expect((await ask(engine.generate(first, options))).ids).toEqual(ids);
      },
      undefined,
      32,
    );
    const stranger = await openStore(undefined, 'another model');
    expect(stranger.count).toBe(0);
  });

  it('stay below the bound, the least recently used going first, other models included', async () => {
    const save = (salt: number) =>
      live((engine) => ask(engine.generate([...prompt(300, salt), 1], { ...options, keep: [300] })));
    for (const salt of [1, 2, 3]) await save(salt);
    const sizes = files().length;
    expect(sizes).toBeGreaterThanOrEqual(3);
    const store = await openStore();
    const one = store.bytes / store.count;
    for (const path of files()) utimesSync(path, new Date(1000), new Date(1000));
    await live((engine) => ask(engine.generate([...prompt(300, 4), 1], { ...options, keep: [300] })), one * 2.5);
    expect(files().length).toBeLessThanOrEqual(2);
    const stranger = await openStore(one * 0.5, 'another model');
    expect([stranger.count, files().length]).toEqual([0, 0]);
  });

  it('do not fail a request when the folder cannot be written', async () => {
    const prefixStore = await openStore();
    rmSync(folder, { recursive: true });
    writeFileSync(folder, 'a file now');
    const engine = new Engine(new FakeModel(), { context, pageTokens: 16, chunkRows: 64, prefixStore });
    expect((await ask(engine.generate(first, options))).ids.length).toBe(5);
    await engine.close();
    expect(problems.join()).toContain('could not be saved');
    await expect(openStore()).rejects.toMatchObject({ code: 'io' });
  });
});
