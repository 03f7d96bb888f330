// Model card, results and plot, written beside the weights that were measured (`--card FOLDER`). What a run noted of its
// training lies there as training.json. Next: ../../evals/tiny/card.ts.

import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Results, snakeKeys } from '../../evals/results.ts';
import { modelCard } from '../../evals/tiny/card.ts';
import { tokensPlot } from '../../evals/tiny/plot.ts';
import { openCheckpoint } from '../../formats/checkpoint.node.ts';
import { parameterCounts } from '../../formats/describe.ts';
import { fileError } from '../../formats/file.node.ts';
import { bytes } from '../screen/table.ts';
import type { EvalCommand } from './arguments.ts';
import { trainingOf } from './training-notes.ts';

export function writeCard(folder: string, results: Results, command: EvalCommand): void {
  const { cells: _, ...kept } = results; // single families of the trainer are in the run's own results
  const files = {
    'README.md': modelCard(results, {
      name: 'The embedded tiny model',
      model: factsOf(folder),
      training: trainingOf(folder),
      command: commandOf(folder, command),
    }),
    'results.json': `${JSON.stringify(snakeKeys(kept), null, 1)}\n`,
    'plot.svg': tokensPlot(results.levels, 'Accuracy against tokens, means over 15 families, 95 % intervals'),
  };
  for (const [name, content] of Object.entries(files)) {
    try {
      writeFileSync(join(folder, name), content);
    } catch (cause) {
      throw fileError(join(folder, name), cause);
    }
  }
}

function factsOf(folder: string): [string, string][] {
  const checkpoint = openCheckpoint(folder);
  try {
    const { config: c } = checkpoint;
    const { total } = parameterCounts(checkpoint.config);
    const rope = c.rope === null ? 'plain' : `YaRN factor ${c.rope.factor}, original context ${c.rope.originalContext}`;
    return [
      ['parameters', total.toLocaleString('en')],
      ['hidden / layers', `${c.hidden} / ${c.layers} (sliding window ${c.slidingWindow} in every other one)`],
      ['heads', `${c.heads} query, ${c.kvHeads} key-value, of ${c.headDim}; biases and sinks`],
      ['experts', `${c.experts} per layer, top ${c.expertsPerToken}, intermediate size ${c.intermediate}`],
      ['rope', `theta ${c.ropeTheta}, ${rope}`],
      ['context', String(c.maxContext)],
      ['vocabulary', `${c.vocab}, byte-level BPE, every digit one token`],
      ['weights', `${bytes(statSync(join(folder, 'model.safetensors')).size)}: MXFP4 experts, everything else BF16`],
      ['licence', 'Apache-2.0'],
    ];
  } finally {
    checkpoint.close();
  }
}

/** What to type for the same again; folders by what they hold, so that no path of this machine is told. */
function commandOf(folder: string, { items = 100, seed, sampled, baseline, unquantised }: EvalCommand): string {
  const parts = [`gptoss eval tiny --model ${folder.includes('models') ? 'models/tiny' : 'MODEL'} --items ${items}`];
  if (seed !== 1) parts.push(`--seed ${seed}`);
  if (sampled !== 1000) parts.push(`--sampled ${sampled}`);
  if (baseline !== undefined) parts.push('--baseline test/fixtures/tiny');
  if (unquantised !== undefined) parts.push('--unquantised RUN/unquantised');
  return [...parts, '--card models/tiny'].join(' ');
}
