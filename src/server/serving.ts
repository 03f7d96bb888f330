// What all routes share while the server runs, and what each request is to them. Types, and the way a streamed answer is
// tied to its request. Next: app.ts, which makes both.

import type { ReasoningEffort } from '../text/harmony/messages.ts';
import type { BodyLimits } from './body.ts';
import { EventStream, type EventStreamOptions } from './event-stream.ts';
import type { Answerer } from './generation.ts';
import type { Metrics } from './metrics.ts';
import type { RunningResponses } from './running-responses.ts';
import type { ModelFacts, ServedModel } from './served-model.ts';
import type { ResponseStore } from './store.ts';
import { type Dialect, errorBody, problemOf, sse } from './wire.ts';

/** Where structured log lines go; never with text of prompts or answers. */
export interface Log {
  info(fields: Readonly<Record<string, unknown>>, message: string): void;
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
  error(fields: Readonly<Record<string, unknown>>, message: string): void;
}

export interface Serving {
  readonly model: ServedModel;
  readonly facts: ModelFacts;
  readonly answerer: Answerer;
  /** The model's names: its own first. */
  readonly names: readonly string[];
  /** Whether requests that name another model are refused, instead of answered by this one. */
  readonly isStrict: boolean;
  readonly limits: BodyLimits;
  readonly streams: EventStreamOptions;
  readonly store: ResponseStore;
  readonly running: RunningResponses;
  readonly metrics: Metrics;
  /** Names of the tools that run here. */
  readonly hosted: readonly string[];
  /** What a request that says nothing gets. */
  readonly defaultTemperature: number;
  readonly defaultEffort: ReasoningEffort;
  /** A visit without a client, for what runs in the background. */
  enter(owner: string): Visit;
  readonly log: Log;
  readonly version: string;
  readonly startedAt: Date;
}

/** One request on its way. */
export interface Visit {
  readonly id: string;
  /** Who asks: a name for their API key, or their address. */
  readonly owner: string;
  /** Fires when the client has left or the server stops. */
  readonly signal: AbortSignal;
  /** Another signal that fires with it: each of many answers listens to its own. */
  fork(): AbortSignal;
  leave(): void;
  /** Its answer is still being written when the response is there. */
  isStreamed: boolean;
  /** Called when the answer is complete, streamed ones included. */
  done(): void;
}

/** An answer that is written piece by piece; an error in between becomes its last event. */
export function streamed(
  serving: Serving,
  visit: Visit,
  dialect: Dialect,
  write: (stream: EventStream) => Promise<void>,
): Response {
  visit.isStreamed = true;
  const isLines = dialect === 'ollama';
  // Lines of JSON have no comments.
  const heartbeat = isLines ? null : dialect === 'anthropic' ? sse({ type: 'ping' }, 'ping') : ': keep-alive\n\n';
  const stream = new EventStream({ heartbeat, ...serving.streams });
  stream.left.addEventListener('abort', () => visit.leave(), { once: true });
  const run = async (): Promise<void> => {
    try {
      await write(stream);
    } catch (error) {
      if (stream.left.aborted) return;
      const problem = problemOf(error);
      // A client that has left, or a server that was told to stop, is no failure.
      const isCut = visit.signal.aborted;
      if (problem.isOurs && !isCut) serving.log.error({ request: visit.id, error: String(error) }, 'an answer failed');
      const body = errorBody(problem, dialect);
      await stream.write(
        isLines ? `${JSON.stringify(body)}\n` : sse(body, dialect === 'anthropic' ? 'error' : undefined),
      );
    } finally {
      stream.end();
      // A server that stops in order waits for slow readers; one that is told to end at once does not.
      await Promise.race([stream.over, fired(visit.signal)]);
      visit.done();
    }
  };
  void run();
  return new Response(stream.body, {
    headers: {
      'content-type': isLines ? 'application/x-ndjson' : 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
    },
  });
}

function fired(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
