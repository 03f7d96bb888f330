// Owns: files that tools made, written where their user says. Their names come from the code of a model: they stay below
// the folder, nothing is written over, links are not followed. Next: chat/chat.ts.

import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve, sep } from 'node:path';
import type { ToolFile } from '../../agent/tool.ts';
import { GptOssError } from '../../errors.ts';

/** Returns the paths that were written. */
export function saveFiles(files: readonly ToolFile[], folder: string): string[] {
  const root = resolve(folder);
  return files.map(({ name, bytes }) => {
    const path = resolve(root, name);
    if (!path.startsWith(root + sep)) {
      throw new GptOssError(
        'io',
        `the file ${name} would lie outside of ${folder}; expected it inside; it was not saved`,
      );
    }
    try {
      mkdirSync(dirname(path), { recursive: true });
      return written(path, bytes);
    } catch (cause) {
      throw new GptOssError('io', `cannot write ${path}; expected a folder that can be written; choose another`, {
        cause,
      });
    }
  });
}

/** A name that is taken gets a number. */
function written(path: string, bytes: Uint8Array): string {
  for (let n = 1; ; n++) {
    const candidate = n === 1 ? path : numbered(path, n);
    try {
      writeFileSync(candidate, bytes, { flag: 'wx' });
      return candidate;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || n >= 1000) throw error;
    }
  }
}

function numbered(path: string, n: number): string {
  const folder = dirname(path);
  const name = path.slice(folder.length + 1);
  const dot = name.lastIndexOf('.');
  return join(folder, dot <= 0 ? `${name}-${n}` : `${name.slice(0, dot)}-${n}${name.slice(dot)}`);
}
