// Where the text of built-in tools and the identity line come from.

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { hasShared, sharedPath } from '../../../test/shared.ts';
import { builtinTool, builtinToolsText } from './builtin-tools.ts';
import { modelIdentity } from './chat-template.ts';

const hasTiny = hasShared('models', 'seed-tiny', 'chat_template.jinja');
const tiny = (name: string): string => readFileSync(sharedPath('models', 'seed-tiny', name), 'utf8');

const template = `
{%- macro system() -%}
{{- "You are a test model.\\nKnowledge cutoff: 2020-01\\nCurrent date: " + strftime_now("%Y-%m-%d") + "\\n\\nReasoning: medium\\n\\n" }}
{%- if builtin_tools %}
{{- "# Tools\\n\\n" }}
{%- for tool in builtin_tools %}{{- "## " + tool + "\\n\\nRuns " + tool + ".\\n\\n" }}{%- endfor %}
{%- endif %}
{{- "# Valid channels: analysis, final." }}
{%- endmacro -%}
{{- "<|start|>system<|message|>" }}{{- system() }}{{- "<|end|>" }}
{%- for message in messages %}{{- "<|start|>" + message.role + "<|message|>" + message.content + "<|end|>" }}{%- endfor %}`;

describe('builtinTool', () => {
  it("takes the text from the checkpoint's template and says that it is not the published one", () => {
    const python = builtinTool('python', { template });
    expect(python).toMatchObject({ source: 'template', isPublished: false });
    expect(python.namespace.text).toBe('## python\n\nRuns python.');
    expect(python.problem).toMatch(/differently/);
    expect(builtinToolsText([python, builtinTool('browser', { template })])).toBe(
      '# Tools\n\n## browser\n\nRuns browser.\n\n## python\n\nRuns python.',
    );
  });

  it('takes it from the notes when the template knows no tools', () => {
    const notes = 'Some text.\n\nThe notice, as the whole text under `## python`:\n\n```\nRuns code.\n```\nMore.';
    expect(builtinTool('python', { template: 'x', notes })).toMatchObject({
      source: 'notes',
      namespace: { name: 'python', text: '## python\n\nRuns code.' },
    });
    expect(builtinTool('browser', { notes }).source).toBe('own');
    expect(builtinTool('python', { notes: 'under `## python`:\n```\nno end' }).source).toBe('own');
  });

  it.skipIf(!hasTiny)('finds the notice of the tiny model (needs ../shared/models/seed-tiny)', () => {
    const python = builtinTool('python', { template: tiny('chat_template.jinja'), notes: tiny('CHAT_FORMAT.md') });
    expect(python).toMatchObject({ source: 'notes', problem: null });
    expect(python.namespace.text).toBe('## python\n\nExecutes Python code and returns what it prints.');
  });

  it('has its own words with the published names, parameters and defaults', () => {
    const text = builtinToolsText([builtinTool('browser'), builtinTool('python')]);
    const code = text.split('\n').filter((line) => line !== '' && !line.startsWith('//'));
    expect(code.slice(0, 24)).toEqual([
      '# Tools',
      '## browser',
      'namespace browser {',
      'type search = (_: {',
      'query: string,',
      'topn?: number, // default: 10',
      'source?: string,',
      '}) => any;',
      'type open = (_: {',
      'id?: number | string, // default: -1',
      'cursor?: number, // default: -1',
      'loc?: number, // default: -1',
      'num_lines?: number, // default: -1',
      'view_source?: boolean, // default: false',
      'source?: string,',
      '}) => any;',
      'type find = (_: {',
      'pattern: string,',
      'cursor?: number, // default: -1',
      '}) => any;',
      '} // namespace browser',
      '## python',
      code[22],
      code[23],
    ]);
    expect(builtinTool('python').problem).toMatch(/own words/);
  });
});

describe('modelIdentity', () => {
  it('reads identity, cutoff and date', () => {
    expect(modelIdentity(template)).toEqual({
      identity: 'You are a test model.',
      knowledgeCutoff: '2020-01',
      usesDate: true,
    });
  });

  it.skipIf(!hasTiny)('reads the line of the tiny model (needs ../shared/models/seed-tiny)', () => {
    expect(modelIdentity(tiny('chat_template.jinja'))).toEqual({
      identity: 'You are a tiny gpt-oss model.',
      knowledgeCutoff: null,
      usesDate: false,
    });
  });

  it('is null when there is no such message', () => {
    expect(modelIdentity('')).toBeNull();
    expect(modelIdentity('{{ broken')).toBeNull();
    expect(modelIdentity('<|start|>system<|message|>Reasoning: low<|end|>')).toBeNull();
    expect(modelIdentity('<|start|>system<|message|><|end|>')).toBeNull();
    expect(modelIdentity(`<|start|>system<|message|>${'x'.repeat(2000)}<|end|>`)).toBeNull();
  });
});
