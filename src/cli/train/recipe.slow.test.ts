// The whole recipe through the command line, at its smallest size, on native code: pre-training, fine-tuning, preferences,
// reinforcement from nothing to a model that opens; then each stage by itself on that model with a user's own data.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { addonPath } from '../../backend/cpu/addon.testing.ts';
import { findAddon } from '../../backend/cpu/addon.ts';
import { open } from '../../open.node.ts';
import { type LogLine, parseLog } from '../../train/run/log.ts';
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

const logOf = (out: string): LogLine[] => parseLog(readFileSync(join(out, 'log.jsonl'), 'utf8'));

const { addon, problems } = findAddon(addonPath);
it.skipIf(addon === null)(
  `from nothing to a rewarded model, then each stage alone${addon === null ? ` (skipped: ${problems.join('; ')})` : ''}`,
  async () => {
    const out = join(folder, 'tiny');
    const tiny = [
      'train',
      'tiny',
      '--size',
      'micro',
      '--evaluate',
      '1',
      '--groups',
      '8',
      '--threads',
      '1',
      '--out',
      out,
    ];
    expect(await gptoss(...tiny)).toMatchObject({ code: 0, out: `${join(out, 'model')}\n` });
    const steps = logOf(out).filter((line) => line.type === 'step');
    const of = (stage: string): typeof steps => steps.filter((line) => line.stage === stage);
    for (const stage of ['pretrain', 'sft', 'anneal', 'dpo', 'rl']) {
      expect(of(stage).length, stage).toBeGreaterThan(2);
      expect(existsSync(join(out, stage, 'end.safetensors')), stage).toBe(true);
    }
    for (const stage of ['pretrain', 'sft']) expect(of(stage).at(-1)!.loss).toBeLessThan(of(stage)[0]!.loss * 0.8);
    expect(of('dpo').at(-1)!.margin).toBeGreaterThan(0.2);
    for (const { logprobGap, reward } of of('rl')) {
      expect(logprobGap).toBeLessThanOrEqual(1e-4);
      expect(reward).toEqual(expect.any(Number));
    }
    expect(readFileSync(join(out, 'report.html'), 'utf8')).toContain('preference margin');
    expect((await gptoss(...tiny)).err).toMatch(/rl is done already/);

    const chats = file('chats.jsonl', [chat('Hi', 'Ahoy!'), chat('Hello', 'Ahoy!')]);
    const pairs = file('pairs.jsonl', [
      {
        prompt: [{ role: 'user', content: 'Hi' }],
        chosen: [{ role: 'assistant', content: 'Ahoy!' }],
        rejected: [{ role: 'assistant', content: 'What?' }],
      },
    ]);
    const alone: readonly [string, readonly string[]][] = [
      ['sft', [chats, '--steps', '20', '--rows', '300']],
      ['dpo', [pairs, '--steps', '5']],
      ['rl', ['--steps', '3', '--groups', '6', '--group-size', '4']],
    ];
    let model = join(out, 'model');
    for (const [stage, options] of alone) {
      const to = join(folder, stage);
      const command = ['train', stage, ...options, '--model', model, '--evaluate', '0', '--threads', '1', '--out', to];
      expect(await gptoss(...command), stage).toMatchObject({ code: 0 });
      model = join(to, 'model');
      const log = logOf(to).filter((line) => line.type === 'step');
      expect(log.length, stage).toBeGreaterThan(0);
      if (stage !== 'rl') expect(log.at(-1)!.loss, stage).toBeLessThan(log[0]!.loss);
      for (const { logprobGap = 0 } of log) expect(logprobGap).toBeLessThanOrEqual(1e-4);
    }
    const opened = await open(model);
    expect(opened.config.layers).toBe(2);
    await opened.close();
  },
);
