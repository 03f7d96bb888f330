// Writing where it cannot work: read-only folders, full disks. Each is one clear error, and nothing is left behind
// under the real name.

import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { GptOssError } from '../errors.ts';
import { createFile, fileError } from './file.node.ts';

const user = process.getuid?.() ?? null;
const hasFullDevice = process.platform === 'linux' && existsSync('/dev/full');

describe('createFile', () => {
  let root = '';
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'gptoss-write-'));
  });
  afterEach(() => {
    rmSync(root, { recursive: true, force: true });
  });

  it.skipIf(user === null)('says that a folder is read-only (needs POSIX permissions)', () => {
    const folder = join(root, 'read-only');
    mkdirSync(folder, { mode: 0o555 });
    chmodSync(root, 0o755);
    const problem = asOrdinaryUser(() => refusal(() => createFile(join(folder, 'model.gguf'))));
    expect(problem).toMatchObject({ code: 'io', message: expect.stringMatching(/model\.gguf.*permissions/) });
    expect(readdirSync(folder)).toEqual([]);
  });

  it('says that a file system is read-only', () => {
    const cause = Object.assign(new Error('EROFS'), { code: 'EROFS' });
    expect(fileError('model.gguf', cause)).toMatchObject({ code: 'io', message: expect.stringMatching(/read-only/) });
  });

  it.skipIf(!hasFullDevice)('says that the disk is full, and keeps nothing (needs /dev/full)', () => {
    const path = join(root, 'model.gguf');
    symlinkSync('/dev/full', `${path}.part`); // every write to it fails as on a full disk
    const sink = createFile(path);
    const problem = refusal(() => sink.write(new Uint8Array(100)));
    expect(problem).toMatchObject({ code: 'io', message: expect.stringMatching(/no space left.*free some space/) });
    sink.discard();
    expect(readdirSync(root)).toEqual([]);
  });

  it('can be discarded after it could not be finished', () => {
    const path = join(root, 'model.gguf');
    const sink = createFile(path);
    sink.write(new Uint8Array(3));
    mkdirSync(path); // a folder took the name meanwhile
    expect(refusal(() => sink.finish()).code).toBe('io');
    sink.discard();
    sink.discard();
    expect(readdirSync(root)).toEqual(['model.gguf']);
  });
});

function refusal(f: () => unknown): GptOssError {
  try {
    f();
  } catch (error) {
    if (error instanceof GptOssError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

/** Root may write anywhere, so root steps down for the moment. */
function asOrdinaryUser<T>(f: () => T): T {
  if (user !== 0) return f();
  process.seteuid!(65_534);
  try {
    return f();
  } finally {
    process.seteuid!(0);
  }
}
