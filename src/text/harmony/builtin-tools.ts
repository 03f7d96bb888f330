// The built-in tools browser and python as they stand in the system message. The model was trained on one exact text,
// which is not ours to copy: it is taken at load time from the checkpoint's own chat template; else from the notes beside
// a checkpoint; else a description in our own words with the same names, parameters and defaults. A text that differs
// from the published one is used as it is and reported as a value. Next: prompt-text.ts, where the text goes.

import { templateSystemText } from './chat-template.ts';
import type { JsonSchema, ToolNamespace } from './messages.ts';
import { toolsText } from './prompt-text.ts';

export type BuiltinTool = 'browser' | 'python';

export interface BuiltinToolText {
  /** For `SystemContent.tools`. */
  readonly namespace: ToolNamespace;
  readonly source: 'template' | 'notes' | 'own';
  /** Only of a template: whether the text is the one gpt-oss was trained on. */
  readonly isPublished: boolean;
  /** One line when something is unusual, else null. */
  readonly problem: string | null;
}

export interface BuiltinSources {
  /** The checkpoint's chat template. */
  readonly template?: string | null;
  /** Text of a CHAT_FORMAT.md beside the checkpoint. Rule: a line that holds "under `## NAME`" and ends in a colon,
   *  followed by a fenced text, gives the whole text under that heading. */
  readonly notes?: string | null;
}

/** Recipients of each built-in tool. */
export const builtinRecipients: Readonly<Record<BuiltinTool, readonly string[]>> = {
  browser: ['browser.search', 'browser.open', 'browser.find'],
  python: ['python'],
};

/** Length and hash (of UTF-16 units, see `hashText`) of the published section, heading included. */
const published: Readonly<Record<BuiltinTool, string>> = {
  browser: '1526:53fdb502f82a8816',
  python: '615:d6b3a98b7d77fd3a',
};

export function builtinTool(name: BuiltinTool, sources: BuiltinSources = {}): BuiltinToolText {
  if (sources.template !== undefined && sources.template !== null) {
    const text = sectionOfTemplate(sources.template, name);
    if (text !== null) {
      const isPublished = hashText(text) === published[name];
      const problem = isPublished ? null : `the chat template describes ${name} differently from the published models`;
      return { namespace: { name, text }, source: 'template', isPublished, problem };
    }
  }
  const note = noteUnder(sources.notes ?? '', name);
  if (note !== null) {
    const text = `## ${name}\n\n${note}`;
    return { namespace: { name, text }, source: 'notes', isPublished: false, problem: null };
  }
  const problem = `the checkpoint does not say how ${name} was described to it; own words are used`;
  return { namespace: ownWords[name], source: 'own', isPublished: false, problem };
}

/** The section `## NAME` that a template writes when it is asked for this tool alone. */
function sectionOfTemplate(template: string, name: BuiltinTool): string | null {
  const system = templateSystemText(template, { builtin_tools: [name] });
  if (system === null) return null;
  const opening = `# Tools\n\n## ${name}\n`;
  const start = system.indexOf(opening);
  const end = system.indexOf('\n# Valid channels', start);
  if (start < 0 || end < 0) return null;
  return system.slice(start + '# Tools\n\n'.length, end).trimEnd();
}

function noteUnder(notes: string, name: BuiltinTool): string | null {
  const lines = notes.slice(0, 256 * 1024).split(/\r?\n/);
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i]!.trimEnd();
    if (!line.includes(`under \`## ${name}\``) || !line.endsWith(':')) continue;
    let open = i + 1;
    while (open < lines.length && lines[open]!.trim() === '') open++;
    const fence = /^(`{3,}|~{3,})/.exec(lines[open] ?? '')?.[1];
    if (fence === undefined) continue;
    const close = lines.findIndex((other, at) => at > open && other.startsWith(fence));
    const text =
      close < 0
        ? ''
        : lines
            .slice(open + 1, close)
            .join('\n')
            .trim();
    if (text !== '' && text.length <= 16_384) return text;
  }
  return null;
}

/** Length and a 53-bit hash. It tells texts apart and guards nothing, so it needs no cryptography. */
export function hashText(text: string): string {
  let low = 0x811c9dc5;
  let high = 0x1b873593;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    low = Math.imul(low ^ unit, 0x01000193);
    high = Math.imul(high ^ unit, 0x85ebca6b);
    high = (high << 13) | (high >>> 19);
  }
  return `${text.length}:${(high >>> 0).toString(16).padStart(8, '0')}${(low >>> 0).toString(16).padStart(8, '0')}`;
}

const number = { type: 'number' };
const string = { type: 'string' };

function parameters(properties: Record<string, JsonSchema>, required: readonly string[]): JsonSchema {
  return { type: 'object', properties, required };
}

const ownWords: Readonly<Record<BuiltinTool, ToolNamespace>> = {
  browser: {
    name: 'browser',
    description: [
      'Web search and reading of pages.',
      'Every page shown begins with its `cursor` in brackets, as `[{cursor}]`; lines are numbered `L{line}`.',
      'When an answer relies on a page, name the place as `【{cursor}†L{line_start}(-L{line_end})?】`, e.g. `【6†L9-L11】` or `【8†L3】`.',
      'Quote at most 10 words in a row from a page.',
      'The only `source` is web, so it can be left out.',
    ].join('\n'),
    functions: [
      {
        name: 'search',
        description: 'Looks for `query` on the web and lists the best `topn` results.',
        parameters: parameters({ query: string, topn: { ...number, default: 10 }, source: string }, ['query']),
      },
      {
        name: 'open',
        description: [
          'Shows a page: the link with number `id` on page `cursor` (default: the newest page), or the address `id`.',
          'Shows `num_lines` lines from line `loc` on; without `loc` the beginning or the most fitting passage.',
          'Without `id` it moves within the page that is open.',
        ].join('\n'),
        parameters: parameters(
          {
            id: { type: ['number', 'string'], default: -1 },
            cursor: { ...number, default: -1 },
            loc: { ...number, default: -1 },
            num_lines: { ...number, default: -1 },
            view_source: { type: 'boolean', default: false },
            source: string,
          },
          [],
        ),
      },
      {
        name: 'find',
        description: 'Finds the places on page `cursor` (default: the newest page) where `pattern` stands literally.',
        parameters: parameters({ pattern: string, cursor: { ...number, default: -1 } }, ['pattern']),
      },
    ],
  },
  python: {
    name: 'python',
    description: [
      'Runs Python code during reasoning; the user does not see the code. Send the code itself as the message.',
      '',
      'The answer is what the code printed. Print every result you need, and do not rely on internet access.',
    ].join('\n'),
  },
};

/** The whole `# Tools` section for some built-in tools, as it will stand in the system message. */
export function builtinToolsText(tools: readonly BuiltinToolText[]): string {
  return toolsText(tools.map((tool) => tool.namespace));
}
