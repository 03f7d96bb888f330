// Tensor names of GGUF → ModelTensors. llama.cpp's names and the four layouts that Ollama has written (model-spec §2.8)
// mix freely: fused or separate qkv, fused (interleaved) or separate gate and up, three other spellings. Each layer is
// read by what it has, so any combination opens.

import type { LayerTensors, ModelTensors } from '../checkpoint.ts';
import type { ModelConfig } from '../config.ts';
import type { EntryTable, RowSlice } from './entries.ts';

export function ggufTensors(table: EntryTable, config: ModelConfig): ModelTensors {
  const { hidden, vocab } = config;
  return {
    embedding: table.dense(['token_embd.weight'], vocab, hidden),
    output: table.dense(['output.weight'], vocab, hidden),
    finalNorm: table.vector(['output_norm.weight'], [hidden]),
    layers: Array.from({ length: config.layers }, (_, i) => layer(table, config, `blk.${i}.`)),
  };
}

function layer(table: EntryTable, config: ModelConfig, p: string): LayerTensors {
  const { hidden, heads, kvHeads, headDim, experts, intermediate } = config;
  const qRows = heads * headDim;
  const kvRows = kvHeads * headDim;
  const fusedQkv = table.has(`${p}attn_qkv.weight`);
  const qkvSlice = (first: number): RowSlice | undefined =>
    fusedQkv ? { first, step: 1, stored: qRows + 2 * kvRows } : undefined;
  const qkvName = (part: string): string => `${p}attn_${fusedQkv ? 'qkv' : part}`;
  const attn = (part: string, rows: number, first: number) => ({
    weight: table.dense([`${qkvName(part)}.weight`], rows, hidden, qkvSlice(first)),
    bias: table.vector([`${qkvName(part)}.bias`], [rows], qkvSlice(first)),
  });
  const q = attn('q', qRows, 0);
  const k = attn('k', kvRows, qRows);
  const v = attn('v', kvRows, qRows + kvRows);

  const fusedGate = table.has(`${p}ffn_gate_up_exps.weight`);
  const expert = (part: string, first: number) => {
    const name = `${p}ffn_${fusedGate ? 'gate_up' : part}_exps`;
    const slice = fusedGate ? { first, step: 2, stored: 2 * intermediate } : undefined;
    return {
      weight: table.experts([`${name}.weight`], experts, intermediate, hidden, slice),
      bias: table.vector([`${name}.bias`], [experts, intermediate], slice),
    };
  };
  const gate = expert('gate', 0);
  const up = expert('up', 1);
  return {
    attnNorm: table.vector([`${p}attn_norm.weight`], [hidden]),
    q: q.weight,
    k: k.weight,
    v: v.weight,
    o: table.dense([`${p}attn_output.weight`, `${p}attn_out.weight`], hidden, qRows),
    qBias: q.bias,
    kBias: k.bias,
    vBias: v.bias,
    oBias: table.vector([`${p}attn_output.bias`, `${p}attn_out.bias`], [hidden]),
    sinks: table.vector([`${p}attn_sinks.weight`, `${p}attn_sinks`], [heads]),
    mlpNorm: table.vector([`${p}post_attention_norm.weight`, `${p}ffn_norm.weight`], [hidden]),
    router: table.dense([`${p}ffn_gate_inp.weight`], experts, hidden),
    routerBias: table.vector([`${p}ffn_gate_inp.bias`], [experts]),
    gate: gate.weight,
    up: up.weight,
    down: table.experts([`${p}ffn_down_exps.weight`], experts, hidden, intermediate),
    gateBias: gate.bias,
    upBias: up.bias,
    downBias: table.vector([`${p}ffn_down_exps.bias`], [experts, hidden]),
  };
}
