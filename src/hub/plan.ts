// What to fetch for a word such as `gpt-oss-20b` or `hf:org/repo@revision:file`: repository, commit and just the files
// that are needed (never the 41 GB whole repository with its three copies of the weights). Asks the hub for names, sizes
// and hashes; downloads nothing. Next: fetch.ts (one file), pull.ts (all of them, into the cache).

import { type ListFileEntry, listFiles, modelInfo } from '@huggingface/hub';
import { GptOssError } from '../errors.ts';
import type { HttpClient } from './http.ts';
import type { HubSettings } from './roots.ts';

export interface RemoteFile {
  readonly path: string; // inside the repository
  readonly size: number; // bytes
  /** Name of its blob in the cache: sha256 of a large file, git's sha1 of a small one. */
  readonly blob: string;
  readonly hash: 'sha256' | 'git-sha1';
}

export interface DownloadPlan {
  readonly repository: string; // org/name
  readonly revision: string; // as asked
  readonly commit: string; // 40 hex digits
  readonly files: readonly RemoteFile[];
  readonly bytes: number;
}

export interface Wanted {
  readonly repository: string;
  readonly revision: string;
  /** A file or folder of the repository; null = what a checkpoint needs. */
  readonly file: string | null;
}

/** The published homes of the two models. */
const published: Readonly<Record<string, { safetensors: string; gguf: string }>> = {
  'gpt-oss-20b': { safetensors: 'openai/gpt-oss-20b', gguf: 'ggml-org/gpt-oss-20b-GGUF' },
  'gpt-oss-120b': { safetensors: 'openai/gpt-oss-120b', gguf: 'ggml-org/gpt-oss-120b-GGUF' },
};

export function parseWanted(word: string, options: { gguf?: boolean } = {}): Wanted {
  const known = published[word.toLowerCase().replace(/^openai\//, '')];
  if (known !== undefined) {
    return { repository: options.gguf ? known.gguf : known.safetensors, revision: 'main', file: null };
  }
  const match = /^(?:hf:)?([\w.-]+\/[\w.-]+)(?:@([\w./-]+))?(?::([^:]+))?$/.exec(word);
  const parts = [match?.[1], match?.[2] ?? '', match?.[3] ?? ''].flatMap((part) => (part ?? '').split('/'));
  if (match === null || parts.some((part) => part === '..' || part === '.')) {
    throw new GptOssError(
      'invalid-request',
      `"${word}" names no repository; expected gpt-oss-20b, gpt-oss-120b or hf:org/repo[@revision][:file]; check the spelling`,
    );
  }
  return { repository: match[1], revision: match[2] ?? 'main', file: match[3] ?? null };
}

export async function planDownload(
  wanted: Wanted,
  settings: HubSettings,
  http: HttpClient,
  signal?: AbortSignal,
): Promise<DownloadPlan> {
  const common = {
    hubUrl: settings.endpoint,
    // Not the library's accessToken: it insists on hf_…, which the tokens of other hubs need not begin with.
    fetch: http.fetch(settings.endpoint, settings.token, signal),
  };
  const entries: ListFileEntry[] = [];
  let commit: string;
  try {
    const info = await modelInfo({
      name: wanted.repository,
      revision: wanted.revision,
      additionalFields: ['sha'],
      ...common,
    });
    commit = info.sha;
    for await (const entry of listFiles({ repo: wanted.repository, revision: commit, recursive: true, ...common })) {
      if (entry.type === 'file') entries.push(entry);
      if (entries.length > 10_000) break;
    }
  } catch (cause) {
    throw hubError(cause, wanted, settings);
  }
  if (!/^[0-9a-f]{40}$/.test(commit)) throw unusable(wanted, `its commit is "${commit}"`);
  const files = choose(entries, wanted).map((entry) => remoteFile(entry, wanted));
  if (files.length === 0) {
    throw new GptOssError(
      'not-found',
      `${wanted.repository} has no ${wanted.file ?? 'gpt-oss weights'}; expected one of ${entries
        .slice(0, 12)
        .map((e) => e.path)
        .join(', ')}; check the name`,
    );
  }
  return {
    repository: wanted.repository,
    revision: wanted.revision,
    commit,
    files,
    bytes: files.reduce((sum, f) => sum + f.size, 0),
  };
}

/** Configuration, tokenizer, template and one copy of the weights. */
const companions =
  /^(config|generation_config|tokenizer|tokenizer_config|special_tokens_map|model\.safetensors\.index)\.json$|^chat_template\.jinja$|^(LICENSE|USAGE_POLICY|README\.md)$/;

function choose(entries: readonly ListFileEntry[], wanted: Wanted): ListFileEntry[] {
  const { file } = wanted;
  if (file !== null) {
    const exact = entries.filter((entry) => entry.path === file);
    if (exact.length > 0) return withSplitParts(exact[0], entries);
    return entries.filter((entry) => entry.path.startsWith(`${file.replace(/\/$/, '')}/`));
  }
  const safetensors = entries.filter((entry) => /^[^/]+\.safetensors$/.test(entry.path));
  if (safetensors.length > 0)
    return entries.filter((entry) => companions.test(entry.path) || safetensors.includes(entry));
  const gguf = entries.filter((entry) => entry.path.endsWith('.gguf'));
  const best = gguf.find((entry) => /mxfp4/i.test(entry.path)) ?? (gguf.length === 1 ? gguf[0] : undefined);
  if (best !== undefined) return withSplitParts(best, entries);
  if (gguf.length > 1) {
    throw new GptOssError(
      'invalid-request',
      `${wanted.repository} holds ${gguf.length} GGUF files; expected one to be named; say hf:${wanted.repository}:FILE with one of ${gguf
        .slice(0, 20)
        .map((e) => e.path)
        .join(', ')}`,
    );
  }
  return [];
}

function withSplitParts(first: ListFileEntry, entries: readonly ListFileEntry[]): ListFileEntry[] {
  const match = /^(.*)-\d{5}-of-(\d{5})\.gguf$/.exec(first.path);
  if (match === null) return [first];
  return entries.filter((entry) => {
    const other = /^(.*)-\d{5}-of-(\d{5})\.gguf$/.exec(entry.path);
    return other !== null && other[1] === match[1] && other[2] === match[2];
  });
}

function remoteFile(entry: ListFileEntry, wanted: Wanted): RemoteFile {
  const { path, size, lfs, oid } = entry;
  const parts = path.split('/');
  const safe = !/[\0\\]/.test(path) && parts.every((part) => part !== '' && part !== '.' && part !== '..');
  const blob = lfs?.oid ?? oid ?? '';
  const hash = lfs === undefined ? 'git-sha1' : 'sha256';
  const bytes = lfs?.size ?? size;
  if (!safe) throw unusable(wanted, `it lists a file ${JSON.stringify(path)}`);
  if (!(hash === 'sha256' ? /^[0-9a-f]{64}$/ : /^[0-9a-f]{40}$/).test(blob))
    throw unusable(wanted, `${path} has the hash "${blob}"`);
  if (!Number.isSafeInteger(bytes) || bytes < 0) throw unusable(wanted, `${path} has the size ${bytes}`);
  return { path, size: bytes, blob, hash };
}

function unusable(wanted: Wanted, what: string): GptOssError {
  return new GptOssError(
    'io',
    `the hub's answer about ${wanted.repository} cannot be used: ${what}; expected a Hugging Face hub; check HF_ENDPOINT`,
  );
}

function hubError(cause: unknown, wanted: Wanted, settings: HubSettings): GptOssError {
  if (cause instanceof GptOssError) return cause;
  const status = (cause as { statusCode?: number }).statusCode;
  if (status === 404) {
    return new GptOssError(
      'not-found',
      `${wanted.repository}@${wanted.revision} is not on ${settings.endpoint}; expected an existing repository and revision; check the name`,
      { cause },
    );
  }
  if (status === 401 || status === 403) {
    return new GptOssError(
      'io',
      `${settings.endpoint} refuses access to ${wanted.repository} (${status}); expected a public repository or a valid HF_TOKEN; log in or correct the token`,
      { cause },
    );
  }
  return new GptOssError(
    'io',
    `${settings.endpoint} did not answer about ${wanted.repository} (${status ?? (cause as Error).message}); expected the hub's API; check the network, proxy and HF_ENDPOINT`,
    { cause },
  );
}
