// What each element type costs in bytes, and how ggml and safetensors call it. Nothing here reads values: see
// decode.ts. A quantised type stores values in groups; a row of a matrix is always a whole number of groups.

import { GptOssError } from '../errors.ts';
import type { DType } from './tensor.ts';

export interface DTypeFacts {
  readonly groupValues: number; // values per group; 1 for plain numbers
  readonly groupBytes: number;
  readonly label: string; // ggml's or safetensors' spelling, for tables
}

export const dtypeFacts: Readonly<Record<DType, DTypeFacts>> = {
  f32: { groupValues: 1, groupBytes: 4, label: 'F32' },
  f16: { groupValues: 1, groupBytes: 2, label: 'F16' },
  bf16: { groupValues: 1, groupBytes: 2, label: 'BF16' },
  q8_0: { groupValues: 32, groupBytes: 34, label: 'Q8_0' }, // f16 scale, 32 × i8
  mxfp4: { groupValues: 32, groupBytes: 17, label: 'MXFP4' },
  'mxfp4-pairs': { groupValues: 32, groupBytes: 17, label: 'MXFP4 (early Ollama)' },
  'mxfp4-split': { groupValues: 32, groupBytes: 16, label: 'MXFP4' }, // + 1 scale byte in another tensor
  q4_0: { groupValues: 32, groupBytes: 18, label: 'Q4_0' },
  q4_1: { groupValues: 32, groupBytes: 20, label: 'Q4_1' },
  q5_0: { groupValues: 32, groupBytes: 22, label: 'Q5_0' },
  q5_1: { groupValues: 32, groupBytes: 24, label: 'Q5_1' },
  q2_k: { groupValues: 256, groupBytes: 84, label: 'Q2_K' },
  q3_k: { groupValues: 256, groupBytes: 110, label: 'Q3_K' },
  q4_k: { groupValues: 256, groupBytes: 144, label: 'Q4_K' },
  q5_k: { groupValues: 256, groupBytes: 176, label: 'Q5_K' },
  q6_k: { groupValues: 256, groupBytes: 210, label: 'Q6_K' },
  iq4_nl: { groupValues: 32, groupBytes: 18, label: 'IQ4_NL' },
};

/** Bytes of one row of `cols` values. `cols` must be a whole number of groups. */
export function rowBytes(dtype: DType, cols: number): number {
  const { groupValues, groupBytes, label } = dtypeFacts[dtype];
  if (cols % groupValues !== 0) {
    throw new GptOssError(
      'bad-checkpoint',
      `a row of ${cols} values cannot be stored as ${label}; expected a multiple of ${groupValues}; the file is damaged or not a gpt-oss checkpoint`,
    );
  }
  return (cols / groupValues) * groupBytes;
}

/** ggml type ids that this project reads. Id 4 is MXFP4 only in Ollama's early files: see gguf.ts. */
export const ggmlTypes: ReadonlyMap<number, DType> = new Map([
  [0, 'f32'],
  [1, 'f16'],
  [2, 'q4_0'],
  [3, 'q4_1'],
  [6, 'q5_0'],
  [7, 'q5_1'],
  [8, 'q8_0'],
  [10, 'q2_k'],
  [11, 'q3_k'],
  [12, 'q4_k'],
  [13, 'q5_k'],
  [14, 'q6_k'],
  [20, 'iq4_nl'],
  [30, 'bf16'],
  [39, 'mxfp4'],
]);

/** ggml types that exist but that no gpt-oss file is known to use, so that the message can name them. */
export const otherGgmlTypes: ReadonlyMap<number, string> = new Map([
  [9, 'Q8_1'],
  [15, 'Q8_K'],
  [16, 'IQ2_XXS'],
  [17, 'IQ2_XS'],
  [18, 'IQ3_XXS'],
  [19, 'IQ1_S'],
  [21, 'IQ3_S'],
  [22, 'IQ2_S'],
  [23, 'IQ4_XS'],
  [24, 'I8'],
  [25, 'I16'],
  [26, 'I32'],
  [27, 'I64'],
  [28, 'F64'],
  [29, 'IQ1_M'],
  [34, 'TQ1_0'],
  [35, 'TQ2_0'],
  [40, 'NVFP4'],
]);

export function ggmlTypeId(dtype: DType): number {
  for (const [id, name] of ggmlTypes) if (name === dtype) return id;
  if (dtype === 'mxfp4-pairs') return 4;
  throw new GptOssError('unsupported-type', `${dtype} cannot be written to GGUF; repack it to mxfp4 first`);
}

/** Bits per value of the types in a safetensors header, for the size check. */
export const safetensorsBits: ReadonlyMap<string, number> = new Map([
  ['BOOL', 8],
  ['U8', 8],
  ['I8', 8],
  ['F8_E5M2', 8],
  ['F8_E4M3', 8],
  ['F8_E8M0', 8],
  ['F4', 4],
  ['I16', 16],
  ['U16', 16],
  ['F16', 16],
  ['BF16', 16],
  ['I32', 32],
  ['U32', 32],
  ['F32', 32],
  ['I64', 64],
  ['U64', 64],
  ['F64', 64],
]);

export const safetensorsTypes: ReadonlyMap<string, DType> = new Map([
  ['F32', 'f32'],
  ['F16', 'f16'],
  ['BF16', 'bf16'],
]);
