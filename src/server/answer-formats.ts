// Owns: the ways in which requests of any dialect ask for a form of the answer, brought to one: the dialect's own field
// (response_format, text.format, format, output_config.format) and the extension fields of other servers, which mean the
// same everywhere: vLLM's `structured_outputs` with json, json_object, regex or choice, its older names `guided_json`,
// `guided_regex` and `guided_choice`, and llama.cpp's `json_schema`.
// Refuses grammars (GBNF, EBNF, structural tags): nothing here keeps them, and free text would be a broken promise.
// Next: generation.ts, agent/steering.ts.

import { z } from '@hono/zod-openapi';
import type { OutputFormat } from '../text/schema/output-format.ts';
import { invalid } from './wire.ts';

export interface AnswerFormat {
  readonly format: OutputFormat;
  /** Of the request, for errors. */
  readonly field: string;
  /** What the prompt calls it. */
  readonly name?: string;
  readonly description?: string;
}

/** A JSON Schema as it comes: an object, or true and false. */
export const jsonSchema = z.union([z.record(z.string(), z.unknown()), z.boolean()]);
const schemaOrText = z.union([jsonSchema, z.string()]).openapi({ description: 'A JSON Schema, or its JSON.' });
const choices = z.array(z.string()).min(1).max(10_000);

export const constraintFields = {
  structured_outputs: z
    .looseObject({
      json: schemaOrText.nullish(),
      json_object: z.boolean().nullish(),
      regex: z.string().nullish(),
      choice: choices.nullish(),
    })
    .nullish(),
  guided_json: schemaOrText.nullish(),
  guided_regex: z.string().nullish(),
  guided_choice: choices.nullish(),
  json_schema: schemaOrText.nullish(),
  // Refused by name.
  grammar: z.unknown().optional(),
  guided_grammar: z.unknown().optional(),
  guided_whitespace_pattern: z.unknown().optional(),
  structural_tag: z.unknown().optional(),
};

type ConstraintFields = z.infer<ReturnType<typeof constraintObject>>;
const constraintObject = () => z.object(constraintFields);

export const formatSchema = z.object({
  name: z.string().min(1).max(64),
  description: z.string().nullish(),
  schema: jsonSchema.nullish(),
  strict: z.boolean().nullish(),
});

/** As Chat Completions has it. `schema` beside the type is llama.cpp's way. */
export const responseFormatSchema = z
  .discriminatedUnion('type', [
    z.object({ type: z.literal('text') }),
    z.object({ type: z.literal('json_object'), schema: jsonSchema.nullish() }),
    z.object({ type: z.literal('json_schema'), json_schema: formatSchema.nullish(), schema: jsonSchema.nullish() }),
  ])
  .nullish();

export function ofResponseFormat(format: z.infer<typeof responseFormatSchema>): AnswerFormat | null {
  const field = 'response_format';
  switch (format?.type) {
    case 'json_object':
      return format.schema == null ? { format: { kind: 'json-object' }, field } : ofSchema(format.schema, field);
    case 'json_schema':
      if (format.json_schema != null) return ofNamedSchema(format.json_schema, field);
      if (format.schema != null) return ofSchema(format.schema, field);
      throw invalid(`${field}.json_schema is missing; expected name and schema; add it`, `${field}.json_schema`);
    default:
      return null;
  }
}

/** Without a schema, any JSON object. */
export function ofNamedSchema(
  { name, description, schema }: z.infer<typeof formatSchema>,
  field: string,
): AnswerFormat {
  const format: OutputFormat = schema == null ? { kind: 'json-object' } : { kind: 'json-schema', schema };
  return { format, field, name, ...(description == null ? {} : { description }) };
}

export function ofSchema(schema: unknown, field: string): AnswerFormat {
  return { format: { kind: 'json-schema', schema }, field };
}

const grammars = [
  'grammar',
  'guided_grammar',
  'guided_whitespace_pattern',
  'structural_tag',
  'structured_outputs.grammar',
  'structured_outputs.structural_tag',
  'structured_outputs.whitespace_pattern',
] as const;

/** The one form that a request asks for; null: text. `own`: what the dialect's own field says. */
export function answerFormat(body: ConstraintFields, own: AnswerFormat | null): AnswerFormat | null {
  const fields: Readonly<Record<string, unknown>> = body;
  const inner: Readonly<Record<string, unknown>> = body.structured_outputs ?? {};
  for (const path of grammars) {
    const [field, key] = path.split('.') as [string, string?];
    if ((key === undefined ? fields[field] : inner[key]) == null) continue;
    throw invalid(
      `${path} is set, which this server cannot keep; expected a JSON Schema, a regular expression or choices; use structured_outputs`,
      path,
      'unsupported_value',
    );
  }
  const asked = own === null ? [] : [own];
  const add = (value: unknown, field: string, format: () => OutputFormat): void => {
    if (value !== undefined && value !== null && value !== false) asked.push({ format: format(), field });
  };
  const { structured_outputs: outputs } = body;
  add(outputs?.json, 'structured_outputs.json', () => schemaFrom(outputs!.json, 'structured_outputs.json'));
  add(outputs?.json_object, 'structured_outputs.json_object', () => ({ kind: 'json-object' }));
  const addTexts = (prefix: string, regex?: string | null, choice?: readonly string[] | null): void => {
    add(regex, `${prefix}regex`, () => ({ kind: 'regex', pattern: regex! }));
    add(choice, `${prefix}choice`, () => ({ kind: 'choice', choices: choice! }));
  };
  addTexts('structured_outputs.', outputs?.regex, outputs?.choice);
  addTexts('guided_', body.guided_regex, body.guided_choice);
  for (const field of ['guided_json', 'json_schema']) add(fields[field], field, () => schemaFrom(fields[field], field));
  if (asked.length < 2) return asked[0] ?? null;
  const [one, two] = asked as [AnswerFormat, AnswerFormat];
  throw invalid(`${one.field} and ${two.field} are both set; expected one form of the answer; choose one`, two.field);
}

function schemaFrom(value: unknown, field: string): OutputFormat {
  if (typeof value !== 'string') return { kind: 'json-schema', schema: value };
  try {
    return { kind: 'json-schema', schema: JSON.parse(value) };
  } catch {
    throw invalid(`${field} is text that is no JSON; expected a JSON Schema; send it as an object`, field);
  }
}
