// The process that Python runs in. It reads frames from standard input and writes frames to standard output, one run at a
// time: [type u8][length of JSON u32][length of bytes u32][JSON][bytes]; a lone byte 3 interrupts. It is written for the
// day its guest takes it over: everything it could do, the guest can do, so the walls stand around it and none is in it.
// Before anything else it tries to get out and reports how far it came; only then Python is loaded.
// Plain JavaScript because no loader is allowed in here. Runs under Node and Deno. Next: session.py.
import * as fs from 'node:fs';
import process from 'node:process';

const FRAME = 1;
const INTERRUPT = 3;
const MOST_OUTPUT = 256 * 1024; // bytes of one run
const MOST_FILES = 32;
const MOST_FILE_BYTES = 8 * 1024 * 1024; // of one run, all files together
const HOME = '/mnt/data';

const [folder, session] = process.argv.slice(2);

// ---- frames -------------------------------------------------------------------------------------------------------

function writeAll(bytes) {
  for (let at = 0; at < bytes.length; ) {
    try {
      at += fs.writeSync(1, bytes, at, bytes.length - at);
    } catch (error) {
      if (error.code !== 'EAGAIN') process.exit(0); // nobody listens any more
    }
  }
}

function send(message, bytes = new Uint8Array(0)) {
  const json = new TextEncoder().encode(JSON.stringify(message));
  const head = new DataView(new ArrayBuffer(9));
  head.setUint8(0, FRAME);
  head.setUint32(1, json.length, true);
  head.setUint32(5, bytes.length, true);
  writeAll(new Uint8Array(head.buffer));
  writeAll(json);
  writeAll(bytes);
}

let waiting = new Uint8Array(0);

/** Whole frames in what has arrived. */
function* frames(chunk) {
  const all = new Uint8Array(waiting.length + chunk.length);
  all.set(waiting);
  all.set(chunk, waiting.length);
  let at = 0;
  while (at < all.length) {
    if (all[at] === INTERRUPT) {
      at++; // nothing runs: it came too late
      continue;
    }
    if (all.length - at < 9) break;
    const view = new DataView(all.buffer, at);
    const json = view.getUint32(1, true);
    const bytes = view.getUint32(5, true);
    const end = at + 9 + json + bytes;
    if (all.length < end) break;
    yield {
      message: JSON.parse(new TextDecoder().decode(all.subarray(at + 9, at + 9 + json))),
      bytes: all.slice(at + 9 + json, end),
    };
    at = end;
  }
  waiting = all.slice(at);
}

// ---- the proof of the walls -----------------------------------------------------------------------------------------

const attempt = async (action) => {
  try {
    return String((await action()) ?? 'done');
  } catch (error) {
    return `blocked: ${error?.code ?? error?.name ?? 'error'}`;
  }
};

async function probe({ port, secret, target, parent }) {
  const connect = () =>
    new Promise((resolve, reject) => {
      import('node:net').then(({ connect }) => {
        const socket = connect({ host: '127.0.0.1', port }, () => resolve('connected'));
        socket.on('error', reject);
        setTimeout(() => reject(new Error('silence')), 2000);
      }, reject);
    });
  return {
    network: await attempt(connect),
    read: await attempt(() => fs.readFileSync(secret, 'utf8')),
    write: await attempt(() => fs.writeFileSync(target, 'x')),
    run: await attempt(async () => {
      const { spawnSync } = await import('node:child_process');
      const { error, status } = spawnSync(process.execPath, ['--version']);
      if (error) throw error;
      return `exit ${status}`;
    }),
    signal: await attempt(() => process.kill(parent, 0)),
    environment: await attempt(() => {
      // What shells set by themselves says nothing.
      const names = Object.keys(process.env).filter((name) => !/^(PWD|OLDPWD|SHLVL|_)$/.test(name));
      if (names.length === 0) throw new Error('empty');
      return names.slice(0, 5).join(' ');
    }),
  };
}

// ---- Python -------------------------------------------------------------------------------------------------------

let output = 0; // bytes of the current run
let dropped = 0;
let held = [];
let heldBytes = 0;
let lastFlush = 0;

function flush() {
  if (heldBytes === 0) return;
  const all = new Uint8Array(heldBytes);
  let at = 0;
  for (const piece of held) {
    all.set(piece, at);
    at += piece.length;
  }
  held = [];
  heldBytes = 0;
  lastFlush = performance.now();
  send({ type: 'output' }, all);
}

function write(bytes) {
  const kept = bytes.subarray(0, Math.max(0, MOST_OUTPUT - output));
  output += kept.length;
  dropped += bytes.length - kept.length;
  if (kept.length > 0) {
    held.push(kept.slice());
    heldBytes += kept.length;
    if (heldBytes > 16_384 || performance.now() - lastFlush > 200) flush();
  }
  return bytes.length;
}

/** Asked by the interpreter again and again while it runs: 2 is SIGINT. There is no second thread that could write it. */
class Interrupts {
  deadline = Number.POSITIVE_INFINITY;
  #next = 0;
  #isAsked = false;
  #byte = new Uint8Array(1);

  get 0() {
    const now = performance.now();
    if (now > this.deadline) {
      this.deadline = now + 1000; // code that catches it is asked again
      return 2;
    }
    if (now > this.#next) {
      this.#next = now + 50;
      this.#poll();
    }
    if (!this.#isAsked) return 0;
    this.#isAsked = false;
    return 2;
  }

  set 0(_) {}

  ask() {
    this.#isAsked = true;
  }

  /** Standard input is read by the event loop, which stands still now. */
  #poll() {
    if (!canPoll) return;
    try {
      const count = fs.readSync(0, this.#byte, 0, 1, null);
      if (count === 0) process.exit(0); // the other side is gone
      if (this.#byte[0] === INTERRUPT) this.#isAsked = true;
    } catch {
      // nothing has come
    }
  }
}

const canPoll = process.platform !== 'win32' && globalThis.Deno === undefined;
const interrupts = new Interrupts();
let python = null;
let functions = null;

async function load() {
  // Pyodide asks for two tables of constants in a way that the permission model forbids.
  if (globalThis.Deno === undefined) {
    const os = await import('node:os');
    process.binding = (name) => {
      if (name === 'constants') return { fs: fs.constants, os: os.constants };
      throw new Error('there are no bindings here');
    };
  }
  const { loadPyodide } = await import(folder);
  python = await loadPyodide({
    jsglobals: Object.create(null),
    env: { HOME, _: 'python', PYTHONDONTWRITEBYTECODE: '1', MPLBACKEND: 'agg' },
    stdin: () => null,
  });
  python.setStdout({ write, isatty: false });
  python.setStderr({ write, isatty: false });
  python.FS.mkdirTree(HOME);
  python.FS.chdir(HOME);
  python.setInterruptBuffer(interrupts);
  const scope = python.globals.get('dict')();
  python.runPython(fs.readFileSync(session, 'utf8'), { globals: scope });
  functions = { run: scope.get('run'), figures: scope.get('figures') };
}

/** Names below the working folder with what tells a changed file from an old one. */
function listing() {
  const found = new Map();
  const walk = (path, depth) => {
    for (const name of python.FS.readdir(path)) {
      if (name === '.' || name === '..' || found.size >= 1000) continue;
      const full = `${path}/${name}`;
      const { mode, size, mtime } = python.FS.lstat(full);
      if (python.FS.isDir(mode)) {
        if (depth < 4 && name !== '__pycache__') walk(full, depth + 1);
      } else if (python.FS.isFile(mode)) found.set(full, `${size} ${Number(mtime)}`);
    }
  };
  walk(HOME, 0);
  return found;
}

function sendFiles(before) {
  let left = MOST_FILE_BYTES;
  let count = 0;
  for (const [path, state] of listing()) {
    if (before.get(path) === state) continue;
    const name = path.slice(HOME.length + 1);
    const size = Number(state.split(' ')[0]);
    if (++count > MOST_FILES || size > left) {
      send({ type: 'large-file', name, size });
      continue;
    }
    left -= size;
    send({ type: 'file', name }, python.FS.readFile(path));
  }
}

async function run({ code, seconds }) {
  output = 0;
  dropped = 0;
  const before = listing();
  interrupts.deadline = performance.now() + seconds * 1000;
  let status;
  try {
    status = await functions.run(code);
  } catch (error) {
    // Not even the interpreter could deal with it: it is broken now.
    flush();
    send({ type: 'end', status: 'crashed', dropped, message: String(error?.message ?? error).slice(0, 500) });
    process.exit(0);
  }
  interrupts.deadline = performance.now() + 10_000;
  try {
    const images = functions.figures();
    for (const image of images.toJs()) send({ type: 'image' }, image);
    images.destroy();
    sendFiles(before);
  } catch {
    // what cannot be read is not offered
  }
  interrupts.deadline = Number.POSITIVE_INFINITY;
  flush();
  send({ type: 'end', status, dropped });
}

function put({ name }, bytes) {
  const path = `${HOME}/${name}`;
  python.FS.mkdirTree(path.slice(0, path.lastIndexOf('/')));
  python.FS.writeFile(path, bytes);
  send({ type: 'end', status: 'ok', dropped: 0 });
}

let last = Promise.resolve();
process.stdin.on('data', (chunk) => {
  // While code waits for something (await, asyncio.sleep) the event loop runs, and an interrupt arrives here.
  if (chunk.length === 1 && chunk[0] === INTERRUPT) interrupts.ask();
  for (const { message, bytes } of frames(chunk)) {
    last = last.then(async () => {
      if (message.type === 'probe') send({ type: 'probe', found: await probe(message) });
      else if (message.type === 'load') {
        await load();
        send({ type: 'ready' });
      } else if (message.type === 'put') put(message, bytes);
      else await run(message);
    });
    last.catch((error) => {
      send({ type: 'failed', message: String(error?.message ?? error).slice(0, 500) });
      process.exit(0);
    });
  }
});
process.stdin.on('end', () => process.exit(0));
