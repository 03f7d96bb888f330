// YaRN frequencies against transformers' (../shared/fixtures/yarn.json) and the figures of model-spec §1.4.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { hasShared, sharedPath } from '../../test/shared.ts';
import { yarnRope } from './rope.ts';

interface Table {
  name: string;
  head_dim: number;
  original_max_position_embeddings: number;
  factor: number;
  concentration: number;
  inv_freq: number[];
  positions: number[];
  cos: number[][];
  sin: number[][];
}

const base = { ropeTheta: 150000, betaFast: 32, betaSlow: 1 };

describe('rope', () => {
  it.skipIf(!hasShared('fixtures', 'yarn.json'))('equals transformers for unrounded, limited bounds', () => {
    const { tables } = JSON.parse(readFileSync(sharedPath('fixtures', 'yarn.json'), 'utf8')) as { tables: Table[] };
    expect(tables.length).toBe(3);
    for (const table of tables) {
      const rope = yarnRope({
        headDim: table.head_dim,
        ropeTheta: base.ropeTheta,
        rope: { ...base, factor: table.factor, originalContext: table.original_max_position_embeddings },
      });
      expect(rope.scale).toBeCloseTo(table.concentration, 7);
      expect(rope.inverse.length).toBe(table.inv_freq.length);
      for (const [i, expected] of table.inv_freq.entries()) {
        expect(Math.abs(rope.inverse[i] / expected - 1), `${table.name} ${i}`).toBeLessThan(1e-6);
      }
    }
  });

  it('does not scale when the factor is 1', () => {
    const rope = yarnRope({ headDim: 64, ropeTheta: 10000, rope: { ...base, factor: 1, originalContext: 4096 } });
    expect(rope.scale).toBe(1);
    for (let i = 0; i < 32; i++) expect(rope.inverse[i]).toBeCloseTo(10000 ** (-i / 32), 6);
  });

  it('gives the published check values of the 20b model', () => {
    const rope = yarnRope({ headDim: 64, ropeTheta: 150000, rope: { ...base, factor: 32, originalContext: 4096 } });
    const known: [number, number][] = [
      [0, 1],
      [8, 5.081327482e-2],
      [9, 3.170569618e-2],
      [16, 4.564839192e-4],
      [17, 1.293187012e-4],
      [31, 3.023511428e-7],
    ];
    for (const [i, expected] of known) expect(Math.abs(rope.inverse[i] / expected - 1)).toBeLessThan(1e-6);
  });
});
