// `gptoss train` as users meet it: lint's words and exit codes, plans, wrong usage, a stage from nothing that is stopped,
// resumed and finished, its report and its model; the hand-over folder.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../formats/checkpoint.node.ts';
import { decodeMatrix } from '../../formats/decode.ts';
import { open } from '../../open.node.ts';
import { parseLog } from '../../train/run/log.ts';
import { gptoss as runGptoss, type Said } from '../gptoss.testing.ts';

const folder = mkdtempSync(join(tmpdir(), 'gptoss-train-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const gptoss = (...argv: string[]): Promise<Said> => runGptoss(join(folder, 'nobody'), argv);

function file(name: string, lines: readonly unknown[]): string {
  const path = join(folder, name);
  writeFileSync(path, lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n'));
  return path;
}

const chat = (question: string, answer: string): unknown => ({
  messages: [
    { role: 'user', content: question },
    { role: 'assistant', content: answer },
  ],
});

describe('train lint', () => {
  it('names each line, and fails where one is unusable', async () => {
    const good = file('good.jsonl', [chat('Hi', 'Hello!'), chat('1 + 1?', '2')]);
    const fine = await gptoss('train', 'lint', good);
    expect(fine.code).toBe(0);
    expect(fine.out).toContain('2 of 2 lines are good');
    const bad = file('bad.jsonl', [
      chat('Hi', 'Hello!'),
      '{"messages": [',
      { messages: [{ role: 'bot', content: 'x' }] },
    ]);
    const { code, out, err } = await gptoss('train', 'lint', bad);
    expect(code).toBe(1);
    expect(out).toMatch(
      /bad\.jsonl:2: error: it is no JSON.*\[json\]\n.*bad\.jsonl:3: error: message 1 has the role "bot".*\[role\]/,
    );
    expect(err).toMatch(/^gptoss: invalid-request: 2 problems[^\n]*\n$/);
    const [report] = JSON.parse((await gptoss('train', 'lint', '--json', bad)).out);
    expect(report.problems.map(({ line }: { line: number }) => line)).toEqual([2, 3]);
  });

  it('says what a file is that is none', async () => {
    expect((await gptoss('train', 'lint', join(folder, 'nothing.jsonl'))).err).toMatch(/not-found/);
    writeFileSync(join(folder, 'binary.jsonl'), Uint8Array.of(10, 0xff, 0xfe, 0));
    expect((await gptoss('train', 'lint', join(folder, 'binary.jsonl'))).err).toMatch(/binary\.jsonl:2 is no UTF-8/);
  });
});

describe('train', () => {
  it('needs the model that an adapter was made for', async () => {
    const { code, err } = await gptoss('train', 'pretrain', '--adapter', folder, '--out', join(folder, 'adapted'));
    expect([code, err]).toEqual([1, expect.stringMatching(/invalid-request: an adapter belongs to a model/)]);
    const sft = await gptoss('train', 'sft', '--adapter', folder, '--out', join(folder, 'adapted'));
    expect(sft.err).toMatch(/not-found: .*adapter_config\.json/);
  });

  it('prints its plan', async () => {
    const { code, out } = await gptoss('train', 'tiny', '--dry-run', '--samples', '0');
    expect(code).toBe(0);
    expect(out).toMatch(/from nothing: \d\.\d million parameters.*\npretrain .*\nsft .*\nanneal .*\ndpo .*\nrl /);
    const plan = JSON.parse(
      (await gptoss('train', 'tiny', '--dry-run', '--samples', '0', '--json', '--size', 'micro')).out,
    );
    expect(plan.stages.map(({ stage }: { stage: string }) => stage)).toEqual([
      'pretrain',
      'sft',
      'anneal',
      'dpo',
      'rl',
    ]);
  });

  it('refuses unknown families, whatever is to be trained', async () => {
    for (const stage of ['tiny', 'rl', 'sft', 'pretrain']) {
      const { code, err } = await gptoss('train', stage, '--families', 'addition,cooking', '--dry-run');
      expect([code, err]).toEqual([1, expect.stringMatching(/no task family cooking; expected some of addition, /)]);
    }
  });

  it.each([
    [['train']],
    [['train', 'cook']],
    [['train', 'rl', 'x.jsonl']],
    [['train', 'dpo']],
    [['train', 'sft', '--rows', '0']],
  ])('refuses %j', async (argv) => {
    expect((await gptoss(...argv)).code).toBe(2);
  });

  it('from nothing: stops in time, goes on, finishes; its model opens', async () => {
    const out = join(folder, 'run');
    const stage = [
      'train',
      'pretrain',
      '--size',
      'micro',
      '--families',
      'addition',
      '--steps',
      '2',
      '--rows',
      '200',
      '--longest',
      '120',
      '--backend',
      'reference',
      '--out',
      out,
    ];
    const stopped = await gptoss(...stage, '--max-minutes', '0');
    expect(stopped.err).toMatch(/stopped in time/);
    expect(existsSync(join(out, 'model'))).toBe(false);
    expect((await gptoss(...stage, '--rows', '210')).err).toMatch(/other settings/);
    const done = await gptoss(...stage);
    expect(done).toMatchObject({ code: 0, out: `${join(out, 'model')}\n` });
    expect((await gptoss(...stage)).err).toMatch(/done already/);
    const log = parseLog(readFileSync(join(out, 'log.jsonl'), 'utf8'));
    expect(log.map((line) => line.type === 'step' && line.step)).toEqual([1, 2]);
    const report = readFileSync(join(out, 'report.html'), 'utf8');
    expect(report).toContain('pretrain: loss');
    expect(report).not.toMatch(/(src|href)="http/);
    const model = await open(join(out, 'model'), { backend: 'reference' });
    expect(model.config.layers).toBe(2);
    await model.close();

    const data = file('own.jsonl', [chat('Hi', 'Ahoy!'), chat('Hello', 'Ahoy!')]);
    const tuned = await gptoss(
      'train',
      'sft',
      data,
      '--model',
      join(out, 'model'),
      '--steps',
      '2',
      '--rows',
      '300',
      '--evaluate',
      '0',
      '--backend',
      'reference',
      '--out',
      join(folder, 'tuned'),
    );
    expect(tuned).toMatchObject({ code: 0 });
    const broken = await gptoss(
      'train',
      'sft',
      file('broken.jsonl', ['{']),
      '--model',
      join(out, 'model'),
      '--out',
      join(folder, 'broken'),
    );
    expect(broken).toMatchObject({ code: 1, err: expect.stringMatching(/first in line 1/) });

    const preferences = file('pairs.jsonl', [
      {
        prompt: [{ role: 'user', content: 'Hi' }],
        chosen: [{ role: 'assistant', content: 'Ahoy!' }],
        rejected: [{ role: 'assistant', content: 'What?' }],
      },
    ]);
    const small = ['--model', join(out, 'model'), '--evaluate', '0', '--threads', '1'];
    const preferred = join(folder, 'preferred');
    expect(await gptoss('train', 'dpo', preferences, ...small, '--steps', '2', '--out', preferred)).toMatchObject({
      code: 0,
      out: `${join(preferred, 'model')}\n`,
    });
    const steps = parseLog(readFileSync(join(preferred, 'log.jsonl'), 'utf8'));
    expect(steps.map((line) => line.type === 'step' && line.margin)).toEqual([0, expect.any(Number)]);

    // Experts before rounding: near those of the model, and in the layout that has them so.
    const unrounded = join(folder, 'unrounded');
    expect(await gptoss('train', 'export', out, '--to', 'unquantised', '--out', unrounded)).toMatchObject({ code: 0 });
    expect(readFileSync(join(unrounded, 'config.json'), 'utf8')).not.toContain('mxfp4');
    const [exact, rounded] = [unrounded, join(out, 'model')].map((path) => openCheckpoint(path));
    for (const name of ['gate', 'up', 'down'] as const) {
      const [a, b] = [exact!, rounded!].map(({ tensors }) => tensors.layers[1]![name]);
      expect([a!.dtype, b!.dtype]).toEqual(['bf16', 'mxfp4-split']);
      for (const expert of [0, 7]) {
        const [x, y] = [decodeMatrix(a!, expert), decodeMatrix(b!, expert)];
        const square = (values: Float32Array): number => values.reduce((sum, value) => sum + value * value, 0);
        const error = Math.sqrt(square(x.map((value, i) => value - y[i]!)) / square(x));
        expect(error, name).toBeGreaterThan(0);
        expect(error, name).toBeLessThan(0.2);
      }
    }
    for (const each of [exact!, rounded!]) each.close();
    const noted = JSON.parse(readFileSync(join(out, 'model', 'training.json'), 'utf8'));
    expect(noted).toMatchObject({ stages: 'pretrain: 2 updates', data: expect.stringContaining('version') });
    const nothing = await gptoss('train', 'export', folder, '--to', 'unquantised', '--out', unrounded);
    expect(nothing.err).toMatch(/^gptoss: not-found: .*no finished stage/);

    const handed = join(folder, 'handed');
    expect(
      (await gptoss('train', 'export', data, '--to', 'trl', '--model', join(out, 'model'), '--out', handed)).code,
    ).toBe(0);
    const row = JSON.parse(readFileSync(join(handed, 'data.jsonl'), 'utf8').split('\n')[0]!);
    expect(row.labels.filter((label: number) => label !== -100).length).toBeGreaterThan(2);
    for (const name of ['config.yaml', 'train.py', 'model/config.json'])
      expect(existsSync(join(handed, name)), name).toBe(true);
  });
});
