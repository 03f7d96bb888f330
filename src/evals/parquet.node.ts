// A parquet file as rows, read by hyparquet on a thread of its own: a damaged file can keep a reader busy for ever or fill the
// memory, so the thread has a limit of both and is ended at it. Next: rows.node.ts.

import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { Row } from './rows.ts';

const SOURCE = `
const { workerData, parentPort } = require('node:worker_threads');
const { path, wanted, hyparquet, codecs } = workerData;
(async () => {
  const { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects, parquetSchema } = await import(hyparquet);
  const { compressors } = await import(codecs);
  const file = await asyncBufferFromFile(path);
  const metadata = await parquetMetadataAsync(file);
  const there = parquetSchema(metadata).children.map(({ element }) => element.name);
  const columns = (wanted ?? []).filter((name) => there.includes(name));
  const rows = await parquetReadObjects({ file, metadata, compressors, ...(columns.length === 0 ? {} : { columns }) });
  parentPort.postMessage({ rows });
})().catch((error) => parentPort.postMessage({ error: String(error?.message ?? error) }));
`;

const MOST_MEGABYTES = 4096;

/** `wanted`: only these columns, where the file has them. Rejects with a plain Error that says what is wrong. */
export async function parquetRows(path: string, wanted: readonly string[] | undefined, mostMs: number): Promise<Row[]> {
  const require = createRequire(import.meta.url);
  const urlOf = (name: string): string => pathToFileURL(require.resolve(name)).href;
  const worker = new Worker(SOURCE, {
    eval: true,
    workerData: { path, wanted, hyparquet: urlOf('hyparquet'), codecs: urlOf('hyparquet-compressors') },
    resourceLimits: { maxOldGenerationSizeMb: MOST_MEGABYTES },
  });
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    return await new Promise<Row[]>((resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`nothing after ${mostMs / 1000} seconds`)), mostMs);
      worker.once('message', ({ rows, error }: { rows?: Row[]; error?: string }) => {
        if (rows === undefined) reject(new Error(error));
        else resolve(rows);
      });
      worker.once('error', reject);
      worker.once('exit', () => reject(new Error('its reader ended')));
    });
  } finally {
    clearTimeout(timer);
    await worker.terminate();
  }
}
