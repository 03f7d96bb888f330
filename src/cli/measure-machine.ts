// The two numbers from which speed is estimated, measured on this machine in about a second: bytes read from memory and
// multiply-adds, on all threads. For `fit` and `inspect`. Next: hub/fit.ts (the arithmetic), native/probe.h.

import { CpuBackend } from '../backend/cpu/cpu.ts';
import type { Environment } from './environment.ts';

export interface MachineSpeed {
  readonly readBytesPerSecond: number;
  readonly multiplyAddsPerSecond: number; // of the kernels that read prompts (8-bit where there is one)
}

/** Rejects with `unsupported-device` where there are no native kernels: the plain backend is for small models only. */
export async function measureMachine(environment: Environment, threads?: number): Promise<MachineSpeed> {
  const backend = new CpuBackend({
    maxRows: 1,
    ...(threads !== undefined && { threads }),
    ...(environment.isa !== null && { isa: environment.isa }),
  });
  try {
    const best = async (kind: 'read' | 'int8' | 'f32'): Promise<number> =>
      Math.max(await backend.probe(kind), await backend.probe(kind));
    const readBytesPerSecond = await best('read');
    return { readBytesPerSecond, multiplyAddsPerSecond: (await best('int8')) || (await best('f32')) };
  } finally {
    await backend.close();
  }
}
