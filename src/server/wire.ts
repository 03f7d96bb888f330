// Owns: how errors look on the wire. The only table from error codes to HTTP statuses, the words that clients of each
// dialect look for, and what is kept from them: messages of failures on our side stay in the log, because they may name
// files or other people's text. Refuses: to know requests; body.ts reads them. Next: app.ts.

import { type ErrorCode, GptOssError, isGptOssError } from '../errors.ts';

/** Reasons of HTTP itself, for which there is no error code. */
export type Refusal =
  | 'unauthorized'
  | 'forbidden'
  | 'no-route'
  | 'wrong-method'
  | 'too-large'
  | 'media-type'
  | 'unavailable';

interface Kind {
  readonly status: number;
  readonly type: string; // OpenAI's `error.type`
  readonly code: string | null; // OpenAI's `error.code`
  readonly anthropic: string; // Anthropic's `error.type`
  /** Whether the message is about the request, and so may be shown. */
  readonly isShown: boolean;
  readonly retryAfter?: number; // seconds
}

const bad = { type: 'invalid_request_error', code: null, anthropic: 'invalid_request_error', isShown: true } as const;
const ours = { type: 'server_error', code: 'internal_error', anthropic: 'api_error', isShown: false } as const;
const busy = { type: 'server_error', anthropic: 'overloaded_error', isShown: true, retryAfter: 2 } as const;

const ofCode: Readonly<Record<ErrorCode, Kind>> = {
  'invalid-request': { ...bad, status: 400, code: 'invalid_value' },
  'context-overflow': { ...bad, status: 400, code: 'context_length_exceeded' },
  'not-found': { ...bad, status: 404, code: 'not_found', anthropic: 'not_found_error' },
  overloaded: { ...busy, status: 429, type: 'rate_limit_error', code: 'overloaded', anthropic: 'rate_limit_error' },
  'out-of-memory': { ...busy, status: 503, code: 'out_of_memory', isShown: false, retryAfter: 5 },
  'device-lost': { ...busy, status: 503, code: 'device_lost', isShown: false, retryAfter: 30 },
  aborted: { ...ours, status: 499, code: 'aborted', isShown: true },
  'tool-failed': { ...ours, status: 500, code: 'tool_failed' },
  diverged: { ...ours, status: 500 },
  'bad-checkpoint': { ...ours, status: 500 },
  'bad-tokenizer': { ...ours, status: 500 },
  'unsupported-type': { ...ours, status: 500 },
  'unsupported-device': { ...ours, status: 500 },
  io: { ...ours, status: 500 },
  internal: { ...ours, status: 500 },
};

const ofRefusal: Readonly<Record<Refusal, Kind>> = {
  unauthorized: { ...bad, status: 401, code: 'invalid_api_key', anthropic: 'authentication_error' },
  forbidden: { ...bad, status: 403, code: 'forbidden', anthropic: 'permission_error' },
  'no-route': { ...bad, status: 404, code: 'unknown_url', anthropic: 'not_found_error' },
  'wrong-method': { ...bad, status: 405, code: 'method_not_allowed' },
  'too-large': { ...bad, status: 413, code: 'request_too_large', anthropic: 'request_too_large' },
  'media-type': { ...bad, status: 415, code: 'unsupported_media_type' },
  unavailable: { ...busy, status: 503, code: 'unavailable', retryAfter: 5 },
};

export interface Problem {
  readonly status: number;
  readonly message: string;
  readonly type: string;
  readonly code: string | null;
  readonly anthropic: string;
  /** Path of the field that is wrong, as `messages[0].role`. */
  readonly parameter: string | null;
  readonly retryAfter: number | null;
  /** Worth a line in the log: it is not the client's doing. */
  readonly isOurs: boolean;
}

/** A request that is wrong: `message` says what happened; what was expected; what to do. */
export function invalid(message: string, parameter: string | null = null, code?: string): GptOssError {
  return new GptOssError('invalid-request', message, { details: { parameter, code } });
}

/** A request that HTTP itself turns away. */
export function refused(refusal: Refusal, message: string): GptOssError {
  return new GptOssError('invalid-request', message, { details: { refusal } });
}

export function problemOf(error: unknown): Problem {
  const known = isGptOssError(error) ? error : null;
  const details = known?.details ?? {};
  const refusal = details['refusal'] as Refusal | undefined;
  const kind = refusal !== undefined ? ofRefusal[refusal] : ofCode[known?.code ?? codeOf(error)];
  const code = typeof details['code'] === 'string' ? details['code'] : kind.code;
  return {
    status: kind.status,
    message: kind.isShown && known !== null ? known.message : hiddenMessage(kind),
    type: kind.type,
    code,
    anthropic: kind.anthropic,
    parameter: typeof details['parameter'] === 'string' ? details['parameter'] : null,
    retryAfter: kind.retryAfter ?? null,
    isOurs: kind.status >= 500,
  };
}

/** What the JavaScript engine itself throws when memory or its stack is too small for a request. */
function codeOf(error: unknown): ErrorCode {
  return error instanceof RangeError && /allocation|array length|buffer|string length/i.test(error.message)
    ? 'out-of-memory'
    : 'internal';
}

function hiddenMessage({ status }: Kind): string {
  return status === 503
    ? 'the server cannot compute this at the moment; expected free memory and a working device; try again later'
    : 'the server failed; expected an answer; the log of the server has the reason under this request id';
}

export type Dialect = 'openai' | 'anthropic' | 'ollama';

/** The body of an error answer, or of an error inside a stream. */
export function errorBody(problem: Problem, dialect: Dialect): unknown {
  const { message, type, code, parameter, anthropic } = problem;
  if (dialect === 'ollama') return { error: message };
  // Anthropic's form plus the two fields of OpenAI's, so that either kind of client finds what it looks for.
  if (dialect === 'anthropic') return { type: 'error', error: { type: anthropic, message, param: parameter, code } };
  return { error: { message, type, param: parameter, code } };
}

export function errorResponse(error: unknown, dialect: Dialect): Response {
  const problem = problemOf(error);
  const headers: Record<string, string> = { 'content-type': 'application/json' };
  if (problem.retryAfter !== null) headers['retry-after'] = String(problem.retryAfter);
  if (problem.status === 401) headers['www-authenticate'] = 'Bearer';
  return new Response(JSON.stringify(errorBody(problem, dialect)), { status: problem.status, headers });
}

/** One server-sent event. */
export function sse(data: unknown, event?: string): string {
  const text = typeof data === 'string' ? data : JSON.stringify(data);
  return event === undefined ? `data: ${text}\n\n` : `event: ${event}\ndata: ${text}\n\n`;
}
