// The native backend behind an opened model, whose pages, ceilings and op times benchmarks look at.

import { CpuBackend } from '../../backend/cpu/cpu.ts';
import { Model } from '../../model/load.ts';
import type { OpenedModel } from '../../opened-model.ts';

/** Null where another backend computes. */
export function deviceOf(model: OpenedModel): CpuBackend | null {
  const { model: inner } = model.engine;
  return inner instanceof Model && inner.backend instanceof CpuBackend ? inner.backend : null;
}

/** Bytes per second at which all threads read the model's own files in memory: the best of three passes. */
export async function fileReadSpeed(device: CpuBackend): Promise<number> {
  let best = 0;
  for (let i = 0; i < 3; i++) best = Math.max(best, await device.readSpeed());
  return best;
}
