// Owns: the chat page's files as answers, under a policy that lets the page load nothing but itself, and what the page asks of the
// server beside answers: what runs here, and (where the server may change it) the models of this machine.
// Refuses: to read disks; page.node.ts brings the files, whoever starts the server brings the shelf. Next: app.ts.

import { z } from 'zod';
import { GptOssError, isGptOssError } from '../errors.ts';
import { checked, quote } from './body.ts';
import type { HostedTools } from './hosted-tools.ts';
import type { Serving, Visit } from './serving.ts';
import { invalid, problemOf } from './wire.ts';

export interface PageFile {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly type: string;
  /** Its name changes with its content. */
  readonly isImmutable: boolean;
}

/** By path, `/` and `/assets/…`. */
export type PageFiles = ReadonlyMap<string, PageFile>;

export interface ShelfRow {
  /** What `use` and `pull` take. */
  readonly name: string;
  readonly title: string;
  readonly sizeBytes: number;
  readonly state: 'in-use' | 'ready' | 'broken' | 'not-here';
  /** Where it lies, or what is wrong with it. */
  readonly note: string;
  readonly fit: {
    readonly fits: boolean;
    readonly memoryBytes: number;
    /** Tokens per second, forecast. */
    readonly decode: number | null;
    readonly prompt: number | null;
  } | null;
}

export interface PullProgress {
  readonly done: number;
  readonly total: number;
  readonly bytesPerSecond: number;
}

/** The models of this machine, for a page that may choose among them. */
export interface ModelShelf {
  list(): Promise<readonly ShelfRow[]>;
  /** Resolves when the model answers; throws when it cannot be opened, and then the old one still does. */
  use(name: string): Promise<void>;
  /** Fetches a published model; ends when it is complete. */
  pull(name: string, signal: AbortSignal): AsyncIterable<PullProgress>;
}

export interface PageFacts {
  /** The model that comes with the package: the page says what it can do. */
  readonly isTiny: boolean;
  /** Tools that this server runs itself. */
  readonly tools: readonly string[];
}

/** The page loads itself and nothing else; HTML is made in one place, which cleans it. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data: blob:",
  "font-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  'trusted-types dompurify',
].join('; ');

export function pageResponse(file: PageFile): Response {
  return new Response(file.bytes, {
    headers: {
      'content-type': file.type,
      'cache-control': file.isImmutable ? 'public, max-age=31536000, immutable' : 'no-cache',
      'content-security-policy': policy,
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-resource-policy': 'same-origin',
      'permissions-policy': 'camera=(), microphone=(), geolocation=(), payment=()',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
    },
  });
}

/** Whether a browser asks for a page: clients that look for an API do not name HTML. */
export function wantsPage(request: Request): boolean {
  return request.method === 'GET' && (request.headers.get('accept') ?? '').includes('text/html');
}

export function pageInfo(
  { model, version, defaultTemperature }: Serving,
  facts: PageFacts,
  hasModels: boolean,
): Response {
  const { name, engine } = model;
  return Response.json({
    ...{ version, model: name, context: engine.context, temperature: defaultTemperature, hasModels },
    ...facts,
  });
}

/** What a citation leads to that no browser opens: lines of text, for the page to show as text. */
export async function citedDocument(hosted: HostedTools | null, url: string | null): Promise<Response> {
  const document = url === null || url.length > 4096 ? null : ((await hosted?.document?.(url)) ?? null);
  if (document !== null) return Response.json(document, { headers: { 'cache-control': 'no-store' } });
  const found = `there is no document ${quote(JSON.stringify(url))}`;
  throw new GptOssError('not-found', `${found}; expected one of the pages this server was started with; search again`);
}

const wantedConversation = z.object({ conversation_key: z.string().min(1).max(256) });

/** A conversation was deleted: so is what its tools remember. */
export async function forgetConversation({ answerer }: Serving, visit: Visit, body: unknown): Promise<Response> {
  const { conversation_key: key } = checked(wantedConversation, body);
  return Response.json({ forgotten: await answerer.sessions.end(visit.owner, `key:${key}`) });
}

const wantedModel = z.object({ model: z.string().min(1).max(1000) });

export async function listShelf(shelf: ModelShelf): Promise<Response> {
  return Response.json({ models: await shelf.list() });
}

export async function useModel(shelf: ModelShelf, body: unknown): Promise<Response> {
  const name = nameIn(body);
  try {
    await shelf.use(name);
  } catch (error) {
    // Who may change the model owns this machine: the reason is theirs to read.
    throw isGptOssError(error) ? invalid(error.message, 'model', 'model_not_opened') : error;
  }
  return Response.json({ model: name });
}

/** Progress as lines of JSON; when the client leaves, the download stops, to go on another time. */
export function pullModel(serving: Serving, visit: Visit, shelf: ModelShelf, body: unknown): Response {
  const name = nameIn(body);
  visit.isStreamed = true;
  const encoder = new TextEncoder();
  const lines = async function* (): AsyncGenerator<unknown> {
    try {
      for await (const progress of shelf.pull(name, visit.signal)) yield { type: 'progress', ...progress };
      yield { type: 'done' };
    } catch (error) {
      const message = isGptOssError(error) ? error.message : problemOf(error).message;
      serving.log.warn({ request: visit.id, error: String(error) }, 'a download failed');
      yield { type: 'error', message };
    }
  };
  const source = lines();
  const stream = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await source.next();
      if (done) {
        controller.close();
        visit.done();
      } else controller.enqueue(encoder.encode(`${JSON.stringify(value)}\n`));
    },
    cancel() {
      visit.leave();
      visit.done();
    },
  });
  return new Response(stream, { headers: { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' } });
}

function nameIn(body: unknown): string {
  const read = wantedModel.safeParse(body);
  if (read.success) return read.data.model;
  throw invalid(`the body is ${quote(JSON.stringify(body) ?? '')}; expected {"model": NAME}; name one`, 'model');
}
