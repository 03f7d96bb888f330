// Whether a given value is valid, for the values that a schema lists itself (enum, const) and that its other keywords may
// forbid. Follows the same keywords as everything else here. Values are small: they came with the request.

import { dfaMatches } from './char-dfa.ts';
import { numberFormats } from './formats.ts';
import { deepestNesting } from './machine.ts';
import { isJsonObject, refused, type SchemaDocument, type SchemaNode, type Subschema } from './schema-node.ts';
import type { StringRules } from './strings.ts';
import { finish, type WorkLimit } from './work-limit.ts';

const listed = 2_000; // values between two yields

export class ValueChecker {
  readonly #document: SchemaDocument;
  readonly #strings: StringRules;
  readonly #work: WorkLimit;
  readonly #listed = new Map<readonly unknown[], ReadonlySet<unknown>>();
  #depth = 0;

  constructor(document: SchemaDocument, strings: StringRules, work: WorkLimit) {
    this.#document = document;
    this.#strings = strings;
    this.#work = work;
  }

  accepts(schema: Subschema, value: unknown): boolean {
    if (schema === 'always') return true;
    if (schema === 'never') return false;
    // References without a value in between nest here, too; values are no deeper than that.
    if (this.#depth > 4 * deepestNesting) throw refused(schema.path, '$ref', 'leads back to itself');
    this.#depth++;
    try {
      const document = this.#document;
      const accepts = (inner: Subschema): boolean => this.accepts(inner, value);
      if (!this.acceptsOwn(schema, value)) return false;
      if (schema.schema.$ref !== undefined && !accepts(document.reference(schema))) return false;
      if (!document.children(schema, 'allOf').every(accepts)) return false;
      if (schema.schema.anyOf !== undefined && !document.children(schema, 'anyOf').some(accepts)) return false;
      return schema.schema.oneOf === undefined || document.children(schema, 'oneOf').filter(accepts).length === 1;
    } finally {
      this.#depth--;
    }
  }

  /** The keywords of one node, without those that point to others about the same value. */
  acceptsOwn(node: SchemaNode, value: unknown): boolean {
    this.#work.spend(2);
    const { schema } = node;
    if (schema.type !== undefined) {
      const names = Array.isArray(schema.type) ? schema.type : [schema.type];
      const isNull = value === null && schema.nullable === true;
      if (!isNull && !names.some((name) => isOfType(value, name))) return false;
    }
    if (Object.hasOwn(schema, 'const') && !isEqual(schema.const, value)) return false;
    if (schema.enum !== undefined && !this.#isListed(schema.enum as readonly unknown[], value)) return false;
    if (typeof value === 'string') return this.#strings.accepts(node, value);
    if (typeof value === 'number') return acceptsNumber(node, value);
    if (Array.isArray(value)) return this.#acceptsArray(node, value);
    return !isJsonObject(value) || this.#acceptsObject(node, value);
  }

  /** Makes ready, in steps, what a long `enum` is looked up in. */
  *listing({ schema }: SchemaNode): Generator<void, void> {
    if (schema.enum === undefined) return;
    const list = schema.enum as readonly unknown[];
    const scalars = new Set<unknown>();
    for (let from = 0; from < list.length; from += listed) {
      for (const value of list.slice(from, from + listed)) scalars.add(value);
      yield;
    }
    this.#listed.set(list, scalars);
  }

  #isListed(list: readonly unknown[], value: unknown): boolean {
    let scalars = this.#listed.get(list);
    if (scalars === undefined) {
      scalars = new Set(list);
      this.#listed.set(list, scalars);
    }
    if (scalars.has(value)) return true;
    if (typeof value !== 'object' || value === null) return false;
    this.#work.spend(list.length);
    return list.some((one) => isEqual(one, value));
  }

  #acceptsArray(node: SchemaNode, value: readonly unknown[]): boolean {
    const { minItems, maxItems, items } = node.schema;
    if (value.length < Number(minItems ?? 0)) return false;
    if (value.length > Number(maxItems ?? Number.POSITIVE_INFINITY)) return false;
    const prefix = this.#document.children(node, 'prefixItems');
    const rest = items === undefined ? 'always' : this.#document.child(node, 'items');
    return value.every((item, i) => this.accepts(prefix[i] ?? rest, item));
  }

  #acceptsObject(node: SchemaNode, value: Readonly<Record<string, unknown>>): boolean {
    const { required = [], minProperties, maxProperties } = node.schema;
    const keys = Object.keys(value);
    if (keys.length < Number(minProperties ?? 0)) return false;
    if (keys.length > Number(maxProperties ?? Number.POSITIVE_INFINITY)) return false;
    if (!(required as readonly string[]).every((name) => Object.hasOwn(value, name))) return false;
    if (!keys.every((key) => this.acceptsName(node, key))) return false;
    return keys.every((key) => this.property(node, key).every((schema) => this.accepts(schema, value[key])));
  }

  /** Whether `propertyNames` of a node allows a name. */
  acceptsName(node: SchemaNode, name: string): boolean {
    if (node.schema.propertyNames === undefined) return true;
    return this.accepts(this.#document.child(node, 'propertyNames'), name);
  }

  /** What a node says about the value of a property: by name, by pattern, or else as one of all others. */
  property(node: SchemaNode, name: string): Subschema[] {
    const { properties = {}, patternProperties = {}, additionalProperties } = node.schema;
    const found: Subschema[] = [];
    if (Object.hasOwn(properties as object, name)) found.push(this.#document.child(node, 'properties', name));
    for (const pattern of Object.keys(patternProperties as object)) {
      const dfa = finish(this.#strings.pattern(node.path, 'patternProperties', pattern));
      if (dfa === null || !dfaMatches(dfa, name)) continue;
      found.push(this.#document.child(node, 'patternProperties', pattern));
    }
    if (found.length > 0) return found;
    return [additionalProperties === undefined ? 'always' : this.#document.child(node, 'additionalProperties')];
  }
}

function isOfType(value: unknown, name: string): boolean {
  switch (name) {
    case 'null':
      return value === null;
    case 'array':
      return Array.isArray(value);
    case 'object':
      return isJsonObject(value);
    case 'integer':
      return Number.isInteger(value);
    default:
      return typeof value === name;
  }
}

function acceptsNumber({ schema }: SchemaNode, value: number): boolean {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf } = schema;
  if (typeof minimum === 'number' && value < minimum) return false;
  if (typeof maximum === 'number' && value > maximum) return false;
  if (typeof exclusiveMinimum === 'number' && value <= exclusiveMinimum) return false;
  if (typeof exclusiveMaximum === 'number' && value >= exclusiveMaximum) return false;
  if (typeof multipleOf === 'number' && !Number.isInteger(value / multipleOf)) return false;
  const range = numberFormats.get(String(schema.format));
  return !range || (Number.isInteger(value) && value >= range[0] && value < range[1]);
}

/** Equality of JSON values. Values nest no deeper than a schema's text may. */
export function isEqual(one: unknown, two: unknown): boolean {
  if (one === two) return true;
  if (Array.isArray(one) && Array.isArray(two)) {
    return one.length === two.length && one.every((item, i) => isEqual(item, two[i]));
  }
  if (!isJsonObject(one) || !isJsonObject(two)) return false;
  const keys = Object.keys(one);
  return (
    keys.length === Object.keys(two).length &&
    keys.every((key) => Object.hasOwn(two, key) && isEqual(one[key], two[key]))
  );
}

/** Whether a value has at most so many containers in each other; without recursion, whatever its depth. */
export function isNestedWithin(value: unknown, limit: number): boolean {
  let level: unknown[] = [value];
  for (let depth = 0; level.length > 0; depth++) {
    const inner = level.filter((one) => typeof one === 'object' && one !== null);
    if (inner.length > 0 && depth >= limit) return false;
    level = inner.flatMap((one) => Object.values(one as object));
  }
  return true;
}
