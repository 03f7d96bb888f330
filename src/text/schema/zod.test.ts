// Schemas as zod writes them (what SDKs send): what is sampled passes zod again.

import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { compileFormat } from './output-format.ts';
import { byteVocabulary, randomOf, sampleText, tinyVocabulary } from './schema.testing.ts';

const tree: z.ZodType = z.lazy(() => z.object({ value: z.string(), children: z.array(tree).max(2) }));

const types: Record<string, z.ZodType> = {
  strings: z.object({ a: z.email(), b: z.uuid(), c: z.iso.datetime(), d: z.iso.date(), e: z.iso.time(), f: z.url() }),
  'more strings': z.object({
    a: z.ipv4(),
    b: z.ipv6(),
    c: z.cuid2(),
    d: z.base64(),
    e: z.e164(),
    f: z.nanoid(),
    g: z.cidrv4(),
  }),
  'parts of strings': z.string().startsWith('ab').endsWith('c').includes('x'),
  numbers: z.object({ a: z.int(), b: z.number().min(0).max(5), c: z.number().positive(), d: z.int().multipleOf(5) }),
  records: z.object({ a: z.record(z.string(), z.int()), b: z.record(z.enum(['x', 'y']), z.boolean()) }),
  tuples: z.tuple([z.tuple([z.string(), z.int()]), z.tuple([z.literal([1, 'a'])], z.boolean())]),
  'discriminated unions': z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('circle'), radius: z.number() }),
    z.object({ kind: z.literal('square'), side: z.number().nullable() }),
  ]),
  unions: z.union([z.string(), z.null(), z.array(z.union([z.int(), z.boolean()]))]),
  objects: z.object({
    a: z.string().optional(),
    b: z.looseObject({ c: z.int() }),
    d: z.object({ e: z.int() }).catchall(z.string()),
  }),
  intersections: z.intersection(z.object({ a: z.string() }), z.object({ b: z.int() })),
  'recursive types': tree,
  anything: z.object({ a: z.any(), b: z.array(z.never()) }),
};

describe('schemas from zod', () => {
  it.each(Object.keys(types))('%s', (name) => {
    const type = types[name];
    for (const [i, vocabulary] of [byteVocabulary(), tinyVocabulary()].entries()) {
      const format = compileFormat({ kind: 'json-schema', schema: z.toJSONSchema(type) }, vocabulary);
      for (let seed = 0; seed < 5; seed++) {
        const { text } = sampleText(format, vocabulary, randomOf(2 * seed + i), 50);
        expect(type.safeParse(JSON.parse(text)).error, text).toBeUndefined();
      }
    }
  });
});
