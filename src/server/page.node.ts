// Reads the built page once: a few hundred kilobytes that are served from memory. What is not in the folder does not exist,
// so no path of a request ever reaches the disk. Next: page.ts.

import { readdirSync, readFileSync } from 'node:fs';
import { extname, sep } from 'node:path';
import type { PageFile, PageFiles } from './page.ts';

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
};

/** The files of a folder by their path; null when the page was not built. */
export function readPage(folder: string): PageFiles | null {
  const files = new Map<string, PageFile>();
  let names: string[];
  try {
    names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  } catch {
    return null;
  }
  for (const name of names) {
    const type = types[extname(name)];
    if (type === undefined) continue;
    const path = `/${name.split(sep).join('/')}`;
    const bytes = new Uint8Array(readFileSync(`${folder}/${name}`));
    files.set(path === '/index.html' ? '/' : path, { bytes, type, isImmutable: path.startsWith('/assets/') });
  }
  return files.has('/') ? files : null;
}
