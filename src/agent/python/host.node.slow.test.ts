// The attempts that take their time or the interpreter with them (each may start a new one), behind every wall that this
// machine has. The quick ones are in host.node.test.ts.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { attempts, headOf } from './escapes.testing.ts';
import { PythonHost } from './host.node.ts';

describe.each(['bubblewrap', 'unshare'] as const)('behind %s', (wall) => {
  it('all attempts fail, and the interpreter is there again after each', { timeout: 600_000 }, async (context) => {
    const host = new PythonHost({ wall, seconds: 2, memoryMiB: 256 });
    const folder = mkdtempSync(join(tmpdir(), 'gptoss-python-test-'));
    let visitors = 0;
    const server = createServer((socket) => {
      visitors++;
      socket.destroy();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    writeFileSync(join(folder, 'secret'), 'the-secret-word');
    try {
      await host.prove();
      const python = host.open();
      const head = headOf(folder, (server.address() as { port: number }).port);
      for (const [name, code] of attempts) {
        const { text } = await python.run(head + code, { signal: new AbortController().signal, show: () => undefined });
        expect([name, text.includes('ESCAPED'), text.includes('the-secret-word')]).toEqual([name, false, false]);
        const after = await python.run('1 + 1', { signal: new AbortController().signal, show: () => undefined });
        expect([name, after.text]).toEqual([name, '2\n']);
      }
      expect(visitors).toBe(0);
      expect(existsSync(join(folder, 'target'))).toBe(false);
      const stubborn = 'kept = 1\nwhile True:\n  try:\n    while True: pass\n  except BaseException: pass';
      const signal = new AbortController().signal;
      expect(await python.run(stubborn, { signal, show: () => undefined })).toMatchObject({ status: 'killed' });
      const after = await python.run('"kept" in globals()', { signal, show: () => undefined });
      expect(after).toMatchObject({ text: 'False\n', wasRestarted: true });
    } catch (error) {
      if (String(error).includes('no wall')) return context.skip(String(error).slice(0, 300));
      throw error;
    } finally {
      await host.close();
      server.close();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
