// Builds what a clone needs before it can run: the native kernels (never fatal: plain TypeScript stands in for them)
// and dist/ from src/. `npm ci` calls it through the `prepare` script, scripts/start.mjs calls `buildTypeScript` when a
// source is newer than dist/. Everything it says goes to stderr, because stdout belongs to the program's answers.
// Next: build-native.mjs.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../', import.meta.url));
const stamp = `${root}dist/.sources`;
const lock = `${root}dist/.building`;

/** Number and newest change of everything dist/ is made from; a deleted source changes the number. */
function sourceState() {
  let files = 0;
  let newest = 0;
  const look = (path) => {
    files++;
    newest = Math.max(newest, statSync(path).mtimeMs);
  };
  for (const name of ['tsconfig.json', 'tsconfig.build.json', 'package-lock.json']) look(root + name);
  const walk = (folder) => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory()) walk(path);
      else if (/\.(?:tsx?|css|html|svg)$/.test(entry.name) && !entry.name.endsWith('.test.ts')) look(path);
    }
  };
  walk(`${root}src`);
  if (existsSync(`${root}web`)) walk(`${root}web`);
  return `${files} ${newest}\n`;
}

/** Whether dist/ was made from the sources as they are now. An installed package has no src/ and is always current. */
export function isCurrent() {
  if (!existsSync(`${root}src`)) return true;
  try {
    return readFileSync(stamp, 'utf8') === sourceState();
  } catch {
    return false;
  }
}

/** Waits until no other process writes dist/; true when this one holds it now. */
function takeLock() {
  mkdirSync(`${root}dist`, { recursive: true });
  const deadline = Date.now() + 120_000;
  for (;;) {
    try {
      writeFileSync(lock, String(process.pid), { flag: 'wx' });
      return;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    let holder = 0;
    try {
      holder = Number(readFileSync(lock, 'utf8'));
      if (holder) process.kill(holder, 0);
    } catch (error) {
      if (error.code === 'ESRCH') rmSync(lock, { force: true }); // its holder died
    }
    if (Date.now() > deadline) rmSync(lock, { force: true });
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
  }
}

/** Compiles src/ into dist/. Returns the compiler's complaints, or null when there are none. */
export function buildTypeScript() {
  takeLock();
  try {
    if (isCurrent()) return null; // another process built it while this one waited
    const state = sourceState();
    const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
    const run = spawnSync(process.execPath, [tsc, '-p', `${root}tsconfig.build.json`, '--pretty', 'false'], {
      cwd: root,
      encoding: 'utf8',
    });
    if (run.error) throw run.error;
    const page = buildPage();
    writeFileSync(stamp, state);
    const complaints = (run.status === 0 ? '' : run.stdout + run.stderr) + page;
    return complaints === '' ? null : complaints;
  } finally {
    rmSync(lock, { force: true });
  }
}

/** Bundles web/ into dist/page; returns complaints, or nothing. Without the bundler the page is left as it is. */
function buildPage() {
  let vite;
  try {
    vite = createRequire(import.meta.url)
      .resolve('vite/package.json')
      .replace(/package\.json$/, 'bin/vite.js');
  } catch {
    return '';
  }
  const run = spawnSync(process.execPath, [vite, 'build', '--config', `${root}web/vite.config.ts`], {
    cwd: root,
    encoding: 'utf8',
  });
  return run.status === 0 ? '' : run.stdout + run.stderr;
}

function buildNative() {
  const script = `${root}scripts/build-native.mjs`;
  if (!existsSync(script)) return;
  spawnSync(process.execPath, [script, '--quiet'], { cwd: root, stdio: ['ignore', 2, 2] });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (!process.argv.includes('--no-native')) buildNative();
  let complaints = null;
  try {
    complaints = buildTypeScript();
  } catch (error) {
    if (error.code !== 'MODULE_NOT_FOUND') throw error;
    // `npm ci --omit=dev`: there is no compiler to run, and a published package brings its dist/ along.
    complaints = existsSync(`${root}dist/cli/bin.js`)
      ? null
      : 'typescript is not installed: run `npm ci` without --omit=dev';
  }
  if (complaints !== null) {
    process.stderr.write(`${complaints}\n`);
    process.exitCode = 1;
  }
}
