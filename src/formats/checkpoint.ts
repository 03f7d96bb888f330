// One view of a checkpoint, whatever container it came in: types only. checkpoint.node.ts opens a path, open.ts anything
// that looks like a folder; tensor names are read in layouts/.

import type { ModelConfig } from './config.ts';
import type { ByteSource, Matrix, TensorEntry, Vector } from './tensor.ts';

export interface LayerTensors {
  readonly attnNorm: Vector; // [hidden]
  readonly q: Matrix; // [heads*headDim, hidden]
  readonly k: Matrix; // [kvHeads*headDim, hidden]
  readonly v: Matrix; // [kvHeads*headDim, hidden]
  readonly o: Matrix; // [hidden, heads*headDim]
  readonly qBias: Vector;
  readonly kBias: Vector;
  readonly vBias: Vector;
  readonly oBias: Vector;
  readonly sinks: Vector; // [heads]
  readonly mlpNorm: Vector; // [hidden]
  readonly router: Matrix; // [experts, hidden]
  readonly routerBias: Vector; // [experts]
  readonly gate: Matrix; // experts × [intermediate, hidden]
  readonly up: Matrix; // experts × [intermediate, hidden]
  readonly down: Matrix; // experts × [hidden, intermediate]
  readonly gateBias: Vector; // [experts, intermediate]
  readonly upBias: Vector; // [experts, intermediate]
  readonly downBias: Vector; // [experts, hidden]
}

export interface ModelTensors {
  readonly embedding: Matrix; // [vocab, hidden]
  readonly output: Matrix; // [vocab, hidden]
  readonly finalNorm: Vector; // [hidden]
  readonly layers: readonly LayerTensors[];
}

/**
 * What a checkpoint says about its tokens: input of `text/tokenizer.ts`. Made by tokenizer-data.ts, whose `tokens` and
 * `merges` are built when first asked for.
 */
export interface TokenizerData {
  /** Ids 0 … 199997 are exactly those of o200k_base (by fingerprint): packed ranks may serve instead of `tokens`. */
  readonly isO200k: boolean;
  /** Bytes of each mergeable token by id; null where an id is not a text token (special or unused). */
  readonly tokens: readonly (Uint8Array | null)[];
  /** Special tokens by their text. */
  readonly special: ReadonlyMap<string, number>;
  /** Merge rank = position; pairs of token byte-strings. Null when ranks follow ids (o200k). */
  readonly merges: readonly (readonly [Uint8Array, Uint8Array])[] | null;
  /** Pre-tokenizer expression as written in the file (Rust/Oniguruma dialect); null = o200k's. */
  readonly pattern: string | null;
  /** A whole piece that is a token is emitted without merging (HF `ignore_merges`). */
  readonly ignoreMerges: boolean;
}

export interface Checkpoint {
  readonly path: string;
  /** Container: what the file is, not what its name says. */
  readonly format: 'safetensors' | 'safetensors-original' | 'gguf';
  readonly name: string; // general.name, or the folder's
  readonly config: ModelConfig;
  readonly tensors: ModelTensors;
  /** Every entry of the file(s), in file order. */
  readonly entries: readonly TensorEntry[];
  /** Read when first asked for, so that opening stays quick; may throw `bad-tokenizer`.
   *  Null when the checkpoint ships none (the packed o200k_harmony is used then, if the vocabulary has its size). */
  readonly tokenizer: TokenizerData | null;
  /** Ids that end generation: those that generation_config.json, config.json or GGUF metadata name, and the tokens
   *  `<|return|>`, `<|call|>`, `<|endoftext|>` where the vocabulary has them; never `<|end|>`. Ascending; may be empty.
   *  Reads the tokenizer when first asked for. */
  readonly stopIds: readonly number[];
  readonly chatTemplate: string | null;
  /** CHAT_FORMAT.md beside the weights: what a model was trained to read, where its template does not say. */
  readonly chatNotes: string | null;
  /** Raw metadata: GGUF key-values, or {config, generationConfig}. For `inspect`. */
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly sources: readonly ByteSource[];
  close(): void;
}
