// What the server says of itself, the models it could use, and how a request reaches it. All paths are relative to the page,
// so it works behind any prefix. Errors carry the server's own words. Next: responses.ts.

import { apiKey } from '../state/settings.ts';

export interface ServerInfo {
  readonly version: string;
  readonly model: string;
  /** Tokens that fit. */
  readonly context: number;
  readonly isTiny: boolean;
  readonly temperature: number;
  /** Tools the server runs: python, browser, … */
  readonly tools: readonly string[];
  /** The models of the machine can be listed and changed from here. */
  readonly hasModels: boolean;
}

export interface ModelRow {
  /** What to ask for. */
  readonly name: string;
  readonly title: string;
  readonly sizeBytes: number;
  readonly state: 'in-use' | 'ready' | 'broken' | 'not-here';
  /** Reason or forecast in words. */
  readonly note: string;
  readonly fit: {
    readonly fits: boolean;
    readonly memoryBytes: number;
    readonly decode: number | null;
    readonly prompt: number | null;
  } | null;
}

export type PullEvent =
  | { readonly type: 'progress'; readonly done: number; readonly total: number; readonly bytesPerSecond: number }
  | { readonly type: 'done' }
  | { readonly type: 'error'; readonly message: string };

/** The server refused, or is not there (`status` 0). */
export class ServerError extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export async function ask(path: string, body?: unknown, signal?: AbortSignal): Promise<Response> {
  const headers = new Headers();
  if (body !== undefined) headers.set('content-type', 'application/json');
  if (apiKey.value !== '') headers.set('authorization', `Bearer ${apiKey.value}`);
  let response: Response;
  try {
    const init = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) };
    response = await fetch(path, { ...init, headers, signal, cache: 'no-store', credentials: 'same-origin' });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ServerError(0, String(error));
  }
  if (!response.ok) throw new ServerError(response.status, await reasonOf(response));
  return response;
}

export async function getInfo(): Promise<ServerInfo> {
  return (await ask('./page/info')).json() as Promise<ServerInfo>;
}

export interface CitedDocument {
  readonly title: string;
  readonly url: string;
  readonly lines: readonly string[];
}

/** A page on the server's machine that an answer cites. */
export async function getDocument(url: string): Promise<CitedDocument> {
  return (await ask(`./page/document?url=${encodeURIComponent(url)}`)).json() as Promise<CitedDocument>;
}

/** A file that a tool made. */
export async function getFile(containerId: string, id: string): Promise<Blob> {
  const path = `./v1/containers/${encodeURIComponent(containerId)}/files/${encodeURIComponent(id)}/content`;
  return (await ask(path)).blob();
}

/** The tools of a deleted conversation need remember nothing. */
export async function forgetTools(key: string): Promise<void> {
  await ask('./page/forget', { conversation_key: key });
}

export async function getModels(): Promise<readonly ModelRow[]> {
  return ((await (await ask('./page/models')).json()) as { models: readonly ModelRow[] }).models;
}

export async function useModel(name: string): Promise<void> {
  await (await ask('./page/models/use', { model: name })).json();
}

/** Downloads a model to the server's machine; lines of JSON until it is done. */
export async function* pullModel(name: string, signal: AbortSignal): AsyncGenerator<PullEvent> {
  const response = await ask('./page/models/pull', { model: name }, signal);
  let rest = '';
  for await (const text of texts(response)) {
    const lines = (rest + text).split('\n');
    rest = lines.pop()!;
    for (const line of lines) if (line.trim() !== '') yield JSON.parse(line) as PullEvent;
  }
}

/** Decoded pieces of a body; a reader loop, since not every browser iterates streams. */
export async function* texts(response: Response): AsyncGenerator<string> {
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    void reader.cancel().catch(() => undefined);
  }
}

async function reasonOf(response: Response): Promise<string> {
  const text = await response.text().catch(() => '');
  try {
    const { error } = JSON.parse(text) as { error?: { message?: unknown } | string };
    const message = typeof error === 'string' ? error : error?.message;
    if (typeof message === 'string') return message;
  } catch {
    // not ours
  }
  return `${response.status} ${response.statusText}`.trim();
}
