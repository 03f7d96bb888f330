// `openCheckpoint(path)`: a file or folder on disk, whatever it is called. Only the file system is handled here; what
// the files mean is in open.ts.

import { readdirSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { GptOssError } from '../errors.ts';
import type { Checkpoint } from './checkpoint.ts';
import { fileError, openFile } from './file.node.ts';
import { printable } from './messages.ts';
import { type Folder, openCheckpointIn } from './open.ts';

export function openCheckpoint(path: string): Checkpoint {
  if (path === '' || path.includes('\0'))
    throw new GptOssError(
      'not-found',
      'the model path is empty or holds a NUL; expected a file or folder; check the path',
    );
  const absolute = resolve(path);
  let isFolder: boolean;
  try {
    isFolder = statSync(absolute).isDirectory();
  } catch (cause) {
    throw fileError(path, cause);
  }
  if (isFolder) return openCheckpointIn(diskFolder(absolute));
  return openCheckpointIn(diskFolder(dirname(absolute)), basename(absolute));
}

/** A folder on disk. Listed once, when first needed: what appears later is not seen. */
export function diskFolder(path: string): Folder {
  let names: readonly string[] | null = null;
  return {
    name: printable(basename(path) || path),
    path,
    list() {
      if (names === null) {
        try {
          names = readdirSync(path);
        } catch (cause) {
          throw fileError(path, cause);
        }
      }
      return names;
    },
    open: (name) => openFile(join(path, name)),
    folder(name) {
      const inner = join(path, name);
      return statSync(inner, { throwIfNoEntry: false })?.isDirectory() ? diskFolder(inner) : null;
    },
  };
}
