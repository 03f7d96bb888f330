// Owns: from the bytes of a request to a checked value. Size, encoding, depth and shape are limited before anything is
// parsed, so that no body can make the server allocate, recurse or wait beyond its bounds.
// Refuses: compressed bodies (a bomb costs the sender nothing), text that is not UTF-8, and types that a browser sends
// across origins without asking. Next: chat-completions.ts, whose schemas come in here.

import type { z } from '@hono/zod-openapi';
import { invalid, refused } from './wire.ts';

export interface BodyLimits {
  readonly maxBytes: number;
  /** Nesting of lists and objects; schemas of tools rarely pass 20. */
  readonly maxDepth: number;
}

/** The JSON of a request; throws a refusal for anything else. */
export async function readJson(request: Request, limits: BodyLimits, isLenientType = false): Promise<unknown> {
  checkType(request, isLenientType);
  const encoding = request.headers.get('content-encoding');
  if (encoding !== null && encoding.toLowerCase() !== 'identity') {
    throw refused(
      'media-type',
      `the body is encoded as ${quote(encoding)}; expected it as it is; send it uncompressed`,
    );
  }
  const bytes = await readBytes(request, limits.maxBytes);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw invalid('the body is not valid UTF-8; expected JSON in UTF-8; encode it so');
  }
  checkDepth(text, limits.maxDepth);
  try {
    return JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : '';
    throw invalid(`the body is not JSON (${quote(reason)}); expected one JSON object; check the request`);
  }
}

/** Checks a value against a schema; the first thing that is wrong becomes the error, with its path. */
export function checked<T>(schema: z.ZodType<T>, value: unknown): T {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalid(`the body is ${nameOf(value)}; expected a JSON object; wrap it`);
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = deepest(result.error.issues[0]!);
  const path = pathText(issue.path);
  const found = valueAt(value, issue.path);
  const what = found === undefined ? 'missing' : quote(JSON.stringify(found) ?? String(found));
  throw invalid(`${path || 'the body'} is ${what}; expected ${expectation(issue)}; change it`, path || null);
}

type Issue = z.core.$ZodIssue;

/** Of a value that fits none of several forms: the complaint about the form that it comes closest to. */
function deepest(issue: Issue): Issue {
  if (issue.code !== 'invalid_union' || issue.errors.length === 0) return issue;
  const inner = issue.errors.flatMap((issues) => issues.slice(0, 1));
  const best = inner.reduce((a, b) => (b.path.length > a.path.length ? b : a), inner[0]!);
  if (best === undefined || best.path.length === 0) return issue;
  return deepest({ ...best, path: [...issue.path, ...best.path] });
}

function expectation(issue: Issue): string {
  if (issue.code === 'invalid_key') return 'another name';
  const text = issue.message.replace(/^Invalid [a-z ]+(?:: |\. )?/, '').replace(/^expected /i, '');
  return text.replace(/, received .*$/, '').replace(/^(?:Too (?:big|small): )(?:expected )?/, '') || 'something else';
}

function pathText(path: readonly PropertyKey[]): string {
  return path.map((key, i) => (typeof key === 'number' ? `[${key}]` : `${i > 0 ? '.' : ''}${String(key)}`)).join('');
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let at = value;
  for (const key of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return undefined;
    at = (at as Record<PropertyKey, unknown>)[key];
  }
  return at;
}

function nameOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'a list' : `a ${typeof value}`;
}

/** Someone else's text in a message: short and in one line. */
export function quote(text: string): string {
  const line = text.replace(/\s+/g, ' ');
  return line.length > 80 ? `${line.slice(0, 77)}...` : line;
}

/** `text/plain` and forms are what a page of any origin can send without a preflight. Command-line tools send forms by
 *  default, without an origin. */
function checkType(request: Request, isLenient: boolean): void {
  const type = request.headers.get('content-type')?.replace(/;.*/s, '').trim().toLowerCase();
  if (type === undefined || type === '' || type === 'application/json' || type.endsWith('+json')) return;
  const isTool = isLenient && request.headers.get('origin') === null;
  if (isTool && type === 'application/x-www-form-urlencoded') return;
  throw refused('media-type', `the body is ${quote(type)}; expected application/json; set the content-type header`);
}

async function readBytes(request: Request, maxBytes: number): Promise<Uint8Array> {
  const tooLarge = (): Error =>
    refused('too-large', `the body is larger than ${maxBytes} bytes; expected at most that; send less`);
  if (Number(request.headers.get('content-length') ?? 0) > maxBytes) throw tooLarge();
  const { body } = request;
  if (body === null) return new Uint8Array(0);
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body as unknown as AsyncIterable<Uint8Array>) {
    size += chunk.length;
    if (size > maxBytes) throw tooLarge(); // leaving the loop cancels the body
    chunks.push(chunk);
  }
  if (chunks.length === 1) return chunks[0]!;
  const whole = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

function checkDepth(text: string, maxDepth: number): void {
  let depth = 0;
  let isString = false;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (isString) {
      if (unit === 0x5c) i++;
      else if (unit === 0x22) isString = false;
    } else if (unit === 0x22) isString = true;
    else if (unit === 0x5b || unit === 0x7b) {
      if (++depth > maxDepth) throw invalid(`the body is nested deeper than ${maxDepth}; expected less; flatten it`);
    } else if (unit === 0x5d || unit === 0x7d) depth--;
  }
}
