// Looks at one candidate (a GGUF file or a folder of safetensors) just long enough to say what it is and whether it is
// whole. Never throws: a file that cannot be read is a found model with a problem. Reads headers only, never weights.

import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join, relative, sep } from 'node:path';
import { isGptOssError } from '../errors.ts';
import { openFile } from '../formats/file.node.ts';
import { type GgufFile, readGguf } from '../formats/gguf.ts';

export interface Described {
  readonly isGptOss: boolean;
  readonly format: 'safetensors' | 'safetensors-original' | 'gguf';
  readonly quantisation: string; // types of most bytes, e.g. "MXFP4 + BF16"
  readonly size: '20b' | '120b' | null; // by shape, not by name
  readonly bytes: number;
  /** Null when everything is there. */
  readonly problem: string | null;
}

const MAX_JSON_BYTES = 64 << 20;
const splitName = /^(.*)-(\d{5})-of-(\d{5})\.gguf$/;

/** The first file of a split set, or the name itself. Later parts are not models of their own. */
export function isLaterSplit(name: string): boolean {
  const match = splitName.exec(name);
  return match !== null && match[2] !== '00001';
}

/** A path inside `root` after links are followed; otherwise null (a store must not lead out of itself). */
export function insideStore(path: string, root: string): string | null {
  try {
    const real = realpathSync(path);
    const way = relative(realpathSync(root), real);
    return way !== '' && !way.startsWith(`..${sep}`) && way !== '..' && !/^([A-Za-z]:)?[\\/]/.test(way) ? real : null;
  } catch {
    return null;
  }
}

export function describeGguf(path: string, root: string): Described {
  const broken = (problem: string, bytes = 0): Described => ({
    isGptOss: /gpt-?oss/i.test(path),
    format: 'gguf',
    quantisation: '?',
    size: null,
    bytes,
    problem,
  });
  if (insideStore(path, root) === null) return broken(whyUnreadable(path));
  const parts = splitParts(path);
  let bytes = 0;
  for (const part of parts) {
    if (insideStore(part, root) === null) return broken(`${basename(part)} is missing`, bytes);
    bytes += statSync(part).size;
  }
  let file: GgufFile;
  try {
    const source = openFile(path);
    try {
      file = readGguf(source);
    } finally {
      source.close();
    }
  } catch (error) {
    return broken(isGptOssError(error) ? error.message : 'it cannot be read', bytes);
  }
  const arch = file.fields.get('general.architecture')?.value;
  const number = (key: string): number => Number(file.fields.get(`${String(arch)}.${key}`)?.value ?? 0);
  return {
    isGptOss: arch === 'gpt-oss' || arch === 'gptoss',
    format: 'gguf',
    quantisation: typesByBytes(file.entries),
    size: modelSize(number('block_count'), number('expert_count'), number('embedding_length')),
    bytes,
    problem: null,
  };
}

function whyUnreadable(path: string): string {
  return existsSync(path) ? 'it leads outside its store' : 'its file is missing or a link leads nowhere';
}

function splitParts(path: string): string[] {
  const match = splitName.exec(basename(path));
  if (match === null) return [path];
  const count = Math.min(Number(match[3]), 999);
  return Array.from({ length: count }, (_, i) =>
    join(dirname(path), `${match[1]}-${String(i + 1).padStart(5, '0')}-of-${match[3]}.gguf`),
  );
}

/** The file's own words for its types, by share of bytes, small ones (under 1 %) left out. */
function typesByBytes(entries: readonly { dtype: string; length: number }[]): string {
  const sums = new Map<string, number>();
  let total = 0;
  for (const { dtype, length } of entries) {
    sums.set(dtype, (sums.get(dtype) ?? 0) + length);
    total += length;
  }
  return [...sums]
    .filter(([, sum]) => sum >= total * 0.01)
    .sort((a, b) => b[1] - a[1])
    .map(([type]) => type)
    .join(' + ');
}

function modelSize(layers: number, experts: number, hidden: number): '20b' | '120b' | null {
  if (hidden !== 2880) return null;
  if (layers === 24 && experts === 32) return '20b';
  if (layers === 36 && experts === 128) return '120b';
  return null;
}

/** A folder with config.json and safetensors, in the Hugging Face or the `original/` layout. Null: no checkpoint. */
export function describeFolder(folder: string, root: string): Described | null {
  const config = readJson(join(folder, 'config.json'), root);
  if (config === null) return null;
  const original = typeof config['num_experts'] === 'number' && config['model_type'] === undefined;
  if (config['model_type'] !== 'gpt_oss' && !original) return null;
  const names = shardNames(folder, root);
  if (names.length === 0) return null; // only a configuration: nothing to run
  let bytes = 0;
  const missing: string[] = [];
  for (const name of names) {
    const real = insideStore(join(folder, name), root);
    if (real === null) missing.push(name);
    else bytes += statSync(real).size;
  }
  const quantised =
    (config['quantization_config'] as Record<string, unknown> | undefined)?.['quant_method'] === 'mxfp4';
  const number = (...keys: string[]): number =>
    Number(keys.map((key) => config[key]).find((v) => v !== undefined) ?? 0);
  return {
    isGptOss: true,
    format: original ? 'safetensors-original' : 'safetensors',
    quantisation: quantised || original ? 'MXFP4 + BF16' : 'BF16',
    size: modelSize(number('num_hidden_layers'), number('num_local_experts', 'num_experts'), number('hidden_size')),
    bytes,
    problem: missing.length === 0 ? null : `${missing.length} of ${names.length} files missing (${missing[0]})`,
  };
}

function shardNames(folder: string, root: string): string[] {
  const index = readJson(join(folder, 'model.safetensors.index.json'), root);
  const map = index?.['weight_map'];
  if (typeof map === 'object' && map !== null) {
    const names = new Set(Object.values(map).filter((v): v is string => typeof v === 'string'));
    return [...names].filter((name) => /^[\w.-]+$/.test(name)).sort();
  }
  try {
    return readdirSync(folder).filter((name) => name.endsWith('.safetensors'));
  } catch {
    return [];
  }
}

function readJson(path: string, root: string): Record<string, unknown> | null {
  const real = insideStore(path, root);
  if (real === null) return null;
  try {
    const stat = statSync(real);
    if (!stat.isFile() || stat.size > MAX_JSON_BYTES) return null;
    const value: unknown = JSON.parse(readFileSync(real, 'utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}
