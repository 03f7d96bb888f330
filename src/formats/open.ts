// Opens a checkpoint from anything that looks like a folder: what the files are is decided by their content. Validation
// happens here, once: all tensors present with the right shapes, a sane configuration, a vocabulary that fits; what comes
// after may rely on it. File access is handed in (checkpoint.node.ts on disk; a browser brings its own Folder).
// Next: config-read.ts, layouts/, tokenizer-data.ts.

import { GptOssError } from '../errors.ts';
import type { Checkpoint, ModelTensors, TokenizerData } from './checkpoint.ts';
import type { ModelConfig } from './config.ts';
import { configFromGguf, configFromHuggingFace, configFromOriginal } from './config-read.ts';
import { type GgufFile, type GgufValue, looksLikeGguf, readGguf } from './gguf.ts';
import { findSplitSet, joinSplitSet } from './gguf-split.ts';
import { EntryTable } from './layouts/entries.ts';
import { ggufTensors } from './layouts/gguf.ts';
import { huggingFaceTensors, isHuggingFaceLayout } from './layouts/huggingface.ts';
import { isOriginalLayout, originalTensors } from './layouts/original.ts';
import { damaged, parseJsonObject, printable, shown } from './messages.ts';
import { looksLikeSafetensors, readSafetensors } from './safetensors.ts';
import { stopIdsOf } from './stop-ids.ts';
import type { ByteSource, TensorEntry } from './tensor.ts';
import { tokenizerFromGguf, tokenizerFromJson } from './tokenizer-data.ts';

/** A folder, real or not. Names are plain: no separators. */
export interface Folder {
  readonly name: string; // for messages
  readonly path: string;
  /** Names of files and folders directly inside. */
  list(): readonly string[];
  /** Throws `not-found` when there is no such file. */
  open(name: string): ByteSource;
  /** A folder inside, or null. */
  folder(name: string): Folder | null;
}

type Json = Record<string, unknown>;

// Caps on files that are read whole; the real ones are 27.9 MB, 60 KB and 20 KB.
const MAX_TOKENIZER_BYTES = 64 << 20;
const MAX_JSON_BYTES = 16 << 20;
const MAX_TEMPLATE_BYTES = 4 << 20;
const MAX_NOTES_BYTES = 1 << 20;
const MAX_SHARDS = 1000;
const MAX_SNIFFED = 256; // files of one folder looked into
const NOT_WEIGHTS = /\.(json|txt|md|jinja|py|model|gitattributes|part|incomplete|lock|metadata)$/i;
const NOTES = 'CHAT_FORMAT.md';
const INDEX = 'model.safetensors.index.json';

/** Sources opened so far, to be closed when opening fails. */
class Opened {
  readonly sources: ByteSource[] = [];

  open(folder: Folder, name: string): ByteSource {
    const source = folder.open(name);
    this.sources.push(source);
    return source;
  }

  close(): void {
    for (const source of this.sources) source.close();
  }
}

/** Opens `file` inside `folder`, or what the folder holds when `file` is null. */
export function openCheckpointIn(folder: Folder, file: string | null = null): Checkpoint {
  const opened = new Opened();
  try {
    return file === null ? openFolder(folder, opened) : openNamed(folder, file, opened);
  } catch (cause) {
    opened.close();
    throw cause;
  }
}

function openNamed(folder: Folder, file: string, opened: Opened): Checkpoint {
  const kind = kindOf(folder, file);
  if (kind === 'gguf') return openGguf(folder, opened.open(folder, file), opened);
  const shards = indexedShards(folder);
  return openSafetensors(folder, folder, shards?.includes(file) ? shards : [file], opened);
}

function kindOf(folder: Folder, file: string): 'gguf' | 'safetensors' {
  const source = folder.open(file);
  try {
    if (source.size === 0) throw damaged(file, 'the file is empty');
    if (looksLikeGguf(source)) return 'gguf';
    if (looksLikeSafetensors(source)) return 'safetensors';
    throw damaged(file, 'its first bytes are neither those of a safetensors nor of a GGUF file');
  } finally {
    source.close();
  }
}

function openFolder(folder: Folder, opened: Opened): Checkpoint {
  const shards = indexedShards(folder);
  if (shards !== null) return openSafetensors(folder, folder, shards, opened);
  const { safetensors, gguf } = sniff(folder);
  if (safetensors.length > 0 && folder.list().includes('config.json'))
    return openSafetensors(folder, folder, safetensors, opened);
  if (gguf.length > 0) {
    const first = findSplitSet(gguf) ?? (gguf.length === 1 ? gguf[0] : null);
    if (first === null) {
      throw new GptOssError(
        'bad-checkpoint',
        `${printable(folder.path)} holds ${gguf.length} GGUF models (${gguf.slice(0, 4).map(shown).join(', ')}); expected one; give the path of the file`,
      );
    }
    return openGguf(folder, opened.open(folder, first), opened);
  }
  const original = folder.folder('original');
  if (original?.list().includes('config.json')) {
    return openSafetensors(original, folder, indexedShards(original) ?? sniff(original).safetensors, opened);
  }
  const found = safetensors.length > 0 ? 'weights but no config.json' : 'no model';
  throw new GptOssError(
    'bad-checkpoint',
    `${printable(folder.path)} holds ${found}; expected config.json with safetensors, or a GGUF file; check the path`,
  );
}

/** The files of the index, or null when there is none. */
function indexedShards(folder: Folder): string[] | null {
  if (!folder.list().includes(INDEX)) return null;
  const { weight_map: map } = readJson(folder, INDEX, MAX_JSON_BYTES);
  if (typeof map !== 'object' || map === null || Array.isArray(map))
    throw damaged(INDEX, 'weight_map is not an object');
  const names = new Set<string>();
  for (const name of Object.values(map)) {
    if (typeof name !== 'string' || !isPlainName(name))
      throw damaged(INDEX, 'weight_map names something that is not a plain file name');
    names.add(name);
    if (names.size > MAX_SHARDS) throw damaged(INDEX, `it names more than ${MAX_SHARDS} files`);
  }
  if (names.size === 0) throw damaged(INDEX, 'weight_map is empty');
  return [...names].sort();
}

function isPlainName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !/[/\\\0:]/.test(name);
}

function sniff(folder: Folder): { safetensors: string[]; gguf: string[] } {
  const safetensors: string[] = [];
  const gguf: string[] = [];
  const names = folder.list().filter((name) => !name.startsWith('.') && !NOT_WEIGHTS.test(name));
  for (const name of [...names].sort().slice(0, MAX_SNIFFED)) {
    if (folder.folder(name) !== null) continue;
    let source: ByteSource;
    try {
      source = folder.open(name);
    } catch {
      continue; // a pipe, a dangling link: not a model, and nobody asked for it by name
    }
    try {
      if (looksLikeGguf(source)) gguf.push(name);
      else if (looksLikeSafetensors(source) && !/^adapter/.test(name)) safetensors.push(name);
    } finally {
      source.close();
    }
  }
  return { safetensors: ownShards(safetensors), gguf };
}

/** Folders may hold other tensors (test data, optimizer states): the usual names win over the rest. */
function ownShards(names: string[]): string[] {
  if (names.includes('model.safetensors')) return ['model.safetensors'];
  const shards = names.filter((name) => /^model-.*\d+-of-\d+/.test(name));
  return shards.length > 0 ? shards : names;
}

/** Reads a whole small file; null when it does not exist. */
function readSmall(folder: Folder, name: string, maxBytes: number): Uint8Array | null {
  if (!folder.list().includes(name)) return null;
  const source = folder.open(name);
  try {
    if (source.size > maxBytes) throw damaged(name, `it has ${source.size} bytes; expected at most ${maxBytes}`);
    return source.read(0, source.size);
  } finally {
    source.close();
  }
}

function readJson(folder: Folder, name: string, maxBytes: number): Json {
  const bytes = readSmall(folder, name, maxBytes);
  if (bytes === null)
    throw new GptOssError(
      'not-found',
      `${name} is missing in ${printable(folder.path)}; expected it beside the weights; get the whole folder`,
    );
  return parseJsonObject(name, bytes);
}

const optionalJson = (folder: Folder, name: string): Json | null =>
  folder.list().includes(name) ? readJson(folder, name, MAX_JSON_BYTES) : null;

/** `home` holds config.json and the weights; tokenizer and template may lie in `outer` (the folder around `original/`). */
function openSafetensors(home: Folder, outer: Folder, files: readonly string[], opened: Opened): Checkpoint {
  const entries: TensorEntry[] = [];
  for (const file of files) entries.push(...readSafetensors(opened.open(home, file)).entries);
  const table = new EntryTable(files.length === 1 ? files[0] : home.name, entries);
  const json = readJson(home, 'config.json', MAX_JSON_BYTES);
  const where = 'config.json';
  const original = isOriginalLayout(table);
  if (!original && !isHuggingFaceLayout(table)) {
    const first = entries.length === 0 ? 'no tensors at all' : `tensors such as ${shown(entries[0].name)}`;
    throw damaged(table.file, `it holds ${first}, which no gpt-oss layout begins with`);
  }
  const config = original ? configFromOriginal(json, where) : configFromHuggingFace(json, where);
  const tensors = original
    ? originalTensors(table, config)
    : huggingFaceTensors(table, config, json['tie_word_embeddings'] === true);
  const generation = optionalJson(outer, 'generation_config.json');
  const metadata = generation === null ? { config: json } : { config: json, generationConfig: generation };
  return finish({
    path: home.path,
    format: original ? 'safetensors-original' : 'safetensors',
    name: folderName(outer),
    config,
    tensors,
    entries,
    chatTemplate: huggingFaceTemplate(outer),
    chatNotes: chatNotes(outer),
    metadata,
    opened,
    namedStops: [generation?.['eos_token_id'], json['eos_token_id']],
    readTokenizer() {
      const bytes = readSmall(outer, 'tokenizer.json', MAX_TOKENIZER_BYTES);
      return bytes === null ? null : tokenizerFromJson(bytes, 'tokenizer.json', config.vocab);
    },
  });
}

/** `org/name` for a snapshot of Hugging Face's cache, whose last folder is a commit. */
function folderName(folder: Folder): string {
  const cached = /models--([^/\\]+?)--([^/\\]+)[/\\]snapshots[/\\][^/\\]+$/.exec(folder.path);
  return cached === null ? folder.name : `${cached[1]}/${cached[2]}`;
}

function huggingFaceTemplate(folder: Folder): string | null {
  const file = readSmall(folder, 'chat_template.jinja', MAX_TEMPLATE_BYTES);
  if (file !== null) return new TextDecoder().decode(file);
  const template = optionalJson(folder, 'tokenizer_config.json')?.['chat_template'];
  if (typeof template === 'string') return template;
  if (!Array.isArray(template)) return null;
  const named = template.find(
    (t: unknown) => typeof t === 'object' && t !== null && (t as Json)['name'] === 'default',
  ) as Json | undefined;
  return typeof named?.['template'] === 'string' ? named['template'] : null;
}

function chatNotes(folder: Folder): string | null {
  if (!folder.list().includes(NOTES)) return null;
  const source = folder.open(NOTES);
  try {
    return source.size > MAX_NOTES_BYTES ? null : new TextDecoder().decode(source.read(0, source.size));
  } finally {
    source.close();
  }
}

function openGguf(folder: Folder, source: ByteSource, opened: Opened): Checkpoint {
  const first = readGguf(source);
  const { gguf, entries } = joinSplitSet(source, first, (name) => opened.open(folder, name));
  const table = new EntryTable(source.name, entries);
  const embedding = table.find(['token_embd.weight']);
  if (embedding.shape.length !== 2) throw damaged(source.name, 'token_embd.weight is not a matrix');
  const config = configFromGguf(gguf, embedding.shape[0], source.name);
  const tensors = ggufTensors(table, config);
  const text = (key: string): string | null => {
    const value = gguf.fields.get(key)?.value;
    return typeof value === 'string' ? value : null;
  };
  return finish({
    path: source.path ?? folder.path,
    format: 'gguf',
    name: text('general.name') ?? source.name.replace(/\.gguf$/i, ''),
    config,
    tensors,
    entries,
    chatTemplate: text('tokenizer.chat_template'),
    chatNotes: chatNotes(folder),
    metadata: Object.fromEntries([...gguf.fields].map(([key, field]) => [key, field.value])),
    opened,
    namedStops: ['tokenizer.ggml.eos_token_id', 'tokenizer.ggml.eos_token_ids', 'tokenizer.ggml.eot_token_id'].map(
      (key) => idList(gguf, key),
    ),
    readTokenizer: () => tokenizerFromGguf(gguf, source.name, config.vocab),
  });
}

function idList(gguf: GgufFile, key: string): unknown {
  const value: GgufValue | undefined = gguf.fields.get(key)?.value;
  if (typeof value !== 'object') return value;
  return value.type !== 'string' && value.count <= 64 ? [...value.numbers()] : [];
}

interface Parts extends Omit<Checkpoint, 'tokenizer' | 'stopIds' | 'sources' | 'close'> {
  readonly config: ModelConfig;
  readonly tensors: ModelTensors;
  readonly opened: Opened;
  readonly namedStops: readonly unknown[];
  readTokenizer(): TokenizerData | null;
}

function finish({ opened, namedStops, readTokenizer, ...parts }: Parts): Checkpoint {
  let tokenizer: TokenizerData | null | undefined;
  let stopIds: readonly number[] | undefined;
  return {
    ...parts,
    get tokenizer() {
      if (tokenizer === undefined) tokenizer = readTokenizer();
      return tokenizer;
    },
    get stopIds() {
      stopIds ??= stopIdsOf(namedStops, this.tokenizer, parts.config.vocab);
      return stopIds;
    },
    sources: opened.sources,
    close: () => opened.close(),
  };
}
