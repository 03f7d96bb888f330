// Python in its box, as a conversation sees it, and what code can try from inside the interpreter. What a guest could do
// that has broken out of the interpreter is in walls.node.test.ts; both lists are those of docs/tools.md.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isGptOssError } from '../../errors.ts';
import { attempts, headOf, slowAttempts } from './escapes.testing.ts';
import { PythonHost } from './host.node.ts';
import { codeOf, type PythonResult, pythonTool } from './python-tool.ts';

const SECONDS = 30; // nothing here takes long but on a busy machine
let host: PythonHost;
let python: ReturnType<PythonHost['open']>;
let problem = '';
let folder: string;
let server: Server;
let visitors = 0;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'gptoss-python-test-'));
  writeFileSync(join(folder, 'secret'), 'the-secret-word');
  server = createServer((socket) => {
    visitors++;
    socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  host = new PythonHost({ seconds: SECONDS, memoryMiB: 256 });
  try {
    await host.prove();
  } catch (error) {
    if (!isGptOssError(error, 'unsupported-device')) throw error;
    problem = error.message;
  }
  python = host.open();
}, 120_000);

afterAll(async () => {
  await host.close();
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

const run = (code: string, seconds = SECONDS): Promise<PythonResult> =>
  python.run(code, { signal: new AbortController().signal, show: () => undefined, seconds });

describe('python', () => {
  it('keeps its variables, shows the last value and what was printed', async (context) => {
    if (problem !== '') return context.skip(problem);
    expect(await run('import math\nx = 41\nprint("hi")\nx + 1')).toMatchObject({ text: 'hi\n42\n', status: 'ok' });
    expect(await run('x = x * 2; x; None')).toMatchObject({ text: '', status: 'ok' });
    expect((await run('math.sqrt(x + 18)')).text).toBe('10.0\n');
    expect((await run('import asyncio\nawait asyncio.sleep(0)\n"awaited"')).text).toBe("'awaited'\n");
  });

  it('tells errors with their lines, and goes on', async (context) => {
    if (problem !== '') return context.skip(problem);
    const failed = await run('def f(n):\n  return 1 / n\nf(0)');
    expect(failed.status).toBe('error');
    expect(failed.text).toMatch(/line 3, in <module>\n.*line 2, in f\nZeroDivisionError: division by zero\n$/);
    expect((await run('1 +')).text).toMatch(/SyntaxError/);
    expect(await run('exit(3)')).toMatchObject({ status: 'exit', text: 'SystemExit: 3\n' });
    expect((await run('x')).text).toBe('82\n');
  });

  it('takes files in and hands out those that are new or changed', async (context) => {
    if (problem !== '') return context.skip(problem);
    await python.put('in/table.csv', new TextEncoder().encode('a,b\n1,2\n'));
    const made = await run('open("in/table.csv").read()\nopen("out.txt", "w").write("made")');
    expect(made.files.map(({ name, bytes }) => [name, new TextDecoder().decode(bytes)])).toEqual([['out.txt', 'made']]);
    expect((await run('open("/mnt/data/out.txt").read()')).files).toEqual([]);
    const large = await run('open("large.bin", "wb").write(b"x" * 20_000_000)');
    expect(large).toMatchObject({ files: [], large: ['large.bin (20000000 bytes)'] });
    const odd = await run(
      'import os\nos.makedirs("a/..b", exist_ok=True)\nopen("a/..b/\\u202e<x>\\n", "w").write("1")',
    );
    expect(odd.files.map(({ name }) => name)).toEqual(['a/..b/__x__']);
  });

  it('shows figures as images', async (context) => {
    if (problem !== '') return context.skip(problem);
    // matplotlib is in no package of npm: a module of the same face stands for it.
    const { images } = await run(`
import sys, types
plot = types.ModuleType("matplotlib.pyplot")
class Figure:
    def savefig(self, target, format): target.write(b"\\x89PNG" + format.encode())
plot.open = [1, 2]
plot.get_fignums = lambda: plot.open
plot.figure = lambda number: Figure()
plot.close = lambda which: plot.open.clear()
sys.modules["matplotlib.pyplot"] = plot`);
    expect(images.map(({ name, mediaType, bytes }) => [name, mediaType, bytes.length])).toEqual([
      ['figure-1.png', 'image/png', 7],
      ['figure-2.png', 'image/png', 7],
    ]);
    expect((await run('del sys.modules["matplotlib.pyplot"]')).images).toEqual([]);
  });

  it('is stopped by an abort and lives on', async (context) => {
    if (problem !== '') return context.skip(problem);
    const abort = new AbortController();
    const running = python.run('print("begun", flush=True)\nwhile True: pass', {
      signal: abort.signal,
      show: () => abort.abort(),
    });
    // What it prints is told at once only from time to time; the end of the time is an abort, too.
    setTimeout(() => abort.abort(), 300);
    expect(await running).toMatchObject({ status: 'interrupted' });
    expect((await run('x')).text).toBe('82\n');
  });

  it('reads code out of fences and objects', () => {
    expect(codeOf('```python\nprint(1)\n```')).toBe('print(1)');
    expect(codeOf('{"code": "print(1)"}')).toBe('print(1)');
    for (const code of ['{"a": 1}', '{1, 2}', 'print("```")', 'x = """\n```\n"""']) expect(codeOf(code)).toBe(code);
  });
});

describe('limits', () => {
  it('of time: an endless loop and a sleep are interrupted, variables stay', async (context) => {
    if (problem !== '') return context.skip(problem);
    expect(await run('kept = 7\nwhile True: pass', 0.5)).toMatchObject({ status: 'interrupted' });
    expect(await run('import time\ntime.sleep(600)', 0.5)).toMatchObject({ status: 'interrupted' });
    expect((await run('kept')).text).toBe('7\n');
  });

  it('of memory: what is too much is an error in Python', async (context) => {
    if (problem !== '') return context.skip(problem);
    expect((await run('held = bytearray(700_000_000)')).text).toMatch(/MemoryError/);
    expect((await run('s = "x"\nwhile True: s += s')).text).toMatch(/MemoryError/);
    expect((await run('def f(): return f()\nf()')).text).toMatch(/RecursionError/);
    expect((await run('kept')).text).toBe('7\n');
  });

  it('of output: a flood is cut and counted', async (context) => {
    if (problem !== '') return context.skip(problem);
    const flood = await run('print("x" * 50_000_000)');
    expect(flood.text.length).toBe(256 * 1024);
    expect(flood.dropped).toBe(50_000_001 - 256 * 1024);
    const tool = pythonTool({ seconds: 1, run: async () => flood, close: async () => undefined }).tools[0]!;
    const context2 = { signal: new AbortController().signal, id: '1', show: () => undefined };
    const { text } = await tool.run({ text: 'x', value: undefined }, context2);
    expect(text.length).toBeLessThan(70_000);
    expect(text).toMatch(/more bytes of output were dropped/);
  });
});

describe('escapes from the interpreter', () => {
  it.each(attempts.filter(([name]) => !slowAttempts.has(name)))('%s: nothing gets out', async (name, code) => {
    if (problem !== '') return;
    const head = headOf(folder, (server.address() as { port: number }).port);
    const { text } = await run(head + code, name === 'an endless comprehension' ? 0.5 : SECONDS);
    expect(text).not.toContain('ESCAPED');
    expect(text).not.toContain('the-secret-word');
  });

  it('left no trace, and there were enough of them', () => {
    expect(attempts.length).toBeGreaterThanOrEqual(40);
    expect(visitors).toBe(0);
    expect(readFileSync(join(folder, 'secret'), 'utf8')).toBe('the-secret-word');
    expect(existsSync(join(folder, 'target'))).toBe(false);
  });
});
