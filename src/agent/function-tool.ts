// Owns: `tool()`, a tool from a function of yours. Its schema is anything that speaks Standard Schema with a JSON form
// (zod 4, valibot, arktype) or plain JSON Schema; arguments that do not follow it never reach the function, and the
// model is told what is wrong with them. Refuses: names that no prompt can hold.
// Next: agent.ts, which calls it.

import { type OutputUnit, type Schema, Validator } from '@cfworker/json-schema';
import { GptOssError } from '../errors.ts';
import type { JsonSchema } from '../text/harmony/messages.ts';
import { type Effect, type Tool, type ToolContext, type ToolInput, type ToolOutput, toolError } from './tool.ts';

/** The part of Standard Schema (standardschema.dev) that is used here. */
export interface StandardSchema<Output = unknown> {
  readonly '~standard': {
    readonly vendor: string;
    readonly validate: (value: unknown) => StandardResult<Output> | Promise<StandardResult<Output>>;
    readonly jsonSchema?: {
      readonly input: (options: { readonly target: 'draft-2020-12' }) => Record<string, unknown>;
    };
    readonly types?: { readonly output: Output } | undefined;
  };
}

type StandardResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly StandardIssue[] };

interface StandardIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** What the function is given: what the schema makes of the arguments; with JSON Schema the arguments as they are. */
export type ArgumentsOf<Schema> =
  Schema extends StandardSchema<infer Output>
    ? Output
    : // biome-ignore lint/suspicious/noExplicitAny: JSON Schema says nothing to the compiler; the author knows
      any;

export interface ToolDefinition<Schema> {
  /** Letters, digits and `_`, at most 64. */
  readonly name: string;
  /** What it does and when to use it, for the model. */
  readonly description: string;
  /** Of the arguments, an object. Default: no arguments. */
  readonly schema?: Schema;
  /** What it does outside, if somebody should be asked first. Default: nothing. */
  readonly effects?: readonly Effect[];
  /** Seconds that one call may take; default 120. */
  readonly seconds?: number;
  /** Text goes to the model as it is, anything else as JSON. What it throws goes to the model as an error. */
  run(given: ArgumentsOf<Schema>, context: ToolContext): unknown;
}

/**
 * A tool from a function.
 *
 *     const add = tool({
 *       name: 'add',
 *       description: 'Adds two numbers.',
 *       schema: z.object({ a: z.number(), b: z.number() }),
 *       run: ({ a, b }) => a + b,
 *     });
 *     for await (const event of model.chat(messages, { tools: [add] })) …
 */
export function tool<const Schema = undefined>(definition: ToolDefinition<Schema>): Tool {
  const { name, description, schema, effects = [], seconds } = definition;
  if (!/^[A-Za-z_$][\w$]{0,63}$/.test(name)) {
    throw new GptOssError(
      'invalid-request',
      `a tool is called ${JSON.stringify(name).slice(0, 80)}; expected at most 64 letters, digits and _, no digit first; rename it`,
    );
  }
  const { parameters, check } = checker(name, schema);
  const recipient = `functions.${name}`;
  return {
    recipient,
    definition: { name, description, ...(parameters === null ? {} : { parameters }) },
    ...(seconds === undefined ? {} : { seconds }),
    needs: ({ text }) => (effects.length === 0 ? null : { effects, summary: `${name}(${shortened(text)})` }),
    async run(input: ToolInput, context: ToolContext): Promise<ToolOutput> {
      const checked = await check(input);
      if (checked.problem !== null) return toolError(checked.problem);
      const result = await definition.run(checked.value as ArgumentsOf<Schema>, context);
      return { text: typeof result === 'string' ? result : (JSON.stringify(result) ?? 'null') };
    },
  };
}

type Checked = { readonly problem: string } | { readonly problem: null; readonly value: unknown };

interface Checker {
  readonly parameters: JsonSchema | null;
  check(input: ToolInput): Checked | Promise<Checked>;
}

function checker(name: string, schema: unknown): Checker {
  if (schema === undefined) return { parameters: null, check: () => ({ problem: null, value: {} }) };
  if (isStandard(schema)) {
    const standard = schema['~standard'];
    const parameters = standard.jsonSchema?.input({ target: 'draft-2020-12' });
    if (parameters === undefined) {
      throw new GptOssError(
        'invalid-request',
        `the schema of ${name} (${standard.vendor}) has no JSON form; expected zod 4.2 or newer, or JSON Schema; use one of them`,
      );
    }
    return {
      parameters: withoutDialect(parameters),
      async check(input) {
        if (input.value === undefined) return { problem: notJson(name) };
        const result = await standard.validate(input.value);
        return result.issues === undefined
          ? { problem: null, value: result.value }
          : { problem: `the arguments of ${name} are wrong: ${result.issues.slice(0, 5).map(issueText).join('; ')}` };
      },
    };
  }
  const validator = validatorOf(name, schema);
  return {
    parameters: schema,
    check(input) {
      if (input.value === undefined) return { problem: notJson(name) };
      const { valid, errors } = validator.validate(input.value);
      if (valid) return { problem: null, value: input.value };
      const found = errors.filter(isPlain).slice(0, 5);
      const text = found
        .map(({ instanceLocation, error }) => `${instanceLocation.slice(1) || '/'} ${error}`)
        .join('; ');
      return { problem: `the arguments of ${name} are wrong: ${text}` };
    },
  };
}

/** Interprets the schema instead of compiling it to code: pages with a strict policy allow no code from text. */
function validatorOf(name: string, schema: unknown): Validator {
  try {
    if (typeof schema !== 'object' || schema === null || Array.isArray(schema)) throw new Error('it is no object');
    const wrong = wrongType(schema);
    if (wrong !== null) throw new Error(`there is no type ${wrong}`);
    const validator = new Validator(schema as Schema, '2020-12', false);
    validator.validate({}); // finds references that lead nowhere
    return validator;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new GptOssError(
      'invalid-request',
      `the schema of the tool ${name} cannot be used (${why}); expected JSON Schema; correct it`,
      { cause: error },
    );
  }
}

const typeNames = ['null', 'boolean', 'object', 'array', 'number', 'integer', 'string'];
const holders = ['properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas']; // of schemas by name
const lists = ['anyOf', 'allOf', 'oneOf', 'prefixItems'];
const inner = ['items', 'additionalProperties', 'not', 'if', 'then', 'else', 'contains', 'propertyNames'];

/** A `type` that JSON does not have, wherever a schema stands; a validator would find nothing to hold to it. */
function wrongType(schema: unknown, depth = 0): string | null {
  if (typeof schema !== 'object' || schema === null || depth > 100) return null;
  const { type, ...rest } = schema as Record<string, unknown>;
  for (const name of type === undefined ? [] : [type].flat())
    if (!typeNames.includes(name as string)) return JSON.stringify(name) ?? 'undefined';
  for (const [key, value] of Object.entries(rest)) {
    const schemas = inner.includes(key)
      ? [value]
      : lists.includes(key) || holders.includes(key)
        ? Object.values(value ?? {})
        : [];
    for (const one of schemas) {
      const wrong = wrongType(one, depth + 1);
      if (wrong !== null) return wrong;
    }
  }
  return null;
}

/** Not the errors that only say that something within is wrong. */
const isPlain = ({ keyword }: OutputUnit): boolean =>
  !['properties', 'items', 'prefixItems', '$ref', 'allOf'].includes(keyword);

function isStandard(schema: unknown): schema is StandardSchema {
  return (typeof schema === 'object' || typeof schema === 'function') && schema !== null && '~standard' in schema;
}

/** `$schema` says which dialect it is, which is nothing to a model. */
function withoutDialect({ $schema: _, ...schema }: Record<string, unknown>): JsonSchema {
  return schema;
}

function issueText({ message, path = [] }: StandardIssue): string {
  const keys = path.map((part) => String(typeof part === 'object' ? part.key : part));
  return `/${keys.join('/')} ${message}`;
}

const notJson = (name: string): string => `the arguments of ${name} are no JSON object; write one`;

const shortened = (text: string): string => (text.length > 200 ? `${text.slice(0, 200)}…` : text);
