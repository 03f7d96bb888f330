// Tensor names of OpenAI's `original/` layout → ModelTensors. The same bytes as Hugging Face's under other names,
// except that q, k and v are one tensor: rows of q, then k, then v.

import type { LayerTensors, ModelTensors } from '../checkpoint.ts';
import type { ModelConfig } from '../config.ts';
import type { EntryTable } from './entries.ts';
import { splitMxfp4 } from './huggingface.ts';

export function isOriginalLayout(table: EntryTable): boolean {
  return table.has('embedding.weight') && table.has('block.0.attn.qkv.weight');
}

export function originalTensors(table: EntryTable, config: ModelConfig): ModelTensors {
  const { hidden, vocab } = config;
  return {
    embedding: table.dense(['embedding.weight'], vocab, hidden),
    output: table.dense(['unembedding.weight'], vocab, hidden),
    finalNorm: table.vector(['norm.scale'], [hidden]),
    layers: Array.from({ length: config.layers }, (_, i) => layer(table, config, `block.${i}.`)),
  };
}

function layer(table: EntryTable, config: ModelConfig, prefix: string): LayerTensors {
  const { hidden, heads, kvHeads, headDim, experts, intermediate } = config;
  const qRows = heads * headDim;
  const kvRows = kvHeads * headDim;
  const stored = qRows + 2 * kvRows;
  const q = { first: 0, step: 1, stored };
  const k = { first: qRows, step: 1, stored };
  const v = { first: qRows + kvRows, step: 1, stored };
  const qkv = [`${prefix}attn.qkv.weight`];
  const qkvBias = [`${prefix}attn.qkv.bias`];
  const gate = { first: 0, step: 2, stored: 2 * intermediate };
  const up = { first: 1, step: 2, stored: 2 * intermediate };
  const mlp1 = `${prefix}mlp.mlp1_weight`;
  const mlp2 = `${prefix}mlp.mlp2_weight`;
  return {
    attnNorm: table.vector([`${prefix}attn.norm.scale`], [hidden]),
    q: table.dense(qkv, qRows, hidden, q),
    k: table.dense(qkv, kvRows, hidden, k),
    v: table.dense(qkv, kvRows, hidden, v),
    o: table.dense([`${prefix}attn.out.weight`], hidden, qRows),
    qBias: table.vector(qkvBias, [qRows], q),
    kBias: table.vector(qkvBias, [kvRows], k),
    vBias: table.vector(qkvBias, [kvRows], v),
    oBias: table.vector([`${prefix}attn.out.bias`], [hidden]),
    sinks: table.vector([`${prefix}attn.sinks`], [heads]),
    mlpNorm: table.vector([`${prefix}mlp.norm.scale`], [hidden]),
    router: table.dense([`${prefix}mlp.gate.weight`], experts, hidden),
    routerBias: table.vector([`${prefix}mlp.gate.bias`], [experts]),
    gate: splitMxfp4(table, `${mlp1}.blocks`, `${mlp1}.scales`, experts, intermediate, hidden, gate),
    up: splitMxfp4(table, `${mlp1}.blocks`, `${mlp1}.scales`, experts, intermediate, hidden, up),
    down: splitMxfp4(table, `${mlp2}.blocks`, `${mlp2}.scales`, experts, hidden, intermediate, {
      first: 0,
      step: 1,
      stored: hidden,
    }),
    gateBias: table.vector([`${prefix}mlp.mlp1_bias`], [experts, intermediate], gate),
    upBias: table.vector([`${prefix}mlp.mlp1_bias`], [experts, intermediate], up),
    downBias: table.vector([`${prefix}mlp.mlp2_bias`], [experts, hidden]),
  };
}
