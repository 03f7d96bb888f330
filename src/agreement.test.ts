// What `fast` and the smaller key-value caches cost in accuracy, on what the embedded model says itself: how often the
// likeliest next token is the same as with `exact`, and how far perplexity moves. Bounds: the contract of `fast`.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { hasShared, sharedPath } from '../test/shared.ts';
import { findAddon } from './backend/cpu/addon.ts';
import { type OpenOptions, open } from './open.node.ts';

/** Only what the model says counts: it was never trained to foresee its user, where many tokens are about as likely. */
interface Text {
  readonly prompt_ids: readonly number[];
  readonly output_ids: readonly number[];
}

interface Scored {
  readonly best: readonly number[];
  readonly perplexity: number;
}

async function score(options: OpenOptions, texts: readonly Text[]): Promise<Scored> {
  const model = await open(sharedPath('models', 'seed-tiny'), { backend: 'cpu', context: 1024, ...options });
  const best: number[] = [];
  let sum = 0;
  for (const { prompt_ids, output_ids } of texts) {
    const tokens = [...prompt_ids, ...output_ids];
    const { logprobs, top } = await model.score(tokens, { topLogprobs: 1, from: prompt_ids.length });
    for (let i = prompt_ids.length; i < tokens.length; i++) {
      best.push(top![i]![0].id);
      sum += logprobs[i]!;
    }
  }
  await model.close();
  return { best, perplexity: Math.exp(-sum / best.length) };
}

describe.skipIf(findAddon().addon === null || !hasShared('models', 'seed-tiny'))('accuracy against exact', () => {
  it.each([
    { precision: 'fast', kv: 'f16' },
    { precision: 'fast', kv: 'q8' },
    { precision: 'exact', kv: 'f16' },
    { precision: 'exact', kv: 'q8' },
  ] as const)('of $precision with keys and values in $kv', async (options) => {
    const { cases } = JSON.parse(readFileSync(sharedPath('models', 'seed-tiny', 'expected.json'), 'utf8')) as {
      cases: readonly Text[];
    };
    const exact = await score({ precision: 'exact' }, cases);
    const other = await score(options, cases);
    const same = other.best.filter((id, i) => id === exact.best[i]).length / exact.best.length;
    expect(same).toBeGreaterThanOrEqual(0.99);
    expect(Math.abs(other.perplexity / exact.perplexity - 1)).toBeLessThanOrEqual(0.005);
  });
});
