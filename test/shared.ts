// Where the golden data lies that is not part of this repository: a `shared` folder beside it.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../shared/', import.meta.url));

/** Absolute path of something under `../shared`. */
export function sharedPath(...parts: string[]): string {
  return root + parts.join('/');
}

/** Whether golden data is present; tests that need it skip with this reason when it is not. */
export function hasShared(...parts: string[]): boolean {
  return existsSync(sharedPath(...parts));
}

/** Absolute path of a file in this repository. */
export function repoPath(...parts: string[]): string {
  return fileURLToPath(new URL('../', import.meta.url)) + parts.join('/');
}

/** The seed: a small foreign checkpoint whose answers tests know, whatever model ships with the package. Served under the
 *  name of its folder, `tiny`. */
export const seedModel = repoPath('test', 'fixtures', 'tiny');
