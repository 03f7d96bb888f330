// Whatever is sampled under the masks is valid: random schemas, random tokens, judged by ajv. And it always comes to an end.

import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isGptOssError } from '../../errors.ts';
import type { Vocabulary } from '../vocabulary.ts';
import { stringFormats } from './formats.ts';
import { compileFormat } from './output-format.ts';
import {
  byteVocabulary,
  o200kVocabulary,
  orderCount,
  orders,
  randomOf,
  sampleText,
  tinyVocabulary,
} from './schema.testing.ts';

const ajv = new Ajv2020({ strict: false, unicodeRegExp: true, validateFormats: true });
formats.default(ajv);

/** Throws when a text is not valid. */
function validator(schema: unknown): (text: string) => void {
  const validate = ajv.compile(schema as object);
  ajv.removeSchema();
  return (text) => {
    if (!validate(JSON.parse(text))) throw new Error(`${text} is not valid: ${ajv.errorsText(validate.errors)}`);
  };
}

const count = fc.nat(4);
const bound = fc.oneof(fc.integer({ min: -1200, max: 1200 }), fc.constantFrom(-0.5, 0.25, 99.95, 1e6, -1e9, 0.001));
const text = fc.oneof(
  fc.string({ maxLength: 4 }),
  fc.constantFrom('', 'a', 'a"b', 'é', '👩‍🚀', '\n', '\\', 'name', 'na'),
);
const name = fc.constantFrom('a', 'b', 'name', 'names', 'näme', '"', '\\u'); // not '', which ajv never finds missing
const pattern = fc.constantFrom(
  '^[a-z]{2,5}$',
  'ab+',
  '^(?:yes|no)$',
  '^\\d{3}-\\d{4}$',
  '[^"\\\\]',
  '^\\p{Lu}',
  'x$|^y',
  '.',
);

function keywordsOf(type: string, child: fc.Arbitrary<unknown>): fc.Arbitrary<object> {
  const some = <T>(shape: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<object> =>
    fc.record(shape, { requiredKeys: [] }) as fc.Arbitrary<object>;
  switch (type) {
    case 'string':
      return fc.oneof(
        some({ minLength: count, maxLength: count }),
        some({ pattern, maxLength: fc.integer({ min: 3, max: 12 }) }),
        some({ pattern, minLength: count }),
        some({ format: fc.constantFrom(...stringFormats.keys()) }),
      );
    case 'integer':
    case 'number':
      return some({
        minimum: bound,
        maximum: bound,
        exclusiveMinimum: bound,
        exclusiveMaximum: bound,
        ...(type === 'integer' ? { multipleOf: fc.integer({ min: 1, max: 12 }) } : {}),
      });
    case 'array':
      return some({
        items: child,
        prefixItems: fc.array(child, { minLength: 1, maxLength: 2 }),
        minItems: count,
        maxItems: count,
      });
    case 'object':
      return some({
        properties: fc.dictionary(name, child, { maxKeys: 4 }),
        required: fc.uniqueArray(name, { maxLength: 2 }),
        additionalProperties: fc.oneof(fc.boolean(), child),
        propertyNames: fc.constantFrom({ pattern: '^[a-z]' }, { enum: ['a', 'b'] }, { maxLength: 3 }),
        patternProperties: fc.dictionary(fc.constantFrom('^a', 'me$'), child, { maxKeys: 2 }),
      });
    default:
      return fc.constant({});
  }
}

const types = ['null', 'boolean', 'integer', 'number', 'string', 'array', 'object'];
const value = fc.oneof(
  text,
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.constantFrom(null, true, false),
);
const anyValue = fc.oneof(
  { weight: 4, arbitrary: value },
  fc.array(value, { maxLength: 2 }),
  fc.dictionary(name, value, { maxKeys: 2 }),
);

const { schema } = fc.letrec<{ schema: unknown; typed: object }>((tie) => ({
  schema: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    { weight: 6, arbitrary: tie('typed') },
    { weight: 1, arbitrary: fc.record({ enum: fc.array(anyValue, { minLength: 1, maxLength: 4 }) }) },
    { weight: 1, arbitrary: fc.record({ const: anyValue }) },
    { weight: 1, arbitrary: fc.constantFrom<unknown>(true, {}, { $ref: '#' }, { $ref: '#/$defs/list' }) },
    { weight: 1, arbitrary: fc.record({ anyOf: fc.array(tie('schema'), { minLength: 1, maxLength: 3 }) }) },
    { weight: 1, arbitrary: fc.record({ oneOf: fc.array(tie('schema'), { minLength: 1, maxLength: 2 }) }) },
    {
      weight: 1,
      arbitrary: fc
        .tuple(tie('typed'), fc.array(tie('schema'), { minLength: 1, maxLength: 2 }))
        .map(([own, allOf]) => ({ ...own, allOf })),
    },
  ),
  typed: fc.tuple(fc.constantFrom(...types), fc.boolean()).chain(([type, isNullable]) =>
    keywordsOf(type, tie('schema')).map((own) => ({
      type: isNullable && type !== 'null' ? [type, 'null'] : type,
      ...own,
    })),
  ),
}));

const list = {
  type: 'object',
  properties: { head: { type: 'integer' }, tail: { anyOf: [{ $ref: '#/$defs/list' }, { type: 'null' }] } },
  required: ['head', 'tail'],
};

function sampleAll(vocabulary: Vocabulary, numRuns: number, seed: number): { written: number; refused: number } {
  const counts = { written: 0, refused: 0 };
  fc.assert(
    fc.property(schema, fc.nat(), fc.boolean(), (inner, choices, isOpen) => {
      const whole = {
        $defs: { list },
        type: ['object', 'array', 'string', 'number', 'null'],
        anyOf: [inner, { const: 'or this' }],
      };
      const some = typeof inner === 'object' ? { ...(inner as object), $defs: { list } } : inner;
      const top: unknown = JSON.parse(JSON.stringify(choices % 3 === 0 ? whole : some));
      let format: ReturnType<typeof compileFormat>;
      try {
        format = compileFormat({ kind: 'json-schema', schema: top, isOpen }, vocabulary);
      } catch (error) {
        if (!isGptOssError(error, 'invalid-request')) throw error;
        counts.refused++;
        return;
      }
      const expectValid = validator(top);
      for (let i = 0; i < 4; i++) {
        expectValid(sampleText(format, vocabulary, randomOf(choices + i), 40).text);
        counts.written++;
      }
    }),
    { numRuns, seed },
  );
  return counts;
}

describe('sampling under a schema', () => {
  it('gives only valid values, byte by byte', () => {
    const { written, refused } = sampleAll(byteVocabulary(), 200, 11);
    expect(written).toBeGreaterThan(refused);
  });

  it('gives only valid values with the tiny vocabulary', () => {
    sampleAll(tinyVocabulary(), 150, 12);
  });

  it('gives only valid values with o200k', () => {
    sampleAll(o200kVocabulary(), 60, 13);
  });
});

/** A value with one place in it changed. */
function changed(value: unknown, random: () => number): unknown {
  const any = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)];
  if (typeof value !== 'object' || value === null || random() < 0.2) {
    return any<unknown>([0, 1, -3, 2.5, 700, '', 'a', 'ab', 'name', null, true, [], {}, [1], { a: 1 }, { b: 'a' }]);
  }
  const entries = Object.entries(value);
  const at = Math.floor(random() * entries.length);
  const rest = entries.filter((_, i) => i !== at);
  const way = random();
  if (entries.length === 0 || way < 0.2) rest.push(...entries.slice(at, at + 1), [any(['a', 'b', 'name', 'z']), 1]);
  else if (way < 0.8) rest.splice(at, 0, [entries[at][0], changed(entries[at][1], random)]);
  return Array.isArray(value) ? rest.map(([, item]) => item) : Object.fromEntries(rest);
}

/** Its arrays hold three of itself or of null: who opens brackets before trying `null` never comes back. */
const endlesslyDeep = {
  type: ['array', 'null'],
  items: { $ref: '#' },
  prefixItems: [{ type: ['boolean', 'null'], allOf: [{ $ref: '#' }] }],
  minItems: 3,
};

describe('values', () => {
  it('can be written exactly when they are valid', () => {
    const counts = { valid: 0, invalid: 0 };
    fc.assert(
      fc.property(schema, fc.nat(), (inner, choices) => {
        const top: unknown = JSON.parse(JSON.stringify({ anyOf: [inner], $defs: { list } }));
        if (JSON.stringify(top).includes('"format"')) return; // some allow less than their validators
        let format: ReturnType<typeof compileFormat>;
        try {
          format = compileFormat({ kind: 'json-schema', schema: top, isOpen: true }, byteVocabulary());
        } catch {
          return;
        }
        const validate = ajv.compile(top as object);
        ajv.removeSchema();
        const random = randomOf(choices);
        let value: unknown = JSON.parse(sampleText(format, byteVocabulary(), random, 20).text);
        for (let i = 0; i < 6; i++) {
          value = changed(value, random);
          const isValid = validate(value);
          const json = JSON.stringify(value);
          if (orderCount(value) > 200 || /\de[+-]?\d|\.\d{12}|\d{15}/.test(json)) continue; // too many or too long
          if (/"\d+":/.test(json)) continue; // JavaScript has these names first, declared ones are written before others
          const isWritten = orders(value).some((form) => format.accepts(JSON.stringify(form)));
          if (isWritten !== isValid) throw new Error(`${json} should be ${isValid ? 'valid' : 'invalid'}`);
          counts[isValid ? 'valid' : 'invalid']++;
        }
      }),
      { numRuns: 200, examples: [[endlesslyDeep, 1_958_969_994]] },
    );
    expect(Math.min(counts.valid, counts.invalid)).toBeGreaterThan(20);
  });
});
