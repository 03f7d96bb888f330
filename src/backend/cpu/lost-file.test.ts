// A model file that is cut short or replaced while it is in use must not end the process (native/file_guard.h). Each case
// runs in a child: if the promise is broken, that is what dies.

import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { repoPath, seedModel } from '../../../test/shared.ts';
import { addonPath } from './addon.testing.ts';
import { findAddon } from './addon.ts';

const { addon } = findAddon(addonPath);
const path = (file: string): string => JSON.stringify(repoPath(file));
const opening = `
  import { copyFileSync, renameSync, statSync, truncateSync } from 'node:fs';
  import { CpuBackend } from ${path('src/backend/cpu/cpu.ts')};
  import { openCheckpoint } from ${path('src/formats/checkpoint.node.ts')};
  import { createModel } from ${path('src/model/load.ts')};
  import { TestSequences, testCache } from ${path('src/model/golden.testing.ts')};
  const addonPath = ${JSON.stringify(addonPath)};
  function start(folder) {
    const checkpoint = openCheckpoint(folder);
    const model = createModel(checkpoint, new CpuBackend({ maxRows: 64, threads: 2, addonPath }));
    const cache = testCache(model, 64);
    const lane = model.lane({ rows: 8, scored: 1 }, cache);
    const sequences = new TestSequences(model, cache);
    const step = async () => {
      try { await lane.run(sequences.batch([[0, [1, 2, 3]]], 'last')); return 'ran'; }
      catch (error) { return error.code + ': ' + error.message; }
    };
    return { step, close: async () => { await model.close(); checkpoint.close(); } };
  }
  const say = (line) => process.stdout.write(line + '\\n');
`;

describe.skipIf(addon === null || process.platform === 'win32')(
  'a model file that changes while it is in use (skipped without the native addon; Windows does not allow it)',
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'gptoss-lost-'));
    afterAll(() => rmSync(folder, { recursive: true }));
    const run = (name: string, body: string): { lines: string[]; signal: string | null; status: number | null } => {
      const model = join(folder, name);
      cpSync(seedModel, model, { recursive: true });
      const script = join(folder, `${name}.mjs`);
      writeFileSync(
        script,
        `${opening}\nconst model = ${JSON.stringify(model)}, file = model + '/model.safetensors';\n${body}`,
      );
      const child = spawnSync(process.execPath, ['--import', 'tsx', script], { cwd: repoPath(), encoding: 'utf8' });
      return { lines: `${child.stdout}${child.stderr}`.trim().split('\n'), signal: child.signal, status: child.status };
    };

    it('cut short: the step ends with an error, others go on, the process lives', () => {
      const { lines, signal, status } = run(
        'cut',
        `const first = start(model), other = start(${path('test/fixtures/tiny')});
         say(await first.step());
         truncateSync(file, 4096);
         say(await first.step());
         say(await first.step());
         say(await other.step());
         await first.close();
         say(await other.step());
         await other.close();`,
      );
      expect(signal).toBeNull();
      expect(lines[0]).toBe('ran');
      for (const line of lines.slice(1, 3)) {
        expect(line).toMatch(/^bad-checkpoint: .*model\.safetensors lost pages while it was in use.*;.*;/);
      }
      expect(lines.slice(3)).toEqual(['ran', 'ran']);
      expect(status).toBe(0);
    });

    it('replaced by renaming: the old one stays in use', () => {
      const { lines, status } = run(
        'replaced',
        `const first = start(model);
         say(await first.step());
         copyFileSync(file, file + '.new');
         truncateSync(file + '.new', 100);
         renameSync(file + '.new', file);
         say(await first.step());
         await first.close();`,
      );
      expect(lines).toEqual(['ran', 'ran']);
      expect(status).toBe(0);
    });

    it('overwritten in place with noise: results are noise, and nothing else happens', () => {
      const { lines, status } = run(
        'noise',
        `import { openSync, writeSync } from 'node:fs';
         const first = start(model);
         say(await first.step());
         const fd = openSync(file, 'r+'), bytes = new Uint8Array(statSync(file).size).map((_, i) => (i * 2654435761) >>> 13);
         writeSync(fd, bytes, 0, bytes.length, 0);
         say(await first.step());
         bytes.fill(255); // NaN in every float type
         writeSync(fd, bytes, 0, bytes.length, 0);
         say(await first.step());
         await first.close();`,
      );
      expect(lines).toEqual(['ran', 'ran', 'ran']);
      expect(status).toBe(0);
    });

    it('other bus errors end the process as before', () => {
      const { signal } = run(
        'foreign',
        `const first = start(model); await first.step(); process.kill(process.pid, 'SIGBUS'); setTimeout(() => {}, 5000);`,
      );
      expect(signal).toBe('SIGBUS');
    });
  },
);
