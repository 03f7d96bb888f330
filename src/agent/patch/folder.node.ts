// Owns: the one folder that patches may touch. Every part of a path below it is looked at: links, devices, pipes, `..`,
// absolute paths and `.git` (whose hooks are programs) are refused. New files are written beside their places first and
// moved there when all of them are; when a move fails, those before it are taken back.
// Refuses: what is no UTF-8 text, and files over 8 MiB. Other programs that swap folders for links meanwhile are not
// guarded against: the folder belongs to its user. Next: patch-tool.ts.

import { constants, type Stats } from 'node:fs';
import { link, lstat, mkdir, open, realpath, rename, rm, rmdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { GptOssError } from '../../errors.ts';
import { PatchError } from './patch-text.ts';
import type { PatchFolder } from './patch-tool.ts';

const MOST_BYTES = 8 * 2 ** 20;

/** Throws `not-found` when there is no such folder. */
export async function openPatchFolder(path: string): Promise<PatchFolder> {
  try {
    const root = await realpath(path);
    if (!(await lstat(root)).isDirectory()) throw new Error('it is a file');
    return new NodeFolder(root);
  } catch (cause) {
    throw new GptOssError('not-found', `cannot use ${path}; expected a folder to edit in; name another`, { cause });
  }
}

class NodeFolder implements PatchFolder {
  readonly name: string;

  constructor(root: string) {
    this.name = root;
  }

  async read(path: string): Promise<string | null> {
    const { file, stats } = await this.#locate(path);
    if (stats === null) return null;
    const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const opened = await handle.stat();
      if (!opened.isFile()) throw new PatchError(`Not a regular file: ${path}`);
      if (opened.size > MOST_BYTES) throw new PatchError(`Too large to edit (over ${MOST_BYTES} bytes): ${path}`);
      const bytes = await handle.readFile();
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch (error) {
      if (error instanceof TypeError) throw new PatchError(`Not a file of UTF-8 text: ${path}`);
      throw error;
    } finally {
      await handle.close();
    }
  }

  async write(files: ReadonlyMap<string, string | null>): Promise<void> {
    const undo: (() => Promise<unknown>)[] = [];
    const leftovers: string[] = [];
    try {
      const moves: { readonly file: string; readonly staged: string | null; readonly old: string | null }[] = [];
      let n = 0;
      const mark = `.patch-${process.pid}-${Date.now().toString(36)}`;
      for (const [path, text] of files) {
        const { file: place, stats } = await this.#locate(path);
        await this.#makeFolders(dirname(path), undo);
        const beside = (kind: string): string => join(dirname(place), `${mark}-${n++}.${kind}`);
        let staged: string | null = null;
        if (text !== null) {
          staged = beside('new');
          const file = staged;
          leftovers.push(file);
          undo.push(() => rm(file, { force: true }));
          const handle = await open(staged, 'wx', stats === null ? 0o666 : stats.mode & 0o777);
          try {
            await handle.writeFile(text);
            if (stats !== null) await handle.chmod(stats.mode & 0o777);
          } finally {
            await handle.close();
          }
        }
        moves.push({ file: place, staged, old: stats === null ? null : beside('old') });
      }
      for (const { file, staged, old } of moves) {
        if (old !== null) {
          leftovers.push(old);
          await rename(file, old);
          undo.push(() => rename(old, file));
        }
        if (staged !== null) {
          // `link` fails where a file has appeared since; `rename` would write over it.
          await link(staged, file).catch((error: NodeJS.ErrnoException) => {
            if (error.code === 'EEXIST') throw error;
            return rename(staged, file); // a file system without links
          });
          undo.push(() => rm(file));
        }
      }
    } catch (error) {
      for (const step of undo.reverse()) await step().catch(() => undefined);
      if (error instanceof PatchError) throw error;
      const why = (error as NodeJS.ErrnoException).code ?? String(error);
      throw new PatchError(`Nothing was changed: the files cannot be written (${why}).`);
    } finally {
      for (const file of leftovers) await rm(file, { force: true }).catch(() => undefined);
    }
  }

  /** The place of a path; stats null: nothing is there. Throws for all that is not below the folder. */
  async #locate(path: string): Promise<{ file: string; stats: Stats | null }> {
    const parts = partsOf(path);
    let file = this.name;
    for (const [i, part] of parts.entries()) {
      file = join(file, part);
      const stats = await statsOf(file, path);
      if (stats === null) return { file: join(this.name, ...parts), stats: null };
      if (stats.isSymbolicLink()) throw new PatchError(`Links are not followed: ${path}`);
      const isLast = i === parts.length - 1;
      if (isLast && !stats.isFile()) throw new PatchError(`Not a regular file: ${path}`);
      if (!isLast && !stats.isDirectory()) throw new PatchError(`Not a folder: ${parts.slice(0, i + 1).join('/')}`);
      if (isLast) return { file, stats };
    }
    throw new PatchError(`Not a path: ${path}`);
  }

  async #makeFolders(path: string, undo: (() => Promise<unknown>)[]): Promise<void> {
    let folder = this.name;
    for (const part of path.split('/').filter((each) => each !== '' && each !== '.')) {
      folder = join(folder, part);
      const stats = await statsOf(folder, path);
      if (stats === null) {
        const made = folder;
        await mkdir(made);
        undo.push(() => rmdir(made));
      } else if (!stats.isDirectory()) throw new PatchError(`Not a folder: ${basename(folder)}`);
    }
  }
}

function partsOf(path: string): string[] {
  const refuse = (why: string): never => {
    throw new PatchError(`${why}: ${JSON.stringify(path.slice(0, 200))}`);
  };
  if (path.length > 1024) refuse('The path is too long');
  if (/[\0-\x1f\x7f]/.test(path)) refuse('A path holds no control characters');
  if (/^[/\\~]|^[A-Za-z]:/.test(path)) refuse('Only relative paths inside the working folder can be edited');
  if (path.includes('\\')) refuse('Paths are written with /');
  if (path.endsWith('/')) refuse('Not a file');
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.length === 0) refuse('Not a file');
  for (const part of parts) {
    if (part === '..') refuse('Only paths inside the working folder can be edited');
    if (/^\.git\.?\s*$/i.test(part)) refuse('The .git folder is not edited');
  }
  return parts;
}

async function statsOf(file: string, path: string): Promise<Stats | null> {
  try {
    return await lstat(file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return null;
    throw new PatchError(`Cannot be reached (${code}): ${path}`);
  }
}
