// A run: stopped and resumed it gives the same files to the bit; bad losses and full disks end it with what was learned
// intact; preferences move the way they should. Its checkpoints: checkpoint.node.test.ts.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { GptOssError } from '../../errors.ts';
import type { ModelConfig } from '../../formats/config.ts';
import { freshModel, openTrainer } from '../../training.node.ts';
import { smallConfig } from '../batches.testing.ts';
import { smallVocabulary } from '../data/data.testing.ts';
import { conversationExample } from '../data/examples.ts';
import { TaskMixture } from '../data/mixture.ts';
import { dpoStep, pairStatistics, withReference } from '../dpo.ts';
import type { Trainer } from '../trainer.ts';
import { findRun, loadRun, saveRun } from './checkpoint.node.ts';
import { appendLog, readStageEnd, saveStageEnd } from './files.node.ts';
import { type LogLine, parseLog, type StepRecord } from './log.ts';
import { epochBatches, runStage, type StagePlan, streamBatches, trainingFlops } from './stages.ts';

const { encoding } = smallVocabulary();
const config = smallConfig({ vocab: 640, maxContext: 256 });
const folder = mkdtempSync(join(tmpdir(), 'gptoss-run-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const open = (state?: Parameters<typeof openTrainer>[2], changes: Partial<ModelConfig> = {}): Trainer =>
  openTrainer(freshModel({ ...config, ...changes }, 1), { backend: 'reference', passRows: 128 }, state);
const mixture = new TaskMixture(encoding, { seed: 2, families: ['addition'], longest: 256 });
const batch = streamBatches((n) => mixture.example(n), 300);
const plan: StagePlan = {
  kind: 'sft',
  steps: 4,
  peak: 0.01,
  warmup: 1,
  quantisedShare: 0.5,
  router: { balance: 0.01, z: 0.001 },
};

async function run(
  trainer: Trainer,
  to: string,
  stopAfter = Number.POSITIVE_INFINITY,
  source = batch,
  planned = plan,
): Promise<StepRecord[]> {
  const records: StepRecord[] = [];
  let clock = 0; // steps so far are the time
  await runStage({
    ...{ plan: planned, trainer, encoding, startStep: 0, now: () => clock, deadline: stopAfter },
    source: { type: 'batches', batch: source },
    onStep: (record) => {
      records.push(record);
      clock++;
    },
    save: async () => void saveRun(to, trainer, { startStep: 0, plan: 'p' }),
  });
  return records;
}

describe('a stage', () => {
  it('with `sharpen` ends with logits times that, once, also when it was stopped after its last save', async () => {
    const output = (trainer: Trainer): Float32Array =>
      trainer.learner.read(
        trainer.learner.tensors.findIndex(({ name }) => name === 'output'),
        'values',
      );
    const to = join(folder, 'sharpened');
    const sharp = { ...plan, sharpen: 1.5 };
    const plainTrainer = open();
    await run(plainTrainer, join(folder, 'not-sharpened'));
    const trainer = open();
    await run(trainer, to, undefined, batch, sharp);
    const wanted = output(plainTrainer).map((value) => value * 1.5);
    expect(output(trainer)).toEqual(wanted);
    const again = open(findRun(to)!);
    loadRun(findRun(to)!, again);
    expect(output(again)).toEqual(output(plainTrainer));
    await run(again, to, undefined, batch, sharp);
    expect(output(again)).toEqual(wanted);
    for (const each of [plainTrainer, trainer, again]) await each.close();
  });

  it('stopped and resumed gives the same checkpoint as in one go, byte for byte', async () => {
    const [whole, parts] = [join(folder, 'whole'), join(folder, 'parts')];
    const one = open();
    const records = await run(one, whole);
    expect(records.map(({ step }) => step)).toEqual([1, 2, 3, 4]);
    expect(records[3]!.loss).toBeLessThan(records[0]!.loss);
    await one.close();

    const first = open();
    await run(first, parts, 2);
    expect(first.state.step).toBe(2);
    await first.close();
    const saved = findRun(parts)!;
    const second = open(saved);
    loadRun(saved, second);
    await run(second, parts);
    await second.close();
    const name = 'step-000000004.safetensors';
    expect(readFileSync(join(parts, name)).equals(readFileSync(join(whole, name)))).toBe(true);
    expect(readdirSync(parts).sort()).toEqual(['step-000000002.safetensors', name]);
  });

  it('ends at a loss that is no number, with the last good state to save', async () => {
    const trainer = open();
    const bad: typeof batch = (step) => {
      if (step === 3) {
        const index = trainer.learner.tensors.findIndex(({ name }) => name === 'output');
        trainer.learner.write(index, 'values', trainer.learner.read(index, 'values').fill(Number.NaN));
      }
      return batch(step);
    };
    await expect(run(trainer, join(folder, 'nan'), undefined, bad)).rejects.toMatchObject({
      code: 'diverged',
      message: expect.stringMatching(/step 3.*batch of \d+ rows/),
    });
    expect(trainer.state.step).toBe(2);
    expect(findRun(join(folder, 'nan'))).toMatchObject({ step: 2, rows: trainer.state.rows });
    await trainer.close();
  });

  it('stopped in the middle of a step saves what it has and is not over', async () => {
    const trainer = open();
    const stop = new AbortController();
    const aborted = (step: number): ReturnType<typeof batch> => {
      if (step < 3) return batch(step);
      stop.abort();
      throw new GptOssError('aborted', 'stopped; expected nothing; nothing');
    };
    const to = join(folder, 'stopped');
    const isOver = await runStage({
      ...{ plan, trainer, encoding, startStep: 0, now: () => 0, signal: stop.signal, onStep: () => {} },
      source: { type: 'batches', batch: aborted },
      save: async () => void saveRun(to, trainer, { startStep: 0, plan: 'p' }),
    });
    expect([isOver, findRun(to)!.step]).toEqual([false, 2]);
    await trainer.close();
  });

  it('counts the work of a step', () => {
    const { batch: rows } = batch(1);
    const trained = rows.weights.reduce((n, w) => n + (w === 0 ? 0 : 1), 0);
    const { layers, hidden, vocab, intermediate, experts, expertsPerToken } = config;
    const dense = layers * (hidden * 8 * 12 + hidden * experts + expertsPerToken * 3 * hidden * intermediate);
    const least = 6 * (rows.ids.length * dense + trained * hidden * vocab);
    expect(trainingFlops(config, rows)).toBeGreaterThan(least);
    expect(trainingFlops(config, rows)).toBeLessThan(least * 1.5);
  });
});

describe('batches of a user’s examples', () => {
  const examples = Array.from({ length: 7 }, (_, n) => mixture.example(n));
  it('take each once an epoch, in an order of its own, whatever step is asked first', () => {
    const batches = epochBatches(examples, 400, 3);
    const order = (upTo: number): number[] =>
      Array.from({ length: upTo }, (_, i) => batches(i + 1).batch.documentStarts.length);
    const counts = order(8);
    expect(counts.reduce((a, b) => a + b)).toBeGreaterThan(7);
    const again = epochBatches(examples, 400, 3);
    expect([...again(5).batch.ids]).toEqual([...batches(5).batch.ids]);
  });
  it('refuse no examples, and a budget below the longest', () => {
    expect(() => epochBatches([], 400, 1)).toThrow(/no examples/);
    expect(() => epochBatches(examples, 10, 1)).toThrow(/smaller than the longest/);
  });
});

describe('files', () => {
  it.skipIf(!existsSync('/dev/full'))('say that the disk is full (needs /dev/full)', () => {
    expect(() => appendLog('/dev/full', [{ type: 'task' } as LogLine])).toThrow(/no space left/);
  });

  it('keep the end of a stage in half the bytes, close to what it was', async () => {
    const trainer = open();
    const path = join(folder, 'end.safetensors');
    saveStageEnd(path, trainer);
    const again = openTrainer(readStageEnd(path), { backend: 'reference' });
    for (const index of trainer.learner.tensors.keys()) {
      const [a, b] = [trainer.learner.read(index, 'values'), again.learner.read(index, 'values')];
      expect(a.every((value, i) => Math.abs(value - b[i]!) <= Math.abs(value) / 128)).toBe(true);
    }
    await trainer.close();
    await again.close();
  });

  it('of a log may end in half a line', () => {
    expect(parseLog('{"type":"task","stage":"a"}\n{"type":"st')).toEqual([{ type: 'task', stage: 'a' }]);
  });
});

describe('preferences', () => {
  it('raise the margin of the chosen ending', async () => {
    const trainer = open();
    const pair = (a: string, b: string) => ({
      chosen: conversationExample(encoding, [
        { role: 'user', content: 'Hi' },
        { role: 'assistant', channel: 'final', content: a },
      ]),
      rejected: conversationExample(encoding, [
        { role: 'user', content: 'Hi' },
        { role: 'assistant', channel: 'final', content: b },
      ]),
    });
    const pairs = await withReference(trainer, [pair('Hello!', 'Go away.'), pair('Good day.', 'No.')]);
    expect((await pairStatistics(trainer, pairs, 0.1)).margin).toBeCloseTo(0, 6);
    for (let step = 0; step < 4; step++) {
      const { before } = await dpoStep(trainer, pairs, 0.1, { learningRate: 0.01, weightDecay: 0 });
      if (step === 0) expect(before.loss).toBeCloseTo(Math.LN2, 6);
    }
    const after = await pairStatistics(trainer, pairs, 0.1);
    expect(after.margin).toBeGreaterThan(1);
    expect(after.accuracy).toBe(1);
    await trainer.close();
  });
});
