// `npm run test:qemu`, and by hand `node scripts/test-kernels.mjs native|asan`: native/test/compare.cc, which holds every op
// of every variant against the scalar one. qemu: cross-compiled for 64-bit ARM and run under user-mode emulation, once for
// each kind of processor, so that each variant is the best of some; native, asan: for this processor, asan with
// AddressSanitizer and UndefinedBehaviorSanitizer. Debian's packages are installed when they are missing and we are root;
// else the tier skips with a reason. Ends with `N passed, N failed[, N skipped]`.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { nameOf, variantsOf } from '../native/variants.mjs';
import { install } from './install-debian.mjs';
import { buildKernelProgram, root, run } from './kernel-program.mjs';

const mode = process.argv[2];
const has = (command) => spawnSync(command, ['--version']).status === 0;

/** What to build and how to run it, or the reason why not. */
function plan() {
  if (process.platform !== 'linux') return 'it needs Linux';
  if (mode === 'qemu') {
    const emulator = () => ['qemu-aarch64-static', 'qemu-aarch64'].find(has);
    const cross = 'aarch64-linux-gnu-g++';
    const missing = has(cross) && emulator() ? null : install(['g++-aarch64-linux-gnu', 'qemu-user-static']);
    if (missing !== null || !emulator() || !has(cross)) return missing ?? 'the packages did not bring what was needed';
    // cortex-a57 has plain NEON, cortex-a76 the dot product, max everything that the emulator knows.
    const runs = ['max', 'cortex-a76', 'cortex-a57'].map((cpu) => [emulator(), '-cpu', cpu]);
    return { compiler: cross, arch: 'arm64', flags: ['-O2'], link: ['-static'], runs };
  }
  const compiler = ['g++', 'clang++'].find(has);
  if (compiler === undefined) return 'there is no C++ compiler';
  if (mode === 'native') return { compiler, arch: process.arch, flags: ['-O2'], link: [], runs: [[]] };
  const flags = ['-O1', '-g1', '-fsanitize=address,undefined', '-fno-omit-frame-pointer'];
  return { compiler, arch: process.arch, flags, link: ['-fsanitize=address,undefined'], runs: [[]] };
}

const chosen = plan();
if (typeof chosen === 'string') {
  process.stdout.write(`skipped: ${chosen}\n0 passed, 0 failed, 1 skipped\n`);
} else {
  const { compiler, arch, flags, link, runs } = chosen;
  let passed = 0;
  let failed = 0;
  const seen = new Set();
  try {
    const folder = join(root, 'build', `compare-${mode}`);
    const program = await buildKernelProgram({
      compiler,
      arch,
      main: 'native/test/compare.cc',
      folder,
      flags: ['-w', ...flags],
      link,
      trains: true,
    });
    // Leaks of the C++ library are not in question here; UBSan reports become failures.
    const env = { ...process.env, ASAN_OPTIONS: 'detect_leaks=0', UBSAN_OPTIONS: 'print_stacktrace=1' };
    for (const runner of runs) {
      // Variants that an earlier run has had are left out of the next ones, but for the best: it is what would be used there.
      const [command, ...args] = [...runner, program, ...[...seen].map((name) => `-${name}`)];
      const { ok, text } = await run(command, args, { env });
      const reports = text.match(/runtime error:|ERROR: \w+Sanitizer/g)?.length ?? 0;
      const counts = /^(\d+) passed, (\d+) failed$/m.exec(text);
      if (runner.length > 0) process.stdout.write(`${runner.slice(1).join(' ')}\n`);
      process.stdout.write(text.replace(/^\d+ passed, \d+ failed\n/m, ''));
      passed += Number(counts?.[1] ?? 0);
      const wrong = Number(counts?.[2] ?? 0) + reports;
      failed += wrong + (!ok && wrong === 0 ? 1 : 0);
      for (const [, name] of text.matchAll(/^([\w-]+): \d+ passed$/gm)) seen.add(name);
    }
    for (const variant of variantsOf(arch)) {
      if (seen.has(nameOf(variant))) continue;
      if (mode === 'qemu') {
        failed++;
        process.stdout.write(`FAILED ${nameOf(variant)} was run by no emulated processor\n`);
      } else process.stdout.write(`${nameOf(variant)}: not run, this processor lacks it\n`);
    }
  } catch (error) {
    failed++;
    process.stdout.write(`${error.message}\n`);
  }
  process.stdout.write(`${passed} passed, ${failed} failed\n`);
  process.exitCode = failed === 0 ? 0 : 1;
}
