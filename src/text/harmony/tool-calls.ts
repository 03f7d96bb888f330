// What a call message asks for: which tool, with which arguments. Arguments of models are often almost JSON (wrapped in
// a list, followed by a stray bracket, with raw line ends in strings, escaped twice): everything that can be understood
// is, and what cannot is handed on as it stands; a call is never lost and never an error here.
// Also maps tool names of clients to identifiers the prompt can hold, and back. Next: turn.ts.

import type { ParsedMessage } from './events.ts';

export interface CallArguments {
  /** ok: JSON as generated; empty: no text, taken as no arguments; unwrapped: taken out of a list of one or a string;
   *  recovered: a JSON object found inside other text, or repaired; raw: not JSON (always so for code). */
  readonly status: 'ok' | 'empty' | 'unwrapped' | 'recovered' | 'raw';
  /** The parsed arguments; undefined when raw. */
  readonly value: unknown;
  /** For a client: JSON text, or the raw text. */
  readonly text: string;
}

export interface ToolCall {
  /** As generated, e.g. `functions.get_weather`. */
  readonly recipient: string;
  /** Name of the function without `functions.`, or of the built-in tool (`python`, `browser.search`). */
  readonly name: string;
  /** unknown: not among the tools that were offered. */
  readonly kind: 'function' | 'builtin' | 'unknown';
  readonly arguments: CallArguments;
  /** The message it was read from. */
  readonly message: ParsedMessage;
}

/** Tools that exist; without `functions`, every `functions.` name counts as one. */
export interface OfferedTools {
  readonly functions?: readonly string[];
  /** Recipients, e.g. `python`, `browser.search`. */
  readonly builtins?: readonly string[];
}

export function toolCall(message: ParsedMessage, offered: OfferedTools = {}): ToolCall {
  const recipient = message.recipient ?? '';
  const { name, kind } = resolveRecipient(recipient, offered);
  const isCode = name === 'python' && kind !== 'function';
  const text = message.content;
  return {
    recipient,
    name,
    kind,
    arguments: isCode ? { status: 'raw', value: undefined, text } : callArguments(text),
    message,
  };
}

/** Which tool a recipient means. `functions.python` is the built-in tool unless a function of that name was offered; a
 *  function is also found without `functions.` and in its spelling before `toolNames`. */
export function resolveRecipient(recipient: string, offered: OfferedTools): Pick<ToolCall, 'name' | 'kind'> {
  const { functions, builtins = [] } = offered;
  const isPrefixed = recipient.startsWith('functions.');
  const name = isPrefixed ? recipient.slice('functions.'.length) : recipient;
  if (!isPrefixed && builtins.includes(recipient)) return { name, kind: 'builtin' };
  const known = functions?.find((candidate) => candidate === name || candidate === identifier(name));
  if (known !== undefined) return { name: known, kind: 'function' };
  if (builtins.includes(name)) return { name, kind: 'builtin' };
  return { name, kind: isPrefixed && functions === undefined ? 'function' : 'unknown' };
}

/** Arguments of a call, as leniently as they can be read. */
export function callArguments(raw: string): CallArguments {
  const text = raw.trim();
  if (text === '') return { status: 'empty', value: {}, text: '{}' };
  const whole = parsed(text);
  if (whole !== undefined) {
    const inner = unwrapped(whole.value);
    return inner === undefined
      ? { status: 'ok', value: whole.value, text }
      : { status: 'unwrapped', value: inner, text: JSON.stringify(inner) };
  }
  const repaired = parsed(escapeControls(text));
  if (repaired !== undefined) {
    const value = unwrapped(repaired.value) ?? repaired.value;
    return { status: 'recovered', value, text: JSON.stringify(value) };
  }
  const found = firstObject(text);
  if (found !== undefined) return { status: 'recovered', value: found, text: JSON.stringify(found) };
  return { status: 'raw', value: undefined, text: raw };
}

function parsed(text: string): { value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return undefined; // not JSON, or nested deeper than the stack
  }
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The object in a list of one, or in a string that holds JSON; undefined for anything else. */
function unwrapped(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 1 && isObject(value[0]) ? value[0] : undefined;
  if (typeof value !== 'string') return undefined;
  const inner = parsed(value.trim());
  return inner !== undefined && isObject(inner.value) ? inner.value : undefined;
}

/** Where to try for an object at most; each try scans once. */
const mostTries = 16;

/** The first balanced `{…}` that is JSON, as it is or with control characters escaped. */
function firstObject(text: string): unknown {
  let open = text.indexOf('{');
  for (let tries = 0; open >= 0 && tries < mostTries; tries++) {
    const close = balancedEnd(text, open);
    if (close >= 0) {
      const piece = text.slice(open, close);
      const result = parsed(piece) ?? parsed(escapeControls(piece));
      if (result !== undefined) return result.value;
    }
    open = text.indexOf('{', open + 1);
  }
  return undefined;
}

/** One past the brace that closes the one at `open`, or -1. Braces in strings do not count. */
function balancedEnd(text: string, open: number): number {
  let depth = 0;
  let isString = false;
  for (let i = open; i < text.length; i++) {
    const c = text[i];
    if (isString) {
      if (c === '\\') i++;
      else if (c === '"') isString = false;
    } else if (c === '"') isString = true;
    else if (c === '{') depth++;
    else if (c === '}' && --depth === 0) return i + 1;
  }
  return -1;
}

/** Escapes line ends and other control characters inside strings, which JSON does not allow and models write. */
function escapeControls(text: string): string {
  let out = '';
  let isString = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!;
    if (isString && c === '\\') out += c + (text[++i] ?? '');
    else if (c === '"') {
      isString = !isString;
      out += c;
    } else if (isString && c < ' ') out += JSON.stringify(c).slice(1, -1);
    else out += c;
  }
  return out;
}

export interface ToolNames {
  /** Name in the prompt. */
  toModel(name: string): string;
  /** The client's name of a name from the model; unknown names stay as they are. */
  toClient(name: string): string;
}

/** Names as the `functions` namespace can hold them: space, `-` and `.` become `_`, other characters that no identifier
 *  has go, a leading digit gets a `_` before it, and equal results are numbered (`x`, `x_2`). */
export function toolNames(names: readonly string[]): ToolNames {
  const toModel = new Map<string, string>();
  const toClient = new Map<string, string>();
  // Names that need no change keep it, whatever the order.
  const ordered = [...names.filter((name) => identifier(name) === name), ...names];
  for (const name of ordered) {
    if (toModel.has(name)) continue;
    const base = identifier(name);
    let mapped = base;
    for (let n = 2; toClient.has(mapped); n++) mapped = `${base}_${n}`;
    toModel.set(name, mapped);
    toClient.set(mapped, name);
  }
  return { toModel: (name) => toModel.get(name) ?? identifier(name), toClient: (name) => toClient.get(name) ?? name };
}

function identifier(name: string): string {
  const kept = name.replace(/[ .-]/g, '_').replace(/[^A-Za-z0-9_$]/g, '');
  if (kept === '') return 'tool';
  return /^[0-9]/.test(kept) ? `_${kept}` : kept;
}
