// Tensor names of the Hugging Face layout → ModelTensors. Experts come in two forms: MXFP4 as a pair of U8 tensors
// (`_blocks` [experts, rows, groups, 16] and `_scales` [experts, rows, groups]), or dequantised and transposed,
// [experts, in, out]. In both, gate and up alternate: even output rows are gate, odd ones up.

import type { LayerTensors, ModelTensors } from '../checkpoint.ts';
import type { ModelConfig } from '../config.ts';
import { dtypeFacts } from '../dtypes.ts';
import { damaged, shown } from '../messages.ts';
import type { Matrix } from '../tensor.ts';
import type { EntryTable, RowSlice } from './entries.ts';

export function isHuggingFaceLayout(table: EntryTable): boolean {
  return table.has('model.embed_tokens.weight');
}

/** `tied`: the configuration says that the embedding is the output matrix too, as some fine-tunes do. */
export function huggingFaceTensors(table: EntryTable, config: ModelConfig, tied: boolean): ModelTensors {
  const { hidden, vocab } = config;
  return {
    embedding: table.dense(['model.embed_tokens.weight'], vocab, hidden),
    output: table.dense([tied ? 'model.embed_tokens.weight' : 'lm_head.weight'], vocab, hidden),
    finalNorm: table.vector(['model.norm.weight'], [hidden]),
    layers: Array.from({ length: config.layers }, (_, i) => layer(table, config, `model.layers.${i}.`)),
  };
}

function layer(table: EntryTable, config: ModelConfig, prefix: string): LayerTensors {
  const { hidden, heads, kvHeads, headDim, experts, intermediate } = config;
  const attn = `${prefix}self_attn.`;
  const mlp = `${prefix}mlp.`;
  const gate = { first: 0, step: 2, stored: 2 * intermediate };
  const up = { first: 1, step: 2, stored: 2 * intermediate };
  return {
    attnNorm: table.vector([`${prefix}input_layernorm.weight`], [hidden]),
    q: table.dense([`${attn}q_proj.weight`], heads * headDim, hidden),
    k: table.dense([`${attn}k_proj.weight`], kvHeads * headDim, hidden),
    v: table.dense([`${attn}v_proj.weight`], kvHeads * headDim, hidden),
    o: table.dense([`${attn}o_proj.weight`], hidden, heads * headDim),
    qBias: table.vector([`${attn}q_proj.bias`], [heads * headDim]),
    kBias: table.vector([`${attn}k_proj.bias`], [kvHeads * headDim]),
    vBias: table.vector([`${attn}v_proj.bias`], [kvHeads * headDim]),
    oBias: table.vector([`${attn}o_proj.bias`], [hidden]),
    sinks: table.vector([`${attn}sinks`], [heads]),
    mlpNorm: table.vector([`${prefix}post_attention_layernorm.weight`], [hidden]),
    router: table.dense([`${mlp}router.weight`], experts, hidden),
    routerBias: table.vector([`${mlp}router.bias`], [experts]),
    gate: expertMatrix(table, `${mlp}experts.gate_up_proj`, experts, intermediate, hidden, gate),
    up: expertMatrix(table, `${mlp}experts.gate_up_proj`, experts, intermediate, hidden, up),
    down: expertMatrix(table, `${mlp}experts.down_proj`, experts, hidden, intermediate, {
      first: 0,
      step: 1,
      stored: hidden,
    }),
    gateBias: table.vector([`${mlp}experts.gate_up_proj_bias`], [experts, intermediate], gate),
    upBias: table.vector([`${mlp}experts.gate_up_proj_bias`], [experts, intermediate], up),
    downBias: table.vector([`${mlp}experts.down_proj_bias`], [experts, hidden]),
  };
}

function expertMatrix(
  table: EntryTable,
  name: string,
  experts: number,
  rows: number,
  cols: number,
  slice: RowSlice,
): Matrix {
  if (table.has(`${name}_blocks`) || !table.has(name))
    return splitMxfp4(table, `${name}_blocks`, `${name}_scales`, experts, rows, cols, slice);
  const entry = table.find([name]);
  table.checkShape(entry, [experts, cols, slice.stored]);
  const dtype = table.element(entry);
  const size = dtypeFacts[dtype].groupBytes;
  return {
    name,
    dtype,
    experts,
    rows,
    cols,
    source: entry.source,
    offset: entry.offset + slice.first * size,
    rowStride: slice.step * size,
    expertStride: cols * slice.stored * size,
    scales: null,
    colStride: slice.stored * size,
  };
}

/** The pair of U8 tensors that both safetensors layouts use for MXFP4. */
export function splitMxfp4(
  table: EntryTable,
  dataName: string,
  scalesName: string,
  experts: number,
  rows: number,
  cols: number,
  slice: RowSlice,
): Matrix {
  const data = table.find([dataName]);
  const scales = table.find([scalesName]);
  if (cols % 32 !== 0)
    throw damaged(
      table.file,
      `tensor ${shown(dataName)} needs rows of a multiple of 32 values; the configuration says ${cols}`,
    );
  const groups = cols / 32;
  table.checkShape(data, [experts, slice.stored, groups, 16]);
  table.checkShape(scales, [experts, slice.stored, groups]);
  for (const entry of [data, scales]) {
    if (entry.dtype !== 'U8')
      throw damaged(table.file, `tensor ${shown(entry.name)} has type ${entry.dtype}; expected U8`);
  }
  return {
    name: dataName,
    dtype: 'mxfp4-split',
    experts,
    rows,
    cols,
    source: data.source,
    offset: data.offset + slice.first * groups * 16,
    rowStride: slice.step * groups * 16,
    expertStride: slice.stored * groups * 16,
    scales: {
      source: scales.source,
      offset: scales.offset + slice.first * groups,
      rowStride: slice.step * groups,
      expertStride: slice.stored * groups,
    },
    colStride: null,
  };
}
