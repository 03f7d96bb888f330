// Puts a trainer together under Node: from a checkpoint or from a fresh model at random, on native code or, where there
// is none, in plain TypeScript. Files of a run: train/checkpoint.node.ts. Next: train/trainer.ts.

import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CpuLearner } from './backend/cpu/learner.ts';
import type { Learner } from './backend/learner.ts';
import { ReferenceTrainer } from './backend/reference/trainer.ts';
import { GptOssError, isGptOssError } from './errors.ts';
import type { ModelTensors } from './formats/checkpoint.ts';
import type { ModelConfig } from './formats/config.ts';
import { createFile, fileError } from './formats/file.node.ts';
import { tensorBytes, writeSafetensors } from './formats/safetensors-write.ts';
import { safetensorsPlan } from './hub/convert/plans.ts';
import { huggingFaceConfig, vocabularyFromJson } from './hub/convert/vocabulary.ts';
import { yarnRope } from './model/rope.ts';
import { newestCheckpoint, readCheckpoint } from './train/checkpoint.node.ts';
import { ProgramLearner } from './train/program-learner.ts';
import { initialTensors, tensorsByName, tensorValues } from './train/tensors.ts';
import { Trainer, type TrainerState } from './train/trainer.ts';

export interface TrainerOptions {
  /** Default: cpu where native code is there, else reference. */
  readonly backend?: 'cpu' | 'reference';
  readonly threads?: number; // default: physical cores
  /** Forces an ISA variant of native code. */
  readonly isa?: string;
  /** Independent sums of gradients, computed side by side. Part of what results are a function of. Default 2. */
  readonly shards?: number;
  /** Rows of one pass, about. Part of what results are a function of. Default 2048. */
  readonly passRows?: number;
}

/** A trainer that goes on from these tensors: any opened checkpoint, or a fresh model (`freshModel`). */
export function openTrainer(
  source: { readonly config: ModelConfig; readonly tensors: ModelTensors },
  options: TrainerOptions = {},
  state?: TrainerState,
): Trainer {
  return new Trainer(source.config, createLearner(source, options), state);
}

/** A model with random weights, for `openTrainer`. */
export function freshModel(config: ModelConfig, seed: number): { config: ModelConfig; tensors: ModelTensors } {
  return { config, tensors: initialTensors(config, seed) };
}

export interface ResumeOptions extends TrainerOptions {
  /** The model that the caller means to train: another one in the checkpoint is refused. */
  readonly config?: ModelConfig;
}

export interface ResumedRun {
  readonly trainer: Trainer;
  readonly notes: unknown;
  /** What the caller should tell: why the run will not have the bits of one that was never interrupted. */
  readonly notices: readonly string[];
}

/** Goes on from the newest checkpoint in a run's folder; null when there is none. */
export function resumeTrainer(folder: string, options: ResumeOptions = {}): ResumedRun | null {
  const path = newestCheckpoint(folder);
  if (path === null) return null;
  const saved = readCheckpoint(path);
  const wanted = options.config;
  if (wanted !== undefined) {
    const differing = (Object.keys(wanted) as (keyof ModelConfig)[]).filter(
      (name) => JSON.stringify(wanted[name]) !== JSON.stringify(saved.config[name]),
    );
    if (differing.length > 0) {
      const [name] = differing;
      throw new GptOssError(
        'invalid-request',
        `the checkpoint ${path} is of another model: its ${differing.join(', ')} differ (${name}: ${JSON.stringify(saved.config[name])}); expected ${JSON.stringify(wanted[name])}; go on with the model it was made for, or begin in another folder`,
      );
    }
  }
  const trainer = openTrainer({ config: saved.config, tensors: saved.tensors('values') }, options, saved.state);
  trainer.load('first', saved.tensors('first'));
  trainer.load('second', saved.tensors('second'));
  const { variant } = trainer.learner;
  const notices =
    variant === saved.variant
      ? []
      : [`the run was computed by ${saved.variant} and goes on with ${variant}: its bits will differ`];
  return { trainer, notes: saved.notes, notices };
}

export interface ExportOptions {
  /** Folder of a checkpoint whose tokenizer files belong to this model; they are copied. */
  readonly tokenizerFrom?: string;
  readonly overwrite?: boolean;
}

/**
 * The model in Hugging Face's layout, as gpt-oss is published: experts in MXFP4 (the values that a fake-quantised pass
 * sees, bit for bit), all else in BF16. Returns bytes of tensors written.
 */
export function exportModel(trainer: Trainer, folder: string, options: ExportOptions = {}): number {
  const { config } = trainer;
  if (config.hidden % 32 !== 0 || config.intermediate % 32 !== 0) {
    throw new GptOssError(
      'invalid-request',
      `hidden size ${config.hidden} and intermediate size ${config.intermediate} cannot be stored as MXFP4; expected multiples of 32; train a model of other sizes`,
    );
  }
  if (existsSync(join(folder, 'model.safetensors')) && options.overwrite !== true) {
    throw new GptOssError('io', `${folder} holds a model; expected a new folder; choose another or allow overwriting`);
  }
  const { tokenizerFrom: from } = options;
  const tensors = safetensorsPlan(trainer.tensors({ quantised: true }), 'huggingface');
  const sink = createFile(join(folder, 'model.safetensors'));
  try {
    writeSafetensors(sink, tensors);
    const names = from === undefined ? [] : TOKENIZER_FILES.filter((name) => existsSync(join(from, name)));
    for (const name of names) copyFileSync(join(from!, name), join(folder, name));
    const tokenizer = join(folder, 'tokenizer.json');
    const vocabulary = names.includes('tokenizer.json')
      ? vocabularyFromJson(JSON.parse(readFileSync(tokenizer, 'utf8')) as Record<string, unknown>)
      : null;
    const text = `${JSON.stringify(huggingFaceConfig(config, vocabulary), null, 2)}\n`;
    writeFileSync(join(folder, 'config.json'), text);
  } catch (error) {
    sink.discard();
    throw error instanceof GptOssError ? error : fileError(folder, error);
  }
  sink.finish();
  return tensors.reduce((sum, tensor) => sum + tensorBytes(tensor), 0);
}

const TOKENIZER_FILES = [
  ...['tokenizer.json', 'tokenizer_config.json', 'special_tokens_map.json', 'generation_config.json'],
  'chat_template.jinja',
];

/** Native where it can be; plain TypeScript when that is asked for, or when nothing was asked for and there is no addon. */
function createLearner(source: { config: ModelConfig; tensors: ModelTensors }, options: TrainerOptions): Learner {
  const { config, tensors } = source;
  if (options.backend !== 'reference') {
    try {
      const learner = new CpuLearner(config, yarnRope(config), tensorsByName(config), options);
      let index = 0;
      for (const [, values] of tensorValues(config, tensors)) learner.write(index++, 'values', values);
      return learner;
    } catch (error) {
      const isAsked = options.backend === 'cpu' || options.isa !== undefined;
      if (isAsked || !isGptOssError(error, 'unsupported-device')) throw error;
    }
  }
  const passRows = Math.min(options.passRows ?? 512, 512);
  const maxRows = passRows + Math.min(config.maxContext, 2048);
  return new ProgramLearner(source, new ReferenceTrainer({ maxRows }), { passRows });
}
