// JSON Schema as the TypeScript-like type that gpt-oss was trained to read (model-spec §4.5). `reference` follows the
// harmony library to the byte, with what it silently loses. The default adds four things it loses: local `$ref`, `anyOf`
// (written like `oneOf`; a null variant becomes `| null`), an `allOf` of one, and a string `const`.
// Schemas come from outside: nesting, `$ref` chains and total size are bounded, and what is beyond becomes `any`.
// Next: prompt-text.ts.

import type { JsonSchema } from './messages.ts';

export interface SchemaTypeOptions {
  /** Exactly the harmony library, including what it drops. */
  readonly reference?: boolean;
}

/** Deeper levels become `any`; real schemas stay below ten. */
const deepest = 32;
/** Nodes per schema; `$ref` can double the tree at every level. */
const mostNodes = 10_000;
/** Characters of one object or union, checked between members: `$ref` can also repeat a long description. */
const mostCharacters = 1 << 20;

type Json = Readonly<Record<string, unknown>>;

interface Walk {
  readonly root: unknown;
  readonly extended: boolean;
  nodes: number;
}

/** The type text of a schema. `indent` is the column of its members. */
export function schemaType(schema: JsonSchema, options: SchemaTypeOptions = {}, indent = ''): string {
  return typeOf(schema, indent, { root: schema, extended: options.reference !== true, nodes: 0 }, 0);
}

/** Whether a function with these parameters takes none: absent, or (outside `reference`) an object without properties. */
export function takesNothing(parameters: JsonSchema, options: SchemaTypeOptions = {}): boolean {
  if (parameters === undefined || parameters === null) return true;
  if (options.reference === true || !isObject(parameters) || parameters['type'] !== 'object') return false;
  if (['description', 'oneOf', 'anyOf', 'allOf', '$ref'].some((key) => parameters[key] !== undefined)) return false;
  const properties = parameters['properties'];
  return properties === undefined || (isObject(properties) && Object.keys(properties).length === 0);
}

function typeOf(given: unknown, indent: string, walk: Walk, depth: number): string {
  if (++walk.nodes > mostNodes || depth > deepest) return 'any';
  const schema = normalise(given, walk);
  if (schema === null) return 'any';
  const variants = schema['oneOf'];
  if (Array.isArray(variants)) {
    let out = '';
    for (const variant of variants) {
      if (walk.nodes > mostNodes || out.length > mostCharacters) break;
      const { type, schema: at } = variantType(variant, indent, walk, depth);
      const comments: string[] = [];
      if (typeof at['description'] === 'string') comments.push(at['description']);
      // Unlike everywhere else, a string default of an enum is quoted here.
      if (at['default'] !== undefined) {
        const plain = typeof at['default'] === 'string' && !isEnum(at);
        comments.push(plain ? `default: "${at['default']}"` : `default: ${JSON.stringify(at['default'])}`);
      }
      out += `\n${indent} | ${type}${comments.length > 0 ? ` // ${comments.join(' ')}` : ''}`;
    }
    return out;
  }
  const type = schema['type'];
  if (Array.isArray(type)) {
    const names = type.filter((name) => typeof name === 'string').map((name) => (name === 'integer' ? 'number' : name));
    if (names.length > 0) return names.join(' | ');
    return 'any';
  }
  switch (type) {
    case 'object':
      return objectType(schema, indent, walk, depth);
    case 'string': {
      const values = schema['enum'];
      const names = Array.isArray(values) ? values.filter((value) => typeof value === 'string') : [];
      return names.length > 0 ? names.map((name) => `"${name}"`).join(' | ') : 'string';
    }
    case 'number':
    case 'integer':
      return 'number';
    case 'boolean':
      return 'boolean';
    case 'array':
      return schema['items'] === undefined ? 'Array<any>' : `${typeOf(schema['items'], indent, walk, depth + 1)}[]`;
    default:
      return 'any';
  }
}

function objectType(schema: Json, indent: string, walk: Walk, depth: number): string {
  let out = '';
  if (typeof schema['description'] === 'string') out += `${indent}// ${schema['description']}\n`;
  out += '{\n';
  const required = new Set(Array.isArray(schema['required']) ? schema['required'] : []);
  const properties = isObject(schema['properties']) ? schema['properties'] : {};
  for (const [key, value] of Object.entries(properties)) {
    if (walk.nodes > mostNodes || out.length > mostCharacters) break;
    out += member(`${key}${required.has(key) ? '' : '?'}`, value, indent, walk, depth);
  }
  return `${out}${indent}}`;
}

/** One property: comment lines, name, type, default. */
function member(name: string, given: unknown, indent: string, walk: Walk, depth: number): string {
  const schema = normalise(given, walk) ?? {};
  const variants = schema['oneOf'];
  const description = typeof schema['description'] === 'string' ? schema['description'] : undefined;
  let out = '';
  if (typeof schema['title'] === 'string') out += `${indent}// ${schema['title']}\n${indent}//\n`;
  if (variants === undefined && description !== undefined) out += `${indent}// ${description}\n`;
  const examples = schema['examples'];
  if (Array.isArray(examples) && examples.length > 0) {
    out += `${indent}// Examples:\n`;
    for (const example of examples) if (typeof example === 'string') out += `${indent}// - "${example}"\n`;
  }
  if (Array.isArray(variants)) return out + unionMember(name, schema, variants, description, indent, walk, depth);
  const type = orNull(typeOf(schema, `${indent}    `, walk, depth + 1), schema);
  const comment = variants === undefined && schema['default'] !== undefined ? ` // ${defaultText(schema)}` : '';
  return `${out}${indent}${name}: ${type},${comment}\n`;
}

/** A property with `oneOf`: its own comments above, each variant on a line. */
function unionMember(
  name: string,
  schema: Json,
  variants: readonly unknown[],
  description: string | undefined,
  indent: string,
  walk: Walk,
  depth: number,
): string {
  let out = '';
  const first = normalise(variants[0], walk);
  const isDescribedAbove = description !== undefined && first?.['description'] !== description;
  if (isDescribedAbove) out += `${indent}// ${description}\n`;
  if (schema['default'] !== undefined) out += `${indent}// ${defaultText(schema)}\n`;
  out += `${indent}${name}:\n`;
  for (let i = 0; i < variants.length; i++) {
    if (walk.nodes > mostNodes || out.length > mostCharacters) break;
    const { type, schema: at } = variantType(variants[i], indent, walk, depth);
    const comments: string[] = [];
    const own = at['description'];
    if (typeof own === 'string' && own !== description && !(i === 0 && isDescribedAbove)) comments.push(own);
    if (at['default'] !== undefined) comments.push(defaultText(at));
    out += `${indent} | ${type}${comments.length > 0 ? ` // ${comments.join(' ')}` : ''}\n`;
  }
  return `${out}${indent},\n`;
}

function variantType(variant: unknown, indent: string, walk: Walk, depth: number): { type: string; schema: Json } {
  const schema = normalise(variant, walk) ?? {};
  return { type: orNull(typeOf(variant, `${indent}   `, walk, depth + 1), schema), schema };
}

function orNull(type: string, schema: Json): string {
  return schema['nullable'] === true && !type.includes('null') ? `${type} | null` : type;
}

function defaultText(schema: Json): string {
  const value = schema['default'];
  if (typeof value !== 'string') return `default: ${JSON.stringify(value)}`;
  return isEnum(schema) ? `default: ${value}` : `default: "${value}"`;
}

function isEnum(schema: Json): boolean {
  return Array.isArray(schema['enum']) && schema['enum'].length > 0;
}

/** A schema as the algorithm knows it; null when it is not an object. Outside `reference`: `$ref` followed, `anyOf` as
 *  `oneOf` with null variants as `nullable`, an `allOf` of one merged, a string `const` as an enum of one. */
function normalise(given: unknown, walk: Walk): Json | null {
  if (!isObject(given)) return null;
  if (!walk.extended) return given;
  let schema = given;
  for (let hops = 0; typeof schema['$ref'] === 'string'; hops++) {
    const target = hops < deepest ? pointed(walk.root, schema['$ref']) : undefined;
    const { $ref: _, ...beside } = schema;
    if (!isObject(target)) return beside;
    schema = { ...target, ...beside };
  }
  const all = schema['allOf'];
  if (Array.isArray(all) && all.length === 1 && schema['type'] === undefined) {
    const { allOf: _, ...beside } = schema;
    const only = normaliseOnce(all[0], walk);
    if (only !== null) schema = { ...only, ...beside };
  }
  const any = schema['anyOf'];
  if (Array.isArray(any) && any.length > 0 && schema['oneOf'] === undefined) {
    const { anyOf: _, ...beside } = schema;
    const variants = any.filter((variant) => !(isObject(variant) && variant['type'] === 'null'));
    const nullable = variants.length < any.length;
    if (variants.length === 1 && isObject(variants[0])) {
      const only = normaliseOnce(variants[0], walk) ?? {};
      schema = { ...only, ...beside, ...(nullable ? { nullable: true } : {}) };
    } else if (variants.length > 0) {
      // A oneOf has no place for its own null: the last variant carries it.
      const last = variants[variants.length - 1];
      if (nullable && isObject(last)) variants[variants.length - 1] = { ...last, nullable: true };
      schema = { ...beside, oneOf: variants };
    }
  }
  if (typeof schema['const'] === 'string' && schema['enum'] === undefined) {
    schema = { type: 'string', ...schema, enum: [schema['const']] };
  }
  return schema;
}

/** Follows the `$ref` of a nested variant, and no more: the caller goes on with the rest. */
function normaliseOnce(given: unknown, walk: Walk): Json | null {
  let at = given;
  for (let hops = 0; hops < deepest && isObject(at) && typeof at['$ref'] === 'string'; hops++) {
    const { $ref, ...beside } = at;
    const target = pointed(walk.root, $ref as string);
    at = isObject(target) ? { ...target, ...beside } : beside;
  }
  return isObject(at) ? at : null;
}

/** Target of a local JSON pointer (`#/$defs/X`); undefined for anything else. Only own keys are followed. */
function pointed(root: unknown, reference: string): unknown {
  if (!reference.startsWith('#')) return undefined;
  let at: unknown = root;
  for (const step of reference
    .slice(1)
    .split('/')
    .slice(1, deepest + 1)) {
    const key = unescapePointer(step);
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return undefined;
    at = (at as Json)[key];
  }
  return at;
}

function unescapePointer(step: string): string {
  try {
    return decodeURIComponent(step).replaceAll('~1', '/').replaceAll('~0', '~');
  } catch {
    return step;
  }
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
