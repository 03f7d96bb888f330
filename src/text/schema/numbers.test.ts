// Number texts within bounds, compared with what a reader makes of them.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { grammarAccepts } from './schema.testing.ts';
import { compileSchema } from './schema-compiler.ts';

const whole = fc.oneof(
  fc.integer({ min: -1100, max: 1100 }),
  fc.constantFrom(0, -1, 9, 10, 99, 100, 1e6, -1e6, 2 ** 53),
);
const decimal = fc.oneof(
  fc.integer({ min: -1100, max: 1100 }),
  fc.constantFrom(0.1, 0.25, -0.5, 99.95, 1.05, 1e-7, -1e-7, 0.001, 123456.789),
);
const keys = fc.constantFrom('minimum', 'exclusiveMinimum', 'maximum', 'exclusiveMaximum');
const near = fc.constantFrom(0, 1, -1, 0.01, -0.01, 0.5, -0.5, 0.0001, 1e-9, -1e-9, 10, -10, 1000);

const isWithin = (schema: Record<string, number>, value: number): boolean =>
  (schema.minimum === undefined || value >= schema.minimum) &&
  (schema.maximum === undefined || value <= schema.maximum) &&
  (schema.exclusiveMinimum === undefined || value > schema.exclusiveMinimum) &&
  (schema.exclusiveMaximum === undefined || value < schema.exclusiveMaximum);

function accepts(schema: Record<string, unknown>, text: string): boolean {
  try {
    return grammarAccepts(compileSchema(schema), text);
  } catch (error) {
    // No number at all, which is as good as none accepted.
    expect(String(error)).toMatch(/leaves no number/);
    return false;
  }
}

describe('numbers', () => {
  it('are integers within their bounds', () => {
    fc.assert(
      fc.property(
        fc.dictionary(keys, decimal, { maxKeys: 3 }),
        whole,
        near,
        fc.boolean(),
        (bounds, base, step, first) => {
          const value = Math.round((first ? (Object.values(bounds)[0] ?? base) : base) + step) + 0; // no negative zero
          const text = BigInt(value).toString();
          const expected = isWithin(bounds, value);
          expect(accepts({ type: 'integer', ...bounds }, text), `${JSON.stringify(bounds)} ${text}`).toBe(expected);
          for (const other of [`0${text}`, `${text}.0`, `+${text}`, `${text}e0`, '-']) {
            expect(accepts({ type: 'integer', ...bounds }, other)).toBe(false);
          }
        },
      ),
      { numRuns: 150 },
    );
  });

  it('are decimals within their bounds', () => {
    fc.assert(
      fc.property(
        fc.dictionary(keys, decimal, { minKeys: 1, maxKeys: 3 }),
        decimal,
        near,
        fc.boolean(),
        (bounds, base, step, first) => {
          const value = (first ? (Object.values(bounds)[0] ?? base) : base) + step;
          const text = value.toFixed(Math.max(0, Math.min(9, 14 - Math.trunc(Math.abs(value)).toString().length)));
          const short = text.replace(/\.?0+$/, '');
          for (const spelled of text.includes('.') ? [text, short] : [text]) {
            if (spelled === '' || spelled.replace(/[-.]/g, '').length > 15) continue;
            const expected = isWithin(bounds, Number(spelled));
            expect(accepts({ type: 'number', ...bounds }, spelled), `${JSON.stringify(bounds)} ${spelled}`).toBe(
              expected,
            );
          }
        },
      ),
      { numRuns: 150 },
    );
  });

  it('without bounds have any spelling of JSON that does not end in infinity', () => {
    const good = ['0', '-0', '1.5', '-0.001', '1e5', '1E+10', '2.5e-7', '1e289', '123456789012345678', '0.1e1'];
    const bad = [
      '',
      '-',
      '01',
      '.5',
      '5.',
      '1e',
      '1e+',
      '+1',
      '1e309',
      '1e999',
      'NaN',
      'Infinity',
      '0x10',
      '1_0',
      ' 1',
      '1 ',
    ];
    for (const text of good) expect(accepts({ type: 'number' }, text), text).toBe(true);
    for (const text of bad) expect(accepts({ type: 'number' }, text), text).toBe(false);
    expect(Number('999999999999999999e289')).toBeLessThan(Number.POSITIVE_INFINITY);
  });

  it('are multiples', () => {
    for (let value = -40; value <= 40; value++) {
      expect(accepts({ type: 'integer', multipleOf: 7, minimum: -30 }, String(value))).toBe(
        value % 7 === 0 && value >= -30,
      );
    }
    expect(() => compileSchema({ multipleOf: 0.01, type: 'number' })).toThrow(/"multipleOf" is no whole number/);
  });

  it('keep to the sizes that OpenAPI names', () => {
    const edges: [string, bigint][] = [
      ['int32', 2n ** 31n],
      ['int64', 2n ** 63n],
    ];
    for (const [format, edge] of edges) {
      const inside = [edge - 1n, -edge, 0n];
      for (const value of inside) expect(accepts({ type: 'integer', format }, String(value)), `${value}`).toBe(true);
      for (const value of [edge, -edge - 1n]) expect(accepts({ type: 'integer', format }, String(value))).toBe(false);
    }
  });

  it('refuse bounds that they cannot keep', () => {
    expect(() => compileSchema({ type: 'number', minimum: 0.1 + 0.2 })).toThrow(/more digits than the 15/);
    expect(() => compileSchema({ type: 'integer', minimum: 5, maximum: 4 })).toThrow(/leaves no number/);
    expect(() => compileSchema({ type: 'integer', minimum: 1e300 })).toThrow(/leaves no number/);
    expect(() => compileSchema({ type: 'number', minimum: Number.POSITIVE_INFINITY })).toThrow(/is no number/);
    expect(accepts({ type: 'integer', maximum: 1e300 }, '5')).toBe(true);
  });
});
