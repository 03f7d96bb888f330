// Single ops of the real model on the real weights: one forward pass is recorded as the engine does it, run for one row
// and for many, and the backend's own clock says how long each op took. Bytes are those of the weights an op must read,
// multiply-adds those it must do, so both can stand beside what the machine can do at best.

import type { Batch } from '../../backend/backend.ts';
import type { CpuBackend } from '../../backend/cpu/cpu.ts';
import type { ModelConfig } from '../../formats/config.ts';
import type { Model } from '../../model/load.ts';
import { recordForward } from '../../model/model.ts';
import { createWorkspace } from '../../model/workspace.ts';
import { PromptSource } from './measure.ts';

export interface OpRow {
  readonly op: string;
  readonly weight: string; // tensor name without its layer; empty for ops without weights
  readonly rows: number;
  readonly calls: number; // layers
  readonly ms: number; // of all calls together
  readonly gbPerSecond: number | null;
  readonly gmacPerSecond: number | null;
}

/** Time of every op in a step of `rows` rows, summed over layers, the mean of `runs` steps after one warm-up. */
export async function timeOps(model: Model, backend: CpuBackend, rows: number, runs: number): Promise<OpRow[]> {
  const { config } = model;
  const pageTokens = 64;
  const steps = runs + 1;
  const positions = rows * steps;
  const pages = Math.ceil(positions / pageTokens);
  const cache = model.cache({ pageTokens, fullPages: pages, slidingPages: pages, type: 'f16' });
  const workspace = createWorkspace(backend, config, { rows, scored: 1 });
  const program = backend.record((ops) => recordForward(ops, model.weights, workspace, config, cache));
  const prompts = new PromptSource(config.vocab);
  const table = Int32Array.from({ length: pages }, (_, i) => i);
  const step = (index: number): Batch => ({
    tokens: prompts.take(rows),
    sequences: [{ firstRow: 0, rowCount: rows, position: index * rows, fullPages: table, slidingPages: table }],
    scored: Int32Array.of(rows - 1),
  });
  try {
    await backend.run(program, step(0));
    const before = backend.profile(program).map((note) => note.ms);
    for (let i = 1; i < steps; i++) await backend.run(program, step(i));
    const notes = backend.profile(program).map((note, i) => ({ ...note, ms: (note.ms - before[i]!) / runs }));
    const sums = new Map<
      string,
      { op: string; weight: string; calls: number; ms: number; bytes: number; macs: number }
    >();
    for (const note of notes) {
      if (note.op === 'segment') continue;
      const weight = note.weightBytes > 0 ? withoutLayer(note.name) : '';
      const key = `${note.op} ${weight}`;
      const sum = sums.get(key) ?? { op: note.op, weight, calls: 0, ms: 0, bytes: 0, macs: 0 };
      const isExpert = note.op === 'moeUp' || note.op === 'moeDown';
      const worked = weight.includes('lm_head') || note.name === 'output.weight' ? 1 : rows; // only scored rows
      sum.calls++;
      sum.ms += note.ms;
      sum.bytes += note.weightBytes * (isExpert ? expertsTouched(config, rows) : 1);
      sum.macs += note.macsPerRow * worked * (isExpert ? config.expertsPerToken : 1);
      sums.set(key, sum);
    }
    return [...sums.values()].map(({ op, weight, calls, ms, bytes, macs }) => ({
      ...{ op, weight, rows, calls, ms },
      gbPerSecond: bytes > 0 && ms > 0 ? bytes / ms / 1e6 : null,
      gmacPerSecond: macs > 0 && ms > 0 ? macs / ms / 1e6 : null,
    }));
  } finally {
    cache.close();
  }
}

/** Experts of a layer that `rows` tokens choose together, if their choices are independent. */
function expertsTouched({ experts, expertsPerToken }: ModelConfig, rows: number): number {
  return rows === 1 ? expertsPerToken : experts * (1 - (1 - expertsPerToken / experts) ** rows);
}

function withoutLayer(name: string): string {
  return name.replace(/^(?:.*\.)?\d+\./, '').replace(/\.weight$|_blocks$/, '');
}
