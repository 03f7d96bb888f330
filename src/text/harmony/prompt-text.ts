// The text inside system and developer messages: identity, effort, `# Tools`, channels, instructions, response formats
// (model-spec §4.3–4.5). Every line here is part of what the model was trained on, so blank lines and line ends count.
// It turns structures into text and knows no tokens. Next: render.ts.

import type { DeveloperContent, FunctionDefinition, ResponseFormat, SystemContent, ToolNamespace } from './messages.ts';
import { standardChannels } from './messages.ts';
import { type SchemaTypeOptions, schemaType, takesNothing } from './schema-type.ts';

export const defaultIdentity = 'You are ChatGPT, a large language model trained by OpenAI.';
export const defaultKnowledgeCutoff = '2024-06';

/** `hasFunctions`: some developer message of the conversation declares functions. */
export function systemText(content: SystemContent, hasFunctions: boolean, options: SchemaTypeOptions = {}): string {
  const { identity = defaultIdentity, knowledgeCutoff = defaultKnowledgeCutoff, currentDate = null } = content;
  const { effort = 'medium', tools = [], channels = standardChannels, channelRequired = true } = content;
  const head: string[] = [];
  if (identity !== null) head.push(identity);
  if (knowledgeCutoff !== null) head.push(`Knowledge cutoff: ${knowledgeCutoff}`);
  if (currentDate !== null) head.push(`Current date: ${currentDate}`);
  const sections: string[] = [];
  if (head.length > 0) sections.push(head.join('\n'));
  if (effort !== null) sections.push(`Reasoning: ${effort}`);
  if (tools.length > 0) sections.push(toolsText(tools, options));
  if (channels.length > 0) {
    let line = `# Valid channels: ${channels.join(', ')}.`;
    if (channelRequired) line += ' Channel must be included for every message.';
    if (hasFunctions) line += "\nCalls to these tools must go to the commentary channel: 'functions'.";
    sections.push(line);
  }
  return sections.join('\n\n');
}

export function developerText(content: DeveloperContent, options: SchemaTypeOptions = {}): string {
  const sections: string[] = [];
  const { instructions, functions = [], tools = [], responseFormats = [] } = content;
  if (instructions !== undefined && instructions !== null) sections.push('# Instructions', instructions);
  const namespaces = functions.length > 0 ? [{ name: 'functions', functions }, ...tools] : tools;
  if (namespaces.length > 0) sections.push(toolsText(namespaces, options));
  if (responseFormats.length > 0) sections.push('# Response Formats', ...responseFormats.map(formatText));
  return sections.join('\n\n');
}

export function declaresFunctions(content: DeveloperContent): boolean {
  if (content.functions !== undefined && content.functions.length > 0) return true;
  return (content.tools ?? []).some((space) => space.name === 'functions' && (space.functions ?? []).length > 0);
}

/** The `# Tools` section: namespaces by name, joined by blank lines. */
export function toolsText(namespaces: readonly ToolNamespace[], options: SchemaTypeOptions = {}): string {
  const sorted = [...namespaces].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  return ['# Tools', ...sorted.map((space) => namespaceText(space, options))].join('\n\n');
}

function namespaceText(space: ToolNamespace, options: SchemaTypeOptions): string {
  if (space.text !== undefined) return space.text;
  const functions = space.functions ?? [];
  const lines = [`## ${space.name}\n`];
  for (const line of linesOf(space.description)) lines.push(functions.length > 0 ? `// ${line}` : line);
  if (functions.length > 0) {
    lines.push(`namespace ${space.name} {\n`);
    for (const definition of functions) lines.push(...functionLines(definition, options));
    lines.push(`} // namespace ${space.name}`);
  }
  return lines.join('\n');
}

function functionLines(definition: FunctionDefinition, options: SchemaTypeOptions): string[] {
  const lines = linesOf(definition.description).map((line) => `// ${line}`);
  const { name, parameters } = definition;
  const type = takesNothing(parameters, options) ? '()' : `(_: ${schemaType(parameters, options)})`;
  lines.push(`type ${name} = ${type} => any;\n`);
  return lines;
}

function formatText(format: ResponseFormat): string {
  const comment = format.description === undefined || format.description === '' ? '' : `// ${format.description}\n`;
  return `## ${format.name}\n\n${comment}${JSON.stringify(format.schema)}`;
}

/** Lines without their ends; no line for a final line end or for no text. */
function linesOf(text: string | undefined): string[] {
  if (text === undefined || text === '') return [];
  const lines = text.split('\n');
  if (lines[lines.length - 1] === '') lines.pop();
  return lines.map((line) => (line.endsWith('\r') ? line.slice(0, -1) : line));
}
