// The process in which pages are read: one at a time, as page-reader.node.ts sends them. A thread beside the parser ends the
// process when it takes more memory than it may, because the parser itself does not come up for air.

import { Worker } from 'node:worker_threads';
import type { PageSource } from './page.ts';
import { pageOf } from './page-text.ts';
import { pdfText } from './pdf.ts';

export type ReadJob =
  | { readonly kind: 'page'; readonly source: PageSource; readonly viewSource: boolean }
  | { readonly kind: 'pdf'; readonly bytes: Uint8Array };

export type ReadAnswer = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly why: string };

const mostBytes = Number(process.argv[2]) * 2 ** 20;
const watch = `
  const { workerData } = require('node:worker_threads');
  setInterval(() => process.memoryUsage.rss() > workerData && process.kill(process.pid, 'SIGKILL'), 20);
`;
new Worker(watch, { eval: true, workerData: mostBytes }).unref();

const answer = (message: ReadAnswer): void => void process.send?.(message);

process.on('message', (job: ReadJob) => {
  void read(job).then(
    (value) => answer({ ok: true, value }),
    (error: unknown) => answer({ ok: false, why: error instanceof Error ? error.message.slice(0, 500) : 'unknown' }),
  );
});
process.on('disconnect', () => process.exit(0));
answer({ ok: true, value: null }); // ready

async function read(job: ReadJob): Promise<unknown> {
  if (job.kind === 'pdf') return pdfText(job.bytes);
  return pageOf(job.source, { viewSource: job.viewSource });
}
