// A trained model end to end for every backend: the 71 greedy answers of ../shared/models/seed-tiny, from safetensors
// one by one and from GGUF several at a time. Long chains of decisions show what tolerances hide (model.case.ts).

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { hasShared, sharedPath } from '../../test/shared.ts';
import type { MakeBackend } from '../backend/scenario.testing.ts';
import { openCheckpoint } from '../formats/checkpoint.node.ts';
import { argmax, greedy, TestSequences, testCache } from './golden.testing.ts';
import { createModel, type Model } from './load.ts';

interface Case {
  readonly id: string;
  readonly prompt_ids: readonly number[];
  readonly output_ids: readonly number[];
}

const COMPANY = 12; // sequences decoded together

/** `every`: take each n-th case, another n-th from each container, where all would take too long. */
export function describeSeedTiny(name: string, make: MakeBackend, { every = 1 }: { every?: number } = {}): void {
  describe.skipIf(!hasShared('models', 'seed-tiny'))(`seed-tiny on ${name}`, () => {
    const withModel = async (file: string, fn: (model: Model, stopIds: readonly number[]) => Promise<void>) => {
      const checkpoint = openCheckpoint(sharedPath('models', file));
      const model = createModel(checkpoint, await make({ precision: 'exact', maxRows: 512 }));
      try {
        await fn(model, checkpoint.stopIds);
      } finally {
        await model.close();
        checkpoint.close();
      }
    };

    const first = Math.min(2, every - 1); // a share of 1 in 6 then holds the longest sharp one, mul-high
    const share = every === 1 ? 'all greedy answers' : `each ${every}th greedy answer`;
    it(`gives ${share} from safetensors`, async () => {
      await withModel('seed-tiny', async (model, stopIds) => {
        const cache = testCache(model, 1024);
        const lane = model.lane({ rows: 512, scored: 1 }, cache);
        for (const { id, prompt_ids, output_ids } of readCases(every, first)) {
          const sequences = new TestSequences(model, cache);
          expect(await greedy(lane, sequences, prompt_ids, 400, stopIds), id).toEqual(output_ids);
        }
      });
    });

    it(`gives ${share} from GGUF, ${COMPANY} sequences at a time`, async () => {
      await withModel('seed-tiny/seed-tiny.gguf', async (model, stopIds) => {
        const cache = testCache(model, COMPANY * 1024);
        const lane = model.lane({ rows: 512, scored: COMPANY }, cache);
        const cases = readCases(every, (first + (every >> 1)) % every);
        for (let first = 0; first < cases.length; first += COMPANY) {
          const group = cases.slice(first, first + COMPANY);
          const sequences = new TestSequences(model, cache, first);
          const outputs: number[][] = [];
          for (const [i, { prompt_ids }] of group.entries()) {
            await lane.run(sequences.batch([[i, prompt_ids]], 'last'));
            outputs.push([argmax(lane.logits(0))]);
          }
          for (;;) {
            const going = [...outputs.keys()].filter(
              (i) => outputs[i].length < 400 && !stopIds.includes(outputs[i][outputs[i].length - 1]),
            );
            if (going.length === 0) break;
            await lane.run(
              sequences.batch(
                going.map((i) => [i, outputs[i].slice(-1)]),
                'last',
              ),
            );
            for (const [row, i] of going.entries()) outputs[i].push(argmax(lane.logits(row)));
          }
          for (const [i, { id, output_ids }] of group.entries()) expect(outputs[i], id).toEqual(output_ids);
        }
      });
    });
  });
}

function readCases(every: number, first: number): readonly Case[] {
  const { cases } = JSON.parse(readFileSync(sharedPath('models', 'seed-tiny', 'expected.json'), 'utf8')) as {
    cases: readonly Case[];
  };
  expect(cases.length).toBe(71);
  return cases.filter((_, i) => i % every === first);
}
