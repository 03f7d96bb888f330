// Files as ByteSource and a sink for writers, with Node's fs. Regular files only: a FIFO or device could block or never
// end, so they are refused before the first read. Symbolic links are followed (Hugging Face's cache is made of them).

import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { GptOssError } from '../errors.ts';
import { type ByteSink, checkRange } from './bytes.ts';
import { printable } from './messages.ts';
import type { ByteSource } from './tensor.ts';

/** Turns an errno of the file system into our codes. */
export function fileError(path: string, cause: unknown): GptOssError {
  const what = printable(path);
  const errno = (cause as NodeJS.ErrnoException).code;
  if (errno === 'ENOENT' || errno === 'ENOTDIR')
    return new GptOssError('not-found', `${what} does not exist; expected a file or folder; check the path`, { cause });
  if (errno === 'EACCES' || errno === 'EPERM')
    return new GptOssError('io', `${what} may not be read or written by this user; change its permissions`, { cause });
  if (errno === 'EISDIR')
    return new GptOssError('io', `${what} is a folder; expected a file; check the path`, { cause });
  if (errno === 'EROFS')
    return new GptOssError('io', `${what} lies on a read-only file system; choose another place`, { cause });
  if (errno === 'ELOOP')
    return new GptOssError('io', `${what} is a symbolic link that leads to itself; expected a file; remove the link`, {
      cause,
    });
  if (errno === 'ENOSPC' || errno === 'EDQUOT')
    return new GptOssError('io', `no space left while writing ${what}; free some space and try again`, { cause });
  return new GptOssError('io', `${what} could not be read or written (${errno ?? String(cause)}); check the disk`, {
    cause,
  });
}

/** Opens a regular file for reading. */
export function openFile(path: string): ByteSource {
  const absolute = resolve(path);
  let fd: number;
  let size: number;
  try {
    checkRegular(absolute, statSync(absolute)); // before open: opening a FIFO would wait for a writer
    fd = openSync(absolute, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (cause) {
    throw cause instanceof GptOssError ? cause : fileError(path, cause);
  }
  try {
    const stat = fstatSync(fd); // again: the name may lead elsewhere by now
    checkRegular(absolute, stat);
    size = stat.size;
  } catch (cause) {
    closeSync(fd);
    throw cause instanceof GptOssError ? cause : fileError(path, cause);
  }
  const name = printable(basename(absolute));
  let open = true;
  return {
    name,
    path: absolute,
    size,
    read(offset, length) {
      checkRange(name, size, offset, length);
      if (!open) throw new GptOssError('internal', `${name} is closed; open the checkpoint again`);
      const bytes = new Uint8Array(length);
      let done = 0;
      while (done < length) {
        let n: number;
        try {
          n = readSync(fd, bytes, done, Math.min(length - done, 1 << 30), offset + done);
        } catch (cause) {
          throw fileError(name, cause);
        }
        if (n === 0) {
          throw new GptOssError(
            'bad-checkpoint',
            `${name} became shorter while it was read; expected ${size} bytes; do not change a model in use`,
          );
        }
        done += n;
      }
      return bytes;
    },
    close() {
      if (open) closeSync(fd);
      open = false;
    },
  };
}

function checkRegular(path: string, stat: { isFile(): boolean; isDirectory(): boolean }): void {
  if (stat.isFile()) return;
  const what = stat.isDirectory() ? 'a folder' : 'a device, pipe or socket';
  throw new GptOssError(
    'bad-checkpoint',
    `${printable(path)} is ${what}; expected a regular file; give the path of a model file`,
  );
}

/** Writes to `path` by way of `path.part`, so that a half-written file never carries the real name. */
export function createFile(path: string): ByteSink {
  const absolute = resolve(path);
  const part = `${absolute}.part`;
  let fd: number;
  try {
    mkdirSync(dirname(absolute), { recursive: true });
    fd = openSync(part, 'w');
  } catch (cause) {
    throw fileError(path, cause);
  }
  let open = true;
  const close = (): void => {
    if (open) closeSync(fd);
    open = false;
  };
  return {
    write(bytes) {
      try {
        for (let done = 0; done < bytes.length; )
          done += writeSync(fd, bytes, done, Math.min(bytes.length - done, 1 << 30));
      } catch (cause) {
        throw fileError(path, cause);
      }
    },
    finish() {
      try {
        fsyncSync(fd); // the name must not be on disk before the bytes
        close(); // may be where a full disk or a network file system reports
        renameSync(part, absolute);
      } catch (cause) {
        throw fileError(path, cause);
      }
    },
    discard() {
      try {
        close();
      } catch {
        // What could not be written is thrown away.
      }
      rmSync(part, { force: true });
    },
  };
}
