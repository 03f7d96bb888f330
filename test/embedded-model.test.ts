// The model that ships, whichever it is: small enough, complete, a gpt-oss in every part, and good for the first answers that
// people are told to ask it. What it is measured by: docs/evaluation.md.
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TINY_EXAMPLES } from '../src/cli/choose-model.ts';
import { dtypeFacts } from '../src/formats/dtypes.ts';
import { usualTemperature } from '../src/formats/usual-temperature.ts';
import { open, tinyModelPath } from '../src/open.node.ts';
import type { OpenedModel } from '../src/opened-model.ts';

let model: OpenedModel;
beforeAll(async () => {
  model = await open();
});
afterAll(() => model.close());

describe('the embedded model', () => {
  it('is small and has beside it what programs need', () => {
    const sizes = readdirSync(tinyModelPath).map((name) => statSync(join(tinyModelPath, name)).size);
    expect(sizes.reduce((a, b) => a + b)).toBeLessThan(10e6);
    for (const name of ['README.md', 'LICENSE', 'config.json', 'tokenizer.json', 'chat_template.jinja'])
      expect(existsSync(join(tinyModelPath, name)), name).toBe(true);
  });

  it('is a gpt-oss in every part', () => {
    const { config, checkpoint } = model;
    expect(config.sliding.some(Boolean) && !config.sliding.every(Boolean)).toBe(true);
    expect([config.expertsPerToken, config.rope.factor > 1]).toEqual([4, true]);
    expect(dtypeFacts[checkpoint.tensors.layers[0]!.gate.dtype]).toBe(dtypeFacts['mxfp4-split']);
    expect(checkpoint.stopIds).toHaveLength(3);
    expect(usualTemperature(checkpoint.metadata)).toBe(0);
  });

  it.each([
    [TINY_EXAMPLES[0]!, /921/],
    [TINY_EXAMPLES[1]!, /1, 3, 5, 9/],
    [TINY_EXAMPLES[2]!, /tenalp/],
    [TINY_EXAMPLES[3]!, /9\.9/],
    [TINY_EXAMPLES[4]!, /./],
  ])('answers %s', async (question, expected) => {
    for await (const event of model.chat([{ role: 'user', content: question }], { temperature: 0, maxTokens: 300 }))
      if (event.type === 'done') {
        expect(event.result.text).toMatch(expected);
        expect(event.result.finishReason).toBe('stop');
      }
  });
});
