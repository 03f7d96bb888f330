// `npm run test:clients`: heavier client libraries and agent programs against the server. Installs them into test/clients
// first, from its lock file; where the registry cannot be reached it says so and skips. No install scripts run: the agent
// programs come as whole binaries. Next: test/clients/.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../', import.meta.url));
const folder = `${root}test/clients`;

function skip(reason) {
  process.stdout.write(`skipped: ${reason}\n0 passed, 0 failed, 1 skipped\n`);
  process.exit(0);
}

/** Whether what is installed is what the lock file says. */
function isInstalled() {
  const record = `${folder}/node_modules/.package-lock.json`;
  if (!existsSync(record)) return false;
  const wanted = JSON.parse(readFileSync(`${folder}/package-lock.json`, 'utf8')).packages;
  const found = JSON.parse(readFileSync(record, 'utf8')).packages;
  return Object.entries(wanted).every(
    ([path, { version, optional, peer }]) => path === '' || optional || peer || found[path]?.version === version,
  );
}

if (!isInstalled()) {
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  // Not `npm ci`: it refuses lock files that lack the optional packages of other platforms, which registries leave out.
  const options = [
    'install',
    '--no-save',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--loglevel',
    'error',
    '--fetch-retries',
    '1',
  ];
  const installed = spawnSync(npm, options, {
    cwd: folder,
    encoding: 'utf8',
    shell: process.platform === 'win32',
    timeout: 400_000,
  });
  if (installed.status !== 0) {
    const said = `${installed.stderr ?? ''}${installed.error?.message ?? ''}`.trim();
    // A lock file that does not fit is our mistake, not the network's.
    if (/EINTEGRITY|ETARGET|E404/.test(said)) {
      process.stdout.write(`${said}\n0 passed, 1 failed\n`);
      process.exit(1);
    }
    skip(`the clients could not be installed: ${said.split('\n')[0]}`);
  }
}

const types = spawnSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'test/clients'], {
  cwd: root,
  stdio: 'inherit',
});
if (types.status !== 0) {
  process.stdout.write('0 passed, 1 failed\n');
  process.exit(1);
}
const run = spawnSync(
  process.execPath,
  ['node_modules/vitest/vitest.mjs', 'run', '--config', 'vitest.clients.config.ts'],
  { cwd: root, stdio: 'inherit' },
);
process.exitCode = run.status ?? 1;
