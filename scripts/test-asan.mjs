// `npm run test:asan`: the native addon built with AddressSanitizer and UndefinedBehaviorSanitizer, under the tests that
// give it most to do: hostile arguments, lifetimes, and the op and model suites on this machine's best variant. Needs g++;
// else it skips with a reason. Ends with `N passed, N failed[, N skipped]`. Next: build-native.mjs (--sanitize).
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../', import.meta.url));
const compiler = process.env.CXX ?? 'g++';

function skip(reason) {
  process.stdout.write(`test:asan skipped: ${reason}\n0 passed, 0 failed, 1 skipped\n`);
  process.exit(0);
}

if (process.platform !== 'linux') skip('it needs Linux, where the sanitizers can be loaded into Node');
const library = spawnSync(compiler, ['-print-file-name=libasan.so'], { encoding: 'utf8' }).stdout?.trim() ?? '';
if (!existsSync(library)) skip(`${compiler} brings no AddressSanitizer library`);

const addon = `${root}build/gptoss-sanitize.node`;
const build = spawnSync(process.execPath, ['scripts/build-native.mjs', '--sanitize=address,undefined'], {
  cwd: root,
  stdio: ['ignore', 1, 2],
});
if (build.status !== 0) {
  process.stdout.write('the sanitizer build failed\n0 passed, 1 failed\n');
  process.exit(1);
}

// The best variant, and what belongs to none.
const list = `process.stdout.write(require(${JSON.stringify(addon)}).machine().isas[0])`;
// verify_asan_link_order: `env` and shells started by tests are not linked with the sanitizer. Leaks: V8 frees at will.
const env = {
  ...process.env,
  LD_PRELOAD: library,
  ASAN_OPTIONS: 'detect_leaks=0:verify_asan_link_order=0',
  UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1',
  GPTOSS_TEST_ADDON: addon,
};
const best = spawnSync(process.execPath, ['-e', list], { encoding: 'utf8', env }).stdout;
if (!best) {
  process.stdout.write('the sanitizer build cannot be loaded\n0 passed, 1 failed\n');
  process.exit(1);
}
const vitest = ['node_modules/vitest/vitest.mjs', 'run', '--testTimeout=600000', '--hookTimeout=600000'];
const tests = [...vitest, 'src/backend/cpu/addon.test.ts', 'src/backend/cpu/cpu.test.ts'];
const run = spawnSync(process.execPath, [...tests, '-t', `native addon|cpu ${best}`], {
  cwd: root,
  env,
  stdio: ['ignore', 1, 2],
});
process.exit(run.status ?? 1);
