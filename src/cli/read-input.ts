// Prompts and token lists from arguments, files and standard input. All of it is outside data: sizes are bounded before
// anything is read, text must be text, ids must be whole numbers (their range is checked against the vocabulary later).

import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { GptOssError } from '../errors.ts';
import type { RunCommand } from './arguments.ts';
import { type Context, UsageError } from './context.ts';

/** Far beyond any context: 131,072 tokens are about 0.6 MB of text. */
const MOST_BYTES = 64 << 20;

export async function readPrompt(command: RunCommand, context: Context): Promise<string> {
  const parts: string[] = [];
  if (command.prompt !== null) parts.push(command.prompt);
  else if (command.files.length === 0) parts.push(await readStdin(context));
  for (const file of command.files) parts.push(file === '-' ? await readStdin(context) : readText(file));
  const prompt = parts.join('\n\n').replace(/\n+$/, '');
  if (prompt.trim() === '') throw new UsageError('the prompt is empty');
  return prompt;
}

export function readTokens(path: string): number[] {
  let value: unknown;
  const json = readText(path);
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw new GptOssError(
      'invalid-request',
      `${path} is not JSON; expected an array of token ids; write it as [1, 2, 3]`,
      {
        cause,
      },
    );
  }
  if (!Array.isArray(value) || value.length === 0 || !value.every(isId)) {
    throw new GptOssError(
      'invalid-request',
      `${path} is no list of token ids; expected a JSON array of whole numbers, at least one; write it as [1, 2, 3]`,
    );
  }
  return value;
}

function isId(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 2 ** 31;
}

function readText(path: string): string {
  let bytes: Uint8Array;
  try {
    const file = openSync(path, 'r');
    try {
      if (fstatSync(file).isDirectory()) {
        throw new GptOssError('invalid-request', `${path} is a folder; expected a file of text; name one in it`);
      }
      bytes = readAll(file, path);
    } finally {
      closeSync(file);
    }
  } catch (cause) {
    if (cause instanceof GptOssError) throw cause;
    const isMissing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    throw new GptOssError(
      isMissing ? 'not-found' : 'io',
      `${path} ${isMissing ? 'does not exist' : 'cannot be read'}; expected a readable file; check the path`,
      { cause },
    );
  }
  return decode(bytes, path);
}

/** Pipes and devices have no size of their own, so the bound is kept while reading. */
function readAll(file: number, name: string): Uint8Array {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const chunk = new Uint8Array(1 << 16);
    const read = readSync(file, chunk);
    if (read === 0) return Buffer.concat(chunks);
    size += read;
    if (size > MOST_BYTES) throw tooLong(name);
    chunks.push(chunk.subarray(0, read));
  }
}

async function readStdin({ stdin, terminal, signal }: Context): Promise<string> {
  if (stdin.isTTY) terminal.err.write('Type the prompt; end with Ctrl-D on a line of its own.\n');
  const chunks: Buffer[] = [];
  let size = 0;
  const stop = (): unknown => stdin.destroy();
  signal.addEventListener('abort', stop);
  try {
    for await (const chunk of stdin) {
      const bytes = Buffer.from(chunk as Buffer | string);
      size += bytes.length;
      if (size > MOST_BYTES) throw tooLong('standard input');
      chunks.push(bytes);
    }
  } catch (cause) {
    if (cause instanceof GptOssError) throw cause;
    throw new GptOssError('io', 'standard input cannot be read; expected text; give the prompt as an argument', {
      cause,
    });
  } finally {
    signal.removeEventListener('abort', stop);
  }
  return decode(Buffer.concat(chunks), 'standard input');
}

function tooLong(name: string): GptOssError {
  return new GptOssError('invalid-request', `${name} is larger than 64 MB; expected a prompt; cut it down`);
}

function decode(bytes: Uint8Array, name: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new GptOssError('invalid-request', `${name} is not UTF-8 text; expected text; convert it first`, { cause });
  }
}
