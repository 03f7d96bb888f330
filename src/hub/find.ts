// Models already on this disk, whoever put them there: Hugging Face's cache, Ollama's blob store, LM Studio, llama.cpp's
// cache, our own store. Nothing is copied and nothing outside a store is opened. A damaged store entry is listed with its
// problem, never an exception. Layouts: README of each program, collected in docs/your-model.md. Next: resolve.ts.

import { type Dirent, existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type Described, describeFolder, describeGguf, insideStore, isLaterSplit } from './describe-found.ts';
import type { HubSettings } from './roots.ts';

export type Store = 'gptoss' | 'huggingface' | 'ollama' | 'lmstudio' | 'llama.cpp';

export interface FoundModel extends Omit<Described, 'isGptOss'> {
  /** A word for `--model`: `hf:openai/gpt-oss-20b`, `ollama:gpt-oss:20b`, `lmstudio:publisher/repo/file.gguf`, … */
  readonly id: string;
  readonly store: Store;
  /** What openCheckpoint takes. */
  readonly path: string;
}

const MAX_DEPTH = 6;
const MAX_ENTRIES = 20_000; // of one store: a home folder full of links must not hold up the start

export function findModels(settings: HubSettings): FoundModel[] {
  const found = [
    ...findLoose(join(settings.home, 'models'), 'gptoss', 'own:'),
    ...findHuggingFace(settings.hfCache),
    ...settings.ollama.flatMap(findOllama),
    ...settings.lmStudio.flatMap((root) => findLoose(root, 'lmstudio', 'lmstudio:')),
    ...settings.llamaCpp.flatMap((root) => findLoose(root, 'llama.cpp', 'llama.cpp:')),
  ];
  const seen = new Set<string>();
  return found.filter(({ path }) => !seen.has(path) && seen.add(path));
}

function list(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch {
    return []; // absent or not ours to read
  }
}

function named(described: Described, id: string, store: Store, path: string): FoundModel[] {
  if (!described.isGptOss) return [];
  const { isGptOss: _, ...rest } = described;
  return [{ id, store, path, ...rest }];
}

/** Folders of GGUF files and checkpoint folders at any depth. */
function findLoose(root: string, store: Store, prefix: string): FoundModel[] {
  const found: FoundModel[] = [];
  let budget = MAX_ENTRIES;
  const walk = (folder: string, way: string, depth: number): void => {
    const described = describeFolder(folder, root);
    if (described !== null && way !== '') found.push(...named(described, prefix + way, store, folder));
    for (const entry of list(folder)) {
      if (budget-- <= 0) return;
      const path = join(folder, entry.name);
      const here = way === '' ? entry.name : `${way}/${entry.name}`;
      if (entry.name.endsWith('.gguf')) {
        if (!isLaterSplit(entry.name)) found.push(...named(describeGguf(path, root), prefix + here, store, path));
      } else if (entry.isDirectory() && depth < MAX_DEPTH)
        walk(path, here, depth + 1); // links are not followed
      else if (/\.gguf\.(downloadInProgress|part|incomplete)$/.test(entry.name) && /gpt-?oss/i.test(entry.name)) {
        found.push(unfinished(prefix + here, store, path));
      }
    }
  };
  walk(root, '', 0);
  return found;
}

function unfinished(id: string, store: Store, path: string): FoundModel {
  let bytes = 0;
  try {
    bytes = statSync(path).size;
  } catch {
    // a file that vanished while we looked
  }
  return {
    id,
    store,
    path,
    format: 'gguf',
    quantisation: '?',
    size: null,
    bytes,
    problem: 'its download is not finished',
  };
}

function findHuggingFace(root: string): FoundModel[] {
  return list(root)
    .filter((entry) => entry.name.startsWith('models--') && entry.isDirectory())
    .flatMap((entry) => findRepository(join(root, entry.name), entry.name.slice('models--'.length).replace('--', '/')));
}

/** One repository of the Hugging Face cache: the snapshot of refs/main, else the newest one. */
function findRepository(repo: string, name: string): FoundModel[] {
  const snapshot = snapshotFolder(repo);
  const unfinishedBlobs = list(join(repo, 'blobs')).filter((entry) => entry.name.endsWith('.incomplete'));
  const id = `hf:${name}`;
  if (snapshot === null) {
    if (!/gpt-?oss/i.test(name) || unfinishedBlobs.length === 0) return [];
    return [unfinished(id, 'huggingface', join(repo, 'blobs', unfinishedBlobs[0].name))];
  }
  const found: FoundModel[] = [];
  for (const [folder, suffix] of [
    [snapshot, ''],
    [join(snapshot, 'original'), ':original'],
  ] as const) {
    const described = describeFolder(folder, repo);
    if (described === null) continue;
    const problem =
      described.problem ??
      (unfinishedBlobs.length > 0 && described.bytes === 0 ? 'its download is not finished' : null);
    found.push(...named({ ...described, problem }, id + suffix, 'huggingface', folder));
  }
  const walk = (folder: string, way: string, depth: number): void => {
    for (const entry of list(folder)) {
      const path = join(folder, entry.name);
      if (entry.name.endsWith('.gguf') && !isLaterSplit(entry.name))
        found.push(...named(describeGguf(path, repo), `${id}:${way}${entry.name}`, 'huggingface', path));
      else if (entry.isDirectory() && depth < MAX_DEPTH) walk(path, `${way}${entry.name}/`, depth + 1);
    }
  };
  walk(snapshot, '', 0);
  return found;
}

export function snapshotFolder(repo: string, revision = 'main'): string | null {
  const snapshots = join(repo, 'snapshots');
  const names = list(snapshots)
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name);
  if (names.includes(revision)) return join(snapshots, revision);
  try {
    if (/^[\w.-]+$/.test(revision)) {
      const commit = readFileSync(join(repo, 'refs', revision), 'utf8').trim();
      if (/^[0-9a-f]{40}$/.test(commit) && names.includes(commit)) return join(snapshots, commit);
    }
  } catch {
    // no such ref: fall through to any snapshot
  }
  return revision === 'main' && names.length > 0 ? join(snapshots, names[names.length - 1]) : null;
}

interface OllamaLayer {
  readonly mediaType: string;
  readonly digest: string;
}

/** manifests/{host}/{namespace}/{model}/{tag} name the blob of media type `…image.model`. */
function findOllama(root: string): FoundModel[] {
  const manifests = join(root, 'manifests');
  const found: FoundModel[] = [];
  let budget = MAX_ENTRIES;
  const walk = (folder: string, way: readonly string[]): void => {
    for (const entry of list(folder)) {
      if (budget-- <= 0) return;
      const path = join(folder, entry.name);
      if (entry.isDirectory() && way.length < 5) walk(path, [...way, entry.name]);
      else if (entry.isFile() && way.length >= 2) found.push(...readManifest(root, path, [...way, entry.name]));
    }
  };
  if (existsSync(manifests)) walk(manifests, []);
  return found;
}

function readManifest(root: string, path: string, way: readonly string[]): FoundModel[] {
  const [host, namespace, ...rest] = way;
  const tag = rest.pop() ?? 'latest';
  const model = rest.join('/');
  const short =
    host === 'registry.ollama.ai'
      ? namespace === 'library'
        ? model
        : `${namespace}/${model}`
      : `${host}/${namespace}/${model}`;
  const id = `ollama:${short}:${tag}`;
  const looksOurs = /gpt-?oss/i.test(id);
  const broken = (problem: string): FoundModel[] =>
    looksOurs ? [{ id, store: 'ollama', path, format: 'gguf', quantisation: '?', size: null, bytes: 0, problem }] : [];
  let layers: OllamaLayer[];
  try {
    if (statSync(path).size > 1 << 20) return broken('its manifest is too large');
    const manifest = JSON.parse(readFileSync(path, 'utf8')) as { layers?: unknown } | null;
    const raw = Array.isArray(manifest?.layers) ? manifest.layers : [];
    layers = raw.filter(
      (l): l is OllamaLayer =>
        typeof l === 'object' && l !== null && typeof l.mediaType === 'string' && typeof l.digest === 'string',
    );
  } catch {
    return broken('its manifest is not JSON');
  }
  const weights = layers.find((layer) => layer.mediaType === 'application/vnd.ollama.image.model');
  if (weights === undefined) return broken('its manifest names no model');
  const digest = /^sha256[:-]([0-9a-f]{64})$/.exec(weights.digest);
  if (digest === null) return broken('its manifest names a malformed digest');
  const blob = join(root, 'blobs', `sha256-${digest[1]}`);
  if (insideStore(blob, root) === null)
    return broken(existsSync(blob) ? 'its blob leads outside the store' : 'its blob is missing');
  return named(describeGguf(blob, root), id, 'ollama', blob);
}

/** A short name for lists: the last part of the repository or file. */
export function displayName(model: FoundModel): string {
  return model.size === null ? basename(model.path) : `gpt-oss-${model.size}`;
}
