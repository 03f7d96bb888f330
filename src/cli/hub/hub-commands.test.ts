// The commands about models, without a network and without native kernels.

import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { seedModel } from '../../../test/shared.ts';
import { openCheckpoint } from '../../formats/checkpoint.node.ts';
import { FakeHub } from '../../hub/hub.testing.ts';
import { hubSettings } from '../../hub/roots.ts';
import type { Context } from '../context.ts';
import { readEnvironment } from '../environment.ts';
import { main } from '../main.ts';
import { describeOffer, offerRealModel } from './offer.ts';
import { duration } from './progress.ts';

let folder: string;
let hub: FakeHub;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'gptoss-cli-'));
  hub = new FakeHub();
  await hub.start();
  hub.add('model.gguf', Buffer.from('not really a model, but whole'), true);
});
afterAll(async () => {
  await hub.stop();
  rmSync(folder, { recursive: true, force: true });
});

function quietContext(text = { out: '', err: '' }): Context {
  const output = (name: 'out' | 'err') => ({
    write: (part: string) => {
      text[name] += part;
    },
    isTerminal: false,
    colour: false,
    columns: 80,
    rows: 24,
  });
  return {
    terminal: { out: output('out'), err: output('err') },
    stdin: { isTTY: false } as NodeJS.ReadStream,
    environment: readEnvironment({}),
    stores: {
      ...hubSettings(
        {
          HF_HUB_CACHE: join(folder, 'hf'),
          HF_ENDPOINT: hub.url,
          GPTOSS_HOME: join(folder, 'own'),
          LLAMA_CACHE: folder,
          OLLAMA_MODELS: folder,
        },
        'win32',
        folder,
      ),
    },
    version: '0',
    signal: new AbortController().signal,
    takeInterrupts() {},
  };
}

async function gptoss(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const text = { out: '', err: '' };
  return { code: await main(argv, quietContext(text)), ...text };
}

describe('commands about models', () => {
  it('pull, list, verify and remove a model', async () => {
    const pulled = await gptoss('pull', `hf:${hub.repository}`);
    expect(pulled.code).toBe(0);
    expect(existsSync(pulled.out.trim())).toBe(true);
    expect((await gptoss('verify', `hf:${hub.repository}`)).out).toContain('as published');
    const listed = await gptoss('models', '--json'); // named gpt-oss, but no GGUF: listed with what is wrong
    expect(JSON.parse(listed.out)).toMatchObject([{ store: 'huggingface', problem: expect.stringContaining('GGUF') }]);
    const kept = await gptoss('rm', hub.repository);
    expect([kept.code, kept.err]).toEqual([1, expect.stringContaining('--yes')]);
    expect((await gptoss('rm', hub.repository, '--yes')).code).toBe(0);
    expect(existsSync(pulled.out.trim())).toBe(false);
  });

  it('convert the embedded model', async () => {
    const target = join(folder, 'tiny.gguf');
    expect(await gptoss('convert', seedModel, target)).toMatchObject({ code: 0, out: `${target}\n` });
    const checkpoint = openCheckpoint(target);
    expect(checkpoint.format).toBe('gguf');
    checkpoint.close();
    expect((await gptoss('convert', seedModel, target)).err).toContain('exists');
  });

  it('say in one line what is wrong', async () => {
    for (const argv of [
      ['pull', 'x'],
      ['verify', 'a/b'],
      ['rm', 'a/b'],
      ['convert', 'nowhere', 'y'],
      ['fit', 'nowhere'],
    ]) {
      const { code, err, out } = await gptoss(...argv);
      expect([code, out, err.trim().split('\n').length]).toEqual([1, '', 1]);
      expect(err).toMatch(/^gptoss: [a-z-]+: /);
    }
    expect((await gptoss('pull')).code).toBe(2);
  });

  it('tell times in words', () => {
    expect([3, 600, 20_000, Number.POSITIVE_INFINITY].map(duration)).toEqual(['3 s', '10 min', '5.6 h', '–']);
  });

  it('offer the real model with what it costs, and only to a person', async () => {
    expect(describeOffer({ memory: 24e9, freeDisk: 50e9 }).text).toMatch(
      /12\.1 GB, about 16 min at 100 Mbit\/s; it fits/,
    );
    expect(describeOffer({ memory: 8e9, freeDisk: 50e9 })).toMatchObject({
      canRun: true,
      text: expect.stringContaining('slowly'),
    });
    expect(describeOffer({ memory: 24e9, freeDisk: 1e9 }).canRun).toBe(false);
    expect(describeOffer({ memory: 2e9, freeDisk: null }).canRun).toBe(false);
    expect(await offerRealModel(quietContext())).toBe(null);
  });
});
