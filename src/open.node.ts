// `open(path)`: a model on disk, ready to talk, under Node. Opens the checkpoint, picks the tokenizer that belongs to it,
// chooses a backend and says why when it is not the native one. The embedded tiny model is what opens without a path.
// Next: opened-model.ts.

import { fileURLToPath } from 'node:url';
import type { Backend, KvType, Precision, WeightKind } from './backend/backend.ts';
import { CpuBackend } from './backend/cpu/cpu.ts';
import { ReferenceBackend } from './backend/reference/reference.ts';
import type { EngineOptions } from './engine/engine-options.ts';
import { DiskPrefixStore } from './engine/prefix-store.node.ts';
import { type GptOssError, isGptOssError } from './errors.ts';
import { openCheckpoint } from './formats/checkpoint.node.ts';
import { createModel } from './model/load.ts';
import { modelKey } from './model-key.node.ts';
import { OpenedModel } from './opened-model.ts';
import { tokenizerOf } from './text/o200k-harmony.node.ts';

export interface OpenOptions extends Omit<EngineOptions, 'prefixStore'> {
  /** Folder where the beginnings of conversations outlive the process: after a restart they need not be read again. */
  readonly cacheDir?: string;
  /** Most bytes it may hold. Default 4 GiB. */
  readonly cacheDirBytes?: number;
  /** Told of trouble with that folder; requests go on without it. */
  readonly onProblem?: (problem: GptOssError) => void;
  /** Default: cpu where native code is there, else reference. */
  readonly backend?: 'cpu' | 'reference';
  /** Default fast. */
  readonly precision?: Precision;
  readonly kv?: KvType; // default: f32 for exact, f16 for fast
  /** `q8`: attention and output matrices stored as plain numbers are rounded to 8 bits, for speed, in a copy. Only the cpu
   *  backend does so. Default: as stored. */
  readonly weights?: WeightKind;
  /** Default: physical cores; one for a model that fits a core's own cache, which a second one hardly speeds up and a busy
   *  machine slows down, because each of its many small steps waits for the slower thread. */
  readonly threads?: number;
  /** Forces an ISA variant of the cpu backend. */
  readonly isa?: string;
}

const secondLevelBytes = 2 << 20; // of usual processors

/** The model that ships with the package: the same from src/ and dist/. */
export const tinyModelPath = fileURLToPath(new URL('../models/tiny', import.meta.url));

/** Opens a checkpoint: a file or folder in any format of gpt-oss. Without a path, the embedded tiny model. */
export async function open(path: string = tinyModelPath, options: OpenOptions = {}): Promise<OpenedModel> {
  const start = performance.now();
  const checkpoint = openCheckpoint(path);
  let backend: Backend | null = null;
  try {
    const tokenizer = tokenizerOf(checkpoint.tokenizer, checkpoint.config.vocab);
    const precision = options.precision ?? 'fast';
    const size = checkpoint.sources.reduce((sum, source) => sum + source.size, 0);
    const threads = options.threads ?? (size <= secondLevelBytes ? 1 : undefined);
    const chosen = chooseBackend({ ...options, threads }, precision);
    backend = chosen.backend;
    const context = options.context ?? Math.min(8192, checkpoint.config.maxContext);
    const kv = options.kv ?? (backend.precision === 'exact' ? 'f32' : 'f16');
    const { cacheDir: folder, cacheDirBytes: maxBytes, onProblem } = options;
    const prefixStore =
      folder === undefined
        ? undefined
        : await DiskPrefixStore.open({
            folder,
            key: modelKey(checkpoint, backend, kv, options.weights),
            maxBytes,
            onProblem,
          });
    return new OpenedModel({
      checkpoint,
      tokenizer,
      model: createModel(checkpoint, backend),
      engine: { maxSequences: 4, ...options, context, kv, prefixStore },
      notices: chosen.notices,
      loadMs: performance.now() - start,
    });
  } catch (error) {
    await backend?.close();
    checkpoint.close();
    throw error;
  }
}

/** The cpu backend where it can run; else the reference, with the reason. A backend that was asked for has to run. */
function chooseBackend(options: OpenOptions, precision: Precision): { backend: Backend; notices: string[] } {
  const { backend: wanted, threads, isa, weights } = options;
  if (wanted !== 'reference') {
    try {
      return { backend: new CpuBackend({ precision, threads, isa, weights }), notices: [] };
    } catch (error) {
      if (wanted === 'cpu' || isa !== undefined || !isGptOssError(error, 'unsupported-device')) throw error;
      const notice = `plain TypeScript computes, which is slow: ${error.message}`;
      return { backend: new ReferenceBackend({ precision: options.precision ?? 'exact' }), notices: [notice] };
    }
  }
  // Emulating rounded activations would only make it slower; `fast` has to be asked for.
  return { backend: new ReferenceBackend({ precision: options.precision ?? 'exact' }), notices: [] };
}
