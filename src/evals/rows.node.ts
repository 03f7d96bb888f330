// Questions from files that others made: JSON lines, JSON, CSV (with or without a header) and parquet, a file or a folder of
// them, or a data set that lies in the hub's cache. Nothing of it is ours to bundle. Every reader is somebody else's, well
// kept (csv-parse, hyparquet); what is wrong with a file is said with its name. Next: benchmarks/.

import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { parse } from 'csv-parse/sync';
import { GptOssError } from '../errors.ts';
import { fileError } from '../formats/file.node.ts';
import { parquetRows } from './parquet.node.ts';
import { FILE, type Row, type RowsOf } from './rows.ts';

export interface Rows {
  readonly rows: readonly Row[];
  /** Of everything that was read: equal data, equal hash. */
  readonly hash: string;
  readonly files: readonly string[];
}

const KINDS = ['.jsonl', '.ndjson', '.json', '.csv', '.parquet'];
const MOST_BYTES = 2 ** 30;
const PARQUET_MS = 300_000;
const MOST_FILES = 2_000;

export async function readRows(path: string, of: RowsOf): Promise<Rows> {
  const files = filesOf(path, of.files);
  const rows: Row[] = [];
  const hash = createHash('sha256');
  for (const file of files) {
    for (const row of await rowsOf(file, of)) {
      const plain = plainRow(row);
      hash.update(JSON.stringify(plain));
      rows.push({ ...plain, [FILE]: basename(file) });
    }
  }
  if (rows.length === 0) {
    throw new GptOssError('invalid-request', `${path} holds no questions; expected at least one row; check the file`);
  }
  return { rows, hash: hash.digest('hex'), files };
}

/** The newest snapshot of one of these data sets in the hub's cache; null: none is there. */
export function cachedDataset(hfCache: string, names: readonly string[]): string | null {
  for (const name of names) {
    const snapshots = join(hfCache, `datasets--${name.replaceAll('/', '--')}`, 'snapshots');
    try {
      const newest = readdirSync(snapshots)
        .map((entry) => join(snapshots, entry))
        .sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs)[0];
      if (newest !== undefined) return newest;
    } catch {
      // not in the cache
    }
  }
  return null;
}

const isReadable = (path: string): boolean => KINDS.includes(extname(path.replace(/\.gz$/, '')).toLowerCase());

function filesOf(path: string, wanted: RegExp): string[] {
  let isFolder: boolean;
  try {
    isFolder = statSync(path).isDirectory();
    if (!isFolder && !statSync(path).isFile())
      throw new GptOssError('invalid-request', `${path} is neither a file nor a folder`);
  } catch (cause) {
    throw cause instanceof GptOssError ? cause : fileError(path, cause);
  }
  if (!isFolder) {
    if (isReadable(path)) return [path];
    throw new GptOssError(
      'invalid-request',
      `${path} is of no known kind; expected ${KINDS.join(', ')}, also .gz; convert it`,
    );
  }
  const found = readdirSync(path, { recursive: true, encoding: 'utf8' })
    .filter((name) => isReadable(name) && !/(^|[\\/])(\.|README|dataset_infos?\.json)/.test(name))
    .sort();
  const fitting = found.filter((name) => wanted.test(name.replaceAll('\\', '/')));
  const files = fitting.length > 0 ? fitting : found;
  if (files.length === 0 || files.length > MOST_FILES) {
    throw new GptOssError(
      files.length === 0 ? 'not-found' : 'invalid-request',
      `${path} holds ${files.length} files of questions; expected ${KINDS.join(', ')}; name the file itself`,
    );
  }
  return files.map((name) => join(path, name));
}

async function rowsOf(path: string, of: RowsOf): Promise<readonly Row[]> {
  const kind = extname(path.replace(/\.gz$/, '')).toLowerCase();
  try {
    if (statSync(path).size > MOST_BYTES) throw new GptOssError('invalid-request', `${path} is larger than 1 GiB`);
    if (kind === '.parquet') return await parquetRows(path, of.columns, of.parquetMs ?? PARQUET_MS);
    const bytes = readFileSync(path);
    const text = new TextDecoder('utf-8', { fatal: true }).decode(
      path.endsWith('.gz') ? gunzipSync(bytes, { maxOutputLength: MOST_BYTES }) : bytes,
    );
    if (kind === '.csv') return csvRows(text, of.headless);
    return kind === '.json' ? jsonRows(text) : jsonLines(text);
  } catch (cause) {
    if (cause instanceof GptOssError) throw cause;
    if (typeof (cause as NodeJS.ErrnoException).syscall === 'string') throw fileError(path, cause);
    throw new GptOssError(
      'invalid-request',
      `${path} cannot be read as ${kind.slice(1)} (${(cause as Error).message}); expected a whole file; fetch it again`,
      { cause },
    );
  }
}

function jsonLines(text: string): Row[] {
  return text.split('\n').flatMap((line, i) => {
    if (line.trim() === '') return [];
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch {
      throw new Error(`line ${i + 1} is no JSON`);
    }
    if (typeof value !== 'object' || value === null) throw new Error(`line ${i + 1} is no object`);
    return [value as Row];
  });
}

/** A list of objects, also under a name such as `data` or `rows`. */
function jsonRows(text: string): readonly Row[] {
  const value: unknown = JSON.parse(text);
  const list = Array.isArray(value) ? value : Object.values((value ?? {}) as object).find(Array.isArray);
  if (!Array.isArray(list)) throw new Error('there is no list in it');
  return list.map((row: { row?: Row } & Row) => row.row ?? row);
}

function csvRows(text: string, headless: readonly string[] | undefined): Row[] {
  const lines = parse(text, { bom: true, skip_empty_lines: true, relax_column_count: true }) as string[][];
  const first = lines[0] ?? [];
  const isHeader =
    headless === undefined || headless.every((name) => first.some((cell) => cell.toLowerCase() === name));
  const header = isHeader ? first : headless!;
  return lines
    .slice(isHeader ? 1 : 0)
    .map((cells) => Object.fromEntries(header.map((name, i) => [name, cells[i] ?? ''])));
}

/** Parquet gives 64-bit integers as BigInt; they are small here. */
function plainRow(row: Row): Row {
  return JSON.parse(
    JSON.stringify(row, (_, value: unknown) => (typeof value === 'bigint' ? Number(value) : value)),
  ) as Row;
}
