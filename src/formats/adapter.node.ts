// A PEFT adapter from a folder on disk. Next: adapter-read.ts.
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { GptOssError } from '../errors.ts';
import type { Adapter } from './adapter.ts';
import { readAdapter } from './adapter-read.ts';
import type { ModelConfig } from './config.ts';
import { fileError, openFile } from './file.node.ts';
import { damaged, parseJsonObject, printable } from './messages.ts';

const MOST_CONFIG_BYTES = 1 << 20;

export function openAdapter(folder: string, model: ModelConfig): Adapter {
  const path = join(folder, 'adapter_config.json');
  let text: Uint8Array;
  try {
    if (statSync(path).size > MOST_CONFIG_BYTES) throw damaged(printable(path), 'it is longer than 1 MiB');
    text = readFileSync(path);
  } catch (cause) {
    throw cause instanceof GptOssError ? cause : fileError(path, cause);
  }
  const config = parseJsonObject(printable(path), text);
  const source = openFile(join(folder, 'adapter_model.safetensors'));
  try {
    return readAdapter(folder, config, source, model);
  } finally {
    source.close();
  }
}
