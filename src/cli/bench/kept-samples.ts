// Figures of a comparison, kept while it runs: one that takes hours goes on after an interruption with what is missing.
// Next: versus.ts.

import { existsSync, readFileSync, renameSync, statSync } from 'node:fs';
import { createFile } from '../../formats/file.node.ts';
import { safeJson } from '../screen/controls.ts';
import type { PlanItem, PlanRow } from './plan.ts';

export const KEYS = [
  'prefill512',
  'prefill2048',
  'prefill8192',
  'decode',
  'decode8k',
  'decode32k',
  'batch8',
  'start',
  'memory',
] as const;
export type Key = (typeof KEYS)[number];
export type Side = 'ours' | 'theirs';
export type Samples = Record<Side, Partial<Record<Key, number[]>>>;

/** The column of the result that a measurement belongs to. */
export function keyOf(row: PlanRow | PlanItem): Key | null {
  if (row.kind === 'start') return 'start';
  if (row.kind === 'prefill') return `prefill${row.tokens}` as Key;
  if (row.kind === 'batch') return 'batch8';
  if (row.kind === 'decode') return row.after === 16 ? 'decode' : row.after === 8192 ? 'decode8k' : 'decode32k';
  return null;
}

/** What was measured survives an interruption. */
export class KeptSamples {
  samples: Samples = { ours: {}, theirs: {} };
  facts: Record<string, PlanRow> = {};
  readonly #path: string;
  readonly #of: string;

  /** `about`: the options that figures depend on. */
  constructor(path: string, model: string, about: object) {
    this.#path = path;
    this.#of = JSON.stringify([model, statSync(model).mtimeMs, about]);
  }

  /** Takes over what lies there of the same model and options. */
  read(): boolean {
    try {
      const { of, samples, facts } = JSON.parse(readFileSync(this.#path, 'utf8'));
      if (of !== this.#of) return false;
      Object.assign(this.samples, samples);
      Object.assign(this.facts, facts);
      return true;
    } catch {
      return false; // none, or half of one
    }
  }

  has(side: Side, item: PlanItem): boolean {
    const key = keyOf(item);
    return key !== null && this.samples[side][key] !== undefined;
  }

  write(): void {
    const file = createFile(this.#path); // a run that is killed here has the file before
    file.write(Buffer.from(safeJson({ of: this.#of, samples: this.samples, facts: this.facts })));
    file.finish();
  }

  /** The next run measures everything anew; these figures stay to be read. */
  retire(): void {
    if (existsSync(this.#path)) renameSync(this.#path, this.#path.replace(/\.json$/, '-last.json'));
  }
}
