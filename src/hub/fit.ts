// Will a model fit this machine, and how fast will it be? Arithmetic only: sizes come from a checkpoint or from the
// published shapes, speeds from two numbers measured on the machine (backend/cpu: probe()). Every assumption has a name.

import type { ModelConfig } from '../formats/config.ts';
import { cacheBytes, kvValueBytes, parameterCounts } from '../formats/describe.ts';

/** Bytes of one copy of the weights, and what a token reads of them. */
export interface WeightSizes {
  readonly onDisk: number;
  readonly perToken: number;
  /** Copies beside the file's pages: weights that are rounded when the model is opened. Default 0. */
  readonly copies?: number;
}

export interface MachineFacts {
  readonly memory: number; // bytes that this process may use, file pages included
  readonly freeDisk: number | null; // bytes where the download would go
  /** Measured on all threads. */
  readonly readBytesPerSecond: number;
  readonly multiplyAddsPerSecond: number; // of the kernels that read prompts (8-bit where there is one)
}

export interface Fit {
  readonly weights: number;
  readonly cache: number;
  readonly working: number; // activations, scratch, the program itself
  readonly total: number;
  /** all: everything stays in memory · paging: experts come and go from disk · no: not even what each token reads. */
  readonly fits: 'all' | 'paging' | 'no';
  readonly enoughDisk: boolean | null;
  readonly prefillTokensPerSecond: number; // 512-token prompt
  readonly decodeTokensPerSecond: number; // after a short prompt
  readonly decodeAtContext: number; // with the whole context behind it
}

/** Shares of the measured ceilings that the kernels reach on a 20b-shaped model (measured with `bench --vs llama.cpp` on Zen 4). */
export const reached = { read: 0.64, multiplyAdd: 0.56 } as const;

/** Measured beside the file's pages on the 20b shape: buffers of 512 rows, scratch, Node itself. */
const WORKING_BYTES = 0.45e9;

const group = 17 / 32; // bytes of an MXFP4 value
const q8 = 34 / 32;

/** The published files: experts MXFP4; the rest BF16 (safetensors) or Q8_0 (the usual GGUF). */
export function publishedSizes(config: ModelConfig, container: 'safetensors' | 'gguf'): WeightSizes {
  const dense = container === 'gguf' ? q8 : 2;
  const matrices = config.layers * 3 * config.hidden * config.intermediate; // of one expert in every layer
  const attention = config.layers * config.hidden * config.headDim * 2 * (config.heads + config.kvHeads);
  const vocabulary = config.vocab * config.hidden;
  const onDisk = config.experts * matrices * group + (attention + 2 * vocabulary) * dense;
  return { onDisk, perToken: config.expertsPerToken * matrices * group + (attention + vocabulary) * dense };
}

/** The same with `--weights q8`: GGUF is Q8_0 already; of safetensors attention and output are read from rounded copies. */
export function roundedSizes(config: ModelConfig, container: 'safetensors' | 'gguf'): WeightSizes {
  const stored = publishedSizes(config, container);
  if (container === 'gguf') return stored;
  const attention = config.layers * config.hidden * config.headDim * 2 * (config.heads + config.kvHeads);
  const values = attention + config.vocab * config.hidden;
  return { ...stored, perToken: stored.perToken - values * (2 - q8), copies: values * q8 };
}

export function fitModel(
  config: ModelConfig,
  sizes: WeightSizes,
  machine: MachineFacts,
  options: { readonly context: number; readonly kv: keyof typeof kvValueBytes },
): Fit {
  const { context, kv } = options;
  const cache = cacheBytes(config, context, kv);
  const total = sizes.onDisk + (sizes.copies ?? 0) + cache + WORKING_BYTES;
  const least = sizes.perToken + cache + WORKING_BYTES;
  const bandwidth = machine.readBytesPerSecond * reached.read;
  const fullLayers = config.sliding.filter((sliding) => !sliding).length;
  const cachePerToken = 2 * config.kvHeads * config.headDim * kvValueBytes[kv] * fullLayers; // read for each past token
  // A prompt token needs every active parameter but the output matrix.
  const multiplyAdds = parameterCounts(config).active - config.vocab * config.hidden;
  return {
    weights: sizes.onDisk,
    cache,
    working: WORKING_BYTES,
    total,
    fits: total <= machine.memory ? 'all' : least <= machine.memory ? 'paging' : 'no',
    enoughDisk: machine.freeDisk === null ? null : sizes.onDisk <= machine.freeDisk,
    prefillTokensPerSecond: (machine.multiplyAddsPerSecond * reached.multiplyAdd) / multiplyAdds,
    decodeTokensPerSecond: bandwidth / sizes.perToken,
    decodeAtContext: bandwidth / (sizes.perToken + cachePerToken * context),
  };
}
