// `fit`: bytes on disk, memory at a context, and speed expected from a short measurement of this machine.

import { statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { openCheckpoint } from '../../formats/checkpoint.node.ts';
import type { ModelConfig } from '../../formats/config.ts';
import { memoryNeed } from '../../formats/describe.ts';
import { publishedModels } from '../../formats/published.ts';
import { fitModel, type MachineFacts, publishedSizes, reached, roundedSizes, type WeightSizes } from '../../hub/fit.ts';
import { chooseModel } from '../choose-model.ts';
import type { Context } from '../context.ts';
import { describeMachine } from '../machine.ts';
import { measureMachine } from '../measure-machine.ts';
import { safeJson } from '../screen/controls.ts';
import { bytes, table } from '../screen/table.ts';
import { styled } from '../terminal.ts';
import type { FitCommand } from './arguments.ts';

export async function fit(command: FitCommand, context: Context): Promise<void> {
  const { out } = context.terminal;
  const subject = subjectOf(command, context);
  const facts = await measure(command, context);
  const tokens = Math.min(command.context ?? 8192, subject.config.maxContext);
  const kv = command.kv ?? 'f16';
  const result = fitModel(subject.config, subject.sizes, facts, { context: tokens, kv });
  if (command.json) {
    out.write(
      `${safeJson({ model: subject.name, source: subject.source, context: tokens, kv, machine: facts, assumed: reached, ...result })}\n`,
    );
    return;
  }
  const verdict = {
    all: `yes: ${bytes(result.total)} of ${bytes(facts.memory)}`,
    paging: `only partly: ${bytes(result.total)} wanted, ${bytes(facts.memory)} there; experts will come from disk again and again, much slower than below`,
    no: `no: even one token needs ${bytes(subject.sizes.perToken + result.cache + result.working)}; ${bytes(facts.memory)} there`,
  }[result.fits];
  const rate = (value: number): string => `about ${value >= 20 ? value.toFixed(0) : value.toFixed(1)} tokens/s`;
  out.write(`${styled(out, `${subject.name} (${subject.source})`, 'bold')}\n`);
  out.write(
    `${table([
      ['on disk', bytes(result.weights)],
      ...(facts.freeDisk === null || subject.isLocal
        ? []
        : [['free disk', `${bytes(facts.freeDisk)}${result.enoughDisk ? '' : ': not enough'}`]]),
      [
        'weights in memory',
        `${bytes(result.weights + (subject.sizes.copies ?? 0))}, of which a token reads ${bytes(subject.sizes.perToken)}`,
      ],
      [`KV cache, ${tokens} tokens`, `${bytes(result.cache)} (${kv})`],
      ['working memory', bytes(result.working)],
      ['fits', verdict],
      ['reading a prompt', rate(result.prefillTokensPerSecond)],
      [
        'answering',
        `${rate(result.decodeTokensPerSecond)}; ${rate(result.decodeAtContext)} with ${tokens} tokens behind it`,
      ],
    ])}\n`,
  );
  out.write(
    `\nMeasured just now: ${bytes(facts.readBytesPerSecond)}/s read from memory, ${(facts.multiplyAddsPerSecond / 1e9).toFixed(0)} billion multiply-adds/s. ` +
      `Assumed: the kernels reach ${Math.round(reached.read * 100)} % of the first and ${Math.round(reached.multiplyAdd * 100)} % of the second, and nothing else runs.\n`,
  );
}

interface Subject {
  readonly name: string;
  readonly source: string;
  readonly config: ModelConfig;
  readonly sizes: WeightSizes;
  readonly isLocal: boolean;
}

function subjectOf(command: FitCommand, { stores }: Context): Subject {
  const published = /^(?:openai\/)?(gpt-oss-(?:20b|120b))$/i.exec(command.model)?.[1]?.toLowerCase();
  if (published === 'gpt-oss-20b' || published === 'gpt-oss-120b') {
    const config = publishedModels[published];
    const container = command.gguf ? 'gguf' : 'safetensors';
    return {
      name: published,
      source: `as published, ${container}`,
      config,
      sizes: command.weights === 'q8' ? roundedSizes(config, container) : publishedSizes(config, container),
      isLocal: false,
    };
  }
  const { path } = chooseModel(command.model, stores);
  const checkpoint = openCheckpoint(path);
  try {
    const { weights, weightsPerToken, copies } = memoryNeed(checkpoint, 1, 'f16', command.weights);
    return {
      name: checkpoint.name,
      source: path,
      config: checkpoint.config,
      sizes: { onDisk: weights, perToken: weightsPerToken, copies },
      isLocal: true,
    };
  } finally {
    checkpoint.close();
  }
}

async function measure(command: FitCommand, context: Context): Promise<MachineFacts> {
  const { err } = context.terminal;
  if (!command.quiet && err.isTerminal) err.write('gptoss: measuring this machine for a few seconds …\n');
  return machineFacts(context, command.threads);
}

/** What the forecast needs to know of this machine; rejects without native kernels. */
export async function machineFacts({ environment, stores }: Context, threads?: number): Promise<MachineFacts> {
  const machine = describeMachine();
  return {
    memory: machine.limitBytes ?? machine.availableBytes,
    freeDisk: freeBytes(stores.hfCache),
    ...(await measureMachine(environment, threads)),
  };
}

/** Free space where a folder is, or would be. */
export function freeBytes(folder: string): number | null {
  for (let at = folder; ; at = dirname(at)) {
    try {
      const { bavail, bsize } = statfsSync(at);
      return bavail * bsize;
    } catch {
      if (dirname(at) === at) return null;
    }
  }
}
