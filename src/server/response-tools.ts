// Owns: tools as the Responses dialect declares them, and what they are to the model: functions, all of them.
//   function    as it is
//   custom      a function with one string `input`, which follows its regular expression; with another grammar it is
//               skipped, because nothing here keeps one
//   namespace   its functions, called `namespace.name`; calls come back with the namespace apart
//   any other   skipped (request-parts.ts has the rule)
// Next: response-input.ts.

import { z } from '@hono/zod-openapi';
import type { ToolChoice } from '../agent/steering.ts';
import { quote } from './body.ts';
import type { OfferedFunction } from './generation.ts';
import { functionOf, functionSchema } from './request-parts.ts';
import { invalid } from './wire.ts';

export const responseToolSchema = z.looseObject({ type: z.string().max(128) });

const customSchema = z.object({
  name: z.string().min(1).max(128),
  description: z.string().nullish(),
  format: z.object({ type: z.string(), syntax: z.string().nullish(), definition: z.string().nullish() }).nullish(),
});

const namespaceSchema = z.object({
  name: z.string().min(1).max(128),
  description: z.string().nullish(),
  tools: z.array(responseToolSchema).max(512),
});

export interface ResponseTool {
  readonly type: 'function' | 'custom';
  readonly name: string;
  readonly namespace: string | null;
}

export interface ResponseTools {
  readonly functions: readonly OfferedFunction[];
  /** By the name that stands for it in an `AnswerRequest`. */
  readonly byName: ReadonlyMap<string, ResponseTool>;
  /** Names of tools that run here. */
  readonly hosted: readonly string[];
  readonly skipped: readonly string[];
}

export function keyOf(name: string, namespace: string | null | undefined): string {
  return namespace == null ? name : `${namespace}.${name}`;
}

/** Hosted tools of the platform and the tools here that do the same. */
const hostedTypes: readonly (readonly [type: RegExp, name: string])[] = [
  [/^code_interpreter$/, 'python'],
  [/^(web_search(_preview)?(_\d{4}_\d\d_\d\d)?|browser_search)$/, 'browser'],
];

/** `available`: names of the tools that run here. */
export function responseTools(
  tools: readonly z.infer<typeof responseToolSchema>[],
  available: readonly string[],
): ResponseTools {
  const functions: OfferedFunction[] = [];
  const byName = new Map<string, ResponseTool>();
  const skipped: string[] = [];
  const hosted = new Set<string>();
  const add = (tool: ResponseTool, definition: OfferedFunction): void => {
    const key = keyOf(tool.name, tool.namespace);
    functions.push({ ...definition, name: key });
    byName.set(key, tool);
  };
  const take = (tool: z.infer<typeof responseToolSchema>, path: string, namespace: string | null): void => {
    if (tool.type === 'function') {
      const definition = functionOf(parsed(functionSchema, tool, path));
      add({ type: 'function', name: definition.name, namespace }, definition);
    } else if (tool.type === 'custom') {
      const custom = parsed(customSchema, tool, path);
      const definition = customFunction(custom);
      if (definition === null) skipped.push(`custom:${custom.name}`);
      else add({ type: 'custom', name: custom.name, namespace }, definition);
    } else if (tool.type === 'namespace' && namespace === null) {
      const space = parsed(namespaceSchema, tool, path);
      for (const [i, inner] of space.tools.entries()) take(inner, `${path}.tools[${i}]`, space.name);
    } else {
      const name = hostedName(tool);
      if (name !== undefined && available.includes(name)) hosted.add(name);
      else skipped.push(tool.type);
    }
  };
  for (const [i, tool] of tools.entries()) take(tool, `tools[${i}]`, null);
  return { functions, byName, hosted: [...hosted], skipped };
}

/** `mcp` without an address names a tool of this server by its label: `mcp`, `apply_patch`. */
function hostedName(tool: z.infer<typeof responseToolSchema>): string | undefined {
  const label = tool['server_label'];
  if (tool.type === 'mcp' && tool['server_url'] == null && typeof label === 'string') return label;
  return hostedTypes.find(([type]) => type.test(tool.type))?.[1];
}

/** Null for a grammar that nothing here keeps. */
function customFunction({ name, description, format }: z.infer<typeof customSchema>): OfferedFunction | null {
  const isText = format == null || format.type === 'text';
  const isKept = format?.type === 'grammar' && format.syntax === 'regex' && format.definition != null;
  if (!isText && !isKept) return null;
  const input = { type: 'string', ...(isKept ? { pattern: `^(?:${format.definition})$` } : {}) };
  return {
    name,
    ...(description == null ? {} : { description }),
    parameters: { type: 'object', properties: { input }, required: ['input'] },
    strict: isKept,
  };
}

function parsed<T>(schema: z.ZodType<T>, value: unknown, path: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  const place = [path, ...issue.path.map(String)].join('.');
  throw invalid(`${place} is wrong (${quote(issue.message)}); expected a tool as documented; change it`, place);
}

/** The text that a custom tool is given. */
export function customInput(given: string): string {
  try {
    const value: unknown = JSON.parse(given);
    const input = typeof value === 'object' && value !== null ? (value as { input?: unknown }).input : undefined;
    return typeof input === 'string' ? input : given;
  } catch {
    return given;
  }
}

export const toolChoiceSchema = z.union([
  z.enum(['none', 'auto', 'required']),
  z.looseObject({ type: z.string().max(128) }),
]);

const allowedSchema = z.object({
  mode: z.enum(['auto', 'required']),
  tools: z.array(z.looseObject({ type: z.string(), name: z.string().optional() })),
});

export function responseToolChoice(choice: z.infer<typeof toolChoiceSchema> | null | undefined): ToolChoice {
  if (choice == null) return { mode: 'auto' };
  if (typeof choice === 'string') return { mode: choice };
  const { name, namespace } = choice as { name?: unknown; namespace?: string };
  if ((choice.type === 'function' || choice.type === 'custom') && typeof name === 'string') {
    return { mode: 'required', only: [keyOf(name, namespace)] };
  }
  if (choice.type === 'allowed_tools') {
    const { mode, tools } = parsed(allowedSchema, choice, 'tool_choice');
    return { mode, only: tools.flatMap((tool) => (tool.name === undefined ? [] : [tool.name])) };
  }
  const found = `tool_choice demands ${quote(JSON.stringify(choice.type))}`;
  throw invalid(`${found}; expected a function, the only tools that can be demanded; choose a function`, 'tool_choice');
}
