// The journal of a run: a file of JSON lines, the first of which says what the run is. A record is written in one piece, and
// a line that a kill cut off is dropped, so the file is right whenever the process ends. A run that is told something else
// is refused, with what differs.

import { closeSync, existsSync, ftruncateSync, mkdirSync, openSync, readFileSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { GptOssError } from '../errors.ts';
import { fileError } from '../formats/file.node.ts';
import { type Journal, parseRecord, type SampleRecord } from './record.ts';

const FORMAT = 1;

/** Of a heading: words for people, which may change (how many threads there were). */
const DESCRIBES = 'answerer';

export type Heading = Readonly<Record<string, unknown>>;

export class JournalFile implements Journal {
  readonly done: ReadonlyMap<string, SampleRecord>;
  readonly path: string;
  readonly #fd: number;

  private constructor(path: string, fd: number, done: ReadonlyMap<string, SampleRecord>) {
    this.path = path;
    this.#fd = fd;
    this.done = done;
  }

  /** Opens `folder`/samples.jsonl, or begins it. Throws `invalid-request` when it is of another run. */
  static open(folder: string, heading: Heading): JournalFile {
    const path = join(folder, 'samples.jsonl');
    const told = JSON.parse(JSON.stringify({ format: FORMAT, ...heading })) as Heading;
    let done = new Map<string, SampleRecord>();
    let fd: number;
    try {
      mkdirSync(folder, { recursive: true });
      if (existsSync(path)) {
        if (!statSync(path).isFile()) {
          throw new GptOssError('invalid-request', `${path} is no file; expected one of an evaluation; remove it`);
        }
        const bytes = readFileSync(path);
        const end = bytes.lastIndexOf(10) + 1;
        const [first, ...lines] = bytes.subarray(0, end).toString('utf8').split('\n');
        if (first !== undefined && first !== '') {
          checkHeading(path, first, told);
          done = recordsOf(lines);
        }
        fd = openSync(path, 'r+');
        ftruncateSync(fd, end);
        if (end === 0) writeAll(fd, `${JSON.stringify(told)}\n`, 0);
      } else {
        fd = openSync(path, 'w');
        writeAll(fd, `${JSON.stringify(told)}\n`, 0);
      }
      closeSync(fd);
      fd = openSync(path, 'a');
    } catch (cause) {
      throw cause instanceof GptOssError ? cause : fileError(path, cause);
    }
    return new JournalFile(path, fd, done);
  }

  append(record: SampleRecord): void {
    try {
      writeAll(this.#fd, `${JSON.stringify(record)}\n`, null);
    } catch (cause) {
      throw fileError(this.path, cause);
    }
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/** A finished or unfinished run, to count it again or to compare with. */
export function readJournal(folder: string): { readonly heading: Heading; readonly records: readonly SampleRecord[] } {
  const path = join(folder, 'samples.jsonl');
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw fileError(path, cause);
  }
  const [first = '', ...lines] = text.split('\n');
  let heading: unknown = null;
  try {
    heading = JSON.parse(first);
  } catch {
    // said below
  }
  if (typeof heading !== 'object' || heading === null || (heading as Heading)['format'] !== FORMAT) {
    throw new GptOssError('invalid-request', `${path} is no journal of an evaluation; expected the folder of a run`);
  }
  return { heading: heading as Heading, records: [...recordsOf(lines).values()] };
}

/** A later record of a sample replaces an earlier one. */
function recordsOf(lines: readonly string[]): Map<string, SampleRecord> {
  const records = new Map<string, SampleRecord>();
  for (const line of lines) {
    const record = parseRecord(line);
    if (record !== null) records.set(record.key, record);
  }
  return records;
}

function checkHeading(path: string, line: string, told: Heading): void {
  let found: Heading | null = null;
  try {
    found = JSON.parse(line) as Heading | null;
  } catch {
    // no journal of ours
  }
  const keys = [...new Set([...Object.keys(told), ...Object.keys(found ?? {})])].filter((key) => key !== DESCRIBES);
  const differing = keys.filter((key) => JSON.stringify(told[key]) !== JSON.stringify(found?.[key]));
  if (differing.length === 0) return;
  throw new GptOssError(
    'invalid-request',
    `${path} was begun with other settings (${differing.slice(0, 4).join(', ')}); expected the same ones to go on; use them, or another --out`,
  );
}

function writeAll(fd: number, text: string, position: number | null): void {
  const bytes = Buffer.from(text, 'utf8');
  let written = 0;
  while (written < bytes.length) {
    written += writeSync(fd, bytes, written, bytes.length - written, position === null ? null : position + written);
  }
}
