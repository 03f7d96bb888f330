// What a stage goes on from, to the bit: FOLDER/step-000001200.safetensors holds parameters and both moments in float32,
// and in its metadata which step it is of, what it was told to do and the model's configuration. It is written under
// another name, brought to the disk, then renamed, so whatever happens meanwhile (a killed process, a full disk) the one
// before is whole and the newest; the last two are kept. Files are hostile: sizes and configuration are checked.
// The small BF16 file at the end of a stage, and the log: files.node.ts.

import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readdirSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { TensorPart } from '../../backend/learner.ts';
import { GptOssError } from '../../errors.ts';
import type { ModelConfig } from '../../formats/config.ts';
import { checkConfig } from '../../formats/config-read.ts';
import { createFile, fileError, openFile } from '../../formats/file.node.ts';
import { printable } from '../../formats/messages.ts';
import { entryValues, readSafetensors } from '../../formats/safetensors.ts';
import { type TensorToWrite, writeSafetensors } from '../../formats/safetensors-write.ts';
import type { Trainer, TrainerState } from '../trainer.ts';

const KEPT = 2;
const PARTS = ['values', 'first', 'second'] as const satisfies readonly TensorPart[];
export const FORMAT = 1;

export interface RunState extends TrainerState {
  /** The trainer's step before the stage began. */
  readonly startStep: number;
  /** What the stage was told to do; a resumed one has to be told the same. */
  readonly plan: string;
}

export interface SavedRun extends RunState {
  readonly path: string;
  readonly config: ModelConfig;
  /** What computed it: only the same gives the same bits. */
  readonly variant: string;
}

const nameOf = (step: number): string => `step-${String(step).padStart(9, '0')}.safetensors`;

/** Writes a checkpoint into `folder` and removes all but the newest ones; returns its path. */
export function saveRun(folder: string, trainer: Trainer, state: Pick<RunState, 'startStep' | 'plan'>): string {
  try {
    mkdirSync(folder, { recursive: true });
  } catch (cause) {
    throw fileError(folder, cause);
  }
  const { learner, config } = trainer;
  const path = join(folder, nameOf(trainer.state.step));
  const tensors = PARTS.flatMap((part) =>
    learner.tensors.map(
      ({ name, experts, rows, cols }, index): TensorToWrite => ({
        ...{ name: `${part}/${name}`, dtype: 'F32', shape: [experts, rows, cols] },
        *chunks() {
          const values = learner.read(index, part);
          yield new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
        },
      }),
    ),
  );
  const metadata = {
    run: JSON.stringify({ format: FORMAT, ...trainer.state, ...state, config, variant: learner.variant }),
  };
  const sink = createFile(path);
  try {
    writeSafetensors(sink, tensors, metadata);
    sink.finish();
  } catch (error) {
    sink.discard();
    throw error;
  }
  syncFolder(folder); // the new name is on the disk before an old file goes
  for (const old of checkpoints(folder).slice(0, -KEPT)) rmSync(join(folder, old), { force: true });
  return path;
}

/** Names of complete checkpoints, oldest first. */
function checkpoints(folder: string): string[] {
  if (!existsSync(folder)) return [];
  try {
    return readdirSync(folder)
      .filter((name) => /^step-\d{9}\.safetensors$/.test(name))
      .sort();
  } catch (cause) {
    throw fileError(folder, cause);
  }
}

/** Removes the checkpoints of a stage that is over: its moments are of no use any more, and large. */
export function removeRuns(folder: string): void {
  for (const name of checkpoints(folder)) rmSync(join(folder, name), { force: true });
}

function damaged(path: string, what: string): GptOssError {
  return new GptOssError(
    'bad-checkpoint',
    `${printable(basename(path))}: ${what}; expected a checkpoint of a training run of this version; remove it to go on from the one before, or begin anew in another folder`,
  );
}

/** The newest checkpoint of a folder; null when there is none. Throws `bad-checkpoint` for a file that is none. */
export function findRun(folder: string): SavedRun | null {
  const newest = checkpoints(folder).at(-1);
  if (newest === undefined) return null;
  const path = join(folder, newest);
  const source = openFile(path);
  try {
    return { ...runState(readSafetensors(source).metadata.get('run'), path), path };
  } finally {
    source.close();
  }
}

function runState(text: string | undefined, path: string): Omit<SavedRun, 'path'> {
  let state: Record<string, unknown> | null;
  try {
    state = JSON.parse(text ?? 'null') as typeof state;
  } catch {
    throw damaged(path, 'what it says of its run is no JSON');
  }
  if (typeof state !== 'object' || state === null || state['format'] !== FORMAT) {
    throw damaged(path, `it has format ${String(state?.['format'])}, not ${FORMAT}`);
  }
  const { step, rows, startStep, plan, variant, config } = state;
  for (const count of [step, rows, startStep]) {
    if (!Number.isSafeInteger(count) || (count as number) < 0)
      throw damaged(path, 'step and rows are no whole numbers');
  }
  if (typeof plan !== 'string' || typeof variant !== 'string') throw damaged(path, 'it does not say what it is of');
  return { step, rows, startStep, plan, variant, config: savedConfig(config, path) } as Omit<SavedRun, 'path'>;
}

/** A configuration that was written here, as untrusted as any other. */
export function savedConfig(value: unknown, path: string): ModelConfig {
  const config = value as ModelConfig;
  if (typeof config !== 'object' || config === null || typeof config.rope !== 'object' || config.rope === null) {
    throw damaged(path, 'it has no configuration');
  }
  checkConfig(config, basename(path));
  const { sliding, layers } = config;
  if (!Array.isArray(sliding) || sliding.length !== layers || !sliding.every((flag) => typeof flag === 'boolean')) {
    throw damaged(path, 'its configuration has no kind for each layer');
  }
  return config;
}

/** Puts parameters and moments of a checkpoint into a trainer of the same shape; nothing is changed when one is missing. */
export function loadRun({ path, config }: SavedRun, trainer: Trainer): void {
  const fields = Object.keys(trainer.config) as (keyof ModelConfig)[];
  const wrong = fields.find((field) => JSON.stringify(config[field]) !== JSON.stringify(trainer.config[field]));
  if (wrong !== undefined) {
    throw new GptOssError(
      'bad-checkpoint',
      `${path} has ${wrong} ${JSON.stringify(config[wrong])}, this run ${JSON.stringify(trainer.config[wrong])}; expected the same model; choose another folder, or the configuration it was made with`,
    );
  }
  const source = openFile(path);
  try {
    const entries = new Map(readSafetensors(source).entries.map((entry) => [entry.name, entry]));
    const wanted = PARTS.flatMap((part) =>
      trainer.learner.tensors.map(({ name, experts, rows, cols }, index) => {
        const entry = entries.get(`${part}/${name}`);
        if (entry === undefined) throw damaged(path, `it lacks ${part}/${name}`);
        if (entry.dtype !== 'F32' || entry.length !== experts * rows * cols * 4) {
          throw damaged(path, `${part}/${name} has another type or size than its configuration says`);
        }
        return { part, index, entry };
      }),
    );
    for (const { part, index, entry } of wanted) trainer.learner.write(index, part, entryValues(entry));
  } finally {
    source.close();
  }
}

/** The names in a folder are on the disk. Windows has no such call. */
function syncFolder(path: string): void {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch {
    return;
  }
  try {
    fsyncSync(fd);
  } catch {
    // Some file systems refuse it for folders; nothing more can be done there.
  } finally {
    closeSync(fd);
  }
}
