// The files of a run: checkpoints that a stage goes on from to the bit, and the log. A checkpoint is one safetensors file
// (parameters and both moments in float32, what step it is of in its metadata), written under another name, synced, then
// renamed; the last two are kept. So whatever is killed when, the newest complete one is intact.

import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TensorPart } from '../../backend/learner.ts';
import { GptOssError } from '../../errors.ts';
import type { ModelTensors } from '../../formats/checkpoint.ts';
import type { ModelConfig } from '../../formats/config.ts';
import { createFile, fileError, openFile } from '../../formats/file.node.ts';
import { readSafetensors } from '../../formats/safetensors.ts';
import { type TensorToWrite, writeSafetensors } from '../../formats/safetensors-write.ts';
import { memoryTensors } from '../tensors.ts';
import type { Trainer, TrainerState } from '../trainer.ts';
import { type LogLine, parseLog } from './log.ts';

const KEPT = 2;
const PARTS = ['values', 'first', 'second'] as const satisfies readonly TensorPart[];
const FORMAT = 1;

export interface RunState extends TrainerState {
  /** The trainer's step before the stage began. */
  readonly startStep: number;
  /** What the stage was told to do; a resumed one has to be told the same. */
  readonly plan: string;
}

export interface SavedRun extends RunState {
  readonly path: string;
  readonly config: ModelConfig;
}

const nameOf = (step: number): string => `step-${String(step).padStart(9, '0')}.safetensors`;

/** Writes a checkpoint into `folder` and removes all but the newest ones. */
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
  for (const old of checkpoints(folder).slice(0, -KEPT)) rmSync(join(folder, old), { force: true });
  return path;
}

/** Names of complete checkpoints, oldest first. */
function checkpoints(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => /^step-\d{9}\.safetensors$/.test(name))
    .sort();
}

/** The newest checkpoint of a folder; null when there is none. */
export function findRun(folder: string): SavedRun | null {
  const newest = checkpoints(folder).at(-1);
  if (newest === undefined) return null;
  const path = join(folder, newest);
  const source = openFile(path);
  try {
    const { metadata } = readSafetensors(source);
    const state = JSON.parse(metadata.get('run') ?? 'null') as (SavedRun & { format: number }) | null;
    if (state?.format !== FORMAT) {
      throw new GptOssError(
        'bad-checkpoint',
        `${path} is no checkpoint of a run of this version; expected one; begin anew in another folder`,
      );
    }
    return { ...state, path };
  } finally {
    source.close();
  }
}

/** Puts parameters and moments of a checkpoint into a trainer of the same shape. */
export function loadRun({ path, config }: SavedRun, trainer: Trainer): void {
  const fields = Object.keys(config) as (keyof ModelConfig)[];
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
    for (const part of PARTS) {
      for (const [index, { name }] of trainer.learner.tensors.entries()) {
        const entry = entries.get(`${part}/${name}`);
        if (entry === undefined)
          throw new GptOssError(
            'bad-checkpoint',
            `${path} lacks ${part}/${name}; expected all tensors; use an older checkpoint`,
          );
        const bytes = source.read(entry.offset, entry.length).slice();
        trainer.learner.write(index, part, new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4));
      }
    }
  } finally {
    source.close();
  }
}

/** The end of a stage in BF16, small enough to keep: the next stage begins from it, with fresh moments. */
export function saveStageEnd(path: string, trainer: Trainer): void {
  const { learner, config } = trainer;
  const tensors = learner.tensors.map(
    ({ name, experts, rows, cols }, index): TensorToWrite => ({
      ...{ name, dtype: 'BF16', shape: [experts, rows, cols] },
      *chunks() {
        yield toBf16(learner.read(index, 'values'));
      },
    }),
  );
  const sink = createFile(path);
  try {
    writeSafetensors(sink, tensors, { run: JSON.stringify({ format: FORMAT, config }) });
    sink.finish();
  } catch (error) {
    sink.discard();
    throw error;
  }
}

/** A stage's end as a source for `openTrainer`. */
export function readStageEnd(path: string): { config: ModelConfig; tensors: ModelTensors } {
  const source = openFile(path);
  try {
    const { entries, metadata } = readSafetensors(source);
    const state = JSON.parse(metadata.get('run') ?? 'null') as { format: number; config: ModelConfig } | null;
    if (state?.format !== FORMAT) {
      throw new GptOssError(
        'bad-checkpoint',
        `${path} is no end of a stage of this version; expected one; train it again`,
      );
    }
    const values = new Map(entries.map(({ name, offset, length }) => [name, fromBf16(source.read(offset, length))]));
    return { config: state.config, tensors: memoryTensors(state.config, (_, { name }) => values.get(name)!) };
  } finally {
    source.close();
  }
}

/** To nearest, ties to even. */
function toBf16(values: Float32Array): Uint8Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const out = new Uint16Array(values.length);
  for (let i = 0; i < bits.length; i++) out[i] = (bits[i]! + 0x7fff + ((bits[i]! >>> 16) & 1)) >>> 16;
  return new Uint8Array(out.buffer);
}

function fromBf16(bytes: Uint8Array): Float32Array {
  const out = new Uint32Array(bytes.length / 2);
  for (let i = 0; i < out.length; i++) out[i] = (bytes[2 * i]! | (bytes[2 * i + 1]! << 8)) << 16;
  return new Float32Array(out.buffer);
}

/** Leaves out what a stage logged after the checkpoint that it goes on from. */
export function rewindLog(path: string, stage: string, step: number): void {
  if (!existsSync(path)) return;
  const kept = parseLog(readFileSync(path, 'utf8')).filter(
    (line) => line.stage !== stage || (line.type === 'step' && line.step <= step),
  );
  writeFileSync(path, kept.map((line) => `${JSON.stringify(line)}\n`).join(''));
}

/** Appends to the log; a full disk is an error like any other. */
export function appendLog(path: string, lines: readonly LogLine[]): void {
  try {
    appendFileSync(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  } catch (cause) {
    throw fileError(path, cause);
  }
}
