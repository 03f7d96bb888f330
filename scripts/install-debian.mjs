// Installs Debian packages for a test tier, where that can work: as root, with apt. Never fails: says why it did not.
import { spawnSync } from 'node:child_process';

/**
 * Null when the packages are there now, else the reason in words.
 * @param {readonly string[]} packages
 * @returns {string | null}
 */
export function install(packages) {
  if (process.getuid?.() !== 0) return `only root can install ${packages.join(', ')}`;
  if (spawnSync('apt-get', ['--version']).status !== 0) return `there is no apt-get to install ${packages.join(', ')}`;
  process.stdout.write(`installing ${packages.join(', ')}\n`);
  const options = {
    stdio: ['ignore', 'ignore', 'pipe'],
    encoding: 'utf8',
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  };
  spawnSync('apt-get', ['update', '-qq'], options);
  const run = spawnSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...packages], options);
  return run.status === 0 ? null : `apt-get could not install ${packages.join(', ')}: ${lastLine(run.stderr)}`;
}

function lastLine(text) {
  return (text ?? '').trim().split('\n').at(-1) ?? '';
}
