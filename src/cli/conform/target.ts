// The server under test, as a client sees it: JSON in, JSON or a stream of events out. Knows no dialect; what a case finds
// wrong is a `Complaint`, a route that is not there an `Absent`. Answers are bounded in size and time: the server may be
// anybody's. Next: cases.ts.

/** A promise that was not kept. */
export class Complaint extends Error {}

/** The server does not speak this dialect. */
export class Absent extends Error {}

/** Parsed JSON that nobody has checked. */
export interface Loose {
  readonly [key: string]: Loose;
}

export interface Reply {
  readonly status: number;
  readonly json: Loose;
}

export interface ServerEvent {
  readonly event: string | null;
  readonly data: Loose;
}

export interface EventStream {
  readonly events: readonly ServerEvent[];
  /** `data: [DONE]` was the last. */
  readonly isDone: boolean;
}

const LIMIT_BYTES = 16 * 2 ** 20;

export class Target {
  readonly url: string;
  readonly model: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #timeoutMs: number;
  readonly #signal: AbortSignal;

  constructor(init: { url: string; model: string; apiKey?: string; timeoutMs: number; signal: AbortSignal }) {
    this.url = init.url.replace(/\/+$/, '').replace(/\/v1$/, '');
    this.model = init.model;
    this.#timeoutMs = init.timeoutMs;
    this.#signal = init.signal;
    this.#headers = {
      'content-type': 'application/json',
      'anthropic-version': '2023-06-01',
      ...(init.apiKey === undefined ? {} : { authorization: `Bearer ${init.apiKey}` }),
    };
  }

  /** Whatever the status; a string is sent as it is. */
  async call(method: string, path: string, body?: object | string): Promise<Reply> {
    const { status, text } = await this.#send(method, path, body);
    try {
      return { status, json: JSON.parse(text) as Loose };
    } catch {
      if (status === 404 || status === 405 || status === 501) throw new Absent(`${path} is not served`);
      throw new Complaint(`status ${status} without JSON: ${shorten(text)}`);
    }
  }

  /** An answer with status 200. */
  async ask(path: string, body: object): Promise<Loose> {
    const { status, json } = await this.call('POST', path, { model: this.model, ...body });
    if (status === 404 || status === 405 || status === 501) throw new Absent(`${path} is not served (${status})`);
    if (status !== 200) throw new Complaint(`status ${status}: ${shorten(JSON.stringify(json))}`);
    return json;
  }

  /** Server-sent events, or lines of JSON. */
  async stream(path: string, body: object): Promise<EventStream> {
    const { status, text } = await this.#send('POST', path, { model: this.model, stream: true, ...body });
    if (status === 404 || status === 405 || status === 501) throw new Absent(`${path} is not served (${status})`);
    if (status !== 200) throw new Complaint(`status ${status}: ${shorten(text)}`);
    const events: ServerEvent[] = [];
    let isDone = false;
    let event: string | null = null;
    for (const line of text.split(/\r?\n/)) {
      if (line === '') event = null;
      else if (line.startsWith('event:')) event = line.slice(6).trim();
      else if (line.startsWith('data:') || line.startsWith('{')) {
        const data = line.startsWith('{') ? line : line.slice(5).trim();
        if (isDone) throw new Complaint('something follows [DONE]');
        if (data === '[DONE]') isDone = true;
        else events.push({ event, data: parse(data) });
      } else if (!line.startsWith(':')) throw new Complaint(`a line that is no event: ${shorten(line)}`);
    }
    if (events.length === 0) throw new Complaint('a stream without events');
    return { events, isDone };
  }

  async #send(method: string, path: string, body?: object | string): Promise<{ status: number; text: string }> {
    const signal = AbortSignal.any([this.#signal, AbortSignal.timeout(this.#timeoutMs)]);
    try {
      const response = await fetch(this.url + path, {
        method,
        headers: this.#headers,
        ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
        signal,
      });
      const decoder = new TextDecoder();
      let text = '';
      const reader = response.body?.getReader();
      for (let part = await reader?.read(); part?.value !== undefined; part = await reader?.read()) {
        text += decoder.decode(part.value, { stream: true });
        if (text.length > LIMIT_BYTES) throw new Complaint(`an answer of more than ${LIMIT_BYTES} characters`);
      }
      return { status: response.status, text };
    } catch (error) {
      if (error instanceof Complaint || this.#signal.aborted) throw error;
      const { cause } = error as { cause?: Error };
      throw new Complaint(`no answer from ${path}: ${cause?.message ?? String(error)}`);
    }
  }
}

export function demand(condition: boolean, complaint: string): asserts condition {
  if (!condition) throw new Complaint(complaint);
}

export function list(value: Loose | undefined): readonly Loose[] {
  return Array.isArray(value) ? (value as readonly Loose[]) : [];
}

export function textOf(value: Loose | undefined): string {
  return typeof value === 'string' ? value : '';
}

export function numberOf(value: Loose | undefined): number {
  return typeof value === 'number' ? value : Number.NaN;
}

export function parse(text: string): Loose {
  try {
    return JSON.parse(text) as Loose;
  } catch {
    throw new Complaint(`no JSON: ${shorten(text)}`);
  }
}

export function shorten(text: string): string {
  return text.length > 160 ? `${text.slice(0, 160)}…` : text;
}
