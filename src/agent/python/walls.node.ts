// Owns: the walls around a process that runs Python, as command lines. Each is tried from the inside before it counts
// (host.node.ts); what each stops is in docs/tools.md, and what is said there is tested.
//   bubblewrap, unshare   Linux namespaces: no network, an empty file system but for node, its libraries and Pyodide
//                         (read-only), no other processes, no capabilities; resource limits by the kernel
//   deno                  the permissions of Deno: no network, files, programs, environment
//   flags                 Node's own permission model: no files, programs, workers; on Node 20 to 24 it leaves the network
// Refuses: to judge them. Next: child.node.ts.

import { existsSync, realpathSync } from 'node:fs';
import { dirname } from 'node:path';

export type WallName = 'bubblewrap' | 'unshare' | 'deno' | 'flags';

export interface WallOptions {
  readonly memoryMiB: number;
  /** Realpaths the process may read. */
  readonly folder: string; // of Pyodide
  readonly runner: string;
  readonly session: string;
  /** An empty folder to stand on while a root is put together. */
  readonly empty: string;
  /** Deno, if there is one. */
  readonly deno: string | null;
  /** More folders to read: wheels of further packages. */
  readonly packages: string | null;
}

export interface WallCommand {
  readonly command: string;
  readonly args: readonly string[];
}

const find = (...paths: string[]): string | null => paths.find((path) => existsSync(path)) ?? null;

/** Command lines of the walls this machine could have, the strongest first. */
export function walls(options: WallOptions): ReadonlyMap<WallName, WallCommand> {
  const found = new Map<WallName, WallCommand>();
  const inner = nodeCommand(options);
  const shell = find('/bin/sh');
  const bwrap = find('/usr/bin/bwrap', '/usr/local/bin/bwrap');
  const unshare = find('/usr/bin/unshare', '/bin/unshare');
  if (process.platform === 'linux' && shell !== null) {
    if (bwrap !== null) found.set('bubblewrap', limited(shell, options, bubblewrap(bwrap, options, inner)));
    if (unshare !== null) found.set('unshare', limited(shell, options, unshared(unshare, shell, options, inner)));
  }
  if (options.deno !== null) found.set('deno', denoCommand(options.deno, options));
  const isUnix = shell !== null && process.platform !== 'win32';
  found.set('flags', isUnix ? limited(shell, options, inner) : inner);
  return found;
}

/** Wasm pages of 64 KiB. */
const pages = ({ memoryMiB }: WallOptions): number => memoryMiB * 16;

function nodeCommand(options: WallOptions): WallCommand {
  const { folder, runner, session, packages } = options;
  const permission = process.allowedNodeEnvironmentFlags.has('--permission')
    ? '--permission'
    : '--experimental-permission';
  const paths = new Set([runner, session, `${folder}/*`, ...(packages === null ? [] : [`${packages}/*`])]);
  const args = [
    permission,
    ...[...paths].map((path) => `--allow-fs-read=${path}`),
    `--wasm-max-mem-pages=${pages(options)}`,
    '--max-old-space-size=256',
    '--disallow-code-generation-from-strings',
    '--no-addons',
    '--no-warnings',
    runner,
    `${folder}/pyodide.mjs`,
    session,
  ];
  return { command: realpathSync(process.execPath), args };
}

/** Limits of the kernel, which outlast an exec: no files written, no core, few open files, memory, an hour of CPU. The
 *  data limit counts what is really writable, not what is only reserved, so V8 and wasm can live with it. */
function limited(shell: string, { memoryMiB }: WallOptions, { command, args }: WallCommand): WallCommand {
  const data = process.platform === 'linux' ? `ulimit -d ${(memoryMiB + 512) * 1024}; ` : '';
  const script = `${data}ulimit -f 0; ulimit -c 0; ulimit -n 64; ulimit -t 3600; exec "$0" "$@"`;
  return { command: shell, args: ['-c', script, command, ...args] };
}

/** Every file node needs, from the list of what this process has loaded. */
function libraries(): string[] {
  const report = process.report.getReport() as unknown as { sharedObjects?: readonly string[] };
  return [...new Set(report.sharedObjects ?? [])].filter((path) => path.startsWith('/') && !path.endsWith('.node'));
}

function readable({ folder, runner, session, packages }: WallOptions): string[] {
  const paths = [realpathSync(process.execPath), ...libraries(), folder, runner, session];
  const all = new Set([...paths, ...(packages === null ? [] : [packages])]);
  return [...all].filter((path) => existsSync(path));
}

function bubblewrap(bwrap: string, options: WallOptions, inner: WallCommand): WallCommand {
  const args = [
    ...['--unshare-all', '--die-with-parent', '--new-session', '--cap-drop', 'ALL', '--hostname', 'python'],
    ...readable(options).flatMap((path) => ['--ro-bind', path, path]),
    ...['--remount-ro', '/', '--chdir', '/', '--', inner.command, ...inner.args],
  ];
  return { command: bwrap, args };
}

/** The same by hand: an outer namespace that may mount puts the root together, an inner one without any rights uses it. */
const ASSEMBLE = `
set -eu
root=$1; count=$2; shift 2
mount -t tmpfs -o size=1m,mode=755 none "$root"
while [ "$count" -gt 0 ]; do
  if [ -d "$1" ]; then mkdir -p "$root$1"; else mkdir -p "$root$(dirname "$1")"; : > "$root$1"; fi
  mount --bind "$1" "$root$1"
  mount -o remount,bind,ro,nosuid,nodev "$root$1"
  count=$((count - 1)); shift
done
mount -o remount,ro "$root"
exec "$@"
`;

function unshared(unshare: string, shell: string, options: WallOptions, inner: WallCommand): WallCommand {
  const paths = readable(options);
  const own = ['--user', '--map-root-user', '--mount', '--pid', '--net', '--ipc', '--uts', '--cgroup'];
  const bare = ['--user', '--map-user=65534', '--map-group=65534', `--root=${options.empty}`, '--wd=/'];
  // No files of the memory limit's kind may be written from here on, but a mount point is an empty file.
  const args = [
    ...[...own, '--fork', '--kill-child=KILL', '--', shell, '-c', ASSEMBLE, shell, options.empty],
    ...[String(paths.length), ...paths, unshare, ...bare, '--', inner.command, ...inner.args],
  ];
  const pdeath = find('/usr/bin/setpriv', '/bin/setpriv');
  return pdeath === null
    ? { command: unshare, args }
    : { command: pdeath, args: ['--pdeathsig', 'KILL', unshare, ...args] };
}

function denoCommand(deno: string, options: WallOptions): WallCommand {
  const { folder, runner, session, packages } = options;
  const read = [folder, runner, session, ...(packages === null ? [] : [packages])].join(',');
  const args = [
    ...['run', '--no-prompt', '--no-config', '--no-remote', '--no-npm', '--cached-only', '--quiet'],
    `--allow-read=${read}`,
    `--v8-flags=--wasm-max-mem-pages=${pages(options)},--max-old-space-size=256`,
    ...[runner, `${folder}/pyodide.mjs`, session],
  ];
  return { command: deno, args };
}

/** The folder of a package's main file. */
export const folderOf = (file: string): string => dirname(realpathSync(file));
