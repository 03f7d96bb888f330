// First run: with no model but the embedded one, a person at a terminal is offered the real one, with what it costs. One
// key accepts. Never in CI, in pipes or with --quiet; who has declined is not asked again (a file in our own store says
// so). Nothing is fetched unasked.

import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { publishedModels } from '../../formats/published.ts';
import { fitModel, publishedSizes } from '../../hub/fit.ts';
import { parseWanted } from '../../hub/plan.ts';
import type { Context } from '../context.ts';
import { describeMachine } from '../machine.ts';
import { bytes } from '../screen/table.ts';
import { confirm } from './confirm.ts';
import { freeBytes } from './fit.ts';
import { duration } from './progress.ts';
import { fetchWithBar } from './pull.ts';

const MODEL = 'gpt-oss-20b';
const HOME_LINE = 100e6 / 8; // bytes/s of the line that the minutes are stated for

/** What the offer says; null when this machine could not use the model. */
export function describeOffer(facts: { memory: number; freeDisk: number | null }): { text: string; canRun: boolean } {
  const sizes = publishedSizes(publishedModels[MODEL], 'gguf');
  const { fits, enoughDisk, total } = fitModel(
    publishedModels[MODEL],
    sizes,
    { ...facts, readBytesPerSecond: 1, multiplyAddsPerSecond: 1 },
    { context: 8192, kv: 'f16' },
  );
  const cost = `${bytes(sizes.onDisk)}, about ${duration(sizes.onDisk / HOME_LINE)} at 100 Mbit/s`;
  if (enoughDisk === false)
    return { canRun: false, text: `${MODEL} (${cost}) does not fit on this disk: ${bytes(facts.freeDisk ?? 0)} free` };
  if (fits === 'no')
    return { canRun: false, text: `${MODEL} (${cost}) needs more memory than the ${bytes(facts.memory)} here` };
  const memory =
    fits === 'all'
      ? `it fits in this machine's memory`
      : `it would run slowly: ${bytes(total)} wanted, ${bytes(facts.memory)} there`;
  return { canRun: true, text: `The real ${MODEL} can be downloaded: ${cost}; ${memory}.` };
}

/** Path of the model when it was accepted and is complete; null to go on with the embedded one. */
export async function offerRealModel(context: Context): Promise<string | null> {
  const { terminal, stores, environment, stdin } = context;
  if (!stdin.isTTY || !terminal.err.isTerminal || environment.ci || stores.offline) return null;
  const declined = join(stores.home, 'real-model-declined');
  if (existsSync(declined)) return null;
  const machine = describeMachine();
  const offer = describeOffer({
    memory: machine.limitBytes ?? machine.availableBytes,
    freeDisk: freeBytes(stores.hfCache),
  });
  if (!offer.canRun) {
    terminal.err.write(`gptoss: ${offer.text}; the embedded tiny model answers\n`);
    return null;
  }
  if (!(await confirm(`${offer.text} Download it now?`, context))) {
    if (!context.signal.aborted) remember(declined);
    terminal.err.write(`gptoss: \`gptoss pull ${MODEL} --gguf\` downloads it at any time\n`);
    return null;
  }
  const { path } = await fetchWithBar(parseWanted(MODEL, { gguf: true }), context, { connections: 4, quiet: false });
  return path;
}

function remember(file: string): void {
  try {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(
      file,
      'The download of the real model was declined at a first start. Delete this file to be asked again.\n',
    );
  } catch {
    // a read-only home: then the question comes again
  }
}
