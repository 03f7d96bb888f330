import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LoopGuard } from './loop-guard.ts';
import { StopStrings } from './stop-strings.ts';

describe('stop strings', () => {
  it('are found across pieces exactly as in the whole text', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'é', '🙂'), minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(
        fc.array(letters, { minLength: 1, maxLength: 4 }),
        fc.array(fc.string({ unit: fc.constantFrom('a', 'b', 'é', '🙂'), maxLength: 4 }), { maxLength: 12 }),
        (stops, pieces) => {
          const stream = new StopStrings(stops);
          let told = '';
          for (const piece of pieces) told += stream.push(piece);
          told += stream.flush();
          const text = pieces.join('');
          // The one that ends first counts; of several that end there, the longest.
          const ends = stops.map((stop) => ({ stop, end: text.indexOf(stop) + stop.length, at: text.indexOf(stop) }));
          const found = ends
            .filter(({ at }) => at >= 0)
            .sort((a, b) => a.end - b.end || b.stop.length - a.stop.length)
            .at(0);
          expect(stream.found).toBe(found?.stop ?? null);
          expect(told).toBe(found === undefined ? text : text.slice(0, found.at));
        },
      ),
      { numRuns: 2000, seed: 5 },
    );
  });

  it('hold back no more than what may be the beginning of one', () => {
    const stream = new StopStrings(['\n\nQ:']);
    expect([stream.push('yes\n'), stream.push('\n'), stream.push('Q'), stream.push('ED'), stream.flush()]).toEqual([
      'yes',
      '',
      '',
      '\n\nQED',
      '',
    ]);
    expect(stream.push('end\n')).toBe('end');
    expect(stream.flush()).toBe('\n');
  });

  it('refuse what cannot be one', () => {
    expect(() => new StopStrings([''])).toThrow('0 characters');
    expect(() => new StopStrings(['x'.repeat(1001)])).toThrow('1001 characters');
    expect(() => new StopStrings(new Array(65).fill('x'))).toThrow('65 stop strings');
  });
});

describe('a loop guard', () => {
  const loops = (tokens: readonly number[]): number => {
    const guard = new LoopGuard();
    return tokens.findIndex((token) => guard.accept(token));
  };
  const repeated = (period: number, times: number): number[] =>
    Array.from({ length: period * times }, (_, i) => (i % period) * 7 + 1);

  it('speaks when a stretch of any length comes again and again', () => {
    for (const period of [1, 2, 17, 100, 256]) {
      const at = loops([9, 9, 8, ...repeated(period, 400)]);
      expect(at).toBeGreaterThanOrEqual(256);
      expect(at).toBeLessThan(3 + Math.max(256, 6 * period) + 2 * period);
    }
  });

  it('is patient with lists, tables and long texts that differ a little', () => {
    expect(loops(new Array(200).fill(5))).toBe(-1);
    expect(loops(repeated(100, 6))).toBe(-1);
    expect(loops(Array.from({ length: 5000 }, (_, i) => (i % 10 === 0 ? 1000 + i : i % 10)))).toBe(-1);
    expect(loops(repeated(300, 50))).toBe(-1);
  });
});
