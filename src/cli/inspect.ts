// `inspect`: what a checkpoint is. Configuration, element types, parameters, tokenizer, memory at a context, where it
// departs from the published files, and on request every tensor. Reads headers only, never weights; everything it
// prints comes from a file and passes stripControls. Computation: formats/describe.ts, formats/resemblance.ts.

import { openCheckpoint } from '../formats/checkpoint.node.ts';
import type { Checkpoint } from '../formats/checkpoint.ts';
import { memoryNeed, parameterCounts, typeHistogram } from '../formats/describe.ts';
import { resemblance } from '../formats/resemblance.ts';
import { tokenizerOf } from '../text/o200k-harmony.node.ts';
import type { InspectCommand } from './arguments.ts';
import { chooseModel } from './choose-model.ts';
import type { Context } from './context.ts';
import { describeError } from './describe-error.ts';
import { safeJson, stripControls } from './screen/controls.ts';
import { bytes, count, table } from './screen/table.ts';
import { type Output, styled } from './terminal.ts';

const USUAL_CONTEXT = 8192; // tokens

export async function inspect(command: InspectCommand, { terminal, stores }: Context): Promise<void> {
  const { path } = chooseModel(command.path === '' ? undefined : command.path, stores);
  const checkpoint = openCheckpoint(path);
  try {
    const facts = gather(checkpoint, command);
    if (command.json) terminal.out.write(`${safeJson({ ...facts, config: snakeKeys(facts.config) })}\n`);
    else print(facts, terminal.out);
  } finally {
    checkpoint.close();
  }
}

function gather(checkpoint: Checkpoint, command: InspectCommand) {
  const { config, entries, sources, stopIds } = checkpoint;
  const kv = command.kv ?? 'f16';
  const at = (context: number) => {
    const { weights, weightsPerToken, cache, total } = memoryNeed(checkpoint, context, kv);
    const per = { weights_bytes: weights, weights_per_token_bytes: weightsPerToken, cache_bytes: cache };
    return { context, kv, ...per, total_bytes: total };
  };
  const { model, layout, differences } = resemblance(checkpoint);
  return {
    path: checkpoint.path,
    name: checkpoint.name,
    format: checkpoint.format,
    layout,
    published_model: model,
    differences,
    files: sources.map((source) => ({ name: source.name, bytes: source.size })),
    config,
    parameters: parameterCounts(config),
    types: typeHistogram(entries),
    tokenizer: {
      ...describeTokenizer(checkpoint),
      stop_ids: stopIds,
      has_chat_template: checkpoint.chatTemplate !== null,
    },
    memory: at(command.context ?? Math.min(USUAL_CONTEXT, config.maxContext)),
    memory_at_full_context: at(config.maxContext),
    ...(command.tensors
      ? { tensors: entries.map(({ name, dtype, shape, length }) => ({ name, type: dtype, shape, bytes: length })) }
      : {}),
  };
}

/** JSON of this program has snake_case keys throughout. */
function snakeKeys(value: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]): [string, unknown] => [
      key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      typeof inner === 'object' && inner !== null && !Array.isArray(inner) ? snakeKeys(inner) : inner,
    ]),
  );
}

function describeTokenizer({ tokenizer, config }: Checkpoint) {
  const kind =
    tokenizer === null ? 'o200k_harmony of this package' : tokenizer.isO200k ? 'o200k_harmony' : 'byte-level BPE';
  try {
    const { vocabSize } = tokenizerOf(tokenizer, config.vocab);
    return { kind, tokens: vocabSize, special_tokens: tokenizer?.special.size ?? null, problem: null };
  } catch (error) {
    const problem = describeError(error, false).replace(/^gptoss: /, '');
    return { kind, tokens: null, special_tokens: null, problem };
  }
}

function print(facts: ReturnType<typeof gather>, out: Output): void {
  const { config: c, parameters, tokenizer, memory, memory_at_full_context: full } = facts;
  const section = (
    title: string,
    rows: readonly (readonly (string | number)[])[],
    header?: readonly string[],
  ): void => {
    const clean = rows.map((row) => row.map((cell) => (typeof cell === 'string' ? stripControls(cell) : cell)));
    out.write(`${styled(out, title, 'bold')}\n${table(clean, header).replace(/^/gm, '  ')}\n\n`);
  };
  const sliding = c.sliding.filter((is) => is).length;
  section('Checkpoint', [
    ['path', facts.path],
    ['name', facts.name],
    ['format', `${facts.format}: ${facts.layout}`],
    ['model', facts.published_model ?? 'none of the published ones'],
    ...facts.differences.map((difference) => ['differs', difference]),
    ['files', `${facts.files.length}, ${bytes(facts.files.reduce((sum, file) => sum + file.bytes, 0))}`],
  ]);
  section('Configuration', [
    ['layers', `${c.layers} (${sliding} sliding over ${c.slidingWindow} tokens, ${c.layers - sliding} full)`],
    ['hidden', `${c.hidden}`],
    ['attention', `${c.heads} query heads, ${c.kvHeads} key-value heads of ${c.headDim}`],
    ['experts', `${c.expertsPerToken} of ${c.experts} per token, ${c.intermediate} wide`],
    ['context', `${c.maxContext} tokens (YaRN ${c.rope.factor} × ${c.rope.originalContext}, theta ${c.ropeTheta})`],
    ['vocabulary', `${c.vocab}`],
    ['parameters', `${count(parameters.total)}, of which ${count(parameters.active)} active per token`],
    [
      '',
      `attention ${count(parameters.attention)}, experts ${count(parameters.experts)}, vocabulary ${count(parameters.vocabulary)}`,
    ],
  ]);
  section(
    'Types',
    facts.types.map(({ type, tensors, bytes: size }) => [type, `${tensors} tensors`, bytes(size)]),
  );
  section('Tokenizer', [
    ['kind', tokenizer.kind],
    ...(tokenizer.tokens === null ? [] : [['tokens', String(tokenizer.tokens)]]),
    ['stops at', tokenizer.stop_ids.join(', ') || '(ids not stated in the file)'],
    ...(tokenizer.problem === null ? [] : [['problem', tokenizer.problem]]),
  ]);
  section(
    'Memory',
    [memory, ...(full.context === memory.context ? [] : [full])].map((need) => [
      need.context,
      bytes(need.weights_bytes),
      bytes(need.cache_bytes),
      bytes(need.total_bytes),
    ]),
    ['context', 'weights', `keys and values (${memory.kv})`, 'together'],
  );
  out.write(
    `  Weights are pages of the file: they may leave memory and come back. One token touches ${bytes(memory.weights_per_token_bytes)} of them.\n`,
  );
  if (facts.tensors === undefined) return;
  out.write('\n');
  section(
    'Tensors',
    facts.tensors.map(({ name, type, shape, bytes: size }) => [name, type, `[${shape.join(', ')}]`, bytes(size)]),
  );
}
