// `npm run test:asan`: native code under AddressSanitizer and UndefinedBehaviorSanitizer, in two parts. First the kernels
// by themselves, every op of every variant that this machine runs (test-kernels.mjs asan). Then the addon inside Node, with
// this machine's best variant and the scalar one: hostile arguments, lifetimes, files that change while they are in use,
// models from damaged files that opened all the same, a learner. `--full` adds the op and model suites of the cpu backend (long).
// Needs g++; else it skips with a reason. Ends with `N passed, N failed[, N skipped]`. Next: build-native.mjs (--sanitize).
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../', import.meta.url));
const compiler = process.env.CXX ?? 'g++';
const full = process.argv.includes('--full');

function skip(reason) {
  process.stdout.write(`test:asan skipped: ${reason}\n0 passed, 0 failed, 1 skipped\n`);
  process.exit(0);
}

if (process.platform !== 'linux') skip('it needs Linux, where the sanitizers can be loaded into Node');
const library = spawnSync(compiler, ['-print-file-name=libasan.so'], { encoding: 'utf8' }).stdout?.trim() ?? '';
if (!existsSync(library)) skip(`${compiler} brings no AddressSanitizer library`);

/** Runs to the end, shows its output but for the closing counts, and gives those. */
function counted(args, env = process.env) {
  return new Promise((done) => {
    const child = spawn(process.execPath, args, { cwd: root, env, stdio: ['ignore', 'pipe', 2] });
    let text = '';
    child.stdout.on('data', (data) => {
      text += data;
    });
    child.on('close', (status) => {
      const line = /^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/m;
      const [, passed = 0, failed = 0, skipped = 0] = (line.exec(text) ?? []).map(Number);
      process.stdout.write(text.replace(line, ''));
      done({ passed, failed: failed > 0 || status === 0 ? failed : 1, skipped });
    });
  });
}

async function addonTests() {
  // What belongs to one variant is checked by the kernels' own program; here two are enough.
  const addon = `${root}build/gptoss-sanitize.node`;
  const usual = `try { process.stdout.write(require('./build/gptoss.node').machine().isas[0]) } catch {}`;
  const best = spawnSync(process.execPath, ['-e', usual], { cwd: root, encoding: 'utf8' }).stdout.replaceAll('-', '_');
  const only = full || best === '' ? [] : [`--only=scalar,${best}`];
  const build = spawnSync(process.execPath, ['scripts/build-native.mjs', '--sanitize=address,undefined', ...only], {
    cwd: root,
    stdio: ['ignore', 2, 2],
  });
  if (build.status !== 0) {
    process.stdout.write('the sanitizer build failed\n');
    return { passed: 0, failed: 1, skipped: 0 };
  }
  // verify_asan_link_order: `env` and shells started by tests are not linked with the sanitizer. Leaks: V8 frees at will.
  // handle_sigbus: lost pages of mapped files are ours to handle.
  const env = {
    ...process.env,
    LD_PRELOAD: library,
    ASAN_OPTIONS: 'detect_leaks=0:verify_asan_link_order=0:handle_sigbus=0',
    UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1',
    GPTOSS_TEST_ADDON: addon,
  };
  const tests = ['addon', 'lost-file', 'damaged-models', ...(full ? ['cpu'] : [])];
  return counted(
    [
      ...['node_modules/vitest/vitest.mjs', 'run', '--testTimeout=600000', '--hookTimeout=600000'],
      ...tests.map((name) => `src/backend/cpu/${name}.test.ts`),
      'src/train/native-derivatives.test.ts',
    ],
    env,
  );
}

const results = [await counted(['scripts/test-kernels.mjs', 'asan']), await addonTests()];
const sum = (key) => results.reduce((n, result) => n + result[key], 0);
const skipped = sum('skipped') > 0 ? `, ${sum('skipped')} skipped` : '';
process.stdout.write(`${sum('passed')} passed, ${sum('failed')} failed${skipped}\n`);
process.exitCode = sum('failed') === 0 ? 0 : 1;
