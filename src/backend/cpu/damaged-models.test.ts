// Damaged checkpoints that open all the same (formats/fuzz.testing.ts) run on the native backend: whatever the weights and
// the configuration became, a step ends with numbers or a GptOssError. Under `npm run test:asan` this is the fuzz's way
// into native code; the readers themselves are TypeScript.

import { describe, expect, it } from 'vitest';
import { GptOssError } from '../../errors.ts';
import type { Checkpoint } from '../../formats/checkpoint.ts';
import { damagedCheckpoint } from '../../formats/fuzz.testing.ts';
import { TestSequences, testCache } from '../../model/golden.testing.ts';
import { createModel } from '../../model/load.ts';
import { addonPath, testBackend, testVariants } from './addon.testing.ts';
import { findAddon } from './addon.ts';

const CASES = 400;

async function oneStep(checkpoint: Checkpoint, variant: string, precision: 'exact' | 'fast'): Promise<boolean> {
  const backend = testBackend({ variant, precision, maxRows: 8, threads: 1 });
  try {
    const model = createModel(checkpoint, backend);
    const cache = testCache(model, 16);
    const lane = model.lane({ rows: 4, scored: 1 }, cache);
    await lane.run(new TestSequences(model, cache).batch([[0, [1, 2, 3, 1]]], 'last'));
    return lane.logits(0).length === model.vocab;
  } catch (error) {
    if (error instanceof GptOssError && error.code !== 'internal') return false;
    throw error;
  } finally {
    await backend.close();
  }
}

describe.skipIf(findAddon(addonPath).addon === null)(
  'damaged checkpoints that open (skipped without the addon)',
  () => {
    it(`run or are refused on the native backend, of ${CASES} damaged ones`, async () => {
      const variants = testVariants();
      let ran = 0;
      for (let seed = 1; seed <= CASES; seed++) {
        let checkpoint: Checkpoint;
        try {
          checkpoint = damagedCheckpoint(seed);
        } catch (error) {
          if (error instanceof GptOssError) continue;
          throw error;
        }
        try {
          if (await oneStep(checkpoint, variants[seed % variants.length], seed % 3 === 0 ? 'exact' : 'fast')) ran++;
        } catch (cause) {
          throw new Error(`seed ${seed} was not handled`, { cause });
        }
      }
      expect(ran).toBeGreaterThan(CASES / 20);
    });
  },
);
