// Owns: the audit log as a file of JSON lines that only its user may read. It is written in order and never in the way:
// a log that cannot be written is told once and costs the answer nothing. At 16 MiB it begins anew; the old one stays
// as `.1`. Next: audit.ts (what is written).

import { appendFile, chmod, mkdir, rename, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Audit } from './audit.ts';

const MOST_BYTES = 16 * 1024 * 1024;

export function auditFile(path: string, onProblem: (message: string) => void = () => undefined): Audit {
  let isReady = false;
  let isBroken = false;
  let last = Promise.resolve();
  const write = async (line: string): Promise<void> => {
    if (!isReady) {
      await mkdir(dirname(path), { recursive: true });
      isReady = true;
    }
    const size = (await stat(path).catch(() => null))?.size ?? 0;
    if (size > MOST_BYTES) await rename(path, `${path}.1`);
    await appendFile(path, line, { mode: 0o600 });
    if (size === 0) await chmod(path, 0o600);
  };
  return (entry) => {
    if (isBroken) return;
    last = last
      .then(() => write(`${JSON.stringify({ ...entry, ms: Math.round(entry.ms) })}\n`))
      .catch((error: unknown) => {
        if (!isBroken) onProblem(`calls of tools are not written down: ${String(error)}`);
        isBroken = true;
      });
  };
}
