// Builds native/ into build/gptoss.node with the C++ compiler that is there: g++, clang++ or Visual C++. Needs nothing
// else: Node-API headers come from node_modules/node-api-headers; no Python, no download. One object per ISA variant with
// its own flags; a variant this compiler cannot build is left out and dispatch.cc is told so. Objects are kept by the hash
// of everything that went into them, so a second run only does what changed. With --quiet (npm ci) it never fails: it says
// in one line what is slower and how to build.
// Options: --quiet  --force  --jobs=N  --only=UNIT,UNIT (variants)  --sanitize=address,undefined (into
// build/gptoss-sanitize.node)  --arch=arm64 (with CXX naming a cross compiler; into build/gptoss-arm64.node)
// Next: native/kernels.h, src/backend/cpu/addon.ts (finds the result).
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { includeOf, sourcesOf, trainIncludeOf, variantsOf } from '../native/variants.mjs';

const root = fileURLToPath(new URL('../', import.meta.url));
const option = (name) => process.argv.find((a) => a === `--${name}` || a.startsWith(`--${name}=`));
const setting = (name) => option(name)?.split('=')[1];
const quiet = option('quiet') !== undefined;
const sanitize = setting('sanitize');
const arch = setting('arch') ?? process.arch;
const say = (line) => process.stderr.write(`gptoss: ${line}\n`);

/** The compiler to use, or null: CXX, else the usual names, else Visual C++ through its own batch file. */
function findCompiler() {
  const env = { ...process.env };
  const version = (command, args) => {
    const run = spawnSync(command, args, { encoding: 'utf8', env, windowsHide: true });
    return run.error || (run.status !== 0 && args.length > 0) ? null : `${run.stdout}${run.stderr}`;
  };
  const tryNames = () => {
    const names = process.env.CXX ? [process.env.CXX] : process.platform === 'win32' ? [] : ['g++', 'clang++', 'c++'];
    for (const command of names) {
      const found = version(command, ['--version']);
      if (found !== null) return { command, kind: 'gcc', version: found, env };
    }
    if (process.platform === 'win32') {
      const found = version('cl', []);
      if (found !== null) return { command: 'cl', kind: 'msvc', version: found, env };
    }
    return null;
  };
  const direct = tryNames();
  if (direct !== null || process.platform !== 'win32') return direct;
  const programs = process.env['ProgramFiles(x86)'] ?? 'C:\\Program Files (x86)';
  const vswhere = join(programs, 'Microsoft Visual Studio', 'Installer', 'vswhere.exe');
  if (!existsSync(vswhere)) return null;
  const where = spawnSync(vswhere, ['-latest', '-products', '*', '-property', 'installationPath'], {
    encoding: 'utf8',
  });
  const batch = join((where.stdout ?? '').trim(), 'VC', 'Auxiliary', 'Build', 'vcvarsall.bat');
  if (!existsSync(batch)) return null;
  const set = spawnSync('cmd', ['/s', '/c', `""${batch}" ${process.arch} >nul && set"`], {
    encoding: 'utf8',
    windowsVerbatimArguments: true,
  });
  for (const line of (set.stdout ?? '').split(/\r?\n/)) {
    const at = line.indexOf('=');
    if (at > 0) env[line.slice(0, at)] = line.slice(at + 1);
  }
  return tryNames();
}

function hashOf(parts, files) {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(`${part}\0`);
  for (const file of files) hash.update(readFileSync(file)).update('\0');
  return hash.digest('hex').slice(0, 24);
}

function compile(compiler, args) {
  return new Promise((done) => {
    const child = spawn(compiler.command, args, { cwd: root, env: compiler.env, windowsHide: true });
    let text = '';
    child.stdout.on('data', (d) => (text += d));
    child.stderr.on('data', (d) => (text += d));
    child.on('error', (error) => done({ ok: false, text: String(error) }));
    child.on('close', (status) => done({ ok: status === 0, text }));
  });
}

async function build() {
  const compiler = findCompiler();
  if (compiler === null) return { reason: 'no C++ compiler was found (g++, clang++ or Visual C++)' };
  let headers;
  try {
    headers = dirname(createRequire(import.meta.url).resolve('node-api-headers'));
  } catch {
    return { reason: 'the package node-api-headers is not installed' };
  }
  const msvc = compiler.kind === 'msvc';
  const extra = sanitize === undefined ? [] : [`-fsanitize=${sanitize}`, '-fno-sanitize-recover=all', '-g1'];
  // -ffp-contract=off: multiply-adds are fused only where a kernel says so, or exact would depend on tiling.
  const common = msvc
    ? ['/nologo', '/std:c++20', '/O2', '/W3', '/fp:precise', '/Zc:__cplusplus', `/I${join(headers, 'include')}`]
    : [
        '-std=c++20',
        sanitize === undefined ? '-O3' : '-O1',
        '-fPIC',
        '-fvisibility=hidden',
        '-ffp-contract=off',
        '-fno-math-errno',
        '-fno-trapping-math',
      ].concat(['-Wall', '-Wextra', '-pthread', `-I${join(headers, 'include')}`], extra);
  // g++ 12 takes its own intrinsics' undefined registers for uninitialised ones.
  const kernel = msvc ? [] : ['-fno-exceptions', '-fno-rtti', '-Wno-uninitialized'];
  const folder = join(root, 'build', 'native');
  mkdirSync(folder, { recursive: true });
  const used = new Set();

  const object = async (source, flags, generated = '') => {
    const args = [...common, ...flags];
    const key = hashOf([compiler.version, ...args, generated], sourcesOf(source));
    const name = `${source.slice(root.length).replace(/[\\/]/g, '-')}-${key}.o`;
    const path = join(folder, name);
    used.add(name);
    if (existsSync(path) && option('force') === undefined) return { ok: true, path, text: '' };
    const part = `${path}.${process.pid}.part`;
    const run = await compile(compiler, [
      ...args,
      ...(msvc ? ['/c', source, `/Fo${part}`] : ['-c', source, '-o', part]),
    ]);
    if (run.ok) renameSync(part, path);
    else rmSync(part, { force: true });
    if (!quiet && run.text.trim() !== '' && run.text.trim() !== source.split(/[\\/]/).pop())
      process.stderr.write(run.text);
    return { ...run, path };
  };

  // Two at a time: a machine with little memory should survive `npm ci`.
  const tasks = [];
  const only = setting('only')?.split(',');
  const wanted = variantsOf(arch).filter(({ unit }) => only === undefined || only.includes(unit));
  // Inference kernels, and training kernels where there are any; the latter are few and serve several variants.
  const units = wanted.flatMap((variant) =>
    ['native', join('native', 'train')]
      .map((folder) => ({
        ...variant,
        trains: folder !== 'native',
        source: join(root, folder, 'isa', `${variant.unit}.cc`),
      }))
      .filter(({ source }) => existsSync(source)),
  );
  const plain = ['native', join('native', 'train')].flatMap((folder) =>
    readdirSync(join(root, folder))
      .filter((file) => file.endsWith('.cc') && file !== 'dispatch.cc')
      .map((file) => join(root, folder, file)),
  );
  for (const unit of units) {
    tasks.push(async () => ({ unit, ...(await object(unit.source, [...kernel, ...(msvc ? unit.msvc : unit.gcc)])) }));
  }
  for (const source of plain) tasks.push(async () => ({ ...(await object(source, [])) }));
  const results = [];
  const worker = async () => {
    for (let task = tasks.shift(); task !== undefined; task = tasks.shift()) results.push(await task());
  };
  await Promise.all(Array.from({ length: Number(setting('jobs') ?? 2) }, worker));

  const failed = results.filter((r) => !r.ok);
  const fatal = failed.find((r) => r.unit === undefined || r.unit.unit === 'scalar');
  if (fatal) return { reason: `the C++ compiler failed: ${firstError(fatal.text)}` };
  const built = units.filter((unit) => results.some((r) => r.ok && r.unit === unit));
  const runs = built.filter(({ trains }) => !trains);
  const objects = results.filter((r) => r.ok).map((r) => r.path);
  for (const [part, include] of [
    ['native', includeOf(runs)],
    [
      join('native', 'train'),
      trainIncludeOf(
        runs,
        built.filter(({ trains }) => trains),
      ),
    ],
  ]) {
    const generated = join(folder, hashOf([include], []));
    mkdirSync(generated, { recursive: true });
    writeFileSync(join(generated, 'variants.inc'), include);
    const dispatch = await object(join(root, part, 'dispatch.cc'), [`${msvc ? '/' : '-'}I${generated}`], include);
    if (!dispatch.ok) return { reason: `the C++ compiler failed: ${firstError(dispatch.text)}` };
    objects.push(dispatch.path);
  }
  objects.sort();

  const kind = sanitize !== undefined ? '-sanitize' : arch !== process.arch ? `-${arch}` : '';
  const output = join(root, 'build', `gptoss${kind}.node`);
  const stamp = hashOf([process.version.split('.')[0], ...objects], []);
  const stampFile = `${output}.hash`;
  const notes = { output, left: failed.map((r) => r.unit.unit), errors: failed.length };
  if (existsSync(output) && existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) {
    return { ...notes, upToDate: true };
  }
  // A new file under the same name: processes that have the old one loaded keep it.
  const part = `${output}.${process.pid}.part`;
  const link = msvc ? linkMsvc(compiler, headers, folder, objects, part) : linkUnix(objects, part, extra);
  const run = await compile(compiler, link);
  if (!run.ok) {
    rmSync(part, { force: true });
    return { reason: `linking failed: ${firstError(run.text)}` };
  }
  rmSync(output, { force: true });
  renameSync(part, output);
  writeFileSync(stampFile, stamp);
  if (kind === '') removeOld(folder, used);
  return notes;
}

/** Objects of earlier sources; an hour's grace for a build that another process has under way. */
function removeOld(folder, used) {
  for (const name of readdirSync(folder)) {
    if (used.has(name) || !/\.(o|part)$/.test(name)) continue;
    const path = join(folder, name);
    if (Date.now() - statSync(path).mtimeMs > 3_600_000) rmSync(path, { force: true });
  }
}

function linkUnix(objects, output, extra) {
  const system = process.platform === 'darwin' ? ['-bundle', '-undefined', 'dynamic_lookup'] : ['-shared'];
  return [...system, '-pthread', ...extra, ...objects, '-o', output];
}

/** Visual C++ links against node.exe through an import library made from the package's .def file. */
function linkMsvc(compiler, headers, folder, objects, output) {
  const library = join(folder, 'node_api.lib');
  const lines = ['js_native_api.def', 'node_api.def']
    .map((name) => readFileSync(join(headers, 'def', name), 'utf8'))
    .join('\n')
    .split(/\r?\n/)
    .filter((line) => line.trim() !== '' && !/^(NAME|LIBRARY|EXPORTS)/.test(line.trim()));
  const definition = join(folder, 'node_api.def');
  writeFileSync(definition, `LIBRARY NODE.EXE\nEXPORTS\n${lines.join('\n')}\n`);
  spawnSync('lib', ['/nologo', `/def:${definition}`, `/out:${library}`, `/machine:${process.arch}`], {
    env: compiler.env,
  });
  return ['/nologo', '/LD', ...objects, library, `/Fe${output}`];
}

function firstError(text) {
  const line = text.split('\n').find((l) => /error/i.test(l)) ?? text.split('\n')[0] ?? '';
  return line.trim().slice(0, 300);
}

const started = Date.now();
let result;
try {
  result = await build();
} catch (error) {
  result = { reason: String(error?.message ?? error) };
}
if (result.reason !== undefined) {
  say(
    `the native part was not built: ${result.reason}. gptoss runs, but large models are far slower; \`npm run build:native\` builds it`,
  );
  process.exitCode = quiet ? 0 : 1;
} else if (result.upToDate) {
  if (!quiet) say(`${result.output} is up to date`);
} else {
  const left = result.left.length > 0 ? `, without ${result.left.join(', ')} (this compiler cannot build it)` : '';
  say(`built ${result.output} in ${((Date.now() - started) / 1000).toFixed(1)} s${left}`);
}
if (!quiet && result.errors > 0) process.exitCode = 1;
