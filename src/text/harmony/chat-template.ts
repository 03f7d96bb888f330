// What a checkpoint's own chat template says: the tools text and the identity line that the model was trained with.
// Templates come with the model file and are hostile, so they are rendered in template-sandbox.ts. Our prompts are never
// written by a template; only these few facts are taken from one. Next: builtin-tools.ts.

import { renderTemplate } from './template-sandbox.ts';

const mostIdentityCharacters = 1_000;

export interface TemplateIdentity {
  /** First line of the system message. */
  readonly identity: string;
  /** From its line `Knowledge cutoff: …`; null when it has none. */
  readonly knowledgeCutoff: string | null;
  /** Whether it states the current date. */
  readonly usesDate: boolean;
}

/** Text of the system message that a template writes; null when it writes none or cannot be rendered. */
export function templateSystemText(template: string, values: Readonly<Record<string, unknown>> = {}): string | null {
  const result = renderTemplate(template, values);
  if (!result.ok) return null;
  return /<\|start\|>system<\|message\|>([\s\S]*?)<\|end\|>/.exec(result.text)?.[1] ?? null;
}

/** How the model's template opens the system message, so that prompts open as those it was trained with; null when the
 *  template has no system message of this form. */
export function modelIdentity(template: string): TemplateIdentity | null {
  const text = templateSystemText(template);
  const head = text?.split('\n\n', 1)[0]?.split('\n');
  const identity = head?.[0]?.trim();
  // A message that begins with a section has no identity line.
  if (head === undefined || identity === undefined || identity === '' || /^(?:Reasoning: |# )/.test(identity))
    return null;
  const cutoff = head.find((line) => line.startsWith('Knowledge cutoff: '));
  if (identity.length + (cutoff?.length ?? 0) > mostIdentityCharacters) return null;
  return {
    identity,
    knowledgeCutoff: cutoff === undefined ? null : cutoff.slice('Knowledge cutoff: '.length).trim(),
    usesDate: head.some((line) => line.startsWith('Current date: ')),
  };
}
