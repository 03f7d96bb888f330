import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasShared, seedModel, sharedPath } from '../../test/shared.ts';
import { findAddon } from '../backend/cpu/addon.ts';
import { hubSettings } from '../hub/roots.ts';
import { main } from './main.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gptoss-cli-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** The same with the seed, whose answers are known. */
const seed: typeof gptoss = (argv, options) => gptoss([...argv, '--model', seedModel], options);

/** The command line without a process: stores are empty, nothing is a terminal. The embedded model, where none is named. */
async function gptoss(argv: string[], options: { stdin?: string; signal?: AbortSignal } = {}): Promise<Outcome> {
  const written = { out: '', err: '' };
  const output = (name: 'out' | 'err') => ({
    write: (text: string) => {
      written[name] += text;
    },
    isTerminal: false,
    colour: false,
    columns: 80,
    rows: 24,
  });
  const stdin = new PassThrough();
  stdin.end(options.stdin ?? '');
  const code = await main(argv, {
    terminal: { out: output('out'), err: output('err') },
    stdin: stdin as unknown as NodeJS.ReadStream,
    environment: { isa: null, ci: false, noColour: false, path: '', dumb: false },
    stores: hubSettings({}, 'linux', join(folder, 'nobody')),
    version: '1.2.3',
    signal: options.signal ?? new AbortController().signal,
    takeInterrupts: () => {},
  });
  return { code, ...written };
}

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

describe('run', () => {
  it('prints the answer on stdout and nothing else; what answered is said on stderr', async () => {
    const { code, out, err } = await gptoss(['What is 412 + 509?']);
    expect({ code, out }).toEqual({ code: 0, out: expect.stringContaining('921') });
    expect(err).toMatch(/^gptoss: no gpt-oss found[^\n]*\n/);
    for (const backend of ['cpu', 'reference'].filter((name) => name === 'reference' || findAddon().addon !== null)) {
      const quiet = await seed(['--quiet', '--backend', backend, 'What is 412 + 509?']);
      expect(quiet).toEqual({ code: 0, out: '412 + 509 = 921.\n', err: '' });
    }
  });

  it('takes the prompt from standard input, and files after it', async () => {
    const rest = file('rest.txt', '412 + 509?\n');
    const [piped, appended, dashed] = await Promise.all([
      seed([], { stdin: 'What is 412 + 509?\n' }),
      seed(['run', 'What is', '--file', rest]),
      seed(['run', '--file', '-'], { stdin: 'What is 412 + 509?\n' }),
    ]);
    expect(piped.out).toBe('412 + 509 = 921.\n');
    expect(dashed.out).toBe('412 + 509 = 921.\n');
    expect(appended).toMatchObject({ code: 0, out: '412 + 509 = 921.\n' });
  });

  it('prints one JSON object of the documented shape', async () => {
    const { out } = await seed(['--json', 'What is 412 + 509?']);
    const reply = JSON.parse(out);
    const number = expect.any(Number);
    expect(reply).toEqual({
      text: '412 + 509 = 921.',
      reasoning: expect.stringContaining('Result: 921'),
      tool_calls: [],
      tokens: expect.any(Array),
      finish_reason: 'stop',
      usage: {
        prompt_tokens: number,
        cached_tokens: 0,
        completion_tokens: reply.tokens.length,
        reasoning_tokens: number,
      },
      timings: { load_ms: number, prompt_ms: number, first_token_ms: number, decode_ms: number },
    });
    expect(reply.tokens.at(-1)).toBe(1016); // the stop token is among them
  });

  it('says that an answer was cut off, and stops at --stop', async () => {
    const cut = await seed(['--json', '--max-tokens', '5', 'What is 412 + 509?']);
    expect(JSON.parse(cut.out)).toMatchObject({ finish_reason: 'length', usage: { completion_tokens: 5 } });
    expect((await seed(['--max-tokens', '5', 'What is 412 + 509?'])).err).toContain('cut off');
    expect((await seed(['--stop', ' = ', 'What is 412 + 509?'])).out).toBe('412 + 509\n');
  });

  it('shows another effort, system message and instructions to the model', async () => {
    const low = await seed(['--json', '--reasoning', 'low', 'What is 412 + 509?']);
    expect(JSON.parse(low.out).reasoning).toBe('');
    const brief = await seed(['--developer', 'Answer with only the number.', 'What is 412 + 509?']);
    expect(brief.out).toBe('921\n');
  });

  it('ends with 130 when it is interrupted', async () => {
    const enough = new AbortController();
    enough.abort();
    expect(await seed(['What is 412 + 509?'], { signal: enough.signal })).toMatchObject({ code: 130, out: '' });
  });
});

describe('run --tokens FILE --raw', () => {
  it('continues ids as they are, through stop tokens', async () => {
    const { out: whole } = await seed(['--json', 'What is 412 + 509?', '--temperature', '0']);
    const { tokens, usage } = JSON.parse(whole);
    expect(usage.completion_tokens).toBe(tokens.length);
    const ids = file('ids.json', JSON.stringify([1019, 316, 1021, 23, 21, 1020, 1019, 276]));
    const raw = JSON.parse((await seed(['run', '--tokens', ids, '--raw', '--json', '--max-tokens', '200'])).out);
    expect(raw).toMatchObject({ reasoning: '', tool_calls: [], finish_reason: 'length' });
    expect(raw.tokens).toHaveLength(200);
    expect(raw.usage).toEqual({ prompt_tokens: 8, cached_tokens: 0, completion_tokens: 200, reasoning_tokens: 0 });
    expect(raw.text).toContain('<|channel|>');
  });
});

describe('score', () => {
  it('gives log-probabilities with null first, and the perplexity that follows from them', async () => {
    const ids = [1019, 316, 1021, 23, 21, 385];
    const path = file('score.json', JSON.stringify(ids));
    const { out, code } = await seed(['score', '--tokens', path, '--json', '--precision', 'exact']);
    const { tokens, logprobs, perplexity } = JSON.parse(out);
    expect(code).toBe(0);
    expect(tokens).toEqual(ids);
    expect(logprobs[0]).toBeNull();
    const known: number[] = logprobs.slice(1);
    expect(known.every((each) => each < 0)).toBe(true);
    expect(perplexity).toBeCloseTo(Math.exp(-known.reduce((a, b) => a + b) / known.length), 6);
    const text = await seed(['score', '--text', 'What is 2 + 2?']);
    expect(text.out.trimEnd().split('\n').at(-1)).toMatch(/^perplexity [\d.]+ over 8 tokens$/);
  });
});

describe('inspect', () => {
  it('says what a checkpoint is, for people and for programs', async () => {
    const report = JSON.parse((await gptoss(['inspect', seedModel, '--json', '--tensors', '--context', '512'])).out);
    expect(report).toMatchObject({
      format: 'safetensors',
      published_model: null,
      config: { layers: 4, head_dim: 32, rope: { original_context: 256 } },
      parameters: { total: 2_190_560 },
      tokenizer: { tokens: 1024, stop_ids: expect.arrayContaining([1015, 1016, 1022]), problem: null },
      memory: { context: 512, kv: 'f16' },
    });
    expect(report.tensors).toHaveLength(79);
    expect(report.speed).toBeNull(); // too small to forecast
    const text = (await gptoss(['inspect', seedModel, '--no-speed'])).out;
    for (const part of ['2.19 million', 'MXFP4 experts', 'BF16', '1024']) expect(text).toContain(part);
  });
});

describe('doctor', () => {
  it('says what would run and why, even with a wrong --model', async () => {
    const { code, out } = await gptoss(['doctor', '--json', '--model', join(folder, 'nothing-here')]);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      version: '1.2.3',
      machine: { logicalCores: expect.any(Number) },
      backend: { name: expect.stringMatching(/^(cpu|reference)$/), why: expect.any(String) },
      model: { error: expect.stringMatching(/^not-found: /) },
      models: [],
    });
    expect((await gptoss(['doctor'])).out).toContain('would run');
  });
});

describe('bench', () => {
  it('measures load, prompt, decode and memory, and says on what', async () => {
    const argv = ['bench', '--quiet', '--json', '--lengths', '16', '--decode', '3', '--repeat', '1'];
    const { code, out, err } = await gptoss(argv);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    const { machine, rows } = JSON.parse(out) as {
      machine: unknown;
      rows: { test: string; unit?: string; median?: number }[];
    };
    expect(machine).toMatchObject({ backend: expect.any(String), node: process.version });
    for (const [test, unit] of [
      ['load', 'ms'],
      ['prompt', 'tokens/s'],
      ['decode', 'tokens/s'],
    ]) {
      expect(rows.find((row) => row.test === test)).toMatchObject({ unit, median: expect.any(Number) });
    }
    const text = await gptoss(argv.filter((argument) => argument !== '--json').concat('--no-ops'));
    expect(text.out).toMatch(/^read a prompt of 16 .* tokens\/s$/m);
    expect(await seed(['bench', '--lengths', '5000'])).toMatchObject({
      code: 1,
      err: expect.stringMatching(/context-overflow/),
    });
  });
});

describe('chat in a pipe', () => {
  it('answers line by line and knows what was said before', async () => {
    const { code, out, err } = await seed(['chat', '--quiet'], {
      stdin: 'What is 412 + 509?\n/effort low\nさようなら',
    });
    expect(code).toBe(0);
    expect(out.startsWith('412 + 509 = 921.\n')).toBe(true);
    expect(out.trim().split('\n')).toHaveLength(2);
    expect(err).toContain('reasoning effort: low');
  });
});

describe('what goes wrong', () => {
  const cases: [string, () => string[], RegExp][] = [
    ['a path that does not exist', () => ['--model', '/does/not/exist', 'x'], /^not-found: /],
    ['an unknown name', () => ['--model', 'gpt-oss-20b', 'x'], /^not-found: /],
    ['an empty file', () => ['--model', file('empty.gguf', ''), 'x'], /^bad-checkpoint: /],
    ['a wrong magic', () => ['--model', file('text.gguf', 'just text, long enough'), 'x'], /^bad-checkpoint: /],
    [
      'a header of 2^63 bytes',
      () => ['inspect', file('huge.safetensors', new Uint8Array([0, 0, 0, 0, 0, 0, 0, 0x80, 0x7b, 0x7d]))],
      /^bad-checkpoint: /,
    ],
    ['an empty folder', () => ['--model', mkdtempSync(join(folder, 'none-')), 'x'], /^(not-found|bad-checkpoint): /],
    ['ids that are no JSON', () => ['run', '--raw', '--tokens', file('a.json', 'x')], /^invalid-request: /],
    ['ids that are no numbers', () => ['run', '--raw', '--tokens', file('b.json', '[1,"2"]')], /^invalid-request: /],
    ['no ids', () => ['run', '--raw', '--tokens', file('c.json', '[]')], /^invalid-request: /],
    [
      'ids outside the vocabulary',
      () => ['run', '--model', seedModel, '--raw', '--tokens', file('d.json', '[1024]')],
      /^invalid-request: /,
    ],
    [
      'ids outside the vocabulary, scored',
      () => ['score', '--model', seedModel, '--tokens', file('e.json', '[1, 1024]')],
      /^invalid-request: /,
    ],
    ['a missing file', () => ['--file', join(folder, 'missing.txt'), 'x'], /^not-found: /],
    ['a folder as a file', () => ['--file', folder, 'x'], /^invalid-request: /],
    [
      'a file that is no text',
      () => ['--file', file('bin', new Uint8Array([0xff, 0xfe, 0])), 'x'],
      /^invalid-request: /,
    ],
    ['a prompt beyond the context', () => ['--model', seedModel, 'a '.repeat(4000)], /^context-overflow: /],
    ['a context beyond the model', () => ['--model', seedModel, '--context', '2000', 'x'], /^invalid-request: /],
  ];
  it.each(cases)('%s: one clear line, exit 1', async (_name, argv, message) => {
    const { code, out, err } = await gptoss(argv());
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toMatch(/^gptoss: [a-z-]+: .*;.*\n$/);
    expect(err.slice('gptoss: '.length)).toMatch(message);
    expect(err.trimEnd()).not.toContain('\n');
  });

  it.runIf(hasShared('fixtures', 'mini.gguf'))('a truncated file: one clear line', async () => {
    const { readFileSync } = await import('node:fs');
    const bytes = readFileSync(sharedPath('fixtures', 'mini.gguf'));
    const path = file('cut.gguf', bytes.subarray(0, bytes.length - 1000));
    expect(await gptoss(['inspect', path])).toMatchObject({
      code: 1,
      err: expect.stringMatching(/^gptoss: bad-checkpoint: .*\n$/),
    });
  });

  it('wrong usage exits with 2', async () => {
    for (const argv of [['--nonsense'], ['score'], ['run', '   '], ['--threads', '0', 'x']]) {
      expect(await gptoss(argv)).toMatchObject({
        code: 2,
        out: '',
        err: expect.stringMatching(/^gptoss: usage: [^\n]*\n$/),
      });
    }
  });

  it('--verbose adds the causes', async () => {
    const { err } = await gptoss(['run', '--raw', '--verbose', '--tokens', file('f.json', '{')]);
    expect(err).toMatch(/^gptoss: invalid-request: [^\n]*\n {2}because: [^\n]+\n$/);
  });
});
