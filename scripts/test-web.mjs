// `npm run test:web`: the browser tier. Finds Chromium (GPTOSS_CHROMIUM, or the usual places), installs Debian's when there
// is none and we are root with apt, and skips with a reason otherwise. Next: test/web/chromium.web.test.ts.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { install } from './install-debian.mjs';

const root = fileURLToPath(new URL('../', import.meta.url));
const places = [
  process.env.GPTOSS_CHROMIUM,
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
];
const find = () => places.find((path) => path && existsSync(path));

let chromium = find();
let reason = null;
if (!chromium) {
  reason = install(['chromium']);
  chromium = find();
}
if (!chromium) {
  process.stdout.write(
    `skipped: no Chromium, and ${reason ?? 'the package did not bring one'}\n0 passed, 0 failed, 1 skipped\n`,
  );
} else {
  const run = spawnSync(
    process.execPath,
    ['node_modules/vitest/vitest.mjs', 'run', '--config', 'vitest.web.config.ts'],
    {
      cwd: root,
      stdio: 'inherit',
      env: { ...process.env, GPTOSS_CHROMIUM: chromium },
    },
  );
  process.exitCode = run.status ?? 1;
}
