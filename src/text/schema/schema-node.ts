// A JSON Schema as it was given, made safe to work with: every subschema that is used is checked once, keyword by keyword.
// What is not supported is refused here, by name and place; nothing is passed over in silence but annotations.
// Owns subschemas, local references, errors. What they mean together: schema-compiler.ts.

import { GptOssError } from '../../errors.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

/** A subschema that is an object. */
export interface SchemaNode {
  readonly id: number;
  /** JSON pointer, for messages. */
  readonly path: string;
  readonly schema: JsonObject;
}

/** `always` and `never` are the schemas `true` and `false`. */
export type Subschema = SchemaNode | 'always' | 'never';

const annotations = new Set([
  ...['title', 'description', 'default', 'examples', 'example', '$comment', '$schema', 'deprecated', 'readOnly'],
  ...[
    'writeOnly',
    'contentEncoding',
    'contentMediaType',
    'discriminator',
    'externalDocs',
    'xml',
    '$defs',
    'definitions',
  ],
]);

const typeNames = new Set(['null', 'boolean', 'integer', 'number', 'string', 'array', 'object']);

/** How many characters or items may at least be demanded: more would not fit a context. */
const largestLeast = 100_000;

export const mostProperties = 20_000;

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Says what is wrong with a keyword, and where. */
export function refused(path: string, keyword: string, what: string): GptOssError {
  const where = path === '' ? 'at its root' : `at ${path.length > 200 ? `${path.slice(0, 200)}…` : path}`;
  return new GptOssError(
    'invalid-request',
    `the schema ${where}: "${keyword}" ${what}; expected the supported part of JSON Schema 2020-12; see docs/structured-output.md`,
    { details: { keyword, path: path.slice(0, 2000) } },
  );
}

type Check = (value: unknown, refuse: (what: string) => never, schema: JsonObject) => void;

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;

const count: Check = (value, refuse) => {
  if (!isCount(value)) refuse('is no whole number from 0');
};
const least: Check = (value, refuse) => {
  if (!isCount(value)) refuse('is no whole number from 0');
  if ((value as number) > largestLeast) refuse(`demands more than ${largestLeast}`);
};
const finite: Check = (value, refuse) => {
  if (typeof value !== 'number' || !Number.isFinite(value)) refuse('is no number');
};
const schemaList: Check = (value, refuse) => {
  if (!Array.isArray(value) || value.length === 0) refuse('is no list of schemas');
};
const schemaMap: Check = (value, refuse) => {
  if (!isJsonObject(value)) refuse('is no object of schemas');
};
const text: Check = (value, refuse) => {
  if (typeof value !== 'string') refuse('is no string');
};
const only =
  (allowed: boolean, why: string): Check =>
  (value, refuse) => {
    if (value !== allowed) refuse(why);
  };
const unsupported: Check = (_value, refuse) => refuse('is not supported');
const accept: Check = () => undefined;

const keywords: Readonly<Record<string, Check>> = {
  type: (value, refuse) => {
    const list = Array.isArray(value) ? value : [value];
    if (list.length === 0 || !list.every((name) => typeNames.has(name))) refuse('names no type of JSON');
  },
  enum: (value, refuse) => {
    if (!Array.isArray(value)) refuse('is no list of values');
  },
  const: accept,
  properties: (value, refuse, schema) => {
    schemaMap(value, refuse, schema);
    if (Object.keys(value as JsonObject).length > mostProperties) refuse(`has more than ${mostProperties} entries`);
  },
  required: (value, refuse) => {
    if (!Array.isArray(value) || !value.every((name) => typeof name === 'string')) refuse('is no list of names');
    if ((value as unknown[]).length > mostProperties) refuse(`has more than ${mostProperties} entries`);
  },
  additionalProperties: accept,
  patternProperties: schemaMap,
  propertyNames: accept,
  items: (value, refuse) => {
    if (Array.isArray(value)) refuse('is a list, as in drafts before 2020-12 (there it is called prefixItems)');
  },
  prefixItems: schemaList,
  minItems: least,
  maxItems: count,
  minLength: least,
  maxLength: count,
  minProperties: count,
  maxProperties: count,
  pattern: text,
  format: text,
  minimum: finite,
  maximum: finite,
  exclusiveMinimum: finite,
  exclusiveMaximum: finite,
  multipleOf: (value, refuse) => {
    if (typeof value !== 'number' || !(value > 0) || !Number.isFinite(value)) refuse('is no number above 0');
  },
  anyOf: schemaList,
  oneOf: schemaList,
  allOf: schemaList,
  $ref: text,
  nullable: (value, refuse) => {
    if (typeof value !== 'boolean') refuse('is neither true nor false');
  },
  not: unsupported, // but for `not: {}`, see below
  uniqueItems: only(false, 'is not supported'),
  unevaluatedProperties: only(true, 'is not supported (additionalProperties is)'),
  unevaluatedItems: only(true, 'is not supported (items is)'),
};

function isEverything(schema: unknown): boolean {
  return schema === true || (isJsonObject(schema) && Object.keys(schema).length === 0);
}

export class SchemaDocument {
  readonly root: Subschema;
  readonly #document: unknown;
  readonly #nodes = new Map<object, SchemaNode>();
  readonly #references = new Map<string, Subschema>();

  constructor(document: unknown) {
    this.#document = document;
    this.root = this.at(document, '', '');
  }

  /** The subschema that `value` is; `keyword` is what it stands under, for the message when it is none. */
  at(value: unknown, path: string, keyword: string): Subschema {
    if (value === true) return 'always';
    if (value === false) return 'never';
    if (!isJsonObject(value)) throw refused(path, keyword || 'schema', 'is neither an object nor true nor false');
    if (Object.hasOwn(value, 'not') && isEverything(value.not)) return 'never';
    const known = this.#nodes.get(value);
    if (known !== undefined) return known;
    const node: SchemaNode = { id: this.#nodes.size, path, schema: value };
    this.#check(node);
    this.#nodes.set(value, node);
    return node;
  }

  /** A subschema under a keyword of a node, or under a name or number in it. */
  child(node: SchemaNode, keyword: string, key?: string | number): Subschema {
    const value = node.schema[keyword];
    if (key === undefined) return this.at(value, `${node.path}/${keyword}`, keyword);
    const escaped = String(key).replaceAll('~', '~0').replaceAll('/', '~1');
    return this.at((value as Record<string | number, unknown>)[key], `${node.path}/${keyword}/${escaped}`, keyword);
  }

  children(node: SchemaNode, keyword: 'anyOf' | 'oneOf' | 'allOf' | 'prefixItems'): Subschema[] {
    const list = (node.schema[keyword] ?? []) as readonly unknown[];
    return list.map((value, i) => this.at(value, `${node.path}/${keyword}/${i}`, keyword));
  }

  /** What a node's `$ref` means. */
  reference(node: SchemaNode): Subschema {
    const reference = node.schema.$ref as string;
    const known = this.#references.get(reference);
    if (known !== undefined) return known;
    const wrong = (what: string): GptOssError => refused(node.path, '$ref', what);
    const shown = JSON.stringify(reference.slice(0, 80));
    if (!reference.startsWith('#')) throw wrong(`points to ${shown}, outside of the schema; nothing is fetched`);
    if (reference !== '#' && !reference.startsWith('#/')) throw wrong(`points to ${shown}, which is no JSON pointer`);
    let target = this.#document;
    let pointer: string;
    try {
      pointer = decodeURIComponent(reference.slice(1));
    } catch {
      throw wrong(`points to ${shown}, which is no JSON pointer`);
    }
    for (const part of pointer.split('/').slice(1)) {
      const key = part.replaceAll('~1', '/').replaceAll('~0', '~');
      if (typeof target !== 'object' || target === null || !Object.hasOwn(target, key)) {
        throw wrong(`points to ${shown}, which is not there`);
      }
      target = (target as Record<string, unknown>)[key];
    }
    const found = this.at(target, pointer, '$ref');
    this.#references.set(reference, found);
    return found;
  }

  #check({ path, schema }: SchemaNode): void {
    for (const keyword of Object.keys(schema)) {
      if (annotations.has(keyword) || keyword.startsWith('x-')) continue;
      if (keyword === '$id' && path === '') continue;
      const check = Object.hasOwn(keywords, keyword) ? keywords[keyword] : undefined;
      const refuse = (what: string): never => {
        throw refused(path, keyword, what);
      };
      if (check === undefined) refuse('is not supported');
      else check(schema[keyword], refuse, schema);
    }
  }
}
