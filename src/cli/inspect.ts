// `inspect`: what a checkpoint is. Configuration, element types, parameters, tokenizer, memory at a context, where it
// departs from the published files, how fast it should run here, and on request every tensor. Reads headers only, never
// weights; everything it prints comes from a file and passes stripControls. Computation: formats/describe.ts,
// formats/resemblance.ts, hub/fit.ts.

import { findAddon } from '../backend/cpu/addon.ts';
import { openCheckpoint } from '../formats/checkpoint.node.ts';
import type { Checkpoint } from '../formats/checkpoint.ts';
import { memoryNeed, parameterCounts, typeHistogram } from '../formats/describe.ts';
import { resemblance } from '../formats/resemblance.ts';
import { fitModel } from '../hub/fit.ts';
import { tokenizerOf } from '../text/o200k-harmony.node.ts';
import type { InspectCommand } from './arguments.ts';
import { chooseModel } from './choose-model.ts';
import type { Context } from './context.ts';
import { describeError } from './describe-error.ts';
import { describeMachine } from './machine.ts';
import { measureMachine } from './measure-machine.ts';
import { safeJson, stripControls } from './screen/controls.ts';
import { bytes, count, table } from './screen/table.ts';
import { type Output, styled } from './terminal.ts';

const USUAL_CONTEXT = 8192; // tokens
const SMALLEST_FORECAST = 500e6; // bytes of weights

export async function inspect(command: InspectCommand, context: Context): Promise<void> {
  const { terminal, stores } = context;
  const { path } = chooseModel(command.path === '' ? undefined : command.path, stores);
  const checkpoint = openCheckpoint(path);
  try {
    const facts = { ...gather(checkpoint, command), speed: await expectedSpeed(checkpoint, command, context) };
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
    const need = memoryNeed(checkpoint, context, kv, command.weights);
    const { weights, weightsPerToken, copies, cache, total } = need;
    const per = {
      weights_bytes: weights,
      weights_per_token_bytes: weightsPerToken,
      ...(command.weights === 'q8' ? { rounded_bytes: copies } : {}),
      cache_bytes: cache,
    };
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

/**
 * Tokens per second expected on this machine; null: not asked for, no native kernels to measure with, or a model so small
 * that its weights stay in the processor's caches, of which the estimate knows nothing.
 */
async function expectedSpeed(checkpoint: Checkpoint, command: InspectCommand, { environment }: Context) {
  const tooSmall = checkpoint.sources.reduce((n, { size }) => n + size, 0) < SMALLEST_FORECAST;
  if (!command.speed || tooSmall || findAddon().addon === null) return null;
  const measured = await measureMachine(environment);
  const context = command.context ?? Math.min(USUAL_CONTEXT, checkpoint.config.maxContext);
  const kv = command.kv ?? 'f16';
  const { weights, weightsPerToken } = memoryNeed(checkpoint, context, kv);
  const machine = describeMachine();
  const forecast = fitModel(
    checkpoint.config,
    { onDisk: weights, perToken: weightsPerToken },
    { memory: machine.limitBytes ?? machine.availableBytes, freeDisk: null, ...measured },
    { context, kv },
  );
  return {
    fits: forecast.fits,
    prompt_tokens_per_second: forecast.prefillTokensPerSecond,
    decode_tokens_per_second: forecast.decodeTokensPerSecond,
    decode_at_context_tokens_per_second: forecast.decodeAtContext,
    context,
    read_bytes_per_second: measured.readBytesPerSecond,
    multiply_adds_per_second: measured.multiplyAddsPerSecond,
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

type Facts = ReturnType<typeof gather> & { readonly speed: Awaited<ReturnType<typeof expectedSpeed>> };

function print(facts: Facts, out: Output): void {
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
      ...(need.rounded_bytes === undefined ? [] : [bytes(need.rounded_bytes)]),
      bytes(need.cache_bytes),
      bytes(need.total_bytes),
    ]),
    [
      'context',
      'weights',
      ...(memory.rounded_bytes === undefined ? [] : ['rounded to 8 bits']),
      `keys and values (${memory.kv})`,
      'together',
    ],
  );
  out.write(
    `  Weights are pages of the file: they may leave memory and come back. One token touches ${bytes(memory.weights_per_token_bytes)} of them.\n`,
  );
  if (facts.speed !== null) {
    const { speed } = facts;
    const rate = (value: number): string => `about ${value >= 20 ? value.toFixed(0) : value.toFixed(1)} tokens/s`;
    out.write('\n');
    section('Speed expected here', [
      ['reading a prompt', rate(speed.prompt_tokens_per_second)],
      [
        'answering',
        `${rate(speed.decode_tokens_per_second)}; ${rate(speed.decode_at_context_tokens_per_second)} with ${speed.context} tokens behind it`,
      ],
    ]);
    const verdict = {
      all: 'everything fits into memory',
      paging: 'not everything fits into memory: slower than this, experts come from disk again and again',
      no: 'too little memory even for one token',
    }[speed.fits];
    out.write(`  An upper estimate from this machine's memory and arithmetic (\`gptoss fit\` says how); ${verdict}.\n`);
  }
  if (facts.tensors === undefined) return;
  out.write('\n');
  section(
    'Tensors',
    facts.tensors.map(({ name, type, shape, bytes: size }) => [name, type, `[${shape.join(', ')}]`, bytes(size)]),
  );
}
