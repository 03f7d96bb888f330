import { expect, it } from 'vitest';
import { parameterCounts } from '../../formats/describe.ts';
import { sizeNamed, tinyRecipe } from './recipe.ts';

it('the embedded model is small enough that each stage is kept: at most 10 MB in BF16', () => {
  const { size, vocab } = tinyRecipe();
  expect(2 * parameterCounts(sizeNamed(size, vocab)).total).toBeLessThanOrEqual(10e6);
});
