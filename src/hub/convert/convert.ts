// A checkpoint into another container, streaming: Hugging Face safetensors, OpenAI's `original/`, GGUF, any to any. MXFP4
// bits are never touched; only a merged adapter that changes experts makes them BF16. Written beside the target first, so that nothing half-written bears the real name.

import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { GptOssError } from '../../errors.ts';
import { openAdapter } from '../../formats/adapter.node.ts';
import { adaptedCheckpoint } from '../../formats/adapter.ts';
import type { ByteSink } from '../../formats/bytes.ts';
import { openCheckpoint } from '../../formats/checkpoint.node.ts';
import type { Checkpoint } from '../../formats/checkpoint.ts';
import { createFile, fileError, openFile } from '../../formats/file.node.ts';
import { readGguf } from '../../formats/gguf.ts';
import { ggufTensorBytes, writeGguf } from '../../formats/gguf-write.ts';
import { type TensorToWrite, tensorBytes, writeSafetensors } from '../../formats/safetensors-write.ts';
import { type DenseType, ggufPlan, safetensorsPlan } from './plans.ts';
import {
  ggufFields,
  huggingFaceConfig,
  originalConfig,
  vocabularyFromGguf,
  vocabularyFromJson,
  vocabularyToJson,
  type WrittenVocabulary,
} from './vocabulary.ts';

export type Container = 'huggingface' | 'original' | 'gguf';

export interface ConvertOptions {
  readonly to: Container;
  /** Attention, embedding and output matrices in GGUF: `keep` (default), or another type. */
  readonly dense?: DenseType;
  /** Folder of a PEFT adapter that is merged in. One that changes experts makes all of them BF16 (Hugging Face only). */
  readonly adapter?: string;
  readonly overwrite?: boolean;
  readonly onProgress?: (bytes: number, total: number) => void;
  readonly signal?: AbortSignal;
}

const SHARD_BYTES = 4_800_000_000; // as the published shards are cut
const MXFP4_MOE = 38; // general.file_type

/** Writes the checkpoint at `source` to `target` (a .gguf file, or a folder). Returns bytes of tensors written. */
export function convertCheckpoint(source: string, target: string, options: ConvertOptions): number {
  const opened = openCheckpoint(source);
  try {
    const adapter = options.adapter === undefined ? null : openAdapter(options.adapter, opened.config);
    const checkpoint = adapter === null ? opened : adaptedCheckpoint(opened, adapter);
    const expertType = adapter?.touchesExperts === true ? 'bf16' : 'mxfp4';
    if (expertType === 'bf16' && options.to !== 'huggingface') {
      throw new GptOssError(
        'invalid-request',
        `this adapter changes experts, and rounding them to MXFP4 again would erase most of it; expected a Hugging Face folder as the target, where they are written in BF16; use --to huggingface`,
      );
    }
    if (options.to !== 'gguf' && options.dense !== undefined && options.dense !== 'keep' && options.dense !== 'bf16') {
      throw new GptOssError(
        'invalid-request',
        `${options.dense} matrices exist only in GGUF; expected BF16 for safetensors; leave the option out or write GGUF`,
      );
    }
    if (existsSync(target) && !options.overwrite) {
      throw new GptOssError('io', `${target} exists; expected a new name; choose another or allow overwriting`);
    }
    if (resolve(target) === checkpoint.path)
      throw new GptOssError(
        'invalid-request',
        'source and target are the same; expected two paths; choose another target',
      );
    const vocabulary = readVocabulary(checkpoint);
    return options.to === 'gguf'
      ? toGguf(checkpoint, vocabulary, target, options)
      : toSafetensors(checkpoint, vocabulary, target, options, expertType);
  } finally {
    opened.close();
  }
}

/** Counts what goes through and lets the caller stop between two pieces. */
function watched(sink: ByteSink, total: number, options: ConvertOptions, counter: { bytes: number }): ByteSink {
  return {
    write(bytes) {
      if (options.signal?.aborted)
        throw new GptOssError('aborted', 'the conversion was stopped; nothing was left behind');
      sink.write(bytes);
      counter.bytes += bytes.length;
      options.onProgress?.(Math.min(counter.bytes, total), total);
    },
    finish: () => sink.finish(),
    discard: () => sink.discard(),
  };
}

function writing(sink: ByteSink, fn: () => void): void {
  try {
    fn();
  } catch (error) {
    sink.discard();
    throw error;
  }
  sink.finish();
}

function toGguf(
  checkpoint: Checkpoint,
  vocabulary: WrittenVocabulary | null,
  target: string,
  options: ConvertOptions,
): number {
  if (vocabulary === null) {
    throw new GptOssError(
      'bad-tokenizer',
      `${checkpoint.path} has no tokenizer.json; expected one, since GGUF holds the vocabulary; put the model's own beside the weights`,
    );
  }
  const tensors = ggufPlan(checkpoint.tensors, options.dense ?? 'keep');
  const total = tensors.reduce((sum, t) => sum + ggufTensorBytes(t), 0);
  const sink = watched(createFile(target), total, options, { bytes: 0 });
  writing(sink, () => writeGguf(sink, ggufFields(checkpoint, vocabulary, checkpoint.name, MXFP4_MOE), tensors));
  return total;
}

function toSafetensors(
  checkpoint: Checkpoint,
  vocabulary: WrittenVocabulary | null,
  target: string,
  options: ConvertOptions,
  expertType: 'mxfp4' | 'bf16',
): number {
  const layout = options.to as 'huggingface' | 'original';
  const tensors = safetensorsPlan(checkpoint.tensors, layout, expertType);
  const total = tensors.reduce((sum, t) => sum + tensorBytes(t), 0);
  const counter = { bytes: 0 };
  const existed = existsSync(target);
  mkdirSync(target, { recursive: true });
  try {
    const shards = layout === 'original' ? [tensors] : cut(tensors);
    const nameOf = (i: number): string =>
      shards.length === 1 ? 'model.safetensors' : `model-${five(i + 1)}-of-${five(shards.length)}.safetensors`;
    for (const [i, shard] of shards.entries()) {
      const sink = watched(createFile(join(target, nameOf(i))), total, options, counter);
      writing(sink, () => writeSafetensors(sink, shard));
    }
    if (shards.length > 1) {
      const weight_map = Object.fromEntries(shards.flatMap((shard, i) => shard.map((t) => [t.name, nameOf(i)])));
      writeJson(join(target, 'model.safetensors.index.json'), { metadata: { total_size: total }, weight_map });
    }
    if (layout === 'original') {
      writeJson(join(target, 'config.json'), originalConfig(checkpoint.config));
      writeJson(
        join(target, 'dtypes.json'),
        Object.fromEntries(
          tensors.map((t) => [t.name, t.dtype === 'U8' ? (t.name.endsWith('.scales') ? 'UE8' : 'FP4') : 'BF16']),
        ),
      );
    } else {
      writeJson(join(target, 'config.json'), huggingFaceConfig(checkpoint.config, vocabulary, expertType));
    }
    writeCompanions(checkpoint, vocabulary, target);
  } catch (error) {
    if (!existed) rmSync(target, { recursive: true, force: true });
    throw error;
  }
  return total;
}

const five = (n: number): string => String(n).padStart(5, '0');

function cut(tensors: readonly TensorToWrite[]): TensorToWrite[][] {
  const shards: TensorToWrite[][] = [[]];
  let bytes = 0;
  for (const tensor of tensors) {
    const length = tensorBytes(tensor);
    if (bytes + length > SHARD_BYTES && bytes > 0) {
      shards.push([]);
      bytes = 0;
    }
    shards[shards.length - 1].push(tensor);
    bytes += length;
  }
  return shards;
}

/** The small files that a folder holds beside the weights: copied where the source has them, made where it has not. */
function writeCompanions(checkpoint: Checkpoint, vocabulary: WrittenVocabulary | null, target: string): void {
  const folder = sourceFolder(checkpoint);
  const copied = (name: string): boolean => {
    const from = folder === null ? null : findBeside(folder, name);
    if (from === null) return false;
    copyFileSync(from, join(target, name));
    return true;
  };
  for (const name of ['tokenizer_config.json', 'special_tokens_map.json', 'LICENSE', 'CHAT_FORMAT.md']) copied(name);
  if (!copied('chat_template.jinja') && checkpoint.chatTemplate !== null)
    writeFileSync(join(target, 'chat_template.jinja'), checkpoint.chatTemplate);
  if (!copied('generation_config.json'))
    writeJson(join(target, 'generation_config.json'), { do_sample: true, eos_token_id: checkpoint.stopIds });
  if (!copied('tokenizer.json') && vocabulary !== null)
    writeJson(join(target, 'tokenizer.json'), vocabularyToJson(vocabulary));
}

function sourceFolder(checkpoint: Checkpoint): string | null {
  if (checkpoint.format === 'gguf') return null;
  return statSync(checkpoint.path).isDirectory() ? checkpoint.path : dirname(checkpoint.path);
}

/** In the folder itself, or above an `original/` folder. */
function findBeside(folder: string, name: string): string | null {
  const places = basename(folder) === 'original' ? [folder, dirname(folder)] : [folder];
  return places.map((place) => join(place, name)).find((path) => existsSync(path)) ?? null;
}

function readVocabulary(checkpoint: Checkpoint): WrittenVocabulary | null {
  const folder = sourceFolder(checkpoint);
  if (folder === null) {
    const path = checkpoint.sources[0].path;
    if (path === null) return null;
    const source = openFile(path);
    try {
      return vocabularyFromGguf(readGguf(source));
    } finally {
      source.close();
    }
  }
  const path = findBeside(folder, 'tokenizer.json');
  if (path === null) return null;
  void checkpoint.tokenizer; // validates the file; what follows may rely on its shape
  try {
    return vocabularyFromJson(JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>);
  } catch (cause) {
    throw fileError(path, cause);
  }
}

function writeJson(path: string, value: unknown): void {
  const sink = createFile(path);
  writing(sink, () => sink.write(new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`)));
}
