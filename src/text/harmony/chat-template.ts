// What a checkpoint's own chat template says: the tools text and the identity line that the model was trained with.
// Templates come with the model file and are hostile: they run in an interpreter without access to anything, and here
// with bounds on size, steps, time, numbers, strings and lists, so that `range(1e9)` or a doubling string ends in a
// value that says so. Our prompts are never written by a template; only these few facts are taken from one.
// Next: builtin-tools.ts.

import { Environment, Interpreter, parse, tokenize } from '@huggingface/jinja';

const mostTemplateCharacters = 256 * 1024;
const mostSteps = 50_000; // the template of gpt-oss takes a few hundred
const mostMilliseconds = 2_000;
const mostCharacters = 64 * 1024; // of any string on the way
const mostItems = 4_096; // of any list
const largestNumber = 10_000;

export type TemplateResult =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly problem: string };

export interface TemplateIdentity {
  /** First line of the system message. */
  readonly identity: string;
  /** From its line `Knowledge cutoff: …`; null when it has none. */
  readonly knowledgeCutoff: string | null;
  /** Whether it states the current date. */
  readonly usesDate: boolean;
}

/** Renders a chat template for a fixed short conversation; `values` are its extra variables. Never throws. */
export function renderTemplate(template: string, values: Readonly<Record<string, unknown>> = {}): TemplateResult {
  if (template.length > mostTemplateCharacters) {
    return { ok: false, problem: `the chat template has ${template.length} characters, more than any real one` };
  }
  try {
    const program = parse(tokenize(template, { lstrip_blocks: true, trim_blocks: true }));
    const environment = new Environment();
    const constants = { true: true, True: true, false: false, False: false, none: null, None: null };
    const globals = {
      ...constants,
      messages: [{ role: 'user', content: 'Hello' }],
      add_generation_prompt: true,
      bos_token: '',
      eos_token: '',
      raise_exception: (message: unknown) => {
        throw new Error(`the template refused: ${String(message).slice(0, 200)}`);
      },
      range: boundedRange,
      strftime_now: (format: unknown) => dateText(String(format)),
      ...values,
    };
    for (const [name, value] of Object.entries(globals)) environment.set(name, value);
    const result = new BoundedInterpreter(environment).run(program).value;
    if (typeof result !== 'string') return { ok: false, problem: 'the chat template gave no text' };
    return { ok: true, text: result };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    return { ok: false, problem: `the chat template could not be rendered (${reason.slice(0, 300)})` };
  }
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
  return {
    identity,
    knowledgeCutoff: cutoff === undefined ? null : cutoff.slice('Knowledge cutoff: '.length).trim(),
    usesDate: head.some((line) => line.startsWith('Current date: ')),
  };
}

interface RuntimeValue {
  readonly value: unknown;
}

// The package's type declarations do not resolve under Node's rules; this is the part of them used here.
const JinjaInterpreter: new (
  environment: unknown,
) => {
  run(program: unknown): RuntimeValue;
  evaluate(statement: unknown, environment: unknown): RuntimeValue;
} = Interpreter;

/** Every statement and expression passes through `evaluate`, so this is where to count. */
class BoundedInterpreter extends JinjaInterpreter {
  #steps = 0;
  readonly #deadline = performance.now() + mostMilliseconds;

  override evaluate(statement: unknown, environment: unknown): RuntimeValue {
    this.#spend(1);
    const result = super.evaluate(statement, environment);
    const value = result.value;
    if (typeof value === 'string' && value.length > mostCharacters) throw new Error('a string grew too long');
    if (typeof value === 'number' && !(Math.abs(value) <= largestNumber)) throw new Error('a number grew too large');
    if (Array.isArray(value)) {
      if (value.length > mostItems) throw new Error('a list grew too long');
      this.#spend(value.length); // whoever loops over it
    }
    return result;
  }

  #spend(steps: number): void {
    this.#steps += steps;
    if (this.#steps > mostSteps) throw new Error('it took too many steps');
    if (performance.now() > this.#deadline) throw new Error('it took too long');
  }
}

/** Python's range, refusing lists that no template needs. The interpreter may pass an object of named arguments last. */
function boundedRange(...given: unknown[]): number[] {
  const numbers = given.filter((value) => typeof value === 'number');
  const [start, stop, step] =
    numbers.length < 2 ? [0, numbers[0] ?? 0, 1] : [numbers[0]!, numbers[1]!, numbers[2] ?? 1];
  const length = Math.max(0, Math.ceil((stop - start) / step));
  if (!(length <= mostItems)) throw new Error('range() is too long');
  return Array.from({ length }, (_, i) => start + i * step);
}

/** strftime with what templates use; the date only shows that one is wanted. */
function dateText(format: string): string {
  const now = new Date().toISOString();
  const parts: Record<string, string> = { Y: now.slice(0, 4), m: now.slice(5, 7), d: now.slice(8, 10), '%': '%' };
  return format.slice(0, 100).replace(/%(.)/g, (all, letter: string) => parts[letter] ?? all);
}
