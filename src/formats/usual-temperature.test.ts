import { expect, it } from 'vitest';
import { usualTemperature } from './usual-temperature.ts';

it.each([
  [{}, 1],
  [{ generationConfig: null }, 1],
  [{ generationConfig: { do_sample: true } }, 1],
  [{ generationConfig: { do_sample: false, temperature: 0.7 } }, 0],
  [{ generationConfig: { do_sample: true, temperature: 0.7 } }, 0.7],
  [{ generationConfig: { temperature: 'hot' } }, 1],
  [{ generationConfig: { temperature: 1e9 } }, 1],
  [{ generationConfig: { temperature: -1 } }, 1],
])('%j is sampled at %d', (metadata, temperature) => {
  expect(usualTemperature(metadata)).toBe(temperature);
});
