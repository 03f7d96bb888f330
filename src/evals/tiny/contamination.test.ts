// What any stage has been trained on is found, by its content and by its prompt; what none has is not.
import { describe, expect, it } from 'vitest';
import { smallVocabulary } from '../../train/data/data.testing.ts';
import { TaskMixture } from '../../train/data/mixture.ts';
import { conversationOptions, conversationStages } from '../../train/run/recipe.ts';
import { taskFamilyNamed } from '../../train/tasks/registry.ts';
import type { SampleRecord } from '../record.ts';
import { findContamination, promptFingerprint } from './contamination.ts';

const { encoding } = smallVocabulary();
const seed = 5;

function recordOf(item: string, prompt: string): SampleRecord {
  const cell = { group: 'any', set: 'plain', level: 'low', tools: 'off', sampling: 'greedy' };
  return { item, cell, question: '', extra: { prompt } } as unknown as SampleRecord;
}

describe('contamination', () => {
  it.each(conversationStages)('finds what %s draws', async (stage) => {
    const mixture = new TaskMixture(encoding, conversationOptions({ seed }, stage));
    const drawn = Array.from({ length: 12 }, (_, n) => mixture.conversation(n * 3));
    const { item, messages, promptLength } = drawn.find(({ item }) => !taskFamilyNamed(item.family).isFixed)!;
    const content = recordOf(`${item.family}/plain/${item.key}`, '');
    const before = messages.slice(0, promptLength - 1);
    const asked = promptFingerprint([...before, { role: 'user', content: item.prompts[0]! }]);
    const prompt = recordOf(`${item.family}/plain/another`, asked);
    const other = recordOf(
      `${item.family}/plain/unheard of`,
      promptFingerprint([{ role: 'user', content: 'not asked in training' }]),
    );
    const { contaminated, problems, items } = await findContamination([content, prompt, other], encoding, {
      problems: 12,
      seed,
    });
    expect({ contaminated, problems, items }).toEqual({ contaminated: 2, problems: 36, items: 3 });
    expect(asked).not.toBe('');
  });
});
