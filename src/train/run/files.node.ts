// Files of a run beside its checkpoints (checkpoint.node.ts): the end of a stage in BF16, and the log.

import { appendFileSync, existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { GptOssError } from '../../errors.ts';
import type { ModelTensors } from '../../formats/checkpoint.ts';
import type { ModelConfig } from '../../formats/config.ts';
import { createFile, fileError, openFile } from '../../formats/file.node.ts';
import { entryValues, readSafetensors } from '../../formats/safetensors.ts';
import { type TensorToWrite, writeSafetensors } from '../../formats/safetensors-write.ts';
import { memoryTensors, tensorsByName } from '../tensors.ts';
import type { Trainer } from '../trainer.ts';
import { FORMAT, savedConfig } from './checkpoint.node.ts';
import { type LogLine, parseLog } from './log.ts';

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
  const bad = (what: string): GptOssError =>
    new GptOssError(
      'bad-checkpoint',
      `${path}: ${what}; expected the end of a stage of this version; remove it and train that stage again`,
    );
  const source = openFile(path);
  try {
    const { entries, metadata } = readSafetensors(source);
    let state: { format?: unknown; config?: unknown } | null;
    try {
      state = JSON.parse(metadata.get('run') ?? 'null') as typeof state;
    } catch {
      throw bad('what it says of itself is no JSON');
    }
    if (state?.format !== FORMAT) throw bad(`it has format ${String(state?.format)}, not ${FORMAT}`);
    const config = savedConfig(state.config, path);
    const named = new Map(entries.map((entry) => [entry.name, entry]));
    const values = new Map<string, Float32Array>();
    for (const { name, experts, rows, cols } of tensorsByName(config)) {
      const entry = named.get(name);
      if (entry?.dtype !== 'BF16' || entry.length !== experts * rows * cols * 2) {
        throw bad(`${name} is missing or of another type or size than its configuration says`);
      }
      values.set(name, entryValues(entry));
    }
    return { config, tensors: memoryTensors(config, (_, { name }) => values.get(name)!) };
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

/** Leaves out what a stage logged after the checkpoint that it goes on from. */
export function rewindLog(path: string, stage: string, step: number): void {
  if (!existsSync(path)) return;
  const kept = parseLog(readFileSync(path, 'utf8')).filter(
    (line) => line.stage !== stage || (line.type === 'step' && line.step <= step),
  );
  const part = `${path}.part`;
  try {
    writeFileSync(part, kept.map((line) => `${JSON.stringify(line)}\n`).join(''));
    renameSync(part, path);
  } catch (cause) {
    throw fileError(path, cause);
  }
}

/** Appends to the log; a full disk is an error like any other. */
export function appendLog(path: string, lines: readonly LogLine[]): void {
  try {
    appendFileSync(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  } catch (cause) {
    throw fileError(path, cause);
  }
}
