import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { DEFAULT_SEED } from '../../train/run/recipe.ts';
import { trainingOf, trainingSeedOf } from './training-notes.ts';

const folder = mkdtempSync(join(tmpdir(), 'notes-'));
afterAll(() => rmSync(folder, { recursive: true }));
const note = (text: string): void => writeFileSync(join(folder, 'training.json'), text);

describe('what was noted of a training', () => {
  it('names the seed that the data is drawn with again', () => {
    expect(trainingOf(folder)).toBe(null);
    expect(trainingSeedOf(folder)).toBe(DEFAULT_SEED);
    note('{"seed": 77, "stages": "sft"}');
    expect(trainingOf(folder)).toEqual({ seed: 77, stages: 'sft' });
    expect(trainingSeedOf(folder)).toBe(77);
  });

  it.each(['{"seed": -1}', '{"seed": "x"}', '{"seed": 1e300}', '{}'])(
    'without a usable seed (%s) the recipe has one',
    (text) => {
      note(text);
      expect(trainingSeedOf(folder)).toBe(DEFAULT_SEED);
    },
  );

  it.each(['', '[]', '{"seed": 7', 'null', '7'])('that is no object (%s) is one clear error', (text) => {
    note(text);
    expect(() => trainingOf(folder)).toThrow(/training\.json is no JSON object; expected/);
  });
});
