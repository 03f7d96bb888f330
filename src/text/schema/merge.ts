// What the own keywords of some nodes come to when all of them hold: types, lists of values, limits. Owns the joining of
// keywords and the question whether two of the results may overlap. Conflicts are told, not thrown: an alternative without
// any value simply is not written. Next: schema-compiler.ts.

import { numberFormats, stringFormats } from './formats.ts';
import type { Bounds } from './numbers.ts';
import { refused, type SchemaNode } from './schema-node.ts';

export type JsonType = 'null' | 'boolean' | 'number' | 'string' | 'array' | 'object';

const allTypes: readonly JsonType[] = ['null', 'boolean', 'number', 'string', 'array', 'object'];

/** Which type a keyword is about. */
const typeOfKeyword: Readonly<Record<string, JsonType>> = {
  properties: 'object',
  required: 'object',
  additionalProperties: 'object',
  patternProperties: 'object',
  propertyNames: 'object',
  minProperties: 'object',
  maxProperties: 'object',
  items: 'array',
  prefixItems: 'array',
  minItems: 'array',
  maxItems: 'array',
  pattern: 'string',
  minLength: 'string',
  maxLength: 'string',
  minimum: 'number',
  maximum: 'number',
  exclusiveMinimum: 'number',
  exclusiveMaximum: 'number',
  multipleOf: 'number',
};

/** `inferred`: where no type is named, keywords that speak of one type mean it. */
export function typesOf(nodes: readonly SchemaNode[], inferred: boolean): { types: Set<JsonType>; isInteger: boolean } {
  let types = new Set(allTypes);
  let isInteger = false;
  let isNamed = false;
  const implied = new Set<JsonType>();
  for (const { schema } of nodes) {
    for (const keyword of Object.keys(schema)) {
      if (Object.hasOwn(typeOfKeyword, keyword)) implied.add(typeOfKeyword[keyword]);
    }
    if (typeof schema.format === 'string' && stringFormats.has(schema.format)) implied.add('string');
    if (schema.enum !== undefined || Object.hasOwn(schema, 'const')) isNamed = true;
    if (schema.type === undefined) continue;
    isNamed = true;
    const names = new Set<unknown>(Array.isArray(schema.type) ? schema.type : [schema.type]);
    if (schema.nullable === true) names.add('null');
    if (names.has('integer') && !names.has('number')) isInteger = true;
    if (names.has('integer')) names.add('number');
    types = new Set([...types].filter((type) => names.has(type)));
  }
  if (inferred && !isNamed && implied.size > 0) types = implied;
  return { types, isInteger };
}

/** The values that are listed, if any are; they must still be held to all other keywords. */
export function listedValues(nodes: readonly SchemaNode[]): readonly unknown[] | null {
  let shortest: readonly unknown[] | null = null;
  for (const { schema } of nodes) {
    const listed = Object.hasOwn(schema, 'const') ? [schema.const] : (schema.enum as unknown[] | undefined);
    if (listed !== undefined && (shortest === null || listed.length < shortest.length)) shortest = listed;
  }
  return shortest;
}

export function largest(nodes: readonly SchemaNode[], keyword: string): number {
  return nodes.reduce((most, { schema }) => Math.max(most, (schema[keyword] as number | undefined) ?? 0), 0);
}

export function smallest(nodes: readonly SchemaNode[], keyword: string): number {
  return nodes.reduce(
    (least, { schema }) => Math.min(least, (schema[keyword] as number | undefined) ?? Number.POSITIVE_INFINITY),
    Number.POSITIVE_INFINITY,
  );
}

export function boundsOf(nodes: readonly SchemaNode[]): Bounds {
  let low = Number.NEGATIVE_INFINITY;
  let high = Number.POSITIVE_INFINITY;
  let isLowOpen = false;
  let isHighOpen = false;
  const raise = (value: unknown, isOpen: boolean): void => {
    if (typeof value !== 'number' || value < low) return;
    isLowOpen = value === low ? isLowOpen || isOpen : isOpen;
    low = value;
  };
  const lower = (value: unknown, isOpen: boolean): void => {
    if (typeof value !== 'number' || value > high) return;
    isHighOpen = value === high ? isHighOpen || isOpen : isOpen;
    high = value;
  };
  for (const { schema } of nodes) {
    raise(schema.minimum, false);
    raise(schema.exclusiveMinimum, true);
    lower(schema.maximum, false);
    lower(schema.exclusiveMaximum, true);
    const range = numberFormats.get(String(schema.format));
    raise(range?.[0], false);
    lower(range?.[1], true);
  }
  return { low, high, isLowOpen, isHighOpen };
}

/** Refuses formats that are not known, unless a pattern beside them says what they mean. */
export function checkFormats(nodes: readonly SchemaNode[]): void {
  if (nodes.some(({ schema }) => schema.pattern !== undefined)) return;
  for (const { schema, path } of nodes) {
    const { format } = schema;
    if (typeof format !== 'string' || stringFormats.has(format) || numberFormats.has(format)) continue;
    throw refused(path, 'format', `is ${JSON.stringify(format.slice(0, 40))}, which is not supported`);
  }
}
