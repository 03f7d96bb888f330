// Requests to a server that speaks as OpenAI does: JSON out, JSON back, bounded in size and time. What may pass is thrown as
// an AnswerError to be tried again, what will not (a wrong key, no such route) as a failure of the run.
// Next: chat-answerer.ts, responses-answerer.ts.

import { GptOssError } from '../errors.ts';
import { AnswerError } from './runner.ts';

/** Parsed JSON that nobody has checked. */
export interface Loose {
  readonly [key: string]: Loose;
}

export interface Endpoint {
  /** With or without `/v1`. */
  readonly url: string;
  readonly apiKey?: string;
  readonly timeoutMs: number;
  readonly fetch: typeof globalThis.fetch;
}

const LIMIT_BYTES = 64 * 2 ** 20;

export function baseUrl(url: string): string {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch (cause) {
    throw new GptOssError(
      'invalid-request',
      `${url} is no address; expected http://HOST:PORT or https://…; correct it`,
      {
        cause,
      },
    );
  }
  if (parsed.protocol !== 'http:' && parsed.protocol !== 'https:') {
    throw new GptOssError('invalid-request', `${url} is no address of the web; expected http or https; correct it`);
  }
  const path = parsed.pathname.replace(/\/+$/, '');
  return `${parsed.origin}${/\/v\d+[a-z]*$/.test(path) ? path : `${path}/v1`}`;
}

/** The first model that a server lists. Throws when nobody is there. */
export async function firstModel(endpoint: Endpoint, signal: AbortSignal): Promise<string> {
  const name = list((await request(endpoint, 'GET', '/models', undefined, signal).catch(unreachable))['data'])[0]?.[
    'id'
  ];
  if (typeof name === 'string') return name;
  throw new GptOssError('not-found', `${endpoint.url} lists no models; expected one; give --request-model`);
}

function unreachable(error: unknown): never {
  if (!(error instanceof AnswerError)) throw error;
  throw new GptOssError('io', `${error.message}; expected a server there; check the address`, { cause: error });
}

export async function request(
  endpoint: Endpoint,
  method: 'GET' | 'POST',
  path: string,
  body: object | undefined,
  signal: AbortSignal,
): Promise<Loose> {
  const url = `${baseUrl(endpoint.url)}${path}`;
  const headers = {
    'content-type': 'application/json',
    ...(endpoint.apiKey === undefined ? {} : { authorization: `Bearer ${endpoint.apiKey}` }),
  };
  let response: Response;
  let text: string;
  try {
    response = await endpoint.fetch(url, {
      ...{ method, headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.any([signal, AbortSignal.timeout(endpoint.timeoutMs)]),
    });
    text = await boundedText(response);
  } catch (error) {
    if (signal.aborted || error instanceof AnswerError) throw error;
    const { cause, message } = error as { cause?: { message?: string; code?: string }; message: string };
    throw new AnswerError(`${url} cannot be reached (${cause?.code ?? cause?.message ?? message})`, true);
  }
  const { status } = response;
  if (status === 401 || status === 403) {
    throw new GptOssError(
      'invalid-request',
      `${url} refuses the key (${status}); expected a valid one; give --api-key`,
    );
  }
  if (status === 404 || status === 405 || status === 501) {
    throw new GptOssError(
      'not-found',
      `${url} does not serve this (${status}: ${shorten(text)}); check address, --api and model`,
    );
  }
  if (status === 408 || status === 409 || status === 425 || status === 429 || status >= 500) {
    throw new AnswerError(`${url} answered ${status}: ${shorten(text)}`, true, retryAfter(response));
  }
  if (status !== 200) throw new AnswerError(`${url} answered ${status}: ${shorten(text)}`, false);
  try {
    const json: unknown = JSON.parse(text);
    if (typeof json === 'object' && json !== null) return json as Loose;
  } catch {
    // said below
  }
  throw new AnswerError(`${url} answered without JSON: ${shorten(text)}`, true);
}

async function boundedText(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  const reader = response.body?.getReader();
  let text = '';
  for (let part = await reader?.read(); part?.value !== undefined; part = await reader?.read()) {
    text += decoder.decode(part.value, { stream: true });
    if (text.length <= LIMIT_BYTES) continue;
    await reader?.cancel();
    throw new AnswerError(`an answer of more than ${LIMIT_BYTES} characters`, false);
  }
  return text + decoder.decode();
}

function retryAfter(response: Response): number | null {
  const seconds = Number(response.headers.get('retry-after') ?? Number.NaN);
  return seconds >= 0 ? seconds * 1000 : null;
}

export function list(value: Loose | undefined): readonly Loose[] {
  return Array.isArray(value) ? (value as readonly Loose[]) : [];
}

export function textOf(value: Loose | undefined): string {
  return typeof value === 'string' ? value : '';
}

export function countOf(value: Loose | undefined): number | null {
  return typeof value === 'number' && value >= 0 ? value : null;
}

function shorten(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length > 160 ? `${line.slice(0, 160)}…` : line;
}
