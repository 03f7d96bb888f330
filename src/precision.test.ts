// What `fast` may cost on a trained model: the same likeliest token as `exact` at 99 of 100 places, and a perplexity within
// half a percent, over the texts and answers of seed-tiny. Single ops have their own bounds (backend/backend.case.ts).
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { hasShared, sharedPath } from '../test/shared.ts';
import { findAddon } from './backend/cpu/addon.ts';
import { open } from './open.node.ts';

interface Scored {
  readonly likeliest: readonly number[];
  readonly loss: number; // mean negative log-probability of the given tokens
}

async function score(file: string, precision: 'exact' | 'fast'): Promise<Scored> {
  const { cases } = JSON.parse(readFileSync(sharedPath('models', 'seed-tiny', 'expected.json'), 'utf8')) as {
    cases: { prompt_ids: number[]; output_ids: number[] }[];
  };
  const model = await open(sharedPath('models', file), { backend: 'cpu', precision, context: 1024 });
  try {
    const results = await Promise.all(
      cases
        .filter((_, i) => i % 2 === 0)
        .map(({ prompt_ids, output_ids }) =>
          model.engine.score(Int32Array.from([...prompt_ids, ...output_ids]), { topLogprobs: 1 }),
        ),
    );
    const losses = results.flatMap(({ logprobs }) => logprobs.filter((p) => p !== null)).map((p) => -p);
    return {
      likeliest: results.flatMap(({ top }) => top!.map((places) => places?.[0]?.id ?? -1)),
      loss: losses.reduce((sum, loss) => sum + loss, 0) / losses.length,
    };
  } finally {
    await model.close();
  }
}

const skip =
  findAddon().addon === null ? 'the native part is not built' : !hasShared('models', 'seed-tiny') ? 'no seed-tiny' : '';

describe.skipIf(skip !== '')(`fast beside exact${skip === '' ? '' : ` (${skip})`}`, () => {
  it.each(['seed-tiny', 'seed-tiny/seed-tiny.gguf'])('%s: the likeliest tokens and the perplexity', async (file) => {
    const [exact, fast] = [await score(file, 'exact'), await score(file, 'fast')];
    const agreeing = fast.likeliest.filter((id, i) => id === exact.likeliest[i]).length;
    expect(exact.likeliest.length).toBeGreaterThan(2000);
    expect(agreeing / exact.likeliest.length).toBeGreaterThanOrEqual(0.99);
    expect(Math.abs(Math.exp(fast.loss - exact.loss) - 1)).toBeLessThanOrEqual(0.005);
  });
});
