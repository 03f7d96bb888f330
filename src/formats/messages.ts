// Words shared by the readers of hostile files: names from files and paths are cut and made printable before they enter
// a message, so that every error is one clear line.

import { GptOssError } from '../errors.ts';

/** Text without control characters, at most `limit` long (the end of a path says more than its beginning). */
export function printable(text: string, limit = 300): string {
  const line = text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, '?');
  return line.length > limit ? `…${line.slice(1 - limit)}` : line;
}

/** A name from a file, in quotes. */
export function shown(text: string): string {
  const line = printable(text, Infinity);
  return `"${line.length > 80 ? `${line.slice(0, 79)}…` : line}"`;
}

export function damaged(name: string, what: string): GptOssError {
  return new GptOssError(
    'bad-checkpoint',
    `${name}: ${what}; the file is damaged or not what its name says, get it again`,
  );
}

/** Parses UTF-8 JSON whose top level must be an object. `name` is for messages. */
export function parseJsonObject(name: string, bytes: Uint8Array): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new GptOssError(
      'bad-checkpoint',
      `${name} does not hold valid JSON; expected an object; the file is damaged, get it again`,
      { cause },
    );
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw damaged(name, 'its JSON is not an object');
  return value as Record<string, unknown>;
}
