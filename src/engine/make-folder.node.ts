// Makes a folder with all that lead to it. Node's own recursive mkdir never ends where a folder exists in which nothing can be
// made (as /proc); here that is an error like any other. Owns nothing else.

import { mkdirSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

/** Throws what the file system says; a folder that is there already is fine. */
export function makeFolder(path: string, mode = 0o700): void {
  const folder = resolve(path);
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() === true) return;
  if (dirname(folder) !== folder) makeFolder(dirname(folder), mode);
  try {
    mkdirSync(folder, { mode });
  } catch (error) {
    const isThere = (error as NodeJS.ErrnoException).code === 'EEXIST' && statSync(folder).isDirectory();
    if (!isThere) throw error; // another process may have been first
  }
}
