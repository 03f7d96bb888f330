// Who answers: a model opened in this process, with as many questions at once as wanted, or a server at a URL. Also the judge,
// which is always a server. Says what it is in words and, for going on with a run, as a key. Next: eval.ts.

import { GptOssError } from '../../errors.ts';
import { EngineAnswerer } from '../../evals/engine-answerer.ts';
import { baseUrl, type Endpoint, firstModel } from '../../evals/http.ts';
import { HttpAnswerer } from '../../evals/http-answerer.ts';
import type { Answerer } from '../../evals/task.ts';
import { openCheckpoint } from '../../formats/checkpoint.node.ts';
import { HttpClient } from '../../hub/http.ts';
import { open } from '../../open.node.ts';
import type { OpenedModel } from '../../opened-model.ts';
import { chooseModel } from '../choose-model.ts';
import type { Context } from '../context.ts';
import { describeMachine } from '../machine.ts';
import { stripControls } from '../screen/controls.ts';
import { openTools } from '../tools/open-tools.ts';
import type { EvalCommand } from './arguments.ts';

export interface OpenedAnswerer {
  readonly answerer: Answerer;
  /** Name for the folder. */
  readonly name: string;
  /** Equal for the same model and arithmetic. */
  readonly identity: string;
  readonly concurrency: number;
  /** Only for a model in this process: it, and where its weights lie. */
  readonly model: OpenedModel | null;
  readonly path: string | null;
  readonly notes: () => readonly string[];
}

/** Keys and values of so many tokens are held at once; what does not fit waits. */
const CACHE_TOKENS = 65_536;
const MOST_ENGINES = 8;

export interface Wanted {
  readonly precision: 'exact' | 'fast';
  /** Tokens of one conversation. */
  readonly context: number;
  /** A model whose every step is short: several of it run side by side, with a thread each. */
  readonly isSmall: boolean;
}

/** Another model asked as the command asks its own. */
export function openBeside(
  path: string,
  command: EvalCommand,
  context: Context,
  wanted: Wanted,
): Promise<OpenedAnswerer> {
  return openEngine({ ...command, model: path, tools: [] }, context, wanted);
}

export async function openAnswerer(command: EvalCommand, context: Context, wanted: Wanted): Promise<OpenedAnswerer> {
  return command.url === undefined ? openEngine(command, context, wanted) : openUrl(command, context, command.url);
}

async function openEngine(command: EvalCommand, context: Context, wanted: Wanted): Promise<OpenedAnswerer> {
  const choice = chooseModel(command.model, context.stores);
  const tools = await openTools(command, context, null);
  const { backend, kv, weights, threads, speculation } = command;
  const engines = wanted.isSmall && threads === undefined ? Math.min(MOST_ENGINES, coresHere()) : 1;
  const concurrency = command.concurrency ?? (wanted.isSmall ? 32 * engines : 16);
  const each = Math.ceil(concurrency / engines);
  const precision = command.precision ?? wanted.precision;
  const models: OpenedModel[] = [];
  try {
    const longest = command.context ?? Math.min(wanted.context, longestOf(choice.path));
    for (let n = 0; n < engines; n++) {
      const model = await open(choice.path, {
        ...{ backend, precision, kv, weights, speculation, isa: context.environment.isa ?? undefined },
        threads: wanted.isSmall ? (threads ?? 1) : threads,
        ...{ context: longest, maxSequences: each, maxQueue: each + 8 },
        cacheTokens: Math.min(longest * each, Math.max(longest, CACHE_TOKENS)),
      });
      models.push(model);
    }
  } catch (error) {
    await tools?.close();
    for (const model of models) await model.close();
    throw error;
  }
  const model = models[0]!;
  const answerers = models.map(
    (model) =>
      new EngineAnswerer({
        ...{ engine: model.engine, encoding: model.encoding, maxTokens: command.maxTokens },
        description: `${stripControls(model.name)} on ${model.description}`,
        conversation: ({ messages, level }, { functions, builtins }) =>
          model.conversation(messages, { reasoning: level, functions, builtins }),
        ...(tools === null ? {} : { tools: () => tools.open(), permissions: tools.permissions }),
        close: () => model.close(),
      }),
  );
  const answerer: Answerer = {
    ...spread(answerers),
    close: async () => {
      await tools?.close();
      for (const one of answerers) await one.close();
    },
  };
  return {
    ...{ answerer, model, path: choice.path, concurrency, name: stripControls(model.name) },
    identity: [model.name, model.description.split(',')[0], precision, ...arithmeticOf(command)].join(' '),
    notes: () => model.notices,
  };
}

/** What else is not as usual. */
function arithmeticOf({ kv, weights }: EvalCommand): string[] {
  return [...(kv === undefined ? [] : [`kv ${kv}`]), ...(weights === undefined ? [] : [`weights ${weights}`])];
}

function coresHere(): number {
  return describeMachine().usableCores;
}

/** Each question to the one that has the fewest. */
function spread(answerers: readonly Answerer[]): Pick<Answerer, 'description' | 'answer'> {
  const running = answerers.map(() => 0);
  return {
    description: `${answerers[0]!.description}${answerers.length > 1 ? `, ${answerers.length} side by side` : ''}`,
    async answer(question, signal) {
      const at = running.indexOf(Math.min(...running));
      running[at]!++;
      try {
        return await answerers[at]!.answer(question, signal);
      } finally {
        running[at]!--;
      }
    },
  };
}

function longestOf(path: string): number {
  const checkpoint = openCheckpoint(path);
  const { maxContext } = checkpoint.config;
  checkpoint.close();
  return maxContext;
}

async function openUrl(command: EvalCommand, context: Context, url: string): Promise<OpenedAnswerer> {
  if (command.tools.length > 0) {
    throw new GptOssError(
      'invalid-request',
      'tools run beside a model that is opened here; expected no --tools with --url; let the server have them',
    );
  }
  const endpoint = endpointOf(url, command.apiKey ?? context.environment.apiKey, command.timeout);
  const model = command.requestModel ?? (await firstModel(endpoint, context.signal));
  const { api, maxTokens, concurrency = 4 } = command;
  const answerer = new HttpAnswerer({ endpoint, model, api, maxTokens, sendsEffort: true });
  return {
    ...{ answerer, concurrency, model: null, path: null, name: stripControls(model) },
    identity: `${model} at ${endpoint.url} (${api})`,
    notes: () => [...answerer.notes],
  };
}

/** Null: no judge was named. */
export async function openJudge(command: EvalCommand, context: Context): Promise<Answerer | null> {
  const { judgeUrl, judgeModel, judgeApi, judgeApiKey, timeout } = command;
  if (judgeUrl === undefined) return null;
  const endpoint = endpointOf(judgeUrl, judgeApiKey ?? context.environment.judgeKey, timeout);
  const model = judgeModel ?? (await firstModel(endpoint, context.signal));
  return new HttpAnswerer({ endpoint, model, api: judgeApi, sendsEffort: false });
}

function endpointOf(url: string, apiKey: string | undefined, seconds: number): Endpoint {
  const base = baseUrl(url);
  // Long answers come late: silence is no failure before the time that was given.
  const client = new HttpClient({ connectMs: 10_000, stallMs: 0 });
  return { url: base, apiKey, timeoutMs: seconds * 1000, fetch: client.fetch(base, null) };
}
