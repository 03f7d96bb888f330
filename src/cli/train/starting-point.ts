// Where a run begins: a checkpoint in any format, or nothing. From nothing, a vocabulary is trained first and kept in the
// run's folder, so that a resumed run has the same one.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { GptOssError } from '../../errors.ts';
import { openAdapter } from '../../formats/adapter.node.ts';
import { adaptedTensors } from '../../formats/adapter.ts';
import { openCheckpoint } from '../../formats/checkpoint.node.ts';
import type { ModelTensors } from '../../formats/checkpoint.ts';
import type { ModelConfig } from '../../formats/config.ts';
import { fileError } from '../../formats/file.node.ts';
import { tokenizerFromJson } from '../../formats/tokenizer-data.ts';
import { HarmonyEncoding } from '../../text/harmony/encoding.ts';
import { tokenizerOf } from '../../text/o200k-harmony.node.ts';
import { type Tokenizer, tokenizerFrom } from '../../text/tokenizer.ts';
import { bpeRankFile, bpeSideFiles, bpeTokenizerJson, trainBpe } from '../../train/data/bpe.ts';
import { chatFormat, chatTemplate, generationConfig } from '../../train/run/chat-files.ts';
import { type Recipe, sizeNamed, vocabularyTexts } from '../../train/run/recipe.ts';
import { freshModel } from '../../training.node.ts';
import type { SideFiles } from './model-folder.node.ts';

export interface StartingPoint {
  readonly config: ModelConfig;
  readonly tensors: ModelTensors;
  readonly encoding: HarmonyEncoding;
  readonly side: SideFiles;
  /** An adapter that was merged changed expert matrices. */
  readonly adaptedExperts: boolean;
  close(): void;
}

const TEXTS = 6_000; // documents that the vocabulary is trained on

export function fromNothing(out: string, recipe: Recipe): StartingPoint {
  const config = sizeNamed(recipe.size, recipe.vocab);
  const path = join(out, 'tokenizer', 'tokenizer.json');
  let side: Record<string, string>;
  try {
    if (existsSync(path)) {
      side = Object.fromEntries(SIDE.flatMap((name) => readIfThere(join(out, 'tokenizer'), name)));
    } else {
      side = newVocabulary(recipe, config.maxContext);
      mkdirSync(dirname(path), { recursive: true });
      // tokenizer.json comes last: where it is, the others are too.
      for (const name of [...Object.keys(side)].reverse()) writeFileSync(join(out, 'tokenizer', name), side[name]!);
    }
  } catch (cause) {
    throw cause instanceof GptOssError ? cause : fileError(path, cause);
  }
  const encoding = new HarmonyEncoding(tokenizerIn(side, path, recipe));
  return {
    ...freshModel(config, recipe.seed),
    encoding,
    adaptedExperts: false,
    side: {
      ...{ ...side, 'chat_template.jinja': chatTemplate, 'CHAT_FORMAT.md': chatFormat },
      'generation_config.json': generationConfig(encoding),
    },
    close() {},
  };
}

function newVocabulary(recipe: Recipe, context: number): Record<string, string> {
  const bpe = trainBpe(vocabularyTexts(recipe.seed, TEXTS, recipe.families), { vocab: recipe.vocab });
  return {
    'tokenizer.json': bpeTokenizerJson(bpe),
    ...bpeSideFiles(bpe, context),
    'tokenizer.tiktoken': bpeRankFile(bpe),
  };
}

function tokenizerIn(side: Readonly<Record<string, string>>, path: string, { vocab }: Recipe): Tokenizer {
  return tokenizerFrom(tokenizerFromJson(new TextEncoder().encode(side['tokenizer.json']), path, vocab));
}

/** What a run from nothing would read with; nothing is written. */
export function tokenizerFromNothing(recipe: Recipe): Tokenizer {
  return tokenizerIn(newVocabulary(recipe, sizeNamed(recipe.size, recipe.vocab).maxContext), 'tokenizer.json', recipe);
}

const SIDE = ['tokenizer.json', 'tokenizer_config.json', 'special_tokens_map.json', 'tokenizer.tiktoken'] as const;
const COPIED = [...SIDE, 'chat_template.jinja', 'CHAT_FORMAT.md', 'generation_config.json', 'LICENSE'] as const;

function readIfThere(folder: string, name: string): [string, string][] {
  const path = join(folder, name);
  return existsSync(path) ? [[name, readFileSync(path, 'utf8')]] : [];
}

/** Trainable models fit into memory as float32 three times over; the published ones do not fit most machines. */
const MOST_PARAMETERS = 500e6;

export function fromCheckpoint(path: string, adapter?: string): StartingPoint {
  const checkpoint = openCheckpoint(path);
  try {
    const { config } = checkpoint;
    const change = adapter === undefined ? null : openAdapter(adapter, config);
    const tensors = change === null ? checkpoint.tensors : adaptedTensors(checkpoint.tensors, change);
    const { layers, hidden, experts, intermediate, vocab } = config;
    const parameters = layers * experts * 3 * hidden * intermediate + 2 * vocab * hidden;
    if (parameters > MOST_PARAMETERS) {
      throw new GptOssError(
        'out-of-memory',
        `this model has about ${Math.round(parameters / 1e6)} million parameters; expected at most ${MOST_PARAMETERS / 1e6} for training here; hand it over with \`gptoss train export\``,
      );
    }
    const side = Object.fromEntries(COPIED.flatMap((name) => readIfThere(path, name)));
    if (side['tokenizer.json'] === undefined) {
      throw new GptOssError(
        'bad-tokenizer',
        `there is no tokenizer.json beside ${path}; expected a Hugging Face folder; convert it first`,
      );
    }
    return {
      ...{ config, tensors, side },
      adaptedExperts: change?.touchesExperts === true,
      encoding: new HarmonyEncoding(tokenizerOf(checkpoint.tokenizer, config.vocab)),
      close: () => checkpoint.close(),
    };
  } catch (error) {
    checkpoint.close();
    throw error;
  }
}
