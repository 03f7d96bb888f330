// The three layouts as lists of tensors to write: names, shapes, types, and where their bytes come from. Each is made from
// the one view of a checkpoint (ModelTensors), so any source goes to any target. Names: model-spec §2.1, §2.2, §2.5.

import type { LayerTensors, ModelTensors } from '../../formats/checkpoint.ts';
import { decodeRows } from '../../formats/decode.ts';
import { dtypeFacts } from '../../formats/dtypes.ts';
import type { GgufTensorToWrite } from '../../formats/gguf-write.ts';
import type { TensorToWrite } from '../../formats/safetensors-write.ts';
import type { DType, Matrix, Vector } from '../../formats/tensor.ts';
import { encodeRows, interleavedRows, isMxfp4, storedRows } from './stored-rows.ts';

/** Types of what is not an expert: attention, embedding and output matrices. `keep` = as they are. */
export type DenseType = 'keep' | 'bf16' | 'f16' | 'q8_0';

type Chunks = () => Iterable<Uint8Array>;

function vectorChunks(vectors: readonly Vector[], dtype: 'f32' | 'bf16'): Chunks {
  return function* () {
    for (const vector of vectors) yield encodeRows(vector.load(), dtype).values;
  };
}

function alternate(even: Float32Array, odd: Float32Array): Float32Array {
  const both = new Float32Array(even.length * 2);
  for (let i = 0; i < even.length; i++) {
    both[2 * i] = even[i];
    both[2 * i + 1] = odd[i];
  }
  return both;
}

/** Experts as [in, out] in BF16, one expert at a time; of two matrices, outputs alternate. */
function* turnedExperts(parts: readonly Matrix[]): Iterable<Uint8Array> {
  const [{ experts, rows, cols }] = parts;
  const width = parts.length * rows;
  for (let expert = 0; expert < experts; expert++) {
    const turned = new Float32Array(cols * width);
    for (const [p, part] of parts.entries()) {
      const values = decodeRows(part, expert, 0, rows);
      for (let r = 0; r < rows; r++) {
        for (let c = 0; c < cols; c++) turned[c * width + r * parts.length + p] = values[r * cols + c];
      }
    }
    yield encodeRows(turned, 'bf16').values;
  }
}

/**
 * Hugging Face and `original/` differ in names and in the fused qkv; both hold BF16 and split MXFP4. Hugging Face knows
 * experts in BF16 too: [experts, in, out], gate and up alternating.
 */
export function safetensorsPlan(
  tensors: ModelTensors,
  layout: 'huggingface' | 'original',
  expertType: 'mxfp4' | 'bf16' = 'mxfp4',
): TensorToWrite[] {
  const original = layout === 'original';
  const dense = (name: string, matrices: readonly Matrix[]): TensorToWrite => ({
    name,
    dtype: 'BF16',
    shape: [matrices.reduce((n, m) => n + m.rows, 0), matrices[0].cols],
    *chunks() {
      for (const m of matrices) yield* storedRows(m, 'bf16');
    },
  });
  const vector = (name: string, ...vectors: Vector[]): TensorToWrite => ({
    name,
    dtype: 'BF16',
    shape: vectors.length === 1 ? vectors[0].shape : [vectors.reduce((n, v) => n + v.shape[0], 0)],
    chunks: vectorChunks(vectors, 'bf16'),
  });
  const experts = (
    name: string,
    rows: number,
    parts: readonly Matrix[],
    chunks: (part: 'values' | 'scales') => Iterable<Uint8Array>,
  ): TensorToWrite[] => {
    const [m] = parts;
    if (expertType === 'bf16') {
      const shape = [m.experts, m.cols, rows];
      return [{ name, dtype: 'BF16', shape, chunks: () => turnedExperts(parts) }];
    }
    const [blocks, scales] = original ? ['.blocks', '.scales'] : ['_blocks', '_scales'];
    const shape = [m.experts, rows, m.cols / 32];
    return [
      { name: name + blocks, dtype: 'U8', shape: [...shape, 16], chunks: () => chunks('values') },
      { name: name + scales, dtype: 'U8', shape, chunks: () => chunks('scales') },
    ];
  };
  const layer = (t: LayerTensors, i: number): TensorToWrite[] => {
    const p = original ? `block.${i}.` : `model.layers.${i}.`;
    const attn = original ? `${p}attn.` : `${p}self_attn.`;
    const mlp = `${p}mlp.`;
    const up = original ? `${mlp}mlp1` : `${mlp}experts.gate_up_proj`;
    const down = original ? `${mlp}mlp2` : `${mlp}experts.down_proj`;
    const router = original ? `${mlp}gate` : `${mlp}router`;
    const projection = (name: string, m: Matrix, b: Vector): TensorToWrite[] => [
      dense(`${attn}${name}.weight`, [m]),
      vector(`${attn}${name}.bias`, b),
    ];
    return [
      vector(original ? `${attn}norm.scale` : `${p}input_layernorm.weight`, t.attnNorm),
      ...(original
        ? [dense(`${attn}qkv.weight`, [t.q, t.k, t.v]), vector(`${attn}qkv.bias`, t.qBias, t.kBias, t.vBias)]
        : [
            ...projection('q_proj', t.q, t.qBias),
            ...projection('k_proj', t.k, t.kBias),
            ...projection('v_proj', t.v, t.vBias),
          ]),
      ...projection(original ? 'out' : 'o_proj', t.o, t.oBias),
      vector(`${attn}sinks`, t.sinks),
      vector(original ? `${mlp}norm.scale` : `${p}post_attention_layernorm.weight`, t.mlpNorm),
      dense(`${router}.weight`, [t.router]),
      vector(`${router}.bias`, t.routerBias),
      ...experts(original ? `${up}_weight` : up, 2 * t.gate.rows, [t.gate, t.up], (part) =>
        interleavedRows(t.gate, t.up, 'mxfp4-split', part),
      ),
      {
        name: `${up}_bias`,
        dtype: 'BF16',
        shape: [t.gate.experts, 2 * t.gate.rows],
        *chunks() {
          yield encodeRows(alternate(t.gateBias.load(), t.upBias.load()), 'bf16').values;
        },
      },
      ...experts(original ? `${down}_weight` : down, t.down.rows, [t.down], (part) =>
        storedRows(t.down, 'mxfp4-split', part),
      ),
      vector(`${down}_bias`, t.downBias),
    ];
  };
  return [
    dense(original ? 'embedding.weight' : 'model.embed_tokens.weight', [tensors.embedding]),
    ...tensors.layers.flatMap(layer),
    vector(original ? 'norm.scale' : 'model.norm.weight', tensors.finalNorm),
    dense(original ? 'unembedding.weight' : 'lm_head.weight', [tensors.output]),
  ];
}

/** llama.cpp's current names; gate and up apart, vectors and router in F32, experts in 17-byte MXFP4 groups. */
export function ggufPlan(tensors: ModelTensors, dense: DenseType): GgufTensorToWrite[] {
  const matrix = (name: string, m: Matrix, dtype: DType): GgufTensorToWrite => ({
    name,
    dtype,
    shape: m.experts > 1 || isMxfp4(dtype) ? [m.experts, m.rows, m.cols] : [m.rows, m.cols],
    chunks: () => storedRows(m, dtype),
  });
  const vector = (name: string, v: Vector): GgufTensorToWrite => ({
    name,
    dtype: 'f32',
    shape: v.shape,
    chunks: vectorChunks([v], 'f32'),
  });
  const attention = (name: string, m: Matrix): GgufTensorToWrite => matrix(name, m, denseType(m, dense));
  const expert = (name: string, m: Matrix): GgufTensorToWrite => matrix(name, m, m.dtype === 'q8_0' ? 'q8_0' : 'mxfp4');
  const layer = (t: LayerTensors, i: number): GgufTensorToWrite[] => {
    const p = `blk.${i}.`;
    return [
      vector(`${p}attn_norm.weight`, t.attnNorm),
      attention(`${p}attn_q.weight`, t.q),
      vector(`${p}attn_q.bias`, t.qBias),
      attention(`${p}attn_k.weight`, t.k),
      vector(`${p}attn_k.bias`, t.kBias),
      attention(`${p}attn_v.weight`, t.v),
      vector(`${p}attn_v.bias`, t.vBias),
      attention(`${p}attn_output.weight`, t.o),
      vector(`${p}attn_output.bias`, t.oBias),
      vector(`${p}attn_sinks.weight`, t.sinks),
      vector(`${p}post_attention_norm.weight`, t.mlpNorm),
      matrix(`${p}ffn_gate_inp.weight`, t.router, 'f32'),
      vector(`${p}ffn_gate_inp.bias`, t.routerBias),
      expert(`${p}ffn_gate_exps.weight`, t.gate),
      vector(`${p}ffn_gate_exps.bias`, t.gateBias),
      expert(`${p}ffn_up_exps.weight`, t.up),
      vector(`${p}ffn_up_exps.bias`, t.upBias),
      expert(`${p}ffn_down_exps.weight`, t.down),
      vector(`${p}ffn_down_exps.bias`, t.downBias),
    ];
  };
  return [
    attention('token_embd.weight', tensors.embedding),
    ...tensors.layers.flatMap(layer),
    vector('output_norm.weight', tensors.finalNorm),
    attention('output.weight', tensors.output),
  ];
}

/** A type that can be written and that the row length allows. */
function denseType(m: Matrix, wanted: DenseType): DType {
  if (wanted !== 'keep') return m.cols % dtypeFacts[wanted].groupValues === 0 ? wanted : 'bf16';
  return m.dtype === 'q8_0' || m.dtype === 'f16' || m.dtype === 'f32' || m.dtype === 'bf16' ? m.dtype : 'bf16';
}
