// Owns: Request -> Response. Routes, the checks every request passes (host, origin, key), one `Visit` for each, and the
// one place where an error becomes an answer. Runs wherever there is `fetch`; listen.node.ts puts a socket under it.
// Refuses: to know any dialect; each has its file. Next: chat-completions.ts, then generation.ts.

import { OpenAPIHono } from '@hono/zod-openapi';
import type { Context } from 'hono';
import type { Answer } from './answer.ts';
import { countTokens, messages } from './anthropic.ts';
import { type BodyLimits, quote, readJson } from './body.ts';
import { chatCompletions } from './chat-completions.ts';
import { completions } from './completions.ts';
import { containerFile, containerFileContent, deleteContainer, listContainerFiles } from './containers.ts';
import type { EventStreamOptions } from './event-stream.ts';
import { Answerer, type AnswererOptions } from './generation.ts';
import { corsHeaders, Guard, type GuardOptions, preflight } from './guard.ts';
import { newId } from './ids.ts';
import { applyTemplate, detokenize, tokenize } from './llama-cpp.ts';
import { Metrics } from './metrics.ts';
import { listModels, retrieveModel } from './models.ts';
import { ollamaChat, ollamaGenerate, ollamaVersion } from './ollama.ts';
import { ollamaPull, ollamaRunning, ollamaShow, ollamaTags } from './ollama-models.ts';
import { describeRoutes } from './openapi.ts';
import {
  citedDocument,
  forgetConversation,
  listShelf,
  type ModelShelf,
  type PageFacts,
  type PageFiles,
  pageInfo,
  pageResponse,
  pullModel,
  useModel,
  wantsPage,
} from './page.ts';
import { cancelResponse, createResponse, deleteResponse, listInputItems, retrieveResponse } from './responses.ts';
import { RunningResponses } from './running-responses.ts';
import type { ModelFacts, ServedModel } from './served-model.ts';
import type { Log, Serving, Visit } from './serving.ts';
import { MemoryStore, type ResponseStore } from './store.ts';
import { type Dialect, errorResponse, problemOf, refused } from './wire.ts';

export interface AppOptions extends GuardOptions, Pick<AnswererOptions, 'defaults' | 'hosted' | 'sessions'> {
  readonly model: ServedModel;
  readonly facts?: ModelFacts;
  /** Other names of the model. */
  readonly aliases?: readonly string[];
  /** Refuse requests that name another model. */
  readonly isStrict?: boolean;
  readonly limits?: Partial<BodyLimits>;
  readonly streams?: EventStreamOptions;
  /** Default: in memory. Closed by whoever made it. */
  readonly store?: ResponseStore;
  readonly log?: Log;
  readonly version?: string;
  /** The chat page at `/`; absent: none. */
  readonly page?: { readonly files: PageFiles; readonly facts: PageFacts; readonly shelf?: ModelShelf };
}

export interface App {
  /** Builds what forms of answers need, a fifth of a second's work in two pieces; without it the first one waits. */
  prepare(): Promise<void>;
  fetch(request: Request, env?: unknown): Promise<Response>;
  /** Requests that are being answered. */
  readonly visits: number;
  /** From now on new requests are turned away; resolves when the last answer is complete. */
  drain(): Promise<void>;
  /** Ends all answers where they are, and what tools kept. */
  stop(): void;
}

const silent: Log = { info: () => undefined, warn: () => undefined, error: () => undefined };

/** Need no key: what watches over processes has none. */
const openPaths: ReadonlySet<string> = new Set(['/healthz', '/readyz', '/health']);

interface Variables {
  readonly visit: Visit;
}

type Handler = (context: Context<{ Variables: Variables }>, visit: Visit) => Response | Promise<Response>;

export function createApp(options: AppOptions): App {
  const { model, page } = options;
  const log = options.log ?? silent;
  const metrics = new Metrics();
  const { temperature = 1, effort = 'medium' } = options.defaults ?? {};
  const serving: Serving = {
    model,
    facts: options.facts ?? {},
    answerer: new Answerer(model, {
      defaults: { temperature, effort },
      hosted: options.hosted,
      ...(options.sessions === undefined ? {} : { sessions: options.sessions }),
      onAnswer: (answer, { id }) => {
        metrics.answered(answer);
        log.info({ request: id, ...figuresOf(answer) }, 'answer');
      },
    }),
    store: options.store ?? new MemoryStore(),
    running: new RunningResponses(),
    metrics,
    hosted: options.hosted?.names ?? [],
    defaultTemperature: temperature,
    defaultEffort: effort,
    enter: (owner) => enter(owner),
    names: [...new Set([model.name, ...(options.aliases ?? [])])],
    isStrict: options.isStrict ?? false,
    limits: { maxBytes: maxBytesFor(model.engine.context), maxDepth: 128, ...options.limits },
    streams: options.streams ?? {},
    log,
    version: options.version ?? '0',
    startedAt: new Date(),
  };
  const guard = new Guard(options);
  const visits = new Set<Visit>();
  let isDraining = false;
  let isStopped = false;
  let onEmpty: (() => void) | null = null;

  const app = new OpenAPIHono<{ Variables: Variables }>();
  app.notFound((c) => {
    const { method, path } = c.req;
    const methods = methodsOf(app.routes, path);
    const problem =
      methods.length > 0
        ? refused(
            'wrong-method',
            `${path} does not take ${method}; expected ${methods.join(' or ')}; change the method`,
          )
        : refused('no-route', `${method} ${quote(path)} is no route; expected one of /openapi.json; check the address`);
    const response = errorResponse(problem, dialectOf(c));
    if (methods.length > 0) response.headers.set('allow', methods.join(', '));
    return response;
  });
  app.onError((error, c) => {
    const visit = c.get('visit') as Visit | undefined;
    const hasLeft = visit?.signal.aborted === true; // or the server stops
    visit?.leave();
    if (problemOf(error).isOurs && !hasLeft)
      log.error({ request: visit?.id, error: error.stack ?? String(error) }, 'a request failed');
    return errorResponse(error, dialectOf(c));
  });

  app.use('*', async (c, next) => {
    const { headers } = c.req.raw;
    const host = headers.get('host') ?? new URL(c.req.url).host;
    guard.checkHost(host);
    const origin = guard.checkOrigin(headers.get('origin'), host);
    if (c.req.method === 'OPTIONS' && origin !== null) return preflight(c.req.raw, origin);
    await next();
    // Errors, too, have to be readable for a page that may call.
    for (const [name, value] of Object.entries(corsHeaders(origin))) c.res.headers.set(name, value);
  });

  app.use('*', async (c, next) => {
    const start = performance.now();
    const isOpen = openPaths.has(c.req.path) || page?.files.has(c.req.path) === true;
    const key = isOpen ? null : guard.checkKey(c.req.raw.headers);
    if (isDraining && !isOpen) {
      throw refused('unavailable', 'the server is stopping; expected it to run on; send the request again later');
    }
    const visit = enter(key ?? `address-${addressOf(c.env) ?? ''}`, c.req.raw.signal);
    c.set('visit', visit);
    await next();
    c.res.headers.set('x-request-id', visit.id);
    if (!visit.isStreamed) visit.done();
    const fields = { request: visit.id, method: c.req.method, path: c.req.path, status: c.res.status };
    log.info({ ...fields, ms: Math.round(performance.now() - start) }, 'request');
  });

  function enter(owner: string, client?: AbortSignal): Visit {
    const controllers = [new AbortController()];
    const leave = (): void => {
      for (const controller of controllers) controller.abort();
    };
    client?.addEventListener('abort', leave, { once: true });
    const visit: Visit = {
      id: newId('req'),
      owner,
      signal: controllers[0]!.signal,
      fork: () => {
        const controller = new AbortController();
        if (controllers[0]!.signal.aborted) controller.abort();
        controllers.push(controller);
        return controller.signal;
      },
      leave,
      isStreamed: false,
      done: () => {
        client?.removeEventListener('abort', leave);
        visits.delete(visit);
        if (visits.size === 0) onEmpty?.();
      },
    };
    visits.add(visit);
    if (isStopped) leave();
    return visit;
  }

  const get = (path: string, handler: Handler): void => {
    app.get(path, (c) => handler(c, c.get('visit')));
  };
  const post = (path: string, handler: (body: unknown, visit: Visit) => Response | Promise<Response>): void => {
    const isLenient = !path.startsWith('/v1/');
    app.post(path, async (c) => handler(await readJson(c.req.raw, serving.limits, isLenient), c.get('visit')));
  };

  describeRoutes(app, serving.version);
  get('/healthz', () => Response.json({ status: 'ok' }));
  get('/health', () => Response.json({ status: 'ok' })); // llama.cpp's name
  get('/readyz', () =>
    Response.json({ status: isDraining ? 'stopping' : 'ready' }, { status: isDraining ? 503 : 200 }),
  );
  get('/v1/models', () => listModels(serving));
  get('/v1/models/:name{.+}', (c) => retrieveModel(serving, c.req.param('name')!));
  post('/v1/chat/completions', (body, visit) => chatCompletions(serving, visit, body));
  post('/v1/responses', (body, visit) => createResponse(serving, visit, body));
  get('/v1/responses/:id', (c, visit) => retrieveResponse(serving, visit, c.req.param('id')!, queryOf(c)));
  app.delete('/v1/responses/:id', (c) => deleteResponse(serving, c.get('visit'), c.req.param('id')));
  app.post('/v1/responses/:id/cancel', (c) => cancelResponse(serving, c.get('visit'), c.req.param('id')));
  get('/v1/responses/:id/input_items', (c, visit) => listInputItems(serving, visit, c.req.param('id')!, queryOf(c)));
  app.delete('/v1/containers/:id', (c) => deleteContainer(serving, c.get('visit'), c.req.param('id')));
  get('/v1/containers/:id/files', (c, visit) => listContainerFiles(serving, visit, c.req.param('id')!));
  const file = (read: typeof containerFile) => (c: Context, visit: Visit) =>
    read(serving, visit, c.req.param('id')!, c.req.param('file')!);
  get('/v1/containers/:id/files/:file', file(containerFile));
  get('/v1/containers/:id/files/:file/content', file(containerFileContent));
  get('/metrics', () => {
    const text = metrics.text(model.engine.stats(), visits.size);
    return new Response(text, { headers: { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' } });
  });
  post('/v1/completions', (body, visit) => completions(serving, visit, body));
  post('/v1/messages', (body, visit) => messages(serving, visit, body));
  post('/v1/messages/count_tokens', (body, visit) => countTokens(serving, visit, body));
  get('/', (c) => {
    const index = page?.files.get('/');
    if (index !== undefined && wantsPage(c.req.raw)) return pageResponse(index);
    return new Response('Ollama is running'); // the words that Ollama's clients look for; HEAD comes here, too
  });
  if (page !== undefined) {
    const { files, facts, shelf } = page;
    for (const [path, file] of files) if (path !== '/') get(path, () => pageResponse(file));
    get('/page/info', () => pageInfo(serving, facts, shelf !== undefined));
    get('/page/document', (c) => citedDocument(options.hosted ?? null, queryOf(c).get('url')));
    post('/page/forget', (body, visit) => forgetConversation(serving, visit, body));
    if (shelf !== undefined) {
      get('/page/models', () => listShelf(shelf));
      post('/page/models/use', (body) => useModel(shelf, body));
      post('/page/models/pull', (body, visit) => pullModel(serving, visit, shelf, body));
    }
  }
  get('/api/version', () => Response.json({ version: ollamaVersion, gptoss: serving.version }));
  get('/api/tags', () => ollamaTags(serving));
  get('/api/ps', () => ollamaRunning(serving));
  post('/api/show', (body) => ollamaShow(serving, body));
  post('/api/pull', (body) => ollamaPull(serving, body));
  post('/api/chat', (body, visit) => ollamaChat(serving, visit, body));
  post('/api/generate', (body, visit) => ollamaGenerate(serving, visit, body));
  post('/tokenize', (body) => tokenize(serving, body));
  post('/detokenize', (body) => detokenize(serving, body));
  post('/apply-template', (body, visit) => applyTemplate(serving, visit, body));
  for (const path of ['/v1/embeddings', '/api/embed', '/api/embeddings']) {
    post(path, () => {
      throw refused('no-route', 'gpt-oss makes no embeddings; expected a model that does; use an embedding model');
    });
  }

  return {
    prepare: () => serving.answerer.steerer.prepare(),
    fetch: async (request, env) => {
      const response = await app.fetch(request, env as object | undefined);
      metrics.responded(response.status);
      return response;
    },
    get visits() {
      return visits.size;
    },
    drain: () => {
      isDraining = true;
      return new Promise((resolve) => {
        onEmpty = resolve;
        if (visits.size === 0) resolve();
      });
    },
    stop: () => {
      isStopped = true;
      for (const visit of [...visits]) visit.leave();
      void serving.answerer.sessions.close();
    },
  };
}

/** Methods of the routes that a path would have. */
function methodsOf(routes: readonly { readonly method: string; readonly path: string }[], path: string): string[] {
  const methods = routes
    .filter((route) => route.method !== 'ALL' && patternOf(route.path).test(path))
    .map(({ method }) => method);
  return [...new Set(methods)];
}

function patternOf(path: string): RegExp {
  return new RegExp(`^${path.replace(/:name\{\.\+\}/, '.+').replace(/:\w+/g, '[^/]+')}$`);
}

/** A token is four bytes on average, its JSON a few more, and clients send fields nobody reads. */
function maxBytesFor(context: number): number {
  return Math.min(32 * 2 ** 20, Math.max(4 * 2 ** 20, context * 64));
}

/** What an answer cost, for the log. */
function figuresOf({ finish, ended, usage, timings }: Answer): Readonly<Record<string, unknown>> {
  const { queueMs, firstTokenMs, decodeMs } = timings;
  const milliseconds = { queue: queueMs, firstToken: firstTokenMs, decode: decodeMs };
  return {
    finish,
    ended,
    ...usage,
    ms: Object.fromEntries(Object.entries(milliseconds).map(([name, ms]) => [name, Math.round(ms)])),
  };
}

function queryOf(c: Context): URLSearchParams {
  return new URL(c.req.url).searchParams;
}

function dialectOf(c: Context): Dialect {
  if (c.req.path.startsWith('/v1/messages')) return 'anthropic';
  return c.req.path.startsWith('/api/') ? 'ollama' : 'openai';
}

/** The peer's address, where a socket is known. */
function addressOf(env: unknown): string | undefined {
  const bindings = env as { incoming?: { socket?: { remoteAddress?: string } } } | undefined;
  return bindings?.incoming?.socket?.remoteAddress;
}
