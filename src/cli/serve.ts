// `serve`: a model behind HTTP until Ctrl-C or SIGTERM. Opens the model, decides what is safe to listen on, and stops in
// order: no new requests, running answers get their time, then everything is closed. A second signal cuts it short.
// Logs are JSON lines on stderr, without any text of prompts or answers. Next: server/app.ts.

import { hostname } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { parameterCounts, typeHistogram } from '../formats/describe.ts';
import { usualTemperature } from '../formats/usual-temperature.ts';
import { open, tinyModelPath } from '../open.node.ts';
import type { OpenedModel } from '../opened-model.ts';
import { type AppOptions, createApp } from '../server/app.ts';
import { isLoopback } from '../server/guard.ts';
import { listen } from '../server/listen.node.ts';
import { readPage } from '../server/page.node.ts';
import type { ModelShelf, PageFacts } from '../server/page.ts';
import type { ModelFacts } from '../server/served-model.ts';
import { openStore } from '../server/store.node.ts';
import { MemoryStore, type ResponseStore } from '../server/store.ts';
import { choiceNotice, chooseModel } from './choose-model.ts';
import { type Context, UsageError } from './context.ts';
import { readAhead } from './read-ahead.ts';
import { stripControls } from './screen/controls.ts';
import type { ServeCommand } from './serve-arguments.ts';
import { ServedModels, type Standing } from './serve-models.ts';
import { openTools } from './tools/open-tools.ts';

export async function serve(command: ServeCommand, context: Context): Promise<void> {
  const { terminal, environment, stores, version } = context;
  const say = (text: string): void => {
    if (!command.quiet) terminal.err.write(`gptoss: ${stripControls(text)}\n`);
  };
  const apiKeys = [...command.apiKey, ...(environment.apiKey ? [environment.apiKey] : [])];
  if (!isLoopback(command.host) && apiKeys.length === 0 && !command.anonymous) {
    throw new UsageError(
      `--host ${command.host} can be reached from other machines and no key is set; expected --api-key KEY (or GPTOSS_API_KEY); --anonymous allows everybody`,
    );
  }
  const level = command.logLevel ?? (command.quiet ? 'error' : terminal.err.isTerminal ? 'warn' : 'info');
  const log = pino({ level, base: null }, { write: (line: string) => terminal.err.write(line) });
  const choice = chooseModel(command.model, stores);
  const notice = choiceNotice(choice);
  if (notice !== null) say(notice);
  // Nobody sits here who could be asked: what no list allows is denied.
  const tools = await openTools(command, context, null);
  const store = await openResponses(command, stores.home, say);
  let served: ServedModels | null = null;
  const stand = async (path: string): Promise<Standing> => {
    const model = await openServed(path, command, environment.isa ?? undefined, (problem) =>
      log.warn({ problem }, 'the cache folder'),
    );
    for (const each of model.notices) say(each);
    // Meanwhile requests are answered; on a machine with room for the model they wait for no single page for long.
    readAhead(model, context, { quiet: true, say }).catch(() => undefined); // closed or stopped before it was all there
    const name = hostname().toLowerCase();
    const isTiny = path === tinyModelPath;
    const app = createApp({
      model,
      facts: factsOf(model),
      aliases: command.modelAlias,
      isStrict: command.strictModel,
      hosts: [name, `${name}.local`, 'host.docker.internal', ...command.allowedHost],
      origins: command.corsOrigin,
      apiKeys,
      defaults: { temperature: usualTemperature(model.checkpoint.metadata), effort: command.reasoning },
      ...(command.maxBody === undefined ? {} : { limits: { maxBytes: command.maxBody * 2 ** 20 } }),
      ...(tools === null ? {} : { hosted: tools }),
      store,
      log,
      version,
      page: pageOf({ isTiny, tools: tools?.names ?? [] }, command.host, () => served!),
    });
    return {
      path,
      app,
      name: model.name,
      about: `context ${model.engine.context}, ${model.description}`,
      close: () => model.close(),
    };
  };
  try {
    const first = await stand(choice.path);
    served = new ServedModels(first, stand, context, command.grace * 1000);
    const listening = await listen(served, command);
    const address = listening.host.includes(':') ? `[${listening.host}]` : listening.host;
    const url = `http://${address}:${listening.port}`;
    // Data, for programs that start the server: they wait for this line.
    terminal.out.write(`${url}\n`);
    say(`${first.name} on ${url}, ${first.about}; Ctrl-C stops`);
    served.prepare().catch(() => undefined); // the first request that needs it sees the error
    await untilToldToStop(context, (isFirst) => {
      if (isFirst) say(`stopping; running answers have ${command.grace} s, a second Ctrl-C cuts them`);
      return listening.stop(command.grace * 1000);
    });
  } finally {
    store.close();
    await served?.close();
    await tools?.close();
  }
}

/** The model as the command line wants it served. */
function openServed(
  path: string,
  command: ServeCommand,
  isa: string | undefined,
  onProblem: (message: string) => void,
): Promise<OpenedModel> {
  const { backend, precision, kv, weights, threads, context, prefillShare, speculation, cacheDir, cacheDirSize } =
    command;
  return open(path, {
    ...{ backend, precision, kv, weights, threads, context, isa, speculation },
    maxSequences: command.maxConcurrency ?? 8,
    maxQueue: command.maxQueue,
    ...(cacheDir === undefined ? {} : { cacheDir }),
    ...(cacheDirSize === undefined ? {} : { cacheDirBytes: cacheDirSize * 2 ** 30 }),
    onProblem: ({ message }) => onProblem(message),
    ...(prefillShare === undefined ? {} : { promptShare: prefillShare / 100 }),
  });
}

/** The chat page, where it was built; it may change the model only for who sits at this machine. */
function pageOf(facts: PageFacts, host: string, shelf: () => ServedModels): AppOptions['page'] {
  // Beside dist/cli, or (when the sources run) in dist.
  const folders = ['../page', '../../dist/page'].map((path) => fileURLToPath(new URL(path, import.meta.url)));
  const files = readPage(folders[0]!) ?? readPage(folders[1]!);
  if (files === null) return undefined;
  return { files, facts, ...(isLoopback(host) ? { shelf: lazyShelf(shelf) } : {}) };
}

/** The shelf comes to be after the first app. */
function lazyShelf(shelf: () => ServedModels): ModelShelf {
  return {
    list: () => shelf().list(),
    use: (name) => shelf().use(name),
    pull: (name, signal) => shelf().pull(name, signal),
  };
}

/** The file that was named has to work; the usual one is given up where it cannot, e.g. on a read-only disk. */
async function openResponses(
  { store }: ServeCommand,
  home: string,
  say: (text: string) => void,
): Promise<ResponseStore> {
  if (store === 'memory') return new MemoryStore();
  if (store !== undefined) return openStore(store);
  try {
    return await openStore(join(home, 'responses.db'));
  } catch (error) {
    say(`responses are kept in memory only: ${error instanceof Error ? error.message : String(error)}`);
    return new MemoryStore();
  }
}

/** Resolves when the server has stopped after a signal. */
function untilToldToStop(context: Context, stop: (isFirst: boolean) => Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    let count = 0;
    const onSignal = (): void => {
      stop(count++ === 0).then(resolve, reject);
    };
    context.takeInterrupts(onSignal);
    process.on('SIGTERM', onSignal);
    context.signal.addEventListener('abort', onSignal, { once: true });
    if (context.signal.aborted) onSignal();
  });
}

function factsOf({ config, checkpoint }: OpenedModel): ModelFacts {
  const sizeBytes = checkpoint.entries.reduce((sum, { length }) => sum + length, 0);
  return {
    parameters: parameterCounts(config).total,
    sizeBytes,
    quantization: typeHistogram(checkpoint.entries)[0]?.type,
    layers: config.layers,
    hidden: config.hidden,
    heads: config.heads,
    kvHeads: config.kvHeads,
    experts: config.experts,
    expertsPerToken: config.expertsPerToken,
    maxContext: config.maxContext,
    chatTemplate: checkpoint.chatTemplate,
  };
}
