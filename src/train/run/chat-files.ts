// What stands beside the weights of a model trained here, so that programs talk to it as it was taught: a chat template
// for those that need one (no tools: those want a harmony renderer), and a note of the format.

import type { HarmonyEncoding } from '../../text/harmony/encoding.ts';
import { tinyIdentity } from '../tasks/conversation.ts';

const system = `<|start|>system<|message|>${tinyIdentity}

Reasoning: ' + (reasoning_effort | default('medium')) + '

# Valid channels: analysis, commentary, final. Channel must be included for every message.<|end|>`;

export const chatTemplate = `{#- plain chat without tools; conversations with tools need a harmony renderer -#}
{{- '${system}' -}}
{%- for m in messages -%}
{%- if m.role == 'system' or m.role == 'developer' -%}
{{- '<|start|>developer<|message|># Instructions

' + m.content + '<|end|>' -}}
{%- elif m.role == 'user' -%}
{{- '<|start|>user<|message|>' + m.content + '<|end|>' -}}
{%- elif m.role == 'assistant' -%}
{{- '<|start|>assistant<|channel|>final<|message|>' + m.content + '<|end|>' -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|start|>assistant' -}}{%- endif -%}
`;

/** Where generation ends, and that the highest logit is taken unless asked otherwise, as it is measured. */
export function generationConfig(encoding: HarmonyEncoding): string {
  return `${JSON.stringify({ do_sample: false, eos_token_id: encoding.stopIds() }, null, 2)}\n`;
}

export const chatFormat = `# Chat format

The harmony format of gpt-oss. The system message begins with \`${tinyIdentity}\` or with the published first line; the
levels are low (answers at once), medium (a scratchpad) and high (a scratchpad and a check). Calls name their recipient
after the channel: \`<|channel|>commentary to=functions.NAME <|constrain|>json<|message|>{"key": value}<|call|>\`.

The python notice it was trained with, as the whole text under \`## python\`:

\`\`\`
Executes Python code and returns what it prints.
\`\`\`
`;
