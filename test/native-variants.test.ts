// The list of ISA variants is the only place that names them: what is in native/isa/ is in it, and what this build offers is
// what the list and this processor allow. So a variant cannot be there without being built, picked, tested and timed.

import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { nameOf, variants, variantsOf } from '../native/variants.mjs';
import { addonPath, testVariants } from '../src/backend/cpu/addon.testing.ts';
import { findAddon } from '../src/backend/cpu/addon.ts';
import { repoPath } from './shared.ts';

const source = (...path: string[]): string => readFileSync(repoPath('native', ...path), 'utf8');
const { addon } = findAddon(addonPath);

describe('the list of variants', () => {
  it('has every unit of native/isa once, and no other', () => {
    const files = readdirSync(repoPath('native', 'isa')).filter((file) => file.endsWith('.cc'));
    expect(variants.map(({ unit }) => `${unit}.cc`).sort()).toEqual(files.sort());
  });

  it.each(variants.map((variant) => [nameOf(variant), variant] as const))(
    '%s is called so by its unit',
    (name, { unit }) => {
      const text = source('isa', `${unit}.cc`);
      expect(text).toContain(`#define GPTOSS_ISA_NAME "${name}"`);
      expect(text).toContain(`#define GPTOSS_ISA_TABLE ${unit}_kernels`);
    },
  );

  it('asks for features that dispatch.cc looks for', () => {
    const known = new Set([...source('dispatch.cc').matchAll(/add\("([\w-]+)"/g)].map(([, name]) => name));
    for (const { needs } of variants) for (const need of needs) expect(known).toContain(need);
  });

  it('ends with the plain one for every family', () => {
    for (const arch of ['x64', 'arm64', 'riscv64']) expect(variantsOf(arch).at(-1)?.unit).toBe('scalar');
  });

  it.skipIf(addon === null)(
    'gives what this processor runs, and tests run all of it (skipped without the addon)',
    () => {
      const { features, isas } = addon!.machine();
      const runs = variantsOf(process.arch).filter(({ needs }) => needs.every((need) => features.includes(need)));
      // A compiler may leave units out, but not change their order.
      expect(runs.map(nameOf).filter((name) => isas.includes(name))).toEqual(isas);
      expect(isas).toContain('scalar');
      expect(testVariants()).toEqual(isas);
    },
  );
});
