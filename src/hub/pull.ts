// A planned download into the Hugging Face cache layout, so that Python tools share it: blobs by hash, snapshots of links,
// refs. Two pulls of the same file cooperate through a lock. Also verify (every blob against its name) and remove.
// What to fetch: plan.ts. How one file comes over the network: fetch.ts.

import { createHash } from 'node:crypto';
import {
  copyFileSync,
  createReadStream,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { lock } from 'proper-lockfile';
import { GptOssError } from '../errors.ts';
import { insideStore } from './describe-found.ts';
import { fetchFile } from './fetch.ts';
import { HttpClient } from './http.ts';
import { type DownloadPlan, planDownload, type RemoteFile, type Wanted } from './plan.ts';
import type { HubSettings } from './roots.ts';

export interface PullProgress {
  readonly file: string;
  readonly bytes: number; // of all files, on disk
  readonly total: number;
}

export interface PullOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: PullProgress) => void;
  readonly connections?: number;
  readonly segmentBytes?: number;
  readonly retries?: number;
  readonly backoffMs?: number;
  readonly http?: HttpClient;
  /** Called while another process fetches the same file. */
  readonly onWait?: (file: string) => void;
}

export interface PullResult {
  readonly path: string; // the snapshot folder, or the one GGUF file that was asked for
  readonly plan: DownloadPlan;
  readonly transferred: number; // bytes over the network
}

export async function pull(wanted: Wanted, settings: HubSettings, options: PullOptions = {}): Promise<PullResult> {
  if (settings.offline) {
    throw new GptOssError('io', 'HF_HUB_OFFLINE is set; expected to be allowed on the network; unset it to download');
  }
  const http = options.http ?? new HttpClient();
  try {
    const plan = await planDownload(wanted, settings, http, options.signal);
    return await fetchPlan(plan, settings, http, options);
  } finally {
    if (options.http === undefined) await http.close();
  }
}

export function repositoryFolder(repository: string, settings: HubSettings): string {
  return join(settings.hfCache, `models--${repository.replace('/', '--')}`);
}

async function fetchPlan(
  plan: DownloadPlan,
  settings: HubSettings,
  http: HttpClient,
  options: PullOptions,
): Promise<PullResult> {
  const repo = repositoryFolder(plan.repository, settings);
  const blobs = join(repo, 'blobs');
  const locks = join(settings.hfCache, '.locks', basename(repo));
  for (const folder of [blobs, locks, join(repo, 'refs')]) mkdirSync(folder, { recursive: true });
  checkSpace(plan, blobs);
  let done = 0;
  let transferred = 0;
  // Small files first: a broken network shows before 12 GB are under way.
  for (const file of [...plan.files].sort((a, b) => a.size - b.size)) {
    const target = join(blobs, file.blob);
    const report = (bytes: number): void =>
      options.onProgress?.({ file: file.path, bytes: done + bytes, total: plan.bytes });
    if (!isWhole(target, file)) {
      const release = await acquire(
        join(locks, `${file.blob}.gptoss`),
        () => options.onWait?.(file.path),
        options.signal,
      );
      try {
        if (!isWhole(target, file)) {
          const url = `${settings.endpoint}/${plan.repository}/resolve/${plan.commit}/${file.path.split('/').map(encodeURIComponent).join('/')}`;
          const { signal, connections, segmentBytes, retries, backoffMs } = options;
          transferred += await fetchFile(url, file, target, {
            http,
            token: settings.token,
            onProgress: report,
            ...(signal && { signal }),
            ...(connections && { connections }),
            ...(segmentBytes && { segmentBytes }),
            ...(retries !== undefined && { retries }),
            ...(backoffMs !== undefined && { backoffMs }),
          });
        }
      } finally {
        await release();
      }
    }
    linkIntoSnapshot(repo, plan, file);
    done += file.size;
    report(0);
  }
  if (plan.revision !== plan.commit)
    writeAtomically(join(repo, 'refs', plan.revision.replaceAll('/', '--')), plan.commit);
  const snapshot = join(repo, 'snapshots', plan.commit);
  const first = plan.files.map((file) => file.path).sort()[0];
  const single = plan.files.every((file) => file.path.endsWith('.gguf'));
  return { path: single ? join(snapshot, first) : snapshot, plan, transferred };
}

/** A blob bears its name only after its hash was right; its size is enough here (verify reads everything). */
function isWhole(target: string, file: RemoteFile): boolean {
  return existsSync(target) && statSync(target).size === file.size;
}

function checkSpace(plan: DownloadPlan, folder: string): void {
  let missing = 0;
  for (const file of plan.files) {
    const target = join(folder, file.blob);
    if (isWhole(target, file)) continue;
    const partial = `${target}.gptoss.incomplete`;
    missing += file.size - (existsSync(partial) ? allocated(partial) : 0);
  }
  const { bavail, bsize } = statfsSync(folder);
  const free = bavail * bsize;
  if (missing > 0 && missing + (64 << 20) > free) {
    throw new GptOssError(
      'io',
      `${(missing / 1e9).toFixed(1)} GB are needed in ${folder} and ${(free / 1e9).toFixed(1)} GB are free; expected enough space; free some or set HF_HUB_CACHE to another disk`,
    );
  }
}

function allocated(path: string): number {
  return statSync(path).blocks * 512;
}

async function acquire(path: string, onWait: () => void, signal?: AbortSignal): Promise<() => Promise<void>> {
  for (let tries = 0; ; tries++) {
    try {
      // Stale after 15 s without a sign of life: a killed process leaves its lock behind.
      return await lock(path, { realpath: false, stale: 15_000, update: 3_000 });
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'ELOCKED') {
        throw new GptOssError(
          'io',
          `the lock ${path} cannot be taken; expected a writable cache folder; check its permissions`,
          { cause },
        );
      }
    }
    if (tries === 0) onWait();
    if (signal?.aborted)
      throw new GptOssError('aborted', 'stopped while waiting for another download of the same file');
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

function linkIntoSnapshot(repo: string, plan: DownloadPlan, file: RemoteFile): void {
  const link = join(repo, 'snapshots', plan.commit, ...file.path.split('/'));
  const blob = join(repo, 'blobs', file.blob);
  const way = relative(dirname(link), blob);
  mkdirSync(dirname(link), { recursive: true });
  if (lstatSync(link, { throwIfNoEntry: false })?.isSymbolicLink() && readlinkSync(link) === way) return;
  rmSync(link, { force: true });
  try {
    symlinkSync(way, link);
  } catch {
    copyFileSync(blob, link); // systems and users without links, as huggingface_hub does
  }
}

function writeAtomically(path: string, text: string): void {
  const temporary = `${path}.${process.pid}.tmp`;
  writeFileSync(temporary, text);
  renameSync(temporary, path);
}

export interface Verified {
  readonly file: string;
  readonly bytes: number;
  /** Null: as it should be. */
  readonly problem: string | null;
}

/** Reads every file of a snapshot and compares it with the hash that its blob is named after. */
export async function* verifySnapshot(folder: string, onBytes?: (bytes: number) => void): AsyncGenerator<Verified> {
  const repo = dirname(dirname(folder));
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isDirectory()) continue;
    const path = join(entry.parentPath, entry.name);
    const file = relative(folder, path);
    const real = insideStore(path, repo);
    if (real === null) {
      yield { file, bytes: 0, problem: 'the link leads nowhere or outside the cache' };
      continue;
    }
    const name = basename(real);
    const bytes = statSync(real).size;
    const kind = /^[0-9a-f]{64}$/.test(name) ? 'sha256' : /^[0-9a-f]{40}$/.test(name) ? 'git-sha1' : null;
    if (kind === null) {
      yield { file, bytes, problem: 'it is a copy without a known hash' };
      continue;
    }
    const digest = createHash(kind === 'sha256' ? 'sha256' : 'sha1');
    if (kind === 'git-sha1') digest.update(`blob ${bytes}\0`);
    for await (const piece of createReadStream(real, { highWaterMark: 4 << 20 })) {
      digest.update(piece as Buffer);
      onBytes?.((piece as Buffer).length);
    }
    const found = digest.digest('hex');
    yield {
      file,
      bytes,
      problem: found === name ? null : `its ${kind} is ${found.slice(0, 12)}…; expected ${name.slice(0, 12)}…`,
    };
  }
}

/** Removes a repository from the cache, or only what is left of unfinished downloads. Returns freed bytes. */
export function removeRepository(repository: string, settings: HubSettings): number {
  const repo = repositoryFolder(repository, settings);
  if (!existsSync(repo)) {
    throw new GptOssError(
      'not-found',
      `${repository} is not in the cache; expected the name of a downloaded repository; see \`gptoss models\``,
    );
  }
  let freed = 0;
  for (const entry of readdirSync(repo, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) freed += statSync(join(entry.parentPath, entry.name)).size;
  }
  rmSync(repo, { recursive: true, force: true });
  rmSync(join(settings.hfCache, '.locks', basename(repo)), { recursive: true, force: true });
  return freed;
}
