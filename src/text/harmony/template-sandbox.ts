// Renders a chat template that came with a model file and may be hostile. The interpreter (@huggingface/jinja) gives
// templates no access to anything; this file bounds what they cost: a check of the text before it is parsed (size, runs
// of white space, which its lexer treats in quadratic time), and limits on every value that any expression yields
// (steps, time, characters, items as if written out, depth). Operations that multiply their operands (join, replace,
// indent, tojson) get small arguments only. The outcome is always a value. Next: chat-template.ts.

import { Environment, Interpreter, parse, tokenize } from '@huggingface/jinja';

const mostTemplateCharacters = 256 * 1024;
const mostWhiteSpace = 512; // in a row
const mostSteps = 50_000; // the template of gpt-oss takes a few hundred
const mostMilliseconds = 2_000;
const mostCharacters = 4 * 1024 * 1024; // of all values together
const largestNumber = 10_000;

/** Bounds of one value. A value that holds another twice counts it twice, because that is how it is written out. */
interface ValueLimits {
  readonly characters: number;
  readonly items: number;
  readonly depth: number;
  readonly number: number;
}

const ordinary: ValueLimits = { characters: 64 * 1024, items: 4_096, depth: 32, number: largestNumber };
/** For arguments by which an operation multiplies: 64 Ki characters times these stay within megabytes. */
const multiplier: ValueLimits = { characters: 64, items: 16, depth: 4, number: 32 };
/** For arguments of methods, of which `replace` is the one that multiplies. */
const argument: ValueLimits = { ...multiplier, characters: 256, number: largestNumber };

const multiplyingFilters = new Set(['join', 'replace', 'indent', 'tojson']);

export type TemplateResult =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly problem: string };

/** Renders a chat template for a fixed short conversation; `values` are its extra variables. Never throws. */
export function renderTemplate(template: string, values: Readonly<Record<string, unknown>> = {}): TemplateResult {
  if (template.length > mostTemplateCharacters) {
    return { ok: false, problem: `the chat template has ${template.length} characters, more than any real one` };
  }
  if (longestWhiteSpace(template) > mostWhiteSpace) {
    return { ok: false, problem: `the chat template has over ${mostWhiteSpace} white-space characters in a row` };
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
    const result = new BoundedInterpreter(environment, multiplyingArguments(program)).run(program).value;
    if (typeof result !== 'string') return { ok: false, problem: 'the chat template gave no text' };
    return { ok: true, text: result };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    return { ok: false, problem: `the chat template could not be rendered (${reason.slice(0, 300)})` };
  }
}

interface RuntimeValue {
  value: unknown;
  readonly type: string;
}

type Callable = (args: readonly RuntimeValue[], scope: unknown) => RuntimeValue;

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
  #characters = 0;
  readonly #deadline = performance.now() + mostMilliseconds;
  readonly #multiplying: ReadonlySet<unknown>;
  readonly #guarded = new WeakSet<RuntimeValue>();

  constructor(environment: unknown, multiplying: ReadonlySet<unknown>) {
    super(environment);
    this.#multiplying = multiplying;
  }

  override evaluate(statement: unknown, environment: unknown): RuntimeValue {
    this.#spend(1);
    const result = super.evaluate(statement, environment);
    this.#weigh(result, this.#multiplying.has(statement) ? multiplier : ordinary);
    const node = isNode(statement) ? statement : { type: '' };
    if (node.type === 'MemberExpression' && result.type === 'FunctionValue') this.#guard(result);
    // A namespace is the one value that can change, so it is weighed again when it has.
    if (node.type === 'Set' && isNode(node.assignee) && node.assignee.type === 'MemberExpression') {
      this.evaluate(node.assignee.object, environment);
    }
    return result;
  }

  #spend(steps: number): void {
    this.#steps += steps;
    if (this.#steps > mostSteps) throw new Error('it took too many steps');
    if (performance.now() > this.#deadline) throw new Error('it took too long');
  }

  /** Refuses a value beyond its limits and charges for its size, which whoever loops over it would spend. */
  #weigh(root: RuntimeValue, limits: ValueLimits): void {
    let items = 0;
    let characters = 0;
    const pending: { value: RuntimeValue; depth: number }[] = [{ value: root, depth: 0 }];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      const { value, depth } = next;
      const held = value?.value;
      if (typeof held === 'string') characters += held.length;
      else if (typeof held === 'number' && !(Math.abs(held) <= limits.number))
        throw new Error('a number grew too large');
      else if (Array.isArray(held) || held instanceof Map) {
        // Only this way could a value grow after it was weighed.
        if (value.type === 'NamespaceValue' && depth > 0) throw new Error('a namespace within another value');
        items += Array.isArray(held) ? held.length : held.size;
        if (depth >= limits.depth) throw new Error('a value is nested too deeply');
        if (items > limits.items) throw new Error('a list grew too long');
        if (held instanceof Map) for (const key of held.keys()) characters += String(key).length;
        for (const item of held.values()) pending.push({ value: item as RuntimeValue, depth: depth + 1 });
      }
      if (characters > limits.characters) throw new Error('a string grew too long');
    }
    this.#spend(items);
    this.#characters += characters;
    if (this.#characters > mostCharacters) throw new Error('it made too much text');
  }

  /** Methods are found by name at run time, so their arguments are checked when they are called. */
  #guard(method: RuntimeValue): void {
    if (this.#guarded.has(method)) return;
    this.#guarded.add(method);
    const call = method.value as Callable;
    method.value = (args: readonly RuntimeValue[], scope: unknown) => {
      for (const given of args) this.#weigh(given, argument);
      return call(args, scope);
    };
  }
}

interface Node {
  readonly type: string;
  readonly [part: string]: unknown;
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string';
}

/** Expressions of a program that stand as arguments of a filter that multiplies. Filters are named in the text, never
 *  computed, so all of them are found. */
function multiplyingArguments(program: unknown): ReadonlySet<unknown> {
  const found = new Set<unknown>();
  const pending: unknown[] = [program];
  while (pending.length > 0) {
    const value = pending.pop();
    if (typeof value !== 'object' || value === null) continue;
    if (value instanceof Map) for (const [key, item] of value) pending.push(key, item);
    else for (const item of Object.values(value)) pending.push(item);
    if (!isNode(value) || !isNode(value.filter) || !isNode(value.filter.callee)) continue;
    const { callee, args } = value.filter;
    if (!multiplyingFilters.has(String(callee.value)) || !Array.isArray(args)) continue;
    for (const arg of args as Node[]) found.add(argumentValue(arg));
  }
  return found;
}

/** The expression within `name=value`, `*list` and `**mapping`. */
function argumentValue(arg: Node): unknown {
  if (arg.type === 'KeywordArgumentExpression') return arg.value;
  return arg.type === 'SpreadExpression' || arg.type === 'KeywordSpreadExpression' ? arg.argument : arg;
}

function longestWhiteSpace(text: string): number {
  let longest = 0;
  for (const [run] of text.matchAll(/\s+/g)) longest = Math.max(longest, run.length);
  return longest;
}

/** Python's range, refusing lists that no template needs. The interpreter may pass an object of named arguments last. */
function boundedRange(...given: unknown[]): number[] {
  const numbers = given.filter((value) => typeof value === 'number');
  const [start, stop, step] =
    numbers.length < 2 ? [0, numbers[0] ?? 0, 1] : [numbers[0]!, numbers[1]!, numbers[2] ?? 1];
  const length = Math.max(0, Math.ceil((stop - start) / step));
  if (!(length <= ordinary.items)) throw new Error('range() is too long');
  return Array.from({ length }, (_, i) => start + i * step);
}

/** strftime with what templates use; the date only shows that one is wanted. */
function dateText(format: string): string {
  const now = new Date().toISOString();
  const parts: Record<string, string> = { Y: now.slice(0, 4), m: now.slice(5, 7), d: now.slice(8, 10), '%': '%' };
  return format.slice(0, 100).replace(/%(.)/g, (all, letter: string) => parts[letter] ?? all);
}
