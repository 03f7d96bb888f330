// A run on disk: FOLDER/step-00001200/ with state.json, model.safetensors (float32 values) and optim.safetensors (both
// moments). A checkpoint is written beside its name, brought to the disk (fsync) and then renamed, so that whatever happens
// meanwhile (a killed process, a full disk) the one before is whole and the newest. Everything a run needs to go on with
// the same bits is in it. It is for going on; exporting to Hugging Face's layout: src/training.node.ts.

import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { basename, join, resolve } from 'node:path';
import type { TensorPart } from '../backend/learner.ts';
import { GptOssError } from '../errors.ts';
import type { ByteSink } from '../formats/bytes.ts';
import type { ModelTensors } from '../formats/checkpoint.ts';
import type { ModelConfig } from '../formats/config.ts';
import { checkConfig } from '../formats/config-read.ts';
import { fileError, openFile } from '../formats/file.node.ts';
import { printable } from '../formats/messages.ts';
import { entryValues, readSafetensors } from '../formats/safetensors.ts';
import { type TensorToWrite, writeSafetensors } from '../formats/safetensors-write.ts';
import { memoryTensors } from './tensors.ts';
import type { Trainer, TrainerState } from './trainer.ts';

const FORMAT = 1;
const NAME = /^step-(\d{8})$/;

export interface SaveOptions {
  /** Checkpoints to keep in the folder, this one included. Default 2. */
  readonly keep?: number;
  /** Anything that belongs to the run and fits JSON: the stage, its settings, the data's version. Default null. */
  readonly notes?: unknown;
  /** For tests of full disks and killed processes: takes the place of the file system's writing. */
  readonly createSink?: (path: string) => ByteSink;
}

/** Writes a checkpoint of the trainer as it is now; returns its path. Older ones beyond `keep` go when it is safe. */
export function saveCheckpoint(trainer: Trainer, folder: string, options: SaveOptions = {}): string {
  const { keep = 2, notes = null, createSink = syncedFile } = options;
  const { config, learner, state } = trainer;
  const name = `step-${String(state.step).padStart(8, '0')}`;
  const target = join(resolve(folder), name);
  const part = `${target}.part`;
  const tensors = (prefix: string, what: TensorPart): TensorToWrite[] =>
    learner.tensors.map(({ name: tensor, experts, rows, cols }, index) => ({
      name: `${prefix}${tensor}`,
      dtype: 'F32',
      shape: [experts, rows, cols],
      *chunks() {
        const values = learner.read(index, what);
        yield new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
      },
    }));
  const metadata = { format: 'gptoss-training', step: String(state.step) };
  try {
    rmSync(part, { recursive: true, force: true }); // of an earlier try
    mkdirSync(part, { recursive: true });
    const write = (file: string, fill: (sink: ByteSink) => void): void => {
      const sink = createSink(join(part, file));
      try {
        fill(sink);
      } catch (error) {
        sink.discard();
        throw error;
      }
      sink.finish();
    };
    write('model.safetensors', (sink) => writeSafetensors(sink, tensors('', 'values'), metadata));
    write('optim.safetensors', (sink) =>
      writeSafetensors(sink, [...tensors('first.', 'first'), ...tensors('second.', 'second')], metadata),
    );
    const facts = { format: FORMAT, ...state, variant: learner.variant, config, notes };
    write('state.json', (sink) => sink.write(new TextEncoder().encode(`${JSON.stringify(facts, null, 2)}\n`)));
    syncFolder(part);
    // A run that was resumed at this step writes it anew: the old one steps aside until the new one is there.
    const old = `${target}.old`;
    rmSync(old, { recursive: true, force: true });
    if (existsSync(target)) renameSync(target, old);
    renameSync(part, target);
    syncFolder(resolve(folder));
    rmSync(old, { recursive: true, force: true });
  } catch (error) {
    rmSync(part, { recursive: true, force: true });
    throw error instanceof GptOssError ? error : fileError(target, error);
  }
  for (const older of checkpointNames(folder).slice(0, -Math.max(1, keep))) {
    rmSync(join(folder, older), { recursive: true, force: true });
  }
  return target;
}

/** Path of the newest checkpoint of a run's folder, or null. */
export function newestCheckpoint(folder: string): string | null {
  if (!existsSync(folder)) return null;
  // A process killed between two renames leaves only the one that stepped aside.
  for (const name of readdirSync(folder)) {
    const [, kept] = /^(step-\d{8})\.old$/.exec(name) ?? [];
    if (kept !== undefined && !existsSync(join(folder, kept))) renameSync(join(folder, name), join(folder, kept));
  }
  const names = checkpointNames(folder);
  return names.length === 0 ? null : join(resolve(folder), names[names.length - 1]);
}

function checkpointNames(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => NAME.test(name))
      .sort();
  } catch (cause) {
    throw fileError(folder, cause);
  }
}

export interface SavedRun {
  readonly path: string;
  readonly config: ModelConfig;
  readonly state: TrainerState;
  /** What computed it: only the same gives the same bits. */
  readonly variant: string;
  readonly notes: unknown;
  /** Reads one part of all tensors. */
  tensors(part: Exclude<TensorPart, 'gradient'>): ModelTensors;
}

/** Reads a checkpoint of `saveCheckpoint`. Throws `bad-checkpoint` for anything else. */
export function readCheckpoint(path: string): SavedRun {
  const damaged = (what: string): GptOssError =>
    new GptOssError(
      'bad-checkpoint',
      `${printable(basename(path))}: ${what}; expected a checkpoint of a training run; take another one of its folder`,
    );
  let facts: Record<string, unknown>;
  try {
    facts = JSON.parse(readFileSync(join(path, 'state.json'), 'utf8')) as Record<string, unknown>;
  } catch (cause) {
    if (cause instanceof SyntaxError) throw damaged('state.json is not JSON');
    throw fileError(join(path, 'state.json'), cause);
  }
  if (typeof facts !== 'object' || facts === null || facts['format'] !== FORMAT) {
    throw damaged(`state.json has format ${String(facts?.['format'])}, not ${FORMAT}`);
  }
  const { step, rows, variant, notes } = facts as { step: number; rows: number; variant: string; notes: unknown };
  if (!Number.isSafeInteger(step) || step < 0 || !Number.isSafeInteger(rows) || rows < 0) {
    throw damaged('step and rows are no whole numbers');
  }
  const config = readConfig(facts['config'], damaged);
  return {
    ...{ path, config, state: { step, rows }, notes },
    variant: String(variant),
    tensors: (part) => readPart(path, config, part, damaged),
  };
}

function readConfig(value: unknown, damaged: (what: string) => GptOssError): ModelConfig {
  const config = value as ModelConfig;
  if (typeof config !== 'object' || config === null || typeof config.rope !== 'object' || config.rope === null) {
    throw damaged('it has no config');
  }
  checkConfig(config, 'state.json');
  const { sliding, layers } = config;
  if (!Array.isArray(sliding) || sliding.length !== layers || !sliding.every((flag) => typeof flag === 'boolean')) {
    throw damaged('its config has no kind for each layer');
  }
  return config;
}

function readPart(
  path: string,
  config: ModelConfig,
  part: 'values' | 'first' | 'second',
  damaged: (what: string) => GptOssError,
): ModelTensors {
  const file = part === 'values' ? 'model.safetensors' : 'optim.safetensors';
  const prefix = part === 'values' ? '' : `${part}.`;
  const source = openFile(join(path, file));
  try {
    const entries = new Map(readSafetensors(source).entries.map((entry) => [entry.name, entry]));
    const values = new Map<string, Float32Array>();
    const tensors = memoryTensors(config, (_, { name, experts, rows, cols }) => {
      const known = values.get(name);
      if (known !== undefined) return known;
      const entry = entries.get(prefix + name);
      if (entry === undefined) throw damaged(`${file} has no tensor ${prefix}${name}`);
      if (entry.element !== 'f32' || entry.length !== experts * rows * cols * 4) {
        throw damaged(`tensor ${prefix}${name} of ${file} has another type or size than its config says`);
      }
      const read = entryValues(entry);
      values.set(name, read);
      return read;
    });
    // Vectors are read when asked for: while the file is open.
    for (const t of [tensors, ...tensors.layers] as object[]) {
      for (const one of Object.values(t)) if ('load' in one) (one as { load(): Float32Array }).load();
    }
    return tensors;
  } finally {
    source.close();
  }
}

/** A file that is on the disk when `finish` returns. */
function syncedFile(path: string): ByteSink {
  let fd: number;
  try {
    fd = openSync(path, 'w');
  } catch (cause) {
    throw fileError(path, cause);
  }
  return {
    write(bytes) {
      try {
        for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done, bytes.length - done);
      } catch (cause) {
        throw fileError(path, cause);
      }
    },
    finish() {
      try {
        fsyncSync(fd);
        closeSync(fd);
      } catch (cause) {
        throw fileError(path, cause);
      }
    },
    discard() {
      closeSync(fd);
    },
  };
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
