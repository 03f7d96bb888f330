// `npm run test:qemu`, and by hand `node scripts/test-kernels.mjs asan`: native/test/compare.cc, which holds every op of every variant against the
// scalar one. qemu: cross-compiled for 64-bit ARM and run under user-mode emulation; asan: for this processor, with
// AddressSanitizer and UndefinedBehaviorSanitizer. Debian's packages are installed when they are missing and we are root;
// else the tier skips with a reason. Ends with `N passed, N failed[, N skipped]`.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { install } from './install-debian.mjs';

const root = fileURLToPath(new URL('../', import.meta.url));
const mode = process.argv[2];
const has = (command) => spawnSync(command, ['--version']).status === 0;

const fma = ['-mavx2', '-mfma', '-mf16c'];
const avx512 = [...fma, '-mavx512f', '-mavx512bw', '-mavx512vl', '-mavx512dq'];
/** Units of a processor family with their flags and the words of /proc/cpuinfo that they need. */
const x64 = [
  { name: 'scalar', flags: [], needs: [] },
  { name: 'avx2', flags: fma, needs: ['avx2', 'fma', 'f16c'] },
  { name: 'avx512', flags: avx512, needs: ['avx512f', 'avx512bw', 'avx512vl', 'avx512dq'] },
  {
    name: 'avx512_vnni',
    flags: [...avx512, '-mavx512vnni', '-mavx512vbmi', '-mavx512bf16'],
    needs: ['avx512_vnni', 'avx512vbmi', 'avx512_bf16'],
  },
];
const arm64 = [
  { name: 'scalar', flags: [], needs: [] },
  { name: 'neon', flags: [], needs: [] },
];

function usable(units) {
  const words = new Set(readFileSync('/proc/cpuinfo', 'utf8').split(/\s+/));
  return units.filter(({ needs }) => needs.every((word) => words.has(word)));
}

/** What to build and how to run it, or the reason why not. */
function plan() {
  if (process.platform !== 'linux') return 'it needs Linux';
  if (mode === 'qemu') {
    const emulator = () => ['qemu-aarch64-static', 'qemu-aarch64'].find(has);
    const cross = 'aarch64-linux-gnu-g++';
    const missing = has(cross) && emulator() ? null : install(['g++-aarch64-linux-gnu', 'qemu-user-static']);
    if (missing !== null || !emulator() || !has(cross)) return missing ?? 'the packages did not bring what was needed';
    return { compiler: cross, units: arm64, flags: ['-O2'], link: ['-static'], run: [emulator()] };
  }
  const compiler = ['g++', 'clang++'].find(has);
  if (compiler === undefined) return 'there is no C++ compiler';
  const flags = ['-O1', '-g1', '-fsanitize=address,undefined', '-fno-omit-frame-pointer'];
  const units = process.arch === 'arm64' ? arm64 : usable(x64);
  return { compiler, units, flags, link: ['-fsanitize=address,undefined'], run: [] };
}

function run(command, args, options = {}) {
  return new Promise((done) => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], ...options });
    let text = '';
    child.stdout.on('data', (data) => (text += data));
    child.stderr.on('data', (data) => (text += data));
    child.on('error', (error) => done({ ok: false, text: String(error) }));
    child.on('close', (status) => done({ ok: status === 0, text }));
  });
}

async function compareKernels({ compiler, units, flags, link, run: runner }) {
  const folder = mkdtempSync(join(tmpdir(), 'gptoss-kernels-'));
  try {
    const common = [
      '-std=c++20',
      '-ffp-contract=off',
      '-fno-math-errno',
      '-fno-trapping-math',
      '-pthread',
      '-w',
      ...flags,
    ];
    const tables = units.map(({ name }) => `${name}_kernels()`).join(',');
    const sources = [
      ...units.map((unit) => [`native/isa/${unit.name}.cc`, ['-fno-exceptions', '-fno-rtti', ...unit.flags]]).reverse(),
      ['native/test/compare.cc', [`-DGPTOSS_COMPARE=${tables}`]],
      ['native/threads.cc', []],
      ['native/memory.cc', []],
    ].map(([source, extra], i) => ({ source, extra, object: join(folder, `${i}.o`) }));
    const objects = sources.map(({ object }) => object);
    const compileSome = async () => {
      for (let next = sources.shift(); next !== undefined; next = sources.shift()) {
        const result = await run(compiler, [...common, ...next.extra, '-c', next.source, '-o', next.object]);
        if (!result.ok) throw new Error(`${next.source}: ${result.text}`);
      }
    };
    await Promise.all([compileSome(), compileSome()]); // two at a time: memory
    const program = join(folder, 'compare');
    const linked = await run(compiler, [...link, '-pthread', ...objects, '-o', program]);
    if (!linked.ok) throw new Error(linked.text);
    const [command, ...args] = [...runner, program];
    // Node's own leaks are not in question here; UBSan reports become failures.
    const env = { ...process.env, ASAN_OPTIONS: 'detect_leaks=0', UBSAN_OPTIONS: 'print_stacktrace=1' };
    return await run(command, args, { env });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const chosen = plan();
if (typeof chosen === 'string') {
  process.stdout.write(`skipped: ${chosen}\n0 passed, 0 failed, 1 skipped\n`);
} else {
  let text;
  let ok;
  try {
    ({ ok, text } = await compareKernels(chosen));
  } catch (error) {
    ok = false;
    text = `${error.message}\n`;
  }
  const reports = text.match(/runtime error:|ERROR: \w+Sanitizer/g)?.length ?? 0;
  const counts = /^(\d+) passed, (\d+) failed$/m.exec(text);
  process.stdout.write(text.replace(/^\d+ passed, \d+ failed\n/m, ''));
  const failed = Number(counts?.[2] ?? 0) + reports;
  const unexplained = !ok && failed === 0 ? 1 : 0;
  process.stdout.write(`${counts?.[1] ?? 0} passed, ${failed + unexplained} failed\n`);
  process.exitCode = ok && reports === 0 ? 0 : 1;
}
