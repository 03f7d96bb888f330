// npm runs a package's scripts in the package's own folder; paths that a user types are relative to where they are.
// Nothing happens outside npm, or for a process that was started somewhere else by a script.
import { dirname, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export function enterUserFolder() {
  const packageJson = fileURLToPath(new URL('../package.json', import.meta.url));
  const { npm_package_json: current, INIT_CWD: user } = process.env;
  const isNpm = current === packageJson && relative(dirname(packageJson), process.cwd()) === '';
  if (isNpm && user) process.chdir(user);
}
