// llama.cpp as a second opinion on the tiny model in every element type: greedy tokens of the same file from both. Runs
// only where the peer of the benchmark is installed (`npm install` in bench/peers/llama-cpp). llama.cpp rounds the YaRN bounds
// and quantises activations, so single answers may part; most must not.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { hasLlamaCpp, llamaGreedy } from '../../test/llama-cpp.ts';
import { hasShared, sharedPath } from '../../test/shared.ts';
import { CpuBackend } from '../backend/cpu/cpu.ts';
import { openCheckpoint } from '../formats/checkpoint.node.ts';
import { inMixture, mixtures, tinyPath } from '../formats/variants.testing.ts';
import { greedy, TestSequences, testCache } from './golden.testing.ts';
import { createModel } from './load.ts';

const present = hasLlamaCpp && hasShared('models', 'seed-tiny');

/** Prompts with short answers and some with long ones; the two that depend on unrounded bounds are left out. */
const EVERY = 8;
const LIMIT = 60;

interface Case {
  readonly id: string;
  readonly prompt_ids: readonly number[];
}

describe.skipIf(!present)('llama.cpp (skipped: the peer is not installed, or ../shared is absent)', () => {
  const root = mkdtempSync(join(tmpdir(), 'gptoss-opinion-'));
  afterAll(() => rmSync(root, { recursive: true }));

  it.each([['MXFP4', () => null] as const, ...mixtures.filter(([name]) => /_K$|F16|experts/.test(name))])(
    '%s: most greedy answers are the same',
    async (name, mixture) => {
      const file = join(root, 'model.gguf');
      writeFileSync(file, name === 'MXFP4' ? readFileSync(tinyPath()) : inMixture(tinyPath(), mixture));
      const all: Case[] = JSON.parse(readFileSync(sharedPath('models', 'seed-tiny', 'expected.json'), 'utf8')).cases;
      const cases = all.filter((c, i) => i % EVERY === 0 && c.id !== 'mul-high' && c.id !== 'letters-low');
      const prompts = cases.map((c) => c.prompt_ids);

      const checkpoint = openCheckpoint(file);
      const model = createModel(checkpoint, new CpuBackend({ precision: 'exact', maxRows: 512 }));
      const cache = testCache(model, 1024);
      const lane = model.lane({ rows: 512, scored: 1 }, cache);
      const ours: number[][] = [];
      for (const prompt of prompts)
        ours.push(await greedy(lane, new TestSequences(model, cache), prompt, LIMIT, checkpoint.stopIds));
      await model.close();

      const theirs = llamaGreedy(file, prompts, checkpoint.stopIds, LIMIT);
      checkpoint.close();
      const same = ours.filter((answer, i) => answer.join() === theirs[i].join()).length;
      console.log(`${name}: ${same} of ${cases.length} answers are the same`);
      expect(same / cases.length).toBeGreaterThanOrEqual(0.7);
    },
  );
});
