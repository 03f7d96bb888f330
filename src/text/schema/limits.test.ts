// Hostile and mistaken schemas: each works or ends in one `invalid-request` that names a keyword and a place.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GptOssError, isGptOssError } from '../../errors.ts';
import { compileFormat, type OutputFormat } from './output-format.ts';
import { byteVocabulary, grammarAccepts } from './schema.testing.ts';
import { compileSchema } from './schema-compiler.ts';

/** Keyword and path of the refusal, or `fine`. */
function fate(schema: unknown, isOpen = false): string {
  try {
    compileSchema(schema, { isOpen });
    return 'fine';
  } catch (error) {
    if (!isGptOssError(error, 'invalid-request')) throw error;
    expect(error.message.length).toBeLessThan(700);
    expect(error.message).toMatch(/^the schema (?:at .*|at its root): "/s);
    return `${error.details?.keyword} ${error.details?.path}`;
  }
}

const nested = (levels: number, inner: unknown, wrap: (inner: unknown) => unknown): unknown => {
  let schema = inner;
  for (let i = 0; i < levels; i++) schema = wrap(schema);
  return schema;
};
const list = <T>(length: number, of: (i: number) => T): T[] => Array.from({ length }, (_, i) => of(i));
const properties = (count: number) => Object.fromEntries(list(count, (i) => [`property_${i}`, { type: 'integer' }]));

describe('schemas that are not supported', () => {
  it.each([
    [{ type: 'object', if: {}, else: false }, 'if '],
    [{ type: 'array', items: { not: { type: 'string' } } }, 'not /items'],
    [{ type: 'array', uniqueItems: true }, 'uniqueItems '],
    [{ properties: { a: { contains: {} } } }, 'contains /properties/a'],
    [{ properties: { 'a/b~c': { dependentRequired: {} } } }, 'dependentRequired /properties/a~1b~0c'],
    [{ type: 'object', minProperties: 1 }, 'minProperties '],
    [{ properties: { a: {}, b: {} }, maxProperties: 1 }, 'maxProperties '],
    [{ $defs: { a: { type: 'text' } }, $ref: '#/$defs/a' }, 'type /$defs/a'],
    [{ type: [] }, 'type '],
    [{ type: 7 }, 'type '],
    [{ enum: 'a' }, 'enum '],
    [{ required: 'a' }, 'required '],
    [{ required: [1] }, 'required '],
    [{ properties: [] }, 'properties '],
    [{ properties: { a: 1 } }, 'properties /properties/a'],
    [{ items: [{}] }, 'items '],
    [{ anyOf: [] }, 'anyOf '],
    [{ anyOf: {} }, 'anyOf '],
    [{ minLength: -1 }, 'minLength '],
    [{ minLength: 1.5 }, 'minLength '],
    [{ maximum: '5' }, 'maximum '],
    [{ multipleOf: 0 }, 'multipleOf '],
    [{ nullable: 'yes' }, 'nullable '],
    [{ pattern: 7 }, 'pattern '],
    [{ $ref: 7 }, '$ref '],
    [{ strict: true }, 'strict '],
    ['text', 'schema '],
    [null, 'schema '],
    [[], 'schema '],
  ])('%j is refused by name and place', (schema, expected) => {
    expect(fate(schema)).toBe(expected);
  });

  it('are not looked at where nothing uses them', () => {
    expect(fate({ type: 'integer', $defs: { unused: { not: { type: 'null' } } } })).toBe('fine');
    expect(fate({ title: 't', description: '<|call|>', default: 1, examples: [], 'x-order': 1, type: 'null' })).toBe(
      'fine',
    );
  });
});

describe('schemas without a valid value', () => {
  it.each([
    [false, 'schema '],
    [{ allOf: [{ type: 'string' }, { type: 'integer' }] }, 'type /allOf/0'],
    [{ type: 'string', minLength: 5, maxLength: 3 }, 'maxLength '],
    [{ type: 'string', pattern: '^a$', minLength: 2 }, 'pattern '],
    [{ type: 'string', pattern: 'a^' }, 'pattern '],
    [{ type: 'integer', minimum: 5, maximum: 4 }, 'minimum '],
    [{ type: 'integer', minimum: 7, maximum: 11, multipleOf: 6 }, 'multipleOf '],
    [{ type: 'number', exclusiveMinimum: 1, maximum: 1 }, 'exclusiveMinimum '],
    [{ enum: [] }, 'enum '],
    [{ type: 'string', enum: [1, 2] }, 'enum '],
    [{ const: 'abc', maxLength: 2 }, 'const '],
    [{ type: 'array', minItems: 3, maxItems: 2 }, 'minItems '],
    [{ type: 'array', prefixItems: [{ type: 'string', enum: [1] }], minItems: 1 }, 'enum /prefixItems/0'],
    [
      { properties: { a: { properties: { b: { enum: [] } }, required: ['b'] } }, required: ['a'] },
      'enum /properties/a/properties/b',
    ],
    [{ type: 'object', additionalProperties: false, required: ['a'] }, 'schema '],
    [{ type: 'object', properties: { next: { $ref: '#' } }, required: ['next'] }, 'schema '],
    [{ type: 'array', items: { $ref: '#' }, minItems: 1 }, 'schema '],
    [nested(65, { const: 1 }, (inner) => ({ type: 'array', items: inner, minItems: 1 })), 'schema '],
  ])('%j are refused', (schema, expected) => {
    expect(fate(schema)).toBe(expected);
  });

  it('are only left out where others remain', () => {
    const grammar = compileSchema({
      type: 'object',
      properties: {
        a: { anyOf: [{ type: 'string', minLength: 3, maxLength: 1 }, { const: 7 }] },
        b: false,
        c: { enum: [] },
      },
      required: ['a'],
    });
    expect(grammarAccepts(grammar, '{"a":7}')).toBe(true);
    expect(grammarAccepts(grammar, '{"a":"')).toBe(false);
    expect(grammarAccepts(grammar, '{"a":7,')).toBe(false);
  });
});

describe('hostile schemas', () => {
  const binary = (depth: number): unknown =>
    nested(depth, { type: 'null' }, (inner) => ({ anyOf: [inner, { type: 'array', items: inner }] }));

  it.each<[string, unknown, string]>([
    ['references to elsewhere', { $ref: 'http://evil.example/schema.json' }, '$ref '],
    ['references to files', { $ref: 'file:///etc/passwd' }, '$ref '],
    ['references to nowhere', { $ref: '#/$defs/a' }, '$ref '],
    ['references to what all objects have', { $ref: '#/constructor/prototype' }, '$ref '],
    ['references to __proto__', { $ref: '#/__proto__' }, '$ref '],
    ['references to no schema', { $ref: '#/title', title: 'x' }, '$ref /title'],
    ['a reference to itself', { $ref: '#' }, '$ref '],
    [
      'a circle of references',
      { $ref: '#/$defs/a', $defs: { a: { $ref: '#/$defs/b' }, b: { allOf: [{ $ref: '#/$defs/a' }] } } },
      '$ref /$defs/a',
    ],
    ['a circle through anyOf', { anyOf: [{ type: 'null' }, { $ref: '#' }] }, '$ref '],
    ['a circle through oneOf', { oneOf: [{ type: 'null' }, { $ref: '#' }] }, 'oneOf '],
    ['thirty thousand properties', { type: 'object', properties: properties(30_000) }, 'properties '],
    ['an enum of a hundred thousand', { enum: list(100_000, (i) => `value ${i}`) }, 'fine'],
    ['an enum of ten million bytes', { enum: list(1_000, (i) => `${i}`.repeat(4_000)) }, 'enum '],
    ['a huge constant', { const: 'x'.repeat(1_000_000) }, 'fine'],
    ['a deep constant', { const: nested(50_000, 1, (inner) => [inner]) }, 'const '],
    ['a deep schema', nested(2_000, { const: 1 }, (items) => ({ type: 'array', items })), 'fine'],
    [
      'a deep chain of allOf',
      nested(5_000, { const: 1 }, (inner) => ({ allOf: [inner] })),
      `$ref ${'/allOf/0'.repeat(200)}`,
    ],
    [
      'too many combinations',
      { allOf: list(30, () => ({ anyOf: [{ minLength: 1 }, { maxLength: 2 }] })) },
      'anyOf /allOf/28',
    ],
    [
      'a wide anyOf',
      {
        anyOf: list(400, (i) => ({
          type: 'object',
          properties: { kind: { const: `k${i}` }, ...properties(3) },
          required: ['kind'],
        })),
      },
      'fine',
    ],
    ['a wide oneOf', { oneOf: list(500, (i) => ({ const: i })) }, 'oneOf '],
    ['oneOf that cannot be told apart', { oneOf: [{ type: 'integer' }, { minimum: 2 }] }, 'oneOf '],
    ['alternatives that double at each level', binary(40), 'fine'],
    ['a lookbehind', { type: 'string', pattern: '(?<=x)' }, 'pattern '],
    ['a repeated anchor', { type: 'string', pattern: '^+' }, 'pattern '],
    ['a catastrophic pattern', { type: 'string', pattern: '(a+)+$' }, 'fine'],
    ['sixty thousand groups', { type: 'string', pattern: '('.repeat(60_000) + ')'.repeat(60_000) }, 'pattern '],
    ['a billion repeats', { type: 'string', pattern: 'a{0,1000000000}' }, 'pattern '],
    ['an exponential automaton', { type: 'string', pattern: '(a|b)*a(a|b){20}' }, 'pattern '],
    [
      'many hard patterns',
      {
        type: 'object',
        properties: Object.fromEntries(list(300, (i) => [`p${i}`, { type: 'string', pattern: `(a|b)*a(a|b){8}${i}` }])),
      },
      'pattern /properties/p',
    ],
    ['a length that no context holds', { type: 'string', minLength: 1e9 }, 'minLength '],
    ['a count that no context holds', { type: 'array', minItems: 2e5 }, 'minItems '],
    ['limits beyond everything', { type: ['array', 'string'], maxItems: 1e15, maxLength: 1e15 }, 'fine'],
    ['a pattern with a long length', { type: 'string', pattern: 'a', maxLength: 50_000 }, 'pattern '],
    ['numbers that are infinite', { enum: [Number.POSITIVE_INFINITY, 'a'] }, 'fine'],
    ['a large multiple', { type: 'integer', multipleOf: 1e9 }, 'multipleOf '],
    [
      'many patterns of properties',
      { patternProperties: Object.fromEntries(list(8, (i) => [`^${i}`, {}])) },
      'patternProperties ',
    ],
    [
      'names of objects',
      {
        type: 'object',
        properties: JSON.parse('{"__proto__":{"type":"null"},"constructor":{"type":"null"}}'),
        required: ['__proto__'],
      },
      'fine',
    ],
  ])('%s', (_name, schema, expected) => {
    if (expected.endsWith('/p')) expect(fate(schema)).toMatch(/^pattern \/properties\/p\d+$/);
    else expect(fate(schema)).toBe(expected);
  });

  it('cannot make the text endless: containers nest so deep and no deeper', () => {
    const grammar = compileSchema(true);
    const deep = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);
    expect(grammarAccepts(grammar, deep(64))).toBe(true);
    expect(grammarAccepts(grammar, deep(65))).toBe(false);
    const tree = compileSchema({
      type: 'object',
      properties: { v: { const: 1 }, kids: { type: 'array', items: { $ref: '#' } } },
      required: ['v'],
    });
    const branch = (levels: number): string => (levels === 0 ? '{"v":1}' : `{"v":1,"kids":[${branch(levels - 1)}]}`);
    expect(grammarAccepts(tree, branch(31))).toBe(true);
    expect(grammarAccepts(tree, branch(32))).toBe(false);
  });

  it('cannot make the text endless: white space is one space, or one line end with an indentation', () => {
    const grammar = compileSchema({
      type: 'object',
      properties: { a: { type: 'array', items: { type: 'integer' } }, b: { const: {} } },
    });
    const good = [
      '{}',
      '{ }',
      '{"a": [1, 2], "b": {}}',
      '{"a":[1,2],"b":{}}',
      '{\n  "a": [\n    1,\n    2\n  ],\n  "b": {}\n}',
      '{\n\t"b": {}\n}',
    ];
    const bad = [
      ' {}',
      '{} ',
      '{  }',
      '{\n\n}',
      '{"a" :[]}',
      '{"a":  []}',
      '{"a":\n[]}',
      '{"b":{} ,"a":[]}',
      '{"a":[1 ,2]}',
      `{\n${' '.repeat(5)}}`,
    ];
    for (const text of good) expect(grammarAccepts(grammar, text), text).toBe(true);
    for (const text of bad) expect(grammarAccepts(grammar, text), text).toBe(false);
  });

  it('cannot multiply the readings of a text', () => {
    // Two alternatives at each level that differ only at the end: the readings are 2^depth, the place stays small.
    const schema = {
      anyOf: [
        { type: 'object', properties: { n: { $ref: '#' }, a: { const: 1 } }, additionalProperties: false },
        { type: 'object', properties: { n: { $ref: '#' }, b: { const: 1 } }, additionalProperties: false },
      ],
    };
    const grammar = compileSchema(schema);
    let place = grammar.start;
    for (const byte of new TextEncoder().encode('{"n":'.repeat(60))) place = grammar.step(place, byte)!;
    expect(place.parts.length).toBeLessThan(10);
    const text = `${'{"n":'.repeat(60)}{}${',"b":1}'.repeat(60)}`;
    expect(grammarAccepts(grammar, text)).toBe(true);
  });

  it('of any JSON at all work or are refused', () => {
    const names =
      'type enum const properties required additionalProperties patternProperties propertyNames items prefixItems ' +
      'minItems maxLength pattern format minimum multipleOf anyOf oneOf allOf $ref $defs nullable not x-y __proto__';
    const { schema } = fc.letrec<{ schema: unknown }>((tie) => ({
      schema: fc.oneof(
        { maxDepth: 4 },
        {
          weight: 1,
          arbitrary: fc.constantFrom<unknown>('string', 'object', 'array', 'integer', '#', '#/items', '^a', 'date'),
        },
        { weight: 1, arbitrary: fc.constantFrom<unknown>(true, false, null, 0, 1, -1, 0.5, 1e300, Number.NaN) },
        {
          weight: 6,
          arbitrary: fc.dictionary(fc.constantFrom(...names.split(' ')), tie('schema'), { maxKeys: 4 }),
        },
        { weight: 1, arbitrary: fc.array(tie('schema'), { maxLength: 3 }) },
      ),
    }));
    const fates = new Set<boolean>();
    fc.assert(
      fc.property(schema, fc.boolean(), (value, isOpen) => {
        fates.add(fate(value, isOpen) === 'fine');
      }),
      { numRuns: 1500 },
    );
    expect(fates.size).toBe(2);
  });

  it('also as expressions and choices', () => {
    const wrong: OutputFormat[] = [
      { kind: 'regex', pattern: '(?=a)' },
      { kind: 'regex', pattern: 'a^' },
      { kind: 'regex', pattern: '(a|b)*a(a|b){20}' },
      { kind: 'choice', choices: [] },
      { kind: 'choice', choices: ['\ud800'] },
      { kind: 'choice', choices: ['x'.repeat(2_000_000)] },
    ];
    for (const format of wrong) expect(() => compileFormat(format, byteVocabulary())).toThrow(GptOssError);
  });
});

describe('properties', () => {
  it('come in the order of their declaration; optional ones may be left out, others follow', () => {
    const schema = {
      type: 'object',
      properties: { a: {}, b: {}, c: {} },
      required: ['b'],
      additionalProperties: { type: 'integer' },
    };
    const grammar = compileSchema(schema);
    for (const text of ['{"b":1}', '{"a":1,"b":1}', '{"b":1,"c":1}', '{"b":"","zz":1,"c2":2}', '{"b":1,"c":1,"":1}']) {
      expect(grammarAccepts(grammar, text), text).toBe(true);
    }
    for (const text of [
      '{}',
      '{"a":1}',
      '{"b":1,"a":1}',
      '{"zz":1,"b":1}',
      '{"b":1,"zz":"x"}',
      '{"b":1,"\\u0061":1}',
      '{"b":1,"b":1}',
    ]) {
      expect(grammarAccepts(grammar, text), text).toBe(false);
    }
  });

  it('are all there are, and types are what keywords speak of, unless silence is to be taken literally', () => {
    const schema = { properties: { a: { minimum: 3 } } };
    const [closed, open] = [compileSchema(schema), compileSchema(schema, { isOpen: true })];
    expect(grammarAccepts(closed, '{"a":3}')).toBe(true);
    for (const text of ['{"a":"x"}', '{"z":1}', '5', '{"a":3,"z":[]}']) {
      expect(grammarAccepts(closed, text), text).toBe(false);
      expect(grammarAccepts(open, text), text).toBe(true);
    }
    expect(grammarAccepts(compileSchema({ type: 'object' }), '{"z":[]}')).toBe(true);
  });

  it('may be ten thousand', () => {
    const schema = { type: 'object', properties: properties(10_000), required: ['property_5', 'property_9999'] };
    const format = compileFormat({ kind: 'json-schema', schema }, byteVocabulary());
    expect(format.accepts('{"property_3":1,"property_5":1,"property_4000":2,"property_9999":3}')).toBe(true);
    expect(format.accepts('{"property_3":1,"property_4000":2,"property_9999":3}')).toBe(false);
  });

  it('of zod records, and nothing where nothing is allowed', () => {
    const record = compileSchema({
      type: 'object',
      propertyNames: { type: 'string' },
      additionalProperties: { type: 'null' },
    });
    expect(grammarAccepts(record, '{"x":null}')).toBe(true);
    const enumerated = compileSchema({
      type: 'object',
      propertyNames: { enum: ['a', 'b'] },
      additionalProperties: { type: 'null' },
      required: ['a'],
    });
    expect(grammarAccepts(enumerated, '{"a":null,"b":null}')).toBe(true);
    expect(grammarAccepts(enumerated, '{"a":null,"c":null}')).toBe(false);
    expect(grammarAccepts(compileSchema({ type: 'array', items: { not: {} } }), '[]')).toBe(true);
    expect(grammarAccepts(compileSchema({ type: 'string', nullable: true }), 'null')).toBe(true);
  });
});
