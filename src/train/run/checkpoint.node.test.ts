// A run on disk: resumed, it has the bits of one that was never interrupted; a process that is killed or a disk that is full
// while a checkpoint is written leaves the one before; what does not fit is refused with a reason. Exported, the model has
// the very bits that fake-quantised training saw, and the engine computes what the trainer computes.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { repoPath } from '../../../test/shared.ts';
import type { TrainBatch } from '../../backend/learner.ts';
import { ReferenceBackend } from '../../backend/reference/reference.ts';
import { writeModelFolder } from '../../cli/train/model-folder.node.ts';
import { Engine } from '../../engine/engine.ts';
import { openCheckpoint } from '../../formats/checkpoint.node.ts';
import type { ModelConfig } from '../../formats/config.ts';
import { createModel } from '../../model/load.ts';
import { freshModel, openTrainer } from '../../training.node.ts';
import { patternBatch, randomBatch, smallConfig } from '../batches.testing.ts';
import { smallVocabulary } from '../data/data.testing.ts';
import { tensorValues } from '../tensors.ts';
import type { Trainer, TrainerState } from '../trainer.ts';
import { findRun, loadRun, removeRuns, saveRun } from './checkpoint.node.ts';

const config = smallConfig({ maxContext: 64 });
const settings = { learningRate: 0.01, router: { balance: 0.02, z: 0.001 } };
const batchAt = (step: number): TrainBatch => patternBatch(config, 6, 12, step);
const plan = { startStep: 0, plan: 'p' };
const nameOf = (step: number): string => `step-${String(step).padStart(9, '0')}.safetensors`;

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
  const fresh = (state?: TrainerState, changes: Partial<ModelConfig> = {}): Trainer =>
    keep(openTrainer(freshModel({ ...config, ...changes }, 1), {}, state));
  const resumed = (folder: string): Trainer => {
    const saved = findRun(folder)!;
    const trainer = fresh(saved);
    loadRun(saved, trainer);
    return trainer;
  };
  async function train(trainer: Trainer, steps: number): Promise<void> {
    for (let i = 0; i < steps; i++) {
      const step = trainer.state.step + 1;
      await trainer.step(batchAt(step), { ...settings, fakeQuantised: step > 7 });
    }
  }

  it('has the same bits after 10 steps, whether interrupted after 5 or not', async () => {
    const through = fresh();
    await train(through, 10);
    const whole = readFileSync(saveRun(join(root, 'whole'), through, plan));
    const halves = join(root, 'halves');
    const first = fresh();
    await train(first, 5);
    saveRun(halves, first, { startStep: 0, plan: 'p' });
    const trainer = resumed(halves);
    expect([trainer.state.step, findRun(halves)!.plan]).toEqual([5, 'p']);
    await train(trainer, 5);
    expect(readFileSync(saveRun(halves, trainer, plan)).equals(whole)).toBe(true);
    expect(readdirSync(halves)).toEqual([nameOf(5), nameOf(10)]);
    await train(trainer, 1);
    saveRun(halves, trainer, plan);
    expect(readdirSync(halves)).toEqual([nameOf(10), nameOf(11)]);
    writeFileSync(join(halves, 'end.safetensors'), '');
    removeRuns(halves);
    expect(readdirSync(halves)).toEqual(['end.safetensors']);
  });

  it.skipIf(!existsSync('/dev/full'))(
    'keeps the checkpoint before when the disk is full (needs /dev/full)',
    async () => {
      const folder = join(root, 'full');
      const trainer = fresh();
      const before = readFileSync(saveRun(folder, trainer, plan));
      await train(trainer, 1);
      symlinkSync('/dev/full', join(folder, `${nameOf(1)}.part`));
      expect(() => saveRun(folder, trainer, plan)).toThrow(/no space left/);
      expect(readdirSync(folder)).toEqual([nameOf(0)]);
      expect(readFileSync(findRun(folder)!.path).equals(before)).toBe(true);
      expect(saveRun(folder, trainer, plan)).toBe(findRun(folder)!.path);
    },
  );

  it('killed in the middle of writing: the checkpoint before is whole, and the run goes on from it', async () => {
    const folder = join(root, 'killed');
    const script = join(root, 'killed.mjs');
    const path = (file: string): string => JSON.stringify(repoPath(file));
    // The second checkpoint stops at its tenth tensor and says so; then the process is killed as by `kill -9`.
    writeFileSync(
      script,
      `import { writeSync } from 'node:fs';
       import { freshModel, openTrainer } from ${path('src/training.node.ts')};
       import { patternBatch, smallConfig } from ${path('src/train/batches.testing.ts')};
       import { saveRun } from ${path('src/train/run/checkpoint.node.ts')};
       const config = smallConfig({ maxContext: 64 });
       const trainer = openTrainer(freshModel(config, 1));
       const folder = ${JSON.stringify(folder)}, plan = ${JSON.stringify(plan)};
       saveRun(folder, trainer, plan);
       await trainer.step(patternBatch(config, 6, 12, 1), ${JSON.stringify(settings)});
       const read = trainer.learner.read.bind(trainer.learner);
       let count = 0;
       trainer.learner.read = (...which) => {
         if (++count === 10) {
           writeSync(1, 'writing\\n');
           Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
         }
         return read(...which);
       };
       saveRun(folder, trainer, plan);`,
    );
    const child = spawn(process.execPath, ['--import', 'tsx', script], {
      cwd: repoPath(),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const gone = once(child, 'exit');
    const [said] = (await Promise.race([once(child.stdout, 'data'), gone.then(() => ['nothing'])])) as [Buffer];
    expect(String(said)).toBe('writing\n');
    child.kill('SIGKILL');
    expect((await gone)[1]).toBe('SIGKILL');
    expect(readdirSync(folder).sort()).toEqual([nameOf(0), `${nameOf(1)}.part`]);
    expect(statSync(join(folder, `${nameOf(1)}.part`)).size).toBeGreaterThan(1000);

    const trainer = resumed(folder);
    expect(trainer.state.step).toBe(0);
    await train(trainer, 1);
    const through = fresh();
    await train(through, 1);
    const [again, whole] = [saveRun(folder, trainer, plan), saveRun(join(root, 'never-killed'), through, plan)];
    expect(readFileSync(again).equals(readFileSync(whole))).toBe(true);
    expect(readdirSync(folder)).toEqual([nameOf(0), nameOf(1)]);
  });

  it('refuses another model, a damaged file, another format, and changes nothing then', () => {
    const folder = join(root, 'bad');
    const path = saveRun(folder, fresh(), plan);
    const saved = findRun(folder)!;
    expect(() => loadRun(saved, fresh(undefined, { vocab: 25 }))).toThrow(/has vocab 24, this run 25/);
    expect(findRun(join(root, 'nowhere'))).toBeNull();
    const bytes = readFileSync(path);
    const refused = (change: (bytes: Buffer) => Uint8Array, message: RegExp): void => {
      writeFileSync(path, change(Buffer.from(bytes)));
      expect(() => {
        const trainer = fresh();
        loadRun(findRun(folder)!, trainer);
      }).toThrow(expect.objectContaining({ code: 'bad-checkpoint', message: expect.stringMatching(message) }));
    };
    refused((all) => all.subarray(0, 5000), /./);
    // Of equal length, so that offsets stay as they are.
    const replaced = (from: string, to: string) => (all: Buffer) => {
      expect(from).toHaveLength(to.length);
      const at = all.indexOf(from);
      expect(at).toBeGreaterThan(0);
      all.write(to, at, 'latin1');
      return all;
    };
    refused(replaced('{\\"format\\":1', '{\\"format\\":7'), /format 7/);
    refused(replaced('\\"step\\":0', '\\"step\\":x'), /no JSON/);
    refused(replaced('\\"rows\\":0', '\\"rowx\\":0'), /whole numbers/);
    refused(replaced('\\"hidden\\":32', '\\"hidden\\":-2'), /./);
    refused(replaced('values/layers.0.q"', 'values/layers.9.q"'), /lacks values\/layers\.0\.q/);
    writeFileSync(path, bytes);
    loadRun(findRun(folder)!, fresh());
  });

  it('exports what fake-quantised training saw, and the engine agrees with the trainer', async () => {
    const folder = join(root, 'exported');
    const { json } = smallVocabulary();
    const trainer = fresh(undefined, { vocab: 640 });
    await train(trainer, 9);
    writeModelFolder(
      folder,
      { config: trainer.config, tensors: trainer.tensors({ quantised: true }) },
      { 'tokenizer.json': json },
    );
    const checkpoint = openCheckpoint(folder);
    let index = 0;
    for (const [{ name, experts, rows }, values] of tensorValues(checkpoint.config, checkpoint.tensors)) {
      if (experts > 1 && rows > 1) expect(values, name).toEqual(trainer.learner.readQuantised(index));
      index++;
    }
    // Trained on from the stored file (attention is BF16 there), forward of trainer and engine are the same function.
    const again = keep(openTrainer(checkpoint));
    const batch = randomBatch(checkpoint.config, [40], 8);
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
