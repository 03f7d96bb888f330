// Regenerates many training keys of every family and looks for test keys among them; and for long stretches of words that
// a test question shares with training questions of the families that are text.
import { describe, expect, it } from 'vitest';
import { families } from './families.ts';
import { drawItem } from './item.ts';
import { Random } from './random.ts';

const TRAIN = 20_000; // per family
const TEST = 300;

describe.each(families.map(({ family }) => [family.name, family] as const))('family %s', (_, family) => {
  it('never trains on a test key', () => {
    const train = new Set<string>();
    const prompts = new Set<string>();
    for (let n = 0; n < TRAIN; n++) {
      const random = new Random(11, `train ${family.name}`, n);
      const item = drawItem(family, { random, size: random.int(1, family.sizes), heldOut: false, slips: 0 }, 'train');
      if (item === null) continue;
      train.add(item.key);
      for (const prompt of item.prompts) prompts.add(prompt);
    }
    expect(train.size).toBeGreaterThan(family.isFixed === true ? 20 : 40);
    const shared: string[] = [];
    for (let n = 0; n < TEST; n++) {
      const random = new Random(12, `test ${family.name}`, n);
      const item = drawItem(family, { random, size: random.int(1, family.sizes), heldOut: true, slips: 0 }, 'test');
      if (item === null) continue;
      if (train.has(item.key)) shared.push(item.key);
      shared.push(...item.heldOutPrompts.filter((prompt) => prompts.has(prompt)));
    }
    expect(shared).toEqual([]);
  });
});
