// A Folder over memory: a browser that has fetched the files, and tests. The one on disk is in checkpoint.node.ts.

import { GptOssError } from '../errors.ts';
import { memorySource } from './bytes.ts';
import { printable } from './messages.ts';
import type { Folder } from './open.ts';

/** Keys are names; a key with a slash is a file in a folder inside, such as "original/config.json". */
export function memoryFolder(name: string, files: ReadonlyMap<string, Uint8Array>): Folder {
  return {
    name,
    path: name,
    list: () => [...new Set([...files.keys()].map((key) => key.split('/')[0]))],
    open(file) {
      const bytes = files.get(file);
      if (bytes === undefined)
        throw new GptOssError(
          'not-found',
          `${printable(file)} is missing in ${printable(name)}; expected it there; get the whole folder`,
        );
      return memorySource(printable(file), bytes);
    },
    folder(inner) {
      const prefix = `${inner}/`;
      const inside = [...files].filter(([key]) => key.startsWith(prefix));
      if (inside.length === 0) return null;
      return memoryFolder(inner, new Map(inside.map(([key, bytes]) => [key.slice(prefix.length), bytes])));
    },
  };
}
