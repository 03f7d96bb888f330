// A run on disk: resumed, it has the bits of one that was never interrupted; a process that dies or a disk that is full
// while a checkpoint is written leaves the one before; what does not fit is refused with a reason. Exported, the model has
// the very bits that fake-quantised training saw, and the engine computes what the trainer computes.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { TrainBatch } from '../backend/learner.ts';
import { ReferenceBackend } from '../backend/reference/reference.ts';
import { Engine } from '../engine/engine.ts';
import { openCheckpoint } from '../formats/checkpoint.node.ts';
import { createFile } from '../formats/file.node.ts';
import { createModel } from '../model/load.ts';
import { exportModel, freshModel, openTrainer, resumeTrainer } from '../training.node.ts';
import { patternBatch, randomBatch, smallConfig } from './batches.testing.ts';
import { newestCheckpoint, saveCheckpoint } from './checkpoint.node.ts';
import { tensorValues } from './tensors.ts';
import type { Trainer } from './trainer.ts';

const config = smallConfig({ maxContext: 64 });
const settings = { learningRate: 0.01, router: { balance: 0.02, z: 0.001 } };
const batchAt = (step: number): TrainBatch => patternBatch(config, 6, 12, step);

describe('a run on disk', () => {
  const root = mkdtempSync(join(tmpdir(), 'gptoss-train-'));
  const opened: Trainer[] = [];
  const keep = (trainer: Trainer): Trainer => {
    opened.push(trainer);
    return trainer;
  };
  afterAll(async () => {
    for (const trainer of opened) await trainer.close();
    rmSync(root, { recursive: true, force: true });
  });
  const fresh = (): Trainer => keep(openTrainer(freshModel(config, 1)));
  const filesOf = (path: string): Buffer[] =>
    ['model.safetensors', 'optim.safetensors', 'state.json'].map((name) => readFileSync(join(path, name)));
  async function train(trainer: Trainer, steps: number): Promise<void> {
    for (let i = 0; i < steps; i++) {
      const step = trainer.state.step + 1;
      await trainer.step(batchAt(step), { ...settings, fakeQuantised: step > 7 });
    }
  }

  it('has the same bits after 10 steps, whether interrupted after 5 or not', async () => {
    const through = fresh();
    await train(through, 10);
    const whole = saveCheckpoint(through, join(root, 'whole'));
    const first = fresh();
    await train(first, 5);
    saveCheckpoint(first, join(root, 'halves'), { notes: { stage: 'pretrain' } });
    const { trainer, notes, notices } = resumeTrainer(join(root, 'halves'), { config })!;
    keep(trainer);
    expect([notes, notices, trainer.state.step]).toEqual([{ stage: 'pretrain' }, [], 5]);
    await train(trainer, 5);
    const halves = saveCheckpoint(trainer, join(root, 'halves'));
    for (const [i, file] of filesOf(whole).entries()) expect(file.equals(filesOf(halves)[i])).toBe(true);
    expect(readdirSync(join(root, 'halves'))).toEqual(['step-00000005', 'step-00000010']);
    await train(trainer, 1);
    saveCheckpoint(trainer, join(root, 'halves'));
    expect(readdirSync(join(root, 'halves'))).toEqual(['step-00000010', 'step-00000011']);
  });

  it('keeps the checkpoint before when the disk is full', async () => {
    const folder = join(root, 'full');
    const trainer = fresh();
    const before = saveCheckpoint(trainer, folder);
    const files = filesOf(before);
    await train(trainer, 1);
    let left = 50_000;
    const createSink = (path: string): ReturnType<typeof createFile> => {
      const sink = createFile(path);
      return {
        ...sink,
        write(bytes) {
          left -= bytes.length;
          if (left < 0) throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
          sink.write(bytes);
        },
      };
    };
    expect(() => saveCheckpoint(trainer, folder, { createSink })).toThrow(/no space left/);
    expect(readdirSync(folder)).toEqual(['step-00000000']);
    expect(filesOf(newestCheckpoint(folder)!)).toEqual(files);
    expect(newestCheckpoint(saveCheckpoint(trainer, folder) && folder)).toMatch(/step-00000001$/);
  });

  it('ignores what a killed process left half written', async () => {
    const folder = join(root, 'killed');
    const trainer = fresh();
    saveCheckpoint(trainer, folder);
    await train(trainer, 1);
    // Whatever was being written lies under a name of its own until it is whole.
    const names: string[] = [];
    const createSink = (path: string): ReturnType<typeof createFile> => {
      names.push(newestCheckpoint(folder)!, path);
      return createFile(path);
    };
    saveCheckpoint(trainer, folder, { createSink });
    expect(names).toHaveLength(6);
    for (const name of names.filter((_, i) => i % 2 === 0)) expect(name).toMatch(/step-00000000$/);
    for (const name of names.filter((_, i) => i % 2 === 1)) expect(name).toMatch(/step-00000001\.part/);
  });

  it('refuses another model, a damaged file, another format', async () => {
    const folder = join(root, 'bad');
    const path = saveCheckpoint(fresh(), folder);
    expect(() => resumeTrainer(folder, { config: { ...config, vocab: 25 } })).toThrow(/its vocab differ \(vocab: 24\)/);
    expect(resumeTrainer(join(root, 'nowhere'))).toBeNull();
    truncateSync(join(path, 'optim.safetensors'), 5000);
    expect(() => resumeTrainer(folder)).toThrow(expect.objectContaining({ code: 'bad-checkpoint' }));
    const state = JSON.parse(readFileSync(join(path, 'state.json'), 'utf8')) as Record<string, unknown>;
    for (const change of [{ format: 7 }, { step: -1 }, { config: null }, { config: { ...config, hidden: 1e9 } }]) {
      writeFileSync(join(path, 'state.json'), JSON.stringify({ ...state, ...change }));
      expect(() => resumeTrainer(folder), JSON.stringify(change)).toThrow(
        expect.objectContaining({ code: 'bad-checkpoint' }),
      );
    }
    writeFileSync(join(path, 'state.json'), '{');
    expect(() => resumeTrainer(folder)).toThrow(/not JSON/);
  });

  it('exports what fake-quantised training saw, and the engine agrees with the trainer', async () => {
    const folder = join(root, 'exported');
    const trainer = fresh();
    await train(trainer, 9);
    exportModel(trainer, folder);
    expect(() => exportModel(trainer, folder)).toThrow(/holds a model/);
    const checkpoint = openCheckpoint(folder);
    let index = 0;
    for (const [{ name, experts, rows }, values] of tensorValues(checkpoint.config, checkpoint.tensors)) {
      if (experts > 1 && rows > 1) expect(values, name).toEqual(trainer.learner.readQuantised(index));
      index++;
    }
    // Trained on from the stored file (attention is BF16 there), forward of trainer and engine are the same function.
    const again = keep(openTrainer(checkpoint));
    const batch = randomBatch(config, [40], 8);
    const targets = Int32Array.from(batch.ids, (_, i) => batch.ids[(i + 1) % 40]);
    const { logprobs } = await again.score({ ...batch, targets, weights: new Float32Array(40).fill(1) });
    const model = createModel(checkpoint, new ReferenceBackend({ precision: 'exact' }));
    const engine = new Engine(model, { context: 64, kv: 'f32' });
    const scored = await engine.score(batch.ids);
    for (let i = 1; i < 40; i++) expect(Math.abs(scored.logprobs[i]! - logprobs[i - 1])).toBeLessThan(1e-4);
    await engine.close();
    checkpoint.close();
    expect(existsSync(join(folder, 'config.json'))).toBe(true);
  });
});
