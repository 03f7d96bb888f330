// The one list of ISA variants: what is built, picked, tested and timed. Each is native/isa/UNIT.cc with flags of its own;
// `needs` names what the processor must offer (cpu_features() in dispatch.cc). Best first within a family; scalar is last and
// everywhere. A compiler that cannot build a unit leaves it out.
// To add one: an entry here and its file; nothing else knows their names. Read by scripts/build-native.mjs (which hands the
// list to dispatch.cc), scripts/test-kernels.mjs and bench/native/run.sh. Next: isa/*.cc, kernels.h.

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

const fma = ['-mavx2', '-mfma', '-mf16c'];
const avx512 = [...fma, '-mavx512f', '-mavx512bw', '-mavx512vl', '-mavx512dq'];
const vnni = [...avx512, '-mavx512vnni', '-mavx512vbmi', '-mavx512bf16'];
const avx2Needs = ['avx2', 'fma', 'f16c'];

/**
 * @typedef {object} Variant
 * @property {string} unit   file native/isa/UNIT.cc and function UNIT_kernels(); the variant's name has - for _
 * @property {string[]} arch processor families, as process.arch says them
 * @property {string[]} gcc  flags of g++ and clang++
 * @property {string[]} msvc flags of cl, whose intrinsics need no more
 * @property {string[]} needs
 */
const vnniNeeds = [...avx2Needs, 'avx512', 'avx512-vnni', 'avx512-vbmi', 'avx512-bf16'];
/** @type {readonly Variant[]} */
export const variants = [
  {
    unit: 'avx512_amx',
    arch: ['x64'],
    gcc: [...vnni, '-mamx-tile', '-mamx-bf16', '-mamx-int8'],
    msvc: ['/arch:AVX512'],
    needs: [...vnniNeeds, 'amx-bf16', 'amx-int8'],
  },
  {
    unit: 'avx512_vnni',
    arch: ['x64'],
    gcc: vnni,
    msvc: ['/arch:AVX512'],
    needs: vnniNeeds,
  },
  { unit: 'avx512', arch: ['x64'], gcc: avx512, msvc: ['/arch:AVX512'], needs: [...avx2Needs, 'avx512'] },
  {
    unit: 'avx2_vnni',
    arch: ['x64'],
    gcc: [...fma, '-mavxvnni'],
    msvc: ['/arch:AVX2'],
    needs: [...avx2Needs, 'avx-vnni'],
  },
  { unit: 'avx2', arch: ['x64'], gcc: fma, msvc: ['/arch:AVX2'], needs: avx2Needs },
  {
    unit: 'neon_i8mm',
    arch: ['arm64'],
    gcc: ['-march=armv8.2-a+dotprod+i8mm+bf16'],
    msvc: [],
    needs: ['neon', 'dotprod', 'i8mm', 'bf16'],
  },
  { unit: 'neon_dot', arch: ['arm64'], gcc: ['-march=armv8.2-a+dotprod'], msvc: [], needs: ['neon', 'dotprod'] },
  { unit: 'neon', arch: ['arm64'], gcc: [], msvc: [], needs: ['neon'] },
  { unit: 'scalar', arch: ['x64', 'arm64'], gcc: [], msvc: [], needs: [] },
];

/** Variants of a processor family; of one we do not know, the plain one. */
export const variantsOf = (arch) =>
  variants.filter(
    (v) => v.arch.includes(arch) || (v.unit === 'scalar' && !variants.some((w) => w.arch.includes(arch))),
  );

export const nameOf = ({ unit }) => unit.replaceAll('_', '-');

/** native/dispatch.cc includes this as variants.inc. */
export const includeOf = (list) =>
  list.map(({ unit, needs }) => `GPTOSS_VARIANT(${unit}, "${needs.join(' ')}")\n`).join('');

/**
 * native/train/dispatch.cc includes this: which training kernels (native/train/isa/UNIT.cc) go with each variant: its own,
 * else the next ones down the list that ask no more of the processor.
 */
export const trainIncludeOf = (list, trainUnits) =>
  list
    .map((variant) => {
      const fits = trainUnits.find((unit) => unit.needs.every((need) => variant.needs.includes(need)));
      return `GPTOSS_TRAIN("${nameOf(variant)}", ${fits.unit})\n`;
    })
    .join('');

/** A source and everything it includes from this repository, also through a macro that names a file; in a fixed order. */
export function sourcesOf(file, seen = new Set()) {
  if (seen.has(file) || !existsSync(file)) return seen;
  seen.add(file);
  for (const [, name] of readFileSync(file, 'utf8').matchAll(
    /^\s*#(?:include|define \w+)\s+"([^"]+\.(?:h|inl|cc))"/gm,
  )) {
    sourcesOf(resolve(dirname(file), name), seen);
    sourcesOf(join(import.meta.dirname, 'kernels', name), seen); // where all.inl includes the macro's file
  }
  return seen;
}
