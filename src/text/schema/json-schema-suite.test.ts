// The JSON Schema Test Suite: for every schema that is not refused, valid instances can be written and invalid ones cannot.
// The package has the old drafts; what 2020-12 spells differently is rewritten first.

import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { repoPath } from '../../../test/shared.ts';
import { isGptOssError } from '../../errors.ts';
import type { Grammar } from './grammar.ts';
import { grammarAccepts, orders } from './schema.testing.ts';
import { compileSchema } from './schema-compiler.ts';

interface Case {
  readonly description: string;
  readonly schema: unknown;
  readonly tests: readonly { readonly description: string; readonly data: unknown; readonly valid: boolean }[];
}

const folder = repoPath('node_modules', 'json-schema-test-suite', 'tests', 'draft4');

/** Draft 4 as 2020-12 has it. */
function modernised(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(modernised);
  if (typeof schema !== 'object' || schema === null) return schema;
  const out: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(schema)) {
    if (key === 'enum') out[key] = value;
    else if (key === 'items' && Array.isArray(value)) out.prefixItems = value.map(modernised);
    else if (key === 'additionalItems') {
      if (Array.isArray((schema as { items?: unknown }).items)) out.items = modernised(value);
    } else if (key === 'exclusiveMinimum' || key === 'exclusiveMaximum') {
      if (typeof value !== 'boolean') out[key] = modernised(value);
    } else if (key === 'minimum' && (schema as Record<string, unknown>).exclusiveMinimum === true) {
      out.exclusiveMinimum = value;
    } else if (key === 'maximum' && (schema as Record<string, unknown>).exclusiveMaximum === true) {
      out.exclusiveMaximum = value;
    } else if (key === 'id' && typeof value === 'string') out.$id = value;
    else out[key] = modernised(value);
  }
  return out;
}

const files = readdirSync(folder)
  .filter((name) => name.endsWith('.json'))
  .sort();

describe('the JSON Schema Test Suite', () => {
  let compiled = 0;
  const refusals = new Map<string, number>();

  for (const file of files) {
    it(`${file}: valid instances can be written, invalid ones cannot`, () => {
      for (const { description, schema, tests } of JSON.parse(readFileSync(`${folder}/${file}`, 'utf8')) as Case[]) {
        let grammar: Grammar;
        try {
          grammar = compileSchema(modernised(schema), { isOpen: true });
        } catch (error) {
          if (!isGptOssError(error, 'invalid-request')) throw error;
          const keyword = String(error.details?.keyword);
          expect(error.message).toContain(`"${keyword}"`);
          refusals.set(keyword, (refusals.get(keyword) ?? 0) + 1);
          continue;
        }
        compiled++;
        for (const { description: name, data, valid } of tests) {
          const place = `${file}: ${description}: ${name}`;
          const isWritten = orders(data).some((value) => grammarAccepts(grammar, JSON.stringify(value)));
          expect(isWritten, place).toBe(valid);
        }
      }
    });
  }

  it('is refused only where it asks for what is not supported', () => {
    const supported = ['$ref', '$id', 'multipleOf', 'oneOf', 'minProperties', 'maxProperties']; // but not in every form
    const unsupported = ['dependencies', 'not', 'uniqueItems', 'tilda~field'];
    expect([...refusals.keys()].filter((keyword) => ![...supported, ...unsupported].includes(keyword))).toEqual([]);
    expect(compiled).toBeGreaterThanOrEqual(50);
  });
});
