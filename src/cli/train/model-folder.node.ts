// A trained model as a Hugging Face folder: experts in MXFP4 (or unquantised, to see what rounding costs), the rest in BF16,
// tokenizer and template beside them. Any gpt-oss program opens it. Written into a folder of its own and renamed, so a half-written one never has the name.

import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ModelTensors } from '../../formats/checkpoint.ts';
import type { ModelConfig } from '../../formats/config.ts';
import { createFile, fileError } from '../../formats/file.node.ts';
import { writeSafetensors } from '../../formats/safetensors-write.ts';
import { safetensorsPlan } from '../../hub/convert/plans.ts';
import { huggingFaceConfig, vocabularyFromJson } from '../../hub/convert/vocabulary.ts';

/** Files beside the weights by name, `tokenizer.json` among them. */
export type SideFiles = Readonly<Record<string, string | Uint8Array>>;

/** `tensors` as they are to be stored: for MXFP4, as a fake-quantised pass sees them. */
export interface ModelToWrite {
  readonly config: ModelConfig;
  readonly tensors: ModelTensors;
  readonly experts?: 'mxfp4' | 'bf16';
}

export function writeModelFolder(folder: string, model: ModelToWrite, side: SideFiles): void {
  const { config, tensors, experts = 'mxfp4' } = model;
  const part = `${folder}.part`;
  try {
    rmSync(part, { recursive: true, force: true });
    mkdirSync(part, { recursive: true });
    const sink = createFile(join(part, 'model.safetensors'));
    try {
      writeSafetensors(sink, safetensorsPlan(tensors, 'huggingface', experts));
      sink.finish();
    } catch (error) {
      sink.discard();
      throw error;
    }
    const tokenizer = side['tokenizer.json'];
    const text = typeof tokenizer === 'string' ? tokenizer : new TextDecoder().decode(tokenizer);
    const vocabulary = vocabularyFromJson(JSON.parse(text) as Record<string, unknown>);
    writeFileSync(
      join(part, 'config.json'),
      `${JSON.stringify(huggingFaceConfig(config, vocabulary, experts), null, 2)}\n`,
    );
    for (const [name, content] of Object.entries(side)) writeFileSync(join(part, name), content);
    rmSync(folder, { recursive: true, force: true });
    renameSync(part, folder);
  } catch (cause) {
    rmSync(part, { recursive: true, force: true });
    throw (cause as NodeJS.ErrnoException).code === undefined ||
      cause instanceof Error === false ||
      'details' in (cause as object)
      ? cause
      : fileError(folder, cause);
  }
}
