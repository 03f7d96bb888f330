// Owns: which model `serve` answers with, while it runs. The page may list what lies on this machine, change to another
// model (the new one is opened first, so a model that cannot be opened costs nothing; answers that run are finished by the old
// one), and fetch a published one. Only on a loopback address: whoever can reach it there owns the machine.
// Refuses: to fetch anything but the two published models. Next: server/page.ts, hub/commands in hub/.

import { GptOssError } from '../errors.ts';
import { openCheckpoint } from '../formats/checkpoint.node.ts';
import type { ModelConfig } from '../formats/config.ts';
import { memoryNeed } from '../formats/describe.ts';
import { publishedModels } from '../formats/published.ts';
import { findModels } from '../hub/find.ts';
import { fitModel, type MachineFacts, publishedSizes, type WeightSizes } from '../hub/fit.ts';
import { parseWanted } from '../hub/plan.ts';
import { pull } from '../hub/pull.ts';
import { resolveModel } from '../hub/resolve.ts';
import { tinyModelPath } from '../open.node.ts';
import type { App } from '../server/app.ts';
import type { ModelShelf, PullProgress, ShelfRow } from '../server/page.ts';
import type { Context } from './context.ts';
import { machineFacts } from './hub/fit.ts';

/** A model with an app of its own. */
export interface Standing {
  readonly path: string;
  readonly app: App;
  readonly name: string;
  readonly about: string;
  close(): Promise<void>;
}

const FIT_CONTEXT = 8192;

/** One address, one model at a time. */
export class ServedModels implements App, ModelShelf {
  #now: Standing;
  readonly #open: (path: string) => Promise<Standing>;
  readonly #context: Context;
  readonly #graceMs: number;
  readonly #leaving = new Set<Promise<void>>();
  #isBusy = false;
  #facts: Promise<MachineFacts> | null = null;

  constructor(first: Standing, open: (path: string) => Promise<Standing>, context: Context, graceMs: number) {
    this.#now = first;
    this.#open = open;
    this.#context = context;
    this.#graceMs = graceMs;
  }

  readonly fetch = (request: Request, env?: unknown): Promise<Response> => this.#now.app.fetch(request, env);

  prepare(): Promise<void> {
    return this.#now.app.prepare();
  }

  get visits(): number {
    return this.#now.app.visits;
  }

  async drain(): Promise<void> {
    await Promise.all([this.#now.app.drain(), ...this.#leaving]);
  }

  stop(): void {
    this.#now.app.stop();
  }

  async close(): Promise<void> {
    await Promise.all(this.#leaving);
    await this.#now.close();
  }

  async list(): Promise<readonly ShelfRow[]> {
    const { stores } = this.#context;
    const facts = await this.#measured();
    const found = findModels(stores);
    const rows = found.map(({ id, path, bytes, quantisation, problem }): ShelfRow => {
      const state = path === this.#now.path ? 'in-use' : problem === null ? 'ready' : 'broken';
      const fit = problem === null ? fitOf(sizesOf(path), facts) : null;
      return { name: id, title: id, sizeBytes: bytes, state, note: problem ?? quantisation, fit };
    });
    const own: ShelfRow = {
      name: 'tiny',
      title: 'tiny',
      sizeBytes: 0,
      state: this.#now.path === tinyModelPath ? 'in-use' : 'ready',
      note: 'comes with gptoss',
      fit: null,
    };
    if (!rows.some(({ state }) => state === 'in-use') && own.state !== 'in-use') {
      const { path } = this.#now;
      rows.unshift({ name: path, title: path, sizeBytes: 0, state: 'in-use', note: '', fit: null });
    }
    const published = (['gpt-oss-20b', 'gpt-oss-120b'] as const).filter(
      (name) => !found.some(({ size, problem }) => problem === null && name.endsWith(`-${size}`)),
    );
    const offers = published.map((name): ShelfRow => {
      const sizes = publishedSizes(publishedModels[name], 'gguf');
      const fit = fitOf({ config: publishedModels[name], sizes }, facts);
      const note =
        facts?.freeDisk != null && facts.freeDisk < sizes.onDisk ? 'larger than the free disk' : 'openai, GGUF';
      return { name, title: name, sizeBytes: sizes.onDisk, state: 'not-here', note, fit };
    });
    return [...rows, own, ...(stores.offline ? [] : offers)];
  }

  async use(name: string): Promise<void> {
    if (this.#isBusy)
      throw new GptOssError('overloaded', 'another model is being opened; expected one at a time; wait for it');
    this.#isBusy = true;
    try {
      const path = name === 'tiny' ? tinyModelPath : name === this.#now.path ? name : this.#known(name);
      if (path === this.#now.path) return;
      const old = this.#now;
      this.#now = await this.#open(path);
      const gone = this.#retire(old);
      this.#leaving.add(gone);
      void gone.finally(() => this.#leaving.delete(gone));
    } finally {
      this.#isBusy = false;
    }
  }

  /** Only what was found: a page names no paths. */
  #known(name: string): string {
    const found = findModels(this.#context.stores).find(({ id, problem }) => id === name && problem === null);
    if (found === undefined)
      throw new GptOssError('not-found', 'no such model is on this machine; expected one of the list; choose another');
    return resolveModel(found.id, this.#context.stores);
  }

  async #retire({ app, close }: Standing): Promise<void> {
    const late = new Promise<void>((resolve) => setTimeout(resolve, this.#graceMs).unref());
    await Promise.race([app.drain(), late]);
    app.stop();
    await close();
  }

  async *pull(name: string, signal: AbortSignal): AsyncGenerator<PullProgress> {
    if (!(name in publishedModels))
      throw new GptOssError(
        'not-found',
        'only the published models can be fetched from here; expected gpt-oss-20b or gpt-oss-120b; use `gptoss pull` for others',
      );
    let latest: PullProgress | null = null;
    let wake = (): void => undefined;
    let isOver = false;
    const startedAt = performance.now();
    let first = -1;
    const work = pull(parseWanted(name, { gguf: true }), this.#context.stores, {
      signal,
      connections: 4,
      onProgress: ({ bytes: done, total }) => {
        if (first < 0) first = done;
        const seconds = Math.max(0.5, (performance.now() - startedAt) / 1000);
        latest = { done, total, bytesPerSecond: (done - first) / seconds };
        wake();
      },
    }).finally(() => {
      isOver = true;
      wake();
    });
    work.catch(() => undefined); // told below
    while (!isOver) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
      if (latest !== null) yield latest;
      await new Promise((resolve) => setTimeout(resolve, 250)); // often enough to watch
    }
    await work;
  }

  /** Once: a few seconds of reading and multiplying. Null where there are no native kernels to measure with. */
  async #measured(): Promise<MachineFacts | null> {
    this.#facts ??= machineFacts(this.#context);
    return this.#facts.catch(() => null);
  }
}

function sizesOf(path: string): { config: ModelConfig; sizes: WeightSizes } | null {
  try {
    const checkpoint = openCheckpoint(path);
    try {
      const { weights, weightsPerToken } = memoryNeed(checkpoint, 1, 'f16');
      return { config: checkpoint.config, sizes: { onDisk: weights, perToken: weightsPerToken } };
    } finally {
      checkpoint.close();
    }
  } catch {
    return null; // it will say why when it is asked for
  }
}

function fitOf(model: { config: ModelConfig; sizes: WeightSizes } | null, facts: MachineFacts | null): ShelfRow['fit'] {
  if (model === null || facts === null) return null;
  const context = Math.min(FIT_CONTEXT, model.config.maxContext);
  const fit = fitModel(model.config, model.sizes, facts, { context, kv: 'f16' });
  return {
    fits: fit.fits === 'all',
    memoryBytes: fit.total,
    decode: fit.decodeTokensPerSecond,
    prompt: fit.prefillTokensPerSecond,
  };
}
