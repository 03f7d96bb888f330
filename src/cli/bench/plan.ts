// `bench --plan JSON`: one process, one model, a list of measurements, one JSON line for each as soon as it is known. The
// same list goes to the peer's process (bench/peers/llama-cpp/peer.mjs); versus.ts runs the two in turn.

import { monitorEventLoopDelay } from 'node:perf_hooks';
import { GptOssError } from '../../errors.ts';
import { openCheckpoint } from '../../formats/checkpoint.node.ts';
import { memoryNeed } from '../../formats/describe.ts';
import { open } from '../../open.node.ts';
import type { OpenedModel } from '../../opened-model.ts';
import type { BenchCommand } from '../arguments.ts';
import type { Context } from '../context.ts';
import { MemoryWatch } from '../machine.ts';
import { deviceOf, fileReadSpeed } from './device.ts';

export type PlanItem =
  | { readonly kind: 'start' }
  // `state`, the peer's: where prompts are kept, but for the number of their tokens.
  | { readonly kind: 'prefill'; readonly tokens: number; readonly state?: string }
  | { readonly kind: 'decode'; readonly after: number; readonly tokens: number; readonly state?: string }
  | { readonly kind: 'batch'; readonly sequences: number; readonly tokens: number }
  | { readonly kind: 'ceilings' };

export interface PlanSpec {
  readonly model: string;
  readonly threads: number;
  readonly context: number;
  readonly plan: readonly PlanItem[];
}

/** What both sides print. */
export interface PlanRow {
  readonly kind: string;
  readonly ms?: number;
  readonly tokens_per_second?: number;
  readonly tokens?: number;
  readonly after?: number;
  readonly memory_bytes?: number;
  readonly [key: string]: unknown;
}

/** Ids from a fixed generator, away from special tokens: the peer draws the same. */
function prompt(count: number, seed = 1): Int32Array {
  let state = seed >>> 0;
  return Int32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return 1000 + (state % 100_000);
  });
}

const GREEDY = { temperature: 0, stopIds: [] as readonly number[] };

export async function runPlan(command: BenchCommand, { terminal, environment, signal }: Context): Promise<void> {
  const spec = JSON.parse(command.plan ?? '') as PlanSpec;
  const memory = new MemoryWatch();
  const print = (row: PlanRow): void => {
    memory.sample();
    terminal.out.write(`${JSON.stringify({ ...row, memory_bytes: memory.peakBytes })}\n`);
  };
  const model = await open(spec.model, {
    threads: spec.threads,
    context: spec.context,
    isa: environment.isa ?? undefined,
    precision: command.precision,
    kv: command.kv,
    speculation: false, // each token is computed on its own on both sides
    maxSequences: Math.max(1, ...spec.plan.map((item) => (item.kind === 'batch' ? item.sequences : 1))),
  });
  try {
    print({ kind: 'load', ms: performance.now(), variant: model.description });
    const timer = monitorEventLoopDelay({ resolution: 1 });
    for (const item of spec.plan) {
      timer.reset();
      timer.enable();
      const row = await measure(item, model, signal, spec);
      timer.disable();
      print(item.kind === 'ceilings' ? row : { ...row, timer_p99_ms: timer.percentile(99) / 1e6 });
    }
  } finally {
    memory.stop();
    await model.close();
  }
}

async function measure(item: PlanItem, model: OpenedModel, signal: AbortSignal, spec: PlanSpec): Promise<PlanRow> {
  const { engine } = model;
  // What a long row goes on from is what the one before it has read.
  const isGoingOn = item.kind === 'ceilings' || (item.kind === 'decode' && item.state !== undefined);
  if (!isGoingOn) engine.forget();
  switch (item.kind) {
    case 'start': {
      // performance.now() counts from the start of the process.
      await engine.generate(prompt(16), { ...GREEDY, maxTokens: 1, signal }).result;
      return { kind: 'start', ms: performance.now() };
    }
    case 'prefill': {
      const { timings, usage } = await engine.generate(prompt(item.tokens), { ...GREEDY, maxTokens: 1, signal }).result;
      if (usage.cachedTokens > 0)
        throw new GptOssError(
          'internal',
          `${usage.cachedTokens} tokens were kept from before; expected none; report this`,
        );
      return { ...item, ms: timings.promptMs, tokens_per_second: (item.tokens * 1000) / timings.promptMs };
    }
    case 'decode': {
      const { timings, usage } = await engine.generate(prompt(item.after), {
        ...GREEDY,
        maxTokens: item.tokens + 1,
        signal,
      }).result;
      const count = usage.completionTokens - 1;
      return { ...item, tokens: count, ms: timings.decodeMs, tokens_per_second: (count * 1000) / timings.decodeMs };
    }
    case 'batch': {
      let waiting = item.sequences;
      let begin = 0;
      let tokens = 0;
      const runs = Array.from({ length: item.sequences }, async (_, i) => {
        let isFirst = true;
        for await (const _token of engine.generate(prompt(16, i + 2), {
          ...GREEDY,
          maxTokens: item.tokens + 1,
          signal,
        })) {
          if (isFirst && --waiting === 0)
            begin = performance.now(); // all prompts are read
          else if (waiting === 0) tokens++;
          isFirst = false;
        }
      });
      await Promise.all(runs);
      const ms = performance.now() - begin;
      return { ...item, tokens, ms, tokens_per_second: (tokens * 1000) / ms };
    }
    case 'ceilings':
      return ceilings(model, spec);
  }
}

/** What the machine can do at best, and what a token needs. */
async function ceilings(model: OpenedModel, spec: PlanSpec): Promise<PlanRow> {
  const device = deviceOf(model);
  if (device === null) {
    throw new GptOssError(
      'unsupported-device',
      'the comparison needs the native kernels; expected them to be built; see `gptoss doctor`',
    );
  }
  const rate = async (kind: 'read' | 'int8'): Promise<number> =>
    Math.max(await device.probe(kind), await device.probe(kind));
  const checkpoint = openCheckpoint(spec.model);
  const { weights, weightsPerToken } = memoryNeed(checkpoint, 1, 'f16');
  checkpoint.close();
  return {
    kind: 'ceilings',
    read: await fileReadSpeed(device), // the weights' own memory, as it is now
    read_elsewhere: await rate('read'),
    int8: await rate('int8'),
    weights,
    weights_per_token: weightsPerToken,
  };
}
