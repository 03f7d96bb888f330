// What a tensor in a file is, for everybody above: element types, byte sources, and the two kinds of weights that
// the model knows (Matrix, Vector). No reading logic here. Next: safetensors.ts, gguf.ts, then checkpoint.ts.

/**
 * Element types a checkpoint may hold. Names follow ggml for quantised types. Three spellings of MXFP4:
 * - `mxfp4`        17-byte GGUF group: scale byte, then 16 bytes; byte 1+j = element j (low nibble), j+16 (high).
 * - `mxfp4-pairs`  17-byte early Ollama group: scale byte, then 16 bytes in adjacent-pair order (2j low, 2j+1 high).
 * - `mxfp4-split`  safetensors: 16-byte groups in adjacent-pair order; the scale bytes are a second tensor.
 */
export type DType =
  | 'f32'
  | 'f16'
  | 'bf16'
  | 'q8_0'
  | 'mxfp4'
  | 'mxfp4-pairs'
  | 'mxfp4-split'
  | 'q4_0'
  | 'q4_1'
  | 'q5_0'
  | 'q5_1'
  | 'q2_k'
  | 'q3_k'
  | 'q4_k'
  | 'q5_k'
  | 'q6_k'
  | 'iq4_nl';

/** Bytes that can be read at any offset: a file, or memory. Reads never go outside `size`. */
export interface ByteSource {
  /** For messages: file name. */
  readonly name: string;
  /** Absolute path when the bytes are a file on disk (a native backend maps it), else null. */
  readonly path: string | null;
  readonly size: number; // bytes
  /** A copy or view of exactly `length` bytes at `offset`; throws `bad-checkpoint` when outside the source. */
  read(offset: number, length: number): Uint8Array;
  close(): void;
}

/**
 * A weight matrix as the model sees it: y[rows] = W[rows, cols] · x[cols], `experts` of them (1 for dense layers).
 * It describes bytes where they lie: a fused qkv is three of these over one tensor, an interleaved gate_up two with a
 * doubled `rowStride`. Expert e, row r starts at `offset + e * expertStride + r * rowStride` and holds `cols` values
 * contiguously in `dtype` (unless `transposed`).
 */
export interface Matrix {
  readonly name: string; // tensor name in the file, for messages
  readonly dtype: DType;
  readonly experts: number;
  readonly rows: number;
  readonly cols: number;
  readonly source: ByteSource;
  readonly offset: number; // bytes from the start of `source`
  readonly rowStride: number; // bytes
  readonly expertStride: number; // bytes
  /** Scale bytes, only for `mxfp4-split`: expert e, row r, group g at offset + e*expertStride + r*rowStride + g. */
  readonly scales: { source: ByteSource; offset: number; rowStride: number; expertStride: number } | null;
  /**
   * Dequantised Hugging Face experts are stored [in, out]: value (r, c) at
   * `offset + e*expertStride + c*colStride + r*rowStride`. Null for the usual row-contiguous layout. f32/f16/bf16 only.
   */
  readonly colStride: number | null;
}

/** A small tensor (norm gain, bias, sinks) that is always used as float32. Shape as the model sees it. */
export interface Vector {
  readonly name: string;
  readonly shape: readonly number[]; // e.g. [2880], or [experts, rows] for expert biases
  /** Decodes to float32, row-major. Reads the source each time; callers keep the result. */
  load(): Float32Array;
}

/** One entry of a file's own table, untouched: for `inspect`, `convert` and tests. */
export interface TensorEntry {
  readonly name: string;
  readonly dtype: string; // the file's own word: "BF16", "U8", "MXFP4", "Q8_0", …
  /** The same as a type this project reads; null for others (integers, and U8 parts of a split MXFP4 pair). */
  readonly element: DType | null;
  readonly shape: readonly number[]; // outermost first (GGUF's order reversed)
  readonly source: ByteSource;
  readonly offset: number;
  readonly length: number; // bytes
}
