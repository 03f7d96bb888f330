// Builds a program of its own around the kernels, without Node: every variant of native/variants.mjs for a processor family,
// the threads, and one source with a main(). For tests under emulators and sanitizers (test-kernels.mjs) and for the
// workbench (bench/native/run.sh). Objects are compiled two at a time (memory) and kept in `folder` by the hash of
// everything that went into them. Next: native/variants.mjs, build-native.mjs (the addon).
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { includeOf, sourcesOf, trainIncludeOf, variantsOf } from '../native/variants.mjs';

export const root = fileURLToPath(new URL('../', import.meta.url));

export function run(command, args, options = {}) {
  return new Promise((done) => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], ...options });
    let text = '';
    child.stdout.on('data', (data) => (text += data));
    child.stderr.on('data', (data) => (text += data));
    child.on('error', (error) => done({ ok: false, text: String(error) }));
    child.on('close', (status) => done({ ok: status === 0, text }));
  });
}

/**
 * @param {object} options
 * @param {string} options.compiler
 * @param {string} options.arch        process.arch of the target
 * @param {string} options.main        source with main(), from the repository's root
 * @param {string} options.folder      where objects and the program go
 * @param {string[]} options.flags     for every source
 * @param {string[]} [options.link]
 * @param {boolean} [options.trains]   with the trainer and native/test/learn.cc
 * @returns {Promise<string>} path of the program
 */
export async function buildKernelProgram({ compiler, arch, main, folder, flags, link = [], trains = false }) {
  const variants = variantsOf(arch);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'variants.inc'), includeOf(variants));
  const trainers = trains ? variants.filter(({ unit }) => existsSync(join(root, `native/train/isa/${unit}.cc`))) : [];
  mkdirSync(join(folder, 'train'), { recursive: true });
  writeFileSync(join(folder, 'train', 'variants.inc'), trains ? trainIncludeOf(variants, trainers) : '');
  const common = ['-std=c++20', '-ffp-contract=off', '-fno-math-errno', '-fno-trapping-math', '-pthread', ...flags];
  const sources = [
    ...variants.map((v) => [`native/isa/${v.unit}.cc`, ['-fno-exceptions', '-fno-rtti', ...v.gcc]]),
    ...trainers.map((v) => [`native/train/isa/${v.unit}.cc`, ['-fno-exceptions', '-fno-rtti', ...v.gcc]]),
    ...(trains
      ? [
          ['native/train/learner.cc', []],
          ['native/train/shard.cc', []],
          ['native/train/dispatch.cc', [`-I${join(folder, 'train')}`]],
          ['native/test/learn.cc', []],
        ]
      : []),
    [main, []],
    ['native/dispatch.cc', [`-I${folder}`]],
    ['native/threads.cc', []],
    ['native/memory.cc', []],
    ['native/file_guard.cc', []],
  ];
  const objects = [];
  const compileSome = async () => {
    for (let next = sources.shift(); next !== undefined; next = sources.shift()) {
      const [source, extra] = next;
      const args = [...common, ...extra, '-c', source];
      const hash = createHash('sha256').update([compiler, ...args, includeOf(variants)].join('\0'));
      for (const file of sourcesOf(join(root, source))) hash.update(readFileSync(file));
      const object = join(folder, `${hash.digest('hex').slice(0, 24)}.o`);
      objects.push(object);
      if (existsSync(object)) continue;
      const part = `${object}.${process.pid}.part`;
      const result = await run(compiler, [...args, '-o', part]);
      if (!result.ok) throw new Error(`${source}: ${result.text}`);
      renameSync(part, object);
    }
  };
  await Promise.all([compileSome(), compileSome()]);
  const program = join(folder, 'program');
  const linked = await run(compiler, [...link, '-pthread', ...objects.sort(), '-o', program]);
  if (!linked.ok) throw new Error(linked.text);
  return program;
}
