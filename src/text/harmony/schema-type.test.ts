// JSON Schema as types: the library's algorithm where no fixture reaches, our additions to it, and hostile schemas.

import { describe, expect, it } from 'vitest';
import { toolsText } from './prompt-text.ts';
import { schemaType, takesNothing } from './schema-type.ts';

const reference = { reference: true };
const object = (properties: Record<string, unknown>, more: Record<string, unknown> = {}) => ({
  type: 'object',
  properties,
  ...more,
});

describe('schemaType', () => {
  it('writes the simple types', () => {
    const types = ['string', 'number', 'integer', 'boolean', 'null', 'weird'].map((type) => schemaType({ type }));
    expect(types).toEqual(['string', 'number', 'number', 'boolean', 'any', 'any']);
    expect([true, null, 3, 'x', [], {}].map((schema) => schemaType(schema))).toEqual(Array(6).fill('any'));
    expect(schemaType({ type: ['integer', 'null', 4] })).toBe('number | null');
    expect(schemaType({ type: [] })).toBe('any');
  });

  it('writes arrays without parentheses', () => {
    expect(schemaType({ type: 'array' })).toBe('Array<any>');
    expect(schemaType({ type: 'array', items: { type: 'string', enum: ['a', 'b'] } })).toBe('"a" | "b"[]');
    expect(schemaType({ type: 'array', items: { type: 'array', items: {} } })).toBe('any[][]');
  });

  it('indents the members of nested objects by four and leaves the top level at the margin', () => {
    const inner = object({ lat: { type: 'number', description: 'Latitude' } }, { required: ['lat'] });
    expect(schemaType(object({ place: inner }, { required: ['place'] }))).toBe(
      '{\nplace: {\n    // Latitude\n    lat: number,\n    },\n}',
    );
  });

  it('writes enums with only their strings', () => {
    expect(schemaType({ type: 'string', enum: ['a', 1, null] })).toBe('"a"');
    expect(schemaType({ type: 'string', enum: [1] })).toBe('string');
    expect(schemaType({ type: 'integer', enum: [1, 2] })).toBe('number');
  });

  it('writes defaults: strings quoted, enum strings bare, the rest as JSON', () => {
    const schema = object({
      a: { type: 'string', default: 'x' },
      b: { type: 'string', enum: ['x'], default: 'x' },
      c: { type: 'array', default: [1, { d: null }] },
      e: { type: 'boolean', default: false },
      f: { type: 'number', default: null },
    });
    expect(schemaType(schema)).toBe(
      '{\na?: string, // default: "x"\nb?: "x", // default: x\nc?: Array<any>, // default: [1,{"d":null}]\n' +
        'e?: boolean, // default: false\nf?: number, // default: null\n}',
    );
  });

  it('adds null once to nullable types', () => {
    const schema = object({
      a: { type: 'integer', nullable: true },
      b: { type: ['string', 'null'], nullable: true },
    });
    expect(schemaType(schema)).toBe('{\na?: number | null,\nb?: string | null,\n}');
  });

  it('writes a oneOf that is no property with a line for each variant', () => {
    const schema = {
      oneOf: [
        { type: 'string', enum: ['a'], description: 'first', default: 'a' },
        { type: 'number', nullable: true, default: 'n' },
      ],
    };
    expect(schemaType({ type: 'array', items: schema })).toBe(
      '\n | "a" // first default: "a"\n | number | null // default: "n"[]',
    );
  });

  it('does not repeat a description that the first variant of a property shares', () => {
    const variant = { type: 'string', description: 'same' };
    const schema = object({ p: { description: 'same', oneOf: [variant, { type: 'number', description: 'same' }] } });
    expect(schemaType(schema)).toBe('{\np?:\n | string\n | number\n,\n}');
    const other = object({ p: { description: 'all', oneOf: [variant, { type: 'number', description: 'num' }] } });
    expect(schemaType(other)).toBe('{\n// all\np?:\n | string\n | number // num\n,\n}');
  });

  it('writes examples that are strings, after title and description', () => {
    const schema = object({ p: { type: 'string', title: 'T', description: 'D', examples: ['x', 1] } });
    expect(schemaType(schema)).toBe('{\n// T\n//\n// D\n// Examples:\n// - "x"\np?: string,\n}');
  });

  it('keeps the order of properties', () => {
    expect(schemaType(object({ z: {}, a: {}, m: {} }))).toBe('{\nz?: any,\na?: any,\nm?: any,\n}');
  });
});

describe('what schemaType adds to the library', () => {
  const pet = { $defs: { Pet: object({ name: { type: 'string' } }, { required: ['name'] }) } };

  it('follows local references, and not in reference mode', () => {
    const schema = { ...object({ pet: { $ref: '#/$defs/Pet', description: 'A pet' } }), ...pet };
    // The description stands above the property and, as the library does for any object, once more above its brace.
    expect(schemaType(schema)).toBe('{\n// A pet\npet?:     // A pet\n{\n    name: string,\n    },\n}');
    expect(schemaType(schema, reference)).toBe('{\n// A pet\npet?: any,\n}');
    expect(schemaType(object({ a: { $ref: 'http://x/y' }, b: { $ref: '#/nope' }, c: { $ref: '#/%' } }))).toBe(
      '{\na?: any,\nb?: any,\nc?: any,\n}',
    );
  });

  it('writes anyOf like oneOf, and a null variant as null', () => {
    expect(schemaType(object({ a: { anyOf: [{ type: 'string' }, { type: 'null' }], default: null } }))).toBe(
      '{\na?: string | null, // default: null\n}',
    );
    expect(schemaType(object({ a: { anyOf: [{ type: 'string' }, { type: 'integer' }, { type: 'null' }] } }))).toBe(
      '{\na?:\n | string\n | number | null\n,\n}',
    );
    expect(schemaType(object({ a: { anyOf: [{ type: 'string' }] } }), reference)).toBe('{\na?: any,\n}');
  });

  it('takes an allOf of one and a string const', () => {
    expect(schemaType({ ...object({ a: { allOf: [{ $ref: '#/$defs/Pet' }] } }), ...pet })).toContain('name: string');
    expect(schemaType({ const: 'x' })).toBe('"x"');
    expect(schemaType({ allOf: [{ type: 'string' }, {}] })).toBe('any');
  });

  it('writes a function whose object has no properties as one without arguments', () => {
    expect(takesNothing({ type: 'object', properties: {} })).toBe(true);
    expect(takesNothing(undefined)).toBe(true);
    expect(takesNothing({ type: 'object', properties: {} }, reference)).toBe(false);
    expect(takesNothing({ type: 'object', description: 'x' })).toBe(false);
    expect(takesNothing(true)).toBe(false);
    const space = { name: 'functions', functions: [{ name: 'f', parameters: { type: 'object' } }] };
    expect(toolsText([space])).toContain('type f = () => any;');
    expect(toolsText([space], reference)).toContain('type f = (_: {\n}) => any;');
  });
});

describe('toolsText', () => {
  it('sorts namespaces, comments every line of a description and leaves empty ones out', () => {
    const text = toolsText([
      { name: 'b', description: 'one\n\ntwo\n' },
      { name: 'a', description: 'x\r\ny', functions: [{ name: 'f', description: 'p\nq' }, { name: 'g' }] },
    ]);
    expect(text).toBe(
      '# Tools\n\n## a\n\n// x\n// y\nnamespace a {\n\n// p\n// q\ntype f = () => any;\n\ntype g = () => any;\n\n' +
        '} // namespace a\n\n## b\n\none\n\ntwo',
    );
  });
});

describe('hostile schemas', () => {
  it('end recursion, and reference loops, in any', () => {
    const tree = { $defs: { T: object({ l: { $ref: '#/$defs/T' }, r: { $ref: '#/$defs/T' } }) }, $ref: '#/$defs/T' };
    const text = schemaType(tree);
    expect(text).toContain('any');
    expect(text.length).toBeLessThan(3_000_000);
    expect(schemaType({ $ref: '#' })).toBe('any');
    expect(schemaType({ $defs: { a: { $ref: '#/$defs/b' }, b: { $ref: '#/$defs/a' } }, $ref: '#/$defs/a' })).toBe(
      'any',
    );
  });

  it('bound deep nesting, repeated long descriptions and wide unions', () => {
    let deep: unknown = { type: 'string' };
    for (let i = 0; i < 5000; i++) deep = { type: 'array', items: deep };
    expect(schemaType(deep)).toMatch(/^any(\[\])+$/);
    const properties = Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`p${i}`, { $ref: '#/$defs/L' }]));
    const long = { ...object(properties), $defs: { L: { type: 'string', description: 'x'.repeat(100_000) } } };
    expect(schemaType(long).length).toBeLessThan(2_000_000);
    expect(schemaType({ oneOf: Array(50_000).fill({ type: 'string' }) }).length).toBeLessThan(2_000_000);
  });

  it('do not reach prototypes', () => {
    expect(schemaType(object({ a: { $ref: '#/__proto__/constructor' }, b: { $ref: '#/constructor' } }))).toBe(
      '{\na?: any,\nb?: any,\n}',
    );
    expect(schemaType(JSON.parse('{"type":"object","properties":{"__proto__":{"type":"string"}}}'))).toBe(
      '{\n__proto__?: string,\n}',
    );
  });
});
